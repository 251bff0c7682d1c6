"""Shards scored in this process, in one stream: the next shard is read while the last is computed."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterable, Iterator

from scorer.listener import Listener
from scorer.pipeline.loop import score_shards
from scorer.pipeline.stages import Stages
from scorer.predictors.predictor import Predictor
from scorer.results.shard_writer import ShardWriter, Written
from scorer.run.engines.engine import Work
from scorer.sources import LeftOut, Shard, UnreadableError, without_unreadable
from scorer.system.clock import Clock


class ThisProcess:
    """The engine of one process.

    Args:
        predictor: the model, open already.
        clock: receives the seconds spent per stage.
    """

    def __init__(self, predictor: Predictor, clock: Clock) -> None:
        self._predictor, self._clock = predictor, clock

    def score(self, work: Work, shards: Iterable[Shard], listener: Listener) -> Generator[Written | LeftOut]:
        """Score and write shards in order."""
        stages = Stages(work.source, work.task, self._predictor, work.window_rows, self._clock, listener.advanced)
        return score_here(stages, work.writer, shards, skip_bad_files=work.skip_bad_files)


def score_here(
    stages: Stages,
    writer: ShardWriter,
    shards: Iterable[Shard],
    *,
    skip_bad_files: bool,
) -> Generator[Written | LeftOut]:
    """Score and write shards in order, and tell of each window as it is written, and of all rows that are left out.

    A shard in which some rows cannot be read begins anew without them.

    Args:
        stages: the parts of the loop.
        writer: writes shards.
        shards: what to score.
        skip_bad_files: leave out what cannot be read.

    Raises:
        UnreadableError: a shard cannot be read, and `skip_bad_files` is not set.
    """
    left: Iterator[Shard] = iter(shards)  # taken from one by one, so that what follows upon a bad shard is still there
    while True:
        try:
            with (
                contextlib.closing(score_shards(stages, left)) as windows,
                contextlib.closing(writer.write(windows)) as written,
            ):
                yield from written
            return
        except UnreadableError as error:
            if not skip_bad_files:
                raise
            readable = without_unreadable(stages.source, error)
            yield from readable.left_out
            left = itertools.chain([readable] if readable.spans else [], left)
