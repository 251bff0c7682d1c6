"""The model directory that an export writes: what it may replace, and how it appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from scorer.errors import OutputError
from scorer.export.onnx.files import DATA_FILE, EXACT_DATA_FILE
from scorer.model.model_directory import CONFIG_FILE, CONTRACT_FILE, EXACT_FILE, MODEL_FILE, TOKENIZER_FILE
from scorer.model.tuning import TUNING_FILE
from scorer.system.files import refuse_undecodable

EXPORTED_FILES = frozenset(
    {MODEL_FILE, DATA_FILE, EXACT_FILE, EXACT_DATA_FILE, TOKENIZER_FILE, CONFIG_FILE, CONTRACT_FILE, TUNING_FILE}
)


def check_output(output: Path, *, overwrite: bool) -> None:
    """Refuse an output that holds anything but a model directory that may be replaced.

    Raises:
        OutputError: it holds something else, or a model directory and `overwrite` is not set.
        UsageError: its name is not valid UTF-8.
    """
    refuse_undecodable("OUTPUT", output)
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
def published(output: Path) -> Iterator[Path]:
    """An empty sibling of the output that takes its place when all went well, and disappears when not.

    Raises:
        OutputError: it cannot be made, or cannot take the output's place.
    """
    made = [folder for folder in output.parents if not folder.exists()]  # nearest first
    building = output.with_name(f".{output.name}.{os.getpid()}.building")
    replaced = output.with_name(f".{output.name}.{os.getpid()}.replaced")
    try:
        try:
            building.mkdir(parents=True)
        except OSError as error:
            raise OutputError(f"cannot write to '{output.parent}': {error.strerror}.") from error
        yield building
        try:
            if output.exists():
                output.rename(replaced)
            building.rename(output)
        except OSError as error:
            raise OutputError(f"cannot move the finished model to '{output}': {error.strerror}.") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
        if replaced.exists() and not output.exists():
            replaced.rename(output)
        shutil.rmtree(replaced, ignore_errors=True)
        if not output.exists():
            for folder in made:
                with contextlib.suppress(OSError):  # not made after all, or someone else's file is in it
                    folder.rmdir()
