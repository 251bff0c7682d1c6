"""An iterator that runs ahead in a thread of its own, so that one stage of the pipeline hides behind the next."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
from collections.abc import Generator
from typing import TypeVar

# Items that wait between two stages; one is enough to keep the next stage busy.
DEPTH = 1

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


def prefetch(items: Generator[T], depth: int = DEPTH, *, stopped: threading.Event | None = None) -> Generator[T]:
    """Run an iterator in a thread, at most `depth` items ahead.

    An exception of the iterator is raised here, at the place where its item would have come. Closing the
    returned iterator sets `stopped`, which a slow iterator may look at, and waits for the thread to end.
    """
    ready: queue.Queue[T | _End] = queue.Queue(depth)
    stopped = stopped or threading.Event()

    def put(item: T | _End) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    break
        except BaseException as caught:
            error = caught
        finally:
            items.close()
        put(_End(error))

    thread = threading.Thread(target=work, daemon=True, name="scorer-prefetch")
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        thread.join()
