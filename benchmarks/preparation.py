"""Before anything is measured: the checkpoint exported, the rows drawn, the job written down."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from job import Job

from scorer.config import RunConfig
from scorer.model.model_directory import open_model_directory
from scorer.pipeline.stages import Stages
from scorer.pipeline.windows import reject_reasons
from scorer.run.setup.prepare import prepare
from scorer.sources import Plan, read_shard

EXPORTS = {
    "fp32": (),
    "fp16": ("--precision", "fp16"),
    "int8": ("--precision", "int8"),
    "plain": ("--optimize", "none"),
}
EXPORTERS = (
    "torch", "transformers", "onnxscript", "optimum", "optimum-onnx", "onnx", "onnxruntime", "onnxruntime-gpu",
)  # fmt: skip
SEED = 0
# Padded tokens per batch of the contenders that sort: what suited all of them; large batches leave a CPU's caches.
BATCH_TOKENS = {"cpu": 1_024, "cuda": 65_536}


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """The rows that every contender scores.

    Attributes:
        rows: number of rows.
        rejected: rows drawn that nothing can score: no text, or no label of the model's.
        lengths: int64 [rows], real tokens of each row.
    """

    rows: int
    rejected: int
    lengths: np.ndarray


def export(
    checkpoint: Path, cache: Path, wanted: Iterable[str], *, exporter: str = "auto", python: str = sys.executable
) -> tuple[Path, dict[str, str]]:
    """Export the checkpoint, unless the same scorer did so before.

    Args:
        checkpoint: folder of a fine-tuned PyTorch classifier.
        cache: folder that keeps exports.
        wanted: names of `EXPORTS`.
        exporter: as `scorer export-onnx` takes it.
        python: interpreter of the environment that exports.

    Returns:
        The folder of the exports, and why each export that failed did.
    """
    by = "" if exporter == "auto" else f"-{exporter}"
    models = cache / f"{checkpoint.name}-{_fingerprint(checkpoint)}{by}"
    failures = {}
    for name in wanted:
        if (models / name).is_dir():
            continue
        print(f"exporting {checkpoint.name} as {name}", flush=True)
        command = [python, "-m", "scorer", "export-onnx", str(checkpoint), str(models / name), "--exporter", exporter]
        done = subprocess.run([*command, *EXPORTS[name]], capture_output=True, text=True, check=False)
        if done.returncode:
            failures[name] = done.stderr.strip()
    return models, failures


def _fingerprint(checkpoint: Path) -> str:
    """Of all that shapes an export: the checkpoint, scorer's own code, the packages that export."""
    digest = hashlib.sha256()
    import scorer

    files = [*sorted(checkpoint.iterdir()), *sorted(Path(scorer.__file__).parent.rglob("*.py"))]
    for file in files:
        if file.is_file():
            digest.update(file.name.encode())
            digest.update(file.read_bytes())
    for name in EXPORTERS:
        try:
            digest.update(f"{name} {importlib.metadata.version(name)}".encode())
        except importlib.metadata.PackageNotFoundError:
            continue
    return digest.hexdigest()[:12]


def draw(data: list[str], model: Path, workdir: Path, rows: int) -> Sample:
    """Write a random sample of the data, in file order, as rows.parquet and rows.json.

    Args:
        data: what `scorer run` reads.
        model: model directory whose labels the rows carry.
        workdir: folder that receives the files.
        rows: rows to draw.
    """
    config = RunConfig(
        model=model, data=tuple(data), output=workdir / "unused", provider="cpu", max_batch_tokens=BATCH_TOKENS["cuda"]
    )
    job = prepare(config)
    table, rejected = _accepted(job.stages, _drawn(job.stages, job.plan, rows))
    texts = table.column("text").to_pylist()
    write_rows(texts, table.column("label").to_pylist(), workdir)
    return Sample(table.num_rows, rejected, job.session.predictor.encoder.encode(texts).lengths)


def write_rows(texts: list[str], labels: list[int], workdir: Path) -> None:
    """Rows as every contender reads them, in both forms."""
    table = pa.table({"text": texts, "label": pa.array(labels, pa.int32())})
    pq.write_table(table, workdir / "rows.parquet")
    (workdir / "rows.json").write_text(json.dumps({"texts": texts, "labels": labels}), encoding="utf-8")


def _drawn(stages: Stages, plan: Plan, rows: int) -> Iterator[pa.RecordBatch]:
    """The drawn rows, window by window."""
    chosen = np.sort(np.random.default_rng(SEED).permutation(plan.rows)[:rows])
    position = 0
    for shard in plan.shards:
        for window in read_shard(stages.source, shard, stages.window_rows):
            inside = chosen[(chosen >= position) & (chosen < position + window.num_rows)] - position
            position += window.num_rows
            yield window.take(pa.array(inside))


def _accepted(stages: Stages, windows: Iterable[pa.RecordBatch]) -> tuple[pa.Table, int]:
    """Texts with class indices, and the number of rows that have neither."""
    parts = []
    rejected = 0
    for window in windows:
        labels, reasons = stages.task.read(window.column("label"))
        accepted = pc.is_null(reject_reasons(window, reasons))
        part = pa.table({"text": window.column("text"), "label": pa.array(labels, pa.int32())}).filter(accepted)
        rejected += window.num_rows - part.num_rows
        parts.append(part)
    return pa.concat_tables(parts).combine_chunks(), rejected


def job_of(checkpoint: Path, models: Path, workdir: Path, provider: str, threads: int, *, rehearsal: bool) -> Job:
    """The work as every contender reads it; in a rehearsal all is as asked for, but computed by the CPU."""
    contract = open_model_directory(models / "fp32").contract
    return Job(
        checkpoint=checkpoint,
        models=models,
        rows_file=workdir / "rows.parquet",
        texts_file=workdir / "rows.json",
        workdir=workdir,
        provider="cpu" if rehearsal else provider,
        rehearsal=rehearsal,
        batch_tokens=BATCH_TOKENS[provider],
        threads=threads,
        max_length=contract.max_length,
        pad_token_id=contract.pad_token_id,
    )
