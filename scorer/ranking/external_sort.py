"""Sorting tables that do not fit into memory: cut into ranges of the key, and sorted range by range.

    sample keys → splitters → every block's rows to the range they belong to (on disk) → each range sorted, in order

Memory holds a block, a buffer and a range, whatever the number of rows. What fits into the buffer never meets the disk.
The key is a score and, among equal scores, the row; so even rows of one single score are cut into ranges.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scorer.arithmetic.scoring import FloatArray

# Bytes of rows that wait in memory before they are written to their ranges.
BUFFER_BYTES = 128 * 2**20
# Bytes of rows that a range should hold; it is sorted in memory.
RANGE_BYTES = 48 * 2**20
# Bytes of rows that are distributed at a time.
BLOCK_BYTES = 16 * 2**20
# Sampled keys per range: the ranges' sizes then differ by a tenth or so.
SAMPLES_PER_RANGE = 1_000

RowArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class Keys:
    """Sort keys of N rows: low scores come first, and among equal ones low rows.

    Attributes:
        scores: float32 [N], no NaN.
        rows: int64 [N].
    """

    scores: FloatArray
    rows: RowArray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Keys:
        """The keys at these positions."""
        return Keys(self.scores[positions], self.rows[positions])

    def order(self) -> npt.NDArray[np.int64]:
        """int64 [N], positions in sorted order."""
        return np.lexsort((self.rows, self.scores))

    def ranges(self, splitters: Keys) -> npt.NDArray[np.int64]:
        """int64 [N], for each key the number of sorted splitters that are not above it."""
        first = np.searchsorted(splitters.scores, self.scores, "left")
        last = np.searchsorted(splitters.scores, self.scores, "right")
        for score in np.unique(self.scores[first < last]):  # a splitter's own score: its row decides
            at = np.flatnonzero(self.scores == score)
            rows = splitters.rows[first[at[0]] : last[at[0]]]
            last[at] = first[at] + np.searchsorted(rows, self.rows[at], "right")
        return last


def joined(keys: Iterable[Keys]) -> Keys:
    """All keys as one."""
    several = list(keys)
    return Keys(
        np.concatenate([np.empty(0, np.float32), *(k.scores for k in several)]),
        np.concatenate([np.empty(0, np.int64), *(k.rows for k in several)]),
    )


def choose_splitters(keys: Iterable[Keys], rows: int, ranges: int) -> Keys:
    """The keys that cut the rows into ranges of about equal size.

    Args:
        keys: all keys, block by block.
        rows: their number.
        ranges: number of ranges R.

    Returns:
        R - 1 sorted keys.
    """
    share = min(1.0, SAMPLES_PER_RANGE * ranges / max(rows, 1))
    chance = np.random.default_rng(0)
    sample = joined(block.take(chance.random(len(block)) < share) for block in keys)
    sample = sample.take(sample.order())
    cuts = np.linspace(0, len(sample), ranges + 1)[1:-1].astype(np.int64)
    return sample.take(cuts[cuts < len(sample)])


def sort_externally(
    blocks: Iterable[pa.Table], key_of: Callable[[pa.Table], Keys], splitters: Keys, folder: Path
) -> Generator[pa.Table]:
    """The rows of all blocks in the order of their keys, as tables.

    Args:
        blocks: rows, each block small enough for memory.
        key_of: the keys of a table's rows.
        splitters: the ranges' limits.
        folder: where ranges wait; it is made when it is needed, and removed.
    """
    shutil.rmtree(folder, ignore_errors=True)  # left by a run that died
    ranges = [_Range(folder / f"{number}.arrows") for number in range(len(splitters) + 1)]
    waiting = 0
    try:
        for block in blocks:
            numbers = key_of(block).ranges(splitters)  # int64 [N]
            order = np.argsort(numbers, kind="stable")
            table = block.take(pa.array(order))
            limits = np.searchsorted(numbers[order], np.arange(len(ranges) + 1)).tolist()
            for each, start, stop in zip(ranges, limits[:-1], limits[1:], strict=True):
                if start < stop:
                    each.tables.append(table.slice(start, stop - start))
            waiting += table.nbytes
            if waiting > BUFFER_BYTES:
                folder.mkdir(exist_ok=True)
                for each in ranges:
                    each.to_disk()
                waiting = 0
        for each in ranges:
            yield from each.sorted(key_of)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Range:
    """The rows of one range: some in memory, the earlier ones in a file of Arrow streams, one behind the other."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.tables: list[pa.Table] = []

    def to_disk(self) -> None:
        if not self.tables:
            return
        table = pa.concat_tables(self.tables).combine_chunks()
        self.tables.clear()
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with self._file.open("ab") as file, pa.ipc.new_stream(file, table.schema, options=options) as stream:
            stream.write_table(table)

    def sorted(self, key_of: Callable[[pa.Table], Keys]) -> Iterator[pa.Table]:
        self.tables[:0] = self._on_disk()
        if self.tables:
            table = pa.concat_tables(self.tables).combine_chunks()
            self.tables.clear()
            yield table.take(pa.array(key_of(table).order()))
        self._file.unlink(missing_ok=True)

    def _on_disk(self) -> Iterator[pa.Table]:
        if self._file.exists():
            size = self._file.stat().st_size
            with self._file.open("rb") as file:
                while file.tell() < size:
                    with pa.ipc.open_stream(file) as stream:
                        yield stream.read_all()
