"""How much memory does a run take, and its ranking, as the rows grow?

    python scripts/flat_memory.py score 1000000 4000000 16000000
    python scripts/flat_memory.py rank 1000000 10000000 100000000

`score` runs the whole of `scorer run` on generated corpora of short texts, with a model that does next to nothing, so
that everything else shows. `rank` ranks generated score rows. Each size is a process of its own; its peak is what the
system says of it.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from bag_model import write_bag_model

from scorer import schema
from scorer.cli.commands.demo import demo_model
from scorer.model.model_directory import open_model_directory
from scorer.tasks.single_label import scores_schema

SHARD_ROWS = 65_536
CLASSES = 4
WORDS = 8


def write_corpus(file: Path, rows: int) -> None:
    """A Parquet corpus of short texts."""
    labels = pa.array(open_model_directory(demo_model()).contract.label_names)
    words = np.array([f"word{number}" for number in range(5_000)], dtype=object)
    to = pa.schema([("text", pa.string()), ("label", pa.string())])
    with pq.ParquetWriter(file, to, compression="zstd") as writer:
        for start in range(0, rows, SHARD_ROWS):
            random = np.random.default_rng(start)
            count = min(SHARD_ROWS, rows - start)
            texts = words[random.integers(0, len(words), (count, WORDS))]
            joined = pa.array([" ".join(line) for line in texts.tolist()])
            writer.write_table(
                pa.table([joined, labels.take(pa.array(random.integers(0, len(labels), count)))], to.names)
            )


def write_scores(directory: Path, rows: int) -> None:
    """Score shards of generated rows."""
    (directory / "scores").mkdir(parents=True)
    names = pa.array([f"class {index}" for index in range(CLASSES)], pa.large_string())
    of = scores_schema(classes=CLASSES, pairs=False, keep_text=True)
    of = of.with_metadata(schema.file_metadata({"label_names": names.to_pylist()}))
    for index, start in enumerate(range(0, rows, SHARD_ROWS)):
        random = np.random.default_rng(index)
        count = min(SHARD_ROWS, rows - start)
        probabilities = random.random((count, CLASSES), dtype=np.float32) ** 4 + np.float32(1e-6)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        label = random.integers(0, CLASSES, count).astype(np.int32)
        predicted = probabilities.argmax(axis=1).astype(np.int32)
        confidence = probabilities[np.arange(count), label]
        row = pa.array(np.arange(start, start + count))
        columns = {
            "row": row,
            "id": row.cast(pa.large_string()),
            "source_file": pa.repeat(pa.scalar("generated.parquet", pa.large_string()), count),
            "text": pc.binary_join_element_wise(row.cast(pa.string()), "of the generated texts", " "),
            "label": pa.array(label),
            "label_name": names.take(pa.array(label)),
            "predicted_label": pa.array(predicted),
            "predicted_label_name": names.take(pa.array(predicted)),
            "loss": pa.array(-np.log(confidence)),
            "self_confidence": pa.array(confidence),
            "predicted_probability": pa.array(probabilities.max(axis=1)),
            "probabilities": pa.FixedSizeListArray.from_arrays(pa.array(probabilities.reshape(-1)), CLASSES),
            "n_tokens": pa.array(np.full(count, 12, np.int32)),
            "truncated": pa.array(np.zeros(count, np.bool_)),
            "precision": pa.repeat(pa.scalar("fp32", pa.large_string()), count),
        }
        with schema.parquet_writer(directory / "scores" / f"shard-{index:05d}.parquet", of) as writer:
            writer.write_table(pa.table([columns[name].cast(of.field(name).type) for name in of.names], schema=of))


def measured(code: str) -> tuple[float, float]:
    """Seconds and peak MB of a Python process."""
    started = time.monotonic()
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"the measured process ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - started, usage.ru_maxrss / 1024


def score_rows(folder: Path, rows: int) -> tuple[float, float]:
    """Seconds and peak MB of a run."""
    write_corpus(folder / "corpus.parquet", rows)
    model = write_bag_model(folder / "model")
    return measured(
        "from pathlib import Path; from scorer import RunConfig, score\n"
        f"folder = Path({str(folder)!r})\n"
        f"report = score(RunConfig(model=Path({str(model)!r}), data=(str(folder / 'corpus.parquet'),),\n"
        "                         output=folder / 'out', provider='cpu', max_batch_tokens=4096))\n"
        f"assert report.counts.read == report.counts.scored + report.counts.rejected == {rows}\n"
    )


def rank_rows(folder: Path, rows: int) -> tuple[float, float]:
    """Seconds and peak MB of ranking."""
    write_scores(folder, rows)
    used = measured(f"from pathlib import Path; from scorer import rank; rank(Path({str(folder)!r}))")
    check_ranking(folder, rows)
    return used


def check_ranking(folder: Path, rows: int) -> None:
    """Fail where the ranking is out of order or not of these rows."""
    expected, last, total = 1, math.inf, 0
    for batch in pq.ParquetFile(folder / "ranked.parquet").iter_batches(columns=["rank", "loss", "row"]):
        rank, loss = batch.column("rank").to_numpy(), batch.column("loss").to_numpy()
        assert rank[0] == expected
        assert loss[0] <= last
        assert (np.diff(loss) <= 0).all()
        expected, last = int(rank[-1]) + 1, float(loss[-1])
        total += int(batch.column("row").to_numpy().sum())
    assert expected == rows + 1
    assert total == rows * (rows - 1) // 2


def main() -> None:
    """Print a line per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["score", "rank"])
    parser.add_argument("rows", type=int, nargs="+")
    parser.add_argument("--folder", type=Path, help="where to work; a disk with room")
    arguments = parser.parse_args()
    measure = {"score": score_rows, "rank": rank_rows}[arguments.what]
    print(f"{'rows':>12} {'seconds':>9} {'µs/row':>8} {'ns/(n log n)':>13} {'peak MB':>8}", flush=True)
    for rows in arguments.rows:
        folder = Path(tempfile.mkdtemp(dir=arguments.folder))
        try:
            seconds, peak = measure(folder, rows)
        finally:
            shutil.rmtree(folder)
        per_row, per_step = seconds / rows * 1e6, seconds / rows / math.log2(rows) * 1e9
        print(f"{rows:12,} {seconds:9.1f} {per_row:8.2f} {per_step:13.1f} {peak:8.0f}", flush=True)


if __name__ == "__main__":
    main()
