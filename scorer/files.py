"""Files that are whole or not there, and the system's refusals to write in words for a person."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from scorer.errors import OutputError

# How the name of an unfinished file ends; it begins with a dot.
TEMPORARY = ".tmp"


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A temporary path beside `file` that takes its place when the block ends well, and vanishes otherwise."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}{TEMPORARY}")
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into OutputError."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OutputError(f"cannot write to '{place}': {reason}. Free space or give another --output.") from error


def remove_unfinished(folder: Path) -> None:
    """Remove what a run that died left half-written in a folder."""
    for file in folder.glob(f".*{TEMPORARY}"):
        file.unlink(missing_ok=True)
