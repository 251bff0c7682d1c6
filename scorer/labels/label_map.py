"""The user's map: from what the data say to the model's classes. What it does not name is not its business."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scorer.errors import DataError, LabelError
from scorer.labels.encoder import MISSING
from scorer.labels.messages import shown, side_by_side
from scorer.labels.numbers import as_number, numbers_in_names
from scorer.labels.spelling import fold, match, neat, number_like, truth, truth_like, whole_number

Target = str | int | float | bool | None

_SHAPE = 'a JSON object such as {"good": "positive", "bad": 0, "unclear": null}'
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read_label_map(file: Path) -> dict[str, Target]:
    """The user's translation of labels.

    Raises:
        DataError: the file is no JSON object from labels to labels, class indices or null, or repeats a label.
    """
    try:
        raw = file.read_bytes()
        text = raw.decode(_BYTE_ORDER_MARKS.get(raw[:2], "utf-8-sig"))
        document = json.loads(text, object_pairs_hook=_without_repeats)
        json.dumps(document, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot read --label-map '{file}': {error}. It must hold {_SHAPE}.") from error
    if not isinstance(document, dict) or not document:
        raise DataError(f"--label-map '{file}' must hold {_SHAPE}.")
    for source, target in document.items():
        if not isinstance(target, Target):
            raise DataError(f"--label-map '{file}' sends {source!r} to {target!r}; it must hold {_SHAPE}.")
    return document


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document:
            raise ValueError(f"the label {key!r} stands there twice")
        document[key] = value
    return document


def map_classes(label_map: Mapping[str, Target], model_labels: Sequence[str]) -> dict[str, int]:
    """The class, or MISSING, to which each of the map's labels goes.

    A target is the model's class of that name, and only where there is none, an index.

    Raises:
        LabelError: a target is no label of the model, or could be two.
    """
    texts = {key: target_text(target) for key, target in label_map.items() if target is not None}
    named = match(texts.values(), [(name, index) for index, name in enumerate(model_labels)])
    forms = {fold(name) for name in model_labels}
    classes: dict[str, int] = {}
    by_index: dict[str, int] = {}
    for key, target in label_map.items():
        if target is None:
            classes[key] = MISSING
            continue
        index = named.get(texts[key])
        if index is None:
            index = by_index[key] = -1 if fold(texts[key]) in forms else _index(texts[key], len(model_labels))
        if not 0 <= index < len(model_labels):
            raise LabelError(
                f"--label-map sends {key!r} to {target!r}, which is no label of the model:\n"
                + side_by_side(list(label_map), model_labels)
            )
        classes[key] = index
    _refuse_two_meanings(texts, named, by_index, model_labels)
    return classes


def target_text(target: str | float | bool) -> str:
    """What a target says, as text."""
    if isinstance(target, bool):
        return str(target).lower()
    whole = isinstance(target, float) and math.isfinite(target) and target == int(target)
    return str(int(target)) if whole else str(target)


def _index(text: str, classes: int) -> int:
    """The index that a target says; -1 where it says none."""
    number = as_number(text) if truth(text) is None or classes == 2 else None
    return -1 if number is None else number


def _refuse_two_meanings(
    texts: Mapping[str, str], named: Mapping[str, int], by_index: Mapping[str, int], model_labels: Sequence[str]
) -> None:
    """Refuse numbers that are now names, now indices, or that names carry at another position."""
    moved = [
        key
        for key, text in texts.items()
        if (number := whole_number(text)) is not None and named.get(text, number) != number
    ]
    carried = numbers_in_names(model_labels)
    elsewhere = [key for key, index in by_index.items() if carried.get(index, index) != index]
    if by_index and (moved or (elsewhere and all(index in carried for index in by_index.values()))):
        key = (moved or elsewhere)[0]
        raise LabelError(
            f"--label-map sends {key!r} to {texts[key]}, which could mean a class by its name or by its index. Write "
            "the model's names as targets:\n" + side_by_side(list(texts), model_labels)
        )


def refuse_contradictions(classes: Mapping[str, int], labels: Iterable[str]) -> None:
    """Refuse numbers or truths that say the same, "1" and "1.0", and go apart, unless the data hold them all.

    Raises:
        LabelError: with both.
    """
    held, alike = set(labels), dict[str, list[str]]()
    for key in classes:
        if as_number(key) is not None:
            alike.setdefault(neat(key), []).append(key)
    for keys in alike.values():
        if len({classes[key] for key in keys}) > 1 and not held.issuperset(keys):
            raise LabelError(
                f"--label-map sends {' and '.join(map(repr, keys))}, which say the same, to different classes."
            )


def through_map(labels: Iterable[str], classes: Mapping[str, int]) -> dict[str, int]:
    """Classes of the labels that a map names.

    Raises:
        LabelError: a label could be two of its labels, which go apart.
    """
    labels = list(labels)
    found = match(labels, classes.items())
    alike: dict[str, list[str]] = {}
    for key in classes:
        alike.setdefault(fold(key), []).append(key)
    for label in labels:
        keys = alike.get(fold(label), [])
        if label not in found and len({classes[key] for key in keys}) > 1:
            raise LabelError(
                f"the label {shown(label)} could be any of {', '.join(map(shown, keys))} in --label-map, which go to "
                "different classes. Name it there as it stands in the data."
            )
    return found


def written_through_map(rows: Mapping[str, int], classes: Mapping[str, int]) -> dict[str, int]:
    """Further labels by which the data could say a class: the map's, where they are of the data's kind."""
    numbers = [label for label in rows if whole_number(label) is not None]
    truths = [label for label in rows if truth(label) is not None]
    found: dict[str, int] = {}
    for key, index in classes.items():
        number, said = whole_number(key), truth(key)
        if rows and len(numbers) == len(rows):
            if number is not None:
                found[number_like(number, max(numbers, key=lambda label: rows[label]))] = index
        elif rows and len(truths) == len(rows):
            if said is not None:
                found[truth_like(said, max(truths, key=lambda label: rows[label]))] = index
        else:
            found[key] = index
    return found
