"""What a file format must offer to be read: a name, a schema, and record batches from any row on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

# Rows per record batch that a reader aims at; a reader may give fewer.
READ_ROWS = 8_192
# Bytes of a record batch that a reader aims at where rows are long.
READ_BYTES = 32 * 2**20


class Table(Protocol):
    """One file, or one split of a data set, read without holding it in memory."""

    @property
    def name(self) -> str:
        """Path or data set name: what messages and the column `source_file` show."""
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
