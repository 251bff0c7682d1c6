"""The rows of shards, in order, as record batches: windows of so many rows, or of so many bytes of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import DataError
from scorer.sources.columns import canonical
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
                cursor = _Cursor(source, shard)
            done = 0
            while done < shard.rows:
                piece = cursor.take(min(window_rows, shard.rows - done))
                if piece.num_rows:
                    yield shard, piece
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

    def __init__(self, source: Source, shard: Shard) -> None:
        self.table, self.row, self.ended = shard.table, shard.start, False
        self._batches = _canonical_batches(source, shard)
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
            ends = np.cumsum(_text_bytes(batch))  # int64 [N]
            fitting = min(wanted, batch.num_rows, int(np.searchsorted(ends, room)) + 1)
            held.append(batch.slice(0, fitting))
            self._rest = batch.slice(fitting) if batch.num_rows > fitting else None
            wanted -= fitting
            room -= int(ends[fitting - 1]) if fitting else 0
        self.row += rows - wanted
        return pa.concat_batches(held) if held else pa.RecordBatch.from_pylist([])


def _canonical_batches(source: Source, shard: Shard) -> Iterator[pa.RecordBatch]:
    """Batches in the source schema from a shard's first row to the end of its table."""
    table, row = source.tables[shard.table], shard.first_row
    for batch in table.batches(source.columns.names, shard.start):
        yield canonical(batch, source.columns, row, table.name)
        row += batch.num_rows


def _text_bytes(batch: pa.RecordBatch) -> IntArray:
    """Bytes of the texts of each row, int64 [N]; the same whatever the batch they come in."""
    lengths = np.zeros(batch.num_rows, dtype=np.int64)
    for name in ("text", "text_pair"):
        if name in batch.schema.names:
            lengths += pc.fill_null(pc.binary_length(batch.column(name)), 0).to_numpy()
    return lengths
