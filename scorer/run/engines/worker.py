"""A worker process: scores the shards that it is given, one stream of them, and tells of each window.

Started by `processes.py`, it speaks with its parent over a socket, and ends with it, however the parent ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import threading
import traceback
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection
from typing import Any, Literal

from scorer.arithmetic.batching import Batch
from scorer.arithmetic.scoring import FloatArray
from scorer.errors import ScorerError
from scorer.model.classifier import Classifier
from scorer.pipeline.stages import Stages
from scorer.results.shard_writer import ShardWriter, Written
from scorer.run.engines.local import score_here
from scorer.sources import LeftOut, Shard

NEXT: Literal["next"] = "next"  # asks for a shard


def no_progress(rows: int, tokens: int) -> None:
    """The parent counts what is written."""


@dataclasses.dataclass(frozen=True, slots=True)
class NotHere:
    """Stands for a classifier in stages that are sent to another process, where they get one of their own."""

    labels: tuple[str, ...]

    def __call__(self, batch: Batch) -> FloatArray:
        """Nobody asks."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """All that a worker needs to know.

    Attributes:
        stages: the pipeline, with a classifier that is not here.
        make_classifier: makes the classifier.
        writer: writes shards.
        skip_bad_files: leave out what cannot be read.
    """

    stages: Stages
    make_classifier: Callable[[], Classifier]
    writer: ShardWriter
    skip_bad_files: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Finished:
    """A worker has no more to do; it spent so many seconds in each stage."""

    seconds: dict[str, float]


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """A worker ended with an error: one of ours, by its class in `scorer.errors` and its message, or a traceback."""

    kind: type[ScorerError] | None
    message: str


Message = Literal["next"] | Written | LeftOut | Finished | Failed


class _Parent:
    """The socket to the parent; two threads send on it."""

    def __init__(self, connection: Connection[Message, Any]) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def receive(self) -> Any:
        """What the parent sends next."""
        return self._connection.recv()

    def send(self, message: Message) -> None:
        """Tell the parent."""
        with self._sending:
            self._connection.send(message)

    def shards(self) -> Generator[Shard]:
        """The shards that the parent gives, one when the one before is read."""
        while True:
            self.send(NEXT)
            shard: Shard | None = self.receive()
            if shard is None:
                return
            yield shard


def work(parent: _Parent) -> None:
    """Score shards until there is none left."""
    task: Task = parent.receive()
    try:
        stages = dataclasses.replace(task.stages, classifier=task.make_classifier())
        told = score_here(stages, task.writer, parent.shards(), skip_bad_files=task.skip_bad_files)
        with contextlib.closing(told):
            for each in told:
                parent.send(each)
        parent.send(Finished(stages.clock.seconds))
    except ScorerError as error:
        kind = next(each for each in type(error).__mro__ if each.__module__ == ScorerError.__module__)
        parent.send(Failed(kind, str(error)))
    except Exception:
        parent.send(Failed(None, traceback.format_exc()))


def _end_with_parent() -> None:
    """The parent holds the other end of our standard input; it closes when the parent ends."""
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Work for the parent at the other end of the socket that the command line names."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work(_Parent(Connection(int(sys.argv[1]))))
