"""The inner loop with a fake model: order, rejects, batch invariance, bounded look-ahead, failures."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from scorer.arithmetic.batching import Batch, Encoded
from scorer.labels import resolve_labels
from scorer.pipeline.loop import score_shards
from scorer.pipeline.stages import ScoredWindow, Stages
from scorer.predictors.one_classifier import OneClassifier
from scorer.sources import Source, plan_source
from scorer.sources.columns.columns import Columns
from scorer.sources.formats.columnar import ParquetTable
from scorer.system.clock import Clock
from scorer.system.prefetch import prefetch
from scorer.tasks.single_label import SingleLabel

NAMES = ("even", "odd", "none")


class CodePoints:
    """A tokenizer of one token per character."""

    def encode(self, texts: list[str], pairs: list[str] | None = None) -> Encoded:
        offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
        ids = np.array([ord(character) for text in texts for character in text], dtype=np.int32)
        return Encoded(ids, offsets, np.zeros(len(texts), dtype=bool))


class SumOfIds:
    """A classifier whose logits depend on a row's own real tokens alone."""

    labels = NAMES

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batch: Batch) -> np.ndarray:
        self.shapes.append(batch.input_ids.shape)
        total = (batch.input_ids * batch.attention_mask).sum(axis=1)
        return np.stack([total % 7, total % 5, total % 3], axis=1).astype(np.float32)


def frame(rows: int) -> pl.DataFrame:
    random = np.random.default_rng(0)
    texts = ["x" * int(n) + str(i) for i, n in enumerate(random.integers(1, 60, rows))]
    return pl.DataFrame({"text": texts, "label": random.integers(0, 3, rows)})


def run(
    file: Path,
    *,
    window_rows: int = 64,
    shard_rows: int = 128,
    budget: int = 256,
    streams: int = 1,
    classifier: SumOfIds | None = None,
) -> list[ScoredWindow]:
    source = Source((ParquetTable(str(file)),), Columns("text", None, "label", None), None, "test")
    plan = plan_source(source, shard_rows=shard_rows, limit=None)
    stages = Stages(
        source=source,
        task=SingleLabel(resolve_labels(plan.label_counts, NAMES), NAMES),
        predictor=OneClassifier(
            encoder=CodePoints(),
            classifier=classifier or SumOfIds(),
            precision="fp32",
            make_fp32=None,
            length_multiple=1,
            max_batch_tokens=budget,
            pad_token_id=10**6,  # padding that leaks into the sums would be seen
            streams=streams,
        ),
        window_rows=window_rows,
        clock=Clock(),
        progress=lambda rows, tokens: None,
    )
    return list(score_shards(stages, plan.shards))


def losses(windows: list[ScoredWindow]) -> dict[int, float]:
    return {
        row: float(loss)
        for window in windows
        for row, loss in zip(window.records.column("row").to_pylist(), window.columns["loss"].to_pylist(), strict=True)
    }


def test_rows_come_out_in_input_order_with_their_own_loss(tmp_path: Path) -> None:
    data = frame(500)
    data.write_parquet(tmp_path / "data.parquet")
    found = losses(run(tmp_path / "data.parquet"))
    assert list(found) == list(range(500))
    for row, (text, label) in enumerate(data.iter_rows()):
        total = sum(map(ord, text))
        logits = np.array([total % 7, total % 5, total % 3], dtype=np.float64)
        assert found[row] == pytest.approx(np.log(np.exp(logits).sum()) - logits[label], abs=1e-5)


@pytest.mark.parametrize(("window_rows", "shard_rows", "budget"), [(1, 500, 80), (500, 500, 10_000), (7, 33, 100)])
def test_losses_do_not_depend_on_windows_shards_or_budget(
    tmp_path: Path, window_rows: int, shard_rows: int, budget: int
) -> None:
    frame(500).write_parquet(tmp_path / "data.parquet")
    expected = losses(run(tmp_path / "data.parquet"))
    changed = run(tmp_path / "data.parquet", window_rows=window_rows, shard_rows=shard_rows, budget=budget)
    assert losses(changed) == expected


def test_batches_side_by_side_give_the_same_in_the_same_order(tmp_path: Path) -> None:
    class Unsteady(SumOfIds):
        def __call__(self, batch: Batch) -> np.ndarray:
            time.sleep(0.001 * (len(self.shapes) % 3))
            return super().__call__(batch)

    frame(500).write_parquet(tmp_path / "data.parquet")
    expected = losses(run(tmp_path / "data.parquet"))
    assert losses(run(tmp_path / "data.parquet", streams=4, classifier=Unsteady())) == expected


def test_batches_stay_within_the_budget(tmp_path: Path) -> None:
    frame(500).write_parquet(tmp_path / "data.parquet")
    classifier = SumOfIds()
    run(tmp_path / "data.parquet", budget=128, classifier=classifier)
    assert max(rows * tokens for rows, tokens in classifier.shapes) <= 128


def test_a_text_is_computed_once_per_shard_and_its_loss_follows_each_given_label(tmp_path: Path) -> None:
    data = pl.concat([frame(100), frame(100).with_columns(label=2 - pl.col("label"))]).sample(200, shuffle=True, seed=1)
    data.write_parquet(tmp_path / "data.parquet")
    classifier = SumOfIds()
    found = losses(run(tmp_path / "data.parquet", window_rows=30, shard_rows=200, classifier=classifier))
    assert sum(rows for rows, _ in classifier.shapes) == data["text"].n_unique() <= 100
    classifier.shapes.clear()
    apart = losses(run(tmp_path / "data.parquet", window_rows=1, shard_rows=1, classifier=classifier))
    assert sum(rows for rows, _ in classifier.shapes) == 200  # nothing is carried from shard to shard
    assert found == apart


def test_with_very_many_classes_few_texts_are_remembered_and_the_losses_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pl.concat([frame(100)] * 3).write_parquet(tmp_path / "data.parquet")
    expected = run(tmp_path / "data.parquet", window_rows=20, shard_rows=300)
    monkeypatch.setattr("scorer.predictors.distinct.MOST_LOGITS", 50 * len(NAMES))
    forgetful = run(tmp_path / "data.parquet", window_rows=20, shard_rows=300)
    assert losses(forgetful) == losses(expected)
    computed = [sum(window.outputs.texts for window in windows) for windows in (expected, forgetful)]
    assert computed[0] <= 100
    assert computed[1] == 3 * computed[0]  # 70 texts at most are remembered, and each comes again after 100


def test_long_texts_that_differ_at_their_end_are_not_taken_for_one(tmp_path: Path) -> None:
    texts = ["x" * 2_000 + end for end in "aabc"]
    pl.DataFrame({"text": texts, "label": [0, 1, 0, 0]}).write_parquet(tmp_path / "data.parquet")
    (scored,) = run(tmp_path / "data.parquet", budget=2_001)
    assert scored.outputs.texts == 3


def test_bad_rows_are_rejected_with_the_first_reason_and_the_rest_is_scored(tmp_path: Path) -> None:
    data = pl.DataFrame(
        {
            "text": ["a", None, " \t\u00a0", "b", "c", "d", "", "e"],
            "label": [0, 0, 1, None, -100, 3, None, 2],
        }
    )
    data.write_parquet(tmp_path / "data.parquet")
    (scored,) = run(tmp_path / "data.parquet")
    assert scored.records.column("row").to_pylist() == [0, 7]
    rejects = scored.rejects
    assert dict(zip(rejects.column("row").to_pylist(), rejects.column("reason").to_pylist(), strict=True)) == {
        1: "text_missing",
        2: "text_blank",
        3: "label_missing",
        4: "label_missing",
        5: "label_unknown",
        6: "text_blank",
    }


def test_a_failure_of_the_model_reaches_the_caller(tmp_path: Path) -> None:
    class Broken(SumOfIds):
        def __call__(self, batch: Batch) -> np.ndarray:
            raise RuntimeError("out of order")

    frame(50).write_parquet(tmp_path / "data.parquet")
    with pytest.raises(RuntimeError, match="out of order"):
        run(tmp_path / "data.parquet", classifier=Broken())


def test_prefetch_keeps_order_and_raises_in_place() -> None:
    def numbers() -> Generator[int]:
        yield from range(5)
        raise KeyError("five")

    ahead = prefetch(numbers())
    assert [next(ahead) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="five"):
        next(ahead)


def test_prefetch_looks_ahead_no_further_than_asked() -> None:
    made = []

    def numbers() -> Generator[int]:
        for number in range(100):
            made.append(number)
            yield number

    ahead = prefetch(numbers(), depth=2)
    assert next(ahead) == 0
    time.sleep(0.3)
    assert len(made) <= 4  # the one taken, two waiting, one in hand
    ahead.close()


def test_closing_prefetch_ends_the_thread_and_the_generator() -> None:
    closed = threading.Event()

    def numbers() -> Generator[int]:
        with contextlib.ExitStack() as stack:
            stack.callback(closed.set)
            yield from range(100)

    ahead = prefetch(numbers())
    next(ahead)
    ahead.close()
    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "scorer-prefetch"]
