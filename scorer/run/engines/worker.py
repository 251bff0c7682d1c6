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
from collections.abc import Generator
from multiprocessing.connection import Connection
from typing import Any, Literal

from scorer.errors import ScorerError
from scorer.listener import Silence
from scorer.results.shard_writer import Written
from scorer.run.engines.engine import Work
from scorer.run.engines.local import ThisProcess
from scorer.sources import LeftOut, Shard
from scorer.system.clock import Clock

NEXT: Literal["next"] = "next"  # asks for a shard


@dataclasses.dataclass(frozen=True, slots=True)
class Orders:
    """All that a worker needs to know.

    Attributes:
        work: what to do with a shard.
        number: the worker's, from 0.
        threads: threads that it may use.
    """

    work: Work
    number: int
    threads: int


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
    orders: Orders = parent.receive()
    try:
        clock = Clock()
        engine = ThisProcess(orders.work.make_predictor(orders.number, orders.threads), clock)
        told = engine.score(orders.work, parent.shards(), Silence())  # the parent counts what is written
        with contextlib.closing(told):
            for each in told:
                parent.send(each)
        parent.send(Finished(clock.seconds))
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
