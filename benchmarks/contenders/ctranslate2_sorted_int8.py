"""`ctranslate2_sorted` with 8-bit weights and activations."""

from __future__ import annotations

from job import Job, Score

from contenders import ctranslate2_sorted

DESCRIPTION = "CTranslate2 encoder in int8, sorted by length, token budget"
PRECISION = "int8"
PACKAGES = ctranslate2_sorted.PACKAGES
ENVIRONMENT = ctranslate2_sorted.ENVIRONMENT
PROVIDERS = ("cpu",)
EXPORTS = ()


def load(job: Job) -> Score:
    """The encoder, quantized as it is loaded."""
    return ctranslate2_sorted.load_as(job, "int8")
