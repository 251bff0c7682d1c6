"""The inner loop: shards in, scored windows out.

    windows (read → accept or reject → make ready)  |  predict → score  |  (the caller writes)

A bar is a bounded queue with a thread behind it, so that reading, tokenizing and writing hide behind inference.
Memory holds a few windows, whatever the number of rows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Generator, Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scorer.arithmetic.batching import IntArray
from scorer.pipeline.stages import ScoredWindow, Stages, Window
from scorer.pipeline.windows import prepare_windows
from scorer.predictors.predictor import Outputs
from scorer.sources import Shard
from scorer.system.prefetch import prefetch


class _StoppedError(Exception):
    """Nobody waits for the windows any more."""


def score_shards(stages: Stages, shards: Iterable[Shard], only: IntArray | None = None) -> Generator[ScoredWindow]:
    """Score shards window by window, in input order, with every stage in a thread of its own.

    A shard's scores depend on its own rows alone.

    Args:
        stages: the parts of the loop.
        shards: what to score.
        only: int64, sorted; where it is given, no other rows than these are looked at.
    """
    stopped = threading.Event()
    windows = prepare_windows(stages, shards, only)
    return prefetch(_predict(stages, prefetch(windows), stopped), stopped=stopped)


def _predict(stages: Stages, windows: Generator[Window], stopped: threading.Event) -> Generator[ScoredWindow]:
    """Predictions and scores; the stage that everything else hides behind. Ends within a batch of being stopped."""
    with contextlib.closing(windows):
        for window in windows:
            progress = _EvenProgress(stages, window, stopped)
            try:
                outputs = window.predict(progress)
            except _StoppedError:
                return
            progress.finish()
            with stages.clock.stage("score"):
                scored = _scored(stages, window, outputs)
            yield scored


def _scored(stages: Stages, window: Window, outputs: Outputs) -> ScoredWindow:
    """The window's scores; rows of which the model can read nothing join the rejects."""
    records, given, rejects = window.records, window.given, window.rejects
    read = outputs.lengths > 0
    if not read.all():
        nothing = records.filter(pa.array(~read))
        nothing = nothing.append_column("reason", pa.array(["text_blank"] * nothing.num_rows))
        rejects = pa.concat_batches([rejects, nothing]).sort_by("row")
        records, given, outputs = records.filter(pa.array(read)), given[read], _of_rows(outputs, read)
    columns = stages.task.score(outputs.logits, given)
    return ScoredWindow(window.shard, window.ends_shard, records, columns, outputs, rejects)


def _of_rows(outputs: Outputs, rows: npt.NDArray[np.bool_]) -> Outputs:
    """What the model says of some of the rows, bool [W]; what was computed stays what it was."""
    return dataclasses.replace(
        outputs,
        logits=outputs.logits[rows],
        lengths=outputs.lengths[rows],
        truncated=outputs.truncated[rows],
        precision=outputs.precision.filter(pa.array(rows)),
    )


class _EvenProgress:
    """Spreads a window's rows evenly over its tokens; raises where the run was stopped."""

    def __init__(self, stages: Stages, window: Window, stopped: threading.Event) -> None:
        self._tell, self._stopped = stages.progress, stopped
        self._rows = window.records.num_rows + window.rejects.num_rows
        self._told_rows = self._tokens = 0

    def __call__(self, tokens: int, all_tokens: int) -> None:
        """So many tokens were computed since the last call, of so many in all."""
        self._tokens += tokens
        rows = self._rows * self._tokens // all_tokens
        self._tell(rows - self._told_rows, tokens)
        self._told_rows = rows
        if self._stopped.is_set():
            raise _StoppedError

    def finish(self) -> None:
        """All rows are done, whatever was told of tokens."""
        if self._told_rows < self._rows or not self._rows:
            self._tell(self._rows - self._told_rows, 0)
            self._told_rows = self._rows
