"""From logits and given labels to scores. Pure functions on arrays; numpy only.

Every score belongs to one row alone: softmax runs over the classes (axis 1), never over the batch. Arithmetic
is float64, results are float32, so that a confident row's tiny loss keeps its digits.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
LabelArray = npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True, slots=True)
class Scores:
    """Scores of N rows over C classes.

    Attributes:
        loss: float32 [N], cross-entropy of the given label in nats, -ln P(given label), at least 0.
        self_confidence: float32 [N], P(given label) = exp(-loss).
        predicted_label: int32 [N], the most probable class; of equals, the first.
        predicted_probability: float32 [N], P(predicted label).
        probabilities: float32 [N, C], softmax over the classes.
    """

    loss: FloatArray
    self_confidence: FloatArray
    predicted_label: LabelArray
    predicted_probability: FloatArray
    probabilities: FloatArray


def log_softmax(logits: npt.NDArray[np.floating]) -> DoubleArray:
    """Natural log of the softmax over the classes, without overflow.

    Args:
        logits: floating [N, C], finite.

    Returns:
        float64 [N, C]; each row's exponentials sum to 1.
    """
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    # The largest term is exp(0) = 1 exactly; summing the others first and taking log1p keeps the digits of a
    # loss near zero, where log(1 + 1e-20) would round to 0.
    others = np.exp(shifted)
    top = shifted.argmax(axis=1)[:, None]
    np.put_along_axis(others, top, 0.0, axis=1)
    result: DoubleArray = shifted - np.log1p(others.sum(axis=1, keepdims=True))
    return result


def score(logits: npt.NDArray[np.floating], labels: LabelArray) -> Scores:
    """Score rows by their given labels.

    Args:
        logits: floating [N, C], finite.
        labels: int32 [N], given labels, each in [0, C).

    Returns:
        The scores of the N rows, in their order.
    """
    log_probabilities = log_softmax(logits)  # float64 [N, C]
    probabilities = np.exp(log_probabilities)  # float64 [N, C]
    given = np.take_along_axis(log_probabilities, labels[:, None].astype(np.int64), axis=1)[:, 0]  # [N]
    predicted = logits.argmax(axis=1)  # [N]
    return Scores(
        # "+ 0.0" turns the -0.0 of a certain row into 0.0
        loss=(-given + 0.0).astype(np.float32),
        self_confidence=np.exp(given).astype(np.float32),
        predicted_label=predicted.astype(np.int32),
        predicted_probability=np.take_along_axis(probabilities, predicted[:, None], axis=1)[:, 0].astype(np.float32),
        probabilities=probabilities.astype(np.float32),
    )


def highest(probabilities: FloatArray, k: int) -> tuple[LabelArray, FloatArray]:
    """The K highest probabilities of each row, the highest first; of equals, the first class.

    Args:
        probabilities: float32 [N, C].
        k: number of probabilities K; C where there are fewer.

    Returns:
        labels: int32 [N, K], their classes.
        values: float32 [N, K].
    """
    labels = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return labels.astype(np.int32), np.take_along_axis(probabilities, labels, axis=1)


def normalized_margin(probabilities: FloatArray, labels: LabelArray) -> FloatArray:
    """How far the given label leads the best other class: (P(given) - max P(other) + 1) / 2; low is suspect.

    Args:
        probabilities: float32 [N, C].
        labels: int32 [N], given labels.

    Returns:
        float32 [N], between 0 and 1; P(other) counts as 0 where there is no other class.
    """
    given = np.take_along_axis(probabilities, labels[:, None].astype(np.int64), axis=1)  # [N, 1]
    others = probabilities.copy()
    np.put_along_axis(others, labels[:, None].astype(np.int64), 0.0, axis=1)
    margin: FloatArray = ((given[:, 0] - others.max(axis=1) + 1) / 2).astype(np.float32)
    return margin


def entropy(probabilities: FloatArray) -> FloatArray:
    """Entropy of the predicted distribution in nats; high is a row the model is unsure of, whatever its label.

    Args:
        probabilities: float32 [N, C].

    Returns:
        float32 [N], between 0 and ln C.
    """
    p = probabilities.astype(np.float64)
    terms = np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0)  # 0 ln 0 = 0
    result: FloatArray = np.maximum(-terms.sum(axis=1), 0.0).astype(np.float32)
    return result
