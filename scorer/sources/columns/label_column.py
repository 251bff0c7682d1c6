"""The label's column: which types can hold labels, and which column beside it may hold the labels' names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import DataError, LabelError
from scorer.sources.columns.values import MIXED, is_text, label_values, plain_type
from scorer.sources.storage.table import Table

# Names of a column that holds the names of an integer label, without case and marks; {} is the label's column.
_NAME_COLUMNS = (
    *("{}name", "{}text", "{}names", "{}str", "{}string", "{}title", "{}sname", "{}stext", "original{}", "gold{}"),
    *("labelname", "labeltext", "classname", "categoryname", "topicname", "intentname", "targetname"),
    *("targetnames", "labelnames", "labeltitle", "category", "class", "topic", "intent"),
)
# Rows looked at for a column that names the labels one to one, and the share of them that must say the same.
_LOOKED_AT, _AGREED = 1_000, 0.9


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


def name_column(schemas: Iterable[pa.Schema], table: Table, label: str, taken: Sequence[str]) -> str | None:
    """A column that holds the names of integer labels, by its own name or by its values; None where there is none.

    Args:
        schemas: the columns of every table.
        table: the first of them, whose first rows are looked at.
        label: the label's column.
        taken: columns that have a part.
    """
    shared: list[str] | None = None
    for schema in schemas:
        texts = [name for name in schema.names if schema.names.count(name) == 1 and is_text(schema.field(name).type)]
        shared = texts if shared is None else [name for name in shared if name in texts]
    others = [name for name in shared or () if name not in taken]
    for pattern in _NAME_COLUMNS:
        for name in others:
            if _plain(name) == pattern.format(_plain(label)):
                return name
    try:
        batch = next(iter(table.batches([label, *others])), None) if others else None
    except DataError:  # a column that nobody asked for need not be readable
        return None
    if batch is None:
        return None
    batch = batch.slice(0, _LOOKED_AT)
    return next((name for name in others if _names_one_to_one(batch, label, name)), None)


def holds_names(column: str, label: str) -> bool:
    """Whether a column by its name holds the names of the labels."""
    return column != label and any(_plain(column) == pattern.format(_plain(label)) for pattern in _NAME_COLUMNS)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _names_one_to_one(batch: pa.RecordBatch, label: str, name: str) -> bool:
    """Whether nearly every integer label has one text beside it, and each another."""
    if len(pc.unique(label_values(batch.column(name)))) > len(batch) // 2:
        return False
    texts: dict[str, Counter[str]] = {}
    for (number, text), rows in count_pairs(batch, label, name).items():
        if number is not None and text is not None:
            texts.setdefault(number, Counter())[text] += rows
    if len(texts) < 2 or not all(number.removeprefix("-").isdecimal() for number in texts):
        return False
    first = [counts.most_common(1)[0] for counts in texts.values()]
    agreed = sum(rows for _, rows in first) >= _AGREED * sum(counts.total() for counts in texts.values())
    return agreed and len({text for text, _ in first}) == len(texts)


def count_pairs(batch: pa.RecordBatch, label: str, name: str) -> Counter[tuple[str | None, str | None]]:
    """Rows of a batch by label and name."""
    table = pa.table({"label": label_values(batch.column(label)), "name": label_values(batch.column(name))})
    counted = table.group_by(["label", "name"]).aggregate([([], "count_all")])
    labels, names, counts = (counted.column(column).to_pylist() for column in ("label", "name", "count_all"))
    return Counter(dict(zip(zip(labels, names, strict=True), counts, strict=True)))
