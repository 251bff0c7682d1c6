"""From score shards to one ranking, losses descending, whatever their number. Nothing here knows of models or tokens.

The shards are sorted outside of memory (`external_sort`); polars reads the head of the result.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from scorer import schema
from scorer.config import RANKED_BY, RankedBy
from scorer.errors import DataError, UsageError
from scorer.ranking.scored_rows import ScoredRows, damaged, first_line
from scorer.results.run_directory import RunDirectory, in_order
from scorer.system.files import replacing, writing

# Rows per row group of the ranking, a size that other readers like, and their bytes where texts are long.
ROW_GROUP_ROWS = 65_536
ROW_GROUP_BYTES = 128 * 2**20
# Seconds between two sentences on how far it is.
NEWS_INTERVAL_S = 10.0


def rank(
    directory: Path,
    by: RankedBy = "loss",
    *,
    top: int | None = None,
    runs: Sequence[Path] | None = None,
    notify: Callable[[str], None] | None = None,
) -> Path:
    """Rank all scored rows of a run, or of several, and write `ranked.parquet`.

    Args:
        directory: a run's output directory.
        by: the score to rank by; the most suspect row gets rank 1, ties go by row. A score that the shards do
            not hold (normalized_margin, entropy) is added as a column.
        top: rank only this many of the most suspect rows.
        runs: output directories of runs over parts of the same data, whose rows are ranked together into
            `directory`; None ranks the rows of `directory` itself.
        notify: told now and then how far it is, where that takes long.

    Returns:
        The ranking's file.

    Raises:
        UsageError: `by` is no known score.
        DataError: there are no score shards, or one is damaged.
        OutputError: the ranking cannot be written.
    """
    if by not in RANKED_BY:
        raise UsageError(f"cannot rank by '{by}'; known are {', '.join(RANKED_BY)}.")
    shards = [shard for each in runs or [directory] for shard in RunDirectory(each).score_files()]
    if not shards:
        raise DataError(f"'{(runs or [directory])[0]}' holds no score shards to rank. Make some with: scorer run")
    rescored = [file for each in runs or [directory] for file in RunDirectory(each).rescored_files()]
    scored = ScoredRows(shards, by, rescored)
    with damaged(shards[0]):
        metadata = schema.read_metadata(shards[0])
    ranked_schema = scored.schema.insert(0, pa.field("rank", pa.int64()))
    document = schema.file_metadata({**metadata, "ranked_by": by})
    group_rows = min(ROW_GROUP_ROWS, max(1, int(ROW_GROUP_BYTES / scored.bytes_per_row)))
    run = RunDirectory(directory)
    with (
        writing(run.ranked),
        replacing(run.ranked) as temporary,
        schema.parquet_writer(temporary, ranked_schema.with_metadata(document)) as writer,
        contextlib.closing(scored.ranked(top, run.sorting, _now_and_then(notify, "read", scored.rows))) as tables,
    ):
        first, told = 1, _now_and_then(notify, "written", scored.rows if top is None else min(top, scored.rows))
        for table in _regrouped(tables, group_rows):
            ranks = pa.array(np.arange(first, first + len(table), dtype=np.int64))
            writer.write_table(table.add_column(0, "rank", ranks).cast(writer.schema), row_group_size=group_rows)
            first += len(table)
            told(first - 1)
    return run.ranked


def _now_and_then(notify: Callable[[str], None] | None, done: str, of: int) -> Callable[[int], None]:
    """A function of a number of rows that passes it on every few seconds."""
    last = time.monotonic()

    def tell(rows: int) -> None:
        nonlocal last
        if notify is not None and time.monotonic() - last >= NEWS_INTERVAL_S:
            last = time.monotonic()
            notify(f"Ranking: {rows:,} of {of:,} rows are {done}.")

    return tell


def _regrouped(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of so many rows."""
    held: list[pa.Table] = []
    count = 0
    for table in tables:
        held.append(table)
        count += len(table)
        if count >= rows:
            whole = pa.concat_tables(held)
            for start in range(0, count - rows + 1, rows):
                yield whole.slice(start, rows)
            count %= rows
            held = [whole.slice(len(whole) - count)]
    if count:
        yield pa.concat_tables(held)


def gather_rejects(directory: Path, schema_of_rejects: pa.Schema) -> None:
    """Join the rejects of a run's shards into `rejects.parquet`.

    Raises:
        DataError: the rejects of a shard are damaged.
        OutputError: the file cannot be written.
    """
    parts = in_order(RunDirectory(directory).rejects.glob("shard-*.parquet"))
    join_files(parts, directory / schema.REJECTS_FILE, schema_of_rejects)


def join_files(parts: Iterable[Path], target: Path, of: pa.Schema) -> None:
    """Write the rows of Parquet files, one behind the other, into one.

    Raises:
        DataError: a part is damaged.
        OutputError: the file cannot be written.
    """
    with writing(target), replacing(target) as temporary, schema.parquet_writer(temporary, of) as writer:
        for part in parts:
            with damaged(part), pq.ParquetFile(part.absolute()) as file:
                for batch in file.iter_batches():
                    writer.write_batch(batch.cast(of))


def open_ranking(directory: Path) -> tuple[pl.LazyFrame, dict[str, Any]]:
    """A run's ranking and the document in its metadata.

    Raises:
        DataError: there is no ranking, or it is damaged.
    """
    file = RunDirectory(directory).ranked
    if not file.is_file():
        hint = "Rank its shards with: scorer rank" if (directory / "scores").is_dir() else "Make one with: scorer run"
        raise DataError(f"'{directory}' holds no {schema.RANKED_FILE}. {hint}")
    try:
        metadata = schema.read_metadata(file)
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        raise DataError(
            f"cannot read '{file}': {first_line(error)}. Rank again with: scorer rank {directory}"
        ) from error
    if "ranked_by" not in metadata:
        raise DataError(f"'{file}' is not a ranking that scorer wrote. Make one with: scorer run")
    return pl.scan_parquet(file.absolute(), glob=False), metadata  # absolute: a name may begin with ~
