"""`scorer run` on an export with 8-bit weights, nothing scored again: cheaper than its default, and less true."""

from __future__ import annotations

from job import Job, Score

from contenders import scorer_fp32

DESCRIPTION = "scorer run in int8 alone: the whole command"
PRECISION = "int8"
PACKAGES = scorer_fp32.PACKAGES
ENVIRONMENT = None
PROVIDERS = ("cpu",)
EXPORTS = ("int8",)


def load(job: Job) -> Score:
    """Nothing: the command loads what it needs, and its time counts."""
    return scorer_fp32.load_export(job, "int8", "--rescore-top", "0", "--allow-low-fidelity")
