"""The same rows, whatever the files and formats they come in, give the same ranking, and every row is accounted for."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from bag_model import write_bag_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scorer import RunConfig, score
from scorer.model.model_directory import open_model_directory

Row = dict[str, Any]
FORMATS = (".parquet", ".csv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".arrow")


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag_model(tmp_path_factory.mktemp("bag") / "model")


def write(rows: Sequence[Row], file: Path) -> None:
    kind = next(suffix for suffix in file.suffixes if suffix != ".gz")
    table = pa.Table.from_pylist(list(rows), pa.schema([(name, pa.string()) for name in ("id", "text", "label")]))
    if kind == ".parquet":
        pl.from_arrow(table).write_parquet(file, row_group_size=7)
    elif kind == ".arrow":
        with pa.ipc.new_file(str(file), table.schema) as writer:
            writer.write_table(table, max_chunksize=5)
    else:
        opened = gzip.open if file.suffix == ".gz" else open
        with opened(file, "wt", encoding="utf-8", newline="") as sink:
            if kind == ".jsonl":
                sink.writelines(json.dumps(row) + "\n" for row in rows)
            else:
                delimiter = "\t" if kind == ".tsv" else ","
                writer = csv.DictWriter(sink, ["id", "text", "label"], delimiter=delimiter, quoting=csv.QUOTE_ALL)
                writer.writeheader()
                writer.writerows(rows)


def split(rows: list[Row], files: int, noise: random.Random, folder: Path) -> tuple[str, ...]:
    """The rows in so many files of random formats, some of them empty."""
    cuts = sorted(noise.choices(range(len(rows) + 1), k=files - 1))
    names = []
    for index, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(rows)], strict=True)):
        part = rows[start:stop]
        suffix = noise.choice([s for s in FORMATS if part or ".jsonl" not in s])  # an empty one has no columns
        names.append(str(folder / f"{index:03}{suffix}"))
        write(part, Path(names[-1]))
    return tuple(names)


TEXTS = st.one_of(
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "ignore").decode()),
    st.sampled_from(["some news", "two\nlines", '"quoted", news', "😀", "\u202eleft", "nul\x00 in it", "\x1b[31m"]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_files_of_the_same_rows_give_the_same_ranking(data: st.DataObject, bag: Path) -> None:
    names = open_model_directory(bag).contract.label_names
    texts = st.one_of(TEXTS, TEXTS, TEXTS, st.sampled_from(["", " \n", None]))
    labels = st.one_of(st.sampled_from(names), st.sampled_from(["", "-1", " ", None]))
    rows = [{"text": "good news", "label": name} for name in names] * 20
    rows += [
        {"text": text, "label": label} for text, label in data.draw(st.lists(st.tuples(texts, labels), max_size=60))
    ]
    rows += [{"text": text, "label": "no label of ours"} for text in data.draw(st.lists(texts, max_size=9))]
    rows = [{"id": f"id {number}", **row} for number, row in enumerate(data.draw(st.permutations(rows)))]
    noise = data.draw(st.randoms(use_true_random=False))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        write(rows, path / "one.parquet")
        config = RunConfig(model=bag, data=(str(path / "one.parquet"),), output=path / "one", provider="cpu")
        other = dataclasses.replace(
            config,
            data=split(rows, data.draw(st.integers(1, 50)), noise, path),
            output=path / "other",
            shard_rows=data.draw(st.integers(1, 70)),
            window_rows=data.draw(st.integers(1, 30)),
        )
        expected, found = outcome(config), outcome(other)
    for frame in (expected, found):
        assert frame["rows"] == list(range(len(rows)))
    assert found["ranking"].equals(expected["ranking"])
    assert found["rejected"] == expected["rejected"]


def outcome(config: RunConfig) -> dict[str, Any]:
    report = score(config)
    ranked, rejects = (pl.read_parquet(config.output / f"{name}.parquet") for name in ("ranked", "rejects"))
    assert report.counts.read == report.counts.scored + report.counts.rejected
    assert (report.counts.scored, report.counts.rejected) == (ranked.height, rejects.height)
    return {
        "rows": sorted([*ranked["row"], *rejects["row"]]),
        "ranking": ranked.drop("source_file"),
        "rejected": list(zip(rejects["row"], rejects["id"], strict=True)),
    }
