"""Tables with known columns, planned into shards.

Planning passes once over the label column alone. So the number of rows and every label value are known before
the model starts: a label that does not fit stops the run in its first seconds, not in hour three.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scorer.config import WINDOW_ROWS
from scorer.errors import DataError, LabelError, UsageError
from scorer.sources.columns.columns import Columns
from scorer.sources.columns.label_column import count_pairs
from scorer.sources.columns.values import label_values
from scorer.sources.kept import KeptRows
from scorer.sources.storage.table import READ_ROWS, Place, Table

# Distinct labels above which a column is taken for something else than a label.
MOST_LABELS = 20_000


@dataclasses.dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows that could not be read and were left out, because the user wished so.

    Attributes:
        name: the table.
        reason: what its reader said.
        start: the first of them, counted in the table; None where nothing of the table could be read.
        rows: their number.
        shard: index of the shard that they belong to.
        ends_shard: whether nothing else is left of that shard.
    """

    name: str
    reason: str
    start: int | None = None
    rows: int | None = None
    shard: int | None = None
    ends_shard: bool = False

    def __str__(self) -> str:
        where = "" if self.start is None or self.rows is None else f", {row_range(self.start, self.rows)}"
        return f"'{self.name}'{where}: {self.reason}"


class UnreadableError(DataError):
    """A span of a shard that cannot be read.

    Attributes:
        shard: the shard.
        span: the span.
        left_out: what is to be said of it where the run goes on.
    """

    def __init__(self, shard: Shard, span: Span, name: str, error: DataError) -> None:
        super().__init__(f"{error} (While reading '{name}', {row_range(span.start, span.rows)}.)")
        self.shard, self.span = shard, span
        self.left_out = LeftOut(name, str(error), span.start, span.rows, shard.index)


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """The data set of a run.

    Attributes:
        tables: files or splits, in the order in which their rows count.
        columns: the parts that their columns play.
        class_names: names that the data declares for integer labels, or None.
        kind: what the data is, for the person at the terminal.
        left_out: tables that cannot be read.
        name_column: a column that seems to hold the names of integer labels, or None.
        kept: rows of small tables that were read before.
    """

    tables: tuple[Table, ...]
    columns: Columns
    class_names: tuple[str, ...] | None
    kind: str
    left_out: tuple[LeftOut, ...] = ()
    name_column: str | None = None
    kept: KeptRows = dataclasses.field(default_factory=KeptRows, compare=False, repr=False)


class Span(NamedTuple):
    """A range of rows of one table.

    Attributes:
        table: position of the table in the source.
        start: first row, counted in the table.
        rows: number of rows.
        first_row: first row, counted in the whole data set.
        place: the last place known in a text file that is not behind its first row.
    """

    table: int
    start: int
    rows: int
    first_row: int
    place: Place | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Shard:
    """Rows of one table, or of several small ones: the unit of work and of output.

    Attributes:
        index: position among the shards, from 0; names the output file.
        first_row: first row of the shard as it was planned, counted in the whole data set.
        spans: the rows, in order.
        left_out: planned rows that cannot be read, and are in none of the spans.
    """

    index: int
    first_row: int
    spans: tuple[Span, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of all spans."""
        return sum(span.rows for span in self.spans)

    @property
    def file_name(self) -> str:
        """Name of the files that hold its scores and its rejects."""
        return f"shard-{self.index:05d}.parquet"

    def without(self, left_out: Sequence[LeftOut], spans: Collection[Span]) -> Shard:
        """The shard without some spans, and what is said of them."""
        kept = tuple(span for span in self.spans if span not in spans)
        return dataclasses.replace(self, spans=kept, left_out=(*self.left_out, *left_out))

    def among(self, rows: npt.NDArray[np.int64]) -> Shard:
        """The shard with those spans alone that hold any of some rows: int64 [N], sorted, of the whole data set."""
        starts = np.array([span.first_row for span in self.spans], np.int64)
        ends = starts + np.array([span.rows for span in self.spans], np.int64)
        holds = np.searchsorted(rows, starts) < np.searchsorted(rows, ends)  # bool [spans]
        return dataclasses.replace(self, spans=tuple(itertools.compress(self.spans, holds.tolist())))


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What planning found out.

    Attributes:
        shards: a partition of the rows, in order.
        label_counts: every distinct label value and its number of rows.
        left_out: tables that cannot be read.
        named: rows by label and the name beside it, where the source has a column of names; looked at once, not kept.
    """

    shards: tuple[Shard, ...]
    label_counts: Mapping[str | None, int]
    left_out: tuple[LeftOut, ...] = ()
    named: Mapping[tuple[str | None, str | None], int] = dataclasses.field(default_factory=dict, compare=False)

    @property
    def rows(self) -> int:
        """Rows of all shards."""
        return sum(shard.rows for shard in self.shards)

    def table_rows(self) -> dict[int, range]:
        """The planned rows of each table, by its position; they are counted in the whole data set."""
        found: dict[int, range] = {}
        for span in itertools.chain.from_iterable(shard.spans for shard in self.shards):
            first = found[span.table].start if span.table in found else span.first_row
            found[span.table] = range(first, span.first_row + span.rows)
        return found

    def part(self, which: tuple[int, int] | None) -> Plan:
        """The plan of the I-th of N parts of the shards, from 1, each a run of neighbours; None is all of them.

        Raises:
            UsageError: there are fewer shards than parts.
        """
        if which is None:
            return self
        part, parts = which
        if parts > len(self.shards):
            raise UsageError(
                f"--part {part}/{parts}: the data make only {len(self.shards)} shards. Cut them into no more parts."
            )
        start, stop = (number * len(self.shards) // parts for number in (part - 1, part))
        return dataclasses.replace(self, shards=self.shards[start:stop])


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


def row_range(start: int, rows: int) -> str:
    return f"rows {start:,} to {start + rows - 1:,}"


def _tables_named(tables: Sequence[Table]) -> str:
    return f"'{tables[0].name}'" if len(tables) == 1 else f"the data ({len(tables)} files)"


__all__ = [
    "READ_ROWS",
    "LeftOut",
    "Plan",
    "Shard",
    "Source",
    "Span",
    "UnreadableError",
    "plan_source",
    "remember_places",
]
