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
    from scorer.export import ExportConfig, export_onnx
    from scorer.ranking import rank
    from scorer.report import RunReport
    from scorer.review.apply import ApplyConfig, apply_corrections
    from scorer.run import score

__all__ = [
    "ApplyConfig",
    "ExportConfig",
    "RunConfig",
    "RunReport",
    "ScorerError",
    "apply_corrections",
    "export_onnx",
    "rank",
    "score",
]

_HOME = {
    "ApplyConfig": "scorer.review.apply",
    "ExportConfig": "scorer.export",
    "RunConfig": "scorer.config",
    "RunReport": "scorer.report",
    "ScorerError": "scorer.errors",
    "apply_corrections": "scorer.review.apply",
    "export_onnx": "scorer.export",
    "rank": "scorer.ranking",
    "score": "scorer.run",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'scorer' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
