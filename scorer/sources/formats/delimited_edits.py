"""Delimited text with labels changed, record by record, as `records` cuts it."""

from __future__ import annotations

from collections.abc import Iterator

from scorer.errors import DataError
from scorer.sources.formats.delimited import DelimitedTable
from scorer.sources.storage.edits import CORRECTED_COLUMN, ORIGINAL_COLUMN, Edits
from scorer.sources.storage.text_stream import read_whole
from scorer.sources.text.records import Dialect, blank, field_for, fields_of, pieces, value_of


def edited_records(table: DelimitedTable, edits: Edits) -> Iterator[bytes]:
    """A delimited file's text as UTF-8, with the changes made.

    Raises:
        DataError: it cannot be read, or its dialect cannot say a label.
    """
    layout = table.layout
    with table.open() as file:
        above = read_whole(file, layout.header[0])
        header = read_whole(file, layout.header[1] - layout.header[0])
    edit = _Editor(table.name, layout.dialect, layout.names.index(edits.column), edits)
    yield above
    yield edit.with_fields(header, [ORIGINAL_COLUMN, CORRECTED_COLUMN]) if edits.keep_original else header
    row = 0
    for block in table.blocks():
        for record, is_blank in zip(pieces(block.text, block.ends), blank(block.text, block.ends), strict=True):
            if is_blank:  # no row
                yield record
                continue
            if row not in edits.dropped:
                yield edit.record(record, row)
            row += 1
    edits.check_rows(row)


class _Editor:
    def __init__(self, name: str, dialect: Dialect, column: int, edits: Edits) -> None:
        self._name, self._dialect, self._column, self._edits = name, dialect, column, edits

    def record(self, record: bytes, row: int) -> bytes:
        """A row with its label changed, where people decided so."""
        decided = self._edits.labels.get(row)
        if decided is None and not self._edits.keep_original:
            return record
        start, end = fields_of(record, self._dialect)[self._column]
        original = record[start:end]
        said = value_of(original, self._dialect).decode("utf-8", "surrogateescape")
        edited = record
        if decided is not None and said != str(decided):
            edited = record[:start] + self._field(str(decided), original) + record[end:]
        if not self._edits.keep_original:
            return edited
        return self.with_fields(edited, [said, "" if decided is None else str(decided)])

    def with_fields(self, record: bytes, values: list[str]) -> bytes:
        """A record with fields added."""
        end = fields_of(record, self._dialect)[-1][1]
        delimiter = self._dialect.delimiter.encode()
        return record[:end] + b"".join(delimiter + self._field(value, b"") for value in values) + record[end:]

    def _field(self, value: str, like: bytes) -> bytes:
        field = field_for(value, like, self._dialect)
        if field is None:
            raise DataError(
                f"'{self._name}' is written without quoting and cannot hold the label {value!r}, which has a delimiter "
                "or a line break. Give the label another name, or write the file with quotes."
            )
        return field
