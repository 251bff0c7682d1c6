"""`scorer run` on an export in 16-bit floats, which are a GPU's, nothing scored again."""

from __future__ import annotations

from job import Job, Score

from contenders import scorer_fp32

DESCRIPTION = "scorer run in fp16 alone: the whole command"
PRECISION = "fp16"
PACKAGES = scorer_fp32.PACKAGES
ENVIRONMENT = None
PROVIDERS = ("cuda",)
EXPORTS = ("fp16",)


def load(job: Job) -> Score:
    """Nothing: the command loads what it needs, and its time counts."""
    return scorer_fp32.load_export(job, "fp16", "--rescore-top", "0", "--allow-low-fidelity")
