"""Parquet and Arrow files. Both know their columns and types; both are read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.sources.storage.edits import Edits
from scorer.sources.storage.storage import FileTable, open_file, reading
from scorer.sources.storage.table import READ_BYTES, READ_ROWS
from scorer.system.urls import is_url

# Bytes of a column that are read from a Parquet file at a time; without it, a whole row group's.
BUFFER_BYTES = 2**20


class ParquetTable(FileTable):
    """A Parquet file, read by row groups."""

    def schema(self) -> pa.Schema:
        """Columns and types; raises DataError when the file is not Parquet."""
        with self._open() as file:
            return file.schema_arrow

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[pa.RecordBatch]:
        """Record batches from row `start` on, skipping whole row groups before it."""
        with self._open() as file:
            for group in range(file.num_row_groups):  # one by one, so that a damaged one spoils no other
                metadata = file.metadata.row_group(group)
                if start >= metadata.num_rows:
                    start -= metadata.num_rows
                    continue
                rows = max(1, min(READ_ROWS, READ_BYTES * metadata.num_rows // max(metadata.total_byte_size, 1)))
                yield from skip_rows(file.iter_batches(rows, row_groups=[group], columns=list(columns)), start)
                start = 0

    def all_columns(self, label: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Every column, by position."""
        from scorer.sources.formats.parquet_edits import parquet_batches

        return self.schema(), parquet_batches(self)

    def rewrite(self, output: Path, edits: Edits) -> None:
        """Write the file with labels changed; see `parquet_edits`."""
        from scorer.sources.formats.parquet_edits import write_parquet

        write_parquet(self, output, edits)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        with (
            reading(self.path, "Parquet"),
            open_file(self.path) as opened,
            pq.ParquetFile(opened, pre_buffer=False, buffer_size=BUFFER_BYTES) as file,
        ):
            yield file


class ArrowTable(FileTable):
    """An Arrow IPC file or stream, memory-mapped where it lies on a disk; `datasets` writes streams."""

    def schema(self) -> pa.Schema:
        """Columns and types; raises DataError when the file is not Arrow IPC."""
        with self._open() as reader:
            return reader.schema

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[pa.RecordBatch]:
        """Record batches from row `start` on; memory-mapped batches before it are passed over unread."""
        with self._open() as reader:
            yield from skip_rows(_small(_ipc_batches(reader), list(columns)), start)

    @property
    def of_datasets(self) -> bool:
        """Whether it lies in a folder that `datasets` saved."""
        return Path(self.name).with_name("state.json").is_file()

    def all_columns(self, label: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Every column, by position."""
        from scorer.sources.formats.arrow_edits import arrow_batches

        return self.schema(), arrow_batches(self)

    def rewrite(self, output: Path, edits: Edits) -> None:
        """Write the file or stream with labels changed; see `arrow_edits`."""
        from scorer.sources.formats.arrow_edits import write_arrow

        write_arrow(self, output, edits)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        with (
            reading(self.path, "Arrow IPC"),
            open_file(self.path) if is_url(self.path) else pa.memory_map(self.path) as opened,
        ):
            if opened.read(6) == b"ARROW1":
                yield pa.ipc.open_file(opened)
            else:
                opened.seek(0)
                yield pa.ipc.open_stream(opened)


def skip_rows(batches: Iterator[pa.RecordBatch], start: int) -> Iterator[pa.RecordBatch]:
    """The batches without their first `start` rows."""
    for batch in batches:
        if start and start >= batch.num_rows:
            start -= batch.num_rows
            continue
        yield batch.slice(start)
        start = 0


def _ipc_batches(reader: Any) -> Iterator[pa.RecordBatch]:
    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)
    else:
        yield from reader


def _small(batches: Iterator[pa.RecordBatch], columns: list[str]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        selected = batch.select(columns)
        for offset in range(0, selected.num_rows, READ_ROWS):
            yield selected.slice(offset, READ_ROWS)
