"""From the user's words to a source: files, globs, folders, saved data sets, hub ids."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer.config import RunConfig
from scorer.errors import DataError, UsageError
from scorer.sources.columnar import ArrowTable, ParquetTable
from scorer.sources.columns import check_columns, choose_columns, class_label_names
from scorer.sources.delimited import DelimitedTable
from scorer.sources.hub import open_hub_dataset
from scorer.sources.json_lines import JsonTable
from scorer.sources.source import LeftOut, Source
from scorer.sources.storage import expand
from scorer.sources.table import Table
from scorer.sources.text_stream import COMPRESSIONS, TextOptions, TextTable
from scorer.urls import is_url, without_secrets

FORMATS: dict[str, Callable[[str], Table]] = {
    ".parquet": ParquetTable,
    ".pq": ParquetTable,
    ".arrow": ArrowTable,
    ".feather": ArrowTable,
    ".ipc": ArrowTable,
    ".csv": lambda path: DelimitedTable(path, ","),
    ".tsv": lambda path: DelimitedTable(path, "\t"),
    ".jsonl": JsonTable,
    ".ndjson": JsonTable,
    ".json": JsonTable,
}
# Remarks on how files are read that are said, before they are only counted.
MOST_REMARKS = 5
_HUB_ID = re.compile(r"(?=.{1,200}$)[\w][\w.-]*(/[\w][\w.-]*)?")
_SPLIT_OF_FILES = "--split applies to hub data sets and saved DatasetDicts; '{}' is neither. Leave it out."


def open_source(config: RunConfig, notify: Callable[[str], None]) -> Source:
    """Find the data of a run, give its columns their parts, and check every table's schema.

    Args:
        config: the run's configuration.
        notify: receives the sentences that a person should hear, such as guesses.

    Raises:
        DataError: nothing matches, or a file cannot be read.
        UsageError: an option does not fit the data.
        LabelError: the label column holds no labels.
        MissingExtraError: a hub data set without the `datasets` package.
    """
    tables, kind = _tables(config, notify)
    _set_text_options(tables, config)
    schemas, left_out = _schemas(tables, skip_bad_files=config.skip_bad_files)
    _say_remarks([table for table, _ in schemas], notify)
    first = schemas[0][0]
    columns = choose_columns(
        schemas[0][1],
        f"'{first.name}'",
        text=config.text_column,
        text_pair=config.text_pair_column,
        label=config.label_column,
        id_column=config.id_column,
        notify=notify,
    )
    class_names = class_label_names(schemas[0][1], columns.label)
    good = []
    for table, schema in schemas:
        try:
            check_columns(schema, columns, table.name)
        except DataError as error:
            if not config.skip_bad_files:
                raise
            left_out.append(LeftOut(table.name, str(error)))
            continue
        if class_label_names(schema, columns.label) != class_names:
            raise DataError(
                f"'{table.name}' names its labels otherwise than '{first.name}' does: "
                f"{class_label_names(schema, columns.label)} against {class_names}. Score them in runs of their own."
            )
        good.append(table)
    if not good:
        raise DataError(f"no file of {kind} can be read; the first: {left_out[0]}")
    return Source(tuple(good), columns, class_names, kind, tuple(left_out))


def _set_text_options(tables: list[Table], config: RunConfig) -> None:
    """Tell text files how the user wants them read.

    Raises:
        UsageError: no file is of the format that an option is for.
    """
    options = TextOptions(config.delimiter, config.quoting, config.encoding)
    texts = [table for table in tables if isinstance(table, TextTable)]
    for table in texts:
        table.options = options
    if not texts and options.encoding is not None:
        raise UsageError(f"--encoding applies to CSV, TSV and JSON; '{tables[0].name}' is none of them. Leave it out.")
    delimited = any(isinstance(table, DelimitedTable) for table in texts)
    for option, given in (("delimiter", options.delimiter is not None), ("quoting", options.quoting != "auto")):
        if given and not delimited:
            raise UsageError(f"--{option} applies to CSV and TSV; '{tables[0].name}' is neither. Leave it out.")


def _say_remarks(tables: list[Table], notify: Callable[[str], None]) -> None:
    """Say how files are read that are not read as their names say; the first of them."""
    remarks = [remark for table in tables for remark in table.remarks]
    for remark in remarks[:MOST_REMARKS]:
        notify(remark)
    if len(remarks) > MOST_REMARKS:
        notify(f"And {len(remarks) - MOST_REMARKS:,} more files are read otherwise than their names say.")


def _schemas(tables: list[Table], *, skip_bad_files: bool) -> tuple[list[tuple[Table, pa.Schema]], list[LeftOut]]:
    """The tables with their schemas, and those that cannot be opened."""
    schemas, left_out = [], []
    for table in tables:
        try:
            schemas.append((table, table.schema()))
        except DataError as error:
            if not skip_bad_files:
                raise
            left_out.append(LeftOut(table.name, str(error)))
    if not schemas:
        raise DataError(f"no file can be read; the first: {left_out[0]}")
    return schemas, left_out


def _tables(config: RunConfig, notify: Callable[[str], None]) -> tuple[list[Table], str]:
    if len(config.data) == 1 and _is_hub_id(config.data[0]):
        table = open_hub_dataset(config.data[0], config.config_name, config.split, config.revision, notify)
        return [table], f"hub data set {table.name}"
    for option, value in (("config", config.config_name), ("revision", config.revision)):
        if value is not None:
            raise UsageError(f"--{option} applies to a hub data set, not to local files.")
    tables: list[Table] = []
    for item in config.data:
        tables.extend(_tables_of(item, config.split))
    return tables, tables[0].name if len(tables) == 1 else f"{len(tables)} files"


def _is_hub_id(item: str) -> bool:
    is_file_name = _format_of(item) is not None or os.path.exists(item)  # noqa: PTH110 — false for a name too long
    return not is_file_name and _HUB_ID.fullmatch(item) is not None


def _tables_of(item: str, split: str | None) -> list[Table]:
    if not is_url(item):
        return _local_tables(item, split)
    if split is not None:
        raise UsageError(_SPLIT_OF_FILES.format(without_secrets(item)))
    found = expand(item)
    files = [item] if found is None else [url for url in found if _format_of(url)]
    if not files:
        raise DataError(f"'{without_secrets(item)}' holds no data file. Known are {', '.join(FORMATS)}.")
    return [_open_file(name) for name in files]


def _local_tables(item: str, split: str | None) -> list[Table]:
    if os.path.isdir(item):  # noqa: PTH112 — false, not an exception, for a name too long
        return _folder(Path(item), split)
    if split is not None:
        raise UsageError(_SPLIT_OF_FILES.format(item))
    if not os.path.exists(item):  # noqa: PTH110
        found = glob.glob(item, recursive=True)  # noqa: PTH207 — Path.glob takes no absolute pattern
        matches = sorted(found) if glob.has_magic(item) else []
        files = [match for match in matches if Path(match).is_file()]
        if not files:
            raise DataError(_nothing_at(item))
        return [_open_file(name) for name in files]
    return [_open_file(item)]


def _nothing_at(item: str) -> str:
    what = "no file matches" if glob.has_magic(item) else "there is no file"
    if Path(item).is_absolute():
        target = f"; it is a link to '{os.readlink(item)}', which is gone" if os.path.islink(item) else ""  # noqa: PTH114, PTH115
        return f"{what} '{item}'{target}. Check the path and its permissions."
    return f"{what} '{item}'. Looked in '{Path.cwd()}'."


def _open_file(name: str) -> Table:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(name).decode("utf-8", "replace")
        raise DataError(f"the name of the file '{shown}' is not valid UTF-8. Rename the file.") from error
    reader = _format_of(name)
    if reader is None:
        raise DataError(
            f"cannot tell the format of '{without_secrets(name)}' from its name. Known are {', '.join(FORMATS)}, the "
            f"text formats also with {', '.join(COMPRESSIONS)}."
        )
    return reader(name)


def _format_of(name: str) -> Callable[[str], Table] | None:
    suffixes = [suffix.lower() for suffix in Path(without_secrets(name)).suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
        if suffixes and FORMATS.get(suffixes[-1]) in (ParquetTable, ArrowTable):
            return None  # these compress inside the file
    return FORMATS.get(suffixes[-1]) if suffixes else None


def _folder(path: Path, split: str | None) -> list[Table]:
    """A folder written by `datasets` (save_to_disk), or one of data files."""
    if (path / "dataset_dict.json").is_file():
        return _folder(path / _chosen_split(path, split), None)
    if split is not None:
        raise UsageError(_SPLIT_OF_FILES.format(path))
    if (path / "state.json").is_file():
        return _saved_dataset(path)
    found = (file for file in path.rglob("*") if file.is_file() and _format_of(file.name))
    # what begins with a dot is hidden: caches and unfinished files
    files = sorted(str(file) for file in found if not any(part[0] == "." for part in file.relative_to(path).parts))
    if not files:
        raise DataError(f"folder '{path}' holds no data file. Known are {', '.join(FORMATS)}.")
    return [_open_file(name) for name in files]


def _chosen_split(path: Path, split: str | None) -> str:
    splits: list[str] = _read_json(path / "dataset_dict.json").get("splits", [])
    if split is None and len(splits) == 1:
        return splits[0]
    if split is None or split not in splits:
        asked = f"no split '{split}'" if split else "several splits"
        raise UsageError(f"'{path}' has {asked}. Choose with --split: {', '.join(splits)}.")
    return split


def _saved_dataset(path: Path) -> list[Table]:
    state = _read_json(path / "state.json")
    if state.get("_indices_data_files"):
        raise DataError(
            f"'{path}' is a saved selection of another data set's rows. Save it whole with: "
            "dataset.flatten_indices().save_to_disk(...)"
        )
    try:
        names = [str(entry["filename"]) for entry in state.get("_data_files", [])]
    except (TypeError, KeyError) as error:
        raise DataError(f"cannot read '{path / 'state.json'}': it is not the JSON that `datasets` writes.") from error
    if not names:
        raise DataError(f"'{path}' is a saved data set without data files.")
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise DataError(f"'{path / 'state.json'}' names a file outside its folder: '{outside[0]}'.")
    absent = [name for name in names if not (path / name).is_file()]
    if absent:
        raise DataError(f"'{path}' is a saved data set, but its file '{absent[0]}' does not exist. Save it again.")
    return [ArrowTable(str(path / name)) for name in names]


def _read_json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read '{file}': {error}.") from error
    if not isinstance(document, dict):
        raise DataError(f"cannot read '{file}': it holds no JSON object.")
    return document
