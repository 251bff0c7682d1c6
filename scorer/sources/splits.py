"""Which split a file belongs to, by its name and those of its folders, as `datasets` has it for folders of files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping

from scorer.errors import UsageError

_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
# A word that names a split stands between these characters, or at an end.
_WORD = r"(?<![^-._ 0-9])({})(?![^-._ 0-9])"
_PATTERNS = {split: re.compile(_WORD.format("|".join(words)), re.IGNORECASE) for split, words in _KEYWORDS.items()}
# One of several files of a split, whatever its name: test_gen-00000-of-00002.parquet
_SHARD = re.compile(r"(\w+(?:\.\w+)*)-\d{5}-of-\d{5}")
_NO_SPLITS = {"data", "part", "shard", "chunk", "file"}


def split_of(name: str) -> str | None:
    """The split of a file, by its path within the data set; None where it names none, or several."""
    *folders, file = name.replace("\\", "/").split("/")
    shard = _SHARD.match(file)
    if shard is not None and shard[1] not in _NO_SPLITS:
        return shard[1]
    for part in (*reversed(folders), file):
        found = [split for split, pattern in _PATTERNS.items() if pattern.search(part)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def files_of_split(files: Mapping[str, str], split: str | None, where: str, notify: Callable[[str], None]) -> list[str]:
    """The files of a split, or all.

    Args:
        files: each file by its path within the data set.
        split: the split, or None for all.
        where: the data set.
        notify: hears of the splits.

    Raises:
        UsageError: there is no such split.
    """
    splits = {name: split_of(name) for name in files}
    counts = Counter(each for each in splits.values() if each is not None)
    listed = ", ".join(f"{name} ({count:,} file{'s' if count > 1 else ''})" for name, count in sorted(counts.items()))
    if split is None:
        if len(counts) > 1:
            notify(f"The names of the files in '{where}' tell of splits: {listed}. All are read; --split chooses one.")
        return list(files.values())
    asked = next((name for name, words in _KEYWORDS.items() if split in words and name in counts), split)
    if asked in counts:
        notify(f"Split {asked}: {counts[asked]:,} of the {len(files):,} files in '{where}'.")
        return [file for name, file in files.items() if splits[name] == asked]
    if not counts and split == "train":
        notify(f"No file in '{where}' names a split; all are taken for train, as `datasets` does.")
        return list(files.values())
    known = f"Choose with --split: {listed}" if counts else "No file in it names one; leave --split out"
    raise UsageError(f"'{where}' has no split '{split}'. {known}.")
