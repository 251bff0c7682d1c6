"""Which column plays which part, and record batches in the canonical schema."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import DataError, UsageError
from scorer.schema import source_schema
from scorer.sources.columns.guesses import guess_id, guess_label, guess_text, listed
from scorer.sources.columns.label_column import check_label_type
from scorer.sources.columns.values import id_values, is_text, label_values, text_values

# What stands for no id column, unless a column is called so: rows are known by their numbers.
NO_ID = "none"


@dataclasses.dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the data that a run reads.

    Attributes:
        text: column of the text.
        text_pair: column of the second text of pairs, or None.
        label: column of the given label.
        id: column of the stable row id, or None where the row number serves, as it does for a null id.
    """

    text: str
    text_pair: str | None
    label: str
    id: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """All columns to read, each once."""
        return tuple(dict.fromkeys(name for name in dataclasses.astuple(self) if name is not None))


def choose_columns(
    schema: pa.Schema,
    where: str,
    *,
    text: str | None,
    text_pair: str | None,
    label: str | None,
    id_column: str | None,
    notify: Callable[[str], None],
) -> Columns:
    """Give columns their parts; what the user did not name is guessed, and the guess is said aloud.

    Raises:
        UsageError: a column named by the user does not exist, or no guess fits.
    """
    available = schema.names
    no_id = id_column == NO_ID and NO_ID not in available
    if no_id:
        id_column = None
    for option, name in (("text", text), ("text-pair", text_pair), ("label", label), ("id", id_column)):
        if name is not None and name not in available:
            raise UsageError(
                f"{where} has no column '{name}' (--{option}-column). Its columns are: {listed(available)}."
            )
    guessed = []
    if text is None:
        text, text_pair = guess_text(available, where)
        guessed.append(f"text '{text}'" + (f" with '{text_pair}'" if text_pair else ""))
    if label is None:
        label = guess_label(available, where)
        guessed.append(f"label '{label}'")
    if not no_id and id_column is None and (id_column := guess_id(available)) is not None:
        guessed.append(f"id '{id_column}'")
    parts = {"text": text, "text pair": text_pair, "label": label}
    for (role, name), (other, twin) in itertools.combinations(parts.items(), 2):
        if name is not None and name == twin:
            raise UsageError(
                f"column '{name}' of {where} is given two roles, {role} and {other}. Name the right ones with "
                f"--text-column and --label-column; the columns are: {listed(available)}."
            )
    if guessed:
        notify(f"Columns guessed: {', '.join(guessed)}.")
    return Columns(text, text_pair, label, id_column)


def check_columns(schema: pa.Schema, columns: Columns, where: str) -> None:
    """Refuse a table that lacks a column or holds it in a type that cannot play its part.

    Raises:
        DataError: a column is missing, or a text column holds no strings.
        LabelError: the label column holds neither integers nor strings.
    """
    for name in columns.names:
        if name not in schema.names:
            raise DataError(
                f"'{where}' has no column '{name}', which the first file has. Its columns are: "
                f"{listed(schema.names)}. Rename them, or score the files in runs of their own."
            )
        if schema.names.count(name) > 1:
            raise DataError(f"'{where}' has several columns named '{name}'. Rename all but one.")
    for name in filter(None, (columns.text, columns.text_pair)):
        if not is_text(schema.field(name).type):
            raise DataError(
                f"column '{name}' of '{where}' holds {schema.field(name).type} values, not text. Name the text's "
                f"column with --text-column; the columns are: {listed(schema.names)}."
            )
    if columns.id is not None and pa.types.is_nested(schema.field(columns.id).type):
        raise DataError(
            f"column '{columns.id}' of '{where}' holds {schema.field(columns.id).type} values and cannot be read as "
            "text. Name another id with --id-column, or none with --id-column none; the columns are: "
            f"{listed(schema.names)}."
        )
    check_label_type(schema.field(columns.label).type, columns.label, f"'{where}'")


def class_label_names(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """Names that `datasets` recorded for an integer column (ClassLabel), in the order of the integers."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return None
    try:
        feature = json.loads(raw)["info"]["features"][column]
    except (ValueError, KeyError, TypeError):
        return None
    return feature_names(feature)


def feature_names(feature: Any) -> tuple[str, ...] | None:
    """Names in the description of a ClassLabel feature, or None for any other feature."""
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return None
    names = feature.get("names")
    return tuple(str(name) for name in names) if names else None


def canonical(batch: pa.RecordBatch, columns: Columns, first_row: int, where: str) -> pa.RecordBatch:
    """A batch in the source schema.

    Args:
        batch: columns as the file has them.
        columns: their parts.
        first_row: position of the batch's first row in the whole data set.
        where: value of `source_file`.

    Returns:
        The batch with row, id, source_file, text (and text_pair), the label in the data's own spelling, and whether
        its text is no valid text.
    """
    rows = batch.num_rows
    row = pa.array(np.arange(first_row, first_row + rows, dtype=np.int64))
    row_number = row.cast(pa.large_string())
    texts, invalid = [], np.zeros(rows, dtype=bool)
    for name in filter(None, (columns.text, columns.text_pair)):
        text, bad = text_values(batch.column(name))
        texts.append(text)
        invalid |= bad
    arrays = [
        row,
        row_number if columns.id is None else pc.coalesce(id_values(batch.column(columns.id)), row_number),
        pa.repeat(pa.scalar(where, pa.large_string()), rows),
        *texts,
        label_values(batch.column(columns.label)),
        pa.array(invalid),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=source_schema(pairs=columns.text_pair is not None))
