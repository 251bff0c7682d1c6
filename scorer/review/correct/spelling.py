"""How the data write each class: a reviewer chooses a name of the model, and it comes out as the file spells it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa

from scorer.labels import LabelEncoder


class Spelling:
    """Collects how each file writes the classes while the data pass by once.

    Args:
        encoder: how the data's labels are read.
        counts: every label of the data with its number of rows.
    """

    def __init__(self, encoder: LabelEncoder, counts: Mapping[str | None, int]) -> None:
        self._encoder = encoder
        self._everywhere = spelled_labels(encoder, counts)
        self._files: dict[str, Counter[str | None]] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at rows in the source schema."""
        table = pa.table({name: batch.column(name) for name in ("source_file", "label")})
        counted = table.group_by(["source_file", "label"]).aggregate([([], "count_all")])
        for file, label, rows in zip(*(column.to_pylist() for column in counted.columns), strict=True):
            self._files.setdefault(file, Counter())[label] += rows

    def of(self, file: str) -> dict[int, str]:
        """A label for every class index that the data can express, as the file writes it where it has the class."""
        found = {label: rows for label, rows in self._files.get(file, Counter()).items() if rows}
        own = {index: label for index, label in spelled_labels(self._encoder, found).items() if label in found}
        return self._everywhere | own


def spelled_labels(encoder: LabelEncoder, counts: Mapping[str | None, int]) -> dict[int, str]:
    """How the data writes each of the model's classes: as its rows do most often, else as its labels are read.

    Args:
        encoder: how the data's labels are read.
        counts: every label of the data with its number of rows.

    Returns:
        A label, in the data's own spelling, for every class index that the data can express.
    """
    by_rows = sorted(encoder.table, key=lambda label: -counts.get(label, 0))
    spelled: dict[int, str] = {}
    for label in by_rows:
        if (index := encoder.table[label]) >= 0:
            spelled.setdefault(index, label)
    return spelled
