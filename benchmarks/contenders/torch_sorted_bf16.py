"""`torch_sorted` with weights and arithmetic in bfloat16."""

from __future__ import annotations

from job import Job, NotHereError, Score
from machine import lacks_bfloat16

from contenders import torch_sorted

DESCRIPTION = "PyTorch in bfloat16, sorted by length, token budget"
PRECISION = "bf16"
PACKAGES = torch_sorted.PACKAGES
ENVIRONMENT = None
PROVIDERS = ("cpu", "cuda")
EXPORTS = ()


def load(job: Job) -> Score:
    """The model in bfloat16."""
    import torch

    if job.provider == "cpu" and lacks_bfloat16() and not job.rehearsal:
        raise NotHereError("this processor has no bfloat16; PyTorch emulates it, at a tenth of the rate of fp32")
    return torch_sorted.load_as(job, torch.bfloat16)
