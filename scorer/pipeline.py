"""The inner loop: shards in, scored windows out.

    read → accept or reject → tokenize → bucket → collate  |  infer → score  |  (the caller writes)

A bar is a bounded queue with a thread behind it, so that reading, tokenizing and writing hide behind inference.
Memory holds a few windows, whatever the number of rows. Restoring the input order is one scatter per batch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorer.batching import Batch, Encoded, IntArray, batches
from scorer.classifier import Classifier
from scorer.distinct import DistinctTexts
from scorer.errors import ModelError
from scorer.inference import Careful, FailedTextError, infer
from scorer.labels import MISSING, UNKNOWN, LabelEncoder
from scorer.prefetch import prefetch
from scorer.scoring import LabelArray, Scores, score
from scorer.sources import Shard, Source, read_shards

EXACT_PRECISION = "fp32"
# Logits of a shard's texts that are kept for texts that come again; with thousands of classes, those of a few windows.
KNOWN_LOGITS = 2**25


class TextEncoderLike(Protocol):
    """What the pipeline needs of a tokenizer."""

    def encode(self, texts: list[str], pairs: list[str] | None = None) -> Encoded:
        """Token ids of W texts, or of W pairs."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """W rows of a shard, ready for inference.

    Attributes:
        shard: the shard they belong to.
        ends_shard: whether they are its last.
        forgets: whether texts and logits so far are of no further use: the shard ends, or they are too many.
        records: accepted rows in the source schema [W].
        labels: int32 [W], class index of each accepted row.
        lengths: int64 [W], tokens of each accepted row.
        truncated: bool [W], rows whose text was cut.
        numbers: int64 [W], for each accepted row the number of its text among the shard's distinct texts.
        batches: the D texts that the shard's earlier windows do not hold, padded, longest first; their `rows` count
            from 0 in the order of their numbers.
        new_lengths: int64 [D], tokens of those texts.
        rejects: rejected rows in the source schema, with a column `reason`.
    """

    shard: Shard
    ends_shard: bool
    forgets: bool
    records: pa.RecordBatch
    labels: LabelArray
    lengths: np.ndarray
    truncated: np.ndarray
    numbers: np.ndarray
    batches: tuple[Batch, ...]
    new_lengths: np.ndarray
    rejects: pa.RecordBatch

    @property
    def tokens(self) -> int:
        """Real tokens that inference computes."""
        return int(self.new_lengths.sum())

    @property
    def padded_tokens(self) -> int:
        """Tokens that inference computes, padding included."""
        return sum(batch.input_ids.size for batch in self.batches)


@dataclasses.dataclass(frozen=True, slots=True)
class ScoredWindow:
    """A window with its scores, in the order of its rows.

    Attributes:
        window: the rows.
        scores: their scores.
        precision: for each row the number format that its scores were computed in [W].
    """

    window: Window
    scores: Scores
    precision: pa.DictionaryArray


class Clock:
    """Seconds spent per stage; each stage runs in one thread."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to the stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclasses.dataclass(frozen=True, slots=True)
class Stages:
    """The parts that the loop is made of, ready to work.

    Attributes:
        source: where rows come from.
        labels: how the data's labels become class indices.
        encoder: texts to token ids.
        classifier: batches to logits.
        precision: number format that the classifier computes in.
        exact: makes a classifier of the same model in fp32, which computes the rows whose logits are not finite again;
            None where there is none.
        max_batch_tokens: cap on padded tokens per batch.
        length_multiple: batches are padded to a multiple of this.
        pad_token_id: id written into padding.
        window_rows: rows tokenized and length-sorted together.
        streams: batches computed side by side, each on one thread. A batch on one thread has the same answers however
            many threads there are, and none of them waits for another.
        clock: receives the seconds spent per stage.
        progress: called after every batch with rows and real tokens done since the last call. A window's rows
            count in proportion to the tokens done, so that progress is even though long rows come first.
    """

    source: Source
    labels: LabelEncoder
    encoder: TextEncoderLike
    classifier: Classifier
    precision: str
    exact: Callable[[], Classifier] | None
    max_batch_tokens: int
    length_multiple: int
    pad_token_id: int
    window_rows: int
    streams: int
    clock: Clock
    progress: Callable[[int, int], None]


def score_shards(stages: Stages, shards: Iterable[Shard], only: IntArray | None = None) -> Generator[ScoredWindow]:
    """Score shards window by window, in input order, with every stage in a thread of its own.

    Args:
        stages: the parts of the loop.
        shards: what to score.
        only: int64, sorted; where it is given, no other rows than these are looked at.
    """
    stopped = threading.Event()
    return prefetch(_infer(stages, prefetch(_prepare(stages, shards, only)), stopped), stopped=stopped)


def _prepare(stages: Stages, shards: Iterable[Shard], only: IntArray | None) -> Generator[Window]:
    """Everything before inference."""
    records = read_shards(stages.source, shards, stages.window_rows)
    most_texts = max(1, KNOWN_LOGITS // len(stages.classifier.labels))
    seen, done = _ShardTexts(stages.encoder), 0
    while True:
        with stages.clock.stage("read"):
            found = next(records, None)
        if found is None:
            return
        shard, batch = found
        done += batch.num_rows
        if only is not None:
            rows = batch.column("row").to_numpy()
            start, stop = np.searchsorted(only, [rows[0], rows[-1] + 1])
            batch = batch.filter(pa.array(np.isin(rows, only[start:stop])))
        ends_shard = done == shard.rows
        forgets = ends_shard or seen.lengths.size >= most_texts
        yield _prepare_window(stages, shard, seen, batch, ends_shard=ends_shard, forgets=forgets)
        if forgets:
            seen = _ShardTexts(stages.encoder)
        if ends_shard:
            done = 0


class _ShardTexts:
    """The distinct texts of a shard as they come: each is tokenized once.

    Attributes:
        lengths: int64 [D], tokens of the distinct texts so far.
        truncated: bool [D], which of them were cut.
    """

    def __init__(self, encoder: TextEncoderLike) -> None:
        self._encoder = encoder
        self._distinct = DistinctTexts()
        self.lengths = np.empty(0, dtype=np.int64)
        self.truncated = np.empty(0, dtype=np.bool_)

    def add(self, texts: list[str], pairs: list[str] | None) -> tuple[IntArray, Encoded]:
        """Numbers of a window's texts, int64 [W], and the token ids of those that are new."""
        numbers, new = self._distinct.add(texts, pairs)
        encoded = self._encoder.encode([texts[i] for i in new], None if pairs is None else [pairs[i] for i in new])
        self.lengths = np.concatenate([self.lengths, encoded.lengths])
        self.truncated = np.concatenate([self.truncated, encoded.truncated])
        return numbers, encoded


def _prepare_window(
    stages: Stages, shard: Shard, seen: _ShardTexts, batch: pa.RecordBatch, *, ends_shard: bool, forgets: bool
) -> Window:
    clock = stages.clock
    with clock.stage("accept"):
        labels = stages.labels.encode(batch.column("label"))  # int32 [W]
        reasons = reject_reasons(batch, labels)
        accepted = pc.is_null(reasons)
        records = batch.filter(accepted)
        refused = pc.invert(accepted)
        rejects = batch.filter(refused).append_column("reason", reasons.filter(refused))
        labels = labels[accepted.to_numpy(zero_copy_only=False)]
    with clock.stage("tokenize"):
        texts = records.column("text").to_pylist()
        pairs = records.column("text_pair").to_pylist() if "text_pair" in records.schema.names else None
        numbers, encoded = seen.add(texts, pairs)
    with clock.stage("collate"):
        padded = tuple(batches(encoded, stages.max_batch_tokens, stages.pad_token_id, stages.length_multiple))
    return Window(
        shard=shard,
        ends_shard=ends_shard,
        forgets=forgets,
        records=records,
        labels=labels,
        lengths=seen.lengths[numbers],
        truncated=seen.truncated[numbers],
        numbers=numbers,
        batches=padded,
        new_lengths=encoded.lengths,
        rejects=rejects,
    )


def reject_reasons(batch: pa.RecordBatch, labels: LabelArray) -> pa.Array:
    """Why rows cannot be scored.

    Args:
        batch: rows in the source schema [W].
        labels: int32 [W], encoded labels.

    Returns:
        string [W]: a reason of `schema.REJECT_REASONS`, null for rows that can be scored. A row with several
        faults gets the first: its text before its label.
    """
    names = [name for name in ("text", "text_pair") if name in batch.schema.names]
    missing = pa.array(np.zeros(batch.num_rows, dtype=bool))
    blank = missing
    for name in names:
        text = batch.column(name)
        missing = pc.or_(missing, pc.is_null(text))
        blank = pc.or_(blank, pc.fill_null(pc.equal(pc.utf8_trim_whitespace(text), ""), fill_value=False))
    conditions = pc.make_struct(
        missing,
        blank,
        pa.array(labels == MISSING),
        pa.array(labels == UNKNOWN),
    )
    return pc.case_when(conditions, "text_missing", "text_blank", "label_missing", "label_unknown")


def _infer(stages: Stages, windows: Generator[Window], stopped: threading.Event) -> Generator[ScoredWindow]:
    """Inference and scores; the stage that everything else hides behind. Ends within a batch of being stopped."""
    none = np.empty((0, len(stages.classifier.labels)), dtype=np.float32)
    known = none  # logits of the shard's distinct texts so far [D, C]
    exact = np.empty(0, dtype=np.bool_)  # which of them were computed again in fp32 [D]
    careful = Careful(stages.classifier, stages.exact)
    with contextlib.closing(windows):
        for window in windows:
            with stages.clock.stage("infer"):
                texts = window.new_lengths.size
                logits = np.empty((texts, none.shape[1]), dtype=np.float32)  # of the new texts
                bad = np.zeros(texts, dtype=np.bool_)
                advance = _even_progress(window, stages.progress)
                try:
                    for batch, (answer, in_fp32) in infer(careful, window.batches, stages.streams):
                        logits[batch.rows], bad[batch.rows] = answer, in_fp32
                        advance(int(window.new_lengths[batch.rows].sum()))
                        if stopped.is_set():
                            return
                except FailedTextError as error:
                    raise ModelError(_at_row(window, len(known) + error.position, error)) from error
            with stages.clock.stage("score"):
                known, exact = np.concatenate([known, logits]), np.concatenate([exact, bad])
                scores = score(known[window.numbers], window.labels)
                precision = _precisions(stages.precision, exact[window.numbers])
            if window.forgets:
                known, exact = none, exact[:0]
            yield ScoredWindow(window, scores, precision)


def _precisions(precision: str, exact: np.ndarray) -> pa.DictionaryArray:
    """Names of the number formats [W], from those rows that were computed in fp32, bool [W]."""
    return pa.DictionaryArray.from_arrays(pa.array(exact.astype(np.int8)), pa.array([precision, EXACT_PRECISION]))


def _at_row(window: Window, number: int, error: FailedTextError) -> str:
    """What failed, with the first row that holds the text of this number."""
    record = window.records.slice(int(np.flatnonzero(window.numbers == number)[0]), 1).to_pylist()[0]
    return (
        f"{error} It fails on row {record['row']:,} of the data, alone: id {record['id']!r}, '{record['source_file']}'."
    )


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
