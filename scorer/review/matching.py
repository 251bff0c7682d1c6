"""Which rows of the data a decision is about: by id, or by text hash, never by position.

A row whose id is known but whose text is another is refused, and so is one whose label is neither the label that
was judged nor the right one: somebody changed the row since, and the answer may no longer hold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import pyarrow as pa

from scorer.labels import LabelEncoder
from scorer.review.corrections import text_hash
from scorer.review.decisions import Decision

FoundBy = Literal["id", "text hash"]


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A row of the data that a decision may be about.

    Attributes:
        row: position in the data, from 0.
        id: its id, or its position where there is no id column.
        text_hash: hash of its text as it is now.
        label: name of its label as it is now, or None where it has none of the model's.
    """

    row: int
    id: str
    text_hash: str
    label: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """A decision and the rows that it is about.

    Attributes:
        decision: what people decided.
        rows: the rows; several where a text stands in the data more than once.
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
        encoder: how the data's labels are read.
        label_names: the model's C class names, in its order.
        by_id: whether the data has an id column; without one, ids are positions and tell nothing.
    """

    def __init__(
        self, decisions: Sequence[Decision], encoder: LabelEncoder, label_names: Sequence[str], *, by_id: bool
    ) -> None:
        self._decisions = decisions
        self._encoder = encoder
        self._label_names = label_names
        self._ids = {decision.first.id for decision in decisions} if by_id else set()
        self._hashes = {decision.first.text_hash for decision in decisions}
        self._by_id: dict[str, list[Candidate]] = {}
        self._by_hash: dict[str, list[Candidate]] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at rows in the source schema."""
        ids, texts = batch.column("id").to_pylist(), batch.column("text").to_pylist()
        pairs = batch.column("text_pair").to_pylist() if "text_pair" in batch.schema.names else None
        for position, (row_id, text) in enumerate(zip(ids, texts, strict=True)):
            pair = None if pairs is None else pairs[position]
            known = text_hash(text or "", pair if pairs is None else pair or "")
            if row_id in self._ids or known in self._hashes:
                label = self._encoder.encode_value(batch.column("label")[position].as_py())
                name = self._label_names[label] if label >= 0 else None
                row = Candidate(batch.column("row")[position].as_py(), row_id, known, name)
                self._by_hash.setdefault(known, []).append(row)
                self._by_id.setdefault(row_id, []).append(row)

    def matches(self) -> list[Match]:
        """Every decision with its rows."""
        found = [self._find(decision) for decision in self._decisions]
        return _without_contradictions(found)

    def _find(self, decision: Decision) -> Match:
        judged = decision.first
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
    now = f"'{rows[0].label}'" if rows[0].label is not None else "none of the model's"
    return Match(decision, rows, found_by, f"its label is {now} now, it was '{decision.first.given_label}' when judged")


def _without_contradictions(found: Iterable[Match]) -> list[Match]:
    """Refuse what sends a row to two labels: rows of one text, told apart by nothing, that were judged unlike.

    A row found by its id is not swayed by a like text elsewhere.
    """
    matches = list(found)
    settled = {row.row for match in matches if match.found_by == "id" for row in match.rows}
    outcomes: dict[int, set[tuple[str | None, str | None]]] = {}
    for index, match in enumerate(matches):
        if match.found_by == "text hash" and match.refused is None:
            rows = tuple(row for row in match.rows if row.row not in settled)
            matches[index] = dataclasses.replace(match, rows=rows)
            for row in rows:
                outcomes.setdefault(row.row, set()).add(_outcome(match.decision))
    return [
        dataclasses.replace(match, refused="rows with its text were judged differently, and no id tells them apart")
        if match.refused is None and any(len(outcomes.get(row.row, ())) > 1 for row in match.rows)
        else match
        for match in matches
    ]


def _outcome(decision: Decision) -> tuple[str | None, str | None]:
    return (None, decision.label) if decision.label is not None else (decision.verdict, None)


def spelled_labels(encoder: LabelEncoder, counts: Mapping[str | None, int]) -> dict[int, str]:
    """How the data writes each of the model's classes: as its rows do most often, else as its labels are read.

    Args:
        encoder: how the data's labels are read.
        counts: every label of the data with its number of rows.

    Returns:
        A label, in the data's own spelling, for every class index that the data can express.
    """
    by_rows = sorted(encoder.table, key=lambda label: -counts.get(label, 0))
    spelled: dict[int, str] = {}
    for label in by_rows:
        if (index := encoder.table[label]) >= 0:
            spelled.setdefault(index, label)
    return spelled
