"""Whole runs on the embedded model: results on disk, counts, invariance, formats of the output."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import RunConfig, score
from scorer.errors import UsageError
from scorer.listener import Silence
from scorer.ranking.rank import rank
from scorer.schema import read_metadata
from scorer.tasks.single_label import scores_schema

LOSS_TOLERANCE = 1e-5


@pytest.fixture
def config(model: Path, corpus_file: Path, tmp_path: Path) -> RunConfig:
    return RunConfig(model=model, data=(str(corpus_file),), output=tmp_path / "out", provider="cpu")


def scores_of(output: Path) -> pl.DataFrame:
    return pl.read_parquet(output / "scores" / "*.parquet")


def test_every_row_is_ranked_by_loss_ties_by_row(config: RunConfig, corpus: pl.DataFrame) -> None:
    report = score(config)
    ranked = pl.read_parquet(config.output / "ranked.parquet")
    assert report.counts.read == report.counts.scored == ranked.height == corpus.height
    assert ranked["rank"].to_list() == list(range(1, corpus.height + 1))
    assert sorted(ranked["row"].to_list()) == list(range(corpus.height))
    keys = list(zip((-ranked["loss"]).to_list(), ranked["row"].to_list(), strict=True))
    assert keys == sorted(keys)


def test_columns_and_types_are_those_promised(config: RunConfig, label_names: tuple[str, ...]) -> None:
    score(config)
    expected = scores_schema(classes=len(label_names), pairs=False, keep_text=True)
    (shard,) = (config.output / "scores").glob("*.parquet")
    assert pq.read_schema(shard).remove_metadata().equals(expected)
    ranked = pq.read_schema(config.output / "ranked.parquet")
    assert ranked.names == ["rank", *expected.names]
    assert ranked.field("rank").type == pa.int64()
    assert ranked.field("loss").type == pa.float32()
    probabilities = ranked.field("probabilities").type
    assert pa.types.is_fixed_size_list(probabilities)
    assert probabilities.list_size == len(label_names)


def test_values_belong_together(config: RunConfig, corpus: pl.DataFrame, label_names: tuple[str, ...]) -> None:
    score(config)
    scores = scores_of(config.output)
    assert scores["row"].to_list() == list(range(corpus.height))
    assert scores["id"].to_list() == corpus["id"].to_list()
    assert scores["text"].to_list() == corpus["text"].to_list()
    assert scores["label_name"].to_list() == corpus["label"].to_list()
    assert scores["label"].to_list() == [label_names.index(name) for name in corpus["label"]]
    probabilities = scores["probabilities"].to_numpy()
    given = np.take_along_axis(probabilities, scores["label"].to_numpy()[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(scores["self_confidence"].to_numpy(), given, rtol=1e-6)
    np.testing.assert_allclose(np.exp(-scores["loss"].to_numpy()), given, rtol=1e-4)
    assert (scores["predicted_label"].to_numpy() == probabilities.argmax(axis=1)).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_metadata_names_labels_model_versions_and_options(config: RunConfig, label_names: tuple[str, ...]) -> None:
    score(config)
    for file in (config.output / "ranked.parquet", next((config.output / "scores").glob("*"))):
        metadata = read_metadata(file)
        assert metadata["label_names"] == list(label_names)
        assert len(metadata["model"]["sha256"]) == 64
        assert metadata["options"]["max_batch_tokens"] is None
        assert {"onnxruntime", "numpy", "scorer"} <= set(metadata["versions"])


def test_run_json_accounts_for_every_row(config: RunConfig, corpus: pl.DataFrame, tmp_path: Path) -> None:
    bad = pl.DataFrame(
        {"id": ["x", "y", "z"], "text": [None, "  ", "fine"], "label": [corpus["label"][0]] * 2 + [None]}
    )
    pl.concat([corpus, bad]).write_parquet(tmp_path / "bad.parquet")
    score(dataclasses.replace(config, data=(str(tmp_path / "bad.parquet"),)))
    report = json.loads((config.output / "run.json").read_text())
    counts = report["counts"]
    assert counts["read"] == counts["scored"] + counts["rejected"] == corpus.height + 3
    assert counts["rejected_by_reason"] == {"text_missing": 1, "text_blank": 1, "label_missing": 1}
    rejects = pl.read_parquet(config.output / "rejects.parquet")
    assert rejects.select("row", "id", "reason").rows() == [
        (corpus.height, "x", "text_missing"),
        (corpus.height + 1, "y", "text_blank"),
        (corpus.height + 2, "z", "label_missing"),
    ]
    assert report["provider"] == "CPUExecutionProvider"
    assert 0 < report["padding_efficiency"] <= 1
    assert {"read", "tokenize", "collate", "infer", "rank"} <= set(report["seconds"])
    assert pl.read_parquet(config.output / "rejects" / "*.parquet").equals(rejects)


@pytest.mark.parametrize(
    "changes",
    [
        {"max_batch_tokens": 128},
        {"max_batch_tokens": 20_000, "window_rows": 600},
        {"window_rows": 1, "shard_rows": 50},
        {"threads": 1, "window_rows": 37, "shard_rows": 111},
    ],
    ids=["small budget", "one batch", "rows alone", "odd windows"],
)
def test_losses_do_not_depend_on_how_rows_are_batched(config: RunConfig, changes: dict, tmp_path: Path) -> None:
    score(config)
    score(dataclasses.replace(config, output=tmp_path / "other", **changes))
    expected, other = scores_of(config.output), scores_of(tmp_path / "other")
    np.testing.assert_allclose(other["loss"].to_numpy(), expected["loss"].to_numpy(), atol=LOSS_TOLERANCE, rtol=0)
    assert other.drop("loss", "probabilities", "self_confidence", "predicted_probability").equals(
        expected.drop("loss", "probabilities", "self_confidence", "predicted_probability")
    )


def test_the_number_of_threads_changes_no_bit(config: RunConfig, tmp_path: Path) -> None:
    score(dataclasses.replace(config, threads=1))
    score(dataclasses.replace(config, threads=3, output=tmp_path / "other"))
    assert scores_of(tmp_path / "other").equals(scores_of(config.output))


def test_losses_do_not_depend_on_the_order_of_rows(config: RunConfig, corpus: pl.DataFrame, tmp_path: Path) -> None:
    score(config)
    shuffled = corpus.sample(fraction=1, shuffle=True, seed=3)
    shuffled.write_parquet(tmp_path / "shuffled.parquet")
    score(dataclasses.replace(config, data=(str(tmp_path / "shuffled.parquet"),), output=tmp_path / "other"))
    both = scores_of(config.output).join(scores_of(tmp_path / "other"), on="id", suffix="_shuffled")
    assert both.height == corpus.height
    assert (both["loss"] - both["loss_shuffled"]).abs().max() <= LOSS_TOLERANCE


def test_several_files_count_their_rows_on(config: RunConfig, corpus: pl.DataFrame, tmp_path: Path) -> None:
    corpus.head(200).write_csv(tmp_path / "a.csv")
    corpus.slice(200, 1).write_ndjson(tmp_path / "b.jsonl")
    corpus.slice(201).write_parquet(tmp_path / "c.parquet")
    files = tuple(str(tmp_path / name) for name in ("a.csv", "b.jsonl", "c.parquet"))
    score(config)
    score(dataclasses.replace(config, data=files, output=tmp_path / "other"))
    one, many = (pl.read_parquet(path / "ranked.parquet") for path in (config.output, tmp_path / "other"))
    assert many.sort("row")["id"].to_list() == one.sort("row")["id"].to_list()
    assert (many.sort("row")["loss"] - one.sort("row")["loss"]).abs().max() <= LOSS_TOLERANCE
    assert many["source_file"].value_counts().height == 3


def test_the_same_file_twice_is_twice_the_rows(config: RunConfig, corpus: pl.DataFrame) -> None:
    report = score(dataclasses.replace(config, data=config.data * 2))
    assert report.counts.scored == 2 * corpus.height


def test_repeated_texts_cost_no_further_forward_pass(config: RunConfig, corpus: pl.DataFrame, tmp_path: Path) -> None:
    pl.concat([corpus, corpus.reverse()]).write_parquet(tmp_path / "twice.parquet")
    report = score(dataclasses.replace(config, data=(str(tmp_path / "twice.parquet"),)))
    assert report.counts.scored == 2 * corpus.height
    assert report.counts.distinct == corpus["text"].n_unique()
    scores = scores_of(config.output)
    assert report.counts.tokens <= 0.55 * scores["n_tokens"].sum()
    half = corpus.height
    assert (scores["loss"][:half] == scores["loss"][half:].reverse()).all()
    assert (scores["n_tokens"][:half] == scores["n_tokens"][half:].reverse()).all()


def test_limit_takes_the_first_rows(config: RunConfig, corpus: pl.DataFrame) -> None:
    assert score(dataclasses.replace(config, limit=77)).counts.read == 77
    assert scores_of(config.output)["id"].to_list() == corpus["id"].head(77).to_list()


def test_no_text_leaves_texts_out_everywhere(config: RunConfig) -> None:
    score(dataclasses.replace(config, keep_text=False))
    for file in config.output.rglob("*.parquet"):
        assert "text" not in pq.read_schema(file).names


@pytest.mark.parametrize("k", [1, 2, 50])
def test_the_highest_probabilities_alone_can_be_kept(k: int, config: RunConfig, tmp_path: Path) -> None:
    score(config)
    whole = scores_of(config.output)
    score(dataclasses.replace(config, output=tmp_path / "top", top_k_probabilities=k))
    top = scores_of(tmp_path / "top")
    assert top.drop("top_labels", "top_probabilities").equals(whole.drop("probabilities"))
    probabilities = whole["probabilities"].to_numpy()  # [N, C]
    kept = min(k, probabilities.shape[1])
    labels, values = top["top_labels"].to_numpy(), top["top_probabilities"].to_numpy()
    assert labels.shape == values.shape == (len(whole), kept)
    assert (values == -np.sort(-probabilities, axis=1)[:, :kept]).all()
    assert (np.take_along_axis(probabilities, labels, axis=1) == values).all()
    if k > 1:
        expected, found = (
            pl.read_parquet(rank(path, "normalized_margin")) for path in (config.output, tmp_path / "top")
        )
        assert (expected["normalized_margin"] - found["normalized_margin"]).abs().max() < 1e-6
    else:
        with pytest.raises(UsageError, match="--top-k-probabilities"):
            rank(tmp_path / "top", "normalized_margin")
    with pytest.raises(UsageError, match="ranking by entropy needs more than"):
        rank(tmp_path / "top", "entropy")


def test_max_length_cuts_and_flags(config: RunConfig) -> None:
    report = score(dataclasses.replace(config, max_length=8))
    scores = scores_of(config.output)
    assert scores["n_tokens"].max() == 8
    assert report.counts.truncated == scores["truncated"].sum() > 0
    assert scores.filter(pl.col("n_tokens") < 8)["truncated"].sum() == 0


def test_overwrite_replaces_only_results(config: RunConfig) -> None:
    score(config)
    for name in ("notes.txt", "report.html"):
        (config.output / name).write_text("mine")
    score(dataclasses.replace(config, overwrite=True, limit=10))
    assert pl.read_parquet(config.output / "ranked.parquet").height == 10
    assert (config.output / "notes.txt").read_text() == "mine"
    assert not (config.output / "report.html").exists()  # it showed the ranking that is gone


def test_a_page_of_no_ranking_is_left_alone(config: RunConfig) -> None:
    config.output.mkdir()
    (config.output / "report.html").write_text("mine")
    score(dataclasses.replace(config, overwrite=True))
    assert (config.output / "report.html").read_text() == "mine"


def test_two_runs_are_equal_in_every_value(config: RunConfig, tmp_path: Path) -> None:
    score(config)
    score(dataclasses.replace(config, output=tmp_path / "again"))
    first, again = (pl.read_parquet(path / "ranked.parquet") for path in (config.output, tmp_path / "again"))
    assert first.equals(again)


def test_misordered_labels_are_warned_of(
    config: RunConfig, corpus: pl.DataFrame, label_names: tuple[str, ...], tmp_path: Path
) -> None:
    shifted = [(label_names.index(name) + 1) % len(label_names) for name in corpus["label"]]
    corpus.with_columns(label=pl.Series(shifted)).write_parquet(tmp_path / "shifted.parquet")
    report = score(dataclasses.replace(config, data=(str(tmp_path / "shifted.parquet"),)))
    (warning,) = report.warnings
    assert "misordered" in warning
    assert f"{label_names[1]!r} -> {label_names[0]!r}" in warning


def test_a_failure_while_ranking_keeps_the_finished_shards(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorer.run.run.rank", broken)
    with pytest.raises(MemoryError):
        score(config)
    assert {file.name for file in config.output.rglob("*") if file.is_file()} == {
        "manifest.json",
        "shard-00000.parquet",
        "rejects.parquet",
    }


def test_a_failure_before_the_first_shard_is_done_leaves_nothing(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("scorer.tasks.single_label.score", broken)
    with pytest.raises(MemoryError):
        score(dataclasses.replace(config, output=tmp_path / "new" / "deep" / "out"))
    assert not (tmp_path / "new").exists()


def broken(*_: object, **__: object) -> None:
    raise MemoryError


def test_many_labels_outside_the_classes_are_warned_of_before_the_run(
    config: RunConfig, corpus: pl.DataFrame, label_names: tuple[str, ...], tmp_path: Path
) -> None:
    labels = [row % (2 * len(label_names)) for row in range(corpus.height)]
    corpus.with_columns(label=pl.Series(labels)).write_parquet(tmp_path / "more.parquet")
    listener = Hearing()
    report = score(dataclasses.replace(config, data=(str(tmp_path / "more.parquet"),)), listener)
    assert report.counts.rejected_by_reason == {"label_unknown": sum(label >= len(label_names) for label in labels)}
    assert f"outside the model's {len(label_names)} classes ('6', '7', '8', '9', '10', '11')" in listener.warnings[0]
    assert report.warnings == tuple(listener.warnings)


class Hearing(Silence):
    """Remembers warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, message: str) -> None:
        self.warnings.append(message)
