"""Arrow IPC files and streams with labels changed: batches, dictionaries, metadata and compression stay as they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc

from scorer.sources.edits.batches import Editor
from scorer.sources.formats.columnar import ArrowTable
from scorer.sources.storage.edits import Edits
from scorer.sources.storage.storage import open_file, reading
from scorer.system.urls import is_url

FILE_MAGIC = b"ARROW1"  # how an IPC file begins; a stream does not
CODECS = ("lz4", "zstd")  # as the format numbers them


@dataclasses.dataclass(frozen=True, slots=True)
class _Form:
    """How a table is written.

    Attributes:
        schema: its columns.
        is_file: whether it is an IPC file, which holds one dictionary per column; a stream otherwise.
        codec: of its batches, or None where they are not compressed.
        metadata: of a file's footer.
    """

    schema: pa.Schema
    is_file: bool
    codec: str | None
    metadata: Any


def write_arrow(table: ArrowTable, output: Path, edits: Edits) -> None:
    """Write an Arrow IPC file or stream with changes.

    Raises:
        DataError: the table cannot be read, or is not what it was when decisions were matched.
        LabelError: the label's column cannot hold one of the labels.
        OSError: the output cannot be written.
    """
    form = _form(table)
    editor = Editor(form.schema, edits, one_dictionary=form.is_file)
    options: dict[str, Any] = {"options": pa.ipc.IpcWriteOptions(compression=form.codec)}
    if form.metadata:
        options["metadata"] = form.metadata
    new_writer = pa.ipc.new_file if form.is_file else pa.ipc.new_stream
    with pa.OSFile(str(output), "wb") as sink, new_writer(sink, editor.schema, **options) as writer:
        for batch, metadata in _batches(table):
            writer.write_batch(editor.edit(batch), custom_metadata=metadata)
    editor.finish()


def arrow_batches(table: ArrowTable) -> Iterator[pa.RecordBatch]:
    """All columns of a table, batch by batch, by position."""
    for batch, _ in _batches(table):
        yield batch


def _form(table: ArrowTable) -> _Form:
    with reading(table.path, "Arrow IPC"), _opened(table) as file:
        is_file = _is_file(file)
        codec = _compression(file, is_file=is_file)
        reader = _reader(file)
        # the footer's metadata; older versions of pyarrow do not know it
        return _Form(reader.schema, is_file, codec, getattr(reader, "metadata", None) if is_file else None)


def _batches(table: ArrowTable) -> Iterator[tuple[pa.RecordBatch, Any]]:
    """The batches of a table, each with its own metadata."""
    with reading(table.path, "Arrow IPC"), _opened(table) as file:
        reader = _reader(file)
        if isinstance(reader, pa.ipc.RecordBatchFileReader):
            for index in range(reader.num_record_batches):
                yield reader.get_batch_with_custom_metadata(index)
        else:
            yield from reader.iter_batches_with_custom_metadata()


def _opened(table: ArrowTable) -> Any:
    return open_file(table.path) if is_url(table.path) else pa.memory_map(table.path)


def _is_file(file: Any) -> bool:
    file.seek(0)
    return bytes(file.read(len(FILE_MAGIC))) == FILE_MAGIC


def _reader(file: Any) -> Any:
    is_file = _is_file(file)
    file.seek(0)
    return pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)


def _compression(file: Any, *, is_file: bool) -> str | None:
    """The codec of the first batch, which pyarrow does not tell: from its message, a FlatBuffers table."""
    place = _first_block(file) if is_file else 0
    if place is None:
        return None
    file.seek(place)
    try:
        while (message := pa.ipc.read_message(file)).type != "record batch":
            pass
    except EOFError:  # a stream without batches
        return None
    return _codec(bytes(message.metadata))


def _first_block(file: Any) -> int | None:
    """Where the first batch of an IPC file begins, by the blocks of its footer (field 3), or None without batches."""
    file.seek(file.size() - len(FILE_MAGIC) - 4)
    length = int.from_bytes(file.read(4), "little")
    file.seek(file.size() - len(FILE_MAGIC) - 4 - length)
    footer = file.read(length)
    blocks = _field(footer, _follow(footer, 0), 3)
    if blocks is None:
        return None
    vector = _follow(footer, blocks)
    count = int.from_bytes(footer[vector : vector + 4], "little")
    return int.from_bytes(footer[vector + 4 : vector + 12], "little") if count else None


def _codec(message: bytes) -> str | None:
    """Codec of a batch's message: Message.header (field 2), RecordBatch.compression (3), BodyCompression.codec (0)."""
    batch = _field(message, _follow(message, 0), 2)
    compression = None if batch is None else _field(message, _follow(message, batch), 3)
    if compression is None:
        return None
    table = _follow(message, compression)
    codec = _field(message, table, 0)
    return CODECS[0 if codec is None else message[codec]]


def _follow(message: bytes, at: int) -> int:
    """Where the table begins that an offset points to."""
    return at + int.from_bytes(message[at : at + 4], "little")


def _field(message: bytes, table: int, number: int) -> int | None:
    """Where a table's field stands, or None where it is left out."""
    index = table - int.from_bytes(message[table : table + 4], "little", signed=True)
    slot = 4 + 2 * number
    if slot >= int.from_bytes(message[index : index + 2], "little"):
        return None
    offset = int.from_bytes(message[index + slot : index + slot + 2], "little")
    return table + offset if offset else None
