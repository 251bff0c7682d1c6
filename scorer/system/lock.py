"""One run at a time in a directory: a lock that dies with its owner.

The lock is `filelock`'s, by which the operating system gives it back the moment its owner ends, however that was. What
the file holds (process, host, time) is for the message alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scorer.errors import OutputError
from scorer.system.files import writing

# An owner that ends removes the file; who had opened it just before tries again for so long.
_PATIENCE_S, _PAUSE_S = 0.2, 0.02


@contextlib.contextmanager
def locked(file: Path) -> Iterator[str | None]:
    """Hold the lock `file` for the block; gives a sentence on the run that died while it held the lock, or None.

    Raises:
        OutputError: another process holds the lock, or the file cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(file, timeout=_PATIENCE_S)
    with writing(file.parent):
        try:
            lock.acquire(poll_interval=_PAUSE_S)
        except Timeout as error:
            raise OutputError(
                f"another run is writing to '{file.parent}' ({_owner(file) or 'it does not say which'}). Wait for it, "
                "or give another --output."
            ) from error
    try:
        died = _owner(file)
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        with contextlib.suppress(OSError):  # a system on which a locked file cannot be written: it names no owner
            file.write_text(json.dumps(owner), encoding="utf-8")
        yield None if died is None else f"An earlier run ({died}) ended before it could tidy up."
    finally:
        # Before the lock is given back, so that nobody can hold it on this file; where an open file cannot be removed,
        # afterwards.
        with contextlib.suppress(OSError):
            file.unlink()
        lock.release()
        with contextlib.suppress(OSError):
            if os.name == "nt":
                file.unlink()


def _owner(file: Path) -> str | None:
    """Who wrote the lock file, or None where it is empty."""
    try:
        owner: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None
