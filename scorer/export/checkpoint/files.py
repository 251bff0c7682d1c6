"""Are a checkpoint's files what their names say? Files that cannot be read, and pointers of Git LFS, are told as such.

The libraries that read a pointer call it damaged, and a vocabulary they take for one of three words. Looks at the first
bytes of files in folders; what the hub's client fetched is whole. Imports nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from scorer.errors import ExportError

# How a file begins that stands for one that Git LFS has not fetched.
POINTER = b"version https://git-lfs.github.com/spec/"
# Weights, by the patterns of their names: transformers looks for those of the second where none of the first are there.
WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
TOKENIZER, TOKENIZER_SETTINGS = "tokenizer.json", "tokenizer_config.json"
# What a tokenizer is made of where it has no tokenizer.json.
VOCABULARIES = ("*.model", "vocab.*", "merges.txt")


def check_folder(folder: Path) -> None:
    """Refuse a folder whose files cannot be listed or reached.

    Raises:
        ExportError: it is one.
    """
    try:
        os.listdir(folder)  # noqa: PTH208 — its names alone are asked for
        os.stat(os.path.join(folder, "."))  # noqa: PTH116, PTH118 — pathlib drops the point, which asks for entry
    except OSError as error:
        raise cannot_read(folder, error) from error


def check_file(file: Path) -> None:
    """Refuse a file that cannot be read, or whose content was not fetched; does nothing where there is none.

    Raises:
        ExportError: it is one.
    """
    if not file.is_file():
        return
    try:
        with file.open("rb") as opened:
            beginning = opened.read(len(POINTER))
    except OSError as error:
        raise cannot_read(file, error) from error
    if beginning == POINTER:
        raise ExportError(
            f"'{file}' is a pointer of Git LFS, and the file itself was not fetched. Fetch it with `git lfs pull` in "
            "that folder, or download the checkpoint again."
        )


def check_weights(location: str) -> None:
    """Look at the weights of a folder; does nothing to a hub id.

    Raises:
        ExportError: a file of them cannot be read, or was not fetched.
    """
    for pattern in WEIGHTS:
        if _check_all(Path(location), (pattern,)):
            return


def check_tokenizer(location: str) -> None:
    """Look at the files of a folder's tokenizer; does nothing to a hub id.

    Raises:
        ExportError: a file of them cannot be read, or was not fetched.
    """
    folder = Path(location)
    if not _check_all(folder, (TOKENIZER,)):
        _check_all(folder, VOCABULARIES)
    check_file(folder / TOKENIZER_SETTINGS)


def cannot_read(path: Path, error: OSError) -> ExportError:
    """The refusal of a file or a folder that the system does not give."""
    return ExportError(
        f"cannot read '{path}': {error.strerror or error}. Get the right to read it, or give a copy of the checkpoint."
    )


def _check_all(folder: Path, patterns: Iterable[str]) -> bool:
    """Look at the files of a folder whose names are like one of the patterns; returns whether there are any."""
    found = sorted(file for pattern in patterns for file in folder.glob(pattern) if file.is_file())
    for file in found:
        check_file(file)
    return bool(found)
