"""Files and folders that are whole or not there, and the system's refusals to write in words for a person."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from scorer.errors import OutputError, UsageError

# How the name of an unfinished file or folder ends; it begins with a dot.
TEMPORARY = ".tmp"
# Bytes of the final name that an unfinished one repeats: with what follows it is a name that every file system takes.
NAME_BYTES = 100

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
ELSEWHERE = "give another --output"
# What to do about a refusal of the system, where the reason alone does not say it.
_CURES = {
    **dict.fromkeys(FULL, f"Free space or {ELSEWHERE}"),
    errno.EFBIG: f"Larger files are not allowed there; {ELSEWHERE}",
    **dict.fromkeys((errno.EACCES, errno.EPERM), f"Get the right to write there, or {ELSEWHERE}"),
    errno.EROFS: f"Nothing can be written there; {ELSEWHERE}",
    errno.ENAMETOOLONG: f"Give it a shorter name, or {ELSEWHERE}",
    errno.ENOENT: "A folder of this path does not exist, or a link leads nowhere; check the path",
    errno.ENOTDIR: f"A part of this path is a file and no folder; {ELSEWHERE}",
    **dict.fromkeys((errno.EEXIST, errno.ENOTEMPTY), f"Something else has that name; move it away or {ELSEWHERE}"),
    errno.EISDIR: f"A folder has that name; move it away or {ELSEWHERE}",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "Too many files are open; raise the limit (ulimit -n)"),
    errno.EIO: f"The disk or the way to it fails; {ELSEWHERE}",
}


def refuse_undecodable(what: str, path: Path | None) -> None:
    """Refuse a name that is not valid UTF-8: names are written into results, as UTF-8.

    Raises:
        UsageError: it is none; `what` says which option or argument it was given for.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(str(path)).decode("utf-8", "replace")
        raise UsageError(f"the name '{shown}' ({what}) is not valid UTF-8. Give another name.") from error


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A temporary path beside `file` that takes its place when the block ends well, and vanishes otherwise."""
    temporary = temporary_beside(file)
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def making_folder(folder: Path) -> Iterator[Path]:
    """A new temporary folder beside `folder` that takes its name when the block ends well, and vanishes otherwise."""
    temporary = temporary_beside(folder)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def writing(place: Path, cure: str = ELSEWHERE) -> Iterator[None]:
    """Turn the operating system's refusal to write into OutputError, with what can be done about it.

    Args:
        place: where.
        cure: what to do where nothing else helps.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(place, error, cure) from error


def cannot_write(place: Path, error: OSError, cure: str = ELSEWHERE) -> OutputError:
    """What to say of the operating system's refusal to write.

    Args:
        place: where.
        error: the refusal.
        cure: what to do where nothing else helps.
    """
    reason = os.strerror(error.errno) if error.errno else str(error)
    said = _CURES.get(error.errno or 0, f"Check the path, or {ELSEWHERE}").replace(ELSEWHERE, cure)
    return OutputError(f"cannot write to '{place}': {reason}. {said}.")


def remove_unfinished(folder: Path) -> None:
    """Remove what a run that died left half-written in a folder."""
    for path in folder.glob(f".*{TEMPORARY}"):
        remove(path)


def remove_leftovers(place: Path, *, not_mine: bool = False) -> None:
    """Remove what processes of this machine that are no more left half-written beside a file or folder of that name.

    Args:
        place: the file or folder.
        not_mine: whether this process is certain to write nothing there: then what bears its number was left by an
            earlier one, as in containers, where whoever comes next has the number of whoever died.
    """

    def alive(process: int) -> bool:
        return not (not_mine and process == os.getpid()) and _is_running(process)

    beginning = _beginning(place)
    for path in place.parent.glob(f".*{TEMPORARY}"):
        process = re.fullmatch(r"[0-9a-f]+\.(\d+)", path.name.removeprefix(beginning).removesuffix(TEMPORARY))
        if path.name.startswith(beginning) and process is not None and not alive(int(process[1])):
            remove(path)


def temporary_beside(place: Path) -> Path:
    """A name of its own for whoever writes: two processes, or a new one after a killed one, never meet."""
    return place.with_name(f"{_beginning(place)}{secrets.token_hex(4)}.{os.getpid()}{TEMPORARY}")


def _beginning(place: Path) -> str:
    name = os.fsencode(place.name)[:NAME_BYTES].decode("utf-8", "ignore")
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:32]
    return f".{name}.{host}-"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
