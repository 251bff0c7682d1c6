"""`scorer run` on an export with 16-bit floats, as it is by default: the head of the ranking exact, by fp32."""

from __future__ import annotations

from job import Job, Score

from contenders import scorer_fp32

DESCRIPTION = "scorer run in fp16, the head exact: the whole command"
PRECISION = "fp16, head fp32"
PACKAGES = scorer_fp32.PACKAGES
ENVIRONMENT = None
PROVIDERS = ("cuda",)
EXPORTS = ("fp16",)


def load(job: Job) -> Score:
    """Nothing: the command loads what it needs, and its time counts."""
    return scorer_fp32.load_export(job, "fp16")
