"""What a short job waits for: `scorer --help`, and a run of a hundred rows outside session and inference.

    python benchmarks/startup.py MODEL_DIR DATA... [--rows 100] [--repeats 7]

Of the run, the seconds count from starting the process to its end, less run.json's `session` (ONNX Runtime loads
the graph) and `infer`: Python, imports, reading, tokenizing, writing, ranking.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

from command import run_command, scorer_run
from machine import machine, stamp


def main() -> None:
    """Print medians and ranges; the last line is the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--provider", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    host = machine()
    run_command(help_command())  # the first call reads packages from the disk
    help_s = [run_command(help_command()).seconds for _ in range(options.repeats)]
    show("scorer --help", help_s)
    outside_s = []
    for _ in range(options.repeats):
        ran, report = scorer_run(
            options.model, options.data, "--limit", str(options.rows), "--provider", options.provider
        )
        stages = report["seconds"]
        outside_s.append(ran.seconds - stages["session"] - stages["infer"])
    show(f"{options.rows} rows outside session and inference", outside_s)
    document = {"benchmark": "startup", **stamp(), "machine": host, "rows": options.rows}
    print(json.dumps({**document, "help_s": help_s, "outside_s": outside_s}))


def help_command() -> list[str]:
    """The command as it is installed."""
    return [str(Path(sys.executable).with_name("scorer")), "--help"]


def show(what: str, seconds: list[float]) -> None:
    """A line with the median and the range."""
    print(f"{what}: median {statistics.median(seconds):.3f} s ({min(seconds):.3f}-{max(seconds):.3f})", flush=True)


if __name__ == "__main__":
    main()
