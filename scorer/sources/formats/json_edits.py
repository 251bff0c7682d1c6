"""JSON with labels changed: the bytes of a value are replaced, and no object is written anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from scorer.errors import UsageError
from scorer.sources.formats.json_lines import JsonTable
from scorer.sources.storage.edits import CORRECTED_COLUMN, ORIGINAL_COLUMN, Edits
from scorer.sources.storage.text_encoding import BYTE_ORDER_MARK
from scorer.sources.text.json_forms import SAID, cells_of
from scorer.sources.text.json_values import BLANKS, Member, Number, decode, members

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_ESCAPED = re.compile(rb"\\u[0-9a-fA-F]{4}")
# Bytes by which is decided whether a file writes other alphabets in escapes.
_LOOK_BYTES = 2**20


def edited_json(table: JsonTable, edits: Edits) -> Iterator[bytes]:
    """A JSON file's text as UTF-8, with the changes made.

    Raises:
        DataError: it cannot be read.
        UsageError: its form takes no such change.
    """
    with table.open() as file:
        head = bytes(file.read(_LOOK_BYTES))
    editor = _Editor(edits, ascii_only=head.isascii() and _ESCAPED.search(head) is not None)
    if table.form == "lines":
        return _edited_lines(table, edits, editor)
    if table.form in {"array", "objects"}:
        return _edited_elements(table, edits, editor)
    return _edited_document(table, edits, editor)


def _edited_lines(table: JsonTable, edits: Edits, editor: _Editor) -> Iterator[bytes]:
    row = 0
    with table.open() as file:
        for number, line in enumerate(_lines_with_ends(file)):
            mark = BYTE_ORDER_MARK if number == 0 and line.startswith(BYTE_ORDER_MARK) else b""
            content = line[len(mark) :]
            if not content.strip(BLANKS.encode()):  # no row
                yield line
                continue
            yield mark
            if row not in edits.dropped:
                yield editor.object(content, row)
            row += 1
    edits.check_rows(row)


def _lines_with_ends(file: object) -> Iterator[bytes]:
    rest = b""
    pieces: list[bytes] = []
    while block := file.read(2**20):  # type: ignore[attr-defined]
        first, *others = block.split(b"\n")
        pieces.append(first)
        if others:
            yield b"".join(pieces) + b"\n"
            pieces = [others.pop()]
            for line in others:
                yield line + b"\n"
    if rest := b"".join(pieces):
        yield rest


def _edited_elements(table: JsonTable, edits: Edits, editor: _Editor) -> Iterator[bytes]:
    """Objects with the bytes between them; one that leaves takes along what stands before it, or behind the first."""
    opening, kept = b"", 0
    for row, element in enumerate(table.elements()):
        if not element.content:  # the end
            edits.check_rows(row)
            yield element.gap if kept or not row else opening + element.gap.lstrip(b" \t\r\n")
            return
        opening = element.gap if row == 0 else opening
        if row not in edits.dropped:
            yield element.gap if kept else opening
            yield editor.object(element.content, row)
            kept += 1


def _edited_document(table: JsonTable, edits: Edits, editor: _Editor) -> Iterator[bytes]:
    if edits.dropped or edits.keep_original:
        option = "--drop" if edits.dropped else "--keep-original"
        raise UsageError(
            f"'{table.name}' is {SAID[table.form]}; {option} works on arrays of objects and JSON Lines. Write it with "
            "orient='records', or leave the option out."
        )
    content = table.document()
    cells = cells_of(content, table.form)
    edits.check_rows(len(cells.rows))
    spans = sorted(
        (*cells.rows[row][edits.column], label)
        for row, label in edits.labels.items()
        if edits.column in cells.rows[row]
    )
    done = 0
    for start, end, label in spans:
        yield content[done:start]
        yield editor.value(str(label), content[start:end])
        done = end
    yield content[done:]


class _Editor:
    """Changes to the bytes of objects.

    Args:
        edits: the changes.
        ascii_only: whether the file writes other alphabets in escapes.
    """

    def __init__(self, edits: Edits, *, ascii_only: bool) -> None:
        self._edits = edits
        self._ascii_only = ascii_only

    def object(self, content: bytes, row: int) -> bytes:
        """An object with its label changed, where people decided so."""
        decided = self._edits.labels.get(row)
        if decided is None and not self._edits.keep_original:
            return content
        found = members(content)
        label = next((member for member in reversed(found) if member.key == self._edits.column), None)
        original = content[label.start : label.end] if label else b"null"
        new = original if decided is None else self.value(str(decided), original)
        edited = content
        if self._edits.keep_original:
            corrected = b"null" if decided is None else new
            edited = _with_members(content, found, [(ORIGINAL_COLUMN, original), (CORRECTED_COLUMN, corrected)])
        if label is None or new == original:
            return edited
        return edited[: label.start] + new + edited[label.end :]

    def value(self, label: str, original: bytes) -> bytes:
        """A label in the JSON type that the value before it had; those bytes where they say it already."""
        before = decode(original)
        if before == label or (isinstance(before, bool) and label == ("true" if before else "false")):
            return original
        if isinstance(before, bool | Number) and (label in {"true", "false"} or _NUMBER.fullmatch(label)):
            return label.encode()
        return json.dumps(label, ensure_ascii=self._ascii_only).encode("utf-8", "surrogatepass")


def _with_members(content: bytes, found: list[Member], added: list[tuple[str, bytes]]) -> bytes:
    """An object with members added at its end, set apart as those before them are."""
    if not found:
        start = content.index(b"{") + 1
        inside = b", ".join(json.dumps(key).encode() + b": " + value for key, value in added)
        return content[:start] + inside + content[start:]
    last = found[-1]
    colon = content[content.rindex(b'"', last.key_start, last.start) + 1 : last.start]
    between = b"," if colon == b":" else b", "
    if len(found) > 1:
        between = content[found[-2].end : last.key_start]
    text = b"".join(between + json.dumps(key).encode() + colon + value for key, value in added)
    return content[: last.end] + text + content[last.end :]
