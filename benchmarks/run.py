"""Every contender on the same rows, each in a fresh process: how fast, with how much memory, with the same answers?

    python benchmarks/run.py CHECKPOINT DATA [--rows 8000] [--repeats 3] [--provider cpu|cuda] [--only NAME ...]

Prints the ceiling first (the machine's best fp32 matrix products), then every measurement as it comes, then the
table; `--output FILE.json` keeps everything. README.md beside this file says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ceiling import read_config, useful_flops
from contenders import NAMES
from job import contender
from preparation import SEED, draw, export, job_of
from presentation import document, draw_chart, machine, show
from results import Figures, Workload, summarize
from rounds import environment, run_rounds

from scorer.machine import allowed_threads

HERE = Path(__file__).parent


def main() -> None:
    """Prepare, measure, print."""
    options = parse()
    with tempfile.TemporaryDirectory(prefix="scorer-benchmark-") as folder:
        figures, work, asked = measure(options, Path(folder))
    show(figures, work)
    result = document(figures, work, asked)
    if options.output is None:
        print(json.dumps(result))
        return
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {options.output}")
    chart = options.output.with_suffix(".png")
    print(f"wrote {chart}" if draw_chart(figures, work, chart) else "no chart: matplotlib is not installed")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="folder of a fine-tuned PyTorch classifier")
    parser.add_argument("data", nargs="+", help="labelled rows, in any format that `scorer run` reads")
    parser.add_argument("--rows", type=int, default=8_000, help="size of the random sample")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; every contender runs once in each")
    parser.add_argument("--provider", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=allowed_threads())
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", default=NAMES, help=", ".join(NAMES))
    parser.add_argument(
        "--environment",
        action="append",
        default=[],
        type=_environment,
        metavar="NAME=PYTHON",
        help="run a contender with the interpreter of another environment; may be repeated",
    )
    parser.add_argument("--cache", type=Path, default=HERE / ".cache", help="folder that keeps the exports")
    parser.add_argument("--output", type=Path, help="JSON file to write, such as benchmarks/results/NAME.json")
    options = parser.parse_args()
    if not (options.checkpoint / "config.json").is_file():
        parser.error(f"'{options.checkpoint}' is no folder of a checkpoint: it has no config.json")
    if min(options.rows, options.repeats, options.threads) < 1:
        parser.error("--rows, --repeats and --threads must be at least 1")
    return options


def _environment(value: str) -> tuple[str, str]:
    name, _, python = value.partition("=")
    if name not in NAMES or not python:
        raise argparse.ArgumentTypeError(f"'{value}' is not NAME=PYTHON with one of {', '.join(NAMES)}")
    return name, python


def measure(options: argparse.Namespace, workdir: Path) -> tuple[list[Figures], Workload, dict[str, Any]]:
    """The figures, what they are figures of, and what was asked for."""
    names = [name for name in NAMES if name in options.only]
    checkpoint = options.checkpoint.resolve()
    wanted = {"fp32", *(contender(name).EXPORT or "fp32" for name in names)}
    models, failures = export(checkpoint, options.cache.resolve(), sorted(wanted))
    for name, reason in failures.items():
        print(f"the {name} export failed: {reason}")
    if "fp32" in failures:
        sys.exit(1)
    sample = draw(options.data, models, workdir, options.rows)
    config = read_config(checkpoint)
    peaks = ceiling(checkpoint, options.threads, options.provider)
    tokens = int(sample.lengths.sum())
    work = Workload(sample.rows, tokens, useful_flops(sample.lengths, config), max(peaks.values(), default=None))
    say_first(work, peaks, options.threads, sample.rejected)
    job = job_of(checkpoint, models, workdir, options.provider, options.threads)
    found = machine()  # before the contenders load it
    records = run_rounds(names, job, options.repeats, dict(options.environment), lambda line: print(line, flush=True))
    asked = {
        "checkpoint": checkpoint.name,
        "data": [Path(each).name for each in options.data],
        "seed": SEED,
        "rejected": sample.rejected,
        "repeats": options.repeats,
        "provider": options.provider,
        "threads": options.threads,
        "max_length": job.max_length,
        "gemm_peak_gflops": peaks,
        "machine": found,
    }
    return summarize(records, work), work, asked


def ceiling(checkpoint: Path, threads: int, provider: str) -> dict[str, float]:
    """The best fp32 rate of each library, in GFLOP/s, measured in a process of its own; empty where that fails."""
    command = [sys.executable, str(HERE / "ceiling.py"), str(checkpoint)]
    command += ["--threads", str(threads), "--provider", provider]
    done = subprocess.run(command, env=environment(threads), capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"no GEMM peak: {done.stderr.strip().splitlines()[-1]}")
        return {}
    peaks: dict[str, float] = json.loads(done.stdout)
    return peaks


def say_first(work: Workload, peaks: dict[str, float], threads: int, rejected: int) -> None:
    """The ceiling, before anything is held against it."""
    if work.peak_gflops is not None:
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in peaks.items())
        print(f"GEMM peak, fp32, {threads} threads: {work.peak_gflops:.0f} GFLOP/s (best of {rates})")
    print(f"{work.rows:,} rows, {work.tokens:,} real tokens, {work.tokens / work.rows:.1f} a row; {rejected} rejected")
    if work.peak_gflops is not None and work.flops is not None:
        fastest = work.rows * work.peak_gflops * 1e9 / work.flops
        print(f"{work.flops / work.rows / 1e9:.2f} useful GFLOP a row: at most {fastest:.1f} rows/s at that peak")


if __name__ == "__main__":
    main()
