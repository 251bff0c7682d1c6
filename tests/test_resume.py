"""A run that ended early goes on where it stopped; a run of something else is refused; two runs never mix."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from scorer import RunConfig, score
from scorer.errors import DataError, OutputError, RunInterrupted, ScorerError
from scorer.listener import Silence
from scorer.schema import LOCK_FILE, RUN_FILE
from scorer.system.documents import plain
from scorer.system.lock import locked


class Hearing(Silence):
    """Remembers what it hears, and may interrupt after so many shards' worth of rows."""

    def __init__(self, *, interrupt_after: int | None = None, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.said: list[str] = []
        self._left, self._error = interrupt_after, error

    def info(self, message: str) -> None:
        self.said.append(message)

    def warning(self, message: str) -> None:
        self.said.append(message)

    def advanced(self, rows: int, tokens: int) -> None:
        if self._left is not None:
            self._left -= rows
            if self._left < 0:
                raise self._error

    def heard(self, fragment: str) -> bool:
        return any(fragment in sentence for sentence in self.said)


@pytest.fixture
def data(corpus: pl.DataFrame, tmp_path: Path) -> Path:
    """The corpus with a bad row in every hundred."""
    file = tmp_path / "data.parquet"
    row = pl.int_range(pl.len())
    bad = corpus.with_columns(text=pl.when(row % 100 == 7).then(None).otherwise(pl.col("text")))
    bad.write_parquet(file, row_group_size=50)
    return file


@pytest.fixture
def config(model: Path, data: Path, tmp_path: Path) -> RunConfig:
    """Six shards of two windows."""
    return RunConfig(
        model=model, data=(str(data),), output=tmp_path / "out", provider="cpu", shard_rows=100, window_rows=50
    )


def interrupted(config: RunConfig, after: int) -> RunInterrupted:
    with pytest.raises(RunInterrupted) as ended:
        score(config, Hearing(interrupt_after=after))
    return ended.value


def parts(config: RunConfig) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in sorted((config.output / "scores").iterdir())}


def results(directory: Path) -> dict[str, pl.DataFrame]:
    return {name: pl.read_parquet(directory / f"{name}.parquet") for name in ("ranked", "rejects")}


def assert_like_an_undisturbed_run(config: RunConfig) -> None:
    whole = dataclasses.replace(config, output=config.output.parent / "whole", workers=1)
    expected = score(whole)
    for name, frame in results(whole.output).items():
        assert results(config.output)[name].equals(frame), name
    report = json.loads((config.output / RUN_FILE).read_text())
    assert report["counts"] == plain(expected.counts)
    assert report["agreement"] == plain(expected.agreement)
    assert report["counts"]["read"] == report["counts"]["scored"] + report["counts"]["rejected"]
    assert not [path for path in config.output.rglob("*") if ".tmp" in path.name or path.name == LOCK_FILE]


@pytest.mark.parametrize("after", [0, 130, 330, 590])
def test_an_interrupted_run_goes_on_and_ends_like_an_undisturbed_one(after: int, config: RunConfig) -> None:
    ended = interrupted(config, after)
    done = parts(config) if ended.kept else {}
    assert f"{len(done)} of 6 shards" in ended.state
    listener = Hearing()
    report = score(config, listener)
    assert listener.heard(f"Going on with an earlier run: {len(done)} of 6 shards are finished.") == ended.kept
    assert report.resumed.shards == len(done)
    assert {name: stamp for name, stamp in parts(config).items() if name in done} == done
    assert_like_an_undisturbed_run(config)


@pytest.mark.parametrize("most", [2**20, 150])
@pytest.mark.parametrize("after", [0, 350, 800, 1_090])
def test_a_run_of_texts_that_come_again_ends_alike_whether_or_not_it_was_ended(
    most: int, after: int, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorer.predictors.distinct.MOST_TEXTS", most)
    copy = config.output.with_name("again.csv")
    pl.read_parquet(config.data[0]).sample(fraction=1.0, shuffle=True, seed=1).write_csv(copy)
    config = dataclasses.replace(config, data=(*config.data, str(copy)))
    if after:
        interrupted(config, after)
    counts = score(config).counts
    assert counts.distinct <= counts.scored
    assert counts.scored > 1_100
    assert_like_an_undisturbed_run(config)


def test_a_run_ended_while_ranking_scores_nothing_again(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("scorer.run.run.rank", ended)
        with pytest.raises(RunInterrupted):
            score(config)
    done = parts(config)
    assert len(done) == 6
    assert score(config).resumed.shards == 6
    assert parts(config) == done
    assert_like_an_undisturbed_run(config)


def test_a_finished_run_is_not_done_again(config: RunConfig) -> None:
    first = score(config)
    before = {path: path.stat().st_mtime_ns for path in config.output.rglob("*")}
    listener = Hearing()
    again = score(config, listener)
    assert (again.counts, again.agreement, again.model) == (first.counts, first.agreement, first.model)
    assert listener.heard("nothing left to do")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_overwrite_starts_afresh(config: RunConfig) -> None:
    interrupted(config, 330)
    listener = Hearing()
    assert score(dataclasses.replace(config, overwrite=True), listener).resumed.shards == 0
    assert not listener.heard("Going on")
    assert_like_an_undisturbed_run(config)


def another_model(config: RunConfig, tmp_path: Path) -> RunConfig:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in config.model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    contract = json.loads((folder / "scorer.json").read_text())
    (folder / "extra.bin").write_bytes(b"x")
    contract["files"]["extra.bin"] = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    (folder / "scorer.json").write_text(json.dumps(contract))
    return dataclasses.replace(config, model=folder)


def changed_data(config: RunConfig, tmp_path: Path) -> RunConfig:
    pl.read_parquet(config.data[0]).head(500).write_parquet(config.data[0])
    return config


def more_data(config: RunConfig, tmp_path: Path) -> RunConfig:
    pl.read_parquet(config.data[0]).write_csv(tmp_path / "more.csv")
    return dataclasses.replace(config, data=(*config.data, str(tmp_path / "more.csv")))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (another_model, ["the model is another"]),
        (changed_data, ["data.parquet' has changed", "bytes", "modified"]),
        (more_data, ["more.csv' is new"]),
        (lambda config, _: dataclasses.replace(config, max_length=17), ["--max-length was 128 and is 17"]),
        (lambda config, _: dataclasses.replace(config, limit=90), ["--limit was not given and is 90"]),
        (lambda config, _: dataclasses.replace(config, shard_rows=50), ["--shard-rows was 100 and is 50"]),
        (lambda config, _: dataclasses.replace(config, keep_text=False), ["--keep-text was True and is False"]),
    ],
    ids=["model", "data", "files", "length", "limit", "shards", "texts"],
)
@pytest.mark.parametrize("finished", [False, True])
def test_another_run_is_refused_and_what_differs_is_named(
    change: Callable[[RunConfig, Path], RunConfig],
    says: list[str],
    *,
    finished: bool,
    config: RunConfig,
    tmp_path: Path,
) -> None:
    if finished:
        score(config)
    else:
        interrupted(config, 330)
    before = {path: path.stat().st_mtime_ns for path in config.output.rglob("*")}
    with pytest.raises(OutputError) as refused:
        score(change(config, tmp_path))
    for fragment in (str(config.output), "another run", "--overwrite", *says):
        assert fragment in str(refused.value)
    assert {path: path.stat().st_mtime_ns for path in config.output.rglob("*")} == before


def test_options_that_change_no_score_may_change(config: RunConfig) -> None:
    interrupted(config, 330)
    report = score(dataclasses.replace(config, threads=1))
    assert report.resumed.shards > 0
    assert_like_an_undisturbed_run(config)


@pytest.mark.parametrize("damage", ["cut", "empty", "another shard's"])
def test_a_damaged_shard_is_scored_again(damage: str, config: RunConfig) -> None:
    interrupted(config, 330)
    first, second = sorted((config.output / "scores").iterdir())[:2]
    content = {"cut": second.read_bytes()[:-30], "empty": b"", "another shard's": first.read_bytes()}[damage]
    if damage == "another shard's":  # of other rows, in the right number
        second = config.output / "scores" / "shard-00005.parquet"
    second.write_bytes(content)
    listener = Hearing()
    score(config, listener)
    assert listener.heard(f"'{second}' is damaged and is scored again")
    assert_like_an_undisturbed_run(config)


def test_what_a_dead_run_left_half_written_is_removed(config: RunConfig) -> None:
    interrupted(config, 330)
    left = [config.output / name for name in (".ranked.parquet.1.tmp", "scores/.shard-00005.parquet.1.tmp")]
    for file in left:
        file.write_bytes(b"half")
    (config.output / LOCK_FILE).write_text('{"pid": 1234567, "host": "there", "since": "then"}')
    listener = Hearing()
    score(config, listener)
    assert listener.heard("An earlier run (process 1234567 on there, since then) ended before it could tidy up.")
    assert_like_an_undisturbed_run(config)


def test_two_runs_at_once_are_refused(config: RunConfig) -> None:
    interrupted(config, 330)
    before = parts(config)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time, pathlib; from scorer.system.lock import locked\n"
            "with locked(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)",
            str(config.output / LOCK_FILE),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(OutputError, match=rf"another run is writing to .*process {holder.pid} on ") as refused:
        score(config)
    assert "Wait for it" in str(refused.value)
    assert parts(config) == before
    holder.kill()
    holder.wait()
    listener = Hearing()
    score(config, listener)
    assert listener.heard(f"process {holder.pid}")
    assert_like_an_undisturbed_run(config)


def test_a_lock_is_free_again_after_its_block(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "lock") as died:
            assert died is None
            assert (tmp_path / "lock").exists()
        assert not (tmp_path / "lock").exists()


def test_data_that_change_while_they_are_scored_stop_the_run_before_the_ranking(config: RunConfig) -> None:
    file = Path(config.data[0])

    class Touching(Silence):
        def started(self, rows: int) -> None:
            os.utime(file, (time.time() + 5, time.time() + 5))

    with pytest.raises(DataError, match=r"data changed while they were scored.*modified.*--overwrite"):
        score(config, Touching())
    assert not (config.output / "ranked.parquet").exists()


def test_an_error_tells_what_is_kept(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OutputError("cannot write")

    monkeypatch.setattr("scorer.run.run.rank", full)
    with pytest.raises(ScorerError) as failed:
        score(config)
    notes: list[Any] = failed.value.__notes__
    assert notes == ["6 of 6 shards are finished. They are kept; the same command goes on with them."]
