"""What the inner loop is made of, and what passes through it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import pyarrow as pa

from scorer.arithmetic.batching import Batch, Encoded, IntArray
from scorer.arithmetic.scoring import LabelArray, Scores
from scorer.labels import LabelEncoder
from scorer.model.classifier import Classifier
from scorer.sources import Shard, Source


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
        forgets: whether texts and logits so far are forgotten after it: the shard ends, or they are too many.
        records: accepted rows in the source schema [W].
        labels: int32 [W], class index of each accepted row.
        lengths: int32 [W], tokens of each accepted row.
        truncated: bool [W], rows whose text was cut.
        numbers: int64 [W], for each accepted row the number of its text among the distinct texts that are remembered.
        batches: the D texts that are not remembered yet, padded, longest first; their `rows` count from 0 in the order
            of their numbers.
        new_lengths: int32 [D], tokens of those texts.
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
    new_lengths: IntArray
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
