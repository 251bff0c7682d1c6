"""File formats by the end of a file's name: which reader opens it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from scorer.errors import DataError
from scorer.sources.formats import file_kinds
from scorer.sources.formats.columnar import ArrowTable, ParquetTable
from scorer.sources.formats.delimited import DelimitedTable
from scorer.sources.formats.json_lines import JsonTable
from scorer.sources.storage.storage import FileTable
from scorer.sources.storage.table import Table
from scorer.sources.storage.text_stream import COMPRESSIONS
from scorer.system.urls import is_url, without_secrets

FORMATS: dict[str, Callable[[str], Table]] = {
    ".parquet": ParquetTable,
    ".pq": ParquetTable,
    ".arrow": ArrowTable,
    ".feather": ArrowTable,
    ".ipc": ArrowTable,
    ".csv": lambda path: DelimitedTable(path, ","),
    ".tsv": lambda path: DelimitedTable(path, "\t"),
    ".jsonl": JsonTable,
    ".ndjson": JsonTable,
    ".json": JsonTable,
}


def format_of(name: str) -> Callable[[str], Table] | None:
    """What reads a file of this name, or None."""
    root, suffix = os.path.splitext(without_secrets(name).lower())  # noqa: PTH122 — asked of many names
    if suffix in COMPRESSIONS:
        suffix = os.path.splitext(root)[1]  # noqa: PTH122
        if FORMATS.get(suffix) in (ParquetTable, ArrowTable):
            return None  # these compress inside the file
    return FORMATS.get(suffix)


def open_table(name: str) -> Table:
    """The table of a file; nothing is read yet.

    Raises:
        DataError: its name does not tell the format, or is not valid UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(name).decode("utf-8", "replace")
        raise DataError(f"the name of the file '{shown}' is not valid UTF-8. Rename the file.") from error
    reader = format_of(name)
    if reader is None:
        content = "" if is_url(name) else file_kinds.described(name)
        raise DataError(
            f"cannot tell the format of '{without_secrets(name)}' from its name.{content} Known are "
            f"{', '.join(FORMATS)}, the text formats also with {', '.join(COMPRESSIONS)}."
        )
    return reader(name)


def refuse_misnamed(table: Table) -> None:
    """Check that a local file is what its name says, as far as its first bytes tell.

    Raises:
        DataError: it is something else, or cannot be opened.
    """
    if not isinstance(table, FileTable) or is_url(table.path):
        return
    suffix = Path(table.path).suffix.lower()
    kinds = {ParquetTable: file_kinds.PARQUET, ArrowTable: file_kinds.ARROW}
    expected = kinds.get(type(table), file_kinds.TEXT)
    file_kinds.refuse_another_kind(table.path, expected, suffix if suffix in COMPRESSIONS else None)
