"""Parquet and Arrow files. Both know their columns and types; both are read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.errors import DataError
from scorer.sources.table import READ_BYTES, READ_ROWS

# Bytes of a column that are read from a Parquet file at a time; without it, a whole row group's.
BUFFER_BYTES = 2**20


def file_identity(path: str) -> dict[str, object]:
    """Size and time of modification of a file.

    Raises:
        DataError: it is gone, or may not be looked at.
    """
    with reading(path, "a file"):
        stat = Path(path).stat()
        return {"bytes": stat.st_size, "modified": stat.st_mtime_ns}


class FileTable:
    """What tables of one file share."""

    name: str

    def identity(self) -> Mapping[str, object]:
        """Size and time of modification."""
        return file_identity(self.name)


class ParquetTable(FileTable):
    """A Parquet file, read by row groups."""

    def __init__(self, path: str) -> None:
        self.name = path

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

    @contextmanager
    def _open(self) -> Iterator[Any]:
        with (
            reading(self.name, "Parquet"),
            pq.ParquetFile(self.name, pre_buffer=False, buffer_size=BUFFER_BYTES) as file,
        ):
            yield file


class ArrowTable(FileTable):
    """An Arrow IPC file or stream, memory-mapped; `datasets` writes streams."""

    def __init__(self, path: str) -> None:
        self.name = path

    def schema(self) -> pa.Schema:
        """Columns and types; raises DataError when the file is not Arrow IPC."""
        with self._open() as reader:
            return reader.schema

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[pa.RecordBatch]:
        """Record batches from row `start` on; memory-mapped batches before it are passed over unread."""
        with self._open() as reader:
            yield from skip_rows(_small(_ipc_batches(reader), list(columns)), start)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        with reading(self.name, "Arrow IPC"), pa.memory_map(self.name) as mapped:
            if mapped.read(6) == b"ARROW1":
                yield pa.ipc.open_file(mapped)
            else:
                mapped.seek(0)
                yield pa.ipc.open_stream(mapped)


@contextmanager
def reading(name: str, what: str) -> Iterator[None]:
    """Turn the errors of opening and decoding a file into DataError."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"'{name}' does not exist any more; it was there when the run began.") from error
    except PermissionError as error:
        raise DataError(f"cannot read '{name}': permission denied.") from error
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"cannot read '{name}' as {what}: {first_line(error)}. It may be damaged, cut short, or of another format; "
            "write or download it again."
        ) from error


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


def first_line(error: BaseException | None) -> str:
    """What a library says of an error, in one line without a full stop."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(". ")
    return line if len(line) <= 300 else line[:300] + "…"
