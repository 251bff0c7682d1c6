"""Scored windows to files, two per shard: its scores and its rejects."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer import schema
from scorer.pipeline.stages import ScoredWindow
from scorer.results.counts import ShardCounts, Tally
from scorer.results.run_directory import RunDirectory
from scorer.sources import Shard
from scorer.system.documents import written
from scorer.system.files import replacing, writing
from scorer.tasks.task import Task


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """A window that is written.

    Attributes:
        shard: the shard it belongs to.
        tally: its counts.
        ends_shard: whether it was the last, and the shard is now in place.
    """

    shard: Shard
    tally: Tally
    ends_shard: bool


class ShardWriter:
    """Writes scored windows, a file per shard.

    Args:
        directory: the run's directory.
        task: names the columns of the scores, and counts what it knows of them.
        pairs: whether texts are pairs.
        keep_text: whether texts are written.
        metadata: document put into every file's metadata.
        first_ends: rows before this one are the run's first; see `Tally`.

    Attributes:
        scores_schema: schema of the scores, with metadata.
        rejects_schema: schema of the rejects, with metadata.
    """

    def __init__(
        self,
        directory: RunDirectory,
        task: Task,
        *,
        pairs: bool,
        keep_text: bool,
        metadata: Mapping[str, Any],
        first_ends: int,
    ) -> None:
        self._directory = directory
        self._first_ends, self._task = first_ends, task
        document = schema.file_metadata(metadata)
        scores = schema.scores_schema(task.fields, pairs=pairs, keep_text=keep_text)
        self.scores_schema = scores.with_metadata(document)
        self.rejects_schema = schema.rejects_schema(pairs=pairs, keep_text=keep_text).with_metadata(document)

    def write(self, windows: Iterator[ScoredWindow]) -> Generator[Written]:
        """Write windows as they come, and tell of each once it is written.

        Raises:
            OutputError: a file cannot be written.
        """
        while (window := next(windows, None)) is not None:
            shard, tally = window.shard, Tally()
            with self._shard(shard, tally) as write:
                while True:
                    write(window)
                    counts = Tally.of(window, self._task, self._first_ends)
                    tally += counts
                    if window.ends_shard:
                        break
                    yield Written(shard, counts, ends_shard=False)
                    window = next(windows)
            yield Written(shard, counts, ends_shard=True)

    @contextlib.contextmanager
    def _shard(self, shard: Shard, tally: Tally) -> Iterator[Callable[[ScoredWindow], None]]:
        """A function that writes a window of the shard; `tally` is kept in the shard's metadata when all is written."""
        # Left in reverse order: rejects are in place before the scores declare the shard done.
        with (
            writing(self._directory.path),
            self._replacing(self._directory.scores / shard.file_name, self.scores_schema) as scores,
            contextlib.ExitStack() as opened,
        ):
            rejects = None  # a shard without rejects has no file of them

            def write(window: ScoredWindow) -> None:
                nonlocal rejects
                scores.write_batch(self._scores_batch(window))
                if window.rejects.num_rows:
                    file = self._directory.rejects / shard.file_name
                    rejects = rejects or opened.enter_context(self._replacing(file, self.rejects_schema))
                    rejects.write_batch(self._rejects_batch(window))

            yield write
            scores.add_key_value_metadata({schema.TALLY_KEY: written(ShardCounts.of(shard, tally))})

    def write_rescored(self, file: Path, windows: Iterator[ScoredWindow]) -> int:
        """Write the scores of some rows of any shards into one file; returns their number.

        Raises:
            OutputError: the file cannot be written.
        """
        rows = 0
        with writing(file):
            file.parent.mkdir(exist_ok=True)
            with self._replacing(file, self.scores_schema) as scores:
                for window in windows:
                    scores.write_batch(self._scores_batch(window))
                    rows += window.records.num_rows
        return rows

    @contextlib.contextmanager
    def _replacing(self, file: Path, of: pa.Schema) -> Iterator[Any]:
        """A Parquet writer of a file that appears when the block ends well."""
        with replacing(file) as temporary, schema.parquet_writer(temporary, of) as writer:
            yield writer

    def _scores_batch(self, scored: ScoredWindow) -> pa.RecordBatch:
        columns = {
            **scored.columns,
            "n_tokens": pa.array(scored.outputs.lengths),
            "truncated": pa.array(scored.outputs.truncated),
            "precision": scored.outputs.precision,
        }
        return _conform(scored.records, columns, self.scores_schema)

    def _rejects_batch(self, scored: ScoredWindow) -> pa.RecordBatch:
        given = scored.rejects.column("label")
        return _conform(scored.rejects, {"given_label": given}, self.rejects_schema)


def _conform(records: pa.RecordBatch, columns: Mapping[str, pa.Array], to: pa.Schema) -> pa.RecordBatch:
    """The schema's columns, from `columns` where they are there and from `records` otherwise."""
    arrays = [columns[field.name] if field.name in columns else records.column(field.name) for field in to]
    arrays = [array.cast(field.type) for array, field in zip(arrays, to, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=to)
