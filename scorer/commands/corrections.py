"""`scorer corrections` and `scorer apply`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scorer.review.decisions import Decision


def conflicts(decisions: Sequence[Decision]) -> list[str]:
    """Disagreements for a person: how many, and the first of them."""
    from scorer.display import visible
    from scorer.review.decisions import conflict_lines

    disputed = [decision for decision in decisions if decision.disputed]
    if not disputed:
        return []
    ties = sum(decision.verdict is None for decision in disputed)
    lines = conflict_lines(disputed).split("\n")
    return [f"People disagree on {len(disputed):,} rows; on {ties:,} of them nothing decides:", *map(visible, lines)]
