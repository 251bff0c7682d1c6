"""Runs over parts of one data set (`--part I/N`), merged: one ranking, one list of rejects, one report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow.parquet as pq

from scorer import schema
from scorer.config import RankedBy
from scorer.errors import DataError, OutputError, UsageError
from scorer.listener import Listener
from scorer.ranking.rank import join_files, rank
from scorer.ranking.scored_rows import damaged
from scorer.results.counts import Tally
from scorer.results.manifest import Manifest, differences
from scorer.results.run_directory import RunDirectory
from scorer.results.run_report import Counts, RunReport


@dataclasses.dataclass(frozen=True, slots=True)
class _Part:
    """A run over a part of the data."""

    directory: RunDirectory
    manifest: Manifest
    report: RunReport


def merge(runs: Sequence[Path], output: Path, by: RankedBy, top: int | None, listener: Listener) -> Path:
    """Merge several finished runs: rank their rows together.

    Args:
        runs: output directories of runs that differ in `--part` alone.
        output: directory that receives ranked.parquet, rejects.parquet and run.json.
        by: the score to rank by.
        top: rank only this many of the most suspect rows.
        listener: hears which parts are missing.

    Returns:
        The ranking's file.

    Raises:
        DataError: a directory holds no finished run.
        UsageError: the runs do not belong together, or one is given twice.
        OutputError: the output holds something else, or cannot be written.
    """
    parts = sorted(map(_part, runs), key=lambda part: part.manifest.plan.shards[0].index)
    _refuse_strangers(parts)
    target = RunDirectory(output)
    if target.manifest_file.exists():
        raise OutputError(f"'{output}' holds a run of its own. Give another --output for the joined ranking.")
    with target.held(listener.info):
        with damaged(parts[0].directory.path / schema.REJECTS_FILE):
            of = pq.read_schema((parts[0].directory.path / schema.REJECTS_FILE).absolute())
        join_files([part.directory.path / schema.REJECTS_FILE for part in parts], output / schema.REJECTS_FILE, of)
        file = rank(output, by, top=top, runs=runs, notify=listener.info)
        target.write_text(target.run_file, _joined(parts, output, listener).to_json())
    return file


def _part(path: Path) -> _Part:
    directory = RunDirectory(path)
    try:
        manifest = Manifest.from_json(directory.manifest_file.read_bytes())
        report = RunReport.from_json(directory.run_file.read_bytes())
    except (OSError, ValueError) as error:
        fault = "" if isinstance(error, OSError) else f" that this scorer can read ({error})"
        raise DataError(
            f"'{path}' holds no finished run{fault}. Finish it with the `scorer run` that began it, then rank again."
        ) from error
    return _Part(directory, manifest, report)


def _refuse_strangers(parts: Sequence[_Part]) -> None:
    first, seen = parts[0], dict[int, _Part]()
    for part in parts:
        found = differences({**first.manifest.fingerprint, "part": None}, {**part.manifest.fingerprint, "part": None})
        if found:
            raise UsageError(
                f"'{part.directory.path}' does not belong to '{first.directory.path}': {'; '.join(found)}. Only runs "
                "that differ in --part alone are joined."
            )
        for shard in part.manifest.plan.shards:
            twin = seen.setdefault(shard.index, part)
            if twin is not part:
                raise UsageError(
                    f"'{part.directory.path}' and '{twin.directory.path}' hold the same rows "
                    f"(from row {shard.first_row:,} on). Give each part once."
                )


def _joined(parts: Sequence[_Part], output: Path, listener: Listener) -> RunReport:
    """One report of all parts."""
    first = parts[0].report
    tally = Tally()
    for part in parts:
        shards = part.manifest.plan.shards
        for finished in part.directory.done(shards, listener.warning, skip_bad_files=True).values():
            tally += finished.tally
    rows = sum(parts[0].manifest.plan.label_counts.values())
    if tally.read < rows:
        listener.warning(f"the parts hold {tally.read:,} of the data's {rows:,} rows.")
    return msgspec.structs.replace(
        first,
        output=output,
        counts=Counts.of(tally),
        seconds={name: sum(part.report.seconds.get(name, 0.0) for part in parts) for name in first.seconds},
        elapsed_s=sum(part.report.elapsed_s for part in parts),
        scoring_s=sum(part.report.scoring_s for part in parts),
        warnings=tuple(dict.fromkeys(warning for part in parts for warning in part.report.warnings)),
        left_out=tuple({str(each): each for part in parts for each in part.report.left_out}.values()),
    )
