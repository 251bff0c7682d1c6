"""One run at a time in a directory: a lock that dies with its owner.

The lock is the operating system's own lock on a file, so it is gone the moment its owner is, however that ended. What
the file holds (process, host, time) is for the message alone. A file system that knows no locks gives no protection.
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
from scorer.files import ELSEWHERE, writing


@contextlib.contextmanager
def locked(file: Path, busy: str | None = None, cure: str = ELSEWHERE) -> Iterator[str | None]:
    """Hold the lock `file` for the block; gives a sentence on the run that died while it held the lock, or None.

    Args:
        file: the lock.
        busy: what to say where another process holds it; None says that a run is writing to the file's folder.
        cure: what to do then, other than to wait.

    Raises:
        OutputError: another process holds the lock, or the file cannot be written.
    """
    with writing(file.parent, cure):
        descriptor = _acquire(file, busy or f"another run is writing to '{file.parent}'", cure)
    try:
        died = _owner(file)
        with writing(file.parent, cure):
            os.ftruncate(descriptor, 0)
            owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
            os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        yield None if died is None else f"An earlier run ({died}) ended before it could tidy up."
    finally:
        with contextlib.suppress(OSError):  # gone with its folder
            file.unlink()
        os.close(descriptor)


def _acquire(file: Path, busy: str, cure: str) -> int:
    """A descriptor of the file that holds its lock."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor, file, busy, cure)
            # The owner before may have removed the file between our opening and our locking it.
            if os.fstat(descriptor).st_ino == os.stat(file).st_ino:  # noqa: PTH116 — beside fstat
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, file: Path, busy: str, cure: str) -> None:
    try:
        import fcntl
    except ImportError:  # a system without POSIX locks
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(f"{busy} ({_owner(file) or 'it does not say which'}). Wait for it, or {cure}.") from error
    except OSError:  # this file system knows no locks
        return


def _owner(file: Path) -> str | None:
    """Who wrote the lock file, or None where it is empty."""
    try:
        owner: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None
