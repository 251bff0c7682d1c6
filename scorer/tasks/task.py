"""What a task must offer: how given labels are read, what a row's loss is, and the columns that follow.

Everything else (reading, shards, resume, ranking, engines) knows no kind of label. The columns of a task stand in every
file of scores; one of them is `loss`, by which the ranking is sorted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scorer.arithmetic.agreement import Agreement
from scorer.arithmetic.scoring import DoubleArray, FloatArray

# Given labels as a task reads them: an array with an item for each row.
Given = npt.NDArray[Any]


class Task(Protocol):
    """One kind of label."""

    @property
    def fields(self) -> Sequence[pa.Field]:
        """Columns of its scores; one is `loss`, float32."""
        ...

    @property
    def description(self) -> str:
        """One line that says how labels are read."""
        ...

    def read(self, labels: pa.Array) -> tuple[Given, pa.Array]:
        """Given labels of W rows, and why they cannot be scored.

        Args:
            labels: large_string [W], in the data's own spelling, nulls allowed.

        Returns:
            given: [W].
            reasons: string [W], of `schema.REJECT_REASONS`; null where the label is one.
        """
        ...

    def score(self, logits: FloatArray, given: Given) -> Mapping[str, pa.Array]:
        """The columns of W rows, by name.

        Args:
            logits: float32 [W, C], finite.
            given: [W], of rows that can be scored.
        """
        ...

    def coordinate(self, losses: npt.NDArray[np.floating]) -> DoubleArray:
        """Losses on a scale where a cheaper model's errors are of one size for all rows, rising with the loss: [N]."""
        ...

    def loss_at(self, coordinate: float) -> float:
        """The loss at a place of that scale."""
        ...

    def confusion(self, columns: Mapping[str, pa.Array], rows: npt.NDArray[np.bool_]) -> Counter[tuple[int, int]]:
        """How often each pair of a given and a predicted class occurs in some rows; empty where there are none."""
        ...

    def agreement(self, confusion: Mapping[tuple[int, int], int]) -> Agreement:
        """How given and predicted labels fit together."""
        ...
