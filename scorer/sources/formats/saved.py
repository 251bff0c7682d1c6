"""Folders that `datasets` saved (save_to_disk), read without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scorer.errors import DataError, UsageError


def chosen_split(path: Path, split: str | None) -> str:
    """The split of a saved DatasetDict that is asked for, or its only one.

    Raises:
        UsageError: there is no such split, or there are several to choose from.
        DataError: the folder is damaged.
    """
    splits: list[str] = _read_json(path / "dataset_dict.json").get("splits", [])
    if split is None and len(splits) == 1:
        return splits[0]
    if split is None or split not in splits:
        asked = f"no split '{split}'" if split else "several splits"
        raise UsageError(f"'{path}' has {asked}. Choose with --split: {', '.join(splits)}.")
    return split


def saved_files(path: Path) -> list[str]:
    """The files of a saved data set, in the order of its rows.

    Raises:
        DataError: the folder is damaged, or holds a selection of rows that is not spelled out.
    """
    state = _read_json(path / "state.json")
    if state.get("_indices_data_files"):
        raise DataError(
            f"'{path}' is a saved selection of another data set's rows. Save it whole with: "
            "dataset.flatten_indices().save_to_disk(...)"
        )
    try:
        names = [str(entry["filename"]) for entry in state.get("_data_files", [])]
    except (TypeError, KeyError) as error:
        raise DataError(f"cannot read '{path / 'state.json'}': it is not the JSON that `datasets` writes.") from error
    if not names:
        raise DataError(f"'{path}' is a saved data set without data files.")
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise DataError(f"'{path / 'state.json'}' names a file outside its folder: '{outside[0]}'.")
    absent = [name for name in names if not (path / name).is_file()]
    if absent:
        raise DataError(f"'{path}' is a saved data set, but its file '{absent[0]}' does not exist. Save it again.")
    return [str(path / name) for name in names]


def _read_json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read '{file}': {error}.") from error
    if not isinstance(document, dict):
        raise DataError(f"cannot read '{file}': it holds no JSON object.")
    return document
