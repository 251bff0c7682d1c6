"""The main job on an embedded default: a small classifier and a labelled corpus that come with the package.

The corpus is made by this project (scripts/make_demo.py), with labels flipped on purpose in 3 of 100 rows. The
run knows nothing of them; afterwards the ranking is compared with the list of flipped rows.
"""

from __future__ import annotations

import dataclasses
from importlib.resources import files
from pathlib import Path

import polars as pl

from scorer.config import RunConfig
from scorer.listener import Listener
from scorer.results.run_report import RunReport
from scorer.schema import RANKED_FILE

ASSETS = "demo_assets"


@dataclasses.dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo found.

    Attributes:
        report: the run.
        planted: number of labels that were flipped on purpose.
        found: how many of them stand among the first `planted` rows of the ranking.
    """

    report: RunReport
    planted: int
    found: int


def demo_model() -> Path:
    """Model directory of the embedded classifier."""
    return _asset("model")


def demo_corpus() -> Path:
    """The embedded corpus: id, text, label."""
    return _asset("corpus.parquet")


def demo_planted() -> Path:
    """The rows of the corpus whose labels were flipped: id, given_label, true_label."""
    return _asset("planted.parquet")


def run_demo(output: Path, listener: Listener) -> DemoResult:
    """Score the embedded corpus into `output` and look the planted errors up in the ranking.

    Raises:
        ScorerError: as `scorer.score` does.
    """
    from scorer.run.run import score

    report = score(
        RunConfig(model=demo_model(), data=(str(demo_corpus()),), output=output, overwrite=True, provider="cpu"),
        listener,
    )
    planted = pl.read_parquet(demo_planted(), columns=["id"], glob=False)
    head = pl.scan_parquet((output / RANKED_FILE).absolute(), glob=False).select("id").head(len(planted)).collect()
    return DemoResult(report, len(planted), len(head.join(planted, on="id", how="semi")))


def _asset(name: str) -> Path:
    return Path(str(files("scorer") / ASSETS / name))
