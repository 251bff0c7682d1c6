"""Score shards on disk, and the directory that holds a run's results.

A file here is whole or not there: it is written under a temporary name and renamed. A shard counts as done when
its scores exist; its rejects are written before.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scorer import schema
from scorer.errors import OutputError
from scorer.pipeline import ScoredWindow
from scorer.sources import Shard


class RunDirectory:
    """The directory of one run's results.

    Args:
        path: the directory; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made: list[Path] = []  # folders that this run made, outermost first

    @property
    def scores(self) -> Path:
        """Folder of the score shards."""
        return self.path / schema.SCORES_DIRECTORY

    @property
    def rejects(self) -> Path:
        """Folder of the rejects, shard by shard, while the run goes on."""
        return self.path / schema.REJECTS_DIRECTORY

    @property
    def ranked(self) -> Path:
        """The ranking."""
        return self.path / schema.RANKED_FILE

    @property
    def run_file(self) -> Path:
        """The run's report."""
        return self.path / schema.RUN_FILE

    def refuse_earlier_results(self, *, overwrite: bool) -> None:
        """Check that this run may write here, without writing anything yet.

        Raises:
            OutputError: the path is a file, or holds results and `overwrite` is not set.
        """
        with writing(self.path):  # a name may be too long, a folder above closed
            if self.path.exists() and not self.path.is_dir():
                raise OutputError(f"--output '{self.path}' is a file; give a directory.")
            earlier = [item for item in self._results() if item.exists()]
        if earlier and not overwrite:
            state = "results of an earlier run" if self.run_file.exists() else "an unfinished run"
            raise OutputError(
                f"'{self.path}' holds {state} ({earlier[0].name}). Give another --output, or --overwrite to "
                "replace them."
            )

    def begin(self) -> None:
        """Remove earlier results and make the folders.

        Raises:
            OutputError: the directory cannot be written.
        """
        with writing(self.path):
            for item in self._results():
                if item.is_dir():
                    shutil.rmtree(item)
                else:
                    item.unlink(missing_ok=True)
            for folder in (*reversed(self.path.absolute().parents), self.path, self.scores, self.rejects):
                if not folder.exists():
                    folder.mkdir()
                    self._made.append(folder)

    def abandon(self) -> bool:
        """After a failure, take away what holds no finished shard; returns whether finished shards stay."""
        shutil.rmtree(self.rejects, ignore_errors=True)
        if any(self.scores.glob("part-*.parquet")):
            return True
        shutil.rmtree(self.scores, ignore_errors=True)
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):  # not empty, or gone already
                folder.rmdir()
        return False

    def write_text(self, file: Path, content: str) -> None:
        """Write a small file atomically."""
        with writing(file), replacing(file) as temporary:
            temporary.write_text(content, encoding="utf-8")

    def _results(self) -> tuple[Path, ...]:
        return (self.run_file, self.ranked, self.path / schema.REJECTS_FILE, self.scores, self.rejects)


class ShardWriter:
    """Writes scored windows, a file per shard.

    Args:
        directory: the run's directory.
        label_names: the model's C class names.
        pairs: whether texts are pairs.
        keep_text: whether texts are written.
        metadata: document put into every file's metadata.
    """

    def __init__(
        self,
        directory: RunDirectory,
        label_names: Sequence[str],
        *,
        pairs: bool,
        keep_text: bool,
        metadata: Mapping[str, Any],
    ) -> None:
        self._directory = directory
        self._label_names = tuple(label_names)
        document = schema.file_metadata(metadata)
        self._scores_schema = schema.scores_schema(
            classes=len(label_names), pairs=pairs, keep_text=keep_text
        ).with_metadata(document)
        self._rejects_schema = schema.rejects_schema(pairs=pairs, keep_text=keep_text).with_metadata(document)

    def write(self, windows: Iterator[ScoredWindow]) -> Generator[ScoredWindow]:
        """Write windows as they come, and pass each on once it is written.

        Raises:
            OutputError: a file cannot be written.
        """
        window = next(windows, None)
        while window is not None:
            with self._shard(window.window.shard) as (scores, rejects):
                while True:
                    scores.write_batch(self._scores_batch(window))
                    rejects.write_batch(self._rejects_batch(window))
                    yield window
                    if window.window.ends_shard:
                        break
                    window = next(windows)
            window = next(windows, None)

    @contextlib.contextmanager
    def _shard(self, shard: Shard) -> Iterator[tuple[Any, Any]]:
        name = f"part-{shard.index:05d}.parquet"
        # Left in reverse order: the rejects are in place before the scores declare the shard done.
        with (
            writing(self._directory.path),
            replacing(self._directory.scores / name) as scores_file,
            replacing(self._directory.rejects / name) as rejects_file,
            pq.ParquetWriter(scores_file, self._scores_schema, compression="zstd") as scores,
            pq.ParquetWriter(rejects_file, self._rejects_schema, compression="zstd") as rejects,
        ):
            yield scores, rejects

    def _scores_batch(self, scored: ScoredWindow) -> pa.RecordBatch:
        window, scores = scored.window, scored.scores
        classes = len(self._label_names)
        label, predicted = pa.array(window.labels), pa.array(scores.predicted_label)
        columns = {
            "label": label,
            "label_name": schema.label_name_array(label, self._label_names),
            "predicted_label": predicted,
            "predicted_label_name": schema.label_name_array(predicted, self._label_names),
            "loss": pa.array(scores.loss),
            "self_confidence": pa.array(scores.self_confidence),
            "predicted_probability": pa.array(scores.predicted_probability),
            "probabilities": pa.FixedSizeListArray.from_arrays(pa.array(scores.probabilities.reshape(-1)), classes),
            "n_tokens": pa.array(window.lengths, pa.int32()),
            "truncated": pa.array(window.truncated),
        }
        return _conform(window.records, columns, self._scores_schema)

    def _rejects_batch(self, scored: ScoredWindow) -> pa.RecordBatch:
        rejects = scored.window.rejects
        given = pc.cast(rejects.column("label"), pa.large_string())
        return _conform(rejects, {"given_label": given}, self._rejects_schema)


def _conform(records: pa.RecordBatch, columns: Mapping[str, pa.Array], to: pa.Schema) -> pa.RecordBatch:
    """The schema's columns, from `columns` where they are there and from `records` otherwise."""
    arrays = [columns[field.name] if field.name in columns else records.column(field.name) for field in to]
    arrays = [array.cast(field.type) for array, field in zip(arrays, to, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=to)


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A temporary path beside `file` that takes its place when the block ends well, and vanishes otherwise."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into OutputError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write to '{place}': {reason}. Free space or give another --output.") from error
