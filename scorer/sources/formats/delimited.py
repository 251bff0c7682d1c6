"""CSV, TSV and their kin with a header line, in any encoding, plain or compressed. Fields may hold line breaks.

Columns are read as strings, whatever they look like: "007" stays "007". A file is read in blocks that end with a row,
so that reading can begin at any block. Where records end is settled in `records`; a block of a common dialect is then
parsed by pyarrow, which must find as many rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

import pyarrow as pa
import pyarrow.csv as pa_csv

from scorer.errors import DataError
from scorer.sources.formats.columnar import skip_rows
from scorer.sources.storage import text_stream
from scorer.sources.storage.edits import Edits
from scorer.sources.storage.table import READ_ROWS, Place
from scorer.sources.storage.text_stream import TextOptions, TextTable, read_whole
from scorer.sources.text.dialect import Layout, find_layout, glued_row
from scorer.sources.text.records import Fault, IntArray, blank, cut, fields_of, pieces, starts_of, value_of

# The longest row; a quote that never closes would otherwise take in the whole file.
LARGEST_ROW_BYTES = 2**30
# Bytes up to which starting pyarrow's parser takes longer than cutting the rows here; the two read the same.
SMALL_BLOCK_BYTES = 8_192
# Characters of a row that a message shows.
_SHOWN = 60
_FAULTS = {
    "unclosed": "the quote that opens a field in line {line:,} never closes",
    "quote": "the quote that opens a field in line {line:,} closes before the field ends",
    "carriage return": "line {line:,} has a carriage return in a field without quotes, or lines end in several ways",
    "line feed": "line {line:,} has a line feed in a field without quotes, or lines end in several ways",
}
_QUOTES_HELP = (
    "A quote inside a quoted field must be doubled. Where it stands behind a backslash, give --quoting backslash; "
    "where quotes are text like any other, --quoting none."
)
_BREAKS_HELP = "A field that holds a line break must stand in quotes; let the writer quote all fields."


class Block(NamedTuple):
    """Bytes of a file that end with a record.

    Attributes:
        text: UTF-8.
        ends: where its records end, blank lines among them, int64 [R].
        line: lines before it.
        lines: its own.
    """

    text: bytes
    ends: IntArray
    line: int
    lines: int


class DelimitedTable(TextTable):
    """A delimited file with a header line.

    Args:
        path: path or URL.
        delimiter: the delimiter that its name stands for.
        options: how the user wants it read.
    """

    what = "delimited text"

    def __init__(self, path: str, delimiter: str, options: TextOptions | None = None) -> None:
        super().__init__(path, options)
        self.delimiter = delimiter

    def all_columns(self, label: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Every column as text."""
        schema = self.schema()
        return schema, (batch.cast(schema) for batch in self.batches(schema.names))

    def edited(self, edits: Edits) -> Iterator[bytes]:
        """The text as UTF-8, with labels changed."""
        from scorer.sources.formats.delimited_edits import edited_records

        return edited_records(self, edits)

    def schema(self) -> pa.Schema:
        """Column names of the header, all strings; raises DataError when there is none."""
        names = self.layout.names
        if len(names) == 1 and (mark := re.search(r"[^\w\s'\"-]+", names[0])):
            raise DataError(
                f"the header of '{self.name}' names one column, {names[0]!r}. If '{mark[0]}' stands between columns, "
                "give the delimiter with --delimiter, such as --delimiter ';' or --delimiter tab."
            )
        return pa.schema([pa.field(name, pa.string()) for name in names])

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[pa.RecordBatch]:
        """Record batches from row `start` on; at most a block of rows before it is parsed and passed over.

        A name that comes twice in the header is the first column of that name, then the second.
        """
        place = self.places.before(start)
        yield from skip_rows(self._from(place, list(columns)), start - (place.row if place else 0))

    def blocks(self, place: Place | None = None) -> Iterator[Block]:
        """The records under the header, or from a place on.

        Raises:
            DataError: one breaks the dialect; the message names the line and what helps.
        """
        layout = self.layout
        with self.open(place.byte if place else 0) as file:
            line = place.line if place else 0
            held = bytearray()
            if place is None:
                held += read_whole(file, layout.header[1])
                line += self._lines(held)
                held.clear()
            yield from self._cut(file, held, line)

    @cached_property
    def layout(self) -> Layout:
        """How the file is written, by a look at its beginning."""
        with self.open() as file:
            head = read_whole(file, text_stream.LOOK_BYTES + 1)
        last = len(head) <= text_stream.LOOK_BYTES
        layout = find_layout(head, self.options, self.delimiter, self.name, last=last)
        if not layout.names:
            _, fault = cut(head, layout.dialect, last=True)
            self._refuse(head, fault or Fault(0, "unclosed"), 0, layout)
        for name in layout.names:
            if not _is_unicode(name):
                raise DataError(
                    f"line {1 + head[: layout.header[0]].count(10):,} of '{self.name}', its header, is not valid "
                    f"UTF-8: {name.encode('utf-8', 'surrogateescape')!r}. Name the file's encoding, such as "
                    "--encoding cp1252."
                )
        self.say(layout.remark)
        return layout

    def _from(self, place: Place | None, columns: list[str]) -> Iterator[pa.RecordBatch]:
        row = place.row if place else 0
        byte = place.byte if place else self.layout.header[1]
        for block in self.blocks(place):
            self.places.add(Place(row, byte, block.line))
            table = self._parse(block, columns, row)
            yield from table.to_batches(READ_ROWS)
            row, byte = row + len(table), byte + len(block.text)

    def _cut(self, file: Any, held: bytearray, line: int) -> Iterator[Block]:
        """The bytes of the file cut behind records, in blocks of some size."""
        size = text_stream.BLOCK_BYTES
        while True:
            read = file.read(size)
            held += read
            text = bytes(held)
            ends, fault = cut(text, self.layout.dialect, last=not read)
            end = int(ends[-1]) if len(ends) else 0
            if end:
                one_each = self.layout.dialect.plain and b'"' not in text  # a line for each record
                block = Block(text[:end], ends, line, len(ends) if one_each else self._lines(text[:end]))
                self._refuse_glued(block)
                yield block
                line += block.lines
                del held[:end]
                size = text_stream.BLOCK_BYTES
            else:
                size = max(size, len(held))  # a long row: twice as much
            if fault is not None:
                self._refuse(text[end:], Fault(fault.at - end, fault.kind), line, self.layout)
            if not read:
                return
            if len(held) > LARGEST_ROW_BYTES:
                raise DataError(
                    f"cannot read '{self.name}': the row that begins in line {line + 1:,} is longer than "
                    f"{LARGEST_ROW_BYTES:,} bytes. Does a quote never close?"
                )

    def _refuse(self, text: bytes, fault: Fault, line: int, layout: Layout) -> NoReturn:
        mark = b"\r" if layout.dialect.carriage_returns else b"\n"
        where = line + 1 + text.count(mark, 0, fault.at)
        what = _FAULTS[fault.kind].format(line=where)
        cure = _QUOTES_HELP if fault.kind in {"unclosed", "quote"} else _BREAKS_HELP
        raise DataError(f"cannot read '{self.name}': {what}. {cure}")

    def _refuse_glued(self, block: Block) -> None:
        """Refuse what looks like rows within a quoted field, where nobody has said how quotes are meant."""
        layout = self.layout
        if self.options.quoting != "auto" or layout.dialect.quoting == "none":
            return
        if block.lines <= len(block.ends):
            return  # no record has several lines
        records = pieces(block.text, block.ends)
        if (glued := glued_row(records, layout.dialect, layout.known)) is not None:
            line = block.line + 1 + self._lines(block.text[: int(starts_of(block.ends)[glued])])
            raise DataError(
                f"cannot tell how '{self.name}' is meant: in line {line:,} a quote opens a field that takes in lines "
                "which look like rows of their own. If they are rows and quotes are text, give --quoting none; if "
                "they are one text, --quoting double."
            )

    def _lines(self, text: bytes | bytearray) -> int:
        return text.count(b"\r" if self.layout.dialect.carriage_returns else b"\n")

    def _parse(self, block: Block, columns: list[str], row: int) -> pa.Table:
        """A block's rows, large_string; large_binary where they are not all valid UTF-8."""
        layout = self.layout
        wanted = _positions(layout.names, columns)
        is_blank = blank(block.text, block.ends)
        rows = int(len(is_blank) - is_blank.sum())
        if not rows:
            return pa.table([pa.array([], pa.large_string()) for _ in columns], names=columns)
        if not layout.dialect.plain or len(block.text) <= SMALL_BLOCK_BYTES:
            return self._split(block, is_blank, wanted, columns, row)
        try:
            table = self._read_csv(block.text, wanted, pa.large_string())
        except pa.ArrowException as error:
            if "invalid UTF8" not in str(error):
                self._refuse_width(block, is_blank, row)
                raise
            table = self._read_csv(block.text, wanted, pa.large_binary())
        if len(table) != rows:
            raise DataError(
                f"cannot read '{self.name}': the {rows:,} rows behind line {block.line:,} are {len(table):,} to "
                "another reader. Let the writer quote all fields."
            )
        return table.rename_columns(columns)

    def _read_csv(self, text: bytes, wanted: list[int], kind: pa.DataType) -> pa.Table:
        dialect = self.layout.dialect
        names = [str(position) for position in wanted]
        return pa_csv.read_csv(
            pa.BufferReader(text),
            pa_csv.ReadOptions(
                column_names=[str(position) for position in range(len(self.layout.names))],
                block_size=len(text) + 1,
                use_threads=False,
            ),
            pa_csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char='"' if dialect.quoting == "double" else False,
                newlines_in_values=True,
            ),
            pa_csv.ConvertOptions(
                include_columns=names, column_types=dict.fromkeys(names, kind), strings_can_be_null=False
            ),
        )

    def _split(self, block: Block, is_blank: Any, wanted: list[int], columns: list[str], row: int) -> pa.Table:
        """What pyarrow reads of common dialects, for the others."""
        dialect = self.layout.dialect
        values: list[list[bytes]] = [[] for _ in wanted]
        for record, no_row in zip(pieces(block.text, block.ends), is_blank, strict=True):
            if no_row:
                continue
            spans = fields_of(record, dialect)
            if len(spans) != len(self.layout.names):
                self._refuse_width(block, is_blank, row)
            for position, held in zip(wanted, values, strict=True):
                begin, end = spans[position]
                held.append(value_of(record[begin:end], dialect))
        raw = [pa.array(held, pa.large_binary()) for held in values]
        return pa.table([_as_text(array) for array in raw], names=columns)

    def _refuse_width(self, block: Block, is_blank: Any, row: int) -> None:
        """Name the first row that has not as many fields as the header."""
        expected = len(self.layout.names)
        line, number = block.line, row + 1  # the header counts as a row
        for record, no_row in zip(pieces(block.text, block.ends), is_blank, strict=True):
            number += not no_row
            found = len(fields_of(record, self.layout.dialect))
            if not no_row and found != expected:
                shown = record.decode("utf-8", "replace").rstrip("\r\n")
                shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
                raise DataError(
                    f"cannot read '{self.name}': Row #{number:,}, in line {line + 1:,}: Expected {expected:,} columns, "
                    f"got {found:,}: {shown}. A field that holds a delimiter, a quote or a line break must stand in "
                    "quotes, and each quote must close; --delimiter and --quoting say how the file is written."
                )
            line += self._lines(record)


def _positions(names: Sequence[str], columns: Sequence[str]) -> list[int]:
    """Where columns stand; a name that is asked for twice is the first of that name, then the second."""
    taken: list[int] = []
    for column in columns:
        taken.append(next(place for place, name in enumerate(names) if name == column and place not in taken))
    return taken


def _as_text(array: pa.Array) -> pa.Array:
    try:
        text = array.cast(pa.large_string())
        text.validate(full=True)
    except pa.ArrowInvalid:
        return array
    return text


def _is_unicode(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)
