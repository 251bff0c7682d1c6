"""`scorer run` as a command of its own: files in, ranked Parquet out, starting Python and all."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from job import Job, Outcome, Score

DESCRIPTION = "scorer run: the whole command, files in, ranking out"
PRECISION = "fp32"
PACKAGES = ("scorer-onnx", "onnxruntime")
ENVIRONMENT = None
PROVIDERS = ("cpu", "cuda")
EXPORTS = ("fp32",)


def load(job: Job) -> Score:
    """Nothing: the command loads what it needs, and its time counts."""
    return load_export(job, "fp32")


def load_export(job: Job, export: str, *options: str) -> Score:
    """The command with one of the model directories, and more options."""
    command = [sys.executable, "-m", "scorer", "run", str(job.models / export), str(job.rows_file)]
    command += ["--labels-by-index", "--provider", job.provider, "--threads", str(job.threads), *options]

    def score(texts: list[str], labels: list[int]) -> Outcome:
        with tempfile.TemporaryDirectory(dir=job.workdir) as folder:
            output = Path(folder) / "scores"
            start = time.perf_counter()
            done = subprocess.run(
                [*command, "--output", str(output), "--limit", str(len(texts))],
                capture_output=True,
                text=True,
                check=False,
            )
            elapsed_s = time.perf_counter() - start
            if done.returncode:
                raise RuntimeError(done.stderr.rpartition("Error: ")[2].strip())
            return outcome(output, elapsed_s)

    return score


def outcome(output: Path, elapsed_s: float) -> Outcome:
    """What a finished run wrote."""
    import polars as pl  # after the run, so that it does not count as the command's memory

    ranked = pl.read_parquet(output / "ranked.parquet", columns=["row", "loss"]).sort("row")
    report = json.loads((output / "run.json").read_text(encoding="utf-8"))
    return Outcome(ranked["loss"].to_numpy().astype(np.float64), report["padding_efficiency"], elapsed_s)
