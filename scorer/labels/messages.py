"""What a person needs to see to bring two lists of labels together."""

from __future__ import annotations

import difflib
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from scorer.errors import LabelError
from scorer.labels.spelling import fold, whole_number

# Characters of a label that a message shows.
LONGEST_SHOWN = 60
# Labels whose nearest name is looked for, and the most comparisons that this may take.
MOST_COMPARED = 5
MOST_COMPARISONS = 100_000
# How alike two labels must be to be offered as the same.
ALIKE = 0.8
FAR_MORE_ALIKE = 0.05

_FRACTION = re.compile(r"[+-]?\d*\.\d*(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_SAYING = frozenset("#&@%*!?")  # marks that tell labels apart, as in "C#"
_GENERIC = re.compile(r"label[_ -]?\d+", re.IGNORECASE)

WRITES_MAP = "--write-label-map FILE writes one to edit, with its best guess"


def shown(label: str | int) -> str:
    """A label in quotes, cut where it is so long that it must be a text."""
    quoted = repr(label)
    return quoted if len(quoted) <= LONGEST_SHOWN else quoted[:LONGEST_SHOWN] + "…"


def listed(labels: Iterable[str]) -> str:
    """The first labels, for a message."""
    labels = list(labels)
    return ", ".join(map(shown, labels[:10])) + (", …" if len(labels) > 10 else "")


def side_by_side(
    data_labels: Sequence[str], model_labels: Sequence[str], counts: Mapping[str, int] | None = None
) -> str:
    """Two lists of labels as an indented table, for a message. Long lists are cut at 40 lines."""
    left = [
        shown(label) + (f" ({counts[label]:,} rows)" if counts and label in counts else "") for label in data_labels
    ]
    right = [f"{index} = {shown(label)}" for index, label in enumerate(model_labels)]
    height = max(len(left), len(right))
    width = max([len("labels in the data"), *map(len, left[:40])])
    lines = [f"  {'labels in the data':<{width}}   labels of the model"]
    pairs = itertools.zip_longest(left, right, fillvalue="")
    lines += [f"  {ours:<{width}}   {theirs}".rstrip() for ours, theirs in itertools.islice(pairs, 40)]
    if height > 40:
        lines.append(f"  … and {height - 40} more lines")
    return "\n".join(lines)


def mismatch(
    rows: Mapping[str, int], unmatched: Sequence[str], model_labels: Sequence[str], advice: str = ""
) -> LabelError:
    """The data's labels and the model's names do not fit.

    Args:
        rows: rows of every label.
        unmatched: the labels that are none of the model's.
        model_labels: the model's names.
        advice: a further cure, or nothing.
    """
    what = (
        "the model has no label names of its own (LABEL_0, LABEL_1, …), the data has"
        if all(_GENERIC.fullmatch(name.strip()) for name in model_labels)
        else f"{len(unmatched)} of the data's labels match no label of the model: {listed(unmatched)}"
    )
    numbers = [label for label in rows if whole_number(label) is not None]
    if all(_FRACTION.fullmatch(name) for name in unmatched):
        what += (
            " (fractions: soft labels and regression targets cannot be scored; a class label is an integer or a name)"
        )
    elif all(name.lstrip().startswith("[") for name in unmatched):
        what += " (lists: several labels per row, as of multi-label data, cannot be scored)"
    elif 0 < len(numbers) < len(rows) and set(numbers) & set(unmatched):
        what += " (numbers and names are mixed; which number means which name is not known)"
    seen = "".join(f"\n  {line}" for line in differences(unmatched, model_labels))
    return LabelError(
        f"{what}. Name another column with --label-column, or say which is which with --label-map FILE, a JSON object "
        f'such as {{"data label": "model label"}} (null rejects a label\'s rows; {WRITES_MAP}){advice}:'
        f"{seen}\n" + side_by_side(list(rows), model_labels, rows)
    )


def differences(labels: Sequence[str], model_labels: Sequence[str]) -> list[str]:
    """What differs between labels and the names that they look like, a line each; the first few."""
    near = nearest(labels[:MOST_COMPARED], model_labels)
    return [f"{shown(label)} looks like {shown(name)}: {_difference(label, name)}" for label, name in near.items()]


def nearest(labels: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """The names that labels look like: of the same letters and digits, else the one name of a few others.

    A name that two labels come near is neither's.
    """
    forms: dict[str, list[str]] = {}
    for name in names:
        forms.setdefault(_letters(name), []).append(name)
    forms.pop("", None)
    same = {label: found[0] for label in labels if len(found := forms.get(_letters(label), [])) == 1}
    free = {form: found[0] for form, found in forms.items() if len(found) == 1 and found[0] not in same.values()}
    left = [label for label in labels if label not in same and len(label) <= 2 * LONGEST_SHOWN and _letters(label)]
    if len(left) * len(free) > MOST_COMPARISONS:
        return same
    close = {label: free[form] for label in left if (form := _closest(_letters(label), list(free)))}
    contended = Counter(close.values())
    return same | {label: name for label, name in close.items() if contended[name] == 1}


def _closest(letters: str, forms: Sequence[str]) -> str | None:
    """The one form that is by far the most alike."""
    close = difflib.get_close_matches(letters, forms, n=2, cutoff=ALIKE)
    ratios = [difflib.SequenceMatcher(None, form, letters).ratio() for form in close]
    return close[0] if close and (len(close) == 1 or ratios[0] - ratios[1] >= FAR_MORE_ALIKE) else None


def _letters(text: str) -> str:
    """What is said, without case, accents, blanks and marks between words; nothing of a label that says nothing."""
    split = unicodedata.normalize("NFKD", fold(text))
    return "".join(
        character for character in split if character in _SAYING or unicodedata.category(character)[0] in "LNS"
    )


def _difference(label: str, name: str) -> str:
    if fold(label) == fold(name):
        return "the same but for case or character forms, and the model has another such name"
    label, name = fold(label), fold(name)
    parts = []
    for what, start, stop, there, end in difflib.SequenceMatcher(None, label, name, autojunk=False).get_opcodes():
        if what != "equal":
            parts.append(f"{_named(label[start:stop])} where the model has {_named(name[there:end])}")
    return "; ".join(parts[:3]) + ("; …" if len(parts) > 3 else "")


def _named(text: str) -> str:
    """Characters in quotes where ASCII shows them, else by code point and name."""
    if not text:
        return "nothing"
    if text.isascii() and text.isprintable():
        return repr(text)
    names = [f"U+{ord(character):04X} {unicodedata.name(character, 'without a name')}" for character in text[:4]]
    return " ".join(names) + (" …" if len(text) > 4 else "")
