"""CSV, TSV and JSON Lines, plain or compressed (.gz, .zst, .bz2), as UTF-8.

Delimited columns are read as strings, whatever they look like: "007" stays "007". JSON values keep their types.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from scorer.errors import DataError
from scorer.sources.columnar import FileTable, first_line, reading, skip_rows
from scorer.sources.table import READ_ROWS

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
# Bytes parsed at a time; a row longer than this makes the parser ask for a larger block.
BLOCK_BYTES = 4 * 2**20
LARGEST_BLOCK_BYTES = 2**30


class DelimitedTable(FileTable):
    """A CSV or TSV file with a header line; fields may be quoted and hold line breaks."""

    def __init__(self, path: str, delimiter: str) -> None:
        self.name = path
        self.delimiter = delimiter

    def schema(self) -> pa.Schema:
        """Column names of the header, all strings; raises DataError when there is none."""
        try:
            names = next(self._read(None, 0)).schema.names
        except UnicodeDecodeError as error:
            raise _not_utf8(self.name, lines=1) or DataError(f"cannot read '{self.name}': {error}.") from error
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise DataError(
                f"the header of '{self.name}' repeats the column {', '.join(map(repr, repeated))}. Rename all but one."
            )
        return pa.schema([pa.field(name, pa.string()) for name in names])

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[pa.RecordBatch]:
        """Record batches from row `start` on; rows before it are parsed and passed over."""
        yield from self._read(list(columns), start)

    def _read(self, columns: list[str] | None, start: int) -> Iterator[pa.RecordBatch]:
        """Batches from row `start` on; a row longer than a block is read again in a larger one."""
        block = BLOCK_BYTES
        while True:
            try:
                with reading(self.name, "delimited text"), _open_bytes(self.name) as file:
                    for batch in skip_rows(_csv_batches(file, self.delimiter, columns, block), start):
                        start += batch.num_rows
                        yield batch
                return
            except DataError as error:
                if "straddling" not in str(error) or block >= LARGEST_BLOCK_BYTES:
                    raise self._explain(error) from error
                block *= 16

    def _explain(self, error: DataError) -> DataError:
        if "invalid UTF8" in str(error):
            return _not_utf8(self.name) or error
        if "CSV parse error" in str(error):
            return _not_utf8(self.name, lines=1) or DataError(
                f"cannot read '{self.name}': {first_line(error.__cause__)}. A field that holds a delimiter, a quote or "
                "a line break must stand in quotes, and each quote must close."
            )
        if "Empty CSV" in str(error):
            return DataError(f"'{self.name}' is empty: it has no header line with rows under it.")
        return error


class JsonLinesTable(FileTable):
    """A file with one JSON object per line."""

    def __init__(self, path: str) -> None:
        self.name = path

    def schema(self) -> pa.Schema:
        """Keys of the first thousand objects, in order of appearance, with types as far as they show."""
        names: dict[str, pa.DataType] = {}
        for _, document in itertools.islice(self._objects(), 1_000):
            for key, value in document.items():
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
        objects = self._objects()
        for _ in itertools.islice(objects, start):
            pass
        while piece := list(itertools.islice(objects, READ_ROWS)):
            arrays = [self._column(piece, column) for column in columns]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Line number from 1 and content of every line that is not blank."""
        with reading(self.name, "JSON Lines"), _open_bytes(self.name) as file:
            for number, raw in enumerate(_lines(file), start=1):
                if not raw.strip():
                    continue
                try:
                    document = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
                except UnicodeDecodeError as error:
                    raise DataError(_utf8_message(self.name, number, error)) from error
                except json.JSONDecodeError as error:
                    raise DataError(
                        f"line {number:,} of '{self.name}' is not JSON: {error.msg}, at character {error.pos + 1:,}. "
                        "JSON Lines hold one object per line."
                    ) from error
                except (ValueError, RecursionError) as error:
                    raise DataError(f"line {number:,} of '{self.name}' cannot be read as JSON: {error}.") from error
                if not isinstance(document, dict):
                    raise DataError(
                        f"line {number:,} of '{self.name}' is not a JSON object but {_json_type(document)}; JSON "
                        "Lines hold one object per line."
                    )
                yield number, document

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


def _csv_batches(file: Any, delimiter: str, columns: list[str] | None, block: int) -> Iterator[pa.RecordBatch]:
    """Record batches of string columns; the first one is empty and carries the schema."""
    with pa_csv.open_csv(
        file,
        pa_csv.ReadOptions(block_size=block, use_threads=False),
        pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        pa_csv.ConvertOptions(
            include_columns=columns,
            column_types=dict.fromkeys(columns, pa.large_string()) if columns else None,
            strings_can_be_null=False,
        ),
    ) as reader:
        yield pa.RecordBatch.from_pylist([], reader.schema)
        for batch in reader:
            for offset in range(0, batch.num_rows, READ_ROWS):
                yield batch.slice(offset, READ_ROWS)


def _open_bytes(path: str) -> Any:
    """The file's bytes, decompressed by its name's last suffix."""
    compression = COMPRESSIONS.get(Path(path).suffix.lower())
    return pa.input_stream(path, compression=compression, buffer_size=2**16)


def _lines(file: Any) -> Iterator[bytes]:
    """Lines without their line feed; the reader of pyarrow has no fast `readline`."""
    rest = b""
    while block := file.read(2**20):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        yield from lines
    if rest:
        yield rest


def _not_utf8(path: str, lines: int | None = None) -> DataError | None:
    """What to say of the first line that is not UTF-8, among the first `lines` or all; None when all are."""
    with reading(path, "text"), _open_bytes(path) as file:
        for number, line in enumerate(itertools.islice(_lines(file), lines), start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return DataError(_utf8_message(path, number, error))
    return None


def _utf8_message(path: str, line: int, error: UnicodeDecodeError) -> str:
    encoding = "UTF-16" if line == 1 and error.object[:2] in {b"\xff\xfe", b"\xfe\xff"} else "WINDOWS-1252"
    return (
        f"line {line:,} of '{path}' is not valid UTF-8 (byte 0x{error.object[error.start]:02x} at position "
        f"{error.start:,}). Convert the file, for example: iconv -f {encoding} -t UTF-8 IN > OUT"
    )


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
