"""A table with its labels changed, written in the form in which it came."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from scorer.errors import UsageError
from scorer.review.edits.arrow_edits import write_arrow
from scorer.review.edits.edits import Edits
from scorer.review.edits.parquet_edits import write_parquet
from scorer.review.edits.text_edits import edited_text
from scorer.sources.formats.columnar import ArrowTable, ParquetTable
from scorer.sources.storage.table import Table
from scorer.sources.storage.text_stream import COMPRESSIONS, TextTable
from scorer.system.files import replacing, writing


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
    with writing(output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
    with writing(output), replacing(output) as temporary:
        if isinstance(table, ParquetTable):
            write_parquet(table, temporary, edits)
        elif isinstance(table, ArrowTable):
            write_arrow(table, temporary, edits)
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


def _text_compression(name: str) -> str | None:
    return COMPRESSIONS.get(Path(name).suffix.lower())
