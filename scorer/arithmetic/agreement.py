"""Do the labels and the model speak of the same classes? A look at the first thousands of rows; numpy only.

Labels in the wrong order make every loss wrong and no error message. Their trace is plain, though: given and
predicted labels agree no better than chance, or far better once the given labels are renumbered.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# Rows looked at, and so many that shares speak for themselves; with fewer, only what chance would hardly bring about.
MOST_ROWS = 8_192
ENOUGH_ROWS = 50
UNLIKELY = 0.01
# Another order is reported when it agrees on this much more of the rows.
FAR_BETTER = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class Agreement:
    """How given and predicted labels fit together.

    Attributes:
        rows: rows looked at.
        share: share of rows where given and predicted label are equal.
        chance: share expected if they had nothing to do with each other.
        most_by_chance: the same under the order of labels that would bring most.
        best_share: share under the best renumbering of the given labels.
        best_order: int64 [C], for each given label the class that it seems to mean.
    """

    rows: int
    share: float
    chance: float
    most_by_chance: float
    best_share: float
    best_order: npt.NDArray[np.int64]

    @property
    def no_better_than_chance(self) -> bool:
        """Whether the agreement lies within two standard errors of chance; of few rows, far below it."""
        if self.rows < ENOUGH_ROWS:
            return _at_most(self._agreeing, self.rows, self.chance) < UNLIKELY
        spread = np.sqrt(self.chance * (1 - self.chance) / max(self.rows, 1))
        return bool(self.chance < 1 and self.share <= self.chance + 2 * spread)

    @property
    def other_order_far_better(self) -> bool:
        """Whether another order of the labels agrees far better, and of few rows, not by luck among all orders."""
        if self.best_share - self.share < FAR_BETTER:
            return False
        if self.rows >= ENOUGH_ROWS:
            return True
        best = round(self.best_share * self.rows)
        luck = _at_most(self.rows - best, self.rows, 1 - self.most_by_chance)
        return luck == 0 or math.lgamma(len(self.best_order) + 1) + math.log(luck) < math.log(UNLIKELY)

    @property
    def too_few_to_tell(self) -> bool:
        """Whether so few rows were seen that even labels that have nothing to do with the model could agree so."""
        if self.rows >= ENOUGH_ROWS or self.no_better_than_chance or self.other_order_far_better:
            return False
        return _at_most(self.rows - self._agreeing, self.rows, 1 - self.chance) >= UNLIKELY

    @property
    def _agreeing(self) -> int:
        return round(self.share * self.rows)

    def warning(self, names: Sequence[str]) -> str | None:
        """What a person should be told, or None when labels and model fit.

        Args:
            names: the C class names of the model.
        """
        if self.other_order_far_better:
            moved = [
                f"  {names[given]!r} -> {names[meant]!r}"
                for given, meant in enumerate(self.best_order)
                if given != meant
            ]
            more = [f"  … and {len(moved) - 20} more"] if len(moved) > 20 else []
            return "\n".join(
                [
                    f"the labels look misordered: given and predicted label agree on {self.share:.1%} of the first "
                    f"{self.rows:,} rows, but on {self.best_share:.1%} with the given labels read as follows. "
                    "Check the order of the classes, and give it with --label-map FILE:",
                    *moved[:20],
                    *more,
                ]
            )
        if self.no_better_than_chance:
            return (
                f"the model agrees with the labels on {self.share:.1%} of the first {self.rows:,} rows, no better "
                f"than chance ({self.chance:.1%}). Is this the right model for these labels, and was it trained?"
            )
        return None


def measure_agreement(counts: npt.NDArray[np.int64]) -> Agreement:
    """Agreement of given and predicted labels, as they are and under the best order found.

    The order is a greedy assignment: the fullest cell of the table first, each row and column once.

    Args:
        counts: int64 [C, C], rows by given and predicted label.
    """
    classes = len(counts)
    rows = int(counts.sum())
    order = np.full(classes, -1, dtype=np.int64)
    taken = np.zeros(classes, dtype=bool)
    for cell in np.argsort(-counts, axis=None, kind="stable"):
        given, predicted = divmod(int(cell), classes)
        if counts[given, predicted] == 0:
            break
        if order[given] < 0 and not taken[predicted]:
            order[given], taken[predicted] = predicted, True
    unset = np.flatnonzero(order < 0)  # classes without evidence keep their place where they can
    for given in unset.tolist():
        if not taken[given]:
            order[given], taken[given] = given, True
    free = iter(np.flatnonzero(~taken).tolist())
    for given in np.flatnonzero(order < 0).tolist():
        order[given] = next(free)
    total = max(rows, 1)
    share_given, share_predicted = counts.sum(1) / total, counts.sum(0) / total
    return Agreement(
        rows=rows,
        share=float(np.trace(counts)) / total,
        chance=float(share_given @ share_predicted),
        most_by_chance=float(np.sort(share_given) @ np.sort(share_predicted)),
        best_share=float(counts[np.arange(classes), order].sum()) / total,
        best_order=order,
    )


def _at_most(successes: int, trials: int, chance: float) -> float:
    """The probability of so many successes or fewer."""
    chance = min(max(chance, 0.0), 1.0)
    return sum(
        math.comb(trials, count) * chance**count * (1 - chance) ** (trials - count) for count in range(successes + 1)
    )
