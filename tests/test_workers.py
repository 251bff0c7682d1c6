"""Several processes: the same files, bit for bit; one that dies is replaced, its shards are scored once more."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from bag_model import write_bag_model

from scorer import RunConfig, score
from scorer.errors import DataError, ModelError, RunInterrupted, WorkerError
from scorer.listener import Silence
from scorer.schema import read_metadata


class Hearing(Silence):
    """Remembers warnings and counts progress."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.rows = 0

    def warning(self, message: str) -> None:
        self.warnings.append(message)

    def advanced(self, rows: int, tokens: int) -> None:
        self.rows += rows


@pytest.fixture
def config(model: Path, corpus: pl.DataFrame, tmp_path: Path) -> RunConfig:
    """Twelve shards in three files, some rows bad."""
    row = pl.int_range(pl.len())
    bad = corpus.with_columns(text=pl.when(row % 90 == 7).then(None).otherwise(pl.col("text")))
    for index in range(3):
        bad.slice(index * 200, 200).write_csv(tmp_path / f"{index}.csv")
    data = tuple(str(tmp_path / f"{index}.csv") for index in range(3))
    return RunConfig(
        model=model, data=data, output=tmp_path / "out", provider="cpu", shard_rows=50, window_rows=20, threads=2
    )


def workers() -> list[int]:
    """Processes that are our workers."""
    own = str(os.getpid())
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            command = (status.parent / "cmdline").read_bytes().split(b"\0")
            parent = status.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if any(b"scorer.run.engines.worker" in each for each in command) and parent == own:
            found.append(int(status.parent.name))
    return found


def assert_equal_runs(one: Path, other: Path) -> None:
    for name in ("ranked.parquet", "rejects.parquet"):
        assert pl.read_parquet(other / name).equals(pl.read_parquet(one / name)), name
    for part in (one / "scores").iterdir():
        assert pq.read_table(other / "scores" / part.name).equals(pq.read_table(part)), part.name


def test_workers_write_the_same_files_bit_for_bit(config: RunConfig, tmp_path: Path) -> None:
    alone = score(config)
    listener = Hearing()
    several = score(dataclasses.replace(config, output=tmp_path / "several", workers=3), listener)
    assert_equal_runs(config.output, tmp_path / "several")
    assert several.counts == alone.counts
    assert several.agreement == alone.agreement
    assert listener.rows == 600
    assert {"read", "tokenize", "infer"} <= set(several.seconds)
    assert read_metadata(tmp_path / "several" / "ranked.parquet")["options"]["workers"] == 3
    assert not workers()


def test_a_killed_worker_is_replaced_and_its_shards_are_scored_again(config: RunConfig, tmp_path: Path) -> None:
    score(config)
    config = dataclasses.replace(config, output=tmp_path / "several", workers=2)

    class Killing(Hearing):
        killed = False

        def advanced(self, rows: int, tokens: int) -> None:
            super().advanced(rows, tokens)
            if not self.killed and self.rows > 100 and (found := workers()):
                self.killed = True
                os.kill(found[0], signal.SIGKILL)

    listener = Killing()
    report = score(config, listener)
    assert_equal_runs(tmp_path / "out", config.output)
    assert any("a worker process died (killed by SIGKILL" in warning for warning in listener.warnings)
    assert any(".csv' from row" in warning for warning in listener.warnings)
    assert report.counts.read == report.counts.scored + report.counts.rejected == 600 == listener.rows
    assert not [file for file in config.output.rglob("*") if ".tmp" in file.name]


def test_a_shard_that_brings_down_two_workers_is_named(config: RunConfig) -> None:
    config = dataclasses.replace(config, workers=2)
    ended = threading.Event()

    def kill_all() -> None:
        while not ended.is_set():
            if len(list((config.output / "scores").glob("shard-*.parquet"))) >= 2:
                for file in (config.output / "scores").glob(".shard-*.tmp"):  # of those at work on a shard
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(file.suffixes[-2][1:]), signal.SIGKILL)

    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        with pytest.raises(
            WorkerError, match=r"killed by SIGKILL.*another before it on the same shards \('.*csv' from row"
        ):
            score(config)
    finally:
        ended.set()
        killer.join()
    assert not workers()
    done = score(dataclasses.replace(config, workers=1)).resumed.shards
    assert 2 <= done < 12


def test_workers_go_on_with_what_one_process_began_and_the_reverse(config: RunConfig, tmp_path: Path) -> None:
    class Interrupting(Hearing):
        def advanced(self, rows: int, tokens: int) -> None:
            super().advanced(rows, tokens)
            if self.rows > 250:
                raise KeyboardInterrupt

    for first, second in ((1, 2), (2, 1)):
        run = dataclasses.replace(config, output=tmp_path / f"run-{first}", workers=first)
        with pytest.raises(RunInterrupted):
            score(run, Interrupting())
        assert not workers()
        assert not [file for file in run.output.rglob("*") if ".tmp" in file.name]
        assert 0 < score(dataclasses.replace(run, workers=second)).resumed.shards < 12
    assert_equal_runs(tmp_path / "run-1", tmp_path / "run-2")


def test_errors_of_workers_are_our_errors(config: RunConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(config, workers=2)
    broken = Path(config.data[1])
    lines = broken.read_text().splitlines(keepends=True)

    class Breaking(Silence):
        def started(self, rows: int) -> None:
            shorter = broken.with_suffix(".new")
            shorter.write_text("".join(lines[:120]))
            shorter.replace(broken)

    # A worker that had read all of the file before leaves it to the check at the end.
    with pytest.raises(DataError, match=r"1\.csv' (holds \d+ rows now.*rows (50 to 99|100 to 149)|has changed)"):
        score(config, Breaking())
    broken.write_text("".join(lines))
    model = write_bag_model(tmp_path / "bag", bad_word="xylophone")
    frame = pl.read_csv(config.data[2]).with_columns(text=pl.lit("a xylophone"))
    frame.write_csv(config.data[2])
    with pytest.raises(ModelError, match=r"not finite.*row 4[05]0 of the data"):
        score(dataclasses.replace(config, model=model, output=tmp_path / "other"))


def test_bad_files_are_left_out_by_workers_too(config: RunConfig) -> None:
    broken = Path(config.data[1])
    content = broken.read_text()

    class Breaking(Silence):
        def started(self, rows: int) -> None:
            stat = broken.stat()
            broken.write_text(content[:-500])
            os.utime(broken, ns=(stat.st_atime_ns, stat.st_mtime_ns))

        def finished(self) -> None:
            stat = broken.stat()
            broken.write_text(content)
            os.utime(broken, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    report = score(dataclasses.replace(config, workers=2, skip_bad_files=True), Breaking())
    assert [(each.start, each.rows) for each in report.left_out] == [(150, 50)]
    assert report.counts.read == report.counts.scored + report.counts.rejected == 550


def test_workers_end_with_their_parent(config: RunConfig) -> None:
    code = f"""
from pathlib import Path
from scorer import RunConfig, score
score(RunConfig(model=Path({str(config.model)!r}), data={config.data!r} * 200, output=Path({str(config.output)!r}),
                provider="cpu", shard_rows=50, window_rows=20, workers=2))
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    while not list(config.output.glob("scores/shard-*.parquet")):
        assert parent.poll() is None, parent.communicate()
        time.sleep(0.05)
    workers = children(parent.pid)
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not any(b"scorer.run.engines.worker" in read(Path(f"/proc/{worker}/cmdline")) for worker in workers):
            return
        time.sleep(0.1)
    pytest.fail(f"workers {workers} outlive their parent")


def children(parent: int) -> list[int]:
    stats = [read(file).rpartition(b")") for file in Path("/proc").glob("[0-9]*/stat")]
    return [int(name.split()[0]) for name, _, rest in stats if rest and int(rest.split()[1]) == parent]


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
