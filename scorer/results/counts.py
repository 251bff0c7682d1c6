"""What is counted of scored windows: per window, per shard (kept in the shard's own file), and over the run.

Counts add up in any order. So a run that was stopped, or was worked on by several processes, knows of its earlier
shards all that it would know had it scored them itself.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping

import msgspec

from scorer.pipeline.stages import ScoredWindow
from scorer.sources import LeftOut, Shard
from scorer.tasks.task import Task

# Rows at the beginning of a run whose given and predicted labels are compared.
FIRST_ROWS = 8_192

_SUMS = ("read", "scored", "distinct", "truncated", "tokens", "padded_tokens", "first_rows")


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
        first_rows: rows read that are among the run's first.
        reasons: rejected rows by reason.
        confusion: scored rows among the first by given and predicted class.
    """

    read: int = 0
    scored: int = 0
    distinct: int = 0
    truncated: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    first_rows: int = 0
    reasons: Counter[str] = dataclasses.field(default_factory=Counter)
    confusion: Counter[tuple[int, int]] = dataclasses.field(default_factory=Counter)

    @classmethod
    def of(cls, scored: ScoredWindow, task: Task, first_ends: int) -> Tally:
        """Counts of one window; rows before row `first_ends` are the run's first."""
        among_first = scored.records.column("row").to_numpy() < first_ends  # bool [W]
        outputs = scored.outputs
        return cls(
            read=scored.records.num_rows + scored.rejects.num_rows,
            scored=scored.records.num_rows,
            distinct=outputs.texts,
            truncated=int(outputs.truncated.sum()),
            tokens=outputs.tokens,
            padded_tokens=outputs.padded_tokens,
            first_rows=int(among_first.sum() + (scored.rejects.column("row").to_numpy() < first_ends).sum()),
            reasons=Counter(scored.rejects.column("reason").to_pylist()),
            confusion=task.confusion(scored.columns, among_first),
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


class ShardCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished shard says of itself, in the metadata of its scores; see `Tally` for the counts.

    Attributes:
        first_row: first row of the shard as it was planned.
        left_out: planned rows that could not be read.
        confusion: scored rows among the first: given class, predicted class, rows.
    """

    first_row: int
    left_out: tuple[LeftOut, ...]
    read: int
    scored: int
    distinct: int
    truncated: int
    tokens: int
    padded_tokens: int
    first_rows: int
    reasons: Mapping[str, int]
    confusion: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, shard: Shard, tally: Tally) -> ShardCounts:
        """The counts of a shard that is scored."""
        return cls(
            first_row=shard.first_row,
            left_out=shard.left_out,
            **{name: getattr(tally, name) for name in _SUMS},
            reasons=tally.reasons,
            confusion=tuple((*pair, rows) for pair, rows in sorted(tally.confusion.items())),
        )

    @property
    def tally(self) -> Tally:
        """The counts, to add up."""
        return Tally(
            **{name: getattr(self, name) for name in _SUMS},
            reasons=Counter(self.reasons),
            confusion=Counter({(given, predicted): rows for given, predicted, rows in self.confusion}),
        )
