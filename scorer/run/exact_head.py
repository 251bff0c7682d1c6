"""A ranking whose head is exact although a cheap model scored the corpus.

A model of less precision (int8, fp16) scores every row. Those that it puts near the top are scored again in fp32, far
enough down that no row can be missing from the head that was asked for: as long as none is off by more than
`SAFETY` times the largest error seen among all rows scored twice. If the errors turn out larger than thought, another
round goes further down. Rounds are files in `rescored/`; the ranking takes their rows instead of the cheap ones.

The same fp32 model judges the cheap one on a sample before the run begins.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scorer.arithmetic.batching import IntArray
from scorer.arithmetic.fidelity import Fidelity, kth_highest, measure_fidelity
from scorer.arithmetic.scoring import FloatArray
from scorer.errors import DataError, ParityError
from scorer.listener import Listener
from scorer.pipeline.loop import score_shards
from scorer.pipeline.stages import Stages
from scorer.predictors.predictor import Predictor
from scorer.results.run_directory import RunDirectory
from scorer.results.run_report import ExactHead
from scorer.results.shard_writer import ShardWriter
from scorer.sources import Shard, UnreadableError, without_unreadable
from scorer.system.clock import Clock
from scorer.system.documents import parse, written

# How many times the largest error seen a row that was not scored again may be off.
SAFETY = 1.5
# Rows of the first shard that both models score before the run begins: one in so many, within bounds.
PILOT_ONE_IN = 128
PILOT_ROWS = (64, 512)
PILOT_FILE = "pilot.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Losses:
    """Losses of some rows.

    Attributes:
        rows: int64 [N], sorted.
        losses: float32 [N].
    """

    rows: IntArray
    losses: FloatArray

    def of(self, rows: IntArray) -> FloatArray:
        """Losses of some of the rows."""
        return self.losses[np.searchsorted(self.rows, rows)]

    @staticmethod
    def joined(parts: Sequence[Losses]) -> Losses:
        """All parts as one, sorted by row."""
        rows = np.concatenate([np.empty(0, np.int64), *(part.rows for part in parts)])
        losses = np.concatenate([np.empty(0, np.float32), *(part.losses for part in parts)])
        order = np.argsort(rows, kind="stable")
        return Losses(rows[order], losses[order])


class Rescoring:
    """Scores rows of a run again, in fp32.

    Args:
        stages: the run's pipeline.
        make_fp32: makes the predictor of the same model in fp32.
        shards: the run's shards.
        directory: the run's directory.
        writer: writes scores in the run's schema.
        listener: hears progress.
    """

    def __init__(
        self,
        stages: Stages,
        make_fp32: Callable[[], Predictor],
        shards: Sequence[Shard],
        *,
        directory: RunDirectory,
        writer: ShardWriter,
        listener: Listener,
    ) -> None:
        self._cheap, self._make_fp32, self._shards = stages, make_fp32, shards
        self._directory, self._writer, self._listener = directory, writer, listener

    @cached_property
    def _fp32(self) -> Stages:
        return dataclasses.replace(self._cheap, predictor=self._make_fp32(), clock=Clock())

    @property
    def _precision(self) -> str:
        return self._cheap.predictor.precision

    def judge(self, allow_low_fidelity: bool) -> Fidelity | None:
        """Score a sample of a shard with both models, once in the life of a run directory.

        Returns:
            How well the cheap model keeps the ranking; None where no row of the sample can be scored.

        Raises:
            ParityError: it does not, and `allow_low_fidelity` is not set.
        """
        file = self._directory.rescored / PILOT_FILE
        with contextlib.suppress(OSError, ValueError):
            return parse(file.read_bytes(), Fidelity)
        cheap = fp32 = np.empty(0, dtype=np.float32)
        for shard in self._shards:
            cheap, fp32 = self._sample(shard)
            if fp32.size:
                break
        else:
            return None
        fidelity = measure_fidelity(cheap, fp32, f"{fp32.size} rows of the corpus")
        self._listener.info(f"{self._precision} against fp32: {fidelity}.")
        if not (fidelity.keeps_the_ranking or allow_low_fidelity):
            raise ParityError(
                f"this {self._precision} model does not keep the ranking of its fp32 form: {fidelity}. Score "
                "with an export in fp32, or give --allow-low-fidelity: the head would still be scored again in fp32."
            )
        self._directory.rescored.mkdir(exist_ok=True)
        self._directory.write_text(file, written(fidelity) + "\n")
        return fidelity

    def _sample(self, shard: Shard) -> tuple[FloatArray, FloatArray]:
        """Losses of some rows by the cheap model and by fp32 of a shard: float32 [N] each."""
        if not shard.spans:
            return np.empty(0, np.float32), np.empty(0, np.float32)
        numbers = np.concatenate([np.arange(span.first_row, span.first_row + span.rows) for span in shard.spans])
        size = min(numbers.size, max(PILOT_ROWS[0], min(PILOT_ROWS[1], self._all_rows // PILOT_ONE_IN)))
        only = numbers[np.sort(np.random.default_rng(0).choice(numbers.size, size, replace=False))]
        try:
            return _losses(self._cheap, shard, only), _losses(self._fp32, shard, only)
        except UnreadableError as error:  # the run itself will meet it
            return self._sample(without_unreadable(self._cheap.source, error))

    def rescore(self, asked: int, expected_error: float) -> ExactHead:
        """Score the head again until it is exact.

        Args:
            asked: rows of the head that should be exact, at least 1 and no more than were scored.
            expected_error: of the cheap model, on the task's scale; the first round goes so far beyond the head.

        Raises:
            ScorerError: as `scorer.score` does.
        """
        scale = self._cheap.task.coordinate
        floor = float(scale(np.array([self._kth_cheap(asked)]))[0]) - expected_error
        rounds = 0
        while True:
            near = self._above(floor)
            rounds += self._score_again(near.rows)
            known = self._known()
            rows = np.intersect1d(near.rows, known.rows, assume_unique=True)
            fp32, cheap = scale(known.of(rows)), scale(near.of(rows))
            error = max(0.0, float((fp32 - cheap).max()))
            needed = float(np.partition(fp32, fp32.size - asked)[fp32.size - asked]) - SAFETY * error
            if needed >= floor or near.rows.size == self._all_rows:
                break
            floor = needed
        everything = near.rows.size == self._all_rows
        return ExactHead(
            asked=asked,
            exact=fp32.size if everything else int((fp32 - SAFETY * error >= floor).sum()),
            rescored=known.rows.size,
            largest_error=error,
            lowest_loss=self._cheap.task.loss_at(floor),
            overlap=np.intersect1d(_head(cheap, asked), _head(fp32, asked)).size / asked,
            rounds=rounds,
        )

    @cached_property
    def _all_rows(self) -> int:
        return sum(shard.rows for shard in self._shards)

    def _score_again(self, rows: IntArray) -> int:
        """Write a round with those of the rows that no earlier one holds; returns how many rounds that took: 1 or 0."""
        files = self._directory.rescored_files()
        new = np.setdiff1d(rows, self._known().rows, assume_unique=True)
        if not new.size:
            return 0
        self._listener.info(f"Scoring {new.size:,} rows at the head again in fp32.")
        self._listener.started(new.size)
        shards = [part for shard in self._shards if (part := shard.among(new)).spans]
        try:
            with contextlib.closing(score_shards(self._fp32, shards, new)) as windows:
                self._writer.write_rescored(self._directory.rescored / f"round-{len(files):02d}.parquet", windows)
        finally:
            self._listener.finished()
        return 1

    def _kth_cheap(self, k: int) -> float:
        """The K-th highest of the cheap losses."""
        best = np.empty(0, dtype=np.float32)
        for part in self._read_shards():
            best = np.concatenate([best, part.losses])
            if best.size > 2 * k:
                best = np.partition(best, best.size - k)[best.size - k :]
        return kth_highest(best, k)

    def _above(self, floor: float) -> Losses:
        """The rows whose cheap loss lies at least at `floor` on the task's scale."""
        parts = []
        for part in self._read_shards():
            near = self._cheap.task.coordinate(part.losses) >= floor
            parts.append(Losses(part.rows[near], part.losses[near]))
        return Losses.joined(parts)

    def _known(self) -> Losses:
        """The losses in fp32 so far."""
        return Losses.joined([_read(file) for file in self._directory.rescored_files()])

    def _read_shards(self) -> Iterator[Losses]:
        for file in self._directory.score_files():
            yield _read(file)


def _read(file: Any) -> Losses:
    try:
        table = pq.read_table(file.absolute(), columns=["row", "loss"])
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"cannot read the scores in '{file}': {str(error).splitlines()[0]}. Remove the file and run the same "
            "command again."
        ) from error
    return Losses(table.column("row").to_numpy(), table.column("loss").to_numpy())


def _losses(stages: Stages, shard: Shard, only: IntArray) -> FloatArray:
    """Losses of some rows of a shard, float32 [N]; rejected rows have none."""
    quiet = dataclasses.replace(stages, clock=Clock(), progress=_no_progress)
    with contextlib.closing(score_shards(quiet, [shard], only)) as windows:
        return np.concatenate([window.columns["loss"].to_numpy() for window in windows])


def _no_progress(_rows: int, _tokens: int) -> None:
    """A sample is no progress of the run."""


def _head(odds: np.ndarray, size: int) -> IntArray:
    """Positions of the highest, ties by position: int64 [size]."""
    return np.argsort(-odds, kind="stable")[:size]
