"""What a careful person would take labels for, pair by pair and slowly; written without looking at the code."""

from __future__ import annotations

import decimal
import unicodedata
from collections.abc import Mapping, Sequence

Rows = Mapping[str, int]


def as_integer(text: str) -> int | None:
    """The integer that somebody would read off a label as a number: digits as a machine writes them."""
    text = text.strip()
    head, dot, tail = text.partition(".")
    digits = head.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or (digits[0] == "0" and digits != "0"):
        return None
    if dot and (not tail or set(tail) != {"0"}):
        return None
    return int(decimal.Decimal(text))


def as_truth(text: str) -> bool | None:
    word = text.strip()
    return None if word not in {"true", "True", "TRUE", "false", "False", "FALSE"} else word.lower() == "true"


def same(one: str, other: str, level: int) -> bool:
    """Whether two labels are equal: 0 to the letter, 1 but for how formats write them, 2 but for case and width."""
    if level == 0:
        return one == other
    if as_integer(one) is not None or as_integer(other) is not None:
        return as_integer(one) == as_integer(other) or (level == 2 and _loose(one) == _loose(other))
    if as_truth(one) is not None and as_truth(other) is not None:
        return as_truth(one) == as_truth(other)
    if level == 1:
        return unicodedata.normalize("NFD", one).strip() == unicodedata.normalize("NFD", other).strip()
    return _loose(one) == _loose(other)


def _loose(text: str) -> list[str]:
    number = as_integer(text)
    text = text if number is None else str(number)
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()).split()


def senses(label: str, names: Sequence[tuple[str, int]], levels: range = range(3)) -> set[int]:
    """The classes that a label could be by name, at the strictest level at which it is any."""
    for level in levels:
        found = {index for name, index in names if same(label, name, level)}
        if found:
            return found
    return set()


def acceptable(label: str, rows: Rows, names: Sequence[str], label_map: Mapping[str, object] | None) -> set[int]:
    """Classes as which a row of this label may be scored; any row may be rejected, and any run stopped."""
    by_name = senses(label, [(name, index) for index, name in enumerate(names)])
    if label_map is not None:
        targets: dict[str, int] = {}
        for key, target in label_map.items():
            if target is None:
                targets[key] = -1
                continue
            text = str(target).lower() if isinstance(target, bool) else str(target)
            found = senses(text, [(name, index) for index, name in enumerate(names)])
            number = {"true": 1, "false": 0}.get(text, as_integer(text))
            targets[key] = found.pop() if len(found) == 1 else -3 if number is None else number
        exact = {index for index, name in enumerate(names) if name == label}
        mapped = senses(label, list(targets.items()), range(2)) or exact or senses(label, list(targets.items()))
        if mapped or any(target is not None for target in label_map.values()):
            return mapped if mapped else by_name if len(by_name) == 1 and as_integer(label) is None else set()
    if by_name and as_integer(label) is not None:
        # A number is a name where no position says otherwise, or where the data hold all names of the model.
        held = {index for other in rows for index in senses(other, [(name, i) for i, name in enumerate(names)])}
        if as_integer(label) in {*range(len(names))} - by_name and held != {*range(len(names))}:
            return set() if all(as_integer(other) is not None for other in rows) else by_name
    if by_name:
        return by_name if len(by_name) == 1 else set()
    truth = as_truth(label)
    number = as_integer(label) if truth is None else int(truth)
    if number is None or not 0 <= number < len(names):
        return set()
    if truth is not None:
        if len(names) != 2:
            return set()
        by_digit = {index for index, name in enumerate(names) if as_integer(name) == number}
        others = {index for index, name in enumerate(names) if as_integer(name) == 1 - number}
        return by_digit if len(by_digit) == 1 and (others or by_digit == {number}) else set() if others else {number}
    # By position only where no number of the data is a name of the model.
    numeric = [other for other in rows if as_integer(other) is not None]
    if any(senses(other, [(name, index) for index, name in enumerate(names)]) for other in numeric):
        return set()
    return {number}
