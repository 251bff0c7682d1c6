"""From measurements to figures: medians, ratios within a round, agreement with the reference. Prints nothing."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from contenders import EXACT, NOTEBOOK, REFERENCE
from job import LossArray, contender
from rounds import Measured, Record

# The head of the ranking that is compared: so many rows, or this share of them where that is less.
HEAD_ROWS = 500
HEAD_SHARE = 1 / 16
# Losses so near to each other are one loss: as far as fp32 promises a row's loss whatever stands beside it, in nats.
TIE = 1e-5


@dataclasses.dataclass(frozen=True, slots=True)
class Workload:
    """What every contender had to do.

    Attributes:
        rows: number of rows.
        tokens: real tokens of all rows.
        flops: operations that the full model spends on them, or None where its shape is unknown.
        peak_gflops: the machine's best rate of fp32 matrix products, or None where it could not be measured.
    """

    rows: int
    tokens: int
    flops: float | None
    peak_gflops: float | None

    @property
    def head(self) -> int:
        """Rows at the head of the ranking that are compared."""
        return max(1, min(HEAD_ROWS, round(self.rows * HEAD_SHARE)))


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """One contender's figures; times and rates are medians over its rounds.

    Attributes:
        name: the contender's file.
        description: what it is.
        precision: number format of its arithmetic.
        failure: why there are no figures, or fewer rounds than asked for.
        seconds: time of each round.
        load_s: loading and warm-up, not in `seconds`.
        rows_per_s: rate, and the rates of its slowest and fastest round.
        ratio: rate over the notebook's, each round with its own.
        tokens_per_s: real tokens.
        padding_efficiency: real tokens per computed token.
        peak_mib: the most memory of any round.
        useful_gflops: rate of the full model's operations on real tokens.
        peak_share: that rate over the machine's.
        head_overlap: share of the reference's head that its own head holds.
        spearman: Spearman's rho of its losses and the reference's.
        max_loss_difference: largest absolute difference from the reference, in nats.
        exact_overlap: share of scorer fp32's head that its own head holds.
        exact_head: whether its head is scorer fp32's, the same rows in the same order, up to ties.
        versions: of the packages that it needs.
    """

    name: str
    description: str
    precision: str
    failure: str | None
    seconds: tuple[float, ...] = ()
    load_s: float | None = None
    rows_per_s: float | None = None
    rows_per_s_min: float | None = None
    rows_per_s_max: float | None = None
    ratio: float | None = None
    tokens_per_s: float | None = None
    padding_efficiency: float | None = None
    peak_mib: float | None = None
    useful_gflops: float | None = None
    peak_share: float | None = None
    head_overlap: float | None = None
    spearman: float | None = None
    max_loss_difference: float | None = None
    exact_overlap: float | None = None
    exact_head: bool | None = None
    versions: dict[str, str] = dataclasses.field(default_factory=dict)


def summarize(records: Sequence[Record], work: Workload) -> list[Figures]:
    """Figures of every contender, in the order given."""
    by_name = {record.name: record.measured for record in records}
    notebook = {each.round: each.seconds for each in by_name.get(NOTEBOOK, ())}
    reference, exact = (by_name[name][0].losses if by_name.get(name) else None for name in (REFERENCE, EXACT))
    return [
        dataclasses.replace(
            _figures(record, work, notebook),
            **_likeness(record, work.head, reference),
            **_exactness(record, work.head, exact),
        )
        for record in records
    ]


def _figures(record: Record, work: Workload, notebook: dict[int, float]) -> Figures:
    """The figures of speed and memory."""
    module = contender(record.name)
    bare = Figures(record.name, module.DESCRIPTION, module.PRECISION, record.failure)
    if not record.measured:
        return bare
    seconds = tuple(each.seconds for each in record.measured)
    median_s = statistics.median(seconds)
    useful_gflops = None if work.flops is None else work.flops / median_s / 1e9
    return dataclasses.replace(
        bare,
        seconds=seconds,
        load_s=statistics.median(each.load_s for each in record.measured),
        rows_per_s=work.rows / median_s,
        rows_per_s_min=work.rows / max(seconds),
        rows_per_s_max=work.rows / min(seconds),
        ratio=_ratio(record.measured, notebook),
        tokens_per_s=work.tokens / median_s,
        padding_efficiency=record.measured[0].padding_efficiency,
        peak_mib=max(each.peak_bytes for each in record.measured) / 2**20,
        useful_gflops=useful_gflops,
        peak_share=useful_gflops / work.peak_gflops if useful_gflops and work.peak_gflops else None,
        versions=dict(record.measured[0].versions),
    )


def _ratio(measured: Sequence[Measured], notebook: dict[int, float]) -> float | None:
    ratios = [notebook[each.round] / each.seconds for each in measured if each.round in notebook]
    return statistics.median(ratios) if ratios else None


def _likeness(record: Record, head: int, reference: LossArray | None) -> dict[str, Any]:
    """How like the reference's the losses are."""
    if not record.measured or reference is None:
        return {}
    losses = record.measured[0].losses
    rho = pl.select(pl.corr(pl.Series(losses), pl.Series(reference), method="spearman")).item()
    return {
        "head_overlap": len(set(ranked(losses)[:head]) & set(ranked(reference)[:head])) / head,
        "spearman": float(rho) if np.isfinite(rho) else None,
        "max_loss_difference": float(np.abs(losses - reference).max()),
    }


def _exactness(record: Record, head: int, exact: LossArray | None) -> dict[str, Any]:
    """Whether every round's head is scorer fp32's."""
    if not record.measured or exact is None:
        return {}
    overlaps = [len(set(ranked(each.losses)[:head]) & set(ranked(exact)[:head])) / head for each in record.measured]
    return {
        "exact_overlap": min(overlaps),
        "exact_head": all(same_head(each.losses, exact, head) for each in record.measured),
    }


def ranked(losses: LossArray) -> list[int]:
    """Rows by falling loss, ties by row."""
    order: list[int] = np.argsort(-losses, kind="stable").tolist()
    return order


def same_head(losses: LossArray, exact: LossArray, head: int) -> bool:
    """Whether both rankings begin with the same rows in the same order, where rows of a tie may change places.

    Args:
        losses: float64 [N].
        exact: float64 [N].
        head: rows at the head.
    """
    ours, theirs = ranked(losses)[:head], ranked(exact)[:head]
    # Place by place, the row that stands there must have the loss of the row that should.
    return bool((np.abs(exact[ours] - exact[theirs]) <= TIE).all() and (np.abs((losses - exact)[ours]) <= TIE).all())
