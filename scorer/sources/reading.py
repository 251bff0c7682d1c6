"""The rows of shards, in order, as record batches: windows of so many rows, or of so many bytes of text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import DataError
from scorer.sources.columns.columns import canonical
from scorer.sources.source import Shard, Source, Span, UnreadableError
from scorer.sources.storage.table import READ_ROWS

# Bytes of text that fill a window, however few rows they are.
WINDOW_BYTES = 32 * 2**20

IntArray = npt.NDArray[np.int64]


def read_shards(source: Source, shards: Iterable[Shard], window_rows: int) -> Iterator[tuple[Shard, pa.RecordBatch]]:
    """The rows of shards as record batches in the source schema.

    A span that follows upon the one before goes on in the same pass over the table.

    Args:
        source: the data set.
        shards: the rows to read.
        window_rows: rows of every batch, but for a shard's last and where long texts fill one sooner.

    Raises:
        UnreadableError: a table is damaged, or holds fewer rows than when it was planned.
    """
    reader = _Reader(source)
    for shard in shards:
        for window in _windows(reader.batches(shard), window_rows):
            yield shard, window


def read_shard(source: Source, shard: Shard, window_rows: int) -> Iterator[pa.RecordBatch]:
    """The rows of one shard; see `read_shards`."""
    for _, batch in read_shards(source, [shard], window_rows):
        yield batch


def without_unreadable(source: Source, error: UnreadableError) -> Shard:
    """What can be read of a shard in which a span cannot; the spans after that one are read to see."""
    shard, bad, left_out = error.shard, [error.span], [error.left_out]
    for span in shard.spans[shard.spans.index(error.span) + 1 :]:
        try:
            for _ in read_shard(source, dataclasses.replace(shard, spans=(span,)), READ_ROWS):
                pass
        except UnreadableError as another:
            bad.append(another.span)
            left_out.append(another.left_out)
    if len(bad) == len(shard.spans):
        left_out[-1] = dataclasses.replace(left_out[-1], ends_shard=True)
    return shard.without(left_out, bad)


class _Reader:
    """Reads spans of tables, going on in a table where the last one ended."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._cursor: _Cursor | None = None

    def batches(self, shard: Shard) -> Iterator[pa.RecordBatch]:
        """The rows of a shard in the source schema, in batches of any size."""
        for span in shard.spans:
            name = self._source.tables[span.table].name
            try:
                cursor = self._at(span)
                done = 0
                while done < span.rows:
                    batch = cursor.take(span.rows - done)
                    if batch is None:
                        raise DataError(
                            f"'{name}' holds {span.start + done:,} rows now; it held more when the run began. Do not "
                            "change the data while it is scored; start again with --overwrite."
                        )
                    done += batch.num_rows
                    yield batch
            except DataError as error:
                raise UnreadableError(shard, span, name, error) from error

    def _at(self, span: Span) -> _Cursor:
        cursor = self._cursor
        if cursor is None or (cursor.table, cursor.row) != (span.table, span.start):
            cursor = self._cursor = _Cursor(self._source, span)
        return cursor


class _Cursor:
    """A place in a table from which rows are taken, in order.

    Attributes:
        table: position of the table in the source.
        row: the next row, counted in the table.
    """

    def __init__(self, source: Source, span: Span) -> None:
        self.table, self.row = span.table, span.start
        self._batches = _canonical_batches(source, span)
        self._rest: pa.RecordBatch | None = None

    def take(self, rows: int) -> pa.RecordBatch | None:
        """The next rows, at most so many; None where the table ends."""
        batch = self._rest if self._rest is not None else next(self._batches, None)
        if batch is None:
            return None
        self._rest = batch.slice(rows) if batch.num_rows > rows else None
        taken = batch.slice(0, rows)
        self.row += taken.num_rows
        return taken


def _canonical_batches(source: Source, span: Span) -> Iterator[pa.RecordBatch]:
    """Batches in the source schema from a span's first row to the end of its table."""
    table, row = source.tables[span.table], span.first_row
    kept = source.kept.take(span.table, table) if span.start == 0 else None
    for batch in table.batches(source.columns.names, span.start) if kept is None else kept:
        yield canonical(batch, source.columns, row, table.name)
        row += batch.num_rows


def _windows(batches: Iterator[pa.RecordBatch], window_rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of so many, or fewer where their texts fill a window."""
    held: list[pa.RecordBatch] = []
    wanted, room = window_rows, WINDOW_BYTES
    for batch in batches:
        ends = np.cumsum(_text_bytes(batch))  # int64 [N]
        start = 0
        while start < batch.num_rows:
            before = int(ends[start - 1]) if start else 0
            fitting = int(np.searchsorted(ends, before + room)) + 1 - start
            stop = min(start + min(wanted, fitting), batch.num_rows)
            held.append(batch.slice(start, stop - start))
            wanted -= stop - start
            room -= int(ends[stop - 1]) - before
            start = stop
            if wanted == 0 or room <= 0:
                yield pa.concat_batches(held)
                held, wanted, room = [], window_rows, WINDOW_BYTES
    if held:
        yield pa.concat_batches(held)


def _text_bytes(batch: pa.RecordBatch) -> IntArray:
    """Bytes of the texts of each row, int64 [N]; the same whatever the batch they come in."""
    lengths = np.zeros(batch.num_rows, dtype=np.int64)
    for name in ("text", "text_pair"):
        if name in batch.schema.names:
            lengths += pc.fill_null(pc.binary_length(batch.column(name)), 0).to_numpy()
    return lengths
