"""scorer in a process that has already scored: files in, ranked Parquet out, starting Python and the session left out.

What a long corpus costs per row, where a GPU scores the sample in less time than it takes to start.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from job import Job, Outcome, Score

from contenders.scorer_fp32 import outcome

DESCRIPTION = "scorer in a warm process, fp16 alone: files in, ranking out"
PRECISION = "fp16"
PACKAGES = ("scorer-onnx",)
ENVIRONMENT = None
PROVIDERS = ("cuda",)
EXPORTS = ("fp16",)


def load(job: Job) -> Score:
    """All rows scored once, so that a second run finds everything warm."""
    import scorer

    def run(limit: int | None) -> Outcome:
        with tempfile.TemporaryDirectory(dir=job.workdir) as folder:
            config = scorer.RunConfig(
                model=job.models / "fp16",
                data=(str(job.rows_file),),
                output=Path(folder) / "scores",
                labels_by_index=True,
                provider="cuda" if job.provider == "cuda" else "cpu",
                threads=job.threads,
                limit=limit,
                rescore_top="0",
                allow_low_fidelity=True,
            )
            start = time.perf_counter()
            report = scorer.score(config)
            return outcome(config.output, time.perf_counter() - start - report.seconds["session"])

    run(None)
    return lambda texts, labels: run(len(texts))
