"""JSON values as they stand: where the members of an object lie in its bytes, numbers by their digits, columns."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]  # of the standard library, without a type
from typing import Any, NamedTuple

import pyarrow as pa

from scorer.sources.columns.values import MIXED

BLANKS = " \t\r\n\x00"  # NUL pads files that a crash cut short
_SPACE = re.compile(f"[{BLANKS}]*")


class Number(str):
    """A number by its digits: 1.10 stays 1.10."""

    __slots__ = ()


class Member(NamedTuple):
    """A member of an object, as byte ranges of what holds it.

    Attributes:
        key: its key.
        key_start: where the key's quote opens.
        start: where the value begins.
        end: where the value ends.
    """

    key: str
    key_start: int
    start: int
    end: int


# Control characters within strings are let through: they do no harm, and some writers leave them in.
_DECODER = json.JSONDecoder(
    parse_int=Number,
    parse_float=Number,
    parse_constant=lambda name: None if name == "NaN" else Number(name),
    strict=False,
)
_SPANS = json.JSONDecoder(parse_int=str, parse_float=str, strict=False)


def decode(content: bytes) -> Any:
    """The value that bytes hold: numbers as `Number`, NaN as None, bytes that are no UTF-8 as lone surrogates.

    A comma behind it is passed over, as in lines cut from an array.

    Raises:
        json.JSONDecodeError, RecursionError: they hold no value, or more than one.
    """
    text = content.decode("utf-8", "surrogateescape")
    start = _SPACE.match(text).end()  # type: ignore[union-attr]  # it matches everywhere
    value, end = _DECODER.raw_decode(text, start)
    if text[end:].strip(BLANKS) not in {"", ","}:
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def value_end(text: str, start: int) -> int:
    """Where the value that begins here ends. Text is bytes read as Latin-1, so that a character is a byte.

    Raises:
        json.JSONDecodeError, RecursionError: it is no value, or cut short.
    """
    return int(_SPANS.raw_decode(text, start)[1])


def skip_space(text: str, start: int) -> int:
    """The first character from here on that is no white space."""
    return _SPACE.match(text, start).end()  # type: ignore[union-attr]  # it matches everywhere


def members(content: bytes, start: int = 0) -> list[Member]:
    """The members of the object that opens at `start`, in order; a key that comes twice is there twice.

    Raises:
        json.JSONDecodeError, RecursionError: it is no object.
    """
    text = content.decode("latin-1")
    found = []
    position = skip_space(text, _after(text, skip_space(text, start), "{"))
    while text[position : position + 1] != "}":
        key_start = position
        _, key_end = scanstring(text, _after(text, key_start, '"'), False)
        value_start = skip_space(text, _after(text, skip_space(text, key_end), ":"))
        end = value_end(text, value_start)
        found.append(Member(decode(content[key_start:key_end]), key_start, value_start, end))
        position = skip_space(text, end)
        if text[position : position + 1] != "}":
            position = skip_space(text, _after(text, position, ","))
    return found


def elements(content: bytes, start: int = 0) -> list[tuple[int, int]]:
    """Where the elements of the array that opens at `start` begin and end.

    Raises:
        json.JSONDecodeError, RecursionError: it is no array.
    """
    text = content.decode("latin-1")
    found = []
    position = skip_space(text, _after(text, skip_space(text, start), "["))
    while text[position : position + 1] != "]":
        end = value_end(text, position)
        found.append((position, end))
        position = skip_space(text, end)
        if text[position : position + 1] != "]":
            position = skip_space(text, _after(text, position, ","))
    return found


def plain_members(row: bytes | dict[str, bytes]) -> dict[str, tuple[Any, str | None]]:
    """The members of an object with their values as Python has them, and as text: strings as they are, else JSON.

    Args:
        row: an object's bytes, or the bytes of its values by key.
    """
    if isinstance(row, bytes):
        row = {member.key: row[member.start : member.end] for member in members(row)}
    found = {}
    for key, source in row.items():
        text = source.decode("utf-8", "replace")
        value = json.loads(text, strict=False)
        shown = value.encode("utf-8", "replace").decode() if isinstance(value, str) else text
        found[key] = (value, None if value is None else shown)
    return found


def kind_of(value: Any) -> str:
    """The JSON type of a value."""
    if isinstance(value, Number):
        return "number"
    return {str: "string", bool: "boolean", list: "array", dict: "object"}.get(type(value), "null")


def column_of(values: Sequence[Any], sources: Iterable[bytes | None]) -> pa.Array:
    """Values as an Arrow array: strings and booleans as such, all else as MIXED.

    Args:
        values: what `decode` gave, N of them.
        sources: the bytes that each value stands in; taken where an array or an object is among them.
    """
    kinds = {kind_of(value) for value in values} - {"null"}
    if kinds == {"boolean"}:
        return pa.array(values, pa.bool_())
    if kinds <= {"string"}:
        try:
            return pa.array(values, pa.large_string())
        except UnicodeEncodeError:
            pass  # half an emoji
    texts = []
    for value, source in zip(values, sources if kinds & {"array", "object"} else [None] * len(values), strict=True):
        if isinstance(value, bool):
            texts.append(b"true" if value else b"false")
        elif isinstance(value, str):
            texts.append(value.encode("utf-8", "surrogatepass"))
        else:
            texts.append(source or b"")
    names = pa.array([kind_of(value) for value in values], pa.string())
    absent = pa.array([value is None for value in values])
    columns = [names, pa.array(texts, pa.large_binary())]
    return pa.StructArray.from_arrays(columns, fields=list(MIXED), mask=absent)


def usual_type(values: Iterable[Any]) -> pa.DataType:
    """The Arrow type of most of the values: null where all are."""
    kinds = Counter(kind for value in values if (kind := _precise_kind(value)) != "null")
    if not kinds:
        return pa.null()
    return {
        "string": pa.string(),
        "boolean": pa.bool_(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "array": pa.list_(pa.null()),
        "object": pa.struct([]),
    }[kinds.most_common(1)[0][0]]


def _precise_kind(value: Any) -> str:
    kind = kind_of(value)
    return "integer" if kind == "number" and value.removeprefix("-").isdecimal() else kind


def _after(text: str, position: int, mark: str) -> int:
    if text[position : position + 1] != mark:
        raise json.JSONDecodeError(f"Expecting '{mark}'", text, position)
    return position + 1
