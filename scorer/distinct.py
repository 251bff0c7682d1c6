"""One forward pass per distinct text: which texts of a shard were seen before, and where.

Distinctness is counted within a shard, never across shards. So a shard's scores depend on its own rows alone,
whichever shards were scored before it, and memory holds the texts of one shard at most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from scorer.batching import IntArray

# Texts longer than this are remembered by their digest.
LONGEST_KEY = 1_000


class DistinctTexts:
    """Numbers the distinct texts of a shard from 0, in the order of their first appearance."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}

    def __len__(self) -> int:
        """Distinct texts so far."""
        return len(self._numbers)

    def add(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> tuple[IntArray, IntArray]:
        """Number the texts, or pairs of texts, of a window.

        Returns:
            numbers: int64 [W], the number of each text.
            new: int64 [D], positions in the window of the texts that were not seen before, in the order of their
            numbers.
        """
        before = len(self)
        keys = map(_key, texts) if pairs is None else zip(map(_key, texts), map(_key, pairs), strict=True)
        known = self._numbers
        numbers = np.fromiter((known.setdefault(key, len(known)) for key in keys), np.int64, len(texts))
        distinct, first = np.unique(numbers, return_index=True)
        return numbers, first[distinct >= before]


def _key(text: str) -> str | bytes:
    if len(text) <= LONGEST_KEY:
        return text
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
