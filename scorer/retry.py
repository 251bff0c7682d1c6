"""A batch that fails is tried again in halves: what was too large passes; a text at fault stands alone in the end."""

from __future__ import annotations

import dataclasses

import numpy as np

from scorer.batching import Batch
from scorer.classifier import Classifier
from scorer.errors import ModelError
from scorer.scoring import FloatArray


class FailedTextError(ModelError):
    """Inference fails on one text alone.

    Attributes:
        position: its place among the texts that the batch's `rows` count.
    """

    def __init__(self, position: int, error: ModelError) -> None:
        super().__init__(str(error))
        self.position = position


@dataclasses.dataclass(frozen=True, slots=True)
class Retrying:
    """A classifier that tries a failed batch again in halves.

    Attributes:
        classifier: the classifier to ask.
    """

    classifier: Classifier

    @property
    def labels(self) -> tuple[str, ...]:
        """The C class names, in the order of the logits' columns."""
        return self.classifier.labels

    def __call__(self, batch: Batch) -> FloatArray:
        """Logits of the batch: float32 [B, C].

        Raises:
            FailedTextError: a text fails alone.
        """
        try:
            return self.classifier(batch)
        except ModelError as error:
            if batch.rows.size == 1:
                raise FailedTextError(int(batch.rows[0]), error) from error
        middle = batch.rows.size // 2
        return np.concatenate([self(batch.part(0, middle)), self(batch.part(middle, batch.rows.size))])
