"""One classifier of texts: tokenize → bucket → collate → infer, with the texts of a shard deduplicated."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from scorer.arithmetic.batching import Batch, Encoded, IntArray, batches
from scorer.errors import ModelError
from scorer.model.classifier import Classifier
from scorer.model.inference import Careful, FailedTextsError, infer
from scorer.predictors.distinct import DistinctTexts, digests, most_texts
from scorer.predictors.predictor import FP32, Advance, Outputs, Prediction
from scorer.system.clock import Clock

# Rows that a failure names.
ROWS_NAMED = 5


class TextEncoderLike(Protocol):
    """What is needed of a tokenizer."""

    def encode(self, texts: list[str], pairs: list[str] | None = None) -> Encoded:
        """Token ids of W texts, or of W pairs."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class OneClassifier:
    """A tokenizer and a classifier.

    Attributes:
        encoder: texts to token ids.
        classifier: batches to logits.
        precision: number format that the classifier computes in.
        make_fp32: makes a classifier of the same model in fp32, which retries the rows whose logits are not finite;
            None where there is none.
        max_batch_tokens: cap on padded tokens per batch.
        length_multiple: batches are padded to a multiple of this.
        pad_token_id: id written into padding.
        streams: batches computed side by side, each on one thread. A batch on one thread has the same answers however
            many threads there are, and none of them waits for another.
        careful: the classifier, with its second tries.
    """

    encoder: TextEncoderLike
    classifier: Classifier
    precision: str
    make_fp32: Callable[[], Classifier] | None
    max_batch_tokens: int
    length_multiple: int
    pad_token_id: int
    streams: int
    careful: Careful = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        """One classifier in fp32 serves all shards."""
        object.__setattr__(self, "careful", Careful(self.classifier, self.make_fp32))

    @property
    def in_fp32(self) -> Callable[[], OneClassifier] | None:
        """Makes the same with the classifier in fp32."""
        make = self.make_fp32
        if make is None:
            return None
        return lambda: dataclasses.replace(self, classifier=make(), precision=FP32, make_fp32=None)

    def shard(self, clock: Clock) -> Callable[[pa.RecordBatch], Prediction]:
        """Begin a shard."""
        return _Shard(self, clock).ready

    def close(self) -> None:
        """Give the session's memory back."""
        self.classifier.close()


class _Texts:
    """The distinct texts as they come, in the order of their numbers, and what the classifier says of them.

    Attributes:
        distinct: numbers them.
        lengths: int32 [D], tokens of those that were tokenized so far.
        truncated: bool [D], which of them were cut.
        logits: float32 [D, C] of those that were computed so far.
        in_fp32: bool [D], which of them were computed in fp32.
    """

    def __init__(self, classes: int) -> None:
        self.distinct = DistinctTexts()
        self.lengths = np.empty(0, np.int32)
        self.truncated = np.empty(0, np.bool_)
        self.logits = np.empty((0, classes), np.float32)
        self.in_fp32 = np.empty(0, np.bool_)


class _Shard:
    """The windows of one shard."""

    def __init__(self, predictor: OneClassifier, clock: Clock) -> None:
        self._predictor, self._clock = predictor, clock
        self._texts = _Texts(len(predictor.classifier.labels))

    def ready(self, records: pa.RecordBatch) -> Prediction:
        """Tokenize and pad a window; texts that came before in the shard are left out."""
        made, classes = self._predictor, len(self._predictor.classifier.labels)
        if len(self._texts.distinct) >= most_texts(classes):
            self._texts = _Texts(classes)  # too many to remember: begin anew
        known = self._texts
        with self._clock.stage("tokenize"):
            texts = records.column("text").to_pylist()
            pairs = records.column("text_pair").to_pylist() if "text_pair" in records.schema.names else None
            numbers, new = known.distinct.add(digests(texts, pairs))  # int64 [W], int64 [D]
            encoded = made.encoder.encode([texts[i] for i in new], None if pairs is None else [pairs[i] for i in new])
            known.lengths = np.concatenate([known.lengths, encoded.lengths.astype(np.int32)])
            known.truncated = np.concatenate([known.truncated, encoded.truncated])
            lengths, truncated = known.lengths[numbers], known.truncated[numbers]
        with self._clock.stage("collate"):
            padded = tuple(batches(encoded, made.max_batch_tokens, made.pad_token_id, made.length_multiple))

        def predict(advance: Advance) -> Outputs:
            try:
                self._compute(known, padded, encoded.lengths, advance)
            except FailedTextsError as error:
                raise ModelError(_at_rows(records, numbers, len(known.logits), error)) from error
            in_fp32 = known.in_fp32[numbers].astype(np.int8)
            return Outputs(
                logits=known.logits[numbers],
                lengths=lengths,
                truncated=truncated,
                precision=pa.DictionaryArray.from_arrays(pa.array(in_fp32), pa.array([made.precision, FP32])),
                texts=encoded.lengths.size,
                tokens=int(encoded.lengths.sum()),
                padded_tokens=sum(batch.input_ids.size for batch in padded),
            )

        return predict

    def _compute(self, known: _Texts, padded: Sequence[Batch], lengths: IntArray, advance: Advance) -> None:
        """Logits of the window's new texts; of those without a token they are zeros, which nobody reads."""
        with self._clock.stage("infer"):
            logits = np.zeros((lengths.size, known.logits.shape[1]), np.float32)
            fp32 = np.zeros(lengths.size, np.bool_)
            tokens = int(lengths.sum())
            with contextlib.closing(infer(self._predictor.careful, padded, self._predictor.streams)) as answers:
                for batch, (answer, in_fp32) in answers:
                    logits[batch.rows], fp32[batch.rows] = answer, in_fp32
                    advance(int(lengths[batch.rows].sum()), tokens)
            known.logits = np.concatenate([known.logits, logits])
            known.in_fp32 = np.concatenate([known.in_fp32, fp32])


def _at_rows(records: pa.RecordBatch, numbers: IntArray, before: int, error: FailedTextsError) -> str:
    """What failed, with the first rows that hold the texts at fault; `before` texts came earlier."""
    failed = [before + position for position in error.positions]
    first = [int(np.flatnonzero(numbers == number)[0]) for number in failed[:ROWS_NAMED]]
    named = [
        f"row {record['row']:,} of the data, id {record['id']!r}, '{record['source_file']}'"
        for record in records.take(sorted(first)).to_pylist()
    ]
    if len(failed) == 1:
        return f"{error} It fails on {named[0]}, alone."
    more = f"; and {len(failed) - ROWS_NAMED:,} more" if len(failed) > ROWS_NAMED else ""
    return f"{error} It fails on {'; '.join(named)}{more}."
