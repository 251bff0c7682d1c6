"""What is to change in one table: labels, rows that leave, columns that are added. Formats make the changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from scorer.errors import DataError, UsageError

ORIGINAL_COLUMN = "original_label"
CORRECTED_COLUMN = "corrected_label"


@dataclasses.dataclass(frozen=True, slots=True)
class Edits:
    """The changes to one table, by row of that table, in the data's own spelling.

    Attributes:
        table: the table's name.
        rows: number of its rows when decisions were matched with them.
        column: name of the label column.
        labels: right label of every row that people decided on, as text; of those that keep theirs, what stands there.
        dropped: rows that leave.
        keep_original: whether two columns are added: `original_label`, as the data had it, and `corrected_label`,
            as people decided and null where nobody did.
    """

    table: str
    rows: int
    column: str
    labels: Mapping[int, str]
    dropped: frozenset[int]
    keep_original: bool

    def check_rows(self, rows: int) -> None:
        """Refuse to go on where the table does not hold the rows that decisions were matched with.

        Raises:
            DataError: it was changed, or is written in a way that two readers understand differently.
        """
        if rows != self.rows:
            raise DataError(
                f"'{self.table}' holds {rows:,} rows now, and held {self.rows:,} when the corrections were matched "
                "with them. Do not change the data meanwhile; in delimited text, quote fields that hold quotes."
            )


def refuse_taken_columns(names: Sequence[str], where: str) -> None:
    """Refuse to add columns that are there already.

    Raises:
        UsageError: with the column's name.
    """
    for name in (ORIGINAL_COLUMN, CORRECTED_COLUMN):
        if name in names:
            raise UsageError(
                f"'{where}' has a column '{name}' already, which --keep-original would add. Rename it, or leave "
                "--keep-original out."
            )
