"""JSON files: an object per line, an array of objects, or a table in one object. Values keep their types and digits."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa

from scorer.errors import DataError
from scorer.sources.storage.edits import Edits
from scorer.sources.storage.storage import EmptyFileError
from scorer.sources.storage.table import READ_BYTES, READ_ROWS, Place
from scorer.sources.storage.text_encoding import BYTE_ORDER_MARK
from scorer.sources.storage.text_stream import TextTable, lines_of
from scorer.sources.text.json_forms import SAID, Element, Form, cells_of, find_form, stream_elements
from scorer.sources.text.json_values import BLANKS, column_of, decode, members, plain_members, usual_type

# Objects that tell which keys there are.
SCHEMA_ROWS = 1_000
_BLANK = BLANKS.encode()
_START = Place(0, 0, 0)


class _Row(NamedTuple):
    """An object as it stands: its line from 1, the byte where it begins, its bytes, and what they hold if known."""

    number: int
    byte: int
    content: bytes
    values: dict[str, Any] | None = None
    sources: dict[str, bytes] | None = None


class JsonTable(TextTable):
    """A file of JSON objects, each of which is a row."""

    what = "JSON"

    @cached_property
    def form(self) -> Form:
        """What the file is as a whole, by a look at its beginning."""
        with self.open() as file:
            form = find_form(file)
        self.say(f"'{self.name}' is read as {SAID[form]}." if form != "lines" else None)
        return form

    def all_columns(self, label: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Every column with a type: the label's as text, and as JSON what has no other type."""
        from scorer.sources.formats.json_columns import typed_columns

        return typed_columns(self, label)

    def edited(self, edits: Edits) -> Iterator[bytes]:
        """The text as UTF-8, with labels changed."""
        from scorer.sources.formats.json_edits import edited_json

        return edited_json(self, edits)

    def schema(self) -> pa.Schema:
        """Keys of the first thousand objects, in order of appearance, with the type that most of the values have."""
        values: dict[str, list[Any]] = {}
        for row in itertools.islice(self._rows(_START), SCHEMA_ROWS):
            for key, value in self._object(row).items():
                if key == key.encode("utf-8", "replace").decode():  # a key with a lone surrogate names no column
                    values.setdefault(key, []).append(value)
        if not values:
            raise EmptyFileError(f"'{self.name}' is empty: it holds no JSON object.")
        return pa.schema([pa.field(key, usual_type(found)) for key, found in values.items()])

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[pa.RecordBatch]:
        """Record batches from row `start` on; a key that an object lacks is null."""
        place = self.places.before(start) or _START
        rows = self._rows(place)
        for _ in itertools.islice(rows, start - place.row):
            pass
        while piece := _piece(rows):
            self.places.add(Place(start, piece[0].byte, piece[0].number - 1))
            start += len(piece)
            objects = [self._object(row) for row in piece]
            arrays = [
                column_of([values.get(column) for values in objects], (_source(row, column) for row in piece))
                for column in columns
            ]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))

    def documents(self) -> Iterator[dict[str, Any]]:
        """All rows as they are, with values of every type."""
        for row in self._rows(_START):
            found = plain_members(row.content if row.sources is None else row.sources)
            yield {key: value for key, (value, _) in found.items()}

    def elements(self, place: Place = _START) -> Iterator[Element]:
        """The objects of a file that is an array or objects one behind the other; see `stream_elements`."""
        with self.open(place.byte) as file:
            try:
                yield from stream_elements(file, self.form, byte=place.byte, line=place.line)
            except DataError as error:
                raise DataError(f"cannot read '{self.name}': {error}. It may be damaged or cut short.") from error

    def document(self) -> bytes:
        """The whole file, where it is one object."""
        with self.open() as file:
            return b"".join(iter(lambda: bytes(file.read(2**24)), b""))

    def _rows(self, place: Place) -> Iterator[_Row]:
        match self.form:
            case "lines":
                yield from self._lines(place)
            case "array" | "objects":
                for element in self.elements(place):
                    if element.content:
                        yield _Row(element.line + 1, element.byte, element.content)
            case form:
                yield from self._cells(form, place.row)

    def _lines(self, place: Place) -> Iterator[_Row]:
        """Lines that hold something."""
        byte = place.byte
        with self.open(byte) as file:
            for number, content in enumerate(lines_of(file), start=place.line + 1):
                text = content.removeprefix(BYTE_ORDER_MARK) if number == 1 else content
                if text.strip(_BLANK):
                    yield _Row(number, byte, text)
                byte += len(content) + 1

    def _cells(self, form: Form, start: int) -> Iterator[_Row]:
        """Rows of a document of one object; places are rows alone, as nothing can be entered."""
        content = self.document()
        try:
            cells = cells_of(content, form)
        except (ValueError, RecursionError) as error:
            raise DataError(f"cannot read '{self.name}' as {SAID[form]}: {error}.") from error
        except DataError as error:
            raise DataError(f"cannot read '{self.name}' as {SAID[form]}: {error}.") from error
        for row in itertools.islice(cells.rows, start, None):
            sources = {name: content[begin:end] for name, (begin, end) in row.items()}
            size = b"".join(sources.values())  # its length is the row's
            yield _Row(1, 0, size, {name: decode(source) for name, source in sources.items()}, sources)

    def _object(self, row: _Row) -> dict[str, Any]:
        if row.values is not None:
            return row.values
        where = f"line {row.number:,} of '{self.name}'"
        try:
            document = decode(row.content)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{where} is not JSON: {error.msg}, at character {error.pos + 1:,}. JSON Lines hold one object per "
                "line."
            ) from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} cannot be read as JSON: {error}.") from error
        if not isinstance(document, dict):
            raise DataError(
                f"{where} is not a JSON object but {_json_type(document)}; JSON Lines hold one object per line."
            )
        return document


def _piece(rows: Iterator[_Row]) -> list[_Row]:
    """The next rows, as many as make a record batch."""
    piece, size = [], 0
    for row in rows:
        piece.append(row)
        size += len(row.content)
        if len(piece) == READ_ROWS or size >= READ_BYTES:
            break
    return piece


def _source(row: _Row, column: str) -> bytes | None:
    """The bytes of a row's value."""
    if row.sources is not None:
        return row.sources.get(column)
    found = [member for member in members(row.content) if member.key == column]
    return row.content[found[-1].start : found[-1].end] if found else None


def _json_type(value: Any) -> str:
    kinds = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
