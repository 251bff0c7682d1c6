"""Arrow batches with labels changed.

Columns are known by their position: a table may hold two of one name. A column that is not the label's is handed on
as it is, and of the label's all values but those that change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa

from scorer.sources.edits.label_column import LabelColumn
from scorer.sources.storage.edits import CORRECTED_COLUMN, ORIGINAL_COLUMN, Edits

DATASETS_KEY = b"huggingface"  # under which `datasets` describes columns in a schema's metadata
FIELD_ID_KEY = b"PARQUET:field_id"  # under which a field's metadata numbers it; no two have the same


def edited_schema(schema: pa.Schema, edits: Edits) -> pa.Schema:
    """The schema after editing: the same, or with two columns more that are like the label's."""
    if not edits.keep_original:
        return schema
    label = schema.field(schema.names.index(edits.column))
    own = {key: value for key, value in (label.metadata or {}).items() if key != FIELD_ID_KEY}
    for name in (ORIGINAL_COLUMN, CORRECTED_COLUMN):
        schema = schema.append(pa.field(name, label.type, metadata=own or None))
    return schema.with_metadata(_described(schema.metadata, edits.column))


def _described(metadata: Mapping[bytes, bytes] | None, column: str) -> dict[bytes, bytes] | None:
    """A schema's metadata with the new columns described as `datasets` describes the label, where it does."""
    try:
        document = json.loads((metadata or {})[DATASETS_KEY])
        features = document["info"]["features"]
        features |= dict.fromkeys((ORIGINAL_COLUMN, CORRECTED_COLUMN), features[column])
    except (KeyError, TypeError, ValueError):
        return dict(metadata) if metadata else None
    return {**(metadata or {}), DATASETS_KEY: json.dumps(document).encode()}


class Editor:
    """Makes the changes to one table, batch by batch.

    Args:
        schema: the table's schema.
        edits: the changes.
        one_dictionary: whether all batches share the label's dictionary, and must do so afterwards.

    Attributes:
        schema: the schema after editing.
    """

    def __init__(self, schema: pa.Schema, edits: Edits, *, one_dictionary: bool = False) -> None:
        self.schema = edited_schema(schema, edits)
        self._edits = edits
        self._position = schema.names.index(edits.column)
        self._labels = LabelColumn(schema.field(self._position), edits.labels.values() if one_dictionary else ())
        self._row = 0

    def edit(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The next batch, of all columns in order, with the changes made.

        Raises:
            LabelError: the label's column cannot hold one of the labels.
        """
        edits, first = self._edits, self._row
        self._row += batch.num_rows
        decided = {row - first: edits.labels[row] for row in range(first, self._row) if row in edits.labels}
        arrays = batch.columns
        original = arrays[self._position]
        arrays[self._position] = self._labels.replaced(original, decided)
        if edits.keep_original:
            arrays += [original, self._labels.alone(arrays[self._position], decided)]
        edited = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        return _without(edited, [row - first for row in range(first, self._row) if row in edits.dropped])

    def finish(self) -> None:
        """To be called behind the last batch; see `Edits.check_rows`."""
        self._edits.check_rows(self._row)


def _without(batch: pa.RecordBatch, dropped: Sequence[int]) -> pa.RecordBatch:
    """The batch without some of its rows; by slices, which there are of every type."""
    if not dropped:
        return batch
    starts, stops = [0, *(row + 1 for row in dropped)], [*dropped, batch.num_rows]
    return pa.concat_batches([batch.slice(start, stop - start) for start, stop in zip(starts, stops, strict=True)])
