"""Delimited text cut into records and fields: bytes in, byte ranges out. Reading and rewriting both cut here.

A record is a row of fields or a blank line. Nothing is guessed here: what does not follow the dialect is a `Fault`.
"""

from __future__ import annotations

import dataclasses
import re
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FaultKind = Literal["unclosed", "quote", "carriage return", "line feed"]

LF, CR, QUOTE = b'\n\r"'


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """What does not follow the dialect.

    Attributes:
        at: where in the text.
        kind: a quote that never closes, one that closes before the field ends, or a line break of another kind in a
            bare field.
    """

    at: int
    kind: FaultKind


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How fields stand in a line.

    Attributes:
        delimiter: the character between fields.
        quoting: a quote in a quoted field is doubled, or stands behind a backslash (as line breaks and delimiters may
            in bare fields); or quotes are text like any other ("none").
        padded: whether blanks around a field belong to none, so that a quote behind them opens a field.
        carriage_returns: whether lone carriage returns end records, as in files of old Macs.
    """

    delimiter: str
    quoting: Literal["double", "backslash", "none"] = "double"
    padded: bool = False
    carriage_returns: bool = False

    @property
    def plain(self) -> bool:
        """Whether pyarrow reads it too."""
        return len(self.delimiter.encode()) == 1 and self.quoting != "backslash" and not self.padded

    @cached_property
    def _quoted(self) -> bytes:
        inner = rb'(?:\\.|"")[^"\\]*+' if self.quoting == "backslash" else rb'""[^"]*+'
        plain = rb'[^"\\]*+' if self.quoting == "backslash" else rb'[^"]*+'
        return rb'"' + plain + rb"(?:" + inner + rb")*+"

    @cached_property
    def _field(self) -> bytes:
        """Matches one field, quotes included."""
        delimiter = re.escape(self.delimiter.encode())
        byte = rb"[^\r\n\\]" if self.quoting == "backslash" else rb"[^\r\n]"
        letters = rb"(?:(?!" + delimiter + rb")" + byte + rb")*+"
        if len(self.delimiter.encode()) == 1:
            letters = byte.replace(b"[^", b"[^" + delimiter) + b"*+"
        if self.quoting == "none":
            return letters
        if self.quoting == "backslash":
            letters += rb"(?:\\(?:\r\n|.|\Z)" + letters + rb")*+"
        blanks = b" *+" if self.padded else b""
        closing = rb'"' + blanks + rb"(?=" + delimiter + rb"|\r|\n|\Z)"
        return rb"(?:" + blanks + rb"(?:" + self._quoted + closing + rb'|(?!")' + letters + rb"))"

    @cached_property
    def _end(self) -> bytes:
        return rb"(?:\r|\Z)" if self.carriage_returns else rb"\r*(?:\n|\Z)"

    @cached_property
    def record(self) -> re.Pattern[bytes]:
        """Matches one record with its line end, or the last one without."""
        delimiter = re.escape(self.delimiter.encode())
        return re.compile(self._field + rb"(?:" + delimiter + self._field + rb")*+" + self._end, re.DOTALL)

    @cached_property
    def field(self) -> re.Pattern[bytes]:
        """Matches one field (group 1) with what ends it: the delimiter (group 2) or nothing."""
        delimiter = re.escape(self.delimiter.encode())
        return re.compile(rb"(" + self._field + rb")(" + delimiter + rb")?", re.DOTALL)

    @cached_property
    def open_quote(self) -> re.Pattern[bytes]:
        """Matches a field that opens with a quote, up to where that closes or the text ends."""
        return re.compile((b" *+" if self.padded else b"") + self._quoted, re.DOTALL)


def cut(text: bytes, dialect: Dialect, *, last: bool) -> tuple[IntArray, Fault | None]:
    """Where records end.

    Args:
        text: begins with a record.
        dialect: how it is written.
        last: whether nothing follows; else a record that may go on is left out.

    Returns:
        Ends of records, blank lines among them, int64 [R]; and what stops the reading there, if anything does.
    """
    ends = _clean_ends(text, dialect)
    if ends is None:
        return _ends_one_by_one(text, dialect, last=last)
    end = int(ends[-1]) if len(ends) else 0
    if not last or end == len(text):
        return ends, None
    rest, fault = _ends_one_by_one(text[end:], dialect, last=True)
    return np.concatenate([ends, rest + end]), None if fault is None else Fault(fault.at + end, fault.kind)


def blank(text: bytes, ends: IntArray) -> npt.NDArray[np.bool_]:
    """Which records are blank lines, bool [R]: these are no rows."""
    first = np.frombuffer(text, np.uint8)[starts_of(ends)] if len(ends) else np.empty(0, np.uint8)
    return np.isin(first, (LF, CR))


def starts_of(ends: IntArray) -> IntArray:
    """Where records begin, int64 [R], by where they end."""
    return np.concatenate([np.zeros(min(len(ends), 1), np.int64), ends[:-1]])


def pieces(text: bytes, ends: IntArray) -> list[bytes]:
    """The records themselves."""
    return [text[start:end] for start, end in zip(starts_of(ends).tolist(), ends.tolist(), strict=True)]


def fields_of(record: bytes, dialect: Dialect) -> list[tuple[int, int]]:
    """Where the fields of a record begin and end, quotes included and the line end not."""
    spans = []
    position = 0
    while True:
        match = dialect.field.match(record, position)
        if match is None:
            raise ValueError(f"no record of this dialect: {record[:80]!r}")
        spans.append(match.span(1))
        if match[2] is None:
            return spans
        position = match.end()


def unquoted_fields(line: bytes, delimiter: bytes) -> list[bytes]:
    """What the fields of a line would be if quotes were text: for looks at how a file may be meant."""
    return line.rstrip(b"\r\n").split(delimiter)


def value_of(field: bytes, dialect: Dialect) -> bytes:
    """What a field says, without its quotes."""
    if dialect.quoting == "none":
        return field
    bare = field.strip(b" ") if dialect.padded else field
    quoted = bare.startswith(b'"')
    if quoted:
        bare = bare[1:-1].replace(b'""', b'"')
    if dialect.quoting == "backslash" and b"\\" in bare:
        special = re.escape(dialect.delimiter.encode())
        # what is escaped for no reason, as in C:\\new or \\n, is left alone
        bare = re.sub(rb'\\(\r\n|["\\\r\n]|' + special + rb")", rb"\1", bare)
    return bare


def field_for(value: str, like: bytes, dialect: Dialect) -> bytes | None:
    """A value written as a field: in quotes where the one before it was, or where it needs them.

    Args:
        value: what the field is to say.
        like: the field before it, whose blanks and quotes are kept.
        dialect: how to write it.

    Returns:
        The field; None where the dialect cannot say it.
    """
    text = value.encode("utf-8", "surrogatepass")
    special = any(mark in text for mark in (dialect.delimiter.encode(), b"\r", b"\n"))
    if dialect.quoting == "none":
        return None if special else text
    blanks = len(like) - len(like.lstrip(b" ")) if dialect.padded else 0
    trailing = len(like) - len(like.rstrip(b" ")) if dialect.padded else 0
    needs = special or b'"' in text or (dialect.padded and text != text.strip(b" "))
    if dialect.quoting == "backslash":
        text = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    else:
        text = text.replace(b'"', b'""')
    if needs or like.strip(b" " if dialect.padded else b"").startswith(b'"'):
        text = b'"' + text + b'"'
    return like[:blanks] + text + like[len(like) - trailing :] if like.strip(b" ") or not dialect.padded else text


def _clean_ends(text: bytes, dialect: Dialect) -> IntArray | None:
    """Ends of records where every quote opens or closes a field, which counting them shows; None elsewhere."""
    if dialect.quoting == "backslash" or dialect.padded:
        return None
    array = np.frombuffer(text, np.uint8)
    mark = CR if dialect.carriage_returns else LF
    ends = np.flatnonzero(array == mark) + 1
    quotes = np.empty(0, np.int64)
    if dialect.quoting == "double" and QUOTE in text:
        quotes = np.flatnonzero(array == QUOTE)
        if len(dialect.delimiter.encode()) > 1 or not _all_at_edges(array, quotes, ord(dialect.delimiter)):
            return None
    others = np.flatnonzero(array == LF) if dialect.carriage_returns else _lone_carriage_returns(text, array, ends)
    if len(others) and not (np.searchsorted(quotes, others) % 2).all():
        return None  # a line break of another kind
    return ends if not len(quotes) else ends[np.searchsorted(quotes, ends - 1) % 2 == 0]


def _all_at_edges(array: npt.NDArray[np.uint8], quotes: IntArray, delimiter: int) -> bool:
    """Whether quotes open behind a field's beginning and close before its end, or are doubled."""
    edge = np.zeros(256, dtype=bool)
    edge[[LF, CR, delimiter]] = True
    adjacent = np.diff(quotes) == 1  # to the next one
    opening, closing = quotes[0::2], quotes[1::2]
    opens = edge[array[opening - 1]]
    opens[0] |= opening[0] == 0
    opens[1:] |= adjacent[1::2][: len(opens) - 1]
    after = np.minimum(closing + 1, len(array) - 1)
    closes = edge[array[after]] | (closing == len(array) - 1)
    closes[: len(adjacent[1::2])] |= adjacent[1::2][: len(closes)]
    return bool(opens.all() and closes.all())


def _lone_carriage_returns(text: bytes, array: npt.NDArray[np.uint8], ends: IntArray) -> IntArray:
    """Carriage returns that neither end a line nor stand before another one; the last byte may be half a line end."""
    if CR not in text or np.count_nonzero(array == CR) == np.count_nonzero(array[ends[ends > 1] - 2] == CR):
        return np.empty(0, np.int64)
    returns = np.flatnonzero(array[:-1] == CR)
    following = array[returns + 1]
    return returns[~np.isin(following, (LF, CR))]


def _ends_one_by_one(text: bytes, dialect: Dialect, *, last: bool) -> tuple[IntArray, Fault | None]:
    ends: list[int] = []
    position = 0
    mark = b"\r" if dialect.carriage_returns else b"\n"
    while position < len(text):
        match = dialect.record.match(text, position)
        if match is None:
            return np.array(ends, np.int64), _fault(text, position, dialect, last=last)
        if match.end() == len(text) and not last and not (match[0].endswith(mark) and not _escaped(text, dialect)):
            break
        position = match.end()
        ends.append(position)
    return np.array(ends, np.int64), None


def _escaped(text: bytes, dialect: Dialect) -> bool:
    """Whether the text's last line break is one of a field: behind a backslash that is none's own."""
    if dialect.quoting != "backslash":
        return False
    before = text.rstrip(b"\r\n")
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1


def _fault(text: bytes, position: int, dialect: Dialect, *, last: bool) -> Fault | None:
    """What is wrong with the record that begins here; None where more text may put it right."""
    while match := dialect.field.match(text, position):
        if match[2] is None:
            at = match.end()
            while text[at : at + 1] == b"\r" and text[at + 1 : at + 2] == b"\r":
                at += 1
            if at + 1 >= len(text) and not last:
                return None
            return Fault(at, "carriage return" if text[at] == CR else "line feed")
        position = match.end()
    quoted = dialect.open_quote.match(text, position)
    if quoted is None or quoted.end() == len(text):  # a field that matches nothing opens with a quote
        return Fault(position, "unclosed") if last else None
    if not last and len(text[quoted.end() + 1 :].lstrip(b" ")) < len(dialect.delimiter.encode()):
        return None
    return Fault(position, "quote")
