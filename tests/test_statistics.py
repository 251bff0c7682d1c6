"""Figures and pictures of a ranking: right by another way of counting, whole, and fit to stand in the page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

from scorer import RunConfig, score
from scorer.cli.commands.demo import demo_corpus, demo_model
from scorer.review.page.inline_svg import inline_svg
from scorer.review.page.page import COLOURS
from scorer.review.pictures.pictures import draw_svg, write_plots
from scorer.review.pictures.statistics import CURVE_HEADS, LOSS_BINS, RankingFigures, ranking_figures

TOP = 60


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "out"
    score(RunConfig(model=demo_model(), data=(str(demo_corpus()),), output=out, limit=1_500))
    return out


@pytest.fixture(scope="module")
def ranked(run: Path) -> pl.DataFrame:
    return pl.read_parquet(run / "ranked.parquet")


@pytest.fixture(scope="module")
def figures(run: Path) -> RankingFigures:
    return ranking_figures(run, TOP)


def test_figures_equal_a_plain_count(figures: RankingFigures, ranked: pl.DataFrame) -> None:
    loss = ranked["loss"].to_numpy()
    label, predicted = ranked["label"].to_numpy(), ranked["predicted_label"].to_numpy()
    error = 1 - np.exp(-loss.astype(np.float64))
    assert (figures.rows, figures.head_rows) == (1_500, TOP)
    assert figures.loss_counts.sum() == 1_500
    assert figures.loss_counts_head.sum() == TOP
    counts, _ = np.histogram(loss, figures.loss_edges)
    assert np.abs(figures.loss_counts - counts).sum() <= 2  # a float32 may stand on an edge
    confusion = np.zeros_like(figures.confusion)
    np.add.at(confusion, (label[:TOP], predicted[:TOP]), 1)
    assert (figures.confusion == confusion).all()
    assert figures.expected_head == pytest.approx(error[:TOP].sum(), rel=1e-4)
    assert figures.expected_all == pytest.approx(error.sum(), rel=1e-4)
    assert figures.curve_ranks[-1] == CURVE_HEADS * TOP
    expected = np.concatenate(([0], np.cumsum(error)))[figures.curve_ranks]
    np.testing.assert_allclose(figures.curve_errors, expected, rtol=1e-3)
    for one in figures.classes:
        mine = label == one.label
        assert one.rows == mine.sum()
        assert one.head_rows == mine[:TOP].sum()
        assert one.expected_errors == pytest.approx(error[mine].sum(), abs=2e-3)
        assert one.mean_loss == pytest.approx(loss[mine].mean(), rel=1e-3)


def test_a_head_longer_than_the_ranking_is_the_ranking(run: Path) -> None:
    figures = ranking_figures(run, 10_000)
    assert figures.head_rows == figures.rows == 1_500
    assert (figures.loss_counts == figures.loss_counts_head).all()
    assert figures.expected_head == figures.expected_all
    assert figures.curve_ranks[-1] == 1_500


def test_every_picture_is_written_in_both_formats(figures: RankingFigures, tmp_path: Path) -> None:
    files = [*write_plots(figures, tmp_path / "a" / "b"), *write_plots(figures, tmp_path / "svg", "svg")]
    assert [file.stem for file in files] == ["losses", "expected", "confusion", "classes"] * 2
    for file in files[:4]:
        assert file.read_bytes().startswith(b"\x89PNG")
    for file in files[4:]:
        assert ElementTree.parse(file).getroot().tag.endswith("svg")
    shown = (tmp_path / "svg" / "classes.svg").read_text(encoding="utf-8")
    assert all(name in shown for name in figures.label_names)


def many_classes(names: list[str]) -> RankingFigures:
    """Figures of a ranking with these classes, each mistaken for the next one."""
    from scorer.review.pictures.statistics import ClassFigures

    classes = len(names)
    confusion = np.diag(np.arange(classes - 1) + 1, 1).astype(np.int64)
    return RankingFigures(
        rows=classes * 10,
        head_rows=classes,
        label_names=tuple(names),
        loss_edges=np.linspace(0, 5, LOSS_BINS + 1),
        loss_counts=np.ones(LOSS_BINS, np.int64),
        loss_counts_head=np.zeros(LOSS_BINS, np.int64),
        confusion=confusion,
        curve_ranks=np.array([0, 5, 10]),
        curve_errors=np.array([0.0, 4.0, 6.0]),
        expected_head=5.0,
        expected_all=8.0,
        classes=tuple(ClassFigures(label, 10, 1, 0.5, 0.1, None, 0) for label in range(classes)),
    )


def test_pictures_in_the_page_hold_no_style_no_script_and_no_clashing_id(figures: RankingFigures) -> None:
    hostile = ["<script>alert(1)</script>", "$\\frac{1}{2}$ $x", "\u202eabc\x1b", "股票", 'a"b&c', "]]>--><!--"]
    hidden = re.compile(r"style|script|metadata|xlink|<\?xml|<!", re.IGNORECASE)
    ids: list[str] = []
    for drawn in (draw_svg(figures), draw_svg(many_classes(hostile)), draw_svg(many_classes([*hostile] * 10))):
        inlined = [inline_svg(document, name, COLOURS) for name, document in drawn.items()]
        for element in inlined:
            root = ElementTree.fromstring(element)
            tags = {part.tag for part in root.iter()}
            assert tags <= {"svg", "g", "defs", "clipPath", "path", "rect", "text", "tspan", "use"}
            assert not [key for part in root.iter() for key in part.attrib if hidden.search(key) or key[:2] == "on"]
            assert not hidden.search(re.sub(r">[^<]*</text>", "></text>", element))
            referenced = set(re.findall(r"[\"(]#([^\")]+)", element))
            own = [part.get("id") for part in root.iter() if part.get("id")]
            assert referenced <= set(own)
        ids = [found for element in inlined for found in re.findall(r' id="([^"]+)"', element)]
        assert len(ids) == len(set(ids))
        colours = set(re.findall(r"#[0-9a-f]{6}\b", " ".join(inlined)))
        assert colours == set()
    shown = " ".join(inlined)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "$\\frac{1}{2}$ $x" in shown
    assert "\u202e" not in shown
    assert "\x1b" not in shown


WITHOUT_MATPLOTLIB = (
    "import sys; sys.modules['matplotlib'] = None; sys.argv = sys.argv[1:]; from scorer.cli.main import main; main()"
)


def test_without_matplotlib_the_page_has_no_pictures_and_says_so(run: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        WITHOUT_MATPLOTLIB,
        "scorer",
        "report",
        str(run),
        "-o",
        str(tmp_path / "page.html"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "scorer-onnx[report]" in done.stderr
    assert "<svg" not in re.sub(r"data:image/svg[^\"]*", "", (tmp_path / "page.html").read_text(encoding="utf-8"))
    done = subprocess.run([*command, "--plots", str(tmp_path / "p")], capture_output=True, text=True, check=False)
    assert done.returncode == 10
    assert "pip install 'scorer-onnx[report]'" in done.stderr
    assert not (tmp_path / "p").exists()


def test_the_report_says_where_its_files_are(run: Path, scorer: Any, tmp_path: Path) -> None:
    done = scorer("report", run, "--top", 25, "--plots", tmp_path / "pictures", "--plot-format", "svg")
    assert done.returncode == 0, done.stderr
    assert f"Page with 25 of 1,500 rows: {run / 'report.html'}" in done.stdout
    assert (run / "report.html").stat().st_size > 50_000
    assert sorted(file.name for file in (tmp_path / "pictures").iterdir()) == [
        "classes.svg",
        "confusion.svg",
        "expected.svg",
        "losses.svg",
    ]
