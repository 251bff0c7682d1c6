"""Batches through a classifier, several side by side, and what is done about those that fail."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from scorer.batching import Batch
from scorer.classifier import Classifier, finite
from scorer.errors import ModelError
from scorer.scoring import FloatArray


class FailedTextError(ModelError):
    """Inference fails on one text.

    Attributes:
        position: its place among the texts that the batch's `rows` count.
    """

    def __init__(self, position: int, error: ModelError) -> None:
        super().__init__(str(error))
        self.position = position


def infer(classifier: Classifier, batches: Sequence[Batch], streams: int) -> Generator[tuple[Batch, FloatArray]]:
    """Batches and their logits, float32 [B, C], in order; `streams` of them are computed at a time."""
    with ThreadPoolExecutor(streams, thread_name_prefix="scorer-infer") as pool:
        answers = [pool.submit(answered, classifier, batch) for batch in batches]
        try:
            for batch, answer in zip(batches, answers, strict=True):
                yield batch, answer.result()
        finally:
            for answer in answers:
                answer.cancel()


def answered(classifier: Classifier, batch: Batch) -> FloatArray:
    """Logits of the batch: float32 [B, C]. One that fails is tried again in halves, until a text fails alone.

    Raises:
        FailedTextError: a text fails alone.
    """
    try:
        return classifier(batch)
    except ModelError as error:
        half = batch.rows.size // 2
        if not half:
            raise FailedTextError(int(batch.rows[0]), error) from error
    return np.concatenate([answered(classifier, batch.take(part)) for part in (slice(half), slice(half, None))])


class Mender:
    """Computes rows again in fp32 whose logits are not finite, as happens in float16.

    Args:
        make: makes the fp32 classifier, when the first such row comes; None where there is none.
    """

    def __init__(self, make: Callable[[], Classifier] | None) -> None:
        self._make = make
        self._classifier: Classifier | None = None

    def mended(self, batch: Batch, logits: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Logits [B, C] that are all finite, and which rows were computed again, bool [B].

        Raises:
            FailedTextError: there is no fp32 classifier, or its logits are not finite either.
        """
        bad = np.logical_not(np.isfinite(logits).all(axis=1))
        if bad.any() and self._make is not None:
            self._classifier = self._classifier or self._make()
            logits = logits.copy()
            logits[bad] = self._classifier(batch.take(bad))
        try:
            return finite(logits), bad
        except ModelError as error:
            first = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
            raise FailedTextError(int(batch.rows[first]), error) from error
