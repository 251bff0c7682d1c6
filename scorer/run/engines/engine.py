"""What an engine must offer: shards in, told of what was written or left out, in any order.

A finished file is a finished shard, and a shard's files are the same to the last bit whoever scores it. Rows never pass
through the caller.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from scorer.listener import Listener
from scorer.predictors.predictor import Predictor
from scorer.results.shard_writer import ShardWriter, Written
from scorer.sources import LeftOut, Shard, Source
from scorer.tasks.task import Task


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """All that it takes to score shards anywhere; it can be sent to other processes.

    Attributes:
        source: where rows come from.
        task: how their labels are read, and what a row's loss is.
        make_predictor: opens the model, for the worker of this number (from 0) of so many threads.
        writer: writes shards.
        window_rows: rows that pass through the model together.
        skip_bad_files: leave out what cannot be read.
    """

    source: Source
    task: Task
    make_predictor: Callable[[int, int], Predictor]
    writer: ShardWriter
    window_rows: int
    skip_bad_files: bool


class Engine(Protocol):
    """Where shards are scored."""

    def score(self, work: Work, shards: Sequence[Shard], listener: Listener) -> Generator[Written | LeftOut]:
        """Score and write shards, and tell of windows as they are written, and of all rows that are left out.

        A shard in which some rows cannot be read begins anew without them, once this was told.

        Args:
            work: what to do with a shard.
            shards: those that are not done yet.
            listener: hears of progress and of workers that died.

        Raises:
            ScorerError: a shard cannot be read and `skip_bad_files` is not set, or cannot be written, or inference
                failed.
        """
        ...
