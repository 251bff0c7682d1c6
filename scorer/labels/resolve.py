"""The order in which labels are read: the user's map, the model's names, and only then numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from scorer.errors import LabelError
from scorer.labels.encoder import MISSING, UNKNOWN, UNKNOWN_SHARE, LabelEncoder
from scorer.labels.label_map import Target, map_classes, refuse_contradictions, through_map, written_through_map
from scorer.labels.messages import WRITES_MAP, listed, mismatch, side_by_side
from scorer.labels.names import read_names
from scorer.labels.numbers import as_number, read_by_index_on_request, read_numbers
from scorer.labels.spelling import fold, match, neat, number_like, truth, whole_number

# Integers that stand for "no label", unless the map or the model names them.
MISSING_INTEGERS = frozenset({-1, -100})


def resolve_labels(
    counts: Mapping[str | None, int],
    model_labels: Sequence[str],
    *,
    class_names: Sequence[str] | None = None,
    label_map: Mapping[str, Target] | None = None,
    by_index: bool = False,
) -> LabelEncoder:
    """Settle how the data's labels are read, or say why they cannot be.

    Args:
        counts: every distinct label of the data, in its own spelling, with its number of rows.
        model_labels: the model's C class names, in the order of its logits.
        class_names: names that the data set itself declares for its integer labels (ClassLabel), or None.
        label_map: the user's translation, from data label to model label, class index or None (no label).
        by_index: take labels as class indices whatever their names.

    Returns:
        The translation.

    Raises:
        LabelError: the labels do not fit together; the message shows both lists.
    """
    mapped = label_map or {}
    rows = {label: count for label, count in counts.items() if label is not None and (label.strip() or label in mapped)}
    column = _Column(rows, sum(counts.values()), model_labels, class_names)
    if label_map is not None:
        return column.by_map(label_map)
    if by_index:
        missing = column.missing({})
        encoder = read_by_index_on_request(_without(rows, missing), model_labels, class_names)
        return _with(encoder, missing, column.warning_of_missing(missing))
    return column.unaided(rows)


@dataclasses.dataclass(frozen=True, slots=True)
class _Column:
    """A label column and a model.

    Attributes:
        rows: rows of every label that is not blank.
        total: rows of the data, those without a label included.
        model_labels: the model's C names.
        class_names: names that the data set declares for its integers, or None.
    """

    rows: Mapping[str, int]
    total: int
    model_labels: Sequence[str]
    class_names: Sequence[str] | None

    @property
    def names(self) -> list[tuple[str, int]]:
        """The model's names with their indices."""
        return [(name, index) for index, name in enumerate(self.model_labels)]

    def declared(self, label: str) -> str | None:
        """The name that the data set declares for an integer label, or None."""
        number = whole_number(label)
        if self.class_names is None or number is None or not 0 <= number < len(self.class_names):
            return None
        return self.class_names[number]

    def missing(self, named: Mapping[str, int]) -> list[str]:
        """Labels that stand for "no label", but for those that have a name."""
        if self.class_names is not None:  # every negative number is `datasets`' own "no label"
            return [
                label
                for label in self.rows
                if label not in named and (number := whole_number(label)) is not None and number < 0
            ]
        return [label for label in self.rows if label not in named and whole_number(label) in MISSING_INTEGERS]

    def unaided(self, rows: Mapping[str, int]) -> LabelEncoder:
        """Read labels that no option speaks of."""
        missing = [
            label for label in self.missing({} if self.class_names else match(rows, self.names)) if label in rows
        ]
        warnings = self.check_missing(missing)
        rest = _without(rows, missing)
        encoder = self._by_class_names(rest) if self.class_names is not None else _read(rest, self.model_labels)
        return _with(encoder, missing, warnings)

    def by_map(self, label_map: Mapping[str, Target]) -> LabelEncoder:
        """Read labels through the user's map; what it does not name, by the model's names."""
        classes = map_classes(label_map, self.model_labels)
        refuse_contradictions(classes, self.rows)
        exact = dict(self.names)
        spoken_of = {neat(key) for key in classes}
        table = {
            label: index
            for label, index in self._through_map(classes).items()
            if neat(label) in spoken_of or exact.get(label, index) == index  # an exact name before a like key
        }
        rest = {label: count for label, count in self.rows.items() if label not in table}
        description = f"read through --label-map ({len(label_map)} entries)"
        if all(target is None for target in label_map.values()):  # it only takes labels away
            encoder = self.unaided(rest)
            self._refuse_indices_beside_names(encoder, taken=table)
            return dataclasses.replace(
                _with(encoder, table), description=f"{encoder.description}; without those that --label-map rejects"
            )
        named = match(rest, self.names)
        missing = [label for label in self.missing(named) if label in rest]
        warnings = self.check_missing(missing)
        redefined = match(classes, self.names)
        if all(classes[key] == index for key, index in redefined.items()):
            said = {label: self.declared(label) or label for label in rest}
            known = match(said.values(), self.names)
            table |= {label: known[name] for label, name in said.items() if name in known and as_number(name) is None}
        absent = [label for label in rest if label not in table and label not in missing]
        if absent:
            raise LabelError(
                f"--label-map says nothing of {len(absent)} of the data's labels: "
                f"{listed(absent)}. Map each to a label of the model, or to null to "
                "reject its rows:\n" + side_by_side(list(self.rows), self.model_labels, self.rows)
            )
        further = {
            label: index
            for label, index in written_through_map(self.rows, classes).items()
            if self.class_names is None and index not in table.values()
        }
        return LabelEncoder({**further, **table} | dict.fromkeys(missing, MISSING), description, warnings)

    def _refuse_indices_beside_names(self, encoder: LabelEncoder, taken: Mapping[str, int]) -> None:
        """Refuse numbers read as class indices where the map takes away a number that is a name of the model."""
        if self.class_names is not None:
            return
        numbers = [label for label in self.rows if whole_number(label) is not None]
        names = match(numbers, self.names)
        by_index = [label for label in numbers if label not in taken and encoder.table.get(label, UNKNOWN) >= 0]
        by_index = [label for label in by_index if label not in names]
        taken_names = [label for label in numbers if label in taken and label in names]
        if by_index and taken_names:
            raise LabelError(
                f"--label-map takes away {listed(taken_names)}, which the model has as a name, so the other numbers "
                f"({listed(by_index)}) can hardly be class indices. Map each of them to a label of the model, or to "
                "null:\n" + side_by_side(list(self.rows), self.model_labels, self.rows)
            )

    def check_missing(self, missing: Sequence[str]) -> tuple[str, ...]:
        """Warnings of numbers that are taken for "no label".

        Raises:
            LabelError: many rows have -1, which may well be a class, as of -1, 0 and 1.
        """
        warnings = self.warning_of_missing(missing)
        doubtful = [label for label in missing if whole_number(label) == -1]
        if doubtful and self.warning_of_missing(doubtful):
            example = f'{{"{doubtful[0]}": "{self.model_labels[0]}", …}}'
            raise LabelError(
                f"{warnings[0]} If it is a class, say which with --label-map FILE ({WRITES_MAP}), such as {example}; "
                f'if it means "no label", send it to null there: {{"{doubtful[0]}": null}}.'
            )
        return warnings

    def warning_of_missing(self, missing: Sequence[str]) -> tuple[str, ...]:
        """What to say of numbers that are taken for "no label" on many rows; nothing where that is declared."""
        count = sum(self.rows[label] for label in missing)
        if self.class_names is not None or count <= UNKNOWN_SHARE * self.total:
            return ()
        return (
            f'{count:,} of {self.total:,} rows have the label {", ".join(missing)}, which stands for "no label" '
            "where no name says otherwise.",
        )

    def _through_map(self, classes: Mapping[str, int]) -> dict[str, int]:
        """Classes of labels that the map names: by what they are, or by the names that the data set declares."""
        positions = range(len(self.class_names or ()))
        labels = [*self.rows, *(str(position) for position in positions if str(position) not in self.rows)]
        said = {label: name for label in labels if (name := self.declared(label)) is not None}
        by_text, names = through_map(labels, classes), through_map(said.values(), classes)
        by_name = {label: names[name] for label, name in said.items() if name in names}
        if any(by_text[label] != by_name[label] for label in by_text.keys() & by_name.keys()):
            # The names are numbers too: the map speaks of those of which it names all.
            present = said.keys() & self.rows.keys()
            speaks_of_texts, speaks_of_names = present <= by_text.keys(), present <= by_name.keys()
            if speaks_of_texts == speaks_of_names:
                raise LabelError(
                    "--label-map could speak of the data's integers or of the names that the data set declares for "
                    f"them ({listed(said.values())}), with different results. Name the labels by other words in a "
                    "column of their own, and take it with --label-column."
                )
            by_name = by_name if speaks_of_names else {}
            by_text = {label: index for label, index in by_text.items() if speaks_of_texts or label not in said}
        return {**by_name, **by_text}

    def _by_class_names(self, rows: Mapping[str, int]) -> LabelEncoder:
        """Read integers by the names that the data set declares."""
        names = self.class_names or ()
        said = {label: name for label in rows if (name := self.declared(label)) is not None}
        if rows and not said:
            return _read(rows, self.model_labels)
        declared = dict.fromkeys(names, 0)
        for label, name in said.items():
            declared[name] += rows[label]
        by_name = _read(declared, self.model_labels, declared=True)
        outside = [name for name in said.values() if by_name.table[name] == UNKNOWN]
        if outside:  # numbers beyond the model's
            raise mismatch(declared, outside, self.model_labels)
        table = {label: by_name.table[name] for label, name in said.items()}
        model = max(said, key=lambda label: rows[label], default="")
        for position, name in enumerate(names):
            table.setdefault(number_like(position, model), by_name.table[name])
        moved = sum(int(whole_number(label) != index) for label, index in table.items() if index >= 0)
        found = sum(index >= 0 for index in table.values())
        return LabelEncoder(
            {**dict.fromkeys(rows, UNKNOWN), **table},
            f"integers with names, matched with the model's names ({moved} of {found} change their index)",
            by_name.warnings,
        )


def _read(rows: Mapping[str, int], model_labels: Sequence[str], *, declared: bool = False) -> LabelEncoder:
    """Read labels by what they say: as names, or where they are no names, as numbers.

    Args:
        rows: rows of every label, 0 for one that is only declared.
        model_labels: the model's C names.
        declared: whether the data set declares its labels, so that none is a stray value.
    """
    matched = match(rows, [(name, index) for index, name in enumerate(model_labels)])
    weight = dict.fromkeys(rows, 1) if declared else rows
    few = 0 if declared else UNKNOWN_SHARE * sum(rows.values())
    forms = {fold(name) for name in model_labels}
    clear = [label for label in rows if label in matched or fold(label) not in forms]  # could not be two names
    integers = {label: number for label in clear if (number := whole_number(label)) is not None}
    truths = {label: int(said) for label in clear if (said := truth(label)) is not None}
    if matched.keys() & truths:
        truths = {}
    for numbers in (integers, truths):
        if numbers and sum(count for label, count in weight.items() if label not in numbers) <= few:
            return read_numbers(weight, numbers, matched, model_labels)
    return read_names(rows, matched, model_labels, declared=declared)


def _without(rows: Mapping[str, int], labels: Sequence[str]) -> dict[str, int]:
    return {label: count for label, count in rows.items() if label not in labels}


def _with(
    encoder: LabelEncoder, missing: Sequence[str] | Mapping[str, int], warnings: tuple[str, ...] = ()
) -> LabelEncoder:
    """The encoder with further labels, by class or as missing."""
    further = missing if isinstance(missing, Mapping) else dict.fromkeys(missing, MISSING)
    return dataclasses.replace(encoder, table={**encoder.table, **further}, warnings=encoder.warnings + warnings)
