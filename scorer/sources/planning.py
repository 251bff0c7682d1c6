"""A source planned: its rows and labels counted, its tables cut into shards.

Planning passes once over the label column alone. So the number of rows and every label value are known before
the model starts: a label that does not fit stops the run in its first seconds, not in hour three.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from scorer.config import WINDOW_ROWS
from scorer.errors import DataError, LabelError
from scorer.sources.columns.label_column import count_pairs
from scorer.sources.columns.values import label_values
from scorer.sources.source import LeftOut, Plan, Shard, Source, Span
from scorer.sources.storage.table import Table

# Distinct labels above which a column is taken for something else than a label.
MOST_LABELS = 20_000


def plan_source(
    source: Source,
    *,
    shard_rows: int,
    limit: int | None,
    joined_rows: int = WINDOW_ROWS,
    skip_bad_files: bool = False,
) -> Plan:
    """Count the rows and label values of a source and cut it into shards.

    Args:
        source: the data set.
        shard_rows: most rows of a shard.
        limit: plan only the first this many rows, or None.
        joined_rows: tables that follow upon each other share a shard as long as they have no more rows together.
        skip_bad_files: leave out tables that cannot be read, instead of stopping there.

    Raises:
        DataError: a table cannot be read, or there is no row.
        LabelError: the label column holds so many values that it is no label.
    """
    counts: Counter[str | None] = Counter()
    named: Counter[tuple[str | None, str | None]] = Counter()
    sizes: list[tuple[int, int]] = []  # position of each table and its rows
    left_out: list[LeftOut] = []
    first_row = 0
    for index, table in enumerate(source.tables):
        left = None if limit is None else limit - first_row
        try:
            rows, labels, pairs = _count_labels(source, index, left)
        except DataError as error:
            if not skip_bad_files:
                raise
            left_out.append(LeftOut(table.name, str(error)))
            continue
        counts.update(labels)
        named.update(pairs)
        _refuse_many_labels(counts, source.columns.label, table)
        sizes.append((index, rows))
        first_row += rows
        if first_row == limit:
            break
    if first_row == 0:
        if left_out:
            raise DataError(f"no file of {source.kind} can be read; the first: {left_out[0]}")
        raise DataError(f"{_tables_named(source.tables)} holds no rows.")
    cut = itertools.starmap(Shard, _cut(sizes, shard_rows, min(joined_rows, shard_rows)))
    return Plan(tuple(_with_places(source, shard) for shard in cut), dict(counts), tuple(left_out), dict(named))


def _cut(
    sizes: Iterable[tuple[int, int]], shard_rows: int, joined_rows: int
) -> Iterator[tuple[int, int, tuple[Span, ...]]]:
    """Index, first row and spans of the shards of tables, whose positions and sizes are given.

    A table of many rows is cut from its own first row on, so that its shards do not depend on its neighbours.
    """
    groups: list[list[Span]] = []
    first_row = room = 0
    for table, rows in sizes:
        if rows > max(room, 0):
            pieces = range(0, rows, shard_rows)
            groups += [[Span(table, start, min(shard_rows, rows - start), first_row + start)] for start in pieces]
            room = joined_rows - rows
        elif rows:
            groups[-1].append(Span(table, 0, rows, first_row))
            room -= rows
        first_row += rows
    for index, spans in enumerate(groups):
        yield index, spans[0].first_row, tuple(spans)


def _with_places(source: Source, shard: Shard) -> Shard:
    """The shard, with the places that its tables know."""
    spans = []
    for span in shard.spans:
        places = source.tables[span.table].places
        spans.append(span._replace(place=places.before(span.start) if places else None))
    return dataclasses.replace(shard, spans=tuple(spans))


def remember_places(source: Source, plan: Plan) -> None:
    """Tell the tables what an earlier pass over them found out, so that they need not be parsed from their start."""
    for span in itertools.chain.from_iterable(shard.spans for shard in plan.shards):
        places = source.tables[span.table].places
        if places is not None and span.place is not None:
            places.add(span.place)


def _count_labels(
    source: Source, index: int, limit: int | None
) -> tuple[int, Counter[str | None], Counter[tuple[str | None, str | None]]]:
    """A table's number of rows, its label values, and those with the names beside them."""
    table, column, name_column = source.tables[index], source.columns.label, source.name_column
    names = [] if name_column is None else [name_column]
    batches = source.kept.read(index, table, list(dict.fromkeys([*source.columns.names, *names])))
    rows, counts = 0, Counter[str | None]()
    pairs = Counter[tuple[str | None, str | None]]()
    for read in table.batches([column, *names]) if batches is None else batches:
        batch = read if limit is None else read.slice(0, limit - rows)
        values = label_values(batch.column(column))  # by name: "label" also brings a Parquet column "label.raw"
        for item in values.value_counts().to_pylist():
            counts[item["values"]] += item["counts"]
        if name_column is not None and len(pairs) <= MOST_LABELS:
            pairs.update(count_pairs(batch, column, name_column))
        rows += len(values)
        _refuse_many_labels(counts, column, table)
        if rows == limit:
            break
    return rows, counts, pairs


def _refuse_many_labels(counts: Mapping[str | None, int], column: str, table: Table) -> None:
    if len(counts) > MOST_LABELS:
        raise LabelError(
            f"column '{column}' of '{table.name}' holds more than {MOST_LABELS:,} different values; that is no "
            "class label. Name the label's column with --label-column."
        )


def _tables_named(tables: Sequence[Table]) -> str:
    return f"'{tables[0].name}'" if len(tables) == 1 else f"the data ({len(tables)} files)"
