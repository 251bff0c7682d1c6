"""One label of C classes for each row: cross-entropy, from a softmax over the classes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer import schema
from scorer.arithmetic.agreement import Agreement, measure_agreement
from scorer.arithmetic.fidelity import log_odds, loss_of_log_odds
from scorer.arithmetic.scoring import DoubleArray, FloatArray, LabelArray, highest, score
from scorer.labels import MISSING, UNKNOWN, LabelEncoder


@dataclasses.dataclass(frozen=True, slots=True)
class SingleLabel:
    """A class for each row.

    Attributes:
        labels: how the data's labels become class indices.
        names: the C class names.
        top_k: highest probabilities that are kept of each row; None keeps all.
    """

    labels: LabelEncoder
    names: tuple[str, ...]
    top_k: int | None = None

    @property
    def fields(self) -> Sequence[pa.Field]:
        """Both labels, the loss and the probabilities."""
        return single_label_fields(len(self.names), self.top_k)

    @property
    def description(self) -> str:
        """One line that says how labels are read."""
        return self.labels.description

    def read(self, labels: pa.Array) -> tuple[LabelArray, pa.Array]:
        """Class indices, int32 [W], and the reasons of labels that are none."""
        given = self.labels.encode(labels)
        conditions = pc.make_struct(pa.array(given == MISSING), pa.array(given == UNKNOWN))
        return given, pc.case_when(conditions, "label_missing", "label_unknown")

    def score(self, logits: FloatArray, given: LabelArray) -> Mapping[str, pa.Array]:
        """The columns of `fields`."""
        scores = score(logits, given)
        label, predicted = pa.array(given), pa.array(scores.predicted_label)
        return {
            "label": label,
            "label_name": _names(label, self.names),
            "predicted_label": predicted,
            "predicted_label_name": _names(predicted, self.names),
            "loss": pa.array(scores.loss),
            "self_confidence": pa.array(scores.self_confidence),
            "predicted_probability": pa.array(scores.predicted_probability),
            **self._probabilities(scores.probabilities),
        }

    def _probabilities(self, probabilities: FloatArray) -> dict[str, pa.Array]:
        """All probabilities, or the highest of each row and their classes."""
        columns: dict[str, npt.NDArray[Any]] = {"probabilities": probabilities}
        if self.top_k is not None:
            classes, values = highest(probabilities, self.top_k)
            columns = {"top_labels": classes, "top_probabilities": values}
        return {
            name: pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
            for name, values in columns.items()
        }

    def coordinate(self, losses: npt.NDArray[np.floating]) -> DoubleArray:
        """Log-odds that the given label is wrong."""
        return log_odds(losses)

    def loss_at(self, coordinate: float) -> float:
        """The loss in nats whose log-odds these are."""
        return loss_of_log_odds(coordinate)

    def confusion(self, columns: Mapping[str, pa.Array], rows: npt.NDArray[np.bool_]) -> Counter[tuple[int, int]]:
        """How often each pair of a given and a predicted class occurs in some rows."""
        given, predicted = (columns[name].to_numpy()[rows].tolist() for name in ("label", "predicted_label"))
        return Counter(zip(given, predicted, strict=True))

    def agreement(self, confusion: Mapping[tuple[int, int], int]) -> Agreement:
        """How given and predicted labels fit together."""
        counts = np.zeros((len(self.names), len(self.names)), dtype=np.int64)  # [C given, C predicted]
        for (given, predicted), rows in confusion.items():
            counts[given, predicted] = rows
        return measure_agreement(counts)


def single_label_fields(classes: int, top_k: int | None = None) -> list[pa.Field]:
    """Columns of C classes; `top_k`: how many of the highest probabilities are kept, None for all C."""
    probabilities = [pa.field("probabilities", pa.list_(pa.float32(), classes))]
    if top_k is not None:
        kept = min(top_k, classes)
        probabilities = [
            pa.field("top_labels", pa.list_(pa.int32(), kept)),
            pa.field("top_probabilities", pa.list_(pa.float32(), kept)),
        ]
    return [
        pa.field("label", pa.int32()),
        pa.field("label_name", pa.large_string()),
        pa.field("predicted_label", pa.int32()),
        pa.field("predicted_label_name", pa.large_string()),
        pa.field("loss", pa.float32()),
        pa.field("self_confidence", pa.float32()),
        pa.field("predicted_probability", pa.float32()),
        *probabilities,
    ]


def scores_schema(*, classes: int, pairs: bool, keep_text: bool, top_k: int | None = None) -> pa.Schema:
    """Schema of the scores of C classes; see `schema.scores_schema`."""
    return schema.scores_schema(single_label_fields(classes, top_k), pairs=pairs, keep_text=keep_text)


def _names(labels: pa.Array, names: Sequence[str]) -> pa.Array:
    """Names of class indices: large_string [N]."""
    return pa.array(names, pa.large_string()).take(labels)
