"""Rows to windows: everything before inference.

read → accept or reject → make ready (for texts: tokenize → bucket → collate)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorer.arithmetic.batching import IntArray
from scorer.pipeline.stages import Stages, Window
from scorer.predictors.predictor import Prediction
from scorer.sources import Shard, read_shards


def prepare_windows(stages: Stages, shards: Iterable[Shard], only: IntArray | None) -> Generator[Window]:
    """Windows of shards, in input order.

    Args:
        stages: the parts of the loop.
        shards: what to read.
        only: int64, sorted; where it is given, no other rows than these are looked at.
    """
    records = read_shards(stages.source, shards, stages.window_rows)
    ready, done = stages.predictor.shard(stages.clock), 0
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
        yield _prepare_window(stages, shard, batch, ready, ends_shard=ends_shard)
        if ends_shard:
            ready, done = stages.predictor.shard(stages.clock), 0


def _prepare_window(
    stages: Stages,
    shard: Shard,
    batch: pa.RecordBatch,
    ready: Callable[[pa.RecordBatch], Prediction],
    *,
    ends_shard: bool,
) -> Window:
    with stages.clock.stage("accept"):
        given, label_reasons = stages.task.read(batch.column("label"))
        reasons = reject_reasons(batch, label_reasons)
        accepted = pc.is_null(reasons)
        records = batch.filter(accepted)
        refused = pc.invert(accepted)
        rejects = batch.filter(refused).append_column("reason", reasons.filter(refused))
        given = given[accepted.to_numpy(zero_copy_only=False)]
    return Window(shard, ends_shard, records, given, rejects, ready(records))


def reject_reasons(batch: pa.RecordBatch, label_reasons: pa.Array) -> pa.Array:
    """Why rows cannot be scored.

    Args:
        batch: rows in the source schema [W].
        label_reasons: string [W], why labels cannot be scored, null where they can.

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
    conditions = pc.make_struct(missing, batch.column("text_invalid"), blank)
    return pc.coalesce(pc.case_when(conditions, "text_missing", "text_invalid", "text_blank"), label_reasons)
