"""Data sets of the Hugging Face hub, through the `datasets` library, which is imported only here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer.errors import DataError, MissingExtraError, UsageError
from scorer.sources.storage.edits import Edits
from scorer.sources.storage.table import READ_ROWS


class HubTable:
    """One split, downloaded and memory-mapped by `datasets`."""

    places = None
    remarks = ()
    of_datasets = True

    def __init__(self, dataset: Any, name: str) -> None:
        self.name = name
        self._dataset = dataset.with_format("arrow")

    def identity(self) -> Mapping[str, object]:
        """The fingerprint that `datasets` keeps."""
        return {"rows": len(self._dataset), "fingerprint": self._dataset._fingerprint}

    def schema(self) -> pa.Schema:
        """Columns and types, with the names of ClassLabel values in the metadata."""
        return self._dataset.features.arrow_schema

    def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[pa.RecordBatch]:
        """Record batches of the given columns from row `start` on."""
        selected = self._dataset.select_columns(list(columns))
        for first in range(start, len(selected), READ_ROWS):
            yield from selected[first : first + READ_ROWS].combine_chunks().to_batches()

    def all_columns(self, label: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Every column as `datasets` holds it."""
        schema = self.schema()
        return schema, (batch.cast(schema) for batch in self.batches(schema.names))

    def rewrite(self, output: Path, edits: Edits) -> None:
        """Refuse: a data set of the hub is no file.

        Raises:
            UsageError: always, with the way out.
        """
        raise UsageError(f"'{self.name}' is a data set of the hub and no file to write anew. Give --as-datasets.")


def open_hub_dataset(
    name: str,
    config_name: str | None,
    split: str | None,
    revision: str | None,
    notify: Callable[[str], None],
) -> HubTable:
    """Load one split of a hub data set (or of a local folder that `datasets` understands).

    Raises:
        MissingExtraError: `datasets` is not installed.
        DataError: the data set cannot be loaded.
        UsageError: the configuration or split must be chosen, or does not exist.
    """
    try:
        import datasets
    except ImportError as error:
        purpose = f"there is no file or folder '{name}', and reading it from the hub"
        raise MissingExtraError("datasets", "hub", purpose) from error
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        loaded = datasets.load_dataset(name, name=config_name, split=split, revision=revision)
    except ValueError as error:  # an unknown or missing configuration or split; the message lists them
        raise UsageError(f"cannot load '{name}' from the hub: {error} (--config, --split)") from error
    except Exception as error:
        raise DataError(
            f"there is no file or folder '{name}', and it cannot be loaded from the hub: "
            f"{type(error).__name__}: {error}. Check the name and the network connection; for a private data "
            "set run: hf auth login"
        ) from error
    if isinstance(loaded, dict):
        if len(loaded) > 1:
            raise UsageError(f"'{name}' has several splits. Choose with --split: {', '.join(loaded)}.")
        split, loaded = next(iter(loaded.items()))
    notify(f"Loaded {name}, split {split}: {len(loaded):,} rows.")
    return HubTable(loaded, f"{name}/{split}")
