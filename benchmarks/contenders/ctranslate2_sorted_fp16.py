"""`ctranslate2_sorted` in 16-bit floats, which are a GPU's."""

from __future__ import annotations

from job import Job, Score

from contenders import ctranslate2_sorted

DESCRIPTION = "CTranslate2 encoder in float16, sorted by length, token budget"
PRECISION = "fp16"
PACKAGES = ctranslate2_sorted.PACKAGES
ENVIRONMENT = ctranslate2_sorted.ENVIRONMENT
PROVIDERS = ("cuda",)
EXPORTS = ()


def load(job: Job) -> Score:
    """The encoder in float16; in a rehearsal the library falls back to fp32 by itself."""
    return ctranslate2_sorted.load_as(job, "auto" if job.rehearsal else "float16")
