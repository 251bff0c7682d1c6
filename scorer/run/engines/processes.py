"""Shards scored in several processes, on one device each. The parent gives out shards and counts what is written.

A worker that dies (killed, out of memory) is replaced, and its shards are scored once more; if they bring down another
worker, the run ends and names them. Rows never pass through the parent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Generator, Iterable, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from scorer.errors import WorkerError
from scorer.listener import Listener
from scorer.results.counts import Tally
from scorer.results.shard_writer import Written
from scorer.run.engines.engine import Work
from scorer.run.engines.worker import NEXT, Finished, Message, Orders
from scorer.sources import LeftOut, Shard
from scorer.system.clock import Clock
from scorer.system.files import remove_unfinished

# What a worker runs; its module must not be its main module, or its messages would be of classes that nobody knows.
_MAIN = "from scorer.run.engines.worker import main; main()"
# How often a shard may bring down its worker.
MOST_DEATHS = 2


class WorkerProcesses:
    """The engine of several processes on this machine.

    Args:
        workers: processes at most.
        threads: threads of all together.
        clock: receives the seconds spent per stage, those of all workers together.
        folders: where shards are written; what ended workers leave unfinished there is removed.
    """

    def __init__(self, workers: int, threads: int, clock: Clock, folders: Sequence[Path]) -> None:
        self._workers, self._threads, self._clock, self._folders = workers, threads, clock, folders

    def score(self, work: Work, shards: Sequence[Shard], listener: Listener) -> Generator[Written | LeftOut]:
        """Score and write shards, and tell of each as it is done, in any order.

        Raises:
            ScorerError: what a worker met.
            WorkerError: a shard brought down two workers.
        """
        workers = min(self._workers, len(shards))
        crew = Crew(work, workers=workers, threads=max(1, self._threads // workers), listener=listener)
        try:
            yield from crew.score(shards)
        finally:
            for folder in self._folders:
                remove_unfinished(folder)
        for stage, seconds in crew.seconds.items():
            self._clock.add(stage, seconds)


class _Worker:
    """A worker process, as the parent sees it.

    Attributes:
        connection: speaks with it.
        shards: what it has in hand, by index, with the counts so far.
        began: whether it asked for a shard yet.
    """

    def __init__(self, threads: int) -> None:
        ours, theirs = Pipe()
        self.connection: Connection[Any, Message] = ours
        self.shards: dict[int, tuple[Shard, Tally]] = {}
        self.began = False
        # The libraries' own threads, and the package wherever the parent found it.
        environment = {
            **os.environ,
            "RAYON_NUM_THREADS": str(threads),
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path]),
        }
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 — ourselves
                [sys.executable, "-c", _MAIN, str(theirs.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=environment,
                start_new_session=True,  # an interrupt of the terminal is the parent's matter
            )

    def send(self, what: Orders | Shard | None) -> None:
        """Send the orders, a shard, or that there is no more."""
        with contextlib.suppress(BrokenPipeError):  # noticed when it is listened to
            self.connection.send(what)

    def end(self) -> str:
        """End the process; returns how it ended, in words."""
        self.connection.close()
        assert self._process.stdin is not None  # noqa: S101 — for the type checker
        self._process.stdin.close()
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if code >= 0:
            return f"exit code {code}"
        return f"killed by {signal.Signals(-code).name}" + (" — out of memory?" if -code == signal.SIGKILL else "")


class Crew:
    """Workers that share the shards of a run.

    Args:
        work: what to do with a shard.
        workers: number of workers.
        threads: threads of each.
        listener: hears of deaths and progress.
    """

    def __init__(self, work: Work, *, workers: int, threads: int, listener: Listener) -> None:
        self._work, self._count, self._threads, self._listener = work, workers, threads, listener
        self._workers: dict[int, _Worker] = {}
        self._deaths: Counter[int] = Counter()
        self.seconds: Counter[str] = Counter()

    def score(self, shards: Sequence[Shard]) -> Generator[Written | LeftOut]:
        """Score and write shards, and tell of each as it is done, in any order.

        Raises:
            ScorerError: what a worker met.
            WorkerError: a shard brought down two workers.
        """
        waiting = deque(shards)
        try:
            self._start(range(min(self._count, len(shards))))
            while self._workers:
                ready = wait([worker.connection for worker in self._workers.values()])
                for number, worker in list(self._workers.items()):
                    if worker.connection in ready:
                        yield from self._hear(number, worker, waiting)
        finally:
            for worker in self._workers.values():
                worker.end()

    def _hear(self, number: int, worker: _Worker, waiting: deque[Shard]) -> Generator[Written | LeftOut]:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            self._replace(number, worker, waiting)
            return
        if message == NEXT:
            worker.began = True
            shard = waiting.popleft() if waiting else None
            if shard is not None:
                worker.shards[shard.index] = (shard, Tally())
            worker.send(shard)
        elif isinstance(message, Written):
            shard, tally = worker.shards[message.shard.index]
            tally += message.tally
            self._listener.advanced(message.tally.read, message.tally.tokens)
            if message.ends_shard:
                del worker.shards[shard.index]
                yield dataclasses.replace(message, tally=tally)
        elif isinstance(message, LeftOut):
            assert message.shard is not None  # noqa: S101 — for the type checker
            shard, tally = worker.shards.pop(message.shard)
            self._listener.advanced(-tally.read, -tally.tokens)
            if not message.ends_shard:  # it begins anew
                worker.shards[shard.index] = (shard, Tally())
            yield message
        elif isinstance(message, Finished):
            self.seconds.update(message.seconds)
            worker.end()
            del self._workers[number]
        elif message.kind is None:
            raise RuntimeError(f"a worker failed:\n{message.message}")
        else:
            raise message.kind(message.message)

    def _replace(self, number: int, worker: _Worker, waiting: deque[Shard]) -> None:
        """Another worker for one that died; what it had in hand waits again."""
        how = worker.end()
        del self._workers[number]
        lost = list(worker.shards.values())
        for shard, tally in reversed(lost):
            self._deaths[shard.index] += 1
            self._listener.advanced(-tally.read, -tally.tokens)
            waiting.appendleft(shard)
        where = ", ".join(self._where(shard) for shard, _ in lost)
        if not worker.began:
            raise WorkerError(f"a worker process died before it began ({how}). Run with --workers 1 to see why.")
        if any(self._deaths[shard.index] >= MOST_DEATHS for shard, _ in lost):
            raise WorkerError(
                f"a worker process died ({how}), and so did another before it on the same shards ({where}). Fewer "
                "--workers, a smaller --max-batch-tokens or --max-length take less memory."
            )
        if lost:
            self._listener.warning(f"a worker process died ({how}); its shards are scored again: {where}.")
        if waiting:
            self._start([number])

    def _where(self, shard: Shard) -> str:
        """Where a shard begins."""
        first, *others = shard.spans
        more = f" and {len(others):,} files more" if others else ""
        return f"'{self._work.source.tables[first.table].name}' from row {first.start:,} on{more}"

    def _start(self, numbers: Iterable[int]) -> None:
        """Start workers side by side; each reads its orders when it is ready."""
        started = {number: _Worker(self._threads) for number in numbers}
        self._workers.update(started)
        for number, worker in started.items():
            worker.send(Orders(self._work, number, self._threads))
