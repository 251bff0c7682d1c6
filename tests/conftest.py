"""What the tests share: the embedded model, a corpus that fits it, the command, and the real material."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from scorer.demo import demo_corpus, demo_model
from scorer.model_directory import open_model_directory

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


# What a browser without a screen, a user, and a network needs to hear.
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A real browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=executable, args=list(CHROMIUM_OPTIONS))
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Any) -> Iterator[Any]:
    """A browser profile of its own: nothing stored, downloads allowed."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    context.set_default_timeout(10_000)
    yield context
    context.close()
