"""A settled table from label texts to class indices."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MISSING = -1  # in encoded labels: the label is missing
UNKNOWN = -2  # in encoded labels: the label is none of the model's classes
# A share of rows with unknown or missing labels above which the set-up, not the data, is at fault.
UNKNOWN_SHARE = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class LabelEncoder:
    """How the data's labels are read.

    Attributes:
        table: class index, MISSING or UNKNOWN of every label of the data, in its own spelling; then, for classes that
            no row has, the text in which the data would write them, where they can.
        description: one line that says how labels are read, for the person at the terminal.
        warnings: what may be wrong with that.
    """

    table: Mapping[str, int]
    description: str
    warnings: tuple[str, ...] = ()

    def encode(self, values: pa.Array) -> npt.NDArray[np.int32]:
        """Class indices of label values.

        Args:
            values: large_string [W], labels in the data's own spelling, nulls allowed.

        Returns:
            int32 [W]: the class index, MISSING or UNKNOWN.
        """
        distinct = pc.dictionary_encode(values, null_encoding="encode")
        codes = np.array([self.encode_value(value) for value in distinct.dictionary.to_pylist()], dtype=np.int32)
        indices = distinct.indices.to_numpy(zero_copy_only=False)
        return codes[indices] if codes.size else np.empty(0, dtype=np.int32)

    def encode_value(self, value: str | None) -> int:
        """Class index of one label value, MISSING or UNKNOWN."""
        if value is None:
            return MISSING
        return self.table.get(value, UNKNOWN if value.strip() else MISSING)
