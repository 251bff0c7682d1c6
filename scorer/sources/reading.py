"""The rows of shards, in order, as record batches: windows of so many rows, or of so many bytes of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import DataError
from scorer.sources.columns import canonical, label_values
from scorer.sources.source import Shard, Source, UnreadableError

# Bytes of text that fill a window, however few rows they are.
WINDOW_BYTES = 32 * 2**20

IntArray = npt.NDArray[np.int64]


def read_shards(source: Source, shards: Iterable[Shard], window_rows: int) -> Iterator[tuple[Shard, pa.RecordBatch]]:
    """The rows of shards as record batches in the source schema.

    A shard that follows upon the one before goes on in the same pass over the table.

    Args:
        source: the data set.
        shards: the rows to read.
        window_rows: rows of every batch, but for a shard's last and where long texts fill one sooner.

    Raises:
        UnreadableError: a table is damaged, or holds fewer rows than when it was planned.
    """
    cursor: _Cursor | None = None
    for shard in shards:
        name = source.tables[shard.table].name
        try:
            if cursor is None or (cursor.table, cursor.row) != (shard.table, shard.start):
                cursor = _Cursor(source, shard.table, shard.start)
            done = 0
            while done < shard.rows:
                piece = cursor.take(min(window_rows, shard.rows - done))
                if piece.num_rows:
                    yield shard, canonical(piece, source.columns, shard.first_row + done, name)
                done += piece.num_rows
                if cursor.ended and done < shard.rows:
                    raise DataError(
                        f"'{name}' holds {shard.start + done:,} rows now; it held more when the run began. Do not "
                        "change the data while it is scored; start again with --overwrite."
                    )
        except DataError as error:
            raise UnreadableError(shard, name, error) from error


def read_shard(source: Source, shard: Shard, window_rows: int) -> Iterator[pa.RecordBatch]:
    """The rows of one shard; see `read_shards`."""
    for _, batch in read_shards(source, [shard], window_rows):
        yield batch


class _Cursor:
    """A place in a table from which rows are taken, in order.

    Attributes:
        table: position of the table in the source.
        row: the next row, counted in the table.
        ended: whether the table has no more rows.
    """

    def __init__(self, source: Source, table: int, start: int) -> None:
        self.table, self.row, self.ended = table, start, False
        self._texts = [name for name in (source.columns.text, source.columns.text_pair) if name is not None]
        self._batches = source.tables[table].batches(source.columns.names, start)
        self._rest: pa.RecordBatch | None = None

    def take(self, rows: int) -> pa.RecordBatch:
        """So many rows, or fewer where their texts fill a window or the table ends."""
        held: list[pa.RecordBatch] = []
        wanted, room = rows, WINDOW_BYTES
        while wanted and room > 0:
            batch = self._rest if self._rest is not None else next(self._batches, None)
            if batch is None:
                self.ended = True
                break
            ends = np.cumsum(self._text_bytes(batch))  # int64 [N]
            fitting = min(wanted, batch.num_rows, int(np.searchsorted(ends, room)) + 1)
            held.append(batch.slice(0, fitting))
            self._rest = batch.slice(fitting) if batch.num_rows > fitting else None
            wanted -= fitting
            room -= int(ends[fitting - 1]) if fitting else 0
        self.row += rows - wanted
        return _joined(held) if held else pa.RecordBatch.from_pylist([])

    def _text_bytes(self, batch: pa.RecordBatch) -> IntArray:
        """Bytes of the texts of each row, int64 [N]; the same whatever the batch they come in."""
        lengths = np.zeros(batch.num_rows, dtype=np.int64)
        for name in self._texts:
            text = batch.column(name).cast(pa.large_binary())
            lengths += pc.fill_null(pc.binary_length(text), 0).to_numpy()
        return lengths


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """One batch of several; values become strings where JSON Lines held numbers in one and strings in another."""
    if any(not batch.schema.equals(batches[0].schema) for batch in batches):
        batches = [
            pa.RecordBatch.from_arrays(
                [label_values(column).cast(pa.large_string()) for column in batch.columns], names=batch.schema.names
            )
            for batch in batches
        ]
    return pa.concat_batches(batches)
