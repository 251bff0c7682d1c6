"""`torch_sorted` with weights and arithmetic in bfloat16."""

from __future__ import annotations

from job import Job, Score

from contenders import torch_sorted

DESCRIPTION = "PyTorch in bfloat16, sorted by length, token budget"
PRECISION = "bf16"
PACKAGES = torch_sorted.PACKAGES
EXPORT = None


def load(job: Job) -> Score:
    """The model in bfloat16."""
    import torch

    return torch_sorted.load_as(job, torch.bfloat16)
