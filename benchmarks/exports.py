"""How fast are the graphs of torch's exporter: beside PyTorch in the shapes of this year, and beside optimum's graphs?

    python benchmarks/exports.py CHECKPOINT DATA --optimum PYTHON --output benchmarks/results/exports.json

For an environment with transformers 5. Models with random weights in the shapes of `shapes.py` are made, exported, and
run as `scorer run` against PyTorch, which gets the same rows sorted by length. CHECKPOINT itself is exported by torch
and by optimum, which needs the interpreter of an environment with transformers 4 (`--optimum`); without one, that pair
is left out. All pairs take turns, round after round; what counts is the ratio within a round.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from contenders import REFERENCE
from job import Job
from machine import machine, stamp
from preparation import SEED, draw, export, job_of
from rounds import LIMIT_S, Measured, measure
from shapes import SHAPES, make_checkpoint

from scorer.system.machine import allowed_threads

HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """Two contenders on the same rows.

    Attributes:
        model: name of the checkpoint.
        ours: contender that runs the graph of torch's exporter.
        our_job: its work.
        theirs: contender that it is held against.
        their_job: its work.
        against: what that is, for the reader.
    """

    model: str
    ours: str
    our_job: Job
    theirs: str
    their_job: Job
    against: str


def main() -> None:
    """Prepare, measure, print."""
    options = parse()
    with tempfile.TemporaryDirectory(prefix="scorer-benchmark-") as folder:
        document = compare(options, Path(folder))
    if options.output is None:
        print(json.dumps(document))
        return
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {options.output}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="folder of a fine-tuned PyTorch classifier")
    parser.add_argument("data", nargs="+", help="labelled rows, in any format that `scorer run` reads")
    parser.add_argument("--rows", type=int, default=1_500, help="size of the random sample")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--threads", type=int, default=allowed_threads())
    parser.add_argument("--optimum", metavar="PYTHON", help="interpreter of an environment with the extra for optimum")
    parser.add_argument("--shapes", nargs="*", choices=SHAPES, default=list(SHAPES), help="; ".join(SHAPES))
    parser.add_argument(
        "--int8", nargs="*", choices=SHAPES, default=["modernbert-base", "qwen3-0.6b"], help="shapes to run in int8 too"
    )
    parser.add_argument("--prepare", action="store_true", help="make the exports, and measure nothing")
    parser.add_argument("--cache", type=Path, default=HERE / ".cache", help="folder of checkpoints and exports")
    parser.add_argument("--output", type=Path, help="JSON file to write, such as benchmarks/results/exports.json")
    options = parser.parse_args()
    if not (options.checkpoint / "config.json").is_file():
        parser.error(f"'{options.checkpoint}' is no folder of a checkpoint: it has no config.json")
    if min(options.rows, options.repeats, options.threads) < 1:
        parser.error("--rows, --repeats and --threads must be at least 1")
    return options


def compare(options: argparse.Namespace, workdir: Path) -> dict[str, Any]:
    """Everything about this run that a later reader needs."""
    cache, checkpoint = options.cache.resolve(), options.checkpoint.resolve()
    models = _exported(checkpoint, cache, ["fp32", "int8"] if options.optimum else ["fp32"])
    sample = draw(options.data, models / "fp32", workdir, options.rows)
    pairs = list(_pairs(options, checkpoint, models, cache, workdir))
    document = {
        "benchmark": "exports",
        **stamp(),
        "checkpoint": checkpoint.name,
        "data": ["/".join(Path(each).parts[-2:]) for each in options.data],
        "seed": SEED,
        "rows": sample.rows,
        "tokens": int(sample.lengths.sum()),
        "repeats": options.repeats,
        "threads": options.threads,
        "machine": machine(),
    }
    if options.prepare:
        return document
    return document | {"pairs": _measured(pairs, options.repeats)}


def _pairs(options: argparse.Namespace, checkpoint: Path, models: Path, cache: Path, workdir: Path) -> Iterator[Pair]:
    def job(folder: Path, exports: Path) -> Job:
        return job_of(folder, exports, workdir, "cpu", options.threads, rehearsal=False)

    if options.optimum:
        ours = job(checkpoint, models)
        old = job(
            checkpoint, _exported(checkpoint, cache, ["fp32", "int8"], exporter="optimum", python=options.optimum)
        )
        for name in ("scorer_fp32", "scorer_int8_exact"):
            yield Pair(checkpoint.name, name, ours, name, old, "optimum's graph")
    yield Pair(checkpoint.name, "scorer_fp32", job(checkpoint, models), REFERENCE, job(checkpoint, models), "PyTorch")
    for shape in options.shapes:
        folder = cache / "shapes" / shape
        if not folder.is_dir():
            make_checkpoint(shape, checkpoint, folder)
        both = job(folder, _exported(folder, cache, ["fp32", "int8"] if shape in options.int8 else ["fp32"]))
        yield Pair(shape, "scorer_fp32", both, REFERENCE, both, "PyTorch")
        if shape in options.int8:
            yield Pair(shape, "scorer_int8", both, "scorer_fp32", both, "its own fp32")


def _exported(
    checkpoint: Path, cache: Path, wanted: Sequence[str], *, exporter: str = "torch", python: str = sys.executable
) -> Path:
    models, failures = export(checkpoint, cache, wanted, exporter=exporter, python=python)
    if failures:
        sys.exit("\n".join(f"{checkpoint.name} as {name}: {reason}" for name, reason in failures.items()))
    return models


def _measured(pairs: Sequence[Pair], repeats: int) -> list[dict[str, Any]]:
    """Every pair in every round; which of the two comes first alternates."""
    seconds: dict[Pair, tuple[list[float], list[float]]] = {pair: ([], []) for pair in pairs}
    differences: dict[Pair, float] = {}
    for number in range(repeats):
        for pair in pairs:
            sides = ((pair.ours, pair.our_job), (pair.theirs, pair.their_job))
            found: dict[int, Measured] = {}
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                result = measure(*sides[side], sys.executable, number, LIMIT_S)
                if not isinstance(result, Measured):
                    sys.exit(f"{pair.model}, {sides[side][0]}: {result}")
                found[side] = result
                seconds[pair][side].append(result.seconds)
            differences[pair] = float(np.abs(found[0].losses - found[1].losses).max())
            ours, theirs = (found[side].seconds for side in (0, 1))
            print(
                f"round {number + 1}/{repeats}  {pair.model:<24} {pair.ours:<18} {ours:7.2f} s  against "
                f"{pair.against:<16} {theirs:7.2f} s  {theirs / ours:.2f} times the rate",
                flush=True,
            )
    return [
        {
            "model": pair.model,
            "contender": pair.ours,
            "against": pair.against,
            "seconds": seconds[pair][0],
            "their_seconds": seconds[pair][1],
            "ratio": statistics.median(ratios := [b / a for a, b in zip(*seconds[pair], strict=True)]),
            "ratios": ratios,
            "max_loss_difference": differences[pair],
        }
        for pair in pairs
    ]


if __name__ == "__main__":
    main()
