"""A table with its labels changed, written in the form in which it came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.errors import UsageError
from scorer.files import replacing, writing
from scorer.review.edits import Edits, edited_batches, edited_schema
from scorer.review.text_edits import edited_text
from scorer.sources.columnar import ArrowTable, ParquetTable
from scorer.sources.storage import reading
from scorer.sources.table import Table
from scorer.sources.text_stream import COMPRESSIONS, TextTable

ARROW_FILE = b"ARROW1"  # how an Arrow IPC file begins; a stream does not


def rewrite(table: Table, output: Path, edits: Edits) -> None:
    """Write a table with changes: same format, compression, column types and metadata, whole or not at all.

    Args:
        table: where the rows come from.
        output: the file to write; one that is there is replaced.
        edits: the changes.

    Raises:
        DataError: the table cannot be read, or is not what it was when decisions were matched.
        OutputError: the file cannot be written.
    """
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with writing(output), replacing(output) as temporary:
        if isinstance(table, ParquetTable):
            _write_parquet(table, temporary, edits)
        elif isinstance(table, ArrowTable):
            _write_arrow(table, temporary, edits)
        elif isinstance(table, TextTable):
            with pa.output_stream(str(temporary), compression=_text_compression(table.name)) as file:
                for piece in edited_text(table, edits):
                    file.write(piece)


def endings(name: str) -> str:
    """The suffix of a file's name, with the one before it where the last only says how it is compressed."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    return "".join(suffixes[-2:] if suffixes and suffixes[-1] in COMPRESSIONS else suffixes[-1:])


def refuse_another_format(table: Table, output: Path) -> None:
    """Refuse an output whose name says another format than the table has.

    Raises:
        UsageError: with the ending that fits.
    """
    if endings(str(output)) != endings(table.name):
        raise UsageError(
            f"the data is '{table.name}', and the output '{output}' would be another format. Give a name that ends in "
            f"{endings(table.name)}, or --as-datasets for a folder that `datasets` loads."
        )


def _write_parquet(table: ParquetTable, output: Path, edits: Edits) -> None:
    """Row group by row group, so that readers find them as they were."""
    with reading(table.name, "Parquet"), pq.ParquetFile(table.name, pre_buffer=False) as file:
        schema = edited_schema(file.schema_arrow, edits)
        groups = (file.read_row_group(group) for group in range(file.num_row_groups))
        batches = (batch for group in groups for batch in group.combine_chunks().to_batches())
        with pq.ParquetWriter(output, schema, compression=_compression(file)) as writer:
            for edited in edited_batches(batches, schema, edits):
                writer.write_batch(edited, row_group_size=max(edited.num_rows, 1))


def _compression(file: Any) -> str:
    if not file.num_row_groups or not file.metadata.num_columns:
        return "snappy"
    codec = str(file.metadata.row_group(0).column(0).compression).lower()
    return "none" if codec == "uncompressed" else codec


def _write_arrow(table: ArrowTable, output: Path, edits: Edits) -> None:
    schema = table.schema()
    edited = edited_schema(schema, edits)
    with Path(table.name).open("rb") as file:
        is_file = file.read(len(ARROW_FILE)) == ARROW_FILE
    open_writer = pa.ipc.new_file if is_file else pa.ipc.new_stream
    with open_writer(str(output), edited) as writer:
        for batch in edited_batches(table.batches(schema.names), edited, edits):
            writer.write_batch(batch)


def _text_compression(name: str) -> str | None:
    return COMPRESSIONS.get(Path(name).suffix.lower())
