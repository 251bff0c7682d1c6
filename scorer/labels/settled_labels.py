"""How the labels of planned data are read: by themselves, and against a column of names beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from scorer.errors import LabelError
from scorer.labels import LabelEncoder, resolve_labels, shown, side_by_side
from scorer.labels.label_map import Target
from scorer.labels.spelling import match, whole_number
from scorer.sources.columns.values import plain_type
from scorer.sources.source import Plan, Source


def settle_labels(
    source: Source, plan: Plan, model_labels: Sequence[str], *, label_map: Mapping[str, Target] | None, by_index: bool
) -> LabelEncoder:
    """How the labels of planned data are read, by a run and by `apply` alike.

    Raises:
        LabelError: labels and model do not fit, or a column of names beside the labels says otherwise.
    """
    try:
        encoder = resolve_labels(
            plan.label_counts,
            model_labels,
            class_names=source.class_names,
            label_map=label_map,
            by_index=by_index,
        )
    except LabelError as error:
        for note in _notes(source, plan, model_labels):
            error.add_note(note)
        raise
    if label_map is None and not by_index and source.name_column is not None:
        refuse_contradicting_names(
            plan.named, encoder, model_labels, label=source.columns.label, name=source.name_column
        )
    return encoder


def _notes(source: Source, plan: Plan, model_labels: Sequence[str]) -> Iterator[str]:
    """What else the data show of labels that do not fit."""
    names = {name for _, name in plan.named if name is not None}
    if match(names, [(name, index) for index, name in enumerate(model_labels)]):
        yield f"Column '{source.name_column}' holds names of the model's labels: --label-column {source.name_column}"
    label = source.columns.label
    kinds = {str(plain_type(table.schema().field(label).type)): table.name for table in reversed(source.tables)}
    kinds.pop("null", None)
    if len(kinds) > 1:
        (one, here), (other, there) = list(kinds.items())[:2]
        yield f"The files differ: '{label}' is {other} in '{there}' and {one} in '{here}'."


def refuse_contradicting_names(
    pairs: Mapping[tuple[str | None, str | None], int],
    encoder: LabelEncoder,
    model_labels: Sequence[str],
    *,
    label: str,
    name: str,
) -> None:
    """Refuse integers that a column of names beside them contradicts: read as one class, called another.

    Nothing is decided for the person: whichever column is the label, `apply` rewrites that one alone.

    Args:
        pairs: rows by label and name.
        encoder: how the labels are read.
        model_labels: the model's names.
        label: the label's column.
        name: the column of names.

    Raises:
        LabelError: with both columns and how to go on.
    """
    called: dict[str, Counter[str]] = {}
    for (number, text), rows in pairs.items():
        if number is not None and text is not None and whole_number(number) is not None:
            called.setdefault(number, Counter())[text] += rows
    names = {number: counts.most_common(1)[0][0] for number, counts in called.items()}
    classes = match(set(names.values()), [(text, index) for index, text in enumerate(model_labels)])
    wrong = {
        number: text
        for number, text in names.items()
        if text in classes and encoder.encode_value(number) not in (classes[text], -1)
    }
    if wrong:
        number, text = next(iter(wrong.items()))
        read = encoder.encode_value(number)
        as_read = f"the model's class {shown(model_labels[read])}" if read >= 0 else "no class of the model"
        lines = [f"{each} = {names[each]}" for each in sorted(names, key=lambda each: (len(each), each))]
        raise LabelError(
            f"column '{name}' calls the rows with the label {number} {shown(text)}, but by '{label}' they are "
            f"{as_read}: the integers count the classes in another order than the model. Take the names with "
            f"--label-column {name}, or say which is which with --label-map FILE; --labels-by-index keeps the "
            "integers as they are:\n" + side_by_side(lines, model_labels)
        )
