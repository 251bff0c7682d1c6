"""The label's column: which types can hold labels, and which column beside it may hold the labels' names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pyarrow as pa

from scorer.errors import LabelError
from scorer.sources.values import MIXED, is_text, label_values, plain_type

# Names of a column that holds the names of an integer label; {} is the label's column.
_NAME_COLUMNS = (
    *("{}_name", "{}_text", "{}_names", "{}_str", "{}_string", "{}_title", "{}name", "{}text"),
    *("label_name", "label_text", "class_name", "category_name", "topic_name", "intent_name", "target_name"),
    *("target_names", "label_names", "label_title", "category", "class", "topic", "intent"),
)


def check_label_type(data_type: pa.DataType, column: str, where: str) -> None:
    """Refuse label columns that hold no scalars, or times.

    Raises:
        LabelError: with what the column holds and what to do about it.
    """
    data_type = plain_type(data_type)
    if is_text(data_type) or data_type == MIXED:
        return
    if pa.types.is_nested(data_type):
        lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
        cure = (
            f" Where every list holds one label, write that into the column, in pandas: data['{column}'] = "
            f"data['{column}'].str[0]"
            if any(is_list(data_type) for is_list in lists)
            else ""
        )
        raise LabelError(
            f"label column '{column}' of {where} holds {data_type} values; several labels per row (multi-label "
            f"data, token labels) cannot be scored. Name a column with one label with --label-column.{cure}"
        )
    readable = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_floating, pa.types.is_decimal)
    if not any(is_type(data_type) for is_type in readable):
        raise LabelError(
            f"label column '{column}' of {where} holds {data_type} values; a class label is an integer or a name. "
            "Name another column with --label-column."
        )


def name_column(schemas: Iterable[pa.Schema], label: str) -> str | None:
    """A column that by its name holds the names of the labels, in every table; None where there is none."""
    shared: set[str] | None = None
    for schema in schemas:
        texts = {name for name in schema.names if schema.names.count(name) == 1 and is_text(schema.field(name).type)}
        shared = texts if shared is None else shared & texts
    for pattern in _NAME_COLUMNS:
        name = pattern.format(label)
        if name != label and name in (shared or ()):
            return name
    return None


def holds_names(column: str, label: str) -> bool:
    """Whether a column by its name holds the names of the labels."""
    return column != label and any(column == pattern.format(label) for pattern in _NAME_COLUMNS)


def count_pairs(batch: pa.RecordBatch, label: str, name: str) -> Counter[tuple[str | None, str | None]]:
    """Rows of a batch by label and name."""
    table = pa.table({"label": label_values(batch.column(label)), "name": label_values(batch.column(name))})
    counted = table.group_by(["label", "name"]).aggregate([([], "count_all")])
    labels, names, counts = (counted.column(column).to_pylist() for column in ("label", "name", "count_all"))
    return Counter(dict(zip(zip(labels, names, strict=True), counts, strict=True)))
