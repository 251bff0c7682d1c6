"""A column of integers, or of true and false: class indices, unless they are the model's names or could be.

Where a number could mean a class by its name and another by its position, nothing is guessed.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Mapping, Sequence

from scorer.errors import LabelError
from scorer.labels.encoder import UNKNOWN, UNKNOWN_SHARE, LabelEncoder
from scorer.labels.messages import WRITES_MAP, side_by_side
from scorer.labels.spelling import fold, number_like, truth, truth_like, whole_number

# A number with fewer rows than this share of an even one is no evidence of how classes are counted.
RARE = 0.01

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NO = {"no", "false", "off", "negative", "neg", "incorrect"}
_YES = {"yes", "true", "on", "positive", "pos", "correct"}
# Names that are truths themselves; 1 is never the class of such a no.
_TRUTH_NAMES = [{"no", "yes"}, {"false", "true"}, {"off", "on"}]
_NEGATIONS = ("not", "non", "no", "un")
_CURES = f"Say which with --labels-by-index or --label-map FILE ({WRITES_MAP})"


def read_numbers(
    rows: Mapping[str, int], numbers: Mapping[str, int], matched: Mapping[str, int], model_labels: Sequence[str]
) -> LabelEncoder:
    """Read a column of integers or truths.

    Args:
        rows: rows of every label, stray texts included.
        numbers: the integer that a label says, for all but stray texts; true says 1.
        matched: classes of the labels that match a name of the model.
        model_labels: the model's C names.

    Raises:
        LabelError: a number could mean one class by name and another by position.
    """
    classes = range(len(model_labels))
    warnings = _check_truths(numbers, model_labels)
    by_number = _by_number(model_labels)
    named = {
        label: index
        for label, number in numbers.items()
        if (index := matched.get(label, by_number.get(number))) is not None
    }
    unnamed_rows = sum(rows[label] for label in numbers if label not in named)
    table = {label: matched.get(label, UNKNOWN) for label in rows}
    if set(named.values()) == set(classes) and unnamed_rows <= UNKNOWN_SHARE * sum(rows.values()):
        return LabelEncoder({**table, **named}, f"numbers that are the model's names ({len(named)} found)")
    clash = [label for label, index in named.items() if numbers[label] in classes and numbers[label] != index]
    loose = [label for label, number in numbers.items() if label not in named and number in classes]
    if clash or (named and loose):
        why = "in another order" if clash else f"but not {loose[0]}"
        raise LabelError(
            f"the data's labels are numbers, and so are the model's label names, {why}: a label could mean either a "
            f"name or an index. {_CURES}:\n" + side_by_side(sorted(rows), model_labels, rows)
        )
    if named:
        for number, index in by_number.items():
            if index not in named.values() and (text := _like(number, numbers, rows)):
                table[text] = index
        return LabelEncoder({**table, **named}, f"numbers that are the model's names ({len(named)} found)")
    refuse_other_counting(rows, numbers, model_labels)
    encoder = _by_index(rows, numbers, table, model_labels, "taken as the model's class indices")
    return dataclasses.replace(encoder, warnings=warnings or _check_bits(numbers, model_labels))


def read_by_index_on_request(
    rows: Mapping[str, int], model_labels: Sequence[str], class_names: Sequence[str] | None
) -> LabelEncoder:
    """Read integers and truths as class indices, whatever the names.

    Raises:
        LabelError: the column holds names.
    """
    numbers = {label: number for label in rows if (number := as_number(label)) is not None}
    others = sum(count for label, count in rows.items() if label not in numbers)
    if rows and (not numbers or others > UNKNOWN_SHARE * sum(rows.values())):
        raise LabelError(
            "--labels-by-index takes labels as class indices, but the data holds names. Leave it out to match "
            "them by name, or give --label-map:\n" + side_by_side(list(rows), model_labels, rows)
        )
    aside = f"; the data's own names are ignored: {', '.join(class_names[:5])}" if class_names else ""
    table = dict.fromkeys(rows, UNKNOWN)
    return _by_index(rows, numbers, table, model_labels, f"taken as the model's class indices as asked{aside}")


def as_number(label: str) -> int | None:
    """The integer that a label says; true says 1."""
    number, said = whole_number(label), truth(label)
    return int(said) if said is not None else number


def refuse_other_counting(rows: Mapping[str, int], numbers: Mapping[str, int], model_labels: Sequence[str]) -> None:
    """Refuse integers that count the classes in another way than the model.

    Raises:
        LabelError: they run from 1, or the names carry them at other positions ("1 star" is class 0).
    """
    total, classes = sum(rows.values()), len(model_labels)
    core = {
        number
        for label, number in numbers.items()
        if 0 <= number <= classes and rows[label] >= RARE * total / max(classes, 1)
    }
    if classes in core and 0 not in core:
        raise LabelError(
            f"the data's labels run from 1 to {classes}, the model's class indices from 0 to {classes - 1}: they "
            f"look shifted by one. Give --label-map FILE ({WRITES_MAP}), or --labels-by-index if they are right:\n"
            + side_by_side(sorted(rows), model_labels, rows)
        )
    carried = numbers_in_names(model_labels)
    elsewhere = [number for number in sorted(core) if carried.get(number, number) != number]
    if elsewhere and all(number in carried for number in core):
        number = elsewhere[0]
        by_index = f"'{model_labels[number]}'" if number < classes else "no class"
        raise LabelError(
            f"the label {number} could mean '{model_labels[carried[number]]}', by its name, or {by_index}, by its "
            f"position. {_CURES}:\n" + side_by_side(sorted(rows), model_labels, rows)
        )


def numbers_in_names(names: Sequence[str]) -> dict[int, int]:
    """The class whose name carries a number, as in "4 stars" or "class two"; numbers of one name alone."""
    found: dict[int, list[int]] = {}
    for index, name in enumerate(names):
        plain = unicodedata.normalize("NFKC", name).casefold()
        digits = re.findall(r"\d+", plain, re.ASCII) or [
            str(_WORDS.index(word)) for word in re.findall(r"[a-z]+", plain) if word in _WORDS
        ]
        if len(digits) == 1 and len(digits[0]) < 19:
            found.setdefault(int(digits[0]), []).append(index)
    return {number: indices[0] for number, indices in found.items() if len(indices) == 1}


def _by_number(names: Sequence[str]) -> dict[int, int]:
    """The class whose whole name is a number."""
    found: dict[int, list[int]] = {}
    for index, name in enumerate(names):
        if (number := whole_number(name)) is not None:
            found.setdefault(number, []).append(index)
    return {number: indices[0] for number, indices in found.items() if len(indices) == 1}


def _by_index(
    rows: Mapping[str, int],
    numbers: Mapping[str, int],
    table: dict[str, int],
    model_labels: Sequence[str],
    how: str,
) -> LabelEncoder:
    classes = range(len(model_labels))
    table |= {label: number if number in classes else UNKNOWN for label, number in numbers.items()}
    for index in classes:
        if index not in table.values() and (text := _like(index, numbers, rows)):
            table[text] = index
    legend = ", ".join(f"{index} = {name}" for index, name in enumerate(model_labels[:6]))
    more = ", …" if len(model_labels) > 6 else ""
    kind = "true and false" if _are_truths(numbers) else "integers"
    return LabelEncoder(table, f"{kind}, {how} ({legend}{more})")


def _are_truths(numbers: Mapping[str, int]) -> bool:
    return bool(numbers) and all(truth(label) is not None for label in numbers)


def _like(number: int, numbers: Mapping[str, int], rows: Mapping[str, int]) -> str:
    """A number as the data would write it; nothing where they cannot."""
    model = max(numbers, key=lambda label: rows[label], default="")
    if not _are_truths(numbers):
        return number_like(number, model)
    return truth_like(bool(number), model) if number in (0, 1) else ""


def _check_truths(numbers: Mapping[str, int], model_labels: Sequence[str]) -> tuple[str, ...]:
    """Warnings of truths that can only be taken by position, as the model's names say nothing of them.

    Raises:
        LabelError: the model has not two classes, or its names say the contrary.
    """
    if not _are_truths(numbers):
        return ()
    order = meanings(model_labels) if len(model_labels) == 2 else None
    if order is None or order == (1, 0):
        raise LabelError(
            "the data's labels are true and false, and which classes these are the model's names do not say. Say "
            f"which with --label-map FILE ({WRITES_MAP}):\n" + side_by_side(sorted(numbers), model_labels)
        )
    if order == (0, 1):
        return ()
    return (
        f"false is taken as '{model_labels[0]}' and true as '{model_labels[1]}', by their position alone. If that is "
        "wrong, say which is which with --label-map FILE.",
    )


def _check_bits(numbers: Mapping[str, int], model_labels: Sequence[str]) -> tuple[str, ...]:
    """Warnings of 0 and 1 that by position are the contrary of what the model's names say.

    Raises:
        LabelError: the names are truths themselves, such as "yes" and "no".
    """
    if len(model_labels) != 2 or _are_truths(numbers) or any(whole_number(name) is not None for name in model_labels):
        return ()
    if meanings(model_labels) != (1, 0):
        return ()
    if {_word(name) for name in model_labels} in _TRUTH_NAMES:
        raise LabelError(
            f"the data's labels are 0 and 1, and by its position the model's class 0 is {model_labels[0]!r}, class 1 "
            f"{model_labels[1]!r}. {_CURES}:\n" + side_by_side(sorted(numbers), model_labels)
        )
    return (
        f"0 is taken as '{model_labels[0]}' and 1 as '{model_labels[1]}', by their position in the model. If the data "
        "mean the contrary, say so with --label-map FILE.",
    )


def _word(name: str) -> str:
    return "".join(filter(str.isalnum, fold(name)))


def meanings(names: Sequence[str]) -> tuple[int, int] | tuple[()]:
    """What two names mean as truths: (0, 1), (1, 0), or nothing known."""
    numbers = {whole_number(name) for name in names}
    if numbers != {None}:  # 0 and 1 are read as numbers; beside another, nothing is known
        return (0, 1) if numbers == {0, 1} else (1, 0)
    first, second = map(_word, names)
    for order, (no, yes) in (((0, 1), (first, second)), ((1, 0), (second, first))):
        if no in _NO or yes in _YES or no in {negation + yes for negation in _NEGATIONS}:
            return order
    return (0, 1) if (first, second) == ("label0", "label1") else ()
