"""What a file format must offer: to be read from any row on, and to be written anew with labels changed."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa

from scorer.sources.storage.edits import Edits

# Rows per record batch that a reader aims at; a reader may give fewer.
READ_ROWS = 8_192
# Bytes of a record batch that a reader aims at where rows are long.
READ_BYTES = 32 * 2**20


class Place(NamedTuple):
    """Where a row begins in a file of text.

    Attributes:
        row: the row, counted in the file from 0.
        byte: the first byte of the row, counted in the decompressed file.
        line: lines before it.
    """

    row: int
    byte: int
    line: int


class Places:
    """Places that a reader came by, in order; it begins at the last one before the row that it is asked for."""

    def __init__(self) -> None:
        self._places: list[Place] = []

    def add(self, place: Place) -> None:
        """Remember a place further on than those that are known."""
        if not self._places or place.row > self._places[-1].row:
            self._places.append(place)

    def before(self, row: int) -> Place | None:
        """The last place known that is not behind the row."""
        index = bisect.bisect_right(self._places, row, key=lambda place: place.row)
        return self._places[index - 1] if index else None


class Table(Protocol):
    """One file, or one split of a data set, read without holding it in memory."""

    @property
    def name(self) -> str:
        """Path or data set name: what messages and the column `source_file` show."""
        ...

    @property
    def places(self) -> Places | None:
        """Where rows begin, for formats that do not say so themselves."""
        ...

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should hear of how it is read; complete when `schema` was asked."""
        ...

    def identity(self) -> Mapping[str, object]:
        """What changes when the content does, such as size and time of modification: plain JSON values.

        Raises:
            DataError: the table cannot be looked at.
        """
        ...

    def schema(self) -> pa.Schema:
        """Columns and their types, with the metadata that names ClassLabel values where there is any.

        Raises:
            DataError: the file cannot be read as what its name says.
        """
        ...

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[pa.RecordBatch]:
        """Record batches of the given columns, in order, from row `start` on.

        Raises:
            DataError: the file is damaged; the message names the place where that is known.
        """
        ...

    @property
    def of_datasets(self) -> bool:
        """Whether it belongs to `datasets`, which cannot take another file in its place."""
        ...

    def all_columns(self, label: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Every column as it is, and all rows; a format without types gives them, and the label's as text.

        Args:
            label: name of the label column.

        Raises:
            DataError: the file is damaged, or a column has no one type.
        """
        ...

    def rewrite(self, output: Path, edits: Edits) -> None:
        """Write the table with changes: same format, compression, column types and metadata.

        Args:
            output: the file to write; what is there is replaced.
            edits: the changes.

        Raises:
            DataError: it cannot be read, is not what it was when decisions were matched, or cannot say a label.
            LabelError: the label's column cannot hold one of the labels.
            UsageError: it takes no such change.
            OSError: the output cannot be written.
        """
        ...
