"""Makes everything that `scorer demo` needs: a labelled corpus with planted errors, and a small classifier.

    python scripts/make_demo.py [--output scorer/demo_assets] [--seed 0]

It needs the extras `cpu` and `export`, no network, and about three minutes on one CPU core. The texts depend on the
seed alone; the classifier's last digits depend on the machine and the version of torch too.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from demo_classifier import train_checkpoint
from demo_texts import TRAINING_ROWS, ShippedRow, shipped_rows, training_messages

from scorer.config import RunConfig
from scorer.export.export import ExportConfig, export_onnx
from scorer.run.run import score

CORPUS = "corpus.parquet"
PLANTED = "planted.parquet"
MODEL = "model"
SEED_KEY = "demo.seed"  # in the metadata of both Parquet files


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """What a run over the corpus found.

    Attributes:
        rows: rows of the corpus.
        planted: rows whose label was flipped.
        found: flipped rows among the first `planted` of the ranking.
        accuracy: share of all rows whose predicted label is the true one.
    """

    rows: int
    planted: int
    found: int
    accuracy: float


def main() -> None:
    """Write texts, train, export, score, and describe the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("scorer/demo_assets"))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    output: Path = arguments.output
    seed: int = arguments.seed

    rows = shipped_rows(seed)
    output.mkdir(parents=True, exist_ok=True)
    write_tables(rows, output, seed)
    make_model(rows, output / MODEL, seed)
    figures = measure(rows, output)
    files = [file for file in output.rglob("*") if file.is_file() and file.name != "README.md"]
    size_bytes = sum(file.stat().st_size for file in files)
    (output / "README.md").write_text(describe(figures, size_bytes, seed), encoding="utf-8")
    print(f"accuracy against the true labels: {figures.accuracy:.2%}")
    print(f"{figures.found} of {figures.planted} planted errors among the first {figures.planted} rows")
    print(f"wrote {output}: {size_bytes / 1e6:.1f} MB")


def write_tables(rows: Sequence[ShippedRow], output: Path, seed: int) -> None:
    """Write what a run may see, and apart from it what it may not."""
    table = pl.DataFrame(rows)
    corpus = table.select("id", "text", label="given_label")
    planted = table.filter(pl.col("given_label") != pl.col("true_label")).drop("text")
    for name, part in ((CORPUS, corpus), (PLANTED, planted)):
        part.write_parquet(output / name, compression="zstd", compression_level=19, metadata={SEED_KEY: str(seed)})


def make_model(rows: Sequence[ShippedRow], output: Path, seed: int) -> None:
    """Train on messages that are not in the corpus, then export."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / "fernhollow-bert"
        train_checkpoint(training_messages(seed, rows), checkpoint, seed)
        print(f"trained in {time.perf_counter() - started:.0f} s")
        export_onnx(ExportConfig(model=str(checkpoint), output=output, overwrite=True), notify=print)


def measure(rows: Sequence[ShippedRow], output: Path) -> Figures:
    """Score the corpus as a user would, then look at the truth."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        score(RunConfig(model=output / MODEL, data=(str(output / CORPUS),), output=run, provider="cpu"))
        ranked = pl.read_parquet(run / "ranked.parquet").sort("rank")
    truth = pl.DataFrame(rows).select("id", "true_label", planted=pl.col("given_label") != pl.col("true_label"))
    joined = ranked.join(truth, on="id", validate="1:1", maintain_order="left")
    planted = int(truth["planted"].sum())
    return Figures(
        rows=len(truth),
        planted=planted,
        found=int(joined["planted"].head(planted).sum()),
        accuracy=float((joined["predicted_label_name"] == joined["true_label"]).sum()) / len(truth),
    )


def describe(figures: Figures, size_bytes: int, seed: int) -> str:
    """The README of the assets."""
    return f"""# Demo assets

What `scorer demo` runs on, offline. All of it was made by this project with
`python scripts/make_demo.py --seed {seed}`; there is no third-party text or weight in it. Licence: Apache-2.0,
the project's own.

| file | content |
|---|---|
| `corpus.parquet` | {figures.rows:,} messages to Fernhollow, an online shop that does not exist: `id`, `text`, `label` |
| `planted.parquet` | the {figures.planted} rows ({figures.planted / figures.rows:.0%}) whose label was flipped to a random other class: `id`, `given_label`, `true_label`; a run never sees it |
| `model/` | a BERT of 2 layers, 128 wide, trained from nothing and exported by `scorer export-onnx` |

The texts come from a grammar (`scripts/demo_grammar.toml`) and the seed, which both Parquet files carry in their metadata.
Some messages speak of two matters, some are too vague to tell, some are full of typos. The classifier learned from
{TRAINING_ROWS:,} other messages of the same grammar, correctly labelled, none of which is in the corpus: its scores are
out-of-sample. Two choices were made with an eye on the figures below, which flatters them a little: the share of unclear
messages, and the numbers of training messages and epochs (the best of three settings).

| figure | value |
|---|---|
| planted errors among the first {figures.planted} rows of the ranking | {figures.found} of {figures.planted} ({figures.found / figures.planted:.0%}) |
| predicted label equals true label | {figures.accuracy:.2%} of rows |
| size without this file | {size_bytes / 1e6:.1f} MB |

Training and corpus share one grammar, which real data never do, and random flips are easier to find than honest mistakes.
The figures show that the pipeline works; they do not say what to expect of your data.
"""  # noqa: E501 — a table's row is one line


if __name__ == "__main__":
    main()
