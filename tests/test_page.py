"""Reviewing in the browser: a real page of a real run, worked through as a person would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import SHARED
from reviewing import Reviewer

from scorer import RunConfig, score
from scorer.demo import demo_corpus, demo_model
from scorer.review.corrections import read_corrections, text_hash
from scorer.review.examples import read_examples
from scorer.review.page import render_page, write_page


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the first thousand rows of the embedded corpus."""
    out = tmp_path_factory.mktemp("run") / "out"
    score(RunConfig(model=demo_model(), data=(str(demo_corpus()),), output=out, limit=1_000))
    return out


@pytest.fixture(scope="module")
def ranked(run: Path) -> pl.DataFrame:
    return pl.read_parquet(run / "ranked.parquet")


@pytest.fixture
def reviewer(run: Path, context: Any, tmp_path: Path) -> Reviewer:
    examples = read_examples(run, 200)
    write_page(tmp_path / "page.html", render_page(examples, title="demo"))
    return Reviewer(context, tmp_path / "page.html")


@pytest.mark.shared
def test_twenty_rows_of_a_real_run_by_keyboard_with_a_reload_and_a_download(
    context: Any, scorer: Any, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="needs the extra `export`")
    from scorer import ExportConfig, export_onnx

    news = pl.read_parquet(SHARED / "data" / "ag_news" / "train.parquet").filter(pl.col("fold") == 1).head(2_000)
    news.write_parquet(tmp_path / "news.parquet")
    export_onnx(ExportConfig(model=str(SHARED / "models" / "agnews-minilm-fold0"), output=tmp_path / "model"))
    data, run = str(tmp_path / "news.parquet"), tmp_path / "run"
    score(RunConfig(model=tmp_path / "model", data=(data,), output=run, max_length=128))
    assert scorer("report", run, "-o", tmp_path / "page.html").returncode == 0
    ranked = pl.read_parquet(run / "ranked.parquet").head(500)

    reviewer = Reviewer(context, tmp_path / "page.html")
    reviewer.filter("given", "Business")
    business = ranked.filter(pl.col("label_name") == "Business")
    assert reviewer.matches == len(business)
    expected: list[tuple[str, str, str | None]] = []
    keys = ["p", "g", "p", "1", "u", "p", "d", "p", "4", "p"]
    for number, row in enumerate(business.head(20).iter_rows(named=True)):
        assert reviewer.rank == row["rank"]
        key = keys[number % len(keys)]
        reviewer.press(key)
        label = {"p": row["predicted_label_name"], "1": "World", "4": "Sci/Tech"}.get(key, "Business")
        verdict = {"u": "unsure", "d": "drop"}.get(key) or ("keep" if label == "Business" else "relabel")
        expected.append((row["id"], verdict, label if verdict == "relabel" else None))
        if number == 11:
            reviewer.reload()
            assert reviewer.answered == 12
            reviewer.filter("given", "Business")
            reviewer.press("n")
    assert reviewer.answered == 20
    header, *lines = reviewer.download(tmp_path / "corrections.jsonl")
    assert header["label_names"] == ["World", "Sports", "Business", "Sci/Tech"]
    assert [(line["id"], line["verdict"], line["corrected_label"]) for line in lines] == expected
    assert reviewer.complaints == []
    assert {address.split(":")[0] for address in reviewer.requests} <= {"file", "data", "blob"}


def test_the_download_is_a_corrections_file_as_the_package_reads_it(
    reviewer: Reviewer, ranked: pl.DataFrame, label_names: tuple[str, ...], tmp_path: Path
) -> None:
    reviewer.page.fill("#reviewer", "Ann")
    reviewer.page.keyboard.press("Tab")
    reviewer.page.locator("body").click(position={"x": 5, "y": 5})
    reviewer.press("p", "g", "u", "d")
    reviewer.download(tmp_path / "corrections.jsonl")
    corrections = read_corrections([tmp_path / "corrections.jsonl"])
    assert corrections.label_names == label_names
    assert [answer.verdict for answer in corrections.answers] == ["relabel", "keep", "unsure", "drop"]
    for answer, row in zip(corrections.answers, ranked.head(4).iter_rows(named=True), strict=True):
        assert (answer.id, answer.row, answer.rank) == (row["id"], row["row"], row["rank"])
        assert answer.text_hash == text_hash(row["text"])
        assert answer.given_label == row["label_name"]
        assert (answer.annotator, answer.source) == ("Ann", "report")
        assert answer.moment is not None
    assert corrections.answers[0].corrected_label == ranked["predicted_label_name"][0]
