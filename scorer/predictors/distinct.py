"""Deduplication of texts: one forward pass for each distinct text of a shard.

Texts are told apart by a digest of 128 bits, so that what is remembered of each is small, whatever its length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scorer.arithmetic.batching import IntArray

Digests = npt.NDArray[np.bytes_]  # S16

# Texts that are remembered at a time: some 40 MB for a few classes.
MOST_TEXTS = 2**20
# Logits that are remembered at a time; with thousands of classes there is room for fewer texts.
MOST_LOGITS = 2**25


def most_texts(classes: int) -> int:
    """Texts of a model of C classes that are remembered at a time."""
    return max(1, min(MOST_TEXTS, MOST_LOGITS // classes))


def digests(texts: Sequence[str], pairs: Sequence[str] | None = None) -> Digests:
    """What stands for each text, or pair of texts: S16 [W]."""
    if pairs is not None:
        texts = [f"{len(first)} {first}{second}" for first, second in zip(texts, pairs, strict=True)]
    return np.frombuffer(b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts), "S16")


class DistinctTexts:
    """Numbers distinct texts from 0, in the order of their first appearance."""

    def __init__(self) -> None:
        self._numbers = np.empty(0, np.int32)
        self._digests: Digests = np.empty(0, "S16")  # sorted

    def __len__(self) -> int:
        """Distinct texts so far."""
        return self._digests.size

    def add(self, texts: Digests) -> tuple[IntArray, IntArray]:
        """Number the texts of a window, S16 [W].

        Returns:
            numbers: int64 [W], the number of each text.
            new: int64 [D], positions in the window of the texts that were not seen before, in the order of their
            numbers.
        """
        distinct, first, inverse = np.unique(texts, return_index=True, return_inverse=True)
        at = np.searchsorted(self._digests, distinct)
        known = np.zeros(distinct.size, dtype=np.bool_)
        inside = at < len(self)
        known[inside] = self._digests[at[inside]] == distinct[inside]
        numbers = np.empty(distinct.size, dtype=np.int64)
        numbers[known] = self._numbers[at[known]]
        new = np.sort(first[~known])
        numbers[~known] = len(self) + np.searchsorted(new, first[~known])
        self._digests = np.insert(self._digests, at[~known], distinct[~known])
        self._numbers = np.insert(self._numbers, at[~known], numbers[~known])  # int32
        return numbers[inverse], new
