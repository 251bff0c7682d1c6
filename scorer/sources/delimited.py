"""CSV and TSV with a header line, as UTF-8, plain or compressed. Fields may be quoted and hold line breaks.

Columns are read as strings, whatever they look like: "007" stays "007". A file is read in blocks that end with a row,
so that reading can begin at any block; each block is parsed by pyarrow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv as pa_csv

from scorer.errors import DataError
from scorer.sources import text_stream
from scorer.sources.columnar import skip_rows
from scorer.sources.storage import FileTable, first_line, reading
from scorer.sources.table import READ_ROWS, Place, Places
from scorer.sources.text_stream import not_utf8, open_bytes

# The longest row; a quote that never closes would otherwise take in the whole file.
LARGEST_ROW_BYTES = 2**30
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Header(NamedTuple):
    """Column names, and the bytes and lines that they take."""

    names: tuple[str, ...]
    bytes: int
    lines: int


class DelimitedTable(FileTable):
    """A CSV or TSV file with a header line."""

    def __init__(self, path: str, delimiter: str) -> None:
        super().__init__(path)
        self.places: Places = Places()
        self.delimiter = delimiter

    def schema(self) -> pa.Schema:
        """Column names of the header, all strings; raises DataError when there is none."""
        names = self._header.names
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise DataError(
                f"the header of '{self.name}' repeats the column {', '.join(map(repr, repeated))}. Rename all but one."
            )
        return pa.schema([pa.field(name, pa.string()) for name in names])

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[pa.RecordBatch]:
        """Record batches from row `start` on; at most a block of rows before it is parsed and passed over."""
        place = self.places.before(start) or Place(0, self._header.bytes, self._header.lines)
        yield from skip_rows(self._from(place, list(columns)), start - place.row)

    def _from(self, place: Place, columns: list[str]) -> Iterator[pa.RecordBatch]:
        with reading(self.path, "delimited text"), open_bytes(self.path, place.byte) as file:
            for block in self._blocks(file, place.line):
                self.places.add(place)
                table = self._parse(block, columns, place)
                yield from table.to_batches(READ_ROWS)
                place = Place(place.row + len(table), place.byte + len(block), place.line + block.count(b"\n"))

    @cached_property
    def _header(self) -> _Header:
        with reading(self.path, "delimited text"), open_bytes(self.path) as file:
            first = next(self._blocks(file, 0, rows=1), b"")
        row = first.removeprefix(BYTE_ORDER_MARK).strip(b"\r\n")
        if not row:
            raise DataError(f"'{self.name}' is empty: it has no header line with rows under it.")
        try:
            names = self._read_csv(row + b"\n", None, None).schema.names
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise not_utf8(self.path, lines=1) or DataError(
                f"cannot read the header of '{self.name}': {first_line(error)}."
            ) from error
        return _Header(tuple(names), len(first), first.count(b"\n"))

    def _blocks(self, file: Any, line: int, rows: int | None = None) -> Iterator[bytes]:
        """The bytes of the file cut behind rows, in blocks of some size, or behind the first row."""
        held = bytearray()
        size = text_stream.BLOCK_BYTES
        while True:
            read = file.read(size)
            held += read
            end, opened = _end_of_rows(held, self.delimiter, first=rows == 1)
            if not read:
                if opened is not None:
                    line += 1 + held.count(b"\n", 0, opened)
                    raise DataError(
                        f"cannot read '{self.name}': the quote that opens a field in line {line:,} never closes. A "
                        "quote inside a quoted field must be doubled."
                    )
                end = len(held)
            if end:
                yield bytes(held[:end])
                line += held.count(b"\n", 0, end)
                del held[:end]
                size = text_stream.BLOCK_BYTES
            else:
                size = max(size, len(held))  # a long row: twice as much
            if not read:
                return
            if len(held) > LARGEST_ROW_BYTES:
                raise DataError(
                    f"cannot read '{self.name}': the row that begins in line {line + 1:,} is longer than "
                    f"{LARGEST_ROW_BYTES:,} bytes. Does a quote never close?"
                )

    def _parse(self, block: bytes, columns: list[str], place: Place) -> pa.Table:
        try:
            return self._read_csv(block, self._header.names, columns)
        except pa.ArrowException as error:
            if "invalid UTF8" in str(error):
                raise not_utf8(self.path) or error from error
            rows = place.row + 1  # the header counts as a row
            text = re.sub(r"Row #(\d+)", lambda found: f"Row #{rows + int(found[1]):,}", first_line(error))
            raise DataError(
                f"cannot read '{self.name}': {text}. A field that holds a delimiter, a quote or a line break must "
                "stand in quotes, and each quote must close."
            ) from error

    def _read_csv(self, block: bytes, names: Sequence[str] | None, columns: list[str] | None) -> pa.Table:
        if not block.strip(b"\r\n"):
            return pa.table({name: pa.array([], pa.large_string()) for name in columns or ()})
        return pa_csv.read_csv(
            pa.BufferReader(block),
            pa_csv.ReadOptions(column_names=names, block_size=len(block) + 1, use_threads=False),
            pa_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            pa_csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns or (), pa.large_string()),
                strings_can_be_null=False,
            ),
        )


def _end_of_rows(text: bytearray, delimiter: str, *, first: bool) -> tuple[int, int | None]:
    """Where the last whole row ends, or the first, and where a quote opens that does not close; 0 and None if nowhere.

    A quote opens a field only at the field's beginning, as pyarrow has it; a line break within it ends no row.
    """
    quoted: list[tuple[int, int]] = []
    closed = True
    if b'"' in text:
        pattern = rb'(?:^(?:%s)?|[\r\n%s])("[^"]*(?:""[^"]*)*)("?)' % (BYTE_ORDER_MARK, re.escape(delimiter.encode()))
        for field in re.finditer(pattern, text):
            quoted.append((field.start(1), field.end()))
            closed = bool(field[2])
    end = _first_break(text, quoted) if first else _last_break(text, quoted)
    return end, None if closed else quoted[-1][0]


def _last_break(text: bytearray, quoted: list[tuple[int, int]]) -> int:
    stop = len(text)
    for start, end in reversed([(0, 0), *quoted]):
        # A carriage return alone may be half a line break where the text ends.
        found = max(text.rfind(b"\n", end, stop), text.rfind(b"\r", end, min(stop, len(text) - 1)))
        if found >= 0:
            return found + 1
        stop = start
    return 0


def _first_break(text: bytearray, quoted: list[tuple[int, int]]) -> int:
    begin = len(text) - len(text.lstrip(b"\r\n"))  # blank lines before the header
    for start, end in [*quoted, (len(text), len(text))]:
        at = [found for mark in (b"\n", b"\r") if (found := text.find(mark, begin, start)) >= 0]
        if at and (text[min(at)] == ord("\n") or min(at) < len(text) - 1):
            return min(at) + (2 if text[min(at) :].startswith(b"\r\n") else 1)
        begin = end
    return 0
