"""What the machine can do at best, and what the model asks of it.

    python benchmarks/ceiling.py CHECKPOINT [--threads N] [--provider cpu|cuda]

The ceiling is the best rate of matrix products in the shapes of the model's layers: in fp32 by NumPy and by PyTorch,
on CUDA in fp16 too.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# Rows of the products: tokens of a batch.
BATCH_TOKENS = {"cpu": (512, 2_048), "cuda": (65_536,)}
SECONDS_PER_SHAPE = 0.5
# What configurations call the same number.
HIDDEN, FFN, LAYERS = ("hidden_size", "dim"), ("intermediate_size", "hidden_dim"), ("num_hidden_layers", "n_layers")


def useful_flops(lengths: npt.NDArray[np.int64], config: dict[str, Any]) -> float | None:
    """Floating-point operations that the full model spends on real tokens; None where the shape is unknown.

    A layer of width H with a feed-forward part of width F multiplies, for each token of a text of T tokens, four
    H x H matrices (query, key, value, output) and two H x F matrices, 2 x (4 H^2 + 2 H F) operations, and takes
    T products of width H twice (scores, weighted values), 4 T H operations. Embeddings, head, softmax and
    normalization are left out.
    """
    shape = [next((config[name] for name in names if name in config), None) for names in (HIDDEN, FFN, LAYERS)]
    if None in shape:
        return None
    hidden, ffn, layers = (int(value) for value in shape if value is not None)
    tokens = lengths.astype(np.float64)
    per_token = 2 * (4 * hidden**2 + 2 * hidden * ffn) + 4 * tokens * hidden  # [N]
    return float(layers * (tokens * per_token).sum())


def read_config(checkpoint: Path) -> dict[str, Any]:
    """The checkpoint's config.json."""
    config: dict[str, Any] = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    return config


def gemm_peak(config: dict[str, Any], threads: int, provider: str) -> dict[str, float]:
    """The best rate of each library, in GFLOP/s."""
    hidden = next((int(config[name]) for name in HIDDEN if name in config), 768)
    ffn = next((int(config[name]) for name in FFN if name in config), 4 * hidden)
    shapes = [(m, k, n) for m in BATCH_TOKENS[provider] for k, n in ((hidden, hidden), (hidden, ffn), (ffn, hidden))]
    return {name: max(_rate(multiply, *shape) for shape in shapes) for name, multiply in _libraries(threads, provider)}


def _libraries(threads: int, provider: str) -> Iterator[tuple[str, Callable[[int, int, int], Callable[[], Any]]]]:
    """Libraries by name; each turns a shape into a function that multiplies two matrices of it."""
    if provider == "cpu":
        yield "numpy", _numpy_product
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(threads)

    def torch_product(m: int, k: int, n: int, dtype: torch.dtype = torch.float32) -> Callable[[], Any]:
        a, b, out = (torch.ones(shape, dtype=dtype, device=provider) for shape in ((m, k), (k, n), (m, n)))

        def multiply() -> None:
            torch.mm(a, b, out=out)
            if provider == "cuda":
                torch.cuda.synchronize()

        return multiply

    yield "torch", torch_product
    if provider == "cuda":
        yield "torch fp16", functools.partial(torch_product, dtype=torch.float16)


def _numpy_product(m: int, k: int, n: int) -> Callable[[], Any]:
    a, b, out = (np.ones(shape, dtype=np.float32) for shape in ((m, k), (k, n), (m, n)))
    return lambda: np.matmul(a, b, out=out)


def _rate(product: Callable[[int, int, int], Callable[[], Any]], m: int, k: int, n: int) -> float:
    """GFLOP/s of the fastest of many calls."""
    multiply = product(m, k, n)
    multiply()
    best_s = float("inf")
    end = time.perf_counter() + SECONDS_PER_SHAPE
    while time.perf_counter() < end:
        start = time.perf_counter()
        multiply()
        best_s = min(best_s, time.perf_counter() - start)
    return 2 * m * k * n / best_s / 1e9


def main() -> None:
    """Print the rates as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--provider", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    print(json.dumps(gemm_peak(read_config(options.checkpoint), options.threads, options.provider)))


if __name__ == "__main__":
    main()
