"""The seams hold: a predictor, a task and an engine of other kinds, through the real loop and into real files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from scorer.arithmetic.agreement import Agreement, measure_agreement
from scorer.arithmetic.scoring import DoubleArray, FloatArray
from scorer.labels import resolve_labels
from scorer.listener import Listener, Silence
from scorer.pipeline.loop import score_shards
from scorer.pipeline.stages import Stages
from scorer.predictors.predictor import Advance, Outputs, Prediction, Predictor
from scorer.ranking.rank import rank
from scorer.results.run_directory import RunDirectory
from scorer.results.shard_writer import ShardWriter, Written
from scorer.run.engines.engine import Engine, Work
from scorer.run.engines.local import ThisProcess
from scorer.sources import LeftOut, Shard, Source, plan_source
from scorer.sources.columns.columns import Columns
from scorer.sources.formats.columnar import ParquetTable
from scorer.system.clock import Clock
from scorer.tasks.single_label import SingleLabel
from scorer.tasks.task import Given, Task

NAMES = ("no", "yes")
ROWS = 250


class GivenProbabilities:
    """A predictor of what the data bring: each text is its probabilities, as JSON."""

    precision = "given"
    in_fp32 = None

    def shard(self, clock: Clock) -> Callable[[pa.RecordBatch], Prediction]:
        def ready(records: pa.RecordBatch) -> Prediction:
            found = np.array([json.loads(text) for text in records.column("text").to_pylist()]).reshape(-1, len(NAMES))
            return lambda _advance: outputs_of(np.log(found).astype(np.float32), self.precision)

        return ready

    def close(self) -> None:
        pass


class TextLength:
    """A predictor of one number: how many characters a text has."""

    precision = "fp32"
    in_fp32 = None

    def shard(self, clock: Clock) -> Callable[[pa.RecordBatch], Prediction]:
        def ready(records: pa.RecordBatch) -> Prediction:
            lengths = pc.utf8_length(records.column("text")).to_numpy().astype(np.float32)

            def predict(advance: Advance) -> Outputs:
                advance(len(lengths), len(lengths))
                return outputs_of(lengths[:, None], self.precision)

            return predict

        return ready

    def close(self) -> None:
        pass


def outputs_of(logits: FloatArray, precision: str) -> Outputs:
    rows = len(logits)
    ones, named = np.ones(rows, np.int32), pa.array([precision] * rows, pa.string())
    return Outputs(logits, ones, np.zeros(rows, np.bool_), named, texts=rows, tokens=rows, padded_tokens=rows)


class Number:
    """A task of another kind: the label is a number, and its loss how far the prediction is from it."""

    fields = (pa.field("label", pa.float64()), pa.field("loss", pa.float32()))
    description = "numbers"

    def read(self, labels: pa.Array) -> tuple[Given, pa.Array]:
        numeric = pc.match_substring_regex(labels, r"^-?\d+(\.\d+)?$")
        given = pc.cast(pc.if_else(numeric, labels, "nan"), pa.float64()).to_numpy(zero_copy_only=False)
        return given, pc.if_else(pc.fill_null(numeric, fill_value=False), pa.scalar(None, pa.string()), "label_unknown")

    def score(self, logits: FloatArray, given: Given) -> Mapping[str, pa.Array]:
        return {"label": pa.array(given), "loss": pa.array(np.abs(logits[:, 0] - given).astype(np.float32))}

    def coordinate(self, losses: npt.NDArray[np.floating]) -> DoubleArray:
        return losses.astype(np.float64)

    def loss_at(self, coordinate: float) -> float:
        return coordinate

    def confusion(self, columns: Mapping[str, pa.Array], rows: npt.NDArray[np.bool_]) -> Counter[tuple[int, int]]:
        return Counter()

    def agreement(self, confusion: Mapping[tuple[int, int], int]) -> Agreement:
        return measure_agreement(np.zeros((1, 1), np.int64))


class LastShardFirst:
    """An engine that takes the shards in reverse."""

    def score(self, work: Work, shards: Sequence[Shard], listener: Listener) -> Generator[Written | LeftOut]:
        engine = ThisProcess(work.make_predictor(0, 1), Clock())
        yield from engine.score(work, reversed(shards), listener)


def run(file: Path, output: Path, task: Callable[[Source], Task], predictor: Predictor, engine: Engine) -> list[int]:
    """Score and rank a file; returns the shards in the order in which they were done."""
    source = Source((ParquetTable(str(file)),), Columns("text", None, "label", None), None, "test")
    plan = plan_source(source, shard_rows=64, limit=None)
    directory = RunDirectory(output)
    for made in (directory.path, directory.scores, directory.rejects):
        made.mkdir()
    settled = task(source)
    writer = ShardWriter(directory, settled, pairs=False, keep_text=True, metadata={"label_names": NAMES}, first_ends=0)
    work = Work(source, settled, lambda _number, _threads: predictor, writer, window_rows=32, skip_bad_files=False)
    told = list(engine.score(work, plan.shards, Silence()))
    rank(directory.path)
    return [each.shard.index for each in told if isinstance(each, Written) and each.ends_shard]


def single_label(source: Source) -> Task:
    counts = plan_source(source, shard_rows=64, limit=None).label_counts
    return SingleLabel(resolve_labels(counts, NAMES), NAMES)


@pytest.fixture
def probabilities(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    yes = random.uniform(0.01, 0.99, ROWS)
    texts = [json.dumps([1 - float(p), float(p)]) for p in yes]
    pl.DataFrame({"text": texts, "label": random.choice(NAMES, ROWS)}).write_parquet(tmp_path / "data.parquet")
    return tmp_path / "data.parquet"


def test_a_predictor_may_be_what_the_data_bring(probabilities: Path, tmp_path: Path) -> None:
    predictor = GivenProbabilities()
    run(probabilities, tmp_path / "out", single_label, predictor, ThisProcess(predictor, Clock()))
    ranked = pl.read_parquet(tmp_path / "out" / "ranked.parquet")
    expected = [
        -np.log(json.loads(text)[NAMES.index(name)]) for text, name in ranked.select("text", "label_name").rows()
    ]
    assert ranked["loss"].to_list() == pytest.approx(expected, abs=1e-6)
    assert ranked["loss"].is_sorted(descending=True)
    assert set(ranked["precision"]) == {"given"}
    assert ranked.height == ROWS


def test_a_task_may_know_no_classes(tmp_path: Path) -> None:
    texts = ["x" * (1 + index % 40) for index in range(ROWS)]
    labels = [str(1 + (index % 40) + (7.5 if index == 33 else 0)) if index % 50 else "many" for index in range(ROWS)]
    pl.DataFrame({"text": texts, "label": labels}).write_parquet(tmp_path / "data.parquet")
    predictor = TextLength()
    run(tmp_path / "data.parquet", tmp_path / "out", lambda _: Number(), predictor, ThisProcess(predictor, Clock()))
    ranked = pl.read_parquet(tmp_path / "out" / "ranked.parquet")
    assert ranked.height == ROWS - 5
    assert ranked.row(0, named=True)["row"] == 33
    assert ranked["loss"].to_list() == [7.5] + [0.0] * (ROWS - 6)
    assert "probabilities" not in ranked.columns


def test_an_engine_may_take_shards_in_any_order(probabilities: Path, tmp_path: Path) -> None:
    predictor = GivenProbabilities()
    forward = run(probabilities, tmp_path / "one", single_label, predictor, ThisProcess(predictor, Clock()))
    backward = run(probabilities, tmp_path / "two", single_label, predictor, LastShardFirst())
    assert forward == backward[::-1] == [0, 1, 2, 3]
    for file in ("ranked.parquet", *(f"scores/shard-{index:05d}.parquet" for index in forward)):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_rows_are_told_in_proportion_to_the_work_done(tmp_path: Path) -> None:
    class InParts(TextLength):
        def shard(self, clock: Clock) -> Callable[[pa.RecordBatch], Prediction]:
            ready = super().shard(clock)

            def in_parts(records: pa.RecordBatch) -> Prediction:
                def predict(advance: Advance) -> Outputs:
                    for _ in range(3):
                        advance(2, 8)  # and a quarter that it does not tell of
                    return ready(records)(lambda _tokens, _all_tokens: None)

                return predict

            return in_parts

    texts = ["x"] * 64
    pl.DataFrame({"text": texts, "label": ["1"] * 64}).write_parquet(tmp_path / "data.parquet")
    source = Source((ParquetTable(str(tmp_path / "data.parquet")),), Columns("text", None, "label", None), None, "test")
    told: list[tuple[int, int]] = []
    stages = Stages(source, Number(), InParts(), 32, Clock(), lambda rows, tokens: told.append((rows, tokens)))
    windows = list(score_shards(stages, plan_source(source, shard_rows=64, limit=None).shards))
    assert [window.records.num_rows for window in windows] == [32, 32]
    assert told == [(8, 2), (8, 2), (8, 2), (8, 0)] * 2
