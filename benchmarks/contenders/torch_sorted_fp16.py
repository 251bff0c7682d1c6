"""`torch_sorted` with weights and arithmetic in 16-bit floats, which are a GPU's."""

from __future__ import annotations

from job import Job, Score

from contenders import torch_sorted

DESCRIPTION = "PyTorch in float16, sorted by length, token budget"
PRECISION = "fp16"
PACKAGES = torch_sorted.PACKAGES
ENVIRONMENT = None
PROVIDERS = ("cuda",)
EXPORTS = ()


def load(job: Job) -> Score:
    """The model in float16."""
    import torch

    return torch_sorted.load_as(job, torch.float16)
