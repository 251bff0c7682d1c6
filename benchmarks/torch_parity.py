"""A finished run held against PyTorch: losses of random rows, and the head of the ranking.

    python benchmarks/torch_parity.py CHECKPOINT RUN_DIR [--sample 2000] [--head 500] [--all]

Losses of `--sample` random rows are computed again by PyTorch in fp32. With `--all`, all rows are, and the heads of
both rankings are compared; a row whose loss lies within the tolerance of the head's last row may stand on either side.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from torch_reference import torch_losses

TOLERANCE = 1e-4


def main() -> None:
    """Print the comparison; exit with 1 when it does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--sample", type=int, default=2_000)
    parser.add_argument("--head", type=int, default=500)
    parser.add_argument("--all", action="store_true", help="all rows, and the head of the ranking")
    options = parser.parse_args()
    ranked = pl.read_parquet(options.run_dir / "ranked.parquet")
    max_length = json.loads((options.run_dir / "run.json").read_text())["max_length"]
    rows = ranked if options.all else ranked.sample(min(options.sample, ranked.height), seed=0)
    expected = torch_losses(options.checkpoint, rows["text"].to_list(), rows["label"].to_list(), max_length=max_length)
    difference = np.abs(rows["loss"].to_numpy() - expected)
    print(f"{rows.height:,} rows: loss differs from PyTorch by {difference.max():.2e} nats at most")
    agrees = difference.max() <= TOLERANCE
    if options.all:
        agrees &= compare_heads(rows, expected, options.head)
    sys.exit(0 if agrees else 1)


def compare_heads(ranked: pl.DataFrame, expected: np.ndarray, head: int) -> bool:
    """Whether the first rows are PyTorch's first rows, up to ties within the tolerance."""
    ours = set(range(head))  # `ranked` is in rank order
    theirs = set(np.argsort(-expected, kind="stable")[:head].tolist())
    border = np.sort(expected)[-head]
    strangers = [i for i in ours ^ theirs if abs(expected[i] - border) > TOLERANCE]
    print(f"head of {head}: {len(ours & theirs)} rows in common, {len(strangers)} differ by more than a tie")
    return not strangers


if __name__ == "__main__":
    main()
