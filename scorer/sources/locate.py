"""From the user's words to a source: files, globs, folders, saved data sets, hub ids."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from scorer.config import DataConfig
from scorer.errors import DataError, UsageError
from scorer.sources.columns.columns import check_columns, choose_columns, class_label_names
from scorer.sources.columns.guesses import texts_beside
from scorer.sources.columns.label_column import name_column
from scorer.sources.folders import data_files, is_data_name
from scorer.sources.formats.columnar import ArrowTable
from scorer.sources.formats.delimited import DelimitedTable
from scorer.sources.formats.formats import FORMATS, format_of, open_table, refuse_misnamed
from scorer.sources.formats.hub import open_hub_dataset
from scorer.sources.formats.saved import chosen_split, saved_files
from scorer.sources.source import LeftOut, Source
from scorer.sources.splits import files_of_split
from scorer.sources.storage.storage import EmptyFileError, expand
from scorer.sources.storage.table import Table
from scorer.sources.storage.text_stream import TextOptions, TextTable
from scorer.system.urls import is_url, without_secrets

# Remarks on how files are read that are said, before they are only counted.
MOST_REMARKS = 5
_HUB_ID = re.compile(r"(?=.{1,200}$)[\w][\w.-]*(/[\w][\w.-]*)?")
_SPLIT_OF_FILES = "--split applies to hub data sets, saved DatasetDicts and folders; '{}' is none. Leave it out."


def open_source(config: DataConfig, notify: Callable[[str], None], label_names: Sequence[str] = ()) -> Source:
    """Find the data, give its columns their parts, and check every table's schema.

    Args:
        config: which data, and how they are read.
        notify: receives the sentences that a person should hear, such as guesses.
        label_names: names that labels may have, by which rows that stray quotes glued together are recognized.

    Raises:
        DataError: nothing matches, or a file cannot be read.
        UsageError: an option does not fit the data.
        LabelError: the label column holds no labels.
        MissingExtraError: a hub data set without the `datasets` package.
    """
    tables, kind = _tables(config, notify)
    _set_text_options(tables, config, label_names)
    schemas, left_out = _schemas(tables, notify, skip_bad_files=config.skip_bad_files)
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
    if config.text_column is None and (beside := texts_beside(*schemas[0], columns.names, columns.label)):
        notify(
            f"Not read: {', '.join(map(repr, beside))}, which may be a text too. Name the right column with "
            "--text-column, and of a pair the second text with --text-pair-column."
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
    names = None
    if class_names is None:
        names = name_column((schema for _, schema in schemas), first, columns.label, columns.names)
    return Source(tuple(good), columns, class_names, kind, tuple(left_out), names)


def _set_text_options(tables: list[Table], config: DataConfig, label_names: Sequence[str]) -> None:
    """Tell text files how the user wants them read.

    Raises:
        UsageError: no file is of the format that an option is for.
    """
    options = TextOptions(config.delimiter, config.quoting, config.encoding, tuple(label_names))
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


def _schemas(
    tables: list[Table], notify: Callable[[str], None], *, skip_bad_files: bool
) -> tuple[list[tuple[Table, pa.Schema]], list[LeftOut]]:
    """The tables with their schemas, and those that cannot be opened; empty files beside others hold no rows."""
    schemas, left_out, empty = [], [], []
    for table in tables:
        try:
            refuse_misnamed(table)
            schemas.append((table, table.schema()))
        except EmptyFileError as error:
            if len(tables) == 1:
                raise
            empty.append(error)
        except DataError as error:
            if not skip_bad_files:
                raise
            left_out.append(LeftOut(table.name, str(error)))
    if not schemas:
        raise DataError(f"no file can be read; the first: {left_out[0]}") if left_out else empty[0]
    if empty:
        notify(f"{len(empty):,} of {len(tables):,} files are empty and hold no rows; the first: {empty[0]}")
    return schemas, left_out


def _tables(config: DataConfig, notify: Callable[[str], None]) -> tuple[list[Table], str]:
    if len(config.data) == 1 and _is_hub_id(config.data[0]):
        table = open_hub_dataset(config.data[0], config.config_name, config.split, config.revision, notify)
        return [table], f"hub data set {table.name}"
    for option, value in (("config", config.config_name), ("revision", config.revision)):
        if value is not None:
            raise UsageError(f"--{option} applies to a hub data set, not to local files.")
    tables: list[Table] = []
    for item in config.data:
        tables.extend(_tables_of(item, config, notify))
    given = Counter(table.name if is_url(table.name) else os.path.abspath(table.name) for table in tables)  # noqa: PTH100
    if twice := [path for path, times in given.items() if times > 1]:
        notify(f"'{without_secrets(twice[0])}' is among the data {given[twice[0]]} times, and its rows count as often.")
    return tables, tables[0].name if len(tables) == 1 else f"{len(tables)} files"


def is_data(item: str) -> bool:
    """Whether what a user names looks like data: a folder, a URL, or an existing file of a known format."""
    return is_url(item) or os.path.isdir(item) or (os.path.isfile(item) and format_of(item) is not None)  # noqa: PTH112, PTH113


def _is_hub_id(item: str) -> bool:
    is_file_name = format_of(item) is not None or os.path.exists(item)  # noqa: PTH110 — false for a name too long
    return not is_file_name and _HUB_ID.fullmatch(item) is not None


def _tables_of(item: str, config: DataConfig, notify: Callable[[str], None]) -> list[Table]:
    if is_url(item):
        return [open_table(name) for name in _files_at(item, config.split, notify)]
    if os.path.isdir(item):  # noqa: PTH112 — false, not an exception, for a name too long
        return _folder(Path(item), config, notify)
    if config.split is not None:
        raise UsageError(_SPLIT_OF_FILES.format(item))
    if os.path.exists(item):  # noqa: PTH110 — a name that looks like a pattern is a name
        return [open_table(item)]
    found = glob.glob(item, recursive=True)  # noqa: PTH207 — Path.glob takes no absolute pattern
    files = [match for match in sorted(found) if not Path(match).is_dir()]
    if not files:
        raise DataError(_nothing_at(item))
    return [open_table(name) for name in files]


def _files_at(url: str, split: str | None, notify: Callable[[str], None]) -> list[str]:
    """The files that a URL stands for."""
    found, shown = expand(url), without_secrets(url)
    if found is None:
        if split is not None:
            raise UsageError(_SPLIT_OF_FILES.format(shown))
        return [url]
    files = {each.removeprefix(url).lstrip("/"): each for each in found if is_data_name(without_secrets(each))}
    if not files:
        raise DataError(f"'{shown}' holds no data file. Known are {', '.join(FORMATS)}.")
    return files_of_split(files, split, shown, notify)


def _nothing_at(item: str) -> str:
    if os.path.islink(item):  # noqa: PTH114
        return f"'{item}' is a link to '{os.readlink(item)}', which is gone. Fetch the file, or remove the link."  # noqa: PTH115
    what = "no file matches" if glob.has_magic(item) else "there is no file"
    if Path(item).is_absolute():
        return f"{what} '{item}'. Check the path and its permissions."
    return f"{what} '{item}'. Looked in '{Path.cwd()}'."


def _folder(path: Path, config: DataConfig, notify: Callable[[str], None]) -> list[Table]:
    """A folder written by `datasets` (save_to_disk), or one of data files."""
    split = config.split
    if (path / "dataset_dict.json").is_file():
        path, split = path / chosen_split(path, split), None
    if (path / "state.json").is_file():
        if split is not None:
            raise UsageError(_SPLIT_OF_FILES.format(path))
        return [ArrowTable(name) for name in saved_files(path)]
    files = {str(Path(file).relative_to(path)): file for file in data_files(path, config.label_map, notify)}
    return [open_table(name) for name in files_of_split(files, split, str(path), notify)]
