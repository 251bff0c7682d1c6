"""The probe for the fastest batches: what it tries, keeps and leaves alone. No time is asserted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from scorer import RunConfig, score
from scorer.model.model_directory import open_model_directory
from scorer.model.tuning import (
    HOST_BATCH_TOKENS,
    TUNING_FILE,
    Setting,
    choose_setting,
    default_setting,
    kept_setting,
    tune,
)
from scorer.system.machine import allowed_threads


@pytest.fixture
def own_model(model: Path, tmp_path: Path) -> Path:
    """A model directory that a test may write to."""
    return Path(shutil.copytree(model, tmp_path / "model", ignore=shutil.ignore_patterns(TUNING_FILE)))


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorer.model.tuning.HOST_TOKENS", 512)


@pytest.mark.usefixtures("brief")
def test_every_setting_is_tried_and_the_fastest_kept(own_model: Path) -> None:
    model = open_model_directory(own_model)
    said: list[str] = []
    tuning, device = tune(model, "cpu", 2, 64, said.append)
    tried = dict(tuning.tokens_per_s)
    assert device == "cpu"
    assert set(tried) == {Setting(2 // threads, threads, tokens) for threads in (1, 2) for tokens in HOST_BATCH_TOKENS}
    assert len(said) == len(tried)
    assert tuning.best in {default_setting("cpu", 2), max(tried, key=lambda setting: tried[setting])}
    assert kept_setting(model, "cpu", 2) == tuning.best
    assert kept_setting(model, "cpu", 3) is None
    assert kept_setting(model, "cuda", 2) is None
    assert open_model_directory(own_model) == model


@pytest.mark.parametrize(("rate", "replaces"), [(104.0, False), (106.0, True)])
def test_a_setting_replaces_the_default_only_where_it_is_clearly_faster(
    rate: float, replaces: bool, own_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Setting(2, 1, 2_048)
    monkeypatch.setattr("scorer.model.tuning._rate", lambda _model, setting, *_: rate if setting == other else 100.0)
    tuning, _ = tune(open_model_directory(own_model), "cpu", 2, 64, lambda _: None)
    assert tuning.best == (other if replaces else default_setting("cpu", 2))


@pytest.mark.usefixtures("brief")
def test_long_texts_do_not_make_the_batches_of_short_ones_larger(own_model: Path) -> None:
    tuning, _ = tune(open_model_directory(own_model), "cpu", 1, 600, lambda _: None)
    assert {setting.max_batch_tokens for setting, _ in tuning.tokens_per_s} == set(HOST_BATCH_TOKENS)


def test_a_run_takes_what_was_kept_unless_told_otherwise(own_model: Path, corpus_file: Path, tmp_path: Path) -> None:
    threads = allowed_threads()
    plain = score(RunConfig(model=own_model, data=(str(corpus_file),), output=tmp_path / "plain", provider="cpu"))
    assert plain.max_batch_tokens == default_setting("cpu", threads).max_batch_tokens
    keep(own_model, threads, Setting(1, threads, 2_048))
    tuned = score(RunConfig(model=own_model, data=(str(corpus_file),), output=tmp_path / "tuned", provider="cpu"))
    assert tuned.max_batch_tokens == 2_048
    asked = RunConfig(
        model=own_model, data=(str(corpus_file),), output=tmp_path / "asked", provider="cpu", max_batch_tokens=777
    )
    assert score(asked).max_batch_tokens == 777
    ranked = [pl.read_parquet(tmp_path / name / "ranked.parquet") for name in ("plain", "tuned", "asked")]
    for other in ranked[1:]:
        joined = ranked[0].join(other, on="row")
        assert (joined["loss"] - joined["loss_right"]).abs().max() < 1e-5


def keep(folder: Path, threads: int, setting: Setting) -> None:
    """Leave a probe's answer in a model directory."""
    from scorer.model.tuning import _keep

    _keep(open_model_directory(folder), "cpu", threads, setting, lambda _: None)


def test_a_run_that_goes_on_keeps_the_setting_it_began_with(own_model: Path, corpus_file: Path, tmp_path: Path) -> None:
    config = RunConfig(model=own_model, data=(str(corpus_file),), output=tmp_path / "out", provider="cpu")
    first = score(config)
    (tmp_path / "out" / "run.json").unlink()
    keep(own_model, allowed_threads(), Setting(1, 1, 4_096))
    assert score(config).max_batch_tokens == first.max_batch_tokens


def test_a_damaged_file_is_no_answer(own_model: Path) -> None:
    (own_model / TUNING_FILE).write_text('{"x": 1')
    assert kept_setting(open_model_directory(own_model), "cpu", 1) is None


@pytest.mark.usefixtures("brief")
def test_a_directory_that_cannot_be_written_is_said(own_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("scorer.model.tuning.replacing", refuse)
    said: list[str] = []
    tune(open_model_directory(own_model), "cpu", 1, 64, said.append)
    assert "Read-only file system" in said[-1]


def test_the_command_prints_the_fastest(scorer: Callable[..., object], own_model: Path) -> None:
    done = scorer("tune", own_model, "--threads", 1)
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    assert done.stdout.startswith("Kept for cpu: batches of ")  # type: ignore[attr-defined]
    assert (own_model / TUNING_FILE).exists()


def test_a_run_makes_no_probe(own_model: Path) -> None:
    setting = choose_setting(open_model_directory(own_model), "cpu", 2, max_batch_tokens=None)
    assert setting == default_setting("cpu", 2)
    assert not (own_model / TUNING_FILE).exists()
