"""Rankings that do not fit into memory come out like those that do: every row once, in order, whatever the ties."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import schema
from scorer.ranking import external_sort, scored_rows
from scorer.ranking import rank as ranking
from scorer.ranking.external_sort import Keys, choose_splitters, sort_externally
from scorer.ranking.rank import rank
from scorer.tasks.single_label import scores_schema

CLASSES = 3


def losses(kind: str, rows: int, random: np.random.Generator) -> np.ndarray:
    values = {
        "spread": random.exponential(1, rows),
        "one value": np.full(rows, 0.25),
        "two values": random.integers(0, 2, rows),
        "mostly one": np.where(random.random(rows) < 0.9, 0.5, random.exponential(1, rows)),
        "rising": np.linspace(0, 9, rows),
        "signed": np.concatenate([[-0.0, 0.0, np.inf], random.normal(size=rows - 3)]),
    }
    return values[kind].astype(np.float32)


KINDS = ("spread", "one value", "two values", "mostly one", "rising", "signed")


def write_run(directory: Path, loss: np.ndarray, shard_rows: int, random: np.random.Generator) -> pl.DataFrame:
    """Score shards of rows with these losses; returns all rows."""
    (directory / "scores").mkdir(parents=True)
    to = scores_schema(classes=CLASSES, pairs=False, keep_text=True)
    to = to.with_metadata(schema.file_metadata({"label_names": list("abc")}))
    frames = []
    for index, start in enumerate(range(0, len(loss), shard_rows)):
        rows = np.arange(start, min(start + shard_rows, len(loss)))
        probabilities = random.dirichlet(np.ones(CLASSES), len(rows)).astype(np.float32)
        columns = {
            "row": rows,
            "id": [f"id{row}" for row in rows],
            "source_file": ["data.csv"] * len(rows),
            "text": [f"text {row} " * int(random.integers(1, 9)) for row in rows],
            "label": rows % CLASSES,
            "label_name": ["abc"[row % CLASSES] for row in rows],
            "predicted_label": probabilities.argmax(1),
            "predicted_label_name": ["abc"[index] for index in probabilities.argmax(1)],
            "loss": loss[rows],
            "self_confidence": np.exp(-loss[rows]),
            "predicted_probability": probabilities.max(1),
            "probabilities": list(probabilities),
            "n_tokens": [7] * len(rows),
            "truncated": [False] * len(rows),
            "precision": ["fp32"] * len(rows),
        }
        table = pa.table({name: pa.array(columns[name], to.field(name).type) for name in to.names}, schema=to)
        file = directory / "scores" / f"shard-{index:05d}.parquet"
        with schema.parquet_writer(file, to) as writer:
            writer.write_table(table, row_group_size=max(1, shard_rows // 3))
        frames.append(pl.read_parquet(file))
    return pl.concat(frames)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little that a few hundred rows are cut into ranges that wait on disk."""
    monkeypatch.setattr(external_sort, "BUFFER_BYTES", 8_000)
    monkeypatch.setattr(scored_rows, "RANGE_BYTES", 4_000)
    monkeypatch.setattr(scored_rows, "BLOCK_BYTES", 2_000)
    monkeypatch.setattr(ranking, "ROW_GROUP_ROWS", 64)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shard_rows", [1_000, 97])
def test_rows_come_out_in_order_once_each(kind: str, shard_rows: int, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    rows = write_run(tmp_path, losses(kind, 700, random), shard_rows, random)
    ranked = pl.read_parquet(rank(tmp_path))
    order = np.lexsort((rows["row"].to_numpy(), -rows["loss"].to_numpy()))
    assert ranked["rank"].to_list() == list(range(1, 701))
    assert ranked.drop("rank").equals(rows[order])
    groups = pq.read_metadata(tmp_path / "ranked.parquet")
    assert {groups.row_group(index).num_rows for index in range(groups.num_row_groups - 1)} == {64}
    assert not (tmp_path / ".sorting").exists()


@pytest.mark.parametrize("top", [1, 64, 5_000])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("memory", ["little", "enough"])
def test_the_head_alone_is_the_head_of_the_whole(
    top: int, kind: str, memory: str, *, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if memory == "little":
        request.getfixturevalue("little_memory")
    random = np.random.default_rng(2)
    write_run(tmp_path, losses(kind, 700, random), 97, random)
    whole = pl.read_parquet(rank(tmp_path))
    assert pl.read_parquet(rank(tmp_path, top=top)).equals(whole.head(top))


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("by", ["self_confidence", "normalized_margin", "entropy"])
def test_other_scores_rank_alike_in_little_memory(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    write_run(tmp_path, losses("spread", 700, random), 97, random)
    little = pl.read_parquet(rank(tmp_path, by))  # type: ignore[arg-type]
    monkeypatch.undo()
    assert pl.read_parquet(rank(tmp_path, by)).equals(little)  # type: ignore[arg-type]
    assert by in little.columns
    assert little[by].is_sorted(descending=by == "entropy")


def test_ranges_are_of_like_size_whatever_the_ties() -> None:
    random = np.random.default_rng(4)
    for kind in KINDS:
        keys = Keys(losses(kind, 50_000, random), np.arange(50_000))
        splitters = choose_splitters([keys.take(np.arange(s, s + 1_000)) for s in range(0, 50_000, 1_000)], 50_000, 20)
        sizes = np.bincount(keys.ranges(splitters), minlength=20)
        assert sizes.sum() == 50_000
        assert sizes.max() < 2 * 50_000 / 20, kind


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_sort, "BUFFER_BYTES", 2**20)
    random = np.random.default_rng(5)
    texts = pa.array(["x" * 100] * 1_000, pa.large_string())

    def peak(blocks: int) -> int:
        def tables() -> object:
            for block in range(blocks):
                rows = np.arange(block * 1_000, (block + 1) * 1_000)
                yield pa.table({"row": rows, "loss": random.random(1_000).astype(np.float32), "text": texts})

        def key_of(table: pa.Table) -> Keys:
            return Keys(table.column("loss").to_numpy(), table.column("row").to_numpy())

        ranges = blocks // 5
        splitters = choose_splitters(map(key_of, tables()), blocks * 1_000, ranges)
        tracemalloc.start()
        before = pa.total_allocated_bytes()
        most = rows = 0
        for table in sort_externally(tables(), key_of, splitters, tmp_path / "sorting"):
            rows += len(table)
            most = max(most, pa.total_allocated_bytes() - before + tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert rows == blocks * 1_000
        return most

    assert peak(200) < 1.5 * peak(50)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    write_run(tmp_path, losses("spread", 300, random), 100, random)
    shard = tmp_path / "scores" / "shard-00001.parquet"
    content = bytearray(shard.read_bytes())
    content[200:400] = b"\xff" * 200
    shard.write_bytes(content)
    with pytest.raises(scored_rows.DataError, match=r"shard-00001\.parquet' is damaged.*Remove it.*scorer run"):
        rank(tmp_path)
    assert not (tmp_path / "ranked.parquet").exists()
