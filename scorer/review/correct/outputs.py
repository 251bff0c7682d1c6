"""Where corrected data go: the form of the output, and each file's place in it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from scorer.errors import OutputError, UsageError
from scorer.review.correct.rewrite import endings, refuse_another_format
from scorer.sources.formats.columnar import ArrowTable
from scorer.sources.formats.hub import HubTable
from scorer.sources.storage.table import Table
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
    if as_datasets or any(map(_is_saved, tables)):
        return "datasets"
    if len(tables) == len(data) == 1:
        named = _place(data[0]) == _place(tables[0].name)
        if named or (endings(str(output)) == endings(tables[0].name) and not os.path.isdir(data[0])):  # noqa: PTH112
            refuse_another_format(tables[0], output)
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


def _is_saved(table: Any) -> bool:
    """Whether a table belongs to `datasets`: of the hub, or of a folder that it saved."""
    in_saved_folder = isinstance(table, ArrowTable) and Path(table.name).with_name("state.json").is_file()
    return in_saved_folder or isinstance(table, HubTable)
