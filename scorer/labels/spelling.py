"""When two labels say the same, and how one is written in the manner of another. Pure text; no model, no data."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

# As integers, floats and decimals are written; "01" and "+1" are codes, not numbers.
_WHOLE = re.compile(r"(-?(?:0|[1-9]\d{0,17}))((?:\.0+)?)", re.ASCII)
_TRUTHS = {"true": True, "false": False}


def whole_number(text: str) -> int | None:
    """The integer that a label writes, also as a whole float or decimal; None where it writes none."""
    found = _WHOLE.fullmatch(text.strip())
    return int(found[1]) if found else None


def truth(text: str) -> bool | None:
    """What `true` or `false` says, however its format writes it."""
    return _TRUTHS.get(text.strip().lower())


def neat(text: str) -> str:
    """The text without accidents of its format: composed, trimmed, whole numbers and truths in one notation."""
    number = whole_number(text)
    if number is not None:
        return str(number)
    text = unicodedata.normalize("NFC", text).strip()
    return text.lower() if truth(text) is not None else text


def fold(text: str) -> str:
    """The text without case, compatibility forms and the width of blanks."""
    compatible = unicodedata.normalize("NFKC", neat(text)).casefold()
    return " ".join(unicodedata.normalize("NFKC", compatible).split())


def match(labels: Iterable[str], names: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Classes of labels by their names: on the exact text first, then neat, then folded.

    A form that several classes share fits none of them.

    Args:
        labels: labels of the data.
        names: names and their classes.

    Returns:
        The class of every label that has one.
    """
    names, left = list(names), dict.fromkeys(labels)
    found: dict[str, int] = {}
    for form in (str, neat, fold):
        classes: dict[str, set[int]] = {}
        for name, index in names:
            classes.setdefault(form(name), set()).add(index)
        fits = {label: classes.get(form(label), set()) for label in left}
        found |= {label: next(iter(fit)) for label, fit in fits.items() if len(fit) == 1}
        left = dict.fromkeys(label for label, fit in fits.items() if not fit)
    return found


def number_like(number: int, model: str) -> str:
    """An integer written as another label writes its own: 3 as "3.0" beside "1.0"."""
    found = _WHOLE.fullmatch(model.strip())
    return f"{number}{found[2]}" if found else str(number)


def truth_like(value: bool, model: str) -> str:
    """A truth written as another label writes its own: "True" beside "False"."""
    text, model = str(value).lower(), model.strip()
    return text.upper() if model.isupper() else text.capitalize() if model[:1].isupper() else text


# Manners of writing a name; the first that explains all names of the data is theirs.
_CASES: tuple[Callable[[str], str], ...] = (str, str.lower, str.upper, str.capitalize, str.title)


def manner(pairs: Sequence[tuple[str, str]]) -> Callable[[str], str]:
    """How the data write names, from (name, as the data write it); as they are where no one manner explains all."""
    for form in ("", "NFC", "NFD"):
        for case in _CASES:

            def written(name: str, form: str = form, case: Callable[[str], str] = case) -> str:
                return unicodedata.normalize(form, case(name)) if form else case(name)  # type: ignore[arg-type]

            if all(written(name) == text for name, text in pairs):
                return written
    return str
