"""The directory that holds a run's results: whose it is, which shards are done, what an ended run leaves.

A file here is whole or not there. A shard counts as done when its scores exist; its rejects are written before.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scorer import schema
from scorer.config import PAGE_FILE
from scorer.errors import OutputError
from scorer.results.counts import ShardCounts
from scorer.results.manifest import Manifest, differences
from scorer.sources import Shard
from scorer.system.documents import parse
from scorer.system.files import remove_unfinished, replacing, writing
from scorer.system.lock import locked
from scorer.system.urls import is_url, without_secrets


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
    def rescored(self) -> Path:
        """Folder of the rows that were scored again in fp32."""
        return self.path / schema.RESCORED_DIRECTORY

    @property
    def rejects(self) -> Path:
        """Folder of the rejects, shard by shard; a shard without rejects has no file there."""
        return self.path / schema.REJECTS_DIRECTORY

    @property
    def ranked(self) -> Path:
        """The ranking."""
        return self.path / schema.RANKED_FILE

    @property
    def run_file(self) -> Path:
        """The run's report."""
        return self.path / schema.RUN_FILE

    @property
    def manifest_file(self) -> Path:
        """What the results come from."""
        return self.path / schema.MANIFEST_FILE

    @property
    def sorting(self) -> Path:
        """Folder of what does not fit into memory while the ranking is made."""
        return self.path / ".sorting"

    def score_files(self) -> list[Path]:
        """The finished score shards, in input order."""
        return in_order(self.scores.glob("shard-*.parquet"))

    def rescored_files(self) -> list[Path]:
        """Rows scored again in fp32, a file per round."""
        return sorted(self.rescored.glob("round-*.parquet"))

    def earlier_run(self, *, overwrite: bool) -> Manifest | None:
        """The manifest of an earlier run that this one may resume; None where there is nothing to resume.

        Raises:
            OutputError: the path is a file, or holds results of which no manifest tells the origin.
        """
        url = str(self.path).replace(":/", "://", 1)  # a path has lost one of the slashes
        if is_url(url):
            raise OutputError(f"--output '{without_secrets(url)}' is a URL; give a directory, and copy the results.")
        with writing(self.path):  # a name may be too long, a folder above closed
            if self.path.exists() and not self.path.is_dir():
                raise OutputError(f"--output '{self.path}' is a file; give a directory.")
            if overwrite:
                return None
            earlier = [item for item in self._results() if item.is_file() or (item.is_dir() and any(item.iterdir()))]
            if not earlier:
                return None
            state = "results of an earlier run" if self.run_file.exists() else "an unfinished run"
            fault = f"no {schema.MANIFEST_FILE} that tells what it was made from"
            try:
                return Manifest.from_json(self.manifest_file.read_bytes())
            except FileNotFoundError:
                pass
            except (OSError, ValueError) as error:
                fault = f"its {schema.MANIFEST_FILE}, which tells what it was made from, cannot be read ({error})"
            raise OutputError(
                f"'{self.path}' holds {state} ({earlier[0].name}), and {fault}. Give another --output, or --overwrite "
                "to replace it."
            )

    def refuse_another_run(self, earlier: Manifest | None, fingerprint: Mapping[str, Any]) -> None:
        """Check that an earlier run was this very run.

        Raises:
            OutputError: it was another; the message names what differs.
        """
        if earlier is not None and (found := differences(earlier.fingerprint, fingerprint)):
            state = "the results of" if self.run_file.exists() else "unfinished results of"
            raise OutputError(
                f"'{self.path}' holds {state} another run: {'; '.join(found)}. Give another --output, the same options "
                "and data to go on with it, or --overwrite to start afresh."
            )

    @contextlib.contextmanager
    def held(self, notify: Callable[[str], None]) -> Iterator[None]:
        """Make the directory and keep other runs out of it for the block; if it holds nothing then, it goes again.

        Raises:
            OutputError: another run holds the directory, or it cannot be written.
        """
        try:
            with writing(self.path):
                self._make(self.path)
            with locked(self.path / schema.LOCK_FILE) as died:
                if died is not None:
                    notify(died)
                yield
        finally:
            for folder in reversed(self._made):
                with contextlib.suppress(OSError):  # not empty, or gone already
                    folder.rmdir()

    @contextlib.contextmanager
    def opened(self, manifest: Manifest, *, overwrite: bool, notify: Callable[[str], None]) -> Iterator[None]:
        """Hold the directory, ready for a run's results; an earlier run of the same manifest is resumed.

        What holds no finished shard is taken away when the block fails.

        Raises:
            OutputError: another run holds the directory, or it cannot be written.
        """
        with self.held(notify):
            earlier = self.earlier_run(overwrite=overwrite)
            if earlier is not None and earlier != manifest:
                raise OutputError(f"another run began in '{self.path}' just now. Start again to see which.")
            try:
                self._begin(manifest, new=earlier is None)
                yield
            except BaseException:
                self._abandon()
                raise

    def done(
        self, shards: tuple[Shard, ...], notify: Callable[[str], None], *, skip_bad_files: bool
    ) -> dict[int, ShardCounts]:
        """The finished shards by index; a damaged one is removed, so that it is scored again.

        Args:
            shards: the run's shards.
            notify: told of damaged ones.
            skip_bad_files: whether a shard of which something was left out counts as finished.

        Raises:
            OutputError: a damaged shard cannot be removed.
        """
        found = {}
        for shard in shards:
            scores, rejects = self.scores / shard.file_name, self.rejects / shard.file_name
            if not scores.exists():
                continue
            try:
                finished = _finished(scores, rejects, shard)
            except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
                notify(f"'{scores}' is damaged and is scored again ({str(error).splitlines()[0]}).")
                with writing(scores):
                    scores.unlink()
                continue
            if skip_bad_files or not finished.left_out:
                found[shard.index] = finished
        return found

    def remove_results(self) -> None:
        """Remove what a run wrote, and the page that shows its ranking; the manifest goes last.

        Raises:
            OutputError: something cannot be removed.
        """
        with writing(self.path):
            page = [self.path / PAGE_FILE] if self.ranked.exists() else []
            for item in (*page, *self._results()):
                if item.is_dir():
                    shutil.rmtree(item)
                else:
                    item.unlink(missing_ok=True)

    def write_text(self, file: Path, content: str) -> None:
        """Write a small file atomically."""
        with writing(file), replacing(file) as temporary:
            temporary.write_text(content, encoding="utf-8")

    def _begin(self, manifest: Manifest, *, new: bool) -> None:
        if new:
            self.remove_results()
            self.write_text(self.manifest_file, manifest.to_json())
        with writing(self.path):
            for folder in (self.path, self.scores, self.rejects):
                self._make(folder)
                remove_unfinished(folder)
            if self.rescored.exists():
                remove_unfinished(self.rescored)
            shutil.rmtree(self.sorting, ignore_errors=True)

    def _make(self, folder: Path) -> None:
        for each in (*reversed(folder.absolute().parents), folder):
            if not each.exists():
                each.mkdir(exist_ok=True)
                self._made.append(each)

    def _abandon(self) -> None:
        """After a failure: keep the finished shards, or nothing."""
        if not self.score_files():
            with contextlib.suppress(OutputError):
                self.remove_results()

    def _results(self) -> tuple[Path, ...]:
        files = (self.run_file, self.ranked, self.path / schema.REJECTS_FILE)
        return (*files, self.scores, self.rescored, self.rejects, self.manifest_file)


def in_order(parts: Iterable[Path]) -> list[Path]:
    """Files of shards by the number in their names."""
    return sorted(parts, key=lambda part: (len(part.name), part.name))


def _finished(scores: Path, rejects: Path, shard: Shard) -> ShardCounts:
    """What a finished shard says of itself; raises ValueError and kin where its files do not bear it out."""
    metadata = pq.read_metadata(scores.absolute())
    counts = parse((metadata.metadata or {})[schema.TALLY_KEY.encode()], ShardCounts)
    tally = counts.tally
    rows = tally.read + sum(each.rows or 0 for each in counts.left_out)
    rejected = pq.read_metadata(rejects.absolute()).num_rows if tally.rejected else 0
    if (rows, tally.scored, tally.rejected) != (shard.rows, metadata.num_rows, rejected):
        raise ValueError(f"it holds {metadata.num_rows:,} scores and {rejected:,} rejects for {shard.rows:,} rows")
    if counts.first_row != shard.first_row:
        raise ValueError(f"it holds the rows from {counts.first_row:,} on, not from {shard.first_row:,}")
    return counts
