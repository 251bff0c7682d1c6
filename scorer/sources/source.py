"""Tables with known columns, planned into shards.

Planning passes once over the label column alone. So the number of rows and every label value are known before
the model starts: a label that does not fit stops the run in its first seconds, not in hour three.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

from scorer.errors import DataError, LabelError, UsageError
from scorer.sources.columns import Columns
from scorer.sources.label_column import count_pairs
from scorer.sources.table import READ_ROWS, Place, Table
from scorer.sources.values import label_values

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
        shard: index of the shard that they make up.
    """

    name: str
    reason: str
    start: int | None = None
    rows: int | None = None
    shard: int | None = None

    def __str__(self) -> str:
        where = "" if self.start is None or self.rows is None else f", {row_range(self.start, self.rows)}"
        return f"'{self.name}'{where}: {self.reason}"


class UnreadableError(DataError):
    """A shard that cannot be read.

    Attributes:
        shard: the shard.
        left_out: what is to be said of it where the run goes on.
    """

    def __init__(self, shard: Shard, name: str, error: DataError) -> None:
        super().__init__(f"{error} (While reading '{name}', {row_range(shard.start, shard.rows)}.)")
        self.shard = shard
        self.left_out = LeftOut(name, str(error), shard.start, shard.rows, shard.index)


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
    """

    tables: tuple[Table, ...]
    columns: Columns
    class_names: tuple[str, ...] | None
    kind: str
    left_out: tuple[LeftOut, ...] = ()
    name_column: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Shard:
    """A range of rows of one table: the unit of work and of output.

    Attributes:
        index: position among the shards, from 0; names the output file.
        table: position of the table in the source.
        start: first row, counted in the table.
        rows: number of rows.
        first_row: first row, counted in the whole data set.
        place: the last place known in a text file that is not behind its first row.
    """

    index: int
    table: int
    start: int
    rows: int
    first_row: int
    place: Place | None = None

    @property
    def file_name(self) -> str:
        """Name of the files that hold its scores and its rejects."""
        return f"part-{self.index:05d}.parquet"


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
                f"--shard {part}/{parts}: the data make only {len(self.shards)} shards. Cut them into no more parts."
            )
        start, stop = (number * len(self.shards) // parts for number in (part - 1, part))
        return dataclasses.replace(self, shards=self.shards[start:stop])


def plan_source(source: Source, *, shard_rows: int, limit: int | None, skip_bad_files: bool = False) -> Plan:
    """Count the rows and label values of a source and cut it into shards.

    Args:
        source: the data set.
        shard_rows: most rows of a shard.
        limit: plan only the first this many rows, or None.
        skip_bad_files: leave out tables that cannot be read, instead of stopping there.

    Raises:
        DataError: a table cannot be read, or there is no row.
        LabelError: the label column holds so many values that it is no label.
    """
    counts: Counter[str | None] = Counter()
    named: Counter[tuple[str | None, str | None]] = Counter()
    shards: list[Shard] = []
    left_out: list[LeftOut] = []
    first_row = 0
    for index, table in enumerate(source.tables):
        left = None if limit is None else limit - first_row
        try:
            rows, labels, pairs = _count_labels(table, source.columns.label, source.name_column, left)
        except DataError as error:
            if not skip_bad_files:
                raise
            left_out.append(LeftOut(table.name, str(error)))
            continue
        counts.update(labels)
        named.update(pairs)
        _refuse_many_labels(counts, source.columns.label, table)
        for start in range(0, rows, shard_rows):
            size = min(shard_rows, rows - start)
            place = table.places.before(start) if table.places else None
            shards.append(Shard(len(shards), index, start, size, first_row + start, place))
        first_row += rows
        if first_row == limit:
            break
    if first_row == 0:
        if left_out:
            raise DataError(f"no file of {source.kind} can be read; the first: {left_out[0]}")
        raise DataError(f"{_tables_named(source.tables)} holds no rows.")
    return Plan(tuple(shards), dict(counts), tuple(left_out), dict(named))


def remember_places(source: Source, plan: Plan) -> None:
    """Tell the tables what an earlier pass over them found out, so that they need not be parsed from their start."""
    for shard in plan.shards:
        places = source.tables[shard.table].places
        if places is not None and shard.place is not None:
            places.add(shard.place)


def _count_labels(
    table: Table, column: str, name_column: str | None, limit: int | None
) -> tuple[int, Counter[str | None], Counter[tuple[str | None, str | None]]]:
    """The table's number of rows, its label values, and those with the names beside them."""
    rows, counts = 0, Counter[str | None]()
    pairs = Counter[tuple[str | None, str | None]]()
    for read in table.batches([column] if name_column is None else [column, name_column]):
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
    "UnreadableError",
    "plan_source",
    "remember_places",
]
