"""Parquet files with labels changed: the label's chunks of row groups with changes are written, all others copied.

Where rows leave or columns are added the file is written anew, row group by row group, with what Arrow knows of it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.errors import DataError
from scorer.sources.edits.batches import Editor
from scorer.sources.edits.label_column import LabelColumn
from scorer.sources.edits.parquet_chunks import CannotReplaceError, ParquetChunks
from scorer.sources.edits.thrift_compact import CompactError
from scorer.sources.formats.columnar import ParquetTable
from scorer.sources.storage.edits import Edits
from scorer.sources.storage.storage import open_file, reading


def write_parquet(table: ParquetTable, output: Path, edits: Edits) -> None:
    """Write a Parquet file with changes.

    Raises:
        DataError: the table cannot be read, is not what it was when decisions were matched, or holds what cannot be
            written anew without loss.
        LabelError: the label's column cannot hold one of the labels.
        OSError: the output cannot be written.
    """
    if edits.keep_original or edits.dropped or not _replace_chunks(table, output, edits):
        _write_anew(table, output, edits)


def parquet_batches(table: ParquetTable) -> Iterator[pa.RecordBatch]:
    """All columns of a table, batch by batch, by position."""
    for batches in _row_groups(table):
        yield from batches


def _row_groups(table: ParquetTable) -> Iterator[list[pa.RecordBatch]]:
    with reading(table.path, "Parquet"), open_file(table.path) as opened, pq.ParquetFile(opened) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group).to_batches()


def _replace_chunks(table: ParquetTable, output: Path, edits: Edits) -> bool:
    """Write the file with new label chunks where labels change, or nothing where its form does not allow it."""
    with reading(table.path, "Parquet"):
        opened = open_file(table.path)
    with opened:
        try:
            chunks, leaf, replaced = _new_chunks(opened, table.path, edits)
            with pa.OSFile(str(output), "wb") as sink:
                chunks.write_with(sink, leaf, replaced)
        except (CannotReplaceError, CompactError):
            return False
    return True


def _new_chunks(opened: Any, path: str, edits: Edits) -> tuple[ParquetChunks, int, dict[int, ParquetChunks]]:
    """The file's chunks, the label's leaf column, and a file with its new chunk for each row group with changes."""
    replaced = {}
    with reading(path, "Parquet"), pq.ParquetFile(opened, pre_buffer=False) as file:
        edits.check_rows(file.metadata.num_rows)
        schema = file.schema_arrow
        position = schema.names.index(edits.column)
        chunks = ParquetChunks(opened, path)
        leaf = chunks.leaf(position)
        labels = LabelColumn(schema.field(position))
        first = 0
        for group in range(file.num_row_groups):
            rows = range(first, first + file.metadata.row_group(group).num_rows)
            first = rows.stop
            decided = {row - rows.start: edits.labels[row] for row in rows if row in edits.labels}
            if not decided:
                continue
            old = _label_chunk(file, group, edits.column)
            new = labels.replaced(old, decided)
            if new is old:
                continue
            column = pa.Table.from_arrays([new], schema=pa.schema([schema.field(position)]))
            replaced[group] = _alone(column, file.metadata.row_group(group).column(leaf))
            if not chunks.is_like(position, replaced[group]):
                raise CannotReplaceError("a physical type that Arrow does not write")
    return chunks, leaf, replaced


def _label_chunk(file: Any, group: int, column: str) -> pa.Array:
    """The label column of a row group, in one array."""
    table = file.read_row_group(group, columns=[column])  # "label" also brings "label.raw"
    whole = table.column(table.schema.names.index(column)).combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _alone(column: pa.Table, old: Any) -> ParquetChunks:
    """A file of this column alone, written as the old chunk was."""
    sink = io.BytesIO()
    as_integer = old.physical_type in ("INT32", "INT64") and pa.types.is_decimal(column.schema.field(0).type)
    pq.write_table(
        column,
        sink,
        row_group_size=len(column),
        compression=_codec(old),
        use_dictionary=bool(old.has_dictionary_page),
        write_statistics=bool(old.is_stats_set),
        **({"store_decimal_as_integer": True} if as_integer else {}),
    )
    return ParquetChunks(pa.BufferReader(sink.getvalue()), "the new labels")


def _write_anew(table: ParquetTable, output: Path, edits: Edits) -> None:
    """Row group by row group, so that readers find them as they were."""
    with reading(table.path, "Parquet"), open_file(table.path) as opened, pq.ParquetFile(opened) as file:
        editor, options = Editor(file.schema_arrow, edits), _options(file)
    with pa.OSFile(str(output), "wb") as sink, pq.ParquetWriter(sink, editor.schema, **options) as writer:
        for batches in _row_groups(table):
            edited = pa.Table.from_batches(map(editor.edit, batches), editor.schema)
            if len(edited):
                writer.write_table(edited, row_group_size=len(edited))
    editor.finish()


def _options(file: Any) -> dict[str, Any]:
    """How the file is written, as far as its metadata tells and a writer can be told.

    Raises:
        DataError: it holds what cannot be written anew without loss.
    """
    metadata = file.metadata
    columns = (
        [metadata.row_group(0).column(leaf) for leaf in range(metadata.num_columns)] if metadata.num_row_groups else []
    )
    for column in columns:
        if column.physical_type == "INT96":
            raise DataError(
                f"column '{column.path_in_schema}' holds times as INT96, which cannot be written anew without loss. "
                "Leave out --drop and --keep-original, or write the data with another type of time."
            )
    return {
        "compression": {column.path_in_schema: _codec(column) for column in columns},
        "use_dictionary": [column.path_in_schema for column in columns if column.has_dictionary_page],
        "write_page_index": any(column.has_offset_index for column in columns),
        "use_compliant_nested_type": not any(".list.item" in column.path_in_schema for column in columns),
    }


def _codec(column: Any) -> str:
    codec = str(column.compression).lower()
    return "none" if codec == "uncompressed" else codec
