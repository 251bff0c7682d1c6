"""One run, from configuration to report; the command line and the Python API both enter here.

prepare   open the model and the data, settle the labels, start the session; nothing is written yet
score     every shard through the pipeline, written as it comes
rank      shards into one ranking
report    run.json, written last: a directory with it holds a finished run
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections import Counter
from typing import Any

from scorer.agreement import Confusion
from scorer.classifier import installed_onnxruntime
from scorer.config import RunConfig
from scorer.errors import NothingScoredError
from scorer.listener import Listener, Silence
from scorer.pipeline import ScoredWindow, score_shards
from scorer.prepare import Job, prepare
from scorer.ranking import gather_rejects, rank
from scorer.report import Counts, RunReport, options_of, versions
from scorer.schema import REJECT_REASONS
from scorer.shards import ShardWriter


class _Tally:
    """What is counted while windows are written."""

    def __init__(self, classes: int) -> None:
        self.read = self.scored = self.distinct = self.truncated = self.tokens = self.padded_tokens = 0
        self.reasons: Counter[str] = Counter()
        self.confusion = Confusion(classes)

    def add(self, scored: ScoredWindow) -> None:
        """Count a window."""
        window = scored.window
        self.read += window.records.num_rows + window.rejects.num_rows
        self.scored += window.records.num_rows
        self.truncated += int(window.truncated.sum())
        self.distinct += window.new_lengths.size
        self.tokens += window.tokens
        self.padded_tokens += window.padded_tokens
        self.reasons.update(window.rejects.column("reason").to_pylist())
        if not self.confusion.full:
            self.confusion.add(window.labels, scored.scores.predicted_label)

    def counts(self) -> Counts:
        """The counts so far."""
        return Counts(
            read=self.read,
            scored=self.scored,
            rejected=self.reasons.total(),
            rejected_by_reason=dict(self.reasons),
            distinct=self.distinct,
            truncated=self.truncated,
            tokens=self.tokens,
            padded_tokens=self.padded_tokens,
        )


def score(config: RunConfig, listener: Listener | None = None) -> RunReport:
    """Score a labelled corpus and rank its rows by loss.

    Args:
        config: what to score, with which model, into which directory.
        listener: hears guesses, warnings and progress; None hears nothing (warnings stand in the report too).

    Returns:
        The report that was also written as run.json.

    Raises:
        ScorerError: one of its subclasses, each with a message for a person; see `scorer.errors`.
    """
    listener = listener or Silence()
    started = time.perf_counter()
    job = prepare(config, listener)
    try:
        job.directory.begin()
        return _score_and_rank(job, listener, started)
    except BaseException:
        job.directory.abandon()
        raise


def _score_and_rank(job: Job, listener: Listener, started: float) -> RunReport:
    clock = job.stages.clock
    scoring_started = time.perf_counter()
    tally, warnings = _write_shards(job, listener)
    scoring_s = time.perf_counter() - scoring_started
    counts = tally.counts()
    if counts.scored == 0:
        _raise_all_rejected(job, counts)
    listener.info(f"Ranking {counts.scored:,} rows.")
    with clock.stage("rank"):
        gather_rejects(job.directory.path)
        rank(job.directory.path)
    agreement = tally.confusion.agreement()
    report = RunReport(
        output=job.config.output,
        counts=counts,
        seconds=clock.seconds,
        elapsed_s=time.perf_counter() - started,
        scoring_s=scoring_s,
        provider=job.classifier.provider,
        threads=job.threads,
        max_batch_tokens=job.stages.max_batch_tokens,
        max_length=job.max_length,
        labels=job.stages.labels.description,
        columns=dataclasses.asdict(job.stages.source.columns),
        agreement={
            "rows": agreement.rows,
            "share": round(agreement.share, 4),
            "chance": round(agreement.chance, 4),
            "best_share": round(agreement.best_share, 4),
        },
        warnings=tuple(warnings),
        **_identity(job),
    )
    job.directory.write_text(job.directory.run_file, report.to_json())
    return report


def _write_shards(job: Job, listener: Listener) -> tuple[_Tally, list[str]]:
    """Score and write all shards; warn as soon as labels and model look as if they do not fit."""
    label_names = job.model.contract.label_names
    columns = job.stages.source.columns
    writer = ShardWriter(
        job.directory,
        label_names,
        pairs=columns.text_pair is not None,
        keep_text=job.config.keep_text,
        metadata={"label_names": label_names, "columns": dataclasses.asdict(columns), **_identity(job)},
    )
    tally = _Tally(len(label_names))
    warnings = list(job.warnings)
    looked = False
    listener.started(job.plan.rows)
    try:
        with (
            contextlib.closing(score_shards(job.stages, job.plan.shards)) as windows,
            contextlib.closing(writer.write(windows)) as written,
        ):
            for scored in written:
                tally.add(scored)
                if not looked and (tally.confusion.full or tally.read == job.plan.rows):
                    looked = True
                    if (warning := tally.confusion.agreement().warning(label_names)) is not None:
                        warnings.append(warning)
                        listener.warning(warning)
    finally:
        listener.finished()
    return tally, warnings


def _identity(job: Job) -> dict[str, Any]:
    """Model, options and versions, as run.json and every file's metadata carry them."""
    contract = job.model.contract
    return {
        "model": {
            "sha256": job.model.model_hash,
            "source": contract.source,
            "revision": contract.revision,
            "precision": contract.precision,
            "optimize": contract.optimize,
        },
        "options": options_of(job.config),
        "versions": versions(installed_onnxruntime()),
    }


def _raise_all_rejected(job: Job, counts: Counts) -> None:
    for part in job.directory.scores.glob("part-*.parquet"):
        part.unlink()
    reasons = ", ".join(
        f"{reason}: {counts.rejected_by_reason[reason]:,}"
        for reason in REJECT_REASONS
        if reason in counts.rejected_by_reason
    )
    columns = job.stages.source.columns
    raise NothingScoredError(
        f"all {counts.read:,} rows were rejected ({reasons}). The text was read from column '{columns.text}', the "
        f"label from '{columns.label}'; name others with --text-column and --label-column."
    )
