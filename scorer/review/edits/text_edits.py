"""Text files with labels changed: every byte that is not a changed label stays as it was."""

from __future__ import annotations

from collections.abc import Iterator

from scorer.errors import DataError
from scorer.review.edits.delimited_edits import edited_records
from scorer.review.edits.edits import Edits
from scorer.review.edits.json_edits import edited_json
from scorer.sources.formats.delimited import DelimitedTable
from scorer.sources.formats.json_lines import JsonTable
from scorer.sources.storage.storage import reading
from scorer.sources.storage.text_encoding import encoded, refuse_ambiguous
from scorer.sources.storage.text_stream import TextTable, open_bytes


def edited_text(table: TextTable, edits: Edits) -> Iterator[bytes]:
    """The bytes of a text file with the changes made, in its own encoding, not compressed.

    Raises:
        DataError: the file cannot be read, is not what it was when decisions were matched, or cannot say a label.
    """
    with reading(table.path, table.what), open_bytes(table.path) as file:
        refuse_ambiguous(file, table.encoding, table.name)
    if isinstance(table, DelimitedTable):
        pieces = edited_records(table, edits)
    elif isinstance(table, JsonTable):
        pieces = edited_json(table, edits)
    else:
        raise TypeError(f"{type(table).__name__} is no text format")
    try:
        yield from encoded(pieces, table.encoding)
    except UnicodeEncodeError as error:
        raise DataError(
            f"'{table.name}' is in {table.encoding}, which has no {error.object[error.start : error.end]!r} for a "
            "label that people gave. Convert the file to UTF-8 first."
        ) from error
