"""One run at a time in a directory: a lock that dies with its owner.

The lock is the operating system's own lock on a file, so it is gone the moment its owner is, however that ended. What
the file holds (process, host, time) is for the message alone. A file system that knows no locks gives no protection.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from scorer.errors import OutputError
from scorer.system.documents import parse, written
from scorer.system.files import ELSEWHERE, writing

# How long a lock is asked for: an owner that ends takes the file away, and whoever had it open must open it anew.
PATIENCE_S = 0.2
# What a file system that knows no locks answers.
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
# Windows keeps others from reading the byte that is locked, the first. So the owner is written behind a blank.
_LOCKED = b" "


class Owner(msgspec.Struct, frozen=True):
    """Who holds a lock."""

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


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
    died: list[str] = []
    with writing(file.parent, cure):
        release = _acquire(file, died, busy or f"another run is writing to '{file.parent}'", cure)
    try:
        yield f"An earlier run ({died[0]}) ended before it could tidy up." if died else None
    finally:
        with contextlib.suppress(OSError):  # gone with its folder; Windows removes it when it is released
            file.unlink()
        release()


def _acquire(file: Path, died: list[str], busy: str, cure: str) -> Callable[[], None]:
    """Take the lock, and say in `died` who left it behind; returns what gives it back."""
    from filelock import FileLock, Timeout

    def sign(descriptor: int) -> None:
        left = os.read(descriptor, 4096)
        with contextlib.suppress(ValueError):
            died.append(str(parse(left, Owner)))
        owner = Owner(os.getpid(), socket.gethostname(), time.strftime("%Y-%m-%d %H:%M:%S"))
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, _LOCKED + written(owner).encode())

    lock = FileLock(file, thread_local=False, fallback_to_soft=False, on_acquired=sign)
    try:
        lock.acquire(timeout=PATIENCE_S)
    except Timeout as error:
        raise OutputError(f"{busy} ({_owner(file)}). Wait for it, or {cure}.") from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return lock.release


def _owner(file: Path) -> str:
    """Who holds the lock, as far as its file says."""
    try:
        with file.open("rb", buffering=0) as opened:
            opened.seek(len(_LOCKED))
            return str(parse(opened.read(4096), Owner))
    except (OSError, ValueError):
        return "it does not say which"
