"""Tables with known columns, and the shards that they are cut into."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scorer.errors import DataError, UsageError
from scorer.sources.columns.columns import Columns
from scorer.sources.kept import KeptRows
from scorer.sources.storage.table import Place, Table


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


def row_range(start: int, rows: int) -> str:
    """A range of rows, in words: its first and its last."""
    return f"rows {start:,} to {start + rows - 1:,}"
