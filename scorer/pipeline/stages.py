"""What the inner loop is made of, and what passes through it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import pyarrow as pa

from scorer.predictors.predictor import Outputs, Prediction, Predictor
from scorer.sources import Shard, Source
from scorer.system.clock import Clock
from scorer.tasks.task import Given, Task


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """Rows of a shard, ready for the model.

    Attributes:
        shard: the shard they belong to.
        ends_shard: whether they are its last.
        records: accepted rows in the source schema [W].
        given: label of each accepted row, as the task reads it [W].
        rejects: rejected rows in the source schema, with a column `reason`.
        predict: computes what the model says of the accepted rows.
    """

    shard: Shard
    ends_shard: bool
    records: pa.RecordBatch
    given: Given
    rejects: pa.RecordBatch
    predict: Prediction


@dataclasses.dataclass(frozen=True, slots=True)
class ScoredWindow:
    """A window with its scores, in the order of its rows.

    Attributes:
        shard: the shard that its rows belong to.
        ends_shard: whether they are its last.
        records: scored rows in the source schema [W].
        columns: the task's columns of the scored rows [W], by name.
        outputs: what the model says of the scored rows.
        rejects: rejected rows in the source schema, with a column `reason`.
    """

    shard: Shard
    ends_shard: bool
    records: pa.RecordBatch
    columns: Mapping[str, pa.Array]
    outputs: Outputs
    rejects: pa.RecordBatch


@dataclasses.dataclass(frozen=True, slots=True)
class Stages:
    """The parts that the loop is made of, ready to work.

    Attributes:
        source: where rows come from.
        task: how their labels are read, and what a row's loss is.
        predictor: what the model says of them.
        window_rows: rows that pass through together.
        clock: receives the seconds spent per stage.
        progress: called after every part of a window's work with rows and real tokens done since the last call. A
            window's rows count in proportion to the tokens done, so that progress is even though long rows come first.
    """

    source: Source
    task: Task
    predictor: Predictor
    window_rows: int
    clock: Clock
    progress: Callable[[int, int], None]
