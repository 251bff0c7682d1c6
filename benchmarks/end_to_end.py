"""What everything around inference costs: `scorer run` against the bare session on the same ready-made batches.

    python benchmarks/end_to_end.py MODEL_DIR DATA [--rows 10000] [--repeats 3]

Ceiling first: one process tokenizes, buckets and collates all rows beforehand, then feeds the batches to the
session and times nothing but that. Then a fresh process runs the whole command, from starting Python to the
written ranking. The two take turns, so that a noisy machine disturbs both; the ratio of each pair counts.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scorer.arithmetic.batching import batches
from scorer.cli.commands.doctor import diagnose
from scorer.config import RunConfig
from scorer.model.classifier import OnnxClassifier
from scorer.model.inference import infer
from scorer.model.model_directory import open_model_directory
from scorer.run.setup.prepare import prepare
from scorer.sources import read_shard


def bare_session(config: RunConfig) -> dict[str, float]:
    """Seconds of inference alone, on batches that are ready."""
    job = prepare(config)
    stages, predictor = job.stages, job.session.predictor
    ready = []
    rows = tokens = 0
    for shard in job.plan.shards:
        for window in read_shard(stages.source, shard, stages.window_rows):
            encoded = predictor.encoder.encode(window.column("text").to_pylist())
            ready += list(batches(encoded, predictor.max_batch_tokens, predictor.pad_token_id))
            rows += window.num_rows
            tokens += int(encoded.lengths.sum())
    model = open_model_directory(config.model)
    session = OnnxClassifier(model.model_file, model.contract.label_names, config.provider)
    for batch in ready[:3]:  # warm-up
        session(batch)
    start = time.perf_counter()
    for _ in infer(session, ready, predictor.streams):
        pass
    return {"seconds": time.perf_counter() - start, "rows": rows, "tokens": tokens}


def whole_command(config: RunConfig) -> float:
    """Seconds of `scorer run` as a process, from start to exit."""
    command = [sys.executable, "-m", "scorer", "run", str(config.model), *config.data, "-o", str(config.output)]
    command += ["--overwrite", "--json", "--provider", config.provider, "--limit", str(config.limit)]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the comparison and, as the last line, the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--provider", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--only-bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(
            model=options.model,
            data=tuple(options.data),
            output=Path(folder) / "out",
            provider=options.provider,
            limit=options.rows,
        )
        if options.only_bare:
            print(json.dumps(bare_session(config)))
            return
        compare(config, options.repeats)


def compare(config: RunConfig, repeats: int) -> None:
    """Take turns, and print every pair and the medians."""
    pairs = []
    for _ in range(repeats):
        bare = json.loads(
            subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--only-bare"], check=True, capture_output=True, text=True
            ).stdout
        )
        run_s = whole_command(config)
        pairs.append((bare["seconds"], run_s))
        print(
            f"bare session {bare['rows'] / bare['seconds']:8.1f} rows/s   scorer run {bare['rows'] / run_s:8.1f} rows/s"
            f"   throughput kept {bare['seconds'] / run_s:6.1%}   time ratio {run_s / bare['seconds']:.3f}",
            flush=True,
        )
    kept = statistics.median(bare_s / run_s for bare_s, run_s in pairs)
    print(f"median of {repeats}: {kept:.1%} of the bare session's throughput, {1 / kept:.3f} times its time")
    found = diagnose()
    print(
        json.dumps(
            {
                "benchmark": "end_to_end",
                "rows": bare["rows"],
                "tokens": bare["tokens"],
                "pairs_s": pairs,
                "throughput_kept": kept,
                "provider": config.provider,
                "threads": found.threads,
                "machine": platform.processor() or platform.machine(),
                "versions": {**found.packages, **found.onnxruntime},
            }
        )
    )


if __name__ == "__main__":
    main()
