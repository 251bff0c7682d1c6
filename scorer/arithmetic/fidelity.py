"""How well cheap losses keep the ranking of fp32's. Pure functions on arrays; numpy only.

A cheap model (int8, fp16) is judged in the terms of its use: are the same rows suspect, in the same order? Errors
are taken in the log-odds of the given label, where they are of one size for all rows: a loss near 0 hardly moves
when a logit does, a loss of 5 nats moves as much as the logit.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from scorer.arithmetic.scoring import DoubleArray, FloatArray

# The share of rows that counts as the head, and the fewest rows that do.
HEAD_SHARE = 0.01
FEWEST_HEAD_ROWS = 10
# Below these the order of the rows is no longer fp32's, and a run refuses the cheap one.
LOWEST_SPEARMAN = 0.9
LOWEST_HEAD_OVERLAP = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Fidelity:
    """Cheap losses against those of fp32, over N losses.

    Attributes:
        losses: N.
        mean_loss_difference: mean absolute difference in nats.
        max_loss_difference: largest absolute difference in nats.
        max_log_odds_difference: largest absolute difference of the log-odds that the given label is wrong.
        spearman: Spearman's rank correlation.
        head_overlap: share of fp32's head (the highest 1%, at least 10) that is in the cheap head of that size.
        source: where the losses came from.
    """

    losses: int
    mean_loss_difference: float
    max_loss_difference: float
    max_log_odds_difference: float
    spearman: float
    head_overlap: float
    source: str

    @property
    def keeps_the_ranking(self) -> bool:
        """Whether the order is close enough to fp32's to be of use."""
        return self.spearman >= LOWEST_SPEARMAN and self.head_overlap >= LOWEST_HEAD_OVERLAP

    def __str__(self) -> str:
        return (
            f"Spearman's rho {self.spearman:.4f}, {self.head_overlap:.0%} of the head in common, losses within "
            f"{self.max_loss_difference:.2g} nats ({self.losses:,} losses, {self.source})"
        )


def measure_fidelity(cheap: npt.NDArray[np.floating], fp32: npt.NDArray[np.floating], source: str) -> Fidelity:
    """Compare the losses of the same rows.

    Args:
        cheap: floating [N], losses of the cheap model, N at least 1.
        fp32: floating [N], losses of the fp32 model.
        source: where they came from, for the record.
    """
    head = min(len(fp32), max(FEWEST_HEAD_ROWS, math.ceil(HEAD_SHARE * len(fp32))))
    difference = np.abs(cheap.astype(np.float64) - fp32)
    return Fidelity(
        losses=len(fp32),
        mean_loss_difference=float(difference.mean()),
        max_loss_difference=float(difference.max()),
        max_log_odds_difference=float(np.abs(log_odds(cheap) - log_odds(fp32)).max()),
        spearman=spearman(cheap, fp32),
        head_overlap=np.intersect1d(_highest(cheap, head), _highest(fp32, head)).size / head,
        source=source,
    )


def log_odds(loss: npt.NDArray[np.floating]) -> DoubleArray:
    """ln((1 - p) / p) of the given label's probability p = exp(-loss): float64 [N], rising with the loss.

    Args:
        loss: floating [N], in nats, at least 0; a loss of 0 counts as the smallest float32 above it.
    """
    wide = np.maximum(loss.astype(np.float64), np.finfo(np.float32).tiny)
    result: DoubleArray = wide + np.log(-np.expm1(-wide))
    return result


def loss_of_log_odds(odds: float) -> float:
    """The loss in nats whose log-odds these are."""
    return float(np.logaddexp(0.0, odds))


def spearman(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    """Spearman's rank correlation of two arrays [N]; 1 where one of them is constant and so has no order to lose."""
    ranks = [_mean_ranks(values) for values in (first, second)]
    deviations = [rank - rank.mean() for rank in ranks]
    scale = math.sqrt(float((deviations[0] ** 2).sum()) * float((deviations[1] ** 2).sum()))
    return float((deviations[0] * deviations[1]).sum()) / scale if scale else 1.0


def _mean_ranks(values: npt.NDArray[np.floating]) -> DoubleArray:
    """Ranks from 0, equal values sharing their mean: float64 [N]."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: DoubleArray = (ends - (counts + 1) / 2)[inverse]
    return means


def _highest(losses: npt.NDArray[np.floating], count: int) -> npt.NDArray[np.int64]:
    """Positions of the highest losses, ties by position: int64 [count]."""
    return np.argsort(-losses, kind="stable")[:count]


def kth_highest(losses: FloatArray, k: int) -> float:
    """The K-th highest of the losses, the lowest where there are fewer."""
    k = min(k, losses.size)
    return float(np.partition(losses, losses.size - k)[losses.size - k])
