"""Which files of a folder are data: not what scorer wrote there, nor what stands beside the data of a hub clone."""

from __future__ import annotations

import fnmatch
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from scorer import schema
from scorer.errors import DataError
from scorer.sources.formats.formats import FORMATS, format_of
from scorer.sources.formats.saved import saved_files

# Names of files with the suffix of a data format that are none, and what they are.
_METADATA = "what `datasets` and the hub say of data"
_MODEL = "parts of a model"
_NO_DATA: tuple[tuple[str, str], ...] = (
    ("dataset_info.json", _METADATA),
    ("dataset_infos.json", _METADATA),
    ("dataset_dict.json", _METADATA),
    ("state.json", _METADATA),
    ("croissant*.json", _METADATA),
    ("cache-*.arrow", "what `datasets` derived from data"),
    ("scorer.json", _MODEL),
    ("*config.json", _MODEL),
    ("config_*.json", _MODEL),
    ("tokenizer.json", _MODEL),
    ("special_tokens_map.json", _MODEL),
    ("added_tokens.json", _MODEL),
    ("vocab.json", _MODEL),
    ("modules.json", _MODEL),
    ("chat_template.json", _MODEL),
    ("*.index.json", _MODEL),
    ("trainer_state.json", _MODEL),
    ("*_results.json", _MODEL),
    ("package.json", "what belongs to a program"),
    ("package-lock.json", "what belongs to a program"),
)
_RESULTS = "results of scorer"
_OF_A_RUN = {schema.RANKED_FILE, schema.REJECTS_FILE, schema.RUN_FILE, schema.MANIFEST_FILE}
_FOLDERS_OF_A_RUN = {schema.SCORES_DIRECTORY, schema.RESCORED_DIRECTORY, schema.REJECTS_DIRECTORY}
# How the manifest and the report of a run begin.
_RUN_MARKS = {
    schema.MANIFEST_FILE: rb'\{"format_version": \d+, "fingerprint": ',
    schema.RUN_FILE: rb'\{\s*"output": [^\n]*\s*"counts": \{\s*"read": ',
}
# How other files begin that are no data, and what they are.
_MARKS: tuple[tuple[str, bytes, str], ...] = (
    (r"\.jsonl?$", rb'[^\n]*"scorer_corrections"', "corrections"),
    (r"\.jsonl?$", rb'(?=[^\n]*"text_hash")[^\n]*"verdict"', "corrections"),
    (r"\.json$", rb'\s*\{\s*"@context"', _METADATA),
    (r"\.csv$", rb'(\xef\xbb\xbf)?"?rank"?,"?row"?,"?id"?,"?source_file"?,', "the head of a ranking"),
)
_MARK_BYTES = 8_192
# Formats of tables that are not read; a folder that holds any says so.
_OTHER_TABLES = (".xlsx", ".xls", ".ods", ".pkl", ".pickle", ".zip", ".sqlite", ".db", ".orc", ".avro", ".h5", ".npz")
# Names that a message lists.
MOST_NAMED = 3


class Passed:
    """Files of a folder that are passed over, by the reason."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    def add(self, reason: str, name: str) -> None:
        """A file, or a folder of them."""
        self._names.setdefault(reason, set()).add(name)

    def __str__(self) -> str:
        return "; ".join(f"{_listed(names)} ({reason})" for reason, names in self._names.items())


def data_files(folder: Path, own: Path | None, notify: Callable[[str], None]) -> list[str]:
    """The data files in a folder and the folders in it, by name; what is passed over is said.

    Args:
        folder: the folder.
        own: a file that the user gave another part, such as a label map.
        notify: hears what is passed over.

    Raises:
        DataError: there is none.
    """
    passed, others, found = Passed(), Counter[str](), list[str]()
    for directory, names in _folders(folder):
        if {"state.json", "dataset_info.json"} <= set(names):
            found += saved_files(directory)
            continue
        is_run = _is_run(directory, names)
        for name in names:
            if name.startswith("."):
                continue  # hidden: caches and unfinished files
            file = directory / name
            if format_of(name) is None:
                others[Path(name).suffix.lower()] += 1
                if not Path(name).suffix and not name.isupper():  # README, LICENSE and the like
                    passed.add("whose name has no suffix that tells a format", str(file.relative_to(folder)))
            elif reason := _no_data(file, names, own, is_run=is_run):
                whole = is_run and reason == _RESULTS and directory != folder
                passed.add(reason, str((directory if whole else file).relative_to(folder)))
            elif file.is_file() or file.is_symlink():  # a link to nothing is a file that cannot be read
                found.append(str(file))
    for suffix in _OTHER_TABLES:
        if others[suffix]:
            passed.add("of another format", f"{others[suffix]:,} {suffix}")
    if not found:
        raise DataError(
            f"folder '{folder}' holds no data file{_instead(passed, others)}. Known are {', '.join(FORMATS)}."
        )
    if str(passed):
        notify(f"Passed over in '{folder}', for it is no data: {passed}.")
    _say_where(found, folder, notify)
    return sorted(found)


def _say_where(found: list[str], folder: Path, notify: Callable[[str], None]) -> None:
    """Say how many files are in which folder, where they are in several."""
    inside = Counter(os.path.relpath(os.path.dirname(file) or ".", folder) for file in found)  # noqa: PTH120
    if len(inside) > 1:
        counts = [f"{count:,} in {name}" for name, count in sorted(inside.items())]
        more = f" and {len(counts) - MOST_NAMED:,} more folders" if len(counts) > MOST_NAMED else ""
        notify(f"Data files in '{folder}': {', '.join(counts[:MOST_NAMED])}{more}.")


def is_data_name(name: str) -> bool:
    """Whether a file of this name in a folder is data, as far as the name tells."""
    return format_of(name) is not None and _by_name(name.rpartition("/")[2]) is None


def _folders(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """The folder and those in it, each with the names of its files; hidden ones and a run's own are left out.

    Links to folders elsewhere are followed, each folder once.
    """
    seen = {folder.resolve()}
    for directory, folders, names in os.walk(folder, followlinks=True):
        path = Path(directory)
        results = _FOLDERS_OF_A_RUN.intersection(folders) if _is_run(path, names) else set()
        folders[:] = [name for name in sorted(folders) if not name.startswith(".") and name not in results]
        for name in [name for name in folders if (path / name).is_symlink()]:
            target = (path / name).resolve()
            if target in seen or target.is_relative_to(folder.resolve()):  # it is read where it lies
                folders.remove(name)
            seen.add(target)
        yield path, names


def _is_run(directory: Path, names: list[str]) -> bool:
    """Whether a folder holds the results of a run."""
    return any(name in names and re.match(mark, _beginning(directory / name)) for name, mark in _RUN_MARKS.items())


def _no_data(file: Path, beside: list[str], own: Path | None, *, is_run: bool) -> str | None:
    """Why a file with the suffix of a data format is none; None where it is one."""
    if own is not None and file.absolute() == own.absolute():
        return "given with another option"
    if is_run and file.name in _OF_A_RUN:
        return _RESULTS
    if file.name == "tasks.json" and "config.xml" in beside:
        return "tasks for Label Studio"
    if reason := _by_name(file.name):
        return reason
    marks = [(mark, reason) for suffix, mark, reason in _MARKS if re.search(suffix, file.name)]
    if marks:
        beginning = _beginning(file)
        return next((reason for mark, reason in marks if re.match(mark, beginning)), None)
    return None


def _by_name(name: str) -> str | None:
    """What a file of this name is that is no data; None where the name does not tell."""
    if not name.endswith((".json", ".arrow")):
        return None
    return next((reason for pattern, reason in _NO_DATA if fnmatch.fnmatchcase(name, pattern)), None)


def _beginning(file: Path) -> bytes:
    """The first bytes of a file; none where it cannot be read, which its reader will say."""
    try:
        with file.open("rb") as content:
            return content.read(_MARK_BYTES)
    except OSError:
        return b""


def _instead(passed: Passed, others: Counter[str]) -> str:
    """What a folder without data holds."""
    held = [
        f"{count:,} {suffix}" if suffix else f"{count:,} without a suffix" for suffix, count in others.most_common(4)
    ]
    return (f"; it holds {', '.join(held)}" if held else "") + (f"; passed over is {passed}" if str(passed) else "")


def _listed(several: Collection[str]) -> str:
    names = sorted(several)
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
