"""`ctranslate2_sorted` in 16-bit floats, which are a GPU's."""

from __future__ import annotations

from job import Job, Score

from contenders import ctranslate2_sorted

DESCRIPTION = "CTranslate2 encoder in float16, sorted, token budget"
PRECISION = "fp16"
PACKAGES = ctranslate2_sorted.PACKAGES
ENVIRONMENT = ctranslate2_sorted.ENVIRONMENT
PROVIDERS = ("cuda",)
EXPORTS = ()


def load(job: Job) -> Score:
    """The encoder in float16; in fp32 in a rehearsal, since the library has no float16 for a CPU."""
    return ctranslate2_sorted.load_as(job, "float32" if job.rehearsal else "float16")
