"""Batches through a classifier, several side by side, with a second try for what fails.

A batch that fails is tried again in halves: what was too large passes, and a text at fault stands alone in the end. A
row whose logits are not finite, as happens in float16, is computed again in fp32 where there is such a classifier.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from scorer.batching import Batch
from scorer.classifier import Classifier, finite
from scorer.errors import ModelError
from scorer.scoring import FloatArray

T = TypeVar("T")


class FailedTextError(ModelError):
    """Inference fails on one text alone.

    Attributes:
        position: its place among the texts that the batch's `rows` count.
    """

    def __init__(self, position: int, error: ModelError) -> None:
        super().__init__(str(error))
        self.position = position


class Careful:
    """A classifier that tries again, and tells which rows another computed.

    Args:
        classifier: the classifier to ask.
        make_exact: makes a classifier of the same model in fp32, when the first row needs it; None where there is none.
    """

    def __init__(self, classifier: Classifier, make_exact: Callable[[], Classifier] | None = None) -> None:
        self._classifier, self._make_exact = classifier, make_exact
        self._exact: Classifier | None = None
        self._making = threading.Lock()

    def __call__(self, batch: Batch) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Logits of the batch, float32 [B, C], all finite, and which rows were computed in fp32 instead, bool [B].

        Raises:
            FailedTextError: a text fails alone.
        """
        logits = self._in_parts(self._classifier, batch)
        bad = np.logical_not(np.isfinite(logits).all(axis=1))
        if bad.any():
            logits = logits.copy()
            logits[bad] = self._again(batch.take(bad), logits[bad])
        return logits, bad

    def _in_parts(self, classifier: Classifier, batch: Batch) -> FloatArray:
        try:
            return classifier(batch)
        except ModelError as error:
            if batch.rows.size == 1:
                raise FailedTextError(int(batch.rows[0]), error) from error
        middle = batch.rows.size // 2
        halves = (batch.take(slice(middle)), batch.take(slice(middle, None)))
        return np.concatenate([self._in_parts(classifier, half) for half in halves])

    def _again(self, batch: Batch, logits: FloatArray) -> FloatArray:
        if self._make_exact is not None:
            with self._making:
                self._exact = self._exact or self._make_exact()
            logits = self._in_parts(self._exact, batch)
        try:
            return finite(logits)
        except ModelError as error:
            first = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
            raise FailedTextError(int(batch.rows[first]), error) from error


def infer(classifier: Callable[[Batch], T], batches: Sequence[Batch], streams: int) -> Generator[tuple[Batch, T]]:
    """Batches and what the classifier makes of them, in order; `streams` of them are computed at a time."""
    with ThreadPoolExecutor(streams, thread_name_prefix="scorer-infer") as pool:
        answers = [pool.submit(classifier, batch) for batch in batches]
        try:
            for batch, answer in zip(batches, answers, strict=True):
                yield batch, answer.result()
        finally:
            for answer in answers:
                answer.cancel()
