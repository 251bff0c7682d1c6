"""A corrected data set as a folder that `datasets` loads, and as a data set of the hub.

The label becomes a ClassLabel in the model's order, whatever the data's own. The only importer of `datasets` here.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer.errors import DataError, MissingExtraError, OutputError
from scorer.labels import MISSING, LabelEncoder
from scorer.sources.columns.values import decoded_dictionary, label_values
from scorer.sources.edits.batches import Editor
from scorer.sources.storage.edits import CORRECTED_COLUMN, ORIGINAL_COLUMN, Edits
from scorer.sources.storage.storage import first_line
from scorer.sources.storage.table import Table
from scorer.system.files import making_folder, writing

_DESCRIPTION = ("description", "citation", "homepage", "license")
NO_LABEL = -1  # what `datasets` takes for "no label"
_NOTHING = re.compile(r"\s*|\s*-(1|100)(\.0*)?\s*")  # labels that say "no label" by themselves


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
        self.names += [self._name(value) for value in values if value is not None and self._is_extra(value)]
        self.names = list(dict.fromkeys(self.names))

    def encode(self, labels: pa.Array) -> pa.Array:
        """Class indices of label values: int64 [N], null where they were null, -1 where they say "no label"."""
        values = label_values(labels).to_pylist()
        known = {value: self._index(value) for value in set(values)}
        return pa.array([known[value] for value in values], pa.int64())

    def _index(self, value: str | None) -> int | None:
        if value is None:
            return None
        if self._is_extra(value):
            return self.names.index(self._name(value))
        return max(self._encoder.encode_value(value), NO_LABEL)

    def _is_extra(self, value: str) -> bool:
        """Whether a label is none of the model's but says something, so that it must not be lost."""
        index = self._encoder.encode_value(value)
        return index < 0 and not (index == MISSING and _NOTHING.fullmatch(value))

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
        DataError: a table cannot be read, has other columns than the first, or columns that `datasets` cannot hold.
        MissingExtraError: `datasets` is not installed.
        OutputError: the folder cannot be written.
    """
    datasets = import_datasets("writing a folder of `datasets`")
    with writing(output), making_folder(output) as folder:
        rows, saved = folder / "rows.arrow", folder / "saved"
        schema = _write_stream(tables, edits, classes, rows, datasets)
        loaded = datasets.Dataset.from_file(str(rows))
        if loaded.features.arrow_schema.names != schema.names:
            raise OutputError(f"'{output}' would lose columns in `datasets`. Write the data in its own form.")
        for name, value in _described(tables).items():
            setattr(loaded.info, name, value)
        loaded.save_to_disk(str(saved))
        for file in saved.iterdir():
            file.rename(folder / file.name)
        saved.rmdir()
        rows.unlink()


def _described(tables: Sequence[Table]) -> dict[str, str]:
    """What the folder that the tables were saved in says of itself, where they all lie in one."""
    folders = {Path(table.name).parent for table in tables}
    info = next(iter(folders), Path()) / "dataset_info.json"
    if len(folders) != 1 or not info.is_file():
        return {}
    try:
        document = json.loads(info.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: document[name] for name in _DESCRIPTION if isinstance(document.get(name), str)}


def _write_stream(
    tables: Sequence[Table], edits: Sequence[Edits], classes: Classes, file: Path, datasets: Any
) -> pa.Schema:
    schema = None
    with contextlib.ExitStack() as stack:
        for table, changes in zip(tables, edits, strict=True):
            source, batches = table.all_columns(changes.column)
            editor = Editor(source, changes)
            labels = [changes.column, *((ORIGINAL_COLUMN, CORRECTED_COLUMN) if changes.keep_original else ())]
            target = _target(editor.schema, labels, classes, table.name, datasets)
            if schema is None:
                schema = target
                writer = stack.enter_context(pa.ipc.new_stream(str(file), schema))
            elif not schema.equals(target):
                raise DataError(
                    f"'{table.name}' has other columns or types than '{tables[0].name}', so they make no one data set. "
                    "Correct them apart."
                )
            for batch in map(editor.edit, batches):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                columns |= {name: classes.encode(columns[name]) for name in labels}
                arrays = [_simple(columns[field.name]).cast(field.type) for field in schema]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            editor.finish()
    return schema


def _target(schema: pa.Schema, labels: Sequence[str], classes: Classes, where: str, datasets: Any) -> pa.Schema:
    """The schema of the folder: as `datasets` describes the columns, with the labels as ClassLabels."""
    twice = [name for name in schema.names if schema.names.count(name) > 1]
    if twice:
        raise DataError(
            f"'{where}' has several columns named '{twice[0]}'; a data set of `datasets` has one of each name. Rename "
            "them, or write the data in their own form."
        )
    simple = pa.schema(
        [pa.field(field.name, _simple(pa.nulls(0, field.type)).type) for field in schema], metadata=schema.metadata
    )
    if not hasattr(datasets, "Json"):  # older versions of `datasets` know no JSON
        simple = pa.schema(
            [field.with_type(pa.string()) if field.type == pa.json_() else field for field in simple],
            metadata=schema.metadata,
        )
    for field in simple:
        if field.name not in labels:
            try:
                datasets.Features.from_arrow_schema(pa.schema([field]))
            except (ValueError, NotImplementedError, TypeError) as error:
                raise DataError(
                    f"column '{field.name}' of '{where}' holds {field.type} values, which `datasets` cannot hold. "
                    "Leave the column out, or write the data in their own form."
                ) from error
    features = datasets.Features.from_arrow_schema(simple)
    label = datasets.ClassLabel(names=classes.names)
    target: pa.Schema = datasets.Features({**features, **dict.fromkeys(labels, label)}).arrow_schema
    return target


def _simple(values: pa.Array) -> pa.Array:
    """The values in a type that `datasets` knows, where there is one that holds the same."""
    if pa.types.is_dictionary(values.type):
        values = decoded_dictionary(values)
    if pa.types.is_string_view(values.type):
        return values.cast(pa.large_string())
    return values.cast(pa.large_binary()) if pa.types.is_binary_view(values.type) else values


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
