"""One run, from configuration to report; the command line and the Python API both enter here.

prepare   open the model and the data, settle the labels, start the session; nothing is written yet
judge     where a model of less precision scores: does it keep the ranking of its fp32 form?
score     every shard that is not done yet, written as it comes
rescore   the head again in fp32, where another precision scored
rank      shards into one ranking
report    run.json, written last: a directory with it holds a finished run
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import msgspec

from scorer.config import RunConfig, options_that_decide
from scorer.errors import DataError, NothingScoredError, RunInterrupted, ScorerError
from scorer.listener import Listener, Silence
from scorer.model.session import installed_onnxruntime
from scorer.ranking.rank import gather_rejects, rank
from scorer.results.counts import FIRST_ROWS, ShardCounts, Tally
from scorer.results.manifest import refuse_changed_data
from scorer.results.run_report import Counts, FirstAgreement, ReportedModel, Resumed, RunReport, options_of, versions
from scorer.results.shard_writer import ShardWriter, Written
from scorer.run.engines.engine import Engine
from scorer.run.engines.local import ThisProcess
from scorer.run.engines.processes import WorkerProcesses
from scorer.run.exact_head import Rescoring
from scorer.run.setup.prepare import Job, prepare
from scorer.schema import REJECT_REASONS
from scorer.sources import LeftOut
from scorer.system.documents import plain


def score(config: RunConfig, listener: Listener | None = None) -> RunReport:
    """Score a labelled corpus and rank its rows by loss.

    Where the output holds an unfinished run of the same configuration, model and data, it is resumed: only what is
    missing is scored. Where it holds a finished one, its report is returned. Score rows that were held out from the
    model's training: in-sample losses, of rows that it was trained on, hide the errors that it has learned.

    Args:
        config: what to score, with which model, into which directory.
        listener: hears guesses, warnings and progress; None hears nothing (warnings stand in the report too).

    Returns:
        The report that was also written as run.json.

    Raises:
        ScorerError: one of its subclasses, each with a message for a person; see `scorer.errors`.
        RunInterrupted: as KeyboardInterrupt; what is finished is kept, and the same call resumes it.
    """
    listener = listener or Silence()
    started = time.perf_counter()
    job = prepare(config, listener)
    with job.directory.opened(job.manifest, overwrite=config.overwrite, notify=listener.info):
        done = job.directory.done(job.plan.shards, listener.warning, skip_bad_files=config.skip_bad_files)
        if (report := _finished(job, done)) is not None:
            listener.info(f"'{job.config.output}' holds the results of this very run; there is nothing left to do.")
            return report
        progress = _Progress(job, done, listener)
        try:
            return _score_and_rank(progress, started)
        except KeyboardInterrupt as interrupt:
            raise RunInterrupted(progress.state, kept=progress.keeps) from interrupt
        except ScorerError as error:
            if progress.keeps:
                without = " without --overwrite" if config.overwrite else ""
                error.add_note(f"{progress.state} They are kept; the same command{without} goes on with them.")
            raise


class _Progress:
    """How far a run is: the shards that are done and what was counted in them."""

    def __init__(self, job: Job, done: dict[int, ShardCounts], listener: Listener) -> None:
        self.job, self.listener = job, listener
        self.left = [shard for shard in job.plan.shards if shard.index not in done]
        self.tally = Tally()
        for finished in done.values():
            self.tally += finished.tally
        self.earlier = Resumed(shards=len(done), scored=self.tally.scored, tokens=self.tally.tokens)
        self.shards_done = len(done)
        self._begun: dict[int, Tally] = {}  # of shards that are not finished, by index
        self.left_out = [*job.data.source.left_out, *job.plan.left_out]
        self.left_out += [each for finished in done.values() for each in finished.left_out]
        self.warnings = list(job.data.warnings)
        self._looked = False

    @property
    def keeps(self) -> bool:
        """Whether there are finished shards."""
        return self.shards_done > 0

    @property
    def state(self) -> str:
        """How many shards are done, as a sentence."""
        return f"{self.shards_done:,} of {len(self.job.plan.shards):,} shards are finished."

    def add(self, told: Written | LeftOut) -> None:
        """Count a window, or rows that are left out; their shard begins anew."""
        if isinstance(told, LeftOut):
            if told.shard is not None:
                self._begun.pop(told.shard, None)
            self.left_out.append(told)
            self.listener.warning(f"left out {told}")
            return
        tally = self._begun.setdefault(told.shard.index, Tally())
        tally += told.tally
        if told.ends_shard:
            self.tally += self._begun.pop(told.shard.index)
            self.shards_done += 1
        if not self._looked and self._counted().first_rows >= min(FIRST_ROWS, self.job.plan.rows):
            self.look()

    def _counted(self) -> Tally:
        """The counts of finished shards and of those begun."""
        counted = Tally()
        for tally in (self.tally, *self._begun.values()):
            counted += tally
        return counted

    def look(self) -> None:
        """Compare labels and predictions, and warn where they look as if they do not fit."""
        if self._looked:
            return
        self._looked = True
        agreement = self.job.data.task.agreement(self._counted().confusion)
        if (warning := agreement.warning(self.job.model.contract.label_names)) is not None:
            self.warnings.append(warning)
            self.listener.warning(warning)
        elif agreement.too_few_to_tell:
            self.listener.info(
                f"Too few rows ({agreement.rows:,}) to tell whether the labels are in the model's order: not checked."
            )


def _score_and_rank(progress: _Progress, started: float) -> RunReport:
    job, clock = progress.job, progress.job.clock
    writer = _writer(job)
    rescoring = _rescoring(job, writer, progress.listener)
    with clock.stage("judge"):
        fidelity = None if rescoring is None else rescoring.judge(job.config.allow_low_fidelity)
    scoring_started = time.perf_counter()
    _write_shards(progress, writer)
    scoring_s = time.perf_counter() - scoring_started
    tally = progress.tally
    if tally.read == 0:
        raise DataError(f"nothing could be read; the first: {progress.left_out[0]}")
    if tally.scored == 0 and job.config.part is None:  # a part of the data may well be bad
        _raise_all_rejected(job, tally)
    refuse_changed_data(job.manifest.fingerprint, job.data.source)
    asked = job.config.exact_rows(tally.scored)
    with clock.stage("rescore"):
        exact_head = None
        if rescoring is not None and fidelity is not None and asked:
            exact_head = rescoring.rescore(asked, fidelity.max_log_odds_difference)
    progress.listener.info(f"Ranking {tally.scored:,} rows.")
    del rescoring
    job.session.predictor.close()  # ranking needs the memory more
    with clock.stage("rank"):
        gather_rejects(job.directory.path, writer.rejects_schema)
        rank(job.directory.path, top=job.config.ranked_top, notify=progress.listener.info)
    agreement = job.data.task.agreement(tally.confusion)
    report = RunReport(
        output=job.config.output,
        counts=Counts.of(tally),
        resumed=progress.earlier,
        seconds=clock.seconds,
        elapsed_s=time.perf_counter() - started,
        scoring_s=scoring_s,
        provider=job.session.provider,
        threads=job.model.threads,
        max_batch_tokens=job.session.setting.max_batch_tokens,
        max_length=job.model.max_length,
        labels=job.data.task.description,
        columns=job.data.source.columns,
        agreement=FirstAgreement.of(agreement),
        fidelity=fidelity,
        exact_head=exact_head,
        warnings=tuple(progress.warnings),
        left_out=tuple(progress.left_out),
        **_identity(job),
    )
    job.directory.write_text(job.directory.run_file, report.to_json())
    return report


def _rescoring(job: Job, writer: ShardWriter, listener: Listener) -> Rescoring | None:
    """What scores rows again in fp32; None where fp32 scores them in the first place, or is not there."""
    make = job.session.predictor.in_fp32
    if make is None:
        return None
    return Rescoring(job.stages, make, job.plan.shards, directory=job.directory, writer=writer, listener=listener)


def _write_shards(progress: _Progress, writer: ShardWriter) -> None:
    """Score and write the shards that are not done."""
    job, listener = progress.job, progress.listener
    if progress.keeps:
        listener.info(
            f"Going on with an earlier run: {progress.state} {progress.tally.read:,} of {job.plan.rows:,} rows are "
            "skipped."
        )
    for left_out in progress.left_out:
        listener.warning(f"left out {left_out}")
    listener.started(sum(shard.rows for shard in progress.left))
    engine = _engine(job, shards=len(progress.left))
    try:
        with contextlib.closing(engine.score(job.work(writer), progress.left, listener)) as told:
            for each in told:
                progress.add(each)
        progress.look()
    finally:
        listener.finished()


def _engine(job: Job, shards: int) -> Engine:
    """Where so many shards are scored: in this process, unless several workers have something to do."""
    if min(job.config.workers, shards) <= 1:
        return ThisProcess(job.session.predictor, job.clock)
    folders = (job.directory.scores, job.directory.rejects)
    return WorkerProcesses(job.config.workers, job.model.threads, job.clock, folders)


def _writer(job: Job) -> ShardWriter:
    columns, label_names = job.data.source.columns, job.model.contract.label_names
    return ShardWriter(
        job.directory,
        job.data.task,
        pairs=columns.text_pair is not None,
        keep_text=job.config.keep_text,
        metadata=plain({"label_names": label_names, "columns": columns, **_identity(job)}),
        first_ends=job.plan.shards[0].first_row + FIRST_ROWS,
    )


def _identity(job: Job) -> dict[str, Any]:
    """Model, options and versions, as run.json and every file's metadata carry them."""
    return {
        "model": ReportedModel.of(job.model.directory),
        "options": options_of(job.config),
        "versions": versions(installed_onnxruntime()),
    }


def _finished(job: Job, done: dict[int, ShardCounts]) -> RunReport | None:
    """The report of a run that left nothing to do, or None."""
    try:
        report = RunReport.from_json(job.directory.run_file.read_bytes())
    except (OSError, ValueError):
        return None
    left_out = {each.shard for each in report.left_out if each.ends_shard}
    missing = {shard.index for shard in job.plan.shards} - done.keys() - left_out
    if (
        missing
        or not job.directory.ranked.exists()
        or any(getattr(report.options, name) != getattr(job.config, name) for name in options_that_decide("ranking"))
    ):
        return None
    return msgspec.structs.replace(report, output=job.config.output)


def _raise_all_rejected(job: Job, tally: Tally) -> None:
    job.directory.remove_results()
    reasons = ", ".join(f"{reason}: {tally.reasons[reason]:,}" for reason in REJECT_REASONS if reason in tally.reasons)
    columns = job.data.source.columns
    raise NothingScoredError(
        f"all {tally.read:,} rows were rejected ({reasons}). The text was read from column '{columns.text}', the "
        f"label from '{columns.label}'; name others with --text-column and --label-column."
    )
