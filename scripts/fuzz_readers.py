"""Feed generated files to the readers and the labels: each must end in rows or in one of our own errors.

    python scripts/fuzz_readers.py --inputs 20000

Files are good ones with bytes changed, cut, repeated or put in, labels of every kind among them. Anything but rows or a
`ScorerError` is printed with its seed, and so is what takes longer than a few seconds.
"""

from __future__ import annotations

import argparse
import bz2
import faulthandler
import gzip
import io
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.config import RunConfig
from scorer.errors import ScorerError
from scorer.labels import resolve_labels
from scorer.pipeline.windows import reject_reasons
from scorer.sources import open_source, plan_source, read_shards
from scorer.tasks.single_label import SingleLabel

# Seconds after which an input counts as one that hangs.
HANGS_S = 20
LABELS: tuple[Any, ...] = ("World", "Sports", "sports ", "", None, 0, 1, -1, -100, 2**40, 2**70, 1.5, True, "0", "1.0")
ODD_LABELS: tuple[Any, ...] = ([1], {"a": 1}, "Žluť", "\x00", "a" * 3_000, "\ud800", "NaN", "-", "+1", "\u0661")
GOOD_TEXTS: tuple[Any, ...] = ("a text", "", None, " ", 'with "quotes", commas', "two\nlines", "😀", "\ufeff")
TEXTS: tuple[Any, ...] = (*GOOD_TEXTS, "x" * 5_000, "\x00", 7, [], 1.5, {"a": "b"})
PIECES = (
    b'"',
    b'""',
    b",",
    b"\n",
    b"\r",
    b"\x00",
    b"\xff",
    b"\xfe\xff",
    b"{",
    b"}",
    b"[",
    b"\\u d800",
    b"\\ud83d",
    b"1e999",
)
NAMES = ("World", "Sports", "Business")


def rows_of(noise: random.Random) -> list[dict[str, Any]]:
    """Rows, good ones or of values of any kind."""
    labels, texts = noise.choice([(NAMES, GOOD_TEXTS), (LABELS, GOOD_TEXTS), (LABELS + ODD_LABELS, TEXTS)])
    rows = [{"text": noise.choice(texts), "label": noise.choice(labels)} for _ in range(noise.choice([0, 1, 2, 5, 30]))]
    if rows and noise.random() < 0.3:
        noise.choice(rows)["id"] = noise.choice(["a", 1, None, [2]])
    return rows


def delimited(rows: list[dict[str, Any]], noise: random.Random, delimiter: str) -> bytes:
    """Rows as CSV, quoted well or badly."""
    lines = [delimiter.join(("text", "label"))]
    for each in rows:
        cells = [str(each["text"]), str(each["label"])]
        if noise.random() < 0.8:
            cells = ['"' + cell.replace('"', '""') + '"' for cell in cells]
        lines.append(delimiter.join(cells))
    return noise.choice(["\n", "\r\n", "\r"]).join(lines).encode("utf-8", "surrogatepass")


def parquet(rows: list[dict[str, Any]], noise: random.Random) -> bytes:
    """Rows as Parquet; columns of one type each."""
    label = noise.choice([label for label in LABELS if label != 2**70])
    columns = {
        "text": pa.array([each["text"] if isinstance(each["text"], str) else None for each in rows], pa.string()),
        "label": pa.array([label] * len(rows), pa.string() if label is None else None),
    }
    sink = io.BytesIO()
    compression = noise.choice(["none", "snappy", "zstd", "gzip"])
    pq.write_table(pa.table(columns), sink, row_group_size=noise.randint(1, 20), compression=compression)
    return sink.getvalue()


def damaged(content: bytes, noise: random.Random) -> bytes:
    """The bytes with a few changes."""
    text = bytearray(content)
    for _ in range(noise.choice([0, 0, 0, 1, 1, 2, 5])):
        at = noise.randint(0, len(text))
        match noise.randrange(5):
            case 0:
                text[at:at] = noise.choice(PIECES)
            case 1:
                del text[at : at + noise.choice([1, 2, 50])]
            case 2:
                del text[at:]
            case 3 if at < len(text):
                text[at] = noise.randrange(256)
            case _:
                text[at:at] = text[at : at + noise.choice([1, 10, 500])]
    return bytes(text)


def write_input(folder: Path, noise: random.Random) -> Path:
    """A file of a random kind."""
    rows = rows_of(noise)
    kind = noise.choice([".csv", ".tsv", ".jsonl", ".json", ".parquet"])
    if kind in {".csv", ".tsv"}:
        content = delimited(rows, noise, "," if kind == ".csv" else "\t")
    elif kind == ".parquet":
        content = parquet(rows, noise)
    else:
        content = "\n".join(json.dumps(each, ensure_ascii=noise.random() < 0.5) for each in rows).encode(
            "utf-8", "surrogatepass"
        )
    content, suffix = damaged(content, noise), ""
    if kind != ".parquet" and noise.random() < 0.2:
        suffix = noise.choice([".gz", ".bz2"])
        content = gzip.compress(content) if suffix == ".gz" else bz2.compress(content)
        content = damaged(content, noise) if noise.random() < 0.5 else content
    file = folder / f"data{kind}{suffix}"
    file.write_bytes(content)
    return file


def label_map(noise: random.Random) -> dict[str, str | int | None] | None:
    """None, or a translation of some labels, good or bad."""
    if noise.random() < 0.7:
        return None
    targets: tuple[str | int | None, ...] = ("World", "sports", 0, 1, 7, -1, None, "nothing")
    keys = [str(label) for label in (*LABELS, *ODD_LABELS)]
    return {noise.choice(keys): noise.choice(targets) for _ in range(noise.randint(1, 8))}


def read_all(file: Path, noise: random.Random) -> int:
    """Read a file as a run does, up to what inference would see; returns its rows."""
    skip = noise.random() < 0.3
    config = RunConfig(model=file, data=(str(file),), output=file, skip_bad_files=skip)
    source = open_source(config, lambda _: None)
    plan = plan_source(source, shard_rows=noise.choice([1, 7, 1_000]), limit=None, skip_bad_files=skip)
    labels = resolve_labels(
        plan.label_counts, NAMES, class_names=None, label_map=label_map(noise), by_index=noise.random() < 0.3
    )
    rows = 0
    for _, batch in read_shards(source, plan.shards, noise.choice([1, 10, 1_000])):
        _, reasons = SingleLabel(labels, NAMES).read(batch.column("label"))
        assert len(reject_reasons(batch, reasons)) == batch.num_rows
        rows += batch.num_rows
    assert rows == plan.rows
    return rows


def fuzz(seed: int, folder: Path) -> str:
    """What became of one input: "rows", or the name of our error; any other exception is raised."""
    noise = random.Random(seed)
    file = write_input(folder, noise)
    try:
        read_all(file, noise)
    except ScorerError as error:
        return type(error).__name__ if str(error) else "an error without a message"
    finally:
        file.unlink()
    return "rows"


def main() -> None:
    """Try so many inputs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    outcomes: Counter[str] = Counter()
    slowest = (0.0, 0)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.first, arguments.first + arguments.inputs):
            faulthandler.dump_traceback_later(HANGS_S, exit=True)
            started = time.monotonic()
            try:
                outcomes[fuzz(seed, Path(folder))] += 1
            except Exception as error:
                raise SystemExit(f"input {seed}: {type(error).__name__}: {error}") from error
            slowest = max(slowest, (time.monotonic() - started, seed))
    faulthandler.cancel_dump_traceback_later()
    print(f"{arguments.inputs:,} inputs: {dict(outcomes.most_common())}; the slowest took {slowest[0]:.2f} s")


if __name__ == "__main__":
    main()
