"""What is counted of scored windows: per window, per shard (kept in the shard's own file), and over the run.

Counts add up in any order. So a run that was stopped, or was worked on by several processes, knows of its earlier
shards all that it would know had it scored them itself.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from scorer.pipeline.stages import ScoredWindow
from scorer.tasks.task import Task

# Rows at the head of a run whose given and predicted labels are compared.
HEAD_ROWS = 8_192

_SUMS = ("read", "scored", "distinct", "truncated", "tokens", "padded_tokens", "head_rows")


@dataclasses.dataclass(slots=True)
class Tally:
    """Counts of rows; they add up with `+=`.

    Attributes:
        read: rows read.
        scored: rows with a loss.
        distinct: texts that inference computed.
        truncated: scored rows whose text was cut.
        tokens: real tokens that inference computed.
        padded_tokens: tokens that inference computed, padding included.
        head_rows: rows read that belong to the head of the run.
        reasons: rejected rows by reason.
        confusion: scored rows of the head by given and predicted class.
    """

    read: int = 0
    scored: int = 0
    distinct: int = 0
    truncated: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    head_rows: int = 0
    reasons: Counter[str] = dataclasses.field(default_factory=Counter)
    confusion: Counter[tuple[int, int]] = dataclasses.field(default_factory=Counter)

    @classmethod
    def of(cls, scored: ScoredWindow, task: Task, head_ends: int) -> Tally:
        """Counts of one window; rows before row `head_ends` are the run's head."""
        in_head = scored.records.column("row").to_numpy() < head_ends  # bool [W]
        outputs = scored.outputs
        return cls(
            read=scored.records.num_rows + scored.rejects.num_rows,
            scored=scored.records.num_rows,
            distinct=outputs.texts,
            truncated=int(outputs.truncated.sum()),
            tokens=outputs.tokens,
            padded_tokens=outputs.padded_tokens,
            head_rows=int(in_head.sum() + (scored.rejects.column("row").to_numpy() < head_ends).sum()),
            reasons=Counter(scored.rejects.column("reason").to_pylist()),
            confusion=task.confusion(scored.columns, in_head),
        )

    def __iadd__(self, other: Tally) -> Tally:
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.reasons.update(other.reasons)
        self.confusion.update(other.confusion)
        return self

    @property
    def rejected(self) -> int:
        """Rows that cannot be scored."""
        return self.reasons.total()

    def to_dict(self) -> dict[str, Any]:
        """The counts as plain JSON values."""
        sums: dict[str, Any] = {name: getattr(self, name) for name in _SUMS}
        confusion: Sequence[Sequence[int]] = [[*pair, rows] for pair, rows in sorted(self.confusion.items())]
        return {**sums, "reasons": dict(self.reasons), "confusion": confusion}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Tally:
        """Counts from `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: the document is none.
        """
        confusion = {(int(given), int(predicted)): int(rows) for given, predicted, rows in document["confusion"]}
        sums = {name: int(document[name]) for name in _SUMS}
        return cls(**sums, reasons=Counter(document["reasons"]), confusion=Counter(confusion))
