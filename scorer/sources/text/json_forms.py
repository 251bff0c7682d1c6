"""What a JSON file is as a whole: lines, an array, objects one behind the other, or one object that holds a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from scorer.errors import DataError
from scorer.sources.columns.guesses import KNOWN_NAMES
from scorer.sources.storage.text_encoding import BYTE_ORDER_MARK
from scorer.sources.text.json_values import Member, decode, elements, members, skip_space, value_end

# Bytes of one object; one that never closes would otherwise take in the whole file.
LARGEST_BYTES = 2**30
_BLOCK = 2**20

Form = Literal["lines", "array", "objects", "columns", "index", "split", "data"]
SAID = {
    "array": "one JSON array",
    "objects": "JSON objects over several lines",
    "columns": "a JSON object of columns, as DataFrame.to_json() writes it",
    "index": "a JSON object of rows, as DataFrame.to_json(orient='index') writes it",
    "split": "a JSON object of columns, index and data, as DataFrame.to_json(orient='split') writes it",
    "data": "a JSON object whose key 'data' holds the rows",
}


class Element(NamedTuple):
    """An object of a file.

    Attributes:
        gap: bytes between the one before, or the file's beginning, and it.
        content: its own bytes.
        byte: where it begins.
        line: lines before it.
    """

    gap: bytes
    content: bytes
    byte: int
    line: int


class Cells(NamedTuple):
    """The values of a document that is one table, as byte ranges.

    Attributes:
        names: column names.
        rows: for each row, the range of each column's value, or None where it has none.
    """

    names: tuple[str, ...]
    rows: list[dict[str, tuple[int, int]]]


def find_form(file: Any) -> Form:
    """What a file is, by its first value and by whether anything follows it."""
    buffer = _Buffer(file)
    start = buffer.skip_space(len(BYTE_ORDER_MARK) if buffer.peek(0, 3) == BYTE_ORDER_MARK else 0)
    first = buffer.peek(start)
    if first == b"[" and buffer.peek(buffer.skip_space(start + 1)) in {b"{", b"]"}:
        return "array"
    if first != b"{" or buffer.line_is_damaged(start):
        return "lines"
    end = buffer.value_end(start)
    if end is None:
        return "lines"
    content = buffer.content(start, end)
    several = b"\n" in content
    if follows := buffer.peek(buffer.skip_space(end)):
        return "objects" if several and follows == b"{" else "lines"
    return _form_of_table(content) or ("objects" if several else "lines")


def _form_of_table(content: bytes) -> Form | None:
    """What a document of one object is, where it is no row."""
    found = members(content)
    opens = {content[member.start : member.start + 1] for member in found}
    keys = [member.key for member in found]
    if {"columns", "data"} <= set(keys) and opens == {b"["}:
        return "split"
    data = [member for member in found if member.key == "data" and content[member.start : member.start + 1] == b"["]
    if data and not set(keys) & KNOWN_NAMES:
        within = elements(content, data[0].start)
        return "data" if within and all(content[start : start + 1] == b"{" for start, _ in within) else None
    if opens != {b"{"}:
        return None
    inner = [[each.key for each in members(content, member.start)] for member in found]
    if set(keys) & KNOWN_NAMES:
        return "columns"
    if set.intersection(*map(set, inner)) & KNOWN_NAMES:
        return "index"
    if not inner[0] or any(set(names) != set(inner[0]) for names in inner):
        return None
    return "index" if keys[0].isdecimal() and not inner[0][0].isdecimal() else "columns"


def cells_of(content: bytes, form: Form) -> Cells:
    """Where the values of a document of one object lie.

    Raises:
        json.JSONDecodeError, RecursionError: it is damaged.
        DataError: rows and columns do not agree.
    """
    start = len(BYTE_ORDER_MARK) if content.startswith(BYTE_ORDER_MARK) else 0
    top = members(content, start)
    if form == "columns":
        columns = {member.key: _spans(members(content, member.start)) for member in top}
        rows = dict.fromkeys(row for values in columns.values() for row in values)
        return Cells(
            tuple(columns),
            [{name: values[row] for name, values in columns.items() if row in values} for row in rows],
        )
    if form == "index":
        rows_of = [_spans(members(content, member.start)) for member in top]
        return Cells(_names(rows_of), rows_of)
    inside = {member.key: member for member in top}
    found = elements(content, inside["data"].start)
    if form == "data":
        rows_of = [_spans(members(content, begin)) for begin, _ in found]
        return Cells(_names(rows_of), rows_of)
    names = tuple(str(name) for name in decode(content[inside["columns"].start : inside["columns"].end]))
    split = [elements(content, begin) for begin, _ in found]
    if any(len(row) != len(names) for row in split):
        raise DataError("a row of 'data' has not as many values as there are 'columns'")
    return Cells(names, [dict(zip(names, row, strict=True)) for row in split])


def stream_elements(file: Any, form: Form, *, byte: int = 0, line: int = 0) -> Iterator[Element]:
    """The objects of an array, or those that stand one behind the other; last comes an empty one with what is left.

    Args:
        file: the bytes, from the file's beginning or from where an object begins.
        form: "array" or "objects".
        byte: where the first byte is.
        line: lines before it.

    Raises:
        DataError: text that is no JSON, with its line.
    """
    buffer = _Buffer(file, byte)
    position = gap_start = byte
    if byte == 0 and buffer.peek(position, 3) == BYTE_ORDER_MARK:
        position = 3
    state = "before" if form == "array" and byte == 0 else "within"
    separated = True  # whether an object may stand here
    while True:
        position = buffer.skip_space(position)
        mark = buffer.peek(position)
        if mark == b"{" and state == "within" and separated:
            end = buffer.value_end(position)
            if end is None:
                raise DataError(buffer.damage(position, gap_start, line))
            gap, content = buffer.content(gap_start, position), buffer.content(position, end)
            line += gap.count(b"\n")
            yield Element(gap, content, position, line)
            line += content.count(b"\n")
            buffer.drop(end)
            position = gap_start = end
            separated = form == "objects"
            continue
        if not mark and (state == "behind" or form == "objects"):
            yield Element(buffer.content(gap_start, position), b"", position, line)
            return
        if mark == b"[" and state == "before":
            state = "within"
        elif mark == b"," and state == "within" and not separated:
            separated = True
        elif mark == b"]" and state == "within" and form == "array":
            state = "behind"
        else:
            raise DataError(buffer.damage(position, gap_start, line))
        position += 1


class _Buffer:
    """The bytes of a stream, as many as were needed so far; positions count from the file's beginning.

    Args:
        file: the stream.
        base: where it begins.
    """

    def __init__(self, file: Any, base: int = 0) -> None:
        self._file = file
        self._text = ""  # bytes read as Latin-1, so that a character is a byte
        self._base = base
        self._ended = False

    def peek(self, position: int, size: int = 1) -> bytes:
        """Bytes at a position, fewer where the stream ends."""
        while self._base + len(self._text) < position + size and self._more():
            pass
        return self.content(position, position + size)

    def content(self, start: int, end: int) -> bytes:
        """Bytes that were read."""
        return self._text[start - self._base : end - self._base].encode("latin-1")

    def drop(self, end: int) -> None:
        """Allow to forget what stands before."""
        if end - self._base > _BLOCK:
            self._text = self._text[end - self._base :]
            self._base = end

    def skip_space(self, position: int) -> int:
        """The first position from here on that holds no white space."""
        while (found := skip_space(self._text, position - self._base)) == len(self._text) and self._more():
            pass
        return self._base + found

    def value_end(self, start: int) -> int | None:
        """Where a value ends; None where it is no JSON or never ends."""
        while True:
            begin = start - self._base
            try:
                return self._base + value_end(self._text, begin)
            except (json.JSONDecodeError, RecursionError):
                if len(self._text) - begin > LARGEST_BYTES or not self._more(max(_BLOCK, len(self._text) - begin)):
                    return None

    def line_is_damaged(self, start: int) -> bool:
        """Whether the first line is no object, and the next one is one of its own: then these are lines."""
        while self._text.count("\n", start) < 2 and len(self._text) < 64 * _BLOCK and self._more():
            pass
        first, _, rest = self._text[start:].partition("\n")
        return not _is_object(first) and _is_object(rest.partition("\n")[0])

    def damage(self, position: int, counted: int, line: int) -> str:
        """What is wrong at a position; `line` lines stand before `counted`."""
        start = counted - self._base
        try:
            value_end(self._text, position - self._base)
        except json.JSONDecodeError as error:
            where = line + 1 + self._text.count("\n", start, error.pos)
            return f"line {where:,} is not JSON: {error.msg}"
        except RecursionError:
            pass
        where = line + 1 + self._text.count("\n", start, position - self._base)
        found = self._text[position - self._base :][:20]
        return f"line {where:,} holds {found!r} where an object is expected"

    def _more(self, size: int = _BLOCK) -> bool:
        if self._ended:
            return False
        read = self._file.read(size)
        self._ended = not read
        self._text += bytes(read).decode("latin-1")
        return bool(read)


def _is_object(line: str) -> bool:
    try:
        return isinstance(decode(line.encode("latin-1")), dict)
    except (ValueError, RecursionError):
        return False


def _spans(found: list[Member]) -> dict[str, tuple[int, int]]:
    return {member.key: (member.start, member.end) for member in found}


def _names(rows: list[dict[str, tuple[int, int]]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for row in rows for name in row))
