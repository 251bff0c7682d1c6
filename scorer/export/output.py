"""The model directory that an export writes: what it may replace, and how it appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scorer.errors import OutputError
from scorer.export.onnx.files import DATA_FILE, FP32_DATA_FILE
from scorer.model.model_directory import CONFIG_FILE, CONTRACT_FILE, FP32_FILE, MODEL_FILE, TOKENIZER_FILE
from scorer.model.tuning import TUNING_FILE
from scorer.system.files import (
    FULL,
    cannot_write,
    refuse_undecodable,
    remove,
    remove_leftovers,
    temporary_beside,
    writing,
)
from scorer.system.lock import locked

EXPORTED_FILES = frozenset(
    {MODEL_FILE, DATA_FILE, FP32_FILE, FP32_DATA_FILE, TOKENIZER_FILE, CONFIG_FILE, CONTRACT_FILE, TUNING_FILE}
)

LOCK, REPLACED = ".lock", ".replaced"
CURE = "choose another directory"
# A file system with less room than that is full: what failed there may have failed for that.
FULL_BYTES = 64 * 1024


def check_output(output: Path, *, overwrite: bool) -> None:
    """Refuse an output that holds anything but a model directory that may be replaced.

    Raises:
        OutputError: it holds something else, or a model directory and `overwrite` is not set.
    """
    if not output.exists():
        return
    if not output.is_dir():
        raise OutputError(f"'{output}' is a file. Name a directory to write the model to.")
    names = {file.name for file in output.iterdir()}
    if not names:
        return
    if CONTRACT_FILE not in names:
        raise OutputError(f"'{output}' is not empty and not a model directory. Choose another directory.")
    if not overwrite:
        raise OutputError(f"'{output}' holds a model directory. Give --overwrite to replace it.")
    strangers = sorted(names - EXPORTED_FILES)
    if strangers:
        raise OutputError(
            f"'{output}' holds files that no export wrote ({', '.join(strangers[:4])}), which replacing it would "
            "delete. Move them away, or choose another directory."
        )


@contextlib.contextmanager
def published(output: Path, *, overwrite: bool) -> Iterator[Path]:
    """An empty folder beside the output that takes its place when all went well, and disappears when not.

    One export at a time works on an output. What earlier ones left that were killed is removed, and an output that they
    had moved away is put back.

    Raises:
        OutputError: another export works on it, or it holds something else than a model directory that may be
            replaced, or it cannot be written.
        UsageError: its name is not valid UTF-8.
    """
    refuse_undecodable("OUT", output)
    made = [folder for folder in output.parents if not folder.exists()]  # nearest first
    building, replaced = temporary_beside(output), output.with_name(f".{output.name}{REPLACED}")
    try:
        with writing(output.parent, CURE):
            output.parent.mkdir(parents=True, exist_ok=True)
        lock = output.with_name(f".{output.name}{LOCK}")
        with locked(lock, f"another export is writing to '{output}'", CURE):
            _tidy_up(output, replaced)
            check_output(output, overwrite=overwrite)
            try:
                with writing(output.parent, CURE):
                    building.mkdir()
                with _told_when_full(building, output.parent):
                    yield building
                check_output(output, overwrite=overwrite)  # what was put there meanwhile stays
                with writing(output, CURE):
                    if output.exists():
                        output.rename(replaced)
                    building.rename(output)
            finally:
                remove(building)
                _tidy_up(output, replaced)
    finally:
        if not output.exists():
            for folder in made:
                with contextlib.suppress(OSError):  # not made after all, or someone else's file is in it
                    folder.rmdir()


def _tidy_up(output: Path, replaced: Path) -> None:
    """Put an output back that was moved away for another one that never came; remove what is no longer needed."""
    with writing(output.parent, CURE):
        if replaced.exists() and not output.exists():
            replaced.rename(output)
        remove(replaced)
        remove_leftovers(output, not_mine=True)  # the lock is held, and what is built is gone or not begun


@contextlib.contextmanager
def _told_when_full(folder: Path, place: Path) -> Iterator[None]:
    """Say that there is no space left where writing failed for that: libraries tell it in ways of their own."""
    try:
        yield
    except Exception as error:
        refusal = next((cause for cause in _causes(error) if isinstance(cause, OSError) and cause.errno in FULL), None)
        full = [at for at in (folder, Path(tempfile.gettempdir())) if shutil.disk_usage(at).free < FULL_BYTES]
        if refusal is None and not (full and any(folder.iterdir())):  # nothing was written yet
            raise
        at = place if not full or full[0] == folder else full[0]
        raise cannot_write(at, refusal or OSError(errno.ENOSPC, ""), CURE) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
