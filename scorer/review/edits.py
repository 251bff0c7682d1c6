"""What is to change in one table, and Arrow batches with it changed. File formats are the business of `rewrite`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from scorer.errors import DataError, UsageError
from scorer.sources.columns import class_label_names

ORIGINAL_COLUMN = "original_label"
CORRECTED_COLUMN = "corrected_label"
DATASETS_KEY = b"huggingface"  # under which `datasets` describes columns in a schema's metadata

Value = int | str


@dataclasses.dataclass(frozen=True, slots=True)
class Edits:
    """The changes to one table, by row of that table, in the data's own terms.

    Attributes:
        table: the table's name.
        rows: number of its rows when decisions were matched with them.
        column: name of the label column.
        labels: right label of every row that people decided on, those that keep theirs included.
        dropped: rows that leave.
        keep_original: whether two columns are added: `original_label`, as the data had it, and `corrected_label`,
            as people decided and null where nobody did.
    """

    table: str
    rows: int
    column: str
    labels: Mapping[int, Value]
    dropped: frozenset[int]
    keep_original: bool

    def check_rows(self, rows: int) -> None:
        """Refuse to go on where the table does not hold the rows that decisions were matched with.

        Raises:
            DataError: it was changed, or is written in a way that two readers understand differently.
        """
        if rows != self.rows:
            raise DataError(
                f"'{self.table}' holds {rows:,} rows now, and held {self.rows:,} when the corrections were matched "
                "with them. Do not change the data meanwhile; in delimited text, quote fields that hold quotes."
            )


def refuse_taken_columns(names: Sequence[str], where: str) -> None:
    """Refuse to add columns that are there already.

    Raises:
        UsageError: with the column's name.
    """
    for name in (ORIGINAL_COLUMN, CORRECTED_COLUMN):
        if name in names:
            raise UsageError(
                f"'{where}' has a column '{name}' already, which --keep-original would add. Rename it, or leave "
                "--keep-original out."
            )


def edited_schema(schema: pa.Schema, edits: Edits) -> pa.Schema:
    """The schema after editing: the same, or with two columns more of the label column's type."""
    if not edits.keep_original:
        return schema
    added = (ORIGINAL_COLUMN, CORRECTED_COLUMN)
    for name in added:
        schema = schema.append(pa.field(name, schema.field(edits.column).type))
    metadata = dict(schema.metadata or {})
    if class_label_names(schema, edits.column) is not None:  # the new columns hold the same classes
        document = json.loads(metadata[DATASETS_KEY])
        features = document["info"]["features"]
        features |= dict.fromkeys(added, features[edits.column])
        metadata[DATASETS_KEY] = json.dumps(document).encode()
    return schema.with_metadata(metadata or None)


def edited_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema, edits: Edits) -> Iterator[pa.RecordBatch]:
    """The batches of a table with the changes made.

    Args:
        batches: all columns, in order from the table's first row on.
        schema: `edited_schema` of the table.
        edits: the changes.
    """
    first = 0
    for batch in batches:
        rows = range(first, first + batch.num_rows)
        first += batch.num_rows
        arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
        original = arrays[edits.column]
        decided = {row - rows.start: edits.labels[row] for row in rows if row in edits.labels}
        arrays[edits.column] = _with_values(original, decided)
        if edits.keep_original:
            arrays[ORIGINAL_COLUMN] = original
            arrays[CORRECTED_COLUMN] = _with_values(pa.nulls(batch.num_rows, original.type), decided)
        edited = pa.RecordBatch.from_arrays([arrays[name] for name in schema.names], schema=schema)
        stays = np.array([row not in edits.dropped for row in rows], dtype=bool)  # bool [rows]
        yield edited if stays.all() else edited.filter(pa.array(stays))
    edits.check_rows(first)


def _with_values(values: pa.Array, replaced: Mapping[int, Value]) -> pa.Array:
    """The array with values at some positions replaced, in its own type; untouched where nothing is."""
    if not replaced:
        return values
    kind = values.type
    plain = values.dictionary_decode() if pa.types.is_dictionary(kind) else values
    listed = plain.to_pylist()
    as_boolean = pa.types.is_boolean(plain.type)
    for position, value in replaced.items():
        listed[position] = bool(int(value)) if as_boolean else value
    array = pa.array(listed, plain.type)
    return array.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else array
