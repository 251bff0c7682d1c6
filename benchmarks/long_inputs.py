"""Long texts: peak memory and rate of `scorer run` and of PyTorch, as more and more of each text is kept.

    python benchmarks/long_inputs.py CHECKPOINT MODEL_DIR [--max-length 512 2048 8192] [--rows 200] [--threads 1]

The texts are made here: most are short, one in twenty has the longest length, a half or a quarter of it. MODEL_DIR is
the checkpoint's export for texts of the longest length. Each side is a process of its own; PyTorch computes them sorted
by length, a text longer than its token budget alone, with the attention that transformers chooses.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from command import Ran, run_command, scorer_run
from machine import machine, stamp

from scorer.config import DEFAULT_BATCH_TOKENS

# Words of short texts: their median, and the spread of the logarithm.
MEDIAN, SPREAD = 60, 0.7
LONG_SHARE = 20


def main() -> None:
    """Print a line for each length and side; the last line is the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--max-length", nargs="+", type=int, default=[512, 2_048, 8_192])
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--torch", type=Path, help=argparse.SUPPRESS)  # data: the other side, in a process of its own
    options = parser.parse_args()
    if options.torch is not None:
        score_in_torch(options.checkpoint, options.torch, options.max_length[0], options.threads)
        return
    sides = []
    with tempfile.TemporaryDirectory(prefix="scorer-benchmark-") as folder:
        data = Path(folder) / "texts.parquet"
        write_texts(data, options.model, options.rows, max(options.max_length))
        for length in sorted(options.max_length):
            limits = ("--max-length", str(length), "--threads", str(options.threads))
            ran, report = scorer_run(options.model, [str(data)], *limits, "--provider", "cpu")
            sides.append(told("scorer", length, ran, int(report["counts"]["tokens"])))
            own = (sys.executable, __file__, str(options.checkpoint), str(options.model), *limits)
            ran = run_command([*own, "--torch", str(data)])
            sides.append(told("torch", length, ran, int(report["counts"]["tokens"])))
    print(json.dumps({"benchmark": "long_inputs", **stamp(), "machine": machine(), "sides": sides}))


def told(name: str, length: int, ran: Ran, tokens: int) -> dict[str, Any]:
    """One side at one length, also printed."""
    peak, rate = ran.peak_bytes / 2**20, tokens / ran.seconds
    print(f"{length:>6,} tokens kept   {name:<6}   peak {peak:7,.0f} MiB   {rate:9,.0f} tokens/s", flush=True)
    return {"side": name, "max_length": length, "peak_mib": peak, "seconds": ran.seconds, "tokens": tokens}


def write_texts(file: Path, model: Path, rows: int, longest: int) -> None:
    """Texts of random words of the tokenizer's own, labelled at random."""
    names = json.loads((model / "scorer.json").read_text(encoding="utf-8"))["label_names"]
    words = [word for word in vocabulary(model) if word.isalnum()]
    random = np.random.default_rng(0)
    sizes = np.clip(np.exp(random.normal(np.log(MEDIAN), SPREAD, rows)), 3, longest).astype(int)
    long = np.arange(0, rows, LONG_SHARE)
    sizes[long] = longest // 2 ** (np.arange(long.size) % 3)
    texts = [" ".join(random.choice(words, size)) for size in sizes]
    pl.DataFrame({"text": texts, "label": random.choice(names, rows)}).write_parquet(file)


def vocabulary(model: Path) -> list[str]:
    """The tokenizer's tokens, in the order of their ids."""
    from tokenizers import Tokenizer

    ids = Tokenizer.from_file(str(model / "tokenizer.json")).get_vocab(with_added_tokens=False)
    return sorted(ids, key=lambda token: ids[token])


def score_in_torch(checkpoint: Path, data: Path, max_length: int, threads: int) -> None:
    """The other side: what `contenders/torch_sorted.py` does."""
    from contenders import torch_sorted
    from job import Job

    frame = pl.read_parquet(data)
    job = Job(
        checkpoint=checkpoint,
        models=checkpoint,
        rows_file=data,
        texts_file=data,
        workdir=data.parent,
        provider="cpu",
        rehearsal=False,
        batch_tokens=DEFAULT_BATCH_TOKENS["cpu"],
        threads=threads,
        max_length=max_length,
        pad_token_id=0,  # the contender asks the tokenizer
    )
    torch_sorted.load(job)(frame["text"].to_list(), [0] * frame.height)


if __name__ == "__main__":
    main()
