"""Delimited text and JSON Lines with labels changed: every byte that is not a changed label stays as it was."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from scorer.review.edits import CORRECTED_COLUMN, ORIGINAL_COLUMN, Edits, Value

BOM = "\ufeff"


def edited_records(lines: Iterable[str], delimiter: str, edits: Edits) -> Iterator[str]:
    """A delimited file's text, record by record, with the changes made.

    Args:
        lines: physical lines with their line ends, the header's first; a record may take several.
        delimiter: what stands between fields.
        edits: the changes.
    """
    records = _records(lines, delimiter)
    header = next(records)
    names = next(csv.reader(io.StringIO(header.removeprefix(BOM), newline=""), delimiter=delimiter))
    column = names.index(edits.column)
    yield _with_fields(header, delimiter, [ORIGINAL_COLUMN, CORRECTED_COLUMN] if edits.keep_original else [])
    row = 0
    for record in records:
        if not record.strip("\r\n"):  # a blank line is no row
            yield record
            continue
        if row not in edits.dropped:
            yield _edited_record(record, row, column, delimiter, edits)
        row += 1
    edits.check_rows(row)


def edited_lines(lines: Iterable[bytes], edits: Edits) -> Iterator[bytes]:
    """A JSON Lines file, line by line, with the changes made.

    Args:
        lines: lines with their line ends.
        edits: the changes.
    """
    row = 0
    for line in lines:
        if not line.strip():
            yield line
            continue
        if row not in edits.dropped:
            yield _edited_line(line, row, edits)
        row += 1
    edits.check_rows(row)


def _edited_record(record: str, row: int, column: int, delimiter: str, edits: Edits) -> str:
    decided = edits.labels.get(row)
    if decided is None and not edits.keep_original:
        return record
    fields = _raw_fields(record, delimiter)
    original = fields[column]
    if decided is not None and _plain(original) != str(decided):
        fields[column] = _like(original, str(decided), delimiter)
    edited = delimiter.join(fields) + _line_end(record)
    if not edits.keep_original:
        return edited
    return _with_fields(edited, delimiter, [_plain(original), "" if decided is None else str(decided)])


def _records(lines: Iterable[str], delimiter: str) -> Iterator[str]:
    """Records as they stand, line ends included: the standard reader says where each ends."""
    taken: list[str] = []

    def remembered() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    csv.field_size_limit(sys.maxsize)
    for _ in csv.reader(remembered(), delimiter=delimiter):
        yield "".join(taken)
        taken.clear()


def _raw_fields(record: str, delimiter: str) -> list[str]:
    """The fields of a record with their quotes."""
    fields, start, quoted = [], 0, False
    body = record[: len(record) - len(_line_end(record))]
    for position, character in enumerate(body):
        if character == '"' and body[start] == '"':  # a quote within a bare field is a letter like others
            quoted = not quoted
        elif character == delimiter and not quoted:
            fields.append(body[start:position])
            start = position + 1
    return [*fields, body[start:]]


def _line_end(record: str) -> str:
    return record[len(record.rstrip("\r\n")) :]


def _plain(field: str) -> str:
    """A field's value."""
    return field[1:-1].replace('""', '"') if len(field) > 1 and field[0] == field[-1] == '"' else field


def _like(original: str, value: str, delimiter: str) -> str:
    """A value written in quotes where the field before it was, or where it needs them."""
    needs_quotes = any(character in value for character in (delimiter, '"', "\r", "\n"))
    return '"' + value.replace('"', '""') + '"' if needs_quotes or original.startswith('"') else value


def _with_fields(record: str, delimiter: str, values: list[str]) -> str:
    end = _line_end(record)
    return record.removesuffix(end) + "".join(delimiter + _like("", value, delimiter) for value in values) + end


def _edited_line(line: bytes, row: int, edits: Edits) -> bytes:
    decided = edits.labels.get(row)
    if decided is None and not edits.keep_original:
        return line
    text = line.decode("utf-8-sig")
    document: dict[str, Any] = json.loads(text)
    original = document.get(edits.column)
    new = original if decided is None else _of_kind(original, decided)
    if new == original and not edits.keep_original:
        return line
    dumped = _style(text, document)
    document[edits.column] = new
    if edits.keep_original:
        document[ORIGINAL_COLUMN] = original
        document[CORRECTED_COLUMN] = None if decided is None else new
    ending = text[len(text.rstrip("\r\n")) :]
    return (json.dumps(document, **dumped) + ending).encode()


def _of_kind(original: object, value: Value) -> Value | bool:
    """A label in the JSON type that the line had."""
    if isinstance(original, bool):
        return bool(int(value))
    if isinstance(original, int) and str(value).lstrip("-").isdecimal():
        return int(value)
    return str(value) if isinstance(original, str) else value


def _style(line: str, document: dict[str, Any]) -> dict[str, Any]:
    """How the line was written: the options under which it comes out the same, or plain ones."""
    for ascii_only in (False, True):
        for separators in ((", ", ": "), (",", ":")):
            options = {"ensure_ascii": ascii_only, "separators": separators}
            if json.dumps(document, **options) == line.strip():  # type: ignore[arg-type]
                return options
    return {"ensure_ascii": False}
