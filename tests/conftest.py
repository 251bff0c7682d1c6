"""What the tests share: the embedded model, a corpus that fits it, the command, and the real material."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from browser import find_chromium, open_chromium

from scorer.cli.commands.demo import demo_corpus, demo_model
from scorer.model.model_directory import open_model_directory

REPOSITORY = Path(__file__).parents[1]
SHARED = REPOSITORY.parent / "shared"

# Two test processes share two cores: one thread each for the libraries that would take all.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Skip what needs the real material where it is not there."""
    if SHARED.is_dir():
        return
    for item in items:
        if "shared" in item.keywords:
            item.add_marker(pytest.mark.skip(reason=f"needs the real data and models in {SHARED}"))


@pytest.fixture(scope="session")
def model() -> Path:
    """The embedded model directory: small, fast, and of the real kind."""
    return demo_model()


@pytest.fixture(scope="session")
def agnews_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real news classifier, exported once; it has not seen the rows of fold 1."""
    pytest.importorskip("torch", reason="needs an extra that exports")
    from scorer import ExportConfig, export_onnx

    out = tmp_path_factory.mktemp("agnews") / "model"
    export_onnx(ExportConfig(model=str(SHARED / "models" / "agnews-minilm-fold0"), output=out))
    return out


@pytest.fixture(scope="session")
def kept_graphs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have torch trace a model once for all tests of a session that export it: equal models have equal graphs.

    A module that repeats exports asks for it; a test that changes how graphs are traced must not.
    """
    from kept_graphs import keep_graphs

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "graphs"  # test processes share it
    with keep_graphs(folder):
        yield


@pytest.fixture(scope="session")
def label_names(model: Path) -> tuple[str, ...]:
    return open_model_directory(model).contract.label_names


@pytest.fixture(scope="session")
def corpus() -> pl.DataFrame:
    """The first 600 rows of the embedded corpus: id, text, label (names)."""
    return pl.read_parquet(demo_corpus()).head(600)


@pytest.fixture
def corpus_file(corpus: pl.DataFrame, tmp_path: Path) -> Path:
    file = tmp_path / "corpus.parquet"
    corpus.write_parquet(file)
    return file


@pytest.fixture(scope="session")
def scorer() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in a process of its own, as a person would."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "scorer", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, **options)

    return run


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A real browser."""
    pytest.importorskip("playwright", reason="needs the package playwright")
    if find_chromium() is None:
        pytest.skip("needs Chromium: bash scripts/ci-browser")
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def context(chromium: Any) -> Iterator[Any]:
    """A browser profile of its own: nothing stored, downloads allowed."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture(scope="session")
def argilla() -> Iterator[Any]:
    """A real Argilla server with two annotators, ada and bo."""
    from argilla_helpers import serving

    with serving() as server:
        yield server
