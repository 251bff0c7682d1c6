"""How a delimited file is written, by a look at its beginning: delimiter, quoting, line ends, header.

A file that is what its name says, by the standard's rules, is read so and nothing is said. Any other reading must fit
every row of the look, and be the only one; else the standard reading stands, and stops at the first row that breaks it.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scorer.config import NAMED_DELIMITERS
from scorer.sources.storage.storage import EmptyFileError
from scorer.sources.storage.text_encoding import BYTE_ORDER_MARK
from scorer.sources.storage.text_stream import TextOptions
from scorer.sources.text.records import Dialect, cut, fields_of, pieces, unquoted_fields, value_of

# Tried, most usual first, where the file's name does not fit.
_DELIMITERS = (",", ";", "\t", "|")
_SEP_LINE = re.compile(rb'"?sep=([^\r\n"]{1,4})"?\r*(?:\n|\r|\Z)', re.IGNORECASE)
# A column of which more fields than this share stand in quotes was written by one who quotes.
_MOSTLY = 0.5
# Rows of the look whose values are remembered.
_KNOWN_ROWS = 1_000


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written, and where its rows begin.

    Attributes:
        dialect: how records stand.
        names: column names; unnamed ones are empty, and names may come twice.
        header: where the header's record begins and ends.
        known: values that each column holds in rows of one line, to know them again in what looks like a row in a row.
        remark: what a person should hear of it, or None.
    """

    dialect: Dialect
    names: tuple[str, ...]
    header: tuple[int, int]
    known: tuple[frozenset[bytes], ...]
    remark: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class _Reading:
    """What one dialect makes of the look.

    Attributes:
        dialect: the dialect.
        names: of its header.
        header: where that is.
        rows: the records under it.
        fits: whether every record follows the dialect and has the header's number of fields.
    """

    dialect: Dialect
    names: tuple[str, ...]
    header: tuple[int, int]
    rows: list[bytes]
    fits: bool


def find_layout(head: bytes, options: TextOptions, usual: str, name: str, *, last: bool) -> Layout:
    """Decide how a file is written.

    Args:
        head: its beginning, as UTF-8.
        options: what the user said.
        usual: the delimiter that its name stands for.
        name: the file, for messages.
        last: whether the head is the whole file.

    Raises:
        DataError: there is no header, or several readings fit.
    """
    start = len(BYTE_ORDER_MARK) if head.startswith(BYTE_ORDER_MARK) else 0
    first = usual if options.delimiter is None else NAMED_DELIMITERS.get(options.delimiter, options.delimiter)
    said = options.delimiter is not None
    if named := _SEP_LINE.match(head, start):
        start = named.end()
        if not said:
            first, said = named[1].decode("utf-8", "replace"), True
            first = NAMED_DELIMITERS.get(first, first)
    delimiters = [first] if said else [first, *(mark for mark in _DELIMITERS if mark != first)]
    if not head[start:].strip():
        raise EmptyFileError(f"'{name}' is empty: it has no header line with rows under it.")
    reading = _choose(head, start, delimiters, options, last=last)
    parts = _unexpected(reading.dialect, usual, options)
    remark = f"'{name}' is read with {' and '.join(parts)}." if parts and reading.names else None
    known = _known_values(reading.rows, reading.dialect, len(reading.names), options)
    return Layout(reading.dialect, reading.names, reading.header, known, remark)


def glued_row(records: Sequence[bytes], dialect: Dialect, known: Sequence[frozenset[bytes]]) -> int | None:
    """The first record that seems to be several: a quoted field of it holds lines that look like rows.

    Args:
        records: some records; those of several lines matter.
        dialect: how they are written.
        known: see `Layout`.
    """
    delimiter = dialect.delimiter.encode()
    for index, record in enumerate(records):
        lines = record.rstrip(b"\r\n").split(b"\n")
        whole = sum(line.count(delimiter) == len(known) - 1 for line in lines)
        if len(lines) < 2 or 2 * whole < len(lines):
            continue
        if delimiter == b"\t" and whole == len(lines):  # texts hold few tabs, and never as many in every line
            return index
        rows = [row for line in lines if len(row := unquoted_fields(line, delimiter)) == len(known)]
        again = [Counter(row[column] for row in rows) for column in range(len(known))]
        like_rows = sum(
            any(field and (field in known[column] or again[column][field] > 1) for column, field in enumerate(row))
            for row in rows
        )
        if like_rows >= 2 and 2 * like_rows >= len(lines):
            return index
    return None


def _known_values(
    rows: Sequence[bytes], dialect: Dialect, columns: int, options: TextOptions
) -> tuple[frozenset[bytes], ...]:
    """Values of each column in rows that stand in one line; any may hold the name of a label."""
    known = [{name.encode("utf-8", "replace") for name in options.label_names} for _ in range(columns)]
    for row in rows[:_KNOWN_ROWS]:
        fields = unquoted_fields(row, dialect.delimiter.encode())
        if len(fields) == columns and b"\n" not in row.rstrip(b"\r\n"):
            for column, field in enumerate(fields):
                known[column].add(field)
    return tuple(map(frozenset, known))


def _choose(head: bytes, start: int, delimiters: Sequence[str], options: TextOptions, *, last: bool) -> _Reading:
    """The reading that fits; else the one that a message will speak of."""
    others = ("padded", "backslash", "none") if options.quoting == "auto" else ()
    readings = []
    for delimiter in delimiters:
        standard = _read(head, start, delimiter, options.quoting, options, last=last)
        if standard.fits and others and _quotes_behind_blanks(standard):
            padded = _read(head, start, delimiter, "padded", options, last=last)
            standard = padded if padded.fits else standard
        if standard.fits and delimiter == delimiters[0]:
            return standard
        if not standard.fits:
            signs = (other for other in others if _may_be(head, other, delimiter))
            found = (_read(head, start, delimiter, other, options, last=last) for other in signs)
            readings += [reading for reading in found if reading.fits]
        readings.append(standard)
    fitting = [reading for reading in readings if reading.fits]
    own = [reading for reading in fitting if reading.dialect.delimiter == delimiters[0]]
    if own or fitting:
        return (own or sorted(fitting, key=lambda reading: -len(reading.names)))[0]
    return readings[0] if len(readings[0].names) > 1 else max(readings, key=lambda reading: len(reading.names))


def _quotes_behind_blanks(reading: _Reading) -> bool:
    """Whether a row has a field of blanks and then a quote, which are text to the standard."""
    mark = reading.dialect.delimiter.encode() + b' "'
    return any(
        row[start:end].startswith(b" ") and row[start:end].strip(b" ").startswith(b'"')
        for row in reading.rows
        if mark in row or row.startswith(b' "')
        for start, end in fields_of(row, reading.dialect)
    )


def _may_be(head: bytes, quoting: str, delimiter: str) -> bool:
    """Whether there is a sign of it at all."""
    mark = delimiter.encode()
    if quoting == "padded":
        return mark + b' "' in head or b'\n "' in head
    if quoting == "backslash":
        return b'\\"' in head or b"\\" + mark in head or b"\\\n" in head or b"\\\r" in head
    # quotes that quote nothing are a custom of tab-separated files; elsewhere they are damage
    return mark == b"\t" and b'"' in head and not _is_quoted(head, mark)


def _is_quoted(head: bytes, mark: bytes) -> bool:
    """Whether the quotes of the file do stand around its fields: of the header, or mostly, or with doubled ones in."""
    rows = [unquoted_fields(line, mark) for line in head.split(b"\n") if line.strip()]
    wrapped = [[field[:1] == field[-1:] == b'"' and len(field) > 1 for field in row] for row in rows]
    if any(wrapped[0]):
        return True
    for column in range(len(rows[0])):
        whole = [row[column] for row in wrapped[1:] if column < len(row)]
        if whole and sum(whole) > _MOSTLY * len(whole):
            return True
    doubled = re.compile(rb'"[^"]*""[^"]+(?:""[^"]*)*"')
    return any(doubled.fullmatch(field) for row in rows for field in row)


def _read(head: bytes, start: int, delimiter: str, quoting: str, options: TextOptions, *, last: bool) -> _Reading:
    """What a dialect makes of the look."""
    dialect = Dialect(
        delimiter,
        "backslash" if quoting == "backslash" else "none" if quoting == "none" else "double",
        padded=quoting == "padded",
        carriage_returns=b"\n" not in head and b"\r" in head.rstrip(b"\r\n"),
    )
    body = head[start:]
    ends, fault = cut(body, dialect, last=last)
    records = pieces(body, ends)
    unnamed = b'\r\n\t "' + delimiter.encode()
    above = next((index for index, record in enumerate(records) if record.strip(unnamed)), None)
    if above is None:
        return _Reading(dialect, (), (start, start), [], fits=False)
    header, rows = records[above], [record for record in records[above + 1 :] if record.strip(b"\r\n")]
    position = start + sum(map(len, records[:above]))
    names = _names(header, dialect)
    counts, empty_last = _field_counts(rows, dialect)  # int64 [N]
    if len(counts) and names[-1] == "" and (counts == len(names) - 1).all():
        names = names[:-1]  # the header alone ends with a delimiter
    elif len(counts) and empty_last and (counts == len(names) + 1).all():
        names = (*names, "")  # the rows alone do
    fits = fault is None and len(names) > 1 and bool((counts == len(names)).all())
    if fits and quoting == "auto" and b'"' in body:
        known = _known_values(rows, dialect, len(names), options)
        cut_off = [] if last else [body[int(ends[-1]) :]]  # a stray quote may have taken in all the rest
        fits = glued_row([*rows, *cut_off], dialect, known) is None
    return _Reading(dialect, names, (position, position + len(header)), rows, fits)


def _names(header: bytes, dialect: Dialect) -> tuple[str, ...]:
    """Column names of the header, without blanks around them."""
    names = []
    for begin, end in fields_of(header, dialect):
        field = header[begin:end].strip()
        names.append(value_of(field, dialect).decode("utf-8", "surrogateescape").strip())
    return tuple(names)


def _field_counts(rows: Sequence[bytes], dialect: Dialect) -> tuple[npt.NDArray[np.int64], bool]:
    """Fields of each row, int64 [N], and whether the last one is always empty."""
    delimiter = dialect.delimiter.encode()
    counts, empty_last = [], True
    for row in rows:
        plain = b'"' not in row and b"\\" not in row
        counts.append(row.count(delimiter) + 1 if plain else len(fields_of(row, dialect)))
        empty_last = empty_last and row.rstrip(b"\r\n").endswith(delimiter)
    return np.array(counts, np.int64), empty_last


def _unexpected(dialect: Dialect, usual: str, options: TextOptions) -> list[str]:
    """What of the reading a person would not expect."""
    parts = []
    if options.delimiter is None and dialect.delimiter != usual:
        shown = {"\t": "a tab", " ": "a blank"}.get(dialect.delimiter, f"'{dialect.delimiter}'")
        parts.append(f"{shown} as delimiter")
    if options.quoting == "auto" and dialect.quoting == "backslash":
        parts.append("quotes behind a backslash")
    if options.quoting == "auto" and dialect.quoting == "none":
        parts.append("quotes as text (--quoting double takes them for quoting)")
    if dialect.padded:
        parts.append("blanks after the delimiter left out")
    return parts
