"""What corrections say about a ranking: how many labels were wrong, and how dense the head is in them."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence

from scorer.review.answers.corrections import Correction, Verdict
from scorer.review.answers.decisions import Decision

# Depths at which precision is told, as far as people have looked.
DEPTHS = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
Z_95 = 1.959964  # standard normal quantile of a two-sided interval of 95%


@dataclasses.dataclass(frozen=True, slots=True)
class Precision:
    """How many of the first rows of the ranking are errors.

    Attributes:
        k: depth: rows of rank 1 to k.
        decided: rows among them on which people decided.
        wrong: rows among those whose given label is wrong, or that should go.
        low: lower end of the 95% interval (Wilson) of the share of wrong ones.
        high: upper end.
    """

    k: int
    decided: int
    wrong: int
    low: float
    high: float


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """Corrections in numbers.

    Attributes:
        answers: answers read.
        people: people who answered by name.
        rows: rows that people looked at.
        verdicts: rows of each verdict; None counts those on which people disagree without a decision.
        disputed: rows on which people disagree, decided or not.
        precision: precision of the ranking at several depths; empty where answers carry no ranks.
        relabelled: rows by given and corrected label, most first.
    """

    answers: int
    people: int
    rows: int
    verdicts: Counter[Verdict | None]
    disputed: int
    precision: tuple[Precision, ...]
    relabelled: Counter[tuple[str, str]]

    @property
    def decided(self) -> int:
        """Rows on which people decided."""
        return self.verdicts["keep"] + self.wrong

    @property
    def wrong(self) -> int:
        """Rows whose given label is wrong, or that should go."""
        return self.verdicts["relabel"] + self.verdicts["drop"]


def summarize(answers: Sequence[Correction], decisions: Sequence[Decision]) -> Summary:
    """Corrections in numbers.

    Args:
        answers: what people said.
        decisions: what it comes to, row by row.
    """
    relabelled = Counter(
        (decision.first.given_label, decision.label)
        for decision in decisions
        if decision.verdict == "relabel" and decision.label is not None
    )
    return Summary(
        answers=len(answers),
        people=len({answer.annotator for answer in answers if answer.annotator is not None}),
        rows=len(decisions),
        verdicts=Counter(decision.verdict for decision in decisions),
        disputed=sum(decision.disputed for decision in decisions),
        precision=_precision(decisions),
        relabelled=relabelled,
    )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95% interval of a share by Wilson's score method; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, Z_95**2
    center = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return max(center - half, 0.0), min(center + half, 1.0)


def _precision(decisions: Sequence[Decision]) -> tuple[Precision, ...]:
    ranked = [(decision.first.rank, is_wrong(decision)) for decision in decisions]
    decided = [(rank, wrong) for rank, wrong in ranked if rank is not None and wrong is not None]
    if not decided:
        return ()
    deepest = max(rank for rank, _ in decided)
    found = []
    for k in sorted({*(depth for depth in DEPTHS if depth < deepest), deepest}):
        within = [wrong for rank, wrong in decided if rank <= k]
        found.append(Precision(k, len(within), sum(within), *wilson(sum(within), len(within))))
    return tuple(found)


def is_wrong(decision: Decision) -> bool | None:
    """Whether the given label is wrong or the row should go; None where people did not decide."""
    return {"keep": False, "relabel": True, "drop": True}.get(str(decision.verdict))
