"""From people's answers to one decision per row: who has a voice, what they agree on, and what is left open.

A row is what its id, its text and its given label say. Rows that are alike in all three are one to every reader of
the data: they have one decision, or none where people judged them unlike.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from scorer.errors import DataError
from scorer.review.answers.corrections import Correction, Verdict

OnConflict = Literal["majority", "error", "latest"]
ON_CONFLICT: tuple[OnConflict, ...] = get_args(OnConflict)

# Conflicts that a message names before it only counts them.
CONFLICTS_SHOWN = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What all answers on one row come to, or on several that are alike.

    Attributes:
        answers: the answers that count, one per person and row, in the files' order.
        verdict: what they come to; None where they contradict each other and nothing decides.
        label: the label that the row should have, or None: undecided, unsure or drop.
    """

    answers: tuple[Correction, ...]
    verdict: Verdict | None
    label: str | None

    @property
    def first(self) -> Correction:
        """An answer, for what all answers share: id, text hash, given label."""
        return self.answers[0]

    @property
    def rows(self) -> tuple[int, ...]:
        """Positions of the rows that were judged, in the data of the run."""
        return tuple(sorted({answer.row for answer in self.answers}))

    @property
    def contradictory(self) -> bool:
        """Whether rows that are alike were judged unlike, so that the answers on none of them hold."""
        return self.verdict is None and len(self.rows) > 1

    @property
    def disputed(self) -> bool:
        """Whether people disagree, be it decided or not."""
        return len({_vote(answer) for answer in self.answers}) > 1


def merge(answers: Iterable[Correction], on_conflict: OnConflict = "majority") -> list[Decision]:
    """Bring all answers on each row to one decision.

    Of one person's several answers on a row the latest counts, or the last one read where times are missing. An
    answer without a name is a voice of its own; the same line twice is one. Answers on different rows never vote on
    each other: rows that nothing but their position tells apart are decided each for itself, and the decision stands
    where all come to the same.

    Args:
        answers: what people said, from any number of files.
        on_conflict: what to do where they disagree. "majority": the label, or drop, or unsure, with most voices,
            and no decision on a tie. "latest": the newest answer, and no decision where that is not known.
            "error": stop.

    Returns:
        A decision for every row, in the order in which the rows first appear. Disagreements are those `disputed`.

    Raises:
        DataError: people disagree, and `on_conflict` is "error".
    """
    rows: dict[tuple[str, str, str], dict[int, dict[object, Correction]]] = {}
    for answer in answers:
        voices = rows.setdefault(answer.key, {}).setdefault(answer.row, {})
        person: object = answer if answer.annotator is None else answer.annotator
        earlier = voices.get(person)
        if earlier is None or not _is_older(answer, earlier):
            voices[person] = answer
    decisions = [
        _together([_decide(tuple(voices.values()), on_conflict) for voices in alike.values()])
        for alike in rows.values()
    ]
    disputed = [decision for decision in decisions if decision.disputed]
    if disputed and on_conflict == "error":
        raise DataError(
            f"people disagree on {len(disputed):,} rows:\n{conflict_lines(disputed)}\n"
            "Settle them, or choose with --on-conflict majority or latest."
        )
    return decisions


def conflict_lines(disputed: Sequence[Decision]) -> str:
    """Disagreements as indented lines, the first few of many."""
    lines = []
    for decision in disputed[:CONFLICTS_SHOWN]:
        voices = ", ".join(f"{answer.annotator or 'no name'}: {_vote(answer)}" for answer in decision.answers)
        outcome = "left as it is" if decision.verdict is None else f"→ {decision.label or decision.verdict}"
        if decision.contradictory:
            outcome = (
                f"left as they are: rows {', '.join(map(str, decision.rows))} of the run, which nothing tells apart"
            )
        lines.append(f"  id {decision.first.id} (given {decision.first.given_label}): {voices}; {outcome}")
    if len(disputed) > CONFLICTS_SHOWN:
        lines.append(f"  … and {len(disputed) - CONFLICTS_SHOWN:,} more")
    return "\n".join(lines)


def _together(alike: Sequence[Decision]) -> Decision:
    """One decision for rows that are alike: theirs, where all have the same."""
    answers = tuple(answer for decision in alike for answer in decision.answers)
    outcomes = {(decision.verdict, decision.label) for decision in alike}
    return Decision(answers, *(outcomes.pop() if len(outcomes) == 1 else (None, None)))


def _decide(answers: tuple[Correction, ...], on_conflict: OnConflict) -> Decision:
    votes = Counter(map(_vote, answers))
    winners = [vote for vote, voices in votes.items() if voices == max(votes.values())]
    if len(votes) > 1 and on_conflict == "latest":
        moments = [answer.moment for answer in answers if answer.moment is not None]
        known = len(moments) == len(answers)
        winners = [_vote(answer) for answer in answers if known and answer.moment == max(moments)]
    if len(set(winners)) != 1:
        return Decision(answers, None, None)
    chosen = next(answer for answer in answers if _vote(answer) == winners[0])
    kept = chosen.label == chosen.given_label
    return Decision(answers, "keep" if kept else chosen.verdict, chosen.label)


def _vote(answer: Correction) -> str:
    """What an answer speaks for: a label in quotes, so that no label is taken for a verdict, or unsure or drop."""
    return f"'{answer.label}'" if answer.label is not None else answer.verdict


def _is_older(answer: Correction, other: Correction) -> bool:
    return answer.moment is not None and other.moment is not None and answer.moment < other.moment
