"""The main job on real news and real pairs, against PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import SHARED

pytest.importorskip("torch", reason="needs an extra that exports")

from torch_reference import torch_losses

from scorer import RunConfig, score
from scorer.review.answers.errors_left import errors_left

pytestmark = pytest.mark.shared

ROWS = 1_500
HEAD = 50
LOSS_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    return SHARED / "models" / "agnews-minilm-fold0"


@pytest.fixture(scope="module")
def model(agnews_model: Path) -> Path:
    return agnews_model


@pytest.fixture(scope="module")
def news() -> pl.DataFrame:
    return pl.read_parquet(SHARED / "data" / "ag_news" / "train.parquet").sample(ROWS, seed=0)


def test_losses_and_head_equal_pytorch(model: Path, checkpoint: Path, news: pl.DataFrame, tmp_path: Path) -> None:
    news.write_parquet(tmp_path / "news.parquet")
    report = score(RunConfig(model=model, data=(str(tmp_path / "news.parquet"),), output=tmp_path / "out"))
    assert report.counts.scored == ROWS
    assert report.warnings == ()
    expected = torch_losses(checkpoint, news["text"].to_list(), news["label"].to_list(), max_length=512)
    scores = pl.read_parquet(tmp_path / "out" / "scores" / "*.parquet")
    np.testing.assert_allclose(scores["loss"].to_numpy(), expected, atol=LOSS_TOLERANCE, rtol=0)
    head = pl.read_parquet(tmp_path / "out" / "ranked.parquet").head(HEAD)
    threshold = np.sort(expected)[-HEAD]
    assert (expected[head["row"].to_numpy()] >= threshold - LOSS_TOLERANCE).all()


def test_the_head_is_full_of_errors_that_people_found(model: Path, tmp_path: Path) -> None:
    """People gave 19.75% of these rows another label than AG News has; the head must be far denser in them."""
    people = pl.read_parquet(SHARED / "data" / "noisy_ag_news" / "human_majority.parquet").head(1_000)
    people.write_parquet(tmp_path / "people.parquet")
    score(
        RunConfig(
            model=model,
            data=(str(tmp_path / "people.parquet"),),
            output=tmp_path / "out",
            label_column="given_label_name",
        )
    )
    ranked = pl.read_parquet(tmp_path / "out" / "ranked.parquet")
    errors = people["is_label_error"].to_numpy()[ranked["row"].to_numpy()]
    assert errors[:100].mean() > 0.75
    assert errors[-500:].mean() < 0.05
    looked_at = np.arange(errors.size) < 200
    left = errors_left(ranked["loss"].cast(pl.Float64).to_numpy(), looked_at, errors)
    assert left is not None
    assert left.low <= errors[~looked_at].sum() <= left.high < 120


def test_label_names_in_another_order_are_aligned_by_name(model: Path, news: pl.DataFrame, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="needs the extra `hub`")
    names = ["sci/tech", "business", "sports", "world"]
    moved = [3, 2, 1, 0]
    few = news.head(200)
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
    data = datasets.Dataset.from_dict(
        {"text": few["text"].to_list(), "label": [moved[label] for label in few["label"]]}, features=features
    )
    data.save_to_disk(str(tmp_path / "saved"))
    data.to_parquet(str(tmp_path / "data.parquet"))
    few.write_parquet(tmp_path / "plain.parquet")
    losses = {}
    for name in ("saved", "data.parquet", "plain.parquet"):
        score(RunConfig(model=model, data=(str(tmp_path / name),), output=tmp_path / f"out-{name}"))
        scores = pl.read_parquet(tmp_path / f"out-{name}" / "scores" / "*.parquet")
        assert scores["label"].to_list() == few["label"].to_list()
        losses[name] = scores["loss"].to_numpy()
    assert (losses["saved"] == losses["plain.parquet"]).all()
    assert (losses["data.parquet"] == losses["plain.parquet"]).all()
