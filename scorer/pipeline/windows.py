"""Rows to windows: everything before inference.

read → accept or reject → tokenize → bucket → collate
"""

from __future__ import annotations

from collections.abc import Generator, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorer.arithmetic.batching import Encoded, IntArray, batches
from scorer.arithmetic.scoring import LabelArray
from scorer.labels import MISSING, UNKNOWN
from scorer.pipeline.distinct import DistinctTexts, digests, most_texts
from scorer.pipeline.stages import Stages, TextEncoderLike, Window
from scorer.sources import Shard, read_shards


def prepare_windows(stages: Stages, shards: Iterable[Shard], only: IntArray | None) -> Generator[Window]:
    """Windows of shards, in input order.

    Args:
        stages: the parts of the loop.
        shards: what to read.
        only: int64, sorted; where it is given, no other rows than these are looked at.
    """
    records = read_shards(stages.source, shards, stages.window_rows)
    most = most_texts(len(stages.classifier.labels))
    seen, done = _SeenTexts(stages.encoder), 0
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
        forgets = ends_shard or len(seen) >= most
        yield _prepare_window(stages, shard, seen, batch, ends_shard=ends_shard, forgets=forgets)
        if forgets:
            seen = _SeenTexts(stages.encoder)
        if ends_shard:
            done = 0


class _SeenTexts:
    """The distinct texts as they come: each is tokenized once.

    Args:
        encoder: tokenizes.

    Attributes:
        lengths: int32 [D], tokens of the distinct texts so far.
        truncated: bool [D], which of them were cut.
    """

    def __init__(self, encoder: TextEncoderLike) -> None:
        self._encoder = encoder
        self._distinct = DistinctTexts()
        self.lengths = np.empty(0, np.int32)
        self.truncated = np.empty(0, np.bool_)

    def __len__(self) -> int:
        """Distinct texts so far."""
        return len(self._distinct)

    def add(self, texts: list[str], pairs: list[str] | None) -> tuple[IntArray, Encoded]:
        """Numbers of a window's texts, int64 [W], and the token ids of those that are new."""
        numbers, new = self._distinct.add(digests(texts, pairs))
        encoded = self._encoder.encode([texts[i] for i in new], None if pairs is None else [pairs[i] for i in new])
        self.lengths = np.concatenate([self.lengths, encoded.lengths.astype(np.int32)])
        self.truncated = np.concatenate([self.truncated, encoded.truncated])
        return numbers, encoded


def _prepare_window(
    stages: Stages, shard: Shard, seen: _SeenTexts, batch: pa.RecordBatch, *, ends_shard: bool, forgets: bool
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
        read = seen.lengths[numbers] > 0  # of others, the tokenizer leaves nothing
        if not read.all():
            nothing = records.filter(pa.array(~read))
            nothing = nothing.append_column("reason", pa.array(["text_blank"] * nothing.num_rows))
            rejects = pa.concat_batches([rejects, nothing]).sort_by("row")
            records, labels, numbers = records.filter(pa.array(read)), labels[read], numbers[read]
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
        batch.column("text_invalid"),
        blank,
        pa.array(labels == MISSING),
        pa.array(labels == UNKNOWN),
    )
    return pc.case_when(conditions, "text_missing", "text_invalid", "text_blank", "label_missing", "label_unknown")
