"""Parts of a corpus scored apart and joined give what one run over the whole gives."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from scorer import RunConfig, score
from scorer.errors import DataError, OutputError, UsageError
from scorer.listener import Silence
from scorer.ranking.merging import merge
from scorer.results.run_report import RunReport

PARTS = 3


@pytest.fixture
def config(model: Path, corpus: pl.DataFrame, tmp_path: Path) -> RunConfig:
    """Seven shards, with rejects in some."""
    file = tmp_path / "data.parquet"
    row = pl.int_range(pl.len())
    corpus.with_columns(text=pl.when(row % 130 == 7).then(None).otherwise(pl.col("text"))).write_parquet(file)
    return RunConfig(model=model, data=(str(file),), output=tmp_path / "whole", provider="cpu", shard_rows=90)


@pytest.fixture
def parts(config: RunConfig, tmp_path: Path) -> list[Path]:
    runs = [
        dataclasses.replace(config, output=tmp_path / f"part-{part}", part=(part, PARTS))
        for part in range(1, PARTS + 1)
    ]
    for run in runs:
        score(run)
    return [run.output for run in runs]


def test_joined_parts_equal_one_run(config: RunConfig, parts: list[Path], tmp_path: Path) -> None:
    expected = score(config)
    merge(parts[::-1], tmp_path / "joined", "loss", None, Silence())
    for name in ("ranked", "rejects"):
        whole, joined = (pl.read_parquet(path / f"{name}.parquet") for path in (config.output, tmp_path / "joined"))
        assert joined.equals(whole), name
    report = RunReport.from_json((tmp_path / "joined" / "run.json").read_text())
    assert report.counts == expected.counts


def test_parts_are_joined_on_the_command_line(
    config: RunConfig, parts: list[Path], tmp_path: Path, scorer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = scorer("rank", *parts, "--output", tmp_path / "joined", "--by", "normalized_margin", "--ranked-top", 50)
    assert done.returncode == 0, done.stderr
    joined = pl.read_parquet(tmp_path / "joined" / "ranked.parquet")
    assert joined.height == 50
    assert joined["normalized_margin"].is_sorted()
    assert scorer("show", tmp_path / "joined").returncode == 0
    part = scorer("run", config.model, *config.data, "-o", tmp_path / "again", "--part", "2/3")
    assert part.returncode == UsageError.exit_code  # one shard of 65,536 rows
    assert "--part 2/3: the data make only 1 shards" in part.stderr


def test_a_missing_part_is_said(parts: list[Path], tmp_path: Path) -> None:
    said: list[str] = []

    class Hearing(Silence):
        def warning(self, message: str) -> None:
            said.append(message)

    merge(parts[:2], tmp_path / "joined", "loss", None, Hearing())
    assert said == ["the parts hold 360 of the data's 600 rows."]


def test_what_does_not_belong_together_is_not_joined(config: RunConfig, parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"hold the same rows \(from row 0 on\)"):
        merge([*parts, parts[0]], tmp_path / "joined", "loss", None, Silence())
    score(dataclasses.replace(config, output=tmp_path / "other", max_length=9, part=(1, PARTS)))
    with pytest.raises(UsageError, match=r"does not belong to .*--max-length was 128 and is 9|was 9 and is 128"):
        merge([parts[1], tmp_path / "other"], tmp_path / "joined", "loss", None, Silence())
    with pytest.raises(OutputError, match="holds a run of its own"):
        merge(parts, parts[0], "loss", None, Silence())
    (parts[1] / "run.json").unlink()
    with pytest.raises(DataError, match=r"part-2' holds no finished run"):
        merge(parts, tmp_path / "joined", "loss", None, Silence())
    assert not (tmp_path / "joined").exists()


def test_a_part_whose_rows_are_all_bad_still_has_its_account(config: RunConfig, tmp_path: Path) -> None:
    frame = pl.read_parquet(config.data[0])
    frame.with_columns(text=pl.when(pl.int_range(pl.len()) < 180).then(None).otherwise("text")).write_parquet(
        config.data[0]
    )
    report = score(dataclasses.replace(config, part=(1, PARTS)))
    assert (report.counts.read, report.counts.scored) == (180, 0)
    assert json.loads((config.output / "run.json").read_text())["counts"]["rejected"] == 180
