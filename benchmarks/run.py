"""Every contender on the same rows, each in a fresh process: how fast, with how much memory, with the same answers?

    python benchmarks/run.py CHECKPOINT DATA --output benchmarks/results/cpu.json
    python benchmarks/run.py CHECKPOINT DATA --provider cuda --output benchmarks/results/cuda.json
    python benchmarks/run.py CHECKPOINT DATA --provider cuda --rehearse --rows 200 --repeats 1

Makes what it needs (exports, environments of other packages) and keeps that in a cache. Prints the ceiling first (the
machine's best matrix products), then every measurement as it comes, then the table; `--output` keeps everything as
JSON and draws the chart. README.md beside this file says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ceiling import read_config, useful_flops
from charts import draw_contenders
from contenders import NAMES
from environments import interpreters
from job import contender
from machine import machine, stamp
from preparation import SEED, draw, export, job_of
from presentation import show
from results import Workload, summarize
from rounds import LIMIT_S, environment, run_rounds

from scorer.model.tuning import TUNING_FILE
from scorer.system.machine import allowed_threads

HERE = Path(__file__).parent


def main() -> None:
    """Prepare, measure, print."""
    options = parse()
    with tempfile.TemporaryDirectory(prefix="scorer-benchmark-") as folder:
        document = measure(options, Path(folder))
    show(document)
    if options.output is None:
        print(json.dumps(document))
        return
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    chart = options.output.with_suffix(".png")
    draw_contenders(document, chart)
    print(f"wrote {options.output} and {chart}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="folder of a fine-tuned PyTorch classifier")
    parser.add_argument("data", nargs="+", help="labelled rows, in any format that `scorer run` reads")
    parser.add_argument("--rows", type=int, default=8_000, help="size of the random sample")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; every contender runs once in each")
    parser.add_argument(
        "--minutes", type=float, default=30, help="end by then: later rounds leave the slowest out (the first is whole)"
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=LIMIT_S / 60,
        metavar="MINUTES",
        help="time that a contender may take, loading and all",
    )
    parser.add_argument("--provider", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rehearse", action="store_true", help="with --provider cuda: all of it, but on the CPU")
    parser.add_argument("--threads", type=int, default=allowed_threads())
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", default=NAMES, help=", ".join(NAMES))
    parser.add_argument(
        "--environment",
        action="append",
        default=[],
        type=_environment,
        metavar="NAME=PYTHON",
        help="run a contender with this interpreter, and make no environment for it; may be repeated",
    )
    parser.add_argument("--cache", type=Path, default=HERE / ".cache", help="folder of exports and environments")
    parser.add_argument("--output", type=Path, help="JSON file to write, such as benchmarks/results/NAME.json")
    options = parser.parse_args()
    if not (options.checkpoint / "config.json").is_file():
        parser.error(f"'{options.checkpoint}' is no folder of a checkpoint: it has no config.json")
    if options.limit <= 0:
        parser.error("--limit must be more than 0")
    if min(options.rows, options.repeats, options.threads) < 1:
        parser.error("--rows, --repeats and --threads must be at least 1")
    if options.rehearse and options.provider != "cuda":
        parser.error("--rehearse is for --provider cuda; what the CPU computes needs no rehearsal")
    elsewhere = [name for name in options.only if options.provider not in contender(name).PROVIDERS]
    if elsewhere and options.only is not NAMES:
        parser.error(f"no contender on {options.provider}: {', '.join(elsewhere)}")
    return options


def _environment(value: str) -> tuple[str, str]:
    name, _, python = value.partition("=")
    if name not in NAMES or not python:
        raise argparse.ArgumentTypeError(f"'{value}' is not NAME=PYTHON with one of {', '.join(NAMES)}")
    return name, python


def measure(options: argparse.Namespace, workdir: Path) -> dict[str, Any]:
    """Everything about this run of the benchmark that a later reader needs."""
    ends_at = time.monotonic() + 60 * options.minutes
    names = [name for name in NAMES if name in options.only and options.provider in contender(name).PROVIDERS]
    checkpoint, cache = options.checkpoint.resolve(), options.cache.resolve()
    models = exported(checkpoint, cache, names)
    sample = draw(options.data, models / "fp32", workdir, options.rows)
    job = job_of(checkpoint, models, workdir, options.provider, options.threads, rehearsal=options.rehearse)
    found = interpreters(names, dict(options.environment), cache, job.provider, say)
    peaks = ceiling(checkpoint, options.threads, job.provider)
    flops = useful_flops(sample.lengths, read_config(checkpoint))
    work = Workload(sample.rows, int(sample.lengths.sum()), flops, max(peaks.values(), default=None))
    say_first(work, peaks, options.threads, sample.rejected)
    host = machine()  # before the contenders load it
    limit_s = 60 * options.limit
    records = run_rounds(names, job, found, repeats=options.repeats, ends_at=ends_at, limit_s=limit_s, say=say)
    return {
        "benchmark": "contenders",
        **stamp(),
        "checkpoint": checkpoint.name,
        "data": ["/".join(Path(each).parts[-2:]) for each in options.data],
        "seed": SEED,
        "rejected": sample.rejected,
        "repeats": options.repeats,
        "minutes": options.minutes,
        "provider": options.provider,
        "rehearsal": options.rehearse,
        "threads": options.threads,
        "max_length": job.max_length,
        "tuned_exports": sorted(file.parent.name for file in models.glob(f"*/{TUNING_FILE}")),
        "gemm_peak_gflops": peaks,
        "machine": host,
        "work": dataclasses.asdict(work),
        "contenders": [dataclasses.asdict(each) for each in summarize(records, work)],
    }


def exported(checkpoint: Path, cache: Path, names: Sequence[str]) -> Path:
    """The folder of all exports that the contenders read; one that fails is the failure of those that read it."""
    wanted = {"fp32", *itertools.chain.from_iterable(contender(name).EXPORTS for name in names)}
    models, failures = export(checkpoint, cache, sorted(wanted))
    for name, reason in failures.items():
        say(f"the {name} export failed: {reason}")
    if "fp32" in failures:
        sys.exit(1)
    return models


def ceiling(checkpoint: Path, threads: int, provider: str) -> dict[str, float]:
    """The best rate of each library, in GFLOP/s, measured in a process of its own; empty where that fails."""
    command = [sys.executable, str(HERE / "ceiling.py"), str(checkpoint)]
    command += ["--threads", str(threads), "--provider", provider]
    done = subprocess.run(command, env=environment(threads), capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"no GEMM peak: {done.stderr.strip().splitlines()[-1]}")
        return {}
    peaks: dict[str, float] = json.loads(done.stdout)
    return peaks


def say(line: str) -> None:
    """A line that is seen at once."""
    print(line, flush=True)


def say_first(work: Workload, peaks: dict[str, float], threads: int, rejected: int) -> None:
    """The ceiling, before anything is held against it."""
    if work.peak_gflops is not None:
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in peaks.items())
        print(f"GEMM peak, {threads} threads: {work.peak_gflops:.0f} GFLOP/s (best of {rates})")
    print(f"{work.rows:,} rows, {work.tokens:,} real tokens, {work.tokens / work.rows:.1f} a row; {rejected} rejected")
    if work.peak_gflops is not None and work.flops is not None:
        fastest = work.rows * work.peak_gflops * 1e9 / work.flops
        print(f"{work.flops / work.rows / 1e9:.2f} useful GFLOP a row: at most {fastest:.1f} rows/s at that peak")


if __name__ == "__main__":
    main()
