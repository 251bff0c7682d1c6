"""What is counted of scored windows: per window, per shard (kept in the shard's own file), and over the run.

Counts add up in any order. So a run that was stopped, or was worked on by several processes, knows of its earlier
shards all that it would know had it scored them itself.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping

import msgspec
import numpy as np

from scorer.arithmetic.agreement import Agreement, measure_agreement
from scorer.pipeline.stages import ScoredWindow
from scorer.sources import LeftOut, Shard

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
    def of(cls, scored: ScoredWindow, head_ends: int) -> Tally:
        """Counts of one window; rows before row `head_ends` are the run's head."""
        window = scored.window
        in_head = window.records.column("row").to_numpy() < head_ends  # bool [W]
        pairs = zip(window.labels[in_head].tolist(), scored.scores.predicted_label[in_head].tolist(), strict=True)
        return cls(
            read=window.records.num_rows + window.rejects.num_rows,
            scored=window.records.num_rows,
            distinct=window.new_lengths.size,
            truncated=int(window.truncated.sum()),
            tokens=window.tokens,
            padded_tokens=window.padded_tokens,
            head_rows=int(in_head.sum() + (window.rejects.column("row").to_numpy() < head_ends).sum()),
            reasons=Counter(window.rejects.column("reason").to_pylist()),
            confusion=Counter(pairs),
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

    def agreement(self, classes: int) -> Agreement:
        """How given and predicted labels of the head fit together, among so many classes."""
        counts = np.zeros((classes, classes), dtype=np.int64)  # [C given, C predicted]
        for (given, predicted), rows in self.confusion.items():
            counts[given, predicted] = rows
        return measure_agreement(counts)


class ShardCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished shard says of itself, in the metadata of its scores; see `Tally` for the counts.

    Attributes:
        first_row: first row of the shard as it was planned.
        left_out: planned rows that could not be read.
        confusion: scored rows of the head: given class, predicted class, rows.
    """

    first_row: int
    left_out: tuple[LeftOut, ...]
    read: int
    scored: int
    distinct: int
    truncated: int
    tokens: int
    padded_tokens: int
    head_rows: int
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
