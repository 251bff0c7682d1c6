"""The data's labels in the model's terms.

Data may give labels as integers, as numeric strings, or as names; a name is matched with the model's name,
never by position. What cannot be matched with certainty stops the run before it starts, with both lists side by
side. Single stray values are data, not set-up: their rows are rejected and counted.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import LabelError

# Values that stand for "no label".
MISSING_INTEGERS = frozenset({-1, -100})
MISSING = -1  # in encoded labels: the label is missing
UNKNOWN = -2  # in encoded labels: the label is none of the model's classes
# A share of rows with unknown labels above which the set-up, not the data, is at fault.
UNKNOWN_SHARE = 0.1
# Characters of a label that a message shows.
LONGEST_SHOWN = 60

_INTEGER = re.compile(r"\s*[+-]?\d{1,18}\s*", re.ASCII)
_FLOAT = re.compile(r"[+-]?\d*\.\d*(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_GENERIC = re.compile(r"label[_ -]?\d+", re.IGNORECASE)

Value = str


@dataclasses.dataclass(frozen=True, slots=True)
class LabelEncoder:
    """A settled translation from the data's label values to the model's class indices.

    Attributes:
        table: class index of every known label value, as text; values that are not in it are unknown.
        description: one line that says how labels are read, for the person at the terminal.
        missing: further values, as text, that stand for "no label".
    """

    table: Mapping[str, int]
    description: str
    missing: frozenset[str] = frozenset()

    def encode(self, values: pa.Array) -> npt.NDArray[np.int32]:
        """Class indices of label values.

        Args:
            values: large_string [W], labels in the data's own spelling, nulls allowed.

        Returns:
            int32 [W]: the class index, MISSING or UNKNOWN.
        """
        distinct = pc.dictionary_encode(values, null_encoding="encode")
        codes = np.array([self.encode_value(value) for value in distinct.dictionary.to_pylist()], dtype=np.int32)
        indices = distinct.indices.to_numpy(zero_copy_only=False)
        return codes[indices] if codes.size else np.empty(0, dtype=np.int32)

    def encode_value(self, value: Value | None) -> int:
        """Class index of one label value, MISSING or UNKNOWN."""
        text = label_key(value)
        if text is None or text in self.missing:
            return MISSING
        return self.table.get(text, self.table.get(text.casefold(), UNKNOWN))


def label_key(value: Value | None) -> str | None:
    """A label value as trimmed text; None when it stands for "no label" (null, blank, -1, -100)."""
    if value is None:
        return None
    text = str(value).strip()
    if _INTEGER.fullmatch(text):
        number = int(text)
        return None if number in MISSING_INTEGERS else str(number)
    return text or None


def check_label_type(data_type: pa.DataType, column: str, where: str) -> None:
    """Refuse label columns that are neither integers nor strings.

    Raises:
        LabelError: with what the column holds and what to do about it.
    """
    if pa.types.is_dictionary(data_type):
        data_type = data_type.value_type
    if pa.types.is_floating(data_type) or pa.types.is_decimal(data_type):
        raise LabelError(
            f"label column '{column}' of {where} holds {data_type} values; a class label is an integer or a name. "
            "Where missing labels turned integers into floats, cast the column back to a nullable integer (in "
            "pandas: astype('Int64')); soft labels and regression targets cannot be scored."
        )
    if pa.types.is_nested(data_type):
        raise LabelError(
            f"label column '{column}' of {where} holds {data_type} values; several labels per row (multi-label "
            "data, token labels) cannot be scored. Name a column with one label with --label-column."
        )
    readable = (
        pa.types.is_integer,
        pa.types.is_boolean,
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_null,
    )
    if not any(is_type(data_type) for is_type in readable):
        raise LabelError(
            f"label column '{column}' of {where} holds {data_type} values; a class label is an integer or a name. "
            "Name another column with --label-column."
        )


def resolve_labels(
    counts: Mapping[Value | None, int],
    model_labels: Sequence[str],
    *,
    class_names: Sequence[str] | None = None,
    label_map: Mapping[str, str | int | None] | None = None,
    by_index: bool = False,
) -> LabelEncoder:
    """Settle how the data's labels are read, or say why they cannot be.

    Args:
        counts: every distinct label value of the data with its number of rows.
        model_labels: the model's C class names, in the order of its logits.
        class_names: names that the data set itself declares for its integer labels (ClassLabel), or None.
        label_map: the user's translation, from data label to model label, class index or None (no label).
        by_index: take labels as class indices whatever their names.

    Returns:
        The translation.

    Raises:
        LabelError: the labels do not fit together; the message shows both lists.
    """
    present: dict[str, int] = {}  # rows of each label that stands for a label
    for value, rows in counts.items():
        if (key := label_key(value)) is not None:
            present[key] = present.get(key, 0) + rows
    if label_map is not None:
        return _by_map(present, model_labels, class_names, label_map)
    numeric = all(_INTEGER.fullmatch(key) for key in present)
    if by_index:
        return _by_index_on_request(present, model_labels, class_names, numeric=numeric)
    if class_names is not None and numeric:
        return _by_class_names(present, model_labels, class_names)
    by_name = _name_table(model_labels)
    if numeric:
        return _by_index(present, model_labels, by_name)
    return _by_name(present, model_labels, by_name)


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


def shown(label: Value | int) -> str:
    """A label in quotes, cut where it is so long that it must be a text."""
    quoted = repr(label)
    return quoted if len(quoted) <= LONGEST_SHOWN else quoted[:LONGEST_SHOWN] + "…"


def _name_table(names: Sequence[str]) -> dict[str, int]:
    """Indices by exact name, and by case-folded name where that is unique."""
    folded: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        folded.setdefault(name.strip().casefold(), []).append(index)
    table = {fold: indices[0] for fold, indices in folded.items() if len(indices) == 1}
    table.update({name.strip(): index for index, name in enumerate(names)})
    return table


def _look_up(table: Mapping[str, int], key: str) -> int | None:
    return table.get(key, table.get(key.casefold()))


def _is_generic(names: Sequence[str]) -> bool:
    return all(_GENERIC.fullmatch(name.strip()) for name in names)


def _by_map(
    present: Mapping[str, int],
    model_labels: Sequence[str],
    class_names: Sequence[str] | None,
    label_map: Mapping[str, str | int | None],
) -> LabelEncoder:
    by_name = _name_table(model_labels)
    table: dict[str, int] = {}
    missing = set()
    for source, target in label_map.items():
        key = label_key(source)
        if key is None:
            continue
        if target is None:
            missing.add(key)
            continue
        index = target if isinstance(target, int) else _look_up(by_name, target.strip())
        if index is None or not 0 <= index < len(model_labels):
            raise LabelError(
                f"--label-map sends {source!r} to {target!r}, which is no label of the model:\n"
                + side_by_side(list(label_map), model_labels)
            )
        table[key] = index
    if class_names is not None:  # the map may speak of names where the data holds their indices
        for position, name in enumerate(class_names):
            key = name.strip()
            if key in table:
                table.setdefault(str(position), table[key])
            elif key in missing and str(position) not in table:
                missing.add(str(position))
    absent = [key for key in present if _look_up(table, key) is None and key not in missing]
    if absent:
        raise LabelError(
            f"--label-map says nothing of {len(absent)} of the data's labels: "
            f"{', '.join(map(shown, absent[:10]))}. Map each to a label of the model, or to null to "
            "reject its rows:\n" + side_by_side(list(present), model_labels, present)
        )
    return LabelEncoder(table, f"read through --label-map ({len(label_map)} entries)", frozenset(missing))


def _index_table(classes: int) -> dict[str, int]:
    return {str(index): index for index in range(classes)}


def _by_index_on_request(
    present: Mapping[str, int],
    model_labels: Sequence[str],
    class_names: Sequence[str] | None,
    *,
    numeric: bool,
) -> LabelEncoder:
    table = _index_table(len(model_labels))
    if not numeric:
        raise LabelError(
            "--labels-by-index takes labels as class indices, but the data holds names. Leave it out to match "
            "them by name, or give --label-map:\n" + side_by_side(list(present), model_labels, present)
        )
    aside = f"; the data's own names are ignored: {', '.join(class_names[:5])}" if class_names else ""
    return LabelEncoder(table, f"integers, taken as the model's class indices as asked{aside}")


def _by_class_names(
    present: Mapping[str, int], model_labels: Sequence[str], class_names: Sequence[str]
) -> LabelEncoder:
    by_name = _name_table(model_labels)
    table: dict[str, int] = {}
    for position, name in enumerate(class_names):
        index = _look_up(by_name, name.strip())
        if index is not None:
            table[str(position)] = index
    used = [name for position, name in enumerate(class_names) if str(position) in present]
    unmatched = [
        name for position, name in enumerate(class_names) if str(position) in present and str(position) not in table
    ]
    if unmatched:
        raise LabelError(_mismatch(used, unmatched, model_labels, None))
    moved = sum(int(position) != index for position, index in table.items())
    return LabelEncoder(
        table,
        f"integers with names, matched with the model's names ({moved} of {len(table)} change their index)",
    )


def _by_index(present: Mapping[str, int], model_labels: Sequence[str], by_name: Mapping[str, int]) -> LabelEncoder:
    classes = len(model_labels)
    named_by_number = [name for name in model_labels if _INTEGER.fullmatch(name)]
    if named_by_number and any(by_name[key] != int(key) for key in present if key in by_name):
        raise LabelError(
            "the data's labels are numbers, and so are the model's label names, but in another order: a label "
            "could mean either a name or an index. Say which with --labels-by-index or --label-map FILE:\n"
            + side_by_side(sorted(present), model_labels, present)
        )
    if "0" not in present and all(str(index) in present for index in range(1, classes + 1)):
        raise LabelError(
            f"the data's labels run from 1 to {classes}, the model's class indices from 0 to {classes - 1}: they "
            "look shifted by one. Give --label-map FILE, or --labels-by-index if they are right:\n"
            + side_by_side(sorted(present), model_labels, present)
        )
    legend = ", ".join(f"{index} = {name}" for index, name in enumerate(model_labels[:6]))
    more = ", …" if classes > 6 else ""
    return LabelEncoder(_index_table(classes), f"integers, taken as the model's class indices ({legend}{more})")


def _by_name(present: Mapping[str, int], model_labels: Sequence[str], by_name: Mapping[str, int]) -> LabelEncoder:
    matched = {key: index for key in present if (index := _look_up(by_name, key)) is not None}
    unmatched = [key for key in present if key not in matched]
    unused = len(set(matched.values())) < len(model_labels)
    unknown_rows = sum(present[key] for key in unmatched)
    # With every class of the model found, a few other values are stray labels and their rows are rejects;
    # with a class not found, an unmatched name may be that class under another name.
    if unmatched and (unused or unknown_rows > UNKNOWN_SHARE * sum(present.values())):
        raise LabelError(_mismatch(list(present), unmatched, model_labels, present))
    return LabelEncoder(dict(by_name), f"names, matched with the model's names ({len(matched)} found)")


def _mismatch(
    data_labels: Sequence[str],
    unmatched: Sequence[str],
    model_labels: Sequence[str],
    counts: Mapping[str, int] | None,
) -> str:
    what = (
        "the model has no label names of its own (LABEL_0, LABEL_1, …), the data has"
        if _is_generic(model_labels)
        else f"{len(unmatched)} of the data's labels match no label of the model: "
        + ", ".join(map(shown, unmatched[:10]))
    )
    if all(_FLOAT.fullmatch(name) for name in unmatched):
        what += " (they look like floats; a class label is an integer or a name)"
    advice = (
        "Name another column with --label-column, or say which is which with --label-map FILE, a JSON object such "
        'as {"data label": "model label"} (null rejects a label\'s rows)'
    )
    by_index = (
        ", or, where the data's labels are integers in the model's order, with --labels-by-index"
        if counts is None
        else ""
    )
    return f"{what}. {advice}{by_index}:\n" + side_by_side(data_labels, model_labels, counts)
