"""The rows of small files, kept from planning until they are scored, so that each file is opened once less.

Memory for them is bounded; what finds no room, has changed, or is asked for again is read from its file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from scorer.errors import DataError
from scorer.sources.storage.storage import FileTable
from scorer.sources.storage.table import Table
from scorer.system.urls import is_url

# A file of no more bytes is small.
SMALL_FILE_BYTES = 2**16
# Bytes of rows that are kept, and what a record batch takes beyond its values.
KEPT_BYTES = 32 * 2**20
BATCH_BYTES = 2_048


class KeptRows:
    """Record batches of small files, each given out once."""

    def __init__(self) -> None:
        self._files: dict[int, tuple[Mapping[str, object], list[pa.RecordBatch]]] = {}
        self._room = KEPT_BYTES

    def read(self, index: int, table: Table, columns: Sequence[str]) -> list[pa.RecordBatch] | None:
        """All rows of a small file, which are kept; None where it is not small, or its other columns cannot be read.

        Args:
            index: position of the table in the source.
            table: the table.
            columns: the columns that will be asked for.

        Raises:
            DataError: the file is gone.
        """
        if not isinstance(table, FileTable) or is_url(table.path) or self._room <= 0:
            return None
        identity = table.identity()
        if not 0 < int(str(identity["bytes"])) <= SMALL_FILE_BYTES:
            return None
        try:
            batches = list(table.batches(columns))
        except DataError:
            return None  # the label's column may be readable; the others' turn will come
        self._room -= sum(batch.nbytes + BATCH_BYTES for batch in batches)
        self._files[index] = (identity, batches)
        return batches

    def take(self, index: int, table: Table) -> list[pa.RecordBatch] | None:
        """The rows of a file that is as it was; None where they are not kept.

        Raises:
            DataError: the file is gone.
        """
        identity, batches = self._files.pop(index, (None, None))
        return batches if batches is not None and table.identity() == identity else None

    def __reduce__(self) -> tuple[Any, ...]:
        """Rows stay in their process."""
        return KeptRows, ()
