"""JSON Lines, as UTF-8, plain or compressed: one object per line. Values keep their types."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from scorer.errors import DataError
from scorer.sources.storage import FileTable, reading
from scorer.sources.table import READ_BYTES, READ_ROWS, Place, Places
from scorer.sources.text_stream import lines_of, open_bytes, utf8_message

# Objects that tell which keys there are.
SCHEMA_ROWS = 1_000


class _Line(NamedTuple):
    """A line that holds something: its number from 1, the byte where it begins, and its bytes."""

    number: int
    byte: int
    content: bytes


class JsonLinesTable(FileTable):
    """A file with one JSON object per line."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.places: Places = Places()

    def schema(self) -> pa.Schema:
        """Keys of the first thousand objects, in order of appearance, with types as far as they show."""
        names: dict[str, pa.DataType] = {}
        for line in itertools.islice(self._lines(Place(0, 0, 0)), SCHEMA_ROWS):
            for key, value in self._object(line).items():
                if names.get(key, pa.null()) == pa.null():
                    names[key] = _type_of(value)
        if not names:
            raise DataError(f"'{self.name}' is empty: it holds no JSON object.")
        try:
            return pa.schema(list(names.items()))
        except UnicodeEncodeError as error:
            raise DataError(f"'{self.name}' holds a key that is not valid Unicode: {error.object!r}.") from error

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[pa.RecordBatch]:
        """Record batches from row `start` on; a key that an object lacks is null."""
        place = self.places.before(start) or Place(0, 0, 0)
        lines = self._lines(place)
        for _ in itertools.islice(lines, start - place.row):
            pass
        while piece := _piece(lines):
            self.places.add(Place(start, piece[0].byte, piece[0].number - 1))
            start += len(piece)
            objects = [(line.number, self._object(line)) for line in piece]
            arrays = [self._column(objects, column) for column in columns]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))

    def _lines(self, place: Place) -> Iterator[_Line]:
        """Lines that are not blank."""
        byte = place.byte
        with reading(self.path, "JSON Lines"), open_bytes(self.path, byte) as file:
            for number, content in enumerate(lines_of(file), start=place.line + 1):
                if content.strip():
                    yield _Line(number, byte, content)
                byte += len(content) + 1

    def _object(self, line: _Line) -> dict[str, Any]:
        where = f"line {line.number:,} of '{self.name}'"
        try:
            document = json.loads(line.content.decode("utf-8-sig" if line.number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(utf8_message(self.path, line.number, error)) from error
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

    def _column(self, piece: list[tuple[int, dict[str, Any]]], column: str) -> pa.Array:
        values = [document.get(column) for _, document in piece]
        kinds = {type(value) for value in values if value is not None}
        if kinds <= {str, int}:
            # Numbers beside strings, as in a label column of 3, "3" and "sports", become strings.
            try:
                if kinds == {int}:
                    return pa.array(values, pa.int64())
                return pa.array([value if value is None else str(value) for value in values], pa.large_string())
            except (OverflowError, pa.ArrowInvalid, UnicodeEncodeError):
                pass  # the row at fault is named below
        if kinds == {bool}:
            return pa.array(values, pa.bool_())
        for number, document in piece:
            value = document.get(column)
            if value is not None and not _is_readable(value):
                raise DataError(
                    f"line {number:,} of '{self.name}': '{column}' is {_json_type(value)} "
                    f"({_excerpt(value)}); a string of valid Unicode or an integer is expected."
                )
        raise DataError(
            f"column '{column}' of '{self.name}' mixes true/false with other values. Write it as integers or names."
        )


def _piece(lines: Iterator[_Line]) -> list[_Line]:
    """The next lines, as many as make a record batch."""
    piece, size = [], 0
    for line in lines:
        piece.append(line)
        size += len(line.content)
        if len(piece) == READ_ROWS or size >= READ_BYTES:
            break
    return piece


def _type_of(value: Any) -> pa.DataType:
    kinds = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64(), type(None): pa.null()}
    if isinstance(value, list):
        return pa.list_(pa.null())
    return kinds.get(type(value), pa.struct([]))


def _is_readable(value: Any) -> bool:
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    return isinstance(value, int) and (isinstance(value, bool) or -(2**63) <= value < 2**63)


def _json_type(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", float: "a float", bool: "true or false"}
    kinds[int] = "an integer beyond 64 bits" if isinstance(value, int) and abs(value) >= 2**63 else "an integer"
    return kinds.get(type(value), "null")


def _excerpt(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:40] + "…"
