"""The rows of score shards in the order of a score, the most suspect first, whatever their number."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scorer.arithmetic import scoring
from scorer.config import RankedBy
from scorer.errors import DataError, UsageError
from scorer.ranking.external_sort import (
    BLOCK_BYTES,
    RANGE_BYTES,
    Keys,
    RowArray,
    choose_splitters,
    joined,
    sort_externally,
)

# Whether a high value is the suspect one.
HIGH_IS_SUSPECT: Mapping[RankedBy, bool] = {
    "loss": True,
    "self_confidence": False,
    "normalized_margin": False,
    "entropy": True,
}
# Columns from which the scores are computed that shards do not hold.
_MARGIN_COLUMNS = ("row", "label", "self_confidence", "probabilities", "top_labels", "top_probabilities")
# Shards whose first rows tell the size of all.
MEASURED_SHARDS = 8


class ScoredRows:
    """The rows of score shards, with the column to rank by.

    Args:
        shards: files of one schema.
        by: the score to rank by.
        rescored: files of the same schema whose rows stand in for the shards' rows of the same number.

    Attributes:
        rows: their number.
        schema: their columns, without metadata.
        bytes_per_row: bytes of a row in memory, by the first rows of a few shards.

    Raises:
        DataError: a shard is damaged.
        UsageError: the shards keep too few probabilities for this score.
    """

    def __init__(self, shards: Sequence[Path], by: RankedBy, rescored: Sequence[Path] = ()) -> None:
        self._shards, self._by, self._rescored = shards, by, rescored
        self._superseded = np.sort(np.concatenate([np.empty(0, np.int64), *map(_row_numbers, rescored)]))
        self.rows = sum(map(_rows_of, shards))
        with damaged(shards[0]):
            self.schema: pa.Schema = pq.read_schema(shards[0].absolute()).remove_metadata()
        self._stored = by in self.schema.names
        self._refuse_too_few_probabilities()
        if not self._stored:
            self.schema = self.schema.append(pa.field(by, pa.float32()))
        measured = shards[:: math.ceil(len(shards) / MEASURED_SHARDS)]
        firsts = [table for shard in measured for table in itertools.islice(self._tables([shard]), 1)]
        self.bytes_per_row = max(1.0, sum(table.nbytes for table in firsts) / max(1, sum(map(len, firsts))))

    def _refuse_too_few_probabilities(self) -> None:
        if "top_labels" not in self.schema.names:
            return
        kept = self.schema.field("top_labels").type.list_size
        if self._by == "entropy" or (self._by == "normalized_margin" and kept < 2):
            raise UsageError(
                f"ranking by {self._by} needs more than the {kept} highest probabilities that this run kept. Score "
                "again without --top-k-probabilities, or rank by another score."
            )

    def ranked(self, top: int | None, folder: Path, progress: Callable[[int], None]) -> Generator[pa.Table]:
        """All rows, or the first `top`, in the order of the ranking.

        Args:
            top: number of rows, or None.
            folder: receives what memory does not hold.
            progress: told how many rows are read.
        """
        end = self._key_after(top) if top is not None and top < self.rows else None
        rows = self.rows if end is None else top or 0
        ranges = math.ceil(rows * self.bytes_per_row / RANGE_BYTES)
        splitters = choose_splitters(self._keys(end) if ranges > 1 else (), rows, ranges)
        return sort_externally(self._blocks(end, progress), self._keys_of, splitters, folder)

    def _tables(self, shards: Sequence[Path], columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Row group by row group, all columns or some."""
        for shard in shards:
            with damaged(shard), pq.ParquetFile(shard.absolute()) as file:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group, columns=columns)
                    yield self._with_score(table if shard in self._rescored else self._current(table))

    def _blocks(self, end: Keys | None, progress: Callable[[int], None]) -> Iterator[pa.Table]:
        """Row groups, several at a time where they are small; only rows before the key `end`."""
        held: list[pa.Table] = []
        rows = 0
        for table in self._tables([*self._shards, *self._rescored]):
            rows += len(table)
            progress(rows)
            held.append(table if end is None else table.filter(pa.array(self._keys_of(table).ranges(end) == 0)))
            if sum(each.nbytes for each in held) >= BLOCK_BYTES:
                yield pa.concat_tables(held).combine_chunks()
                held.clear()
        if held:
            yield pa.concat_tables(held).combine_chunks()

    def _keys(self, end: Keys | None = None) -> Iterator[Keys]:
        """The keys of all rows, or of those before `end`; no other column is read."""
        needed = ["row", self._by] if self._stored else [name for name in _MARGIN_COLUMNS if name in self.schema.names]
        for table in self._tables([*self._shards, *self._rescored], needed):
            keys = self._keys_of(table)
            yield keys if end is None else keys.take(keys.ranges(end) == 0)

    def _keys_of(self, table: pa.Table) -> Keys:
        score = table.column(self._by).to_numpy()  # float32 [N]
        return Keys(-score if HIGH_IS_SUSPECT[self._by] else score, table.column("row").to_numpy())

    def _key_after(self, top: int) -> Keys:
        """The key that follows upon the first `top`."""
        best = joined(())
        for keys in self._keys():
            best = joined([best, keys])
            if len(best) > 2 * top:
                best = best.take(best.order()[: top + 1])
        return best.take(best.order()[top : top + 1])

    def _current(self, table: pa.Table) -> pa.Table:
        """The rows of a shard that were not scored again."""
        if not self._superseded.size:
            return table
        rows = table.column("row").to_numpy()
        start, stop = np.searchsorted(self._superseded, [rows.min(), rows.max() + 1]) if rows.size else (0, 0)
        return table.filter(pa.array(~np.isin(rows, self._superseded[start:stop])))

    def _with_score(self, table: pa.Table) -> pa.Table:
        """The table with the column to rank by, computed where the shards do not hold it."""
        if self._stored:
            return table
        given = table.column("label").to_numpy()  # int32 [N]
        if self._by == "entropy":
            score = scoring.entropy(_lists(table, "probabilities"))
        elif "probabilities" in table.column_names:
            score = scoring.normalized_margin(_lists(table, "probabilities"), given)
        else:
            labels, values = _lists(table, "top_labels"), _lists(table, "top_probabilities")  # [N, K]
            other = np.where(labels == given[:, None], 0, values).max(axis=1)
            score = (table.column("self_confidence").to_numpy() - other + 1) / 2
        return table.append_column(self._by, pa.array(score, pa.float32()))


def _lists(table: pa.Table, column: str) -> npt.NDArray[Any]:
    """A column of lists of one length as an array [N, length]."""
    values: npt.NDArray[Any] = table.column(column).combine_chunks().flatten().to_numpy()
    return values.reshape(len(table), -1)


@contextlib.contextmanager
def damaged(file: Path) -> Iterator[None]:
    """Turn the errors of reading a shard into DataError."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"cannot rank: '{file}' is damaged ({first_line(error)}). Remove it and start the same `scorer run` again; "
            "it scores that shard anew."
        ) from error


def first_line(error: Exception) -> str:
    """What happened, in one line; polars adds the plan of its query below."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(". ")


def _row_numbers(file: Path) -> RowArray:
    with damaged(file):
        rows: RowArray = pq.read_table(file.absolute(), columns=["row"]).column("row").to_numpy()
    return rows


def _rows_of(shard: Path) -> int:
    with damaged(shard):
        return int(pq.read_metadata(shard.absolute()).num_rows)
