"""The inner loop: shards in, scored windows out.

    windows (read → accept or reject → tokenize → bucket → collate)  |  infer → score  |  (the caller writes)

A bar is a bounded queue with a thread behind it, so that reading, tokenizing and writing hide behind inference.
Memory holds a few windows, whatever the number of rows. Restoring the input order is one scatter per batch.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterable

import numpy as np
import pyarrow as pa

from scorer.arithmetic.batching import IntArray
from scorer.arithmetic.scoring import score
from scorer.errors import ModelError
from scorer.model.inference import Careful, FailedTextsError, infer
from scorer.pipeline.stages import ScoredWindow, Stages, Window
from scorer.pipeline.windows import prepare_windows
from scorer.sources import Shard
from scorer.system.prefetch import prefetch

EXACT_PRECISION = "fp32"
# Rows that a failure names.
ROWS_NAMED = 5


def score_shards(stages: Stages, shards: Iterable[Shard], only: IntArray | None = None) -> Generator[ScoredWindow]:
    """Score shards window by window, in input order, with every stage in a thread of its own.

    A text that comes again within a shard is computed once. A shard's scores depend on its own rows alone.

    Args:
        stages: the parts of the loop.
        shards: what to score.
        only: int64, sorted; where it is given, no other rows than these are looked at.
    """
    stopped = threading.Event()
    windows = prepare_windows(stages, shards, only)
    return prefetch(_infer(stages, prefetch(windows), stopped), stopped=stopped)


def _infer(stages: Stages, windows: Generator[Window], stopped: threading.Event) -> Generator[ScoredWindow]:
    """Inference and scores; the stage that everything else hides behind. Ends within a batch of being stopped."""
    no_logits, none_exact = np.empty((0, len(stages.classifier.labels)), np.float32), np.empty(0, np.bool_)
    logits, exact = no_logits, none_exact  # of the distinct texts so far [D, C], [D]
    careful = Careful(stages.classifier, stages.exact)
    with contextlib.closing(windows):
        for window in windows:
            with stages.clock.stage("infer"):
                new = np.empty((window.new_lengths.size, logits.shape[1]), np.float32)
                new_exact = np.empty(len(new), np.bool_)
                advance = _even_progress(window, stages.progress)
                try:
                    for batch, (answer, in_fp32) in infer(careful, window.batches, stages.streams):
                        new[batch.rows], new_exact[batch.rows] = answer, in_fp32
                        advance(int(window.new_lengths[batch.rows].sum()))
                        if stopped.is_set():
                            return
                except FailedTextsError as error:
                    raise ModelError(_at_rows(window, len(logits), error)) from error
            with stages.clock.stage("score"):
                logits, exact = np.concatenate([logits, new]), np.concatenate([exact, new_exact])
                scores = score(logits[window.numbers], window.labels)
                precision = _precisions(stages.precision, exact[window.numbers])
            if window.forgets:
                logits, exact = no_logits, none_exact
            yield ScoredWindow(window, scores, precision)


def _precisions(precision: str, exact: np.ndarray) -> pa.DictionaryArray:
    """Names of the number formats [W], from those rows that were computed in fp32, bool [W]."""
    return pa.DictionaryArray.from_arrays(pa.array(exact.astype(np.int8)), pa.array([precision, EXACT_PRECISION]))


def _at_rows(window: Window, before: int, error: FailedTextsError) -> str:
    """What failed, with the first rows that hold the texts at fault; `before` texts came earlier."""
    numbers = [before + position for position in error.positions]
    first = [int(np.flatnonzero(window.numbers == number)[0]) for number in numbers[:ROWS_NAMED]]
    named = [
        f"row {record['row']:,} of the data, id {record['id']!r}, '{record['source_file']}'"
        for record in window.records.take(sorted(first)).to_pylist()
    ]
    if len(numbers) == 1:
        return f"{error} It fails on {named[0]}, alone."
    more = f"; and {len(numbers) - ROWS_NAMED:,} more" if len(numbers) > ROWS_NAMED else ""
    return f"{error} It fails on {'; '.join(named)}{more}."


def _even_progress(window: Window, progress: Callable[[int, int], None]) -> Callable[[int], None]:
    """A function of a batch's real tokens that spreads the window's rows evenly over its tokens."""
    all_rows, all_tokens = window.records.num_rows + window.rejects.num_rows, window.tokens
    done_rows = done_tokens = 0
    if not window.batches:
        progress(all_rows, 0)

    def advance(tokens: int) -> None:
        nonlocal done_rows, done_tokens
        done_tokens += tokens
        rows = all_rows * done_tokens // all_tokens
        progress(rows - done_rows, tokens)
        done_rows = rows

    return advance
