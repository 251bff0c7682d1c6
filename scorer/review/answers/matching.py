"""Which rows of the data a decision is about: those of its id, its text and its given label; never by position.

Where the data has no such id, the text and the label say it. Rows that are alike in all of it are judged together.
A row whose id is known but whose text is another is refused, and so is one whose label is neither the label that
was judged nor the right one: somebody changed the row since, and the answer may no longer hold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from scorer.review.answers.corrections import text_hash
from scorer.review.answers.decisions import Decision

FoundBy = Literal["id", "text hash"]


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A row that a decision may be about.

    Attributes:
        row: position in the data, from 0.
        id: its id, or its position where there is no id column.
        text_hash: hash of its text as it is now.
        label: name of its label as it is now, or None where it has none of the model's.
        written: its label as the data write it, or None where it has none.
    """

    row: int
    id: str
    text_hash: str
    label: str | None
    written: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """A decision and the rows that it is about.

    Attributes:
        decision: what people decided.
        rows: the rows; several where the data holds rows that nothing tells apart.
        found_by: what told them apart from all others; None where no row was found.
        refused: why the decision changes nothing, for a person; None where it stands.
    """

    decision: Decision
    rows: tuple[Candidate, ...]
    found_by: FoundBy | None
    refused: str | None = None


class Candidates:
    """Collects the rows that decisions may be about while the data passes by once.

    Args:
        decisions: what people decided.
        by_id: whether the data has an id column; without one, ids are positions and tell nothing.
    """

    def __init__(self, decisions: Sequence[Decision], *, by_id: bool) -> None:
        self._decisions = decisions
        self._ids = {decision.first.id for decision in decisions} if by_id else set()
        self._hashes = {decision.first.text_hash for decision in decisions}
        self._by_id: dict[str, list[Candidate]] = {}
        self._by_hash: dict[str, list[Candidate]] = {}

    def add(
        self,
        rows: Sequence[int],
        *,
        ids: Sequence[str],
        texts: Sequence[str | None],
        pairs: Sequence[str | None] | None,
        labels: Sequence[str | None],
        written: Sequence[str | None],
    ) -> None:
        """Look at N rows.

        Args:
            rows: their positions in the data [N].
            ids: their ids [N].
            texts: their texts [N].
            pairs: their second texts [N], or None where they have none.
            labels: names of their labels [N], None where a row has none of the model's.
            written: their labels as the data write them [N].
        """
        for place, (row_id, text) in enumerate(zip(ids, texts, strict=True)):
            known = text_hash(text or "", None if pairs is None else pairs[place] or "")
            if row_id in self._ids or known in self._hashes:
                row = Candidate(rows[place], row_id, known, labels[place], written[place])
                self._by_hash.setdefault(known, []).append(row)
                self._by_id.setdefault(row_id, []).append(row)

    def matches(self) -> list[Match]:
        """Every decision with its rows."""
        found = [self._find(decision) for decision in self._decisions]
        return _without_contradictions(found)

    def _find(self, decision: Decision) -> Match:
        judged = decision.first
        if decision.contradictory:
            rows = ", ".join(f"{row:,}" for row in decision.rows)
            reason = f"rows {rows} of the run have the same id, text and label, and were judged differently"
            return Match(decision, (), None, reason)
        named = self._by_id.get(judged.id, []) if judged.id in self._ids else []
        same = tuple(row for row in named if row.text_hash == judged.text_hash)
        if same:
            return _checked(decision, same, "id")
        # an id that is only a position in the data of the run says nothing about another copy of it
        if named and judged.id != str(judged.row):
            return Match(decision, (), None, "its text has changed since it was judged")
        alike = tuple(self._by_hash.get(judged.text_hash, ()))
        if not alike:
            reason = "its text has changed since it was judged" if named else "no row has its id or its text"
            return Match(decision, (), None, reason)
        return _checked(decision, alike, "text hash")


def _checked(decision: Decision, rows: tuple[Candidate, ...], found_by: FoundBy) -> Match:
    """The match with the rows that carry the label that was judged, or the right one already."""
    for label in (decision.first.given_label, decision.label):
        if carrying := tuple(row for row in rows if row.label == label and label is not None):
            return Match(decision, carrying, found_by)
    now = " or ".join(sorted({"none of the model's" if row.label is None else f"'{row.label}'" for row in rows}))
    return Match(decision, rows, found_by, f"its label is {now} now, it was '{decision.first.given_label}' when judged")


def _without_contradictions(matches: Sequence[Match]) -> list[Match]:
    """Refuse what sends a row to two labels: rows that were judged unlike and that nothing tells apart in the data.

    A row found by its id is not swayed by a like text elsewhere.
    """
    standing = [match for match in matches if match.refused is None]
    settled = {row.row for match in standing if match.found_by == "id" for row in match.rows}
    found = [_without_rows(match, settled) if match.found_by == "text hash" else match for match in matches]
    outcomes: dict[int, set[tuple[str | None, str | None]]] = {}
    for match in found:
        if match.refused is None:
            for row in match.rows:
                outcomes.setdefault(row.row, set()).add(_outcome(match.decision))
    return [
        dataclasses.replace(match, refused=_INDISTINCT[match.found_by or "id"])
        if match.refused is None and any(len(outcomes[row.row]) > 1 for row in match.rows)
        else match
        for match in found
    ]


_INDISTINCT = {
    "id": "rows with its id and text were judged differently, and nothing tells them apart",
    "text hash": "rows with its text were judged differently, and no id tells them apart",
}


def _without_rows(match: Match, settled: set[int]) -> Match:
    """The match without rows that others are about, by their id."""
    if match.refused is not None:
        return match
    rows = tuple(row for row in match.rows if row.row not in settled)
    refused = None if rows else "the rows with its text have other ids, and answers of their own"
    return dataclasses.replace(match, rows=rows, refused=refused)


def _outcome(decision: Decision) -> tuple[str | None, str | None]:
    return (None, decision.label) if decision.label is not None else (decision.verdict, None)
