"""scorer finds wrong labels in text data sets by a model's loss.

    from scorer import RunConfig, score

    report = score(RunConfig(model=Path("model"), data=("train.parquet",), output=Path("scores")))

Importing the package imports none of what it works with; names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scorer.config import RunConfig
    from scorer.errors import ScorerError
    from scorer.export.export import ExportConfig, export_onnx
    from scorer.listener import Listener
    from scorer.ranking.rank import rank
    from scorer.results.run_report import RunReport
    from scorer.review.correct.apply import Applied, ApplyConfig, apply_corrections
    from scorer.run.run import score

__all__ = [
    "Applied",
    "ApplyConfig",
    "ExportConfig",
    "Listener",
    "RunConfig",
    "RunReport",
    "ScorerError",
    "apply_corrections",
    "export_onnx",
    "rank",
    "score",
]

_HOME = {
    "Applied": "scorer.review.correct.apply",
    "ApplyConfig": "scorer.review.correct.apply",
    "ExportConfig": "scorer.export.export",
    "Listener": "scorer.listener",
    "RunConfig": "scorer.config",
    "RunReport": "scorer.results.run_report",
    "ScorerError": "scorer.errors",
    "apply_corrections": "scorer.review.correct.apply",
    "export_onnx": "scorer.export.export",
    "rank": "scorer.ranking.rank",
    "score": "scorer.run.run",
}


if not TYPE_CHECKING:  # a type checker reads the imports above, and so finds a name that is not there

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            return getattr(importlib.import_module(_HOME[name]), name)
        raise AttributeError(f"module 'scorer' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
