"""What several contenders would write alike: batches of sorted rows, and the loss. Numpy only, nothing of scorer's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def sorted_batches(lengths: npt.NDArray[np.int64], batch_tokens: int) -> list[npt.NDArray[np.int64]]:
    """Rows by falling length, cut so that rows x longest stays within the budget: int64 [B] each."""
    order = np.argsort(-lengths, kind="stable")
    batches = []
    while order.size:
        size = max(1, batch_tokens // int(lengths[order[0]]))
        batches.append(order[:size])
        order = order[size:]
    return batches


def padded(rows: Sequence[Sequence[int]], pad_token_id: int) -> npt.NDArray[np.int64]:
    """Token ids of some rows side by side: int64 [B, T]."""
    longest = max(len(row) for row in rows)
    return np.array([[*row, *[pad_token_id] * (longest - len(row))] for row in rows], dtype=np.int64)


def cross_entropy(logits: npt.NDArray[np.floating], labels: Sequence[int]) -> npt.NDArray[np.float64]:
    """Cross-entropy of each row's label in nats: float64 [N], from logits [N, C]."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(wide).sum(axis=1))
    losses: npt.NDArray[np.float64] = log_sums - wide[np.arange(len(labels)), np.asarray(labels)]
    return losses
