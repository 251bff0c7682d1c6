"""A label map for a person to edit: every label of the data, the most frequent first, with the best guess."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from scorer.errors import LabelError, OutputError
from scorer.labels.messages import nearest
from scorer.labels.numbers import meanings, numbers_in_names
from scorer.labels.resolve import MISSING_INTEGERS, resolve_labels
from scorer.labels.spelling import match, truth, whole_number
from scorer.system.files import writing


def propose_map(
    counts: Mapping[str | None, int], model_labels: Sequence[str], class_names: Sequence[str] | None
) -> dict[str, str | None]:
    """The map that a person most likely wants.

    Args:
        counts: every distinct label of the data with its number of rows.
        model_labels: the model's names.
        class_names: names that the data set declares for its integers, or None.

    Returns:
        For every label that is not blank, or the name that the data set declares for it, a name of the model; None
        where no name is likely.
    """
    rows = {label: count for label, count in counts.items() if label is not None and label.strip()}
    labels = sorted(rows, key=lambda label: -rows[label])
    try:
        table = resolve_labels(counts, model_labels, class_names=class_names).table
        classes = {label: table[label] for label in labels if table[label] >= 0}
    except LabelError:
        classes = {}
    named = dict(zip(labels, labels, strict=True))
    if class_names is not None and all(whole_number(name) is None for name in class_names):
        named |= {label: name for label in labels if (name := _declared(label, class_names)) is not None}
    guessed = _guess([named[label] for label in labels if label not in classes], model_labels)
    return {
        named[label]: model_labels[classes[label]] if label in classes else guessed.get(named[label])
        for label in labels
    }


def write_map(proposal: Mapping[str, str | None], file: Path) -> None:
    """Write a proposal as JSON.

    Raises:
        OutputError: the file exists, or cannot be written.
    """
    if not proposal:
        raise LabelError("the data hold no label at all, so there is nothing to map. Is it the right --label-column?")
    document = json.dumps(proposal, ensure_ascii=False, indent=2) + "\n"
    with writing(file):
        try:
            with file.open("x", encoding="utf-8") as opened:
                opened.write(document)
        except FileExistsError as error:
            raise OutputError(f"'{file}' exists already. Give another --write-label-map.") from error


def told(proposal: Mapping[str, str | None], file: Path) -> str:
    """What the person is to do with a proposal that was written."""
    open_ones = sum(name is None for name in proposal.values())
    guesses = f"{open_ones:,} of them null, which rejects their rows" if open_ones else "each with a guess"
    return (
        f"Label map: {file}, with {len(proposal):,} labels of the data, {guesses}. Nothing else is done. Check and "
        f"edit it, then give the same command with --label-map {file} instead of --write-label-map."
    )


def _declared(label: str, class_names: Sequence[str]) -> str | None:
    number = whole_number(label)
    return class_names[number] if number is not None and 0 <= number < len(class_names) else None


def _guess(labels: Sequence[str], model_labels: Sequence[str]) -> dict[str, str]:
    """Likely names of labels."""
    found = match(labels, [(name, index) for index, name in enumerate(model_labels)])
    guesses = {label: model_labels[index] for label, index in found.items()}
    numbers = {label: number for label in labels if (number := whole_number(label)) is not None}
    guesses = _guess_numbers(numbers, model_labels) | guesses
    truths = {label: said for label in labels if (said := truth(label)) is not None and label not in guesses}
    if len(model_labels) == 2 and (order := meanings(model_labels)):
        guesses |= {label: model_labels[order[said]] for label, said in truths.items()}
    left = [label for label in labels if label not in guesses and label not in numbers]
    return guesses | nearest(left, [name for name in model_labels if name not in guesses.values()])


def _guess_numbers(numbers: Mapping[str, int], model_labels: Sequence[str]) -> dict[str, str]:
    """Numbers by the names that carry them; else in the model's order, from wherever they begin."""
    carried, values = numbers_in_names(model_labels), set(numbers.values())
    if values and values <= carried.keys():
        return {label: model_labels[carried[number]] for label, number in numbers.items()}
    if len(values) == len(model_labels) == max(values) - min(values) + 1:
        return {label: model_labels[number - min(values)] for label, number in numbers.items()}
    return {
        label: model_labels[number]
        for label, number in numbers.items()
        if 0 <= number < len(model_labels) and number not in MISSING_INTEGERS
    }
