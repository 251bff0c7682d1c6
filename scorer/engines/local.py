"""Shards scored in this process, in one stream: the next shard is read while the last is computed."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence

from scorer.pipeline import Stages, score_shards
from scorer.shard_writer import ShardWriter, Written
from scorer.sources import Shard


def score_here(stages: Stages, writer: ShardWriter, shards: Sequence[Shard]) -> Generator[Written]:
    """Score and write shards in order, and tell of each window as it is written."""
    with (
        contextlib.closing(score_shards(stages, shards)) as windows,
        contextlib.closing(writer.write(windows)) as written,
    ):
        yield from written
