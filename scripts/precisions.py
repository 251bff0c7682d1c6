"""What each precision and each level of optimization does to a graph of torch's exporter, for six architectures.

    python scripts/precisions.py TOKENIZER DATA > docs/precisions.md
    python scripts/precisions.py TOKENIZER DATA --only bert qwen3

Each architecture is built small and trained for a minute on DATA (Parquet with `text` and `label`), then exported with
every precision and level. TOKENIZER is a folder of a checkpoint whose tokenizer all of them take. For an environment
with transformers 5.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from scorer import ExportConfig, export_onnx
from scorer.errors import ScorerError
from scorer.model.model_directory import ModelDirectory, Optimization, Precision

SIZES = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 3, "num_attention_heads": 4}
KINDS: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {"max_position_embeddings": 514},
    "deberta-v2": {
        "relative_attention": True,
        "position_buckets": 256,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "modernbert": {"classifier_pooling": "cls"},
    "xlm-roberta": {"max_position_embeddings": 514},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 512},
}
# Without O1, whose graph is that of none: the session does the same to both.
LEVELS: tuple[tuple[Precision, Optimization], ...] = (
    ("fp32", "none"),
    ("fp32", "O2"),
    ("fp32", "O3"),
    ("fp16", "O2"),
    ("int8", "none"),
    ("int8", "O2"),
)
STEPS, BATCH_ROWS, MAX_LENGTH, LEARNING_RATE = 400, 16, 64, 1e-3
CALIBRATION_TEXTS = 400
SPEED_ROWS, SPEED_REPEATS = 16, 5
# Products with fewer weights than this matter to nobody's speed: heads.
FEW_WEIGHTS = 4_096
COLUMNS = (
    "architecture", "precision", "level", "logit", "loss", "Spearman", "head", "attention", "one position",
    "products in fp32", "times none",
)  # fmt: skip

PAGE = """# Precisions and levels of optimization

How much do precisions and optimization levels change answers and speed? What `scripts/precisions.py` found on
{date} with {packages}.

Small models ({layers} layers of width 128, trained for 400 steps on news texts, so that their answers mean something),
exported by torch's exporter with every precision and level. `--optimize O1` is left out: its graph is that of `none`.

- **logit**, **loss**: the largest difference from PyTorch's, over 64 texts and those that the proof adds; in nats.
- **Spearman**, **head**: fidelity of the cheap losses to fp32's on 400 texts: rank correlation, and the share of the
  highest losses (1%) in common. Small models lose less to 8-bit arithmetic than deep ones; an export says its own.
- **one position**: whether the last layer is computed for the one position that the head reads. At `none` it never is.
- **products in fp32**: products with large weights that stay in float32, of all. Those that remain in int8 are products
  of one query per text, with a weight per attention head, too small to gain from integers.
- **times none**: the rate on one thread, 16 texts of 54 tokens, over that of fp32 at `none`: CPU time of the graph
  alone. fp16 is for GPUs: a CPU computes it in float32.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Data:
    """Rows to train on, and texts to compare on."""

    texts: list[str]
    labels: list[int]
    calibration: Path


def main() -> None:
    """Print the page, an architecture as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    from scorer.export.checkpoint.exporters import versions

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    packages = ", ".join(f"{name} {version}" for name, version in versions("torch").items())
    print(PAGE.format(date=datetime.now(UTC).date(), packages=packages, layers=SIZES["num_hidden_layers"]))
    with tempfile.TemporaryDirectory() as folder:
        data = read(options.data, Path(folder))
        print(f"| {' | '.join(COLUMNS)} |\n| {' | '.join(['---'] * len(COLUMNS))} |", flush=True)
        for kind in options.only:
            for cells in rows(kind, options.tokenizer, data, Path(folder) / kind):
                print(f"| {' | '.join(cells)} |", flush=True)


def read(file: Path, folder: Path) -> Data:
    """The first rows of a table, shuffled, and others as calibration texts."""
    table = pl.read_parquet(file).sample(fraction=1.0, shuffle=True, seed=0)
    calibration = folder / "calibration.parquet"
    table.tail(CALIBRATION_TEXTS).select("text").write_parquet(calibration)
    chosen = table.head(STEPS * BATCH_ROWS)
    return Data(chosen["text"].to_list(), chosen["label"].to_list(), calibration)


def rows(kind: str, tokenizer: Path, data: Data, folder: Path) -> Iterator[tuple[str, ...]]:
    """A line of the table for every precision and level."""
    started = time.monotonic()
    accuracy = train(kind, tokenizer, data, folder / "checkpoint")
    print(f"{kind}: {accuracy:.1%} right in training, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    plain_s = None
    for precision, level in LEVELS:
        output = folder / f"{precision}-{level}"
        config = ExportConfig(
            str(folder / "checkpoint"), output, level, precision, "torch", calibration=data.calibration
        )
        try:
            directory = export_onnx(config)
        except ScorerError as error:
            yield (kind, precision, level, f"refused: {error}", *[""] * (len(COLUMNS) - 4))
            continue
        seconds = cpu_seconds(directory)
        plain_s = plain_s or seconds
        yield (kind, *described(directory), f"{plain_s / seconds:.2f}")


def train(kind: str, tokenizer_folder: Path, data: Data, folder: Path) -> float:
    """Save a small classifier, trained a little; returns its share of right answers in the last tenth of the steps."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.sep_token_id}
    special |= {"bos_token_id": tokenizer.cls_token_id}
    if kind == "modernbert":
        special |= {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
    config = CONFIG_MAPPING[kind](
        vocab_size=len(tokenizer), num_labels=max(data.labels) + 1, **SIZES | special | KINDS[kind]
    )
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    right = []
    for step in range(STEPS):
        part = slice(step * BATCH_ROWS, (step + 1) * BATCH_ROWS)
        feeds = tokenizer(data.texts[part], truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="pt")
        feeds.pop("token_type_ids", None)
        labels = torch.tensor(data.labels[part])
        out = model(**feeds, labels=labels)
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        right.append(float((out.logits.argmax(-1) == labels).float().mean()))
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return float(np.mean(right[-STEPS // 10 :]))


def described(directory: ModelDirectory) -> tuple[str, ...]:
    """What an export says of itself, and what its graph shows."""
    import onnx

    contract = directory.contract
    fidelity = contract.fidelity
    graph = onnx.load(directory.model_file).graph
    operators = {node.op_type for node in graph.node}
    fused = operators & {"Attention", "MultiHeadAttention", "QAttention"}
    return (
        contract.precision,
        contract.optimize,
        f"{contract.parity.max_logit_difference:.1e}",
        f"{contract.parity.max_loss_difference:.1e}",
        "" if fidelity is None else f"{fidelity.spearman:.4f}",
        "" if fidelity is None else f"{fidelity.head_overlap:.0%}",
        "fused" if fused else "plain",
        "yes" if contract.one_position else "no",
        f"{len(float_products(graph))} of {count_products(graph)}",
    )


def float_products(graph: Any) -> list[str]:
    """Names of the products with weights in float32 that are large enough to matter."""
    large = {
        t.name for t in graph.initializer if t.data_type == 1 and np.prod(t.dims) >= FEW_WEIGHTS and len(t.dims) > 1
    }
    kinds = {"Attention", "FusedGemm", "FusedMatMul", "Gemm", "MatMul"}
    return [node.name for node in graph.node if node.op_type in kinds and large.intersection(node.input[:2])]


def count_products(graph: Any) -> int:
    """Products with large weights of any type."""
    large = {t.name for t in graph.initializer if np.prod(t.dims) >= FEW_WEIGHTS and len(t.dims) > 1}
    kinds = {
        "Attention",
        "FusedGemm",
        "FusedMatMul",
        "Gemm",
        "MatMul",
        "MatMulInteger",
        "QAttention",
        "DynamicQuantizeMatMul",
    }
    return sum(node.op_type in kinds and bool(large.intersection(node.input[:2])) for node in graph.node)


def cpu_seconds(directory: ModelDirectory) -> float:
    """CPU time of a batch of texts of 54 tokens, on one thread; the least of several."""
    from scorer.model.session import create_session, import_onnxruntime

    session = create_session(import_onnxruntime(), directory.model_file, "cpu", 1, {})
    ids = np.random.default_rng(0).integers(1_000, 20_000, (SPEED_ROWS, 54))
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    feeds = {node.name: feeds[node.name] for node in session.get_inputs()}
    taken = []
    for _ in range(SPEED_REPEATS + 1):
        started = time.process_time()
        session.run(None, feeds)
        taken.append(time.process_time() - started)
    return min(taken[1:])


if __name__ == "__main__":
    main()
