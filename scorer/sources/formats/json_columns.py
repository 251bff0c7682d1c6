"""JSON rows as columns of one type each, with every value as it is: for `datasets`, which wants types.

A string that looks like a date stays a string. A column whose values have no type in common (numbers beside strings,
objects with other keys, integers beyond 64 bits) is kept as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from scorer.errors import DataError
from scorer.sources.columns.values import label_values
from scorer.sources.formats.json_lines import JsonTable
from scorer.sources.storage.table import READ_ROWS

# Integers up to here are floats without loss.
EXACT_IN_FLOAT = 2**53
# While types are looked for: an integer that a float can hold. At the end it is an int64 like all others.
_SMALL_INTEGER = pa.int32()


class JsonColumns:
    """The columns of a JSON file.

    Args:
        table: the file.

    Attributes:
        types: type of each column, in order of appearance; None for those that are kept as JSON.
    """

    def __init__(self, table: JsonTable) -> None:
        self._table = table
        found: dict[str, pa.DataType | None] = {}
        for document in self._table.documents():
            for name, value in document.items():
                found[name] = _common(found.get(name, pa.null()), _type_of(value))
        self.types = {name: _final(data_type) for name, data_type in found.items()}

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All columns, batch by batch; what is kept as JSON as strings that hold it."""
        held: list[Mapping[str, Any]] = []
        for document in self._table.documents():
            held.append(document)
            if len(held) == READ_ROWS:
                yield self._batch(held)
                held = []
        if held:
            yield self._batch(held)

    def _batch(self, documents: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
        arrays = []
        for name, data_type in self.types.items():
            values = [document.get(name) for document in documents]
            if data_type is None:
                values = [None if value is None else json.dumps(value) for value in values]
            try:
                arrays.append(pa.array(values, pa.string() if data_type is None else data_type))
            except UnicodeEncodeError as error:
                raise DataError(
                    f"column '{name}' of '{self._table.name}' holds a text that is no valid Unicode "
                    f"({error.object[:40]!r}), which `datasets` cannot hold. Leave the row out, or write the data in "
                    "their own form."
                ) from error
        return pa.RecordBatch.from_arrays(arrays, names=list(self.types))


def _type_of(value: Any) -> pa.DataType | None:
    """The type of one value, or None where only JSON holds it."""
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        if abs(value) <= EXACT_IN_FLOAT:
            return _SMALL_INTEGER
        return pa.int64() if -(2**63) <= value < 2**63 else None
    if isinstance(value, list):
        item: pa.DataType | None = pa.null()
        for each in value:
            item = _common(item, _type_of(each))
        return None if item is None else pa.list_(item)
    if isinstance(value, dict):
        types = {name: _type_of(each) for name, each in value.items()}
        return None if None in types.values() or not types else pa.struct(list(types.items()))
    return {str: pa.string(), float: pa.float64()}.get(type(value), pa.null())


def _common(one: pa.DataType | None, other: pa.DataType | None) -> pa.DataType | None:
    """A type that holds the values of both as they are, or None where only JSON does."""
    if one is None or other is None or one == other:
        return None if one is None or other is None else one
    for this, that in ((one, other), (other, one)):
        if pa.types.is_null(this):
            return that
        if this == _SMALL_INTEGER and (pa.types.is_integer(that) or pa.types.is_floating(that)):
            return that
    if pa.types.is_list(one) and pa.types.is_list(other):
        item = _common(one.value_type, other.value_type)
        return None if item is None else pa.list_(item)
    if pa.types.is_struct(one) and pa.types.is_struct(other) and one.names == other.names:
        types = {name: _common(one.field(name).type, other.field(name).type) for name in one.names}
        return None if None in types.values() else pa.struct(list(types.items()))
    return None


def _final(data_type: pa.DataType | None) -> pa.DataType | None:
    if data_type is None:
        return None
    if data_type == _SMALL_INTEGER:
        return pa.int64()
    if pa.types.is_list(data_type):
        return pa.list_(_final(data_type.value_type))
    if pa.types.is_struct(data_type):
        return pa.struct([(field.name, _final(field.type)) for field in data_type])
    return data_type


def typed_columns(table: JsonTable, label: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """A JSON file with types: its label as text, and as JSON what has no other type.

    Raises:
        DataError: a value has no place in a column.
    """
    columns = JsonColumns(table)
    types = {name: pa.json_() if data_type is None else data_type for name, data_type in columns.types.items()}
    schema = pa.schema(list((types | {label: pa.large_string()}).items()))
    labels = pa.chunked_array([label_values(batch.column(0)) for batch in table.batches([label])], pa.large_string())

    def batches() -> Iterator[pa.RecordBatch]:
        first = 0
        for batch in columns.batches():
            arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
            arrays[label] = labels.slice(first, batch.num_rows).combine_chunks()
            yield pa.RecordBatch.from_arrays([arrays[field.name].cast(field.type) for field in schema], schema=schema)
            first += batch.num_rows

    return schema, batches()
