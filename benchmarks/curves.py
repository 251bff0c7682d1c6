"""What a row costs: `scorer run` and the notebook's path by text length, `scorer run` by the size of the corpus.

    python benchmarks/curves.py CHECKPOINT DATA --output benchmarks/results/curves.json

Texts of the lengths are cut from real ones laid end to end. The corpora are real rows again and again, each text
with a number of its own behind it, so that no two are alike; a small model scores them (`--size-model`, by default
the demo's), since the checkpoint would take hours for a million rows. `scorer run` counts from starting Python to the
written ranking; the notebook's path counts scoring alone, on a quarter of the rows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from charts import draw_curves
from command import scorer_run
from contenders import NOTEBOOK
from environments import Interpreters
from job import Job
from machine import machine, stamp
from preparation import draw, export, job_of, write_rows
from rounds import run_rounds
from tokenizers import Tokenizer

from scorer.cli.commands.demo import demo_model
from scorer.model.model_directory import TOKENIZER_FILE, open_model_directory
from scorer.system.machine import allowed_threads

HERE = Path(__file__).parent
LENGTHS = (16, 32, 64, 128, 256, 512)
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
# Rows of the data that the texts are made of.
SEED_ROWS = 5_000
# Rows of a corpus written at a time.
PIECE_ROWS = 50_000
NOTEBOOK_SHARE = 4


def main() -> None:
    """Measure every point, write JSON and chart."""
    options = parse()
    host = machine()
    models, failures = export(options.checkpoint.resolve(), options.cache.resolve(), ["fp32"])
    for reason in failures.values():
        raise SystemExit(reason)
    with tempfile.TemporaryDirectory(prefix="scorer-curves-") as folder:
        job = job_of(options.checkpoint.resolve(), models, Path(folder), "cpu", options.threads, rehearsal=False)
        draw(options.data, models / "fp32", job.workdir, SEED_ROWS)
        texts: list[str] = json.loads(job.texts_file.read_text(encoding="utf-8"))["texts"]
        lengths = [length_point(job, texts, n, options.tokens) for n in options.lengths if n <= job.max_length]
        sizes = [size_point(options.size_model, job.workdir, texts, rows) for rows in options.sizes]
    document = {
        "benchmark": "curves",
        **stamp(),
        "model": options.checkpoint.name,
        "size_model": "the demo's model" if options.size_model == demo_model() else options.size_model.name,
        "data": ["/".join(Path(each).parts[-2:]) for each in options.data],
        "threads": options.threads,
        "machine": host,
        "lengths": lengths,
        "sizes": sizes,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    chart = options.output.with_suffix(".png")
    draw_curves(document, chart)
    print(f"wrote {options.output} and {chart}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="folder of a fine-tuned PyTorch classifier")
    parser.add_argument("data", nargs="+", help="rows whose texts are used, in any format that `scorer run` reads")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS, help="tokens a text")
    parser.add_argument("--tokens", type=int, default=200_000, help="tokens in all, for each length")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="rows of a corpus")
    parser.add_argument("--size-model", type=Path, default=demo_model(), help="model directory that scores the corpora")
    parser.add_argument("--threads", type=int, default=allowed_threads())
    parser.add_argument("--cache", type=Path, default=HERE / ".cache", help="folder of exports")
    return parser.parse_args()


def length_point(job: Job, texts: list[str], length: int, tokens: int) -> dict[str, Any]:
    """Rates on texts of about so many tokens."""
    pieces = cut(texts, job.models / "fp32", length)[: tokens // length]
    write_rows(pieces, [0] * len(pieces), job.workdir)
    threads = ("--threads", str(job.threads))
    ran, report = scorer_run(job.models / "fp32", [str(job.rows_file)], "--labels-by-index", *threads)
    few = pieces[: max(1, len(pieces) // NOTEBOOK_SHARE)]
    write_rows(few, [0] * len(few), job.workdir)
    notebook = run_rounds(
        [NOTEBOOK], job, Interpreters({}, {}), repeats=1, ends_at=float("inf"), say=lambda line: None
    )[0]
    if not notebook.measured:
        raise SystemExit(f"{NOTEBOOK}: {notebook.failure}")
    point = {
        "tokens": length,
        "real_tokens": report["counts"]["tokens"] / report["counts"]["distinct"],
        "scorer": {"rows": len(pieces), "seconds": ran.seconds, "rows_per_s": len(pieces) / ran.seconds},
        "notebook": {
            "rows": len(few),
            "seconds": notebook.measured[0].seconds,
            "rows_per_s": len(few) / notebook.measured[0].seconds,
        },
    }
    print(
        f"{length:>4} tokens   scorer {point['scorer']['rows_per_s']:8.1f} rows/s   "
        f"notebook {point['notebook']['rows_per_s']:8.1f} rows/s",
        flush=True,
    )
    return point


def cut(texts: list[str], model: Path, length: int) -> list[str]:
    """All texts laid end to end, cut into pieces of so many tokens, those that the model adds included."""
    tokenizer = Tokenizer.from_file(str(model / TOKENIZER_FILE))
    tokenizer.no_truncation()
    step = length - tokenizer.num_special_tokens_to_add(False)
    laid = " ".join(texts)
    ends = tokenizer.encode(laid, add_special_tokens=False).offsets
    return [laid[ends[i][0] : ends[i + step - 1][1]] for i in range(0, len(ends) - step + 1, step)]


def size_point(model: Path, workdir: Path, texts: list[str], rows: int) -> dict[str, Any]:
    """Time and memory on a corpus of so many rows."""
    file = workdir / "corpus.parquet"
    write_corpus(file, texts, rows, classes=len(open_model_directory(model).contract.label_names))
    ran, report = scorer_run(model, [str(file)], "--labels-by-index")
    assert report["counts"]["scored"] == rows
    point = {
        "rows": rows,
        "tokens": report["counts"]["tokens"],
        "seconds": ran.seconds,
        "rows_per_s": rows / ran.seconds,
        "peak_mib": ran.peak_bytes / 2**20,
    }
    print(f"{rows:>9,} rows   {point['rows_per_s']:9.1f} rows/s   peak {point['peak_mib']:6,.0f} MiB", flush=True)
    return point


def write_corpus(file: Path, texts: list[str], rows: int, classes: int) -> None:
    """The texts again and again, each with its row behind it; labels in turn, for they cost nothing."""
    schema = pa.schema({"text": pa.string(), "label": pa.int32()})
    with pq.ParquetWriter(file, schema) as writer:
        for start in range(0, rows, PIECE_ROWS):
            numbers = range(start, min(start + PIECE_ROWS, rows))
            piece = {
                "text": [f"{texts[row % len(texts)]} {row}" for row in numbers],
                "label": [row % classes for row in numbers],
            }
            writer.write_table(pa.table(piece, schema=schema))


if __name__ == "__main__":
    main()
