"""Batches through a classifier, several side by side, retried where memory ran out.

A batch that does not fit into memory is retried in halves. Any other failure is the end, and names its rows: a graph
that fails on a batch may well give other answers for parts of it. A row whose logits are not finite, as happens in
float16, is retried in fp32 where there is such a classifier.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from scorer.arithmetic.batching import Batch
from scorer.arithmetic.scoring import FloatArray
from scorer.errors import ModelError
from scorer.model.classifier import Classifier, OutOfMemoryError, finite

T = TypeVar("T")
# What to do about a row whose logits are not finite in fp32 either.
OVERFLOW = (
    "Its weights are damaged, or too large for such texts: check the checkpoint, and leave these rows out if "
    "it is sound."
)


class FailedTextsError(ModelError):
    """Inference fails on one text, or on several of a batch.

    Attributes:
        positions: their places among the texts that the batch's `rows` count.
    """

    def __init__(self, positions: Sequence[int], error: ModelError) -> None:
        super().__init__(str(error))
        self.positions = tuple(positions)


class Careful:
    """A classifier with retries, which tells which rows another computed.

    Args:
        classifier: the classifier to ask.
        make_fp32: makes a classifier of the same model in fp32, when the first row needs it; None where there is none.
    """

    def __init__(self, classifier: Classifier, make_fp32: Callable[[], Classifier] | None = None) -> None:
        self._classifier, self._make_fp32 = classifier, make_fp32
        self._fp32: Classifier | None = None
        self._making = threading.Lock()

    def __call__(self, batch: Batch) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Logits of the batch, float32 [B, C], all finite, and which rows were computed in fp32 instead, bool [B].

        Raises:
            FailedTextsError: a text does not fit into memory alone, or texts fail otherwise.
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
        except OutOfMemoryError as error:
            if batch.rows.size == 1:
                raise FailedTextsError(batch.rows.tolist(), error) from error
        except ModelError as error:
            raise FailedTextsError(_alone_at_fault(classifier, batch), error) from error
        middle = batch.rows.size // 2
        halves = (batch.take(slice(middle)), batch.take(slice(middle, None)))
        return np.concatenate([self._in_parts(classifier, half) for half in halves])

    def _again(self, batch: Batch, logits: FloatArray) -> FloatArray:
        if self._make_fp32 is not None:
            with self._making:
                self._fp32 = self._fp32 or self._make_fp32()
            logits = self._in_parts(self._fp32, batch)
        try:
            return finite(logits, OVERFLOW)
        except ModelError as error:
            bad = ~np.isfinite(logits).all(axis=1)
            raise FailedTextsError(batch.rows[bad].tolist(), error) from error


def _alone_at_fault(classifier: Classifier, batch: Batch) -> list[int]:
    """The rows of a failed batch that fail alone as well, or all of them where none does."""
    at_fault = []
    for row in range(batch.rows.size):
        try:
            classifier(batch.take(slice(row, row + 1)))
        except ModelError:
            at_fault.append(int(batch.rows[row]))
    return at_fault or batch.rows.tolist()


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
