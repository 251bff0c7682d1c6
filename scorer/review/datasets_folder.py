"""A corrected data set as a folder that `datasets` loads, and as a data set of the hub.

The label becomes a ClassLabel in the model's order, whatever the data's own. The only importer of `datasets` here.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer.errors import DataError, MissingExtraError, OutputError
from scorer.files import writing
from scorer.labels import MISSING, LabelEncoder
from scorer.review.edits import CORRECTED_COLUMN, ORIGINAL_COLUMN, Edits, edited_batches, edited_schema
from scorer.sources.json_lines import JsonTable
from scorer.sources.storage import first_line
from scorer.sources.table import Table
from scorer.sources.values import label_values

NO_LABEL = -1  # what `datasets` takes for "no label"


class Classes:
    """The classes of the corrected data set: the model's, in its order, then what else the data holds.

    Args:
        label_names: the model's C class names.
        encoder: how the data's labels are read.
        class_names: the data's own names of its integers, or None.
        values: every distinct label value of the data.
    """

    def __init__(
        self,
        label_names: Sequence[str],
        encoder: LabelEncoder,
        class_names: Sequence[str] | None,
        values: Sequence[str | None],
    ) -> None:
        self._encoder = encoder
        self._class_names = class_names
        self.names = list(label_names)
        for value in values:
            if encoder.encode_value(value) < 0 and encoder.encode_value(value) != MISSING:
                self.names.append(self._name(value))
        self.names = list(dict.fromkeys(self.names))

    def encode(self, labels: pa.Array) -> pa.Array:
        """Class indices of label values: int64 [N], null where they were null, -1 where they say "no label"."""
        values = label_values(labels).to_pylist()
        known = {value: self._index(value) for value in set(values)}
        return pa.array([known[value] for value in values], pa.int64())

    def _index(self, value: str | None) -> int | None:
        if value is None:
            return None
        index = self._encoder.encode_value(value)
        if index == MISSING:
            return NO_LABEL
        return index if index >= 0 else self.names.index(self._name(value))

    def _name(self, value: str | None) -> str:
        if value and value.isdecimal() and self._class_names is not None and int(value) < len(self._class_names):
            return self._class_names[int(value)]
        return str(value)


def import_datasets(purpose: str) -> Any:
    """The package `datasets`, told to be quiet.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("datasets", "hub", purpose) from error
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    return datasets


def write_folder(tables: Sequence[Table], edits: Sequence[Edits], classes: Classes, output: Path) -> None:
    """Write all tables, with their changes, as one folder of `save_to_disk`, whole or not at all.

    Args:
        tables: where the rows come from.
        edits: the changes to each.
        classes: the classes of the labels.
        output: the folder; it must not exist yet.

    Raises:
        DataError: a table cannot be read, or has other columns than the first.
        MissingExtraError: `datasets` is not installed.
        OutputError: the folder cannot be written.
    """
    datasets = import_datasets("writing a folder of `datasets`")
    temporary = output.with_name(f".{output.name}.tmp")
    try:
        with writing(output):
            temporary.mkdir(parents=True)
            schema = _write_stream(tables, edits, classes, temporary / "rows.arrow", datasets)
            loaded = datasets.Dataset.from_file(str(temporary / "rows.arrow"))
            if loaded.features.arrow_schema.names != schema.names:
                raise OutputError(f"'{output}' would lose columns in `datasets`. Write the data in its own form.")
            loaded.save_to_disk(str(temporary / "saved"))
            (temporary / "saved").rename(output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_stream(
    tables: Sequence[Table], edits: Sequence[Edits], classes: Classes, file: Path, datasets: Any
) -> pa.Schema:
    schema = None
    with contextlib.ExitStack() as stack:
        for table, changes in zip(tables, edits, strict=True):
            source, batches = _all_columns(table)
            ours = edited_schema(source, changes)
            features = datasets.Features.from_arrow_schema(ours)
            label = datasets.ClassLabel(names=classes.names)
            labels = [changes.column, *((ORIGINAL_COLUMN, CORRECTED_COLUMN) if changes.keep_original else ())]
            target = datasets.Features({**features, **dict.fromkeys(labels, label)}).arrow_schema
            if schema is None:
                schema = target
                writer = stack.enter_context(pa.ipc.new_stream(str(file), schema))
            elif not schema.equals(target):
                raise DataError(
                    f"'{table.name}' has other columns or types than '{tables[0].name}', so they make no one data set. "
                    "Correct them apart."
                )
            for batch in edited_batches(batches, ours, changes):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                columns |= {name: classes.encode(columns[name]) for name in labels}
                arrays = [columns[field.name].cast(field.type) for field in schema]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return schema


def _all_columns(table: Table) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """A table with every column as it is; JSON holds types that scoring has no use for."""
    if not isinstance(table, JsonTable):
        schema = table.schema()
        return schema, table.batches(schema.names)
    whole = table.whole()
    return whole.schema, iter(whole.to_batches())


def push_folder(folder: Path, repository: str, card: str) -> str:
    """Upload a saved folder as a private data set of the hub, with its card.

    Args:
        folder: what `write_folder` wrote.
        repository: the data set's id, such as "me/ag-news-corrected".
        card: text of the card, in Markdown; the hub's description of the columns goes above it.

    Returns:
        The data set's address.

    Raises:
        OutputError: the upload failed.
    """
    datasets = import_datasets("pushing to the hub")
    from huggingface_hub import DatasetCard

    try:
        datasets.load_from_disk(str(folder)).push_to_hub(repository, private=True)
        described = DatasetCard.load(repository)
        described.text = card
        described.push_to_hub(repository)
    except Exception as error:  # the hub's client raises its own kinds, the network's and the system's
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise OutputError(
            f"cannot push to '{repository}': {reason}. The corrected data set is in '{folder}'. Check the network and "
            "the name, and log in with: hf auth login"
        ) from error
    return f"https://huggingface.co/datasets/{repository}"
