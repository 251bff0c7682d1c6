"""Batches through a classifier, several side by side, and the rows that a cheap number format could not compute."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from scorer.batching import Batch
from scorer.classifier import Classifier, finite
from scorer.scoring import FloatArray


def infer(classifier: Classifier, batches: Sequence[Batch], streams: int) -> Generator[tuple[Batch, FloatArray]]:
    """Batches and their logits, float32 [B, C], in order; `streams` of them are computed at a time."""
    with ThreadPoolExecutor(streams, thread_name_prefix="scorer-infer") as pool:
        answers = [pool.submit(classifier, batch) for batch in batches]
        try:
            for batch, answer in zip(batches, answers, strict=True):
                yield batch, answer.result()
        finally:
            for answer in answers:
                answer.cancel()


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
            ModelError: there is no fp32 classifier, or its logits are not finite either.
        """
        bad = np.logical_not(np.isfinite(logits).all(axis=1))
        if bad.any() and self._make is not None:
            self._classifier = self._classifier or self._make()
            logits = logits.copy()
            logits[bad] = self._classifier(batch.take(bad))
        return finite(logits), bad
