"""A column of names: each label is the model's class of that name, never one by position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scorer.labels.encoder import UNKNOWN, UNKNOWN_SHARE, LabelEncoder
from scorer.labels.messages import listed, mismatch
from scorer.labels.spelling import manner, match, neat


def read_names(
    rows: Mapping[str, int], matched: Mapping[str, int], model_labels: Sequence[str], *, declared: bool
) -> LabelEncoder:
    """Read labels as the model's names.

    Args:
        rows: rows of every label, 0 for one that is only declared.
        matched: classes of the labels that match a name.
        model_labels: the model's C names.
        declared: whether the data set declares its labels, so that none is a stray value.

    Raises:
        LabelError: labels that match no name are too many to be stray values, or may be a class that was not found.
    """
    unmatched = [label for label, count in rows.items() if label not in matched and count]
    unused = len({index for label, index in matched.items() if rows[label]}) < len(model_labels)
    unknown_rows = sum(rows[label] for label in unmatched)
    # With every class of the model found, a few other values are stray labels and their rows are rejects;
    # with a class not found, an unmatched name may be that class under another name.
    if unmatched and (declared or unused or unknown_rows > UNKNOWN_SHARE * sum(rows.values())):
        by_index = ", or, where the data's labels are integers in the model's order, with --labels-by-index"
        present = {label: count for label, count in rows.items() if count}
        raise mismatch(present, unmatched, model_labels, by_index if declared else "")
    table = {label: matched.get(label, UNKNOWN) for label in rows}
    table |= _written(set(range(len(model_labels))) - set(table.values()), matched, model_labels)
    return LabelEncoder(table, f"names, matched with the model's names ({len(matched)} found)", _twins(rows, matched))


def _written(absent: set[int], matched: Mapping[str, int], model_labels: Sequence[str]) -> dict[str, int]:
    """How the data would write the names of classes that no row has: in their manner, where that is read rightly."""
    in_manner = manner([(model_labels[index], label) for label, index in matched.items()])
    names = {index: in_manner(model_labels[index]) for index in sorted(absent)}
    read = match(names.values(), [(name, index) for index, name in enumerate(model_labels)])
    return {name if read.get(name) == index else model_labels[index]: index for index, name in names.items()}


def _twins(rows: Mapping[str, int], matched: Mapping[str, int]) -> tuple[str, ...]:
    """A warning of labels that the data tell apart by more than notation and that are read as one class."""
    spellings: dict[int, dict[str, str]] = {}
    for label, index in matched.items():
        if rows[label]:
            spellings.setdefault(index, {}).setdefault(neat(label), label)
    twins = [listed(labels.values()) for labels in spellings.values() if len(labels) > 1]
    if not twins:
        return ()
    more = f"; and {len(twins) - 3} more" if len(twins) > 3 else ""
    return (
        "labels that differ in case or character forms only are read as one class: "
        f"{'; '.join(twins[:3])}{more}. Where they mean different things, say so with --label-map FILE.",
    )
