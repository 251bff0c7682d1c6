"""`scorer run` on an export with 8-bit weights."""

from __future__ import annotations

from job import Job, Score

from contenders import scorer_fp32

DESCRIPTION = "scorer run on an int8 export: the whole command"
PRECISION = "int8"
PACKAGES = scorer_fp32.PACKAGES
ENVIRONMENT = None
PROVIDERS = ("cpu",)
EXPORTS = ("int8",)


def load(job: Job) -> Score:
    """Nothing: the command loads what it needs, and its time counts."""
    return scorer_fp32.load_export(job, "int8")
