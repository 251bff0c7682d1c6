"""`openvino_sorted` with arithmetic in bfloat16, which OpenVINO takes by itself where the processor has it."""

from __future__ import annotations

from job import Job, Score

from contenders import openvino_sorted

DESCRIPTION = "OpenVINO in bfloat16, sorted by length, token budget"
PRECISION = "bf16"
PACKAGES = openvino_sorted.PACKAGES
ENVIRONMENT = openvino_sorted.ENVIRONMENT
PROVIDERS = ("cpu",)
EXPORTS = ("plain",)


def load(job: Job) -> Score:
    """The model compiled for bfloat16."""
    return openvino_sorted.load_as(job, "bf16")
