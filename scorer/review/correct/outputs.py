"""Where corrected data go: the form of the output, each file's place in it, and a file in its place."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from scorer.errors import OutputError, UsageError
from scorer.sources.storage.edits import Edits
from scorer.sources.storage.table import Table
from scorer.sources.storage.text_stream import COMPRESSIONS
from scorer.system.files import replacing, writing
from scorer.system.urls import is_url, without_secrets

Form = Literal["datasets", "file", "folder"]

_WILDCARD = re.compile(r"[*?\[]")


def output_form(data: Sequence[str], tables: Sequence[Table], output: Path, *, as_datasets: bool) -> Form:
    """What the output will be: the form in which the data came, unless another is asked for.

    Args:
        data: the data as the user named them.
        tables: the files that they are.
        output: the output.
        as_datasets: whether a folder of `datasets` is asked for.

    Raises:
        OutputError: there is something of that name.
        UsageError: one file would become another format.
    """
    if os.path.lexists(output):
        raise OutputError(f"'{output}' exists already. Give another --output.")
    if as_datasets or any(table.of_datasets for table in tables):
        return "datasets"
    if len(tables) == len(data) == 1:
        named = _place(data[0]) == _place(tables[0].name)
        if named or (_endings(str(output)) == _endings(tables[0].name) and not os.path.isdir(data[0])):  # noqa: PTH112
            _refuse_another_format(tables[0], output)
            return "file"
    return "folder"


def places(data: Sequence[str], tables: Sequence[Table]) -> list[Path]:
    """Where each file goes in the output's folder: where it lies below the deepest folder that holds all data.

    Args:
        data: the data as the user named them: files, folders and globs.
        tables: the files that they are.

    Raises:
        UsageError: a file was given twice.
    """
    names = [_place(table.name) for table in tables]
    if twice := [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []:
        raise UsageError(f"the data hold '{twice[0]}' twice. Give each file once.")
    roots = [_root(_place(item), names).split("/") for item in data]
    depth = 0
    while all(len(root) > depth for root in roots) and len({root[depth] for root in roots}) == 1:
        depth += 1
    return [Path(*name.split("/")[depth:]) for name in names]


def rewrite(table: Table, output: Path, edits: Edits) -> None:
    """Write a table with changes, in the form in which it came, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    with writing(output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
    with writing(output), replacing(output) as temporary:
        table.rewrite(temporary, edits)


def _root(place: str, names: Sequence[str]) -> str:
    """The folder that an item of the data speaks of: itself, that of the file, or that above the first wildcard."""
    if place in names:
        return place.rpartition("/")[0]
    folder = place.rstrip("/")
    if any(name.startswith(folder + "/") for name in names):
        return folder
    return _WILDCARD.split(place)[0].rpartition("/")[0]


def _place(name: str) -> str:
    """A name in one spelling: an absolute path, or a URL without secrets."""
    return without_secrets(name) if is_url(name) else os.path.abspath(name)  # noqa: PTH100 — links are not followed


def _endings(name: str) -> str:
    """The suffix of a file's name, with the one before it where the last only says how it is compressed."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    return "".join(suffixes[-2:] if suffixes and suffixes[-1] in COMPRESSIONS else suffixes[-1:])


def _refuse_another_format(table: Table, output: Path) -> None:
    """Refuse an output whose name says another format than the table has.

    Raises:
        UsageError: with the ending that fits.
    """
    if _endings(str(output)) != _endings(table.name):
        raise UsageError(
            f"the data is '{table.name}', and the output '{output}' would be another format. Give a name that ends in "
            f"{_endings(table.name)}, or --as-datasets for a folder that `datasets` loads."
        )
