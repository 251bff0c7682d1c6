"""Kill runs with SIGKILL at random moments of their lives, resume them, and compare with a run that nobody disturbed.

    python scripts/kill_soak.py --kills 200

Half of the kills come at moments spread over the whole life of a run, half as soon as a file appears that tells what
the run is doing: the first shard, a later one, the ranking, the report. A third of the resumed runs is killed again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from scorer.cli.commands.demo import demo_corpus, demo_model

FILES = 12
# What appears in a run's directory, in the order in which it does.
SIGNS = (
    "manifest.json",
    "scores/.shard-00000*.tmp",
    "scores/.shard-00001*.tmp",
    "scores/shard-00003.parquet",
    "scores/.shard-00007*.tmp",
    "rejects/.shard-00009*.tmp",
    "scores/shard-00011.parquet",
    ".rejects.parquet*.tmp",
    ".ranked.parquet*.tmp",
    "ranked.parquet",
    ".run.json*.tmp",
)


@dataclasses.dataclass
class Soak:
    """Runs of one corpus that are killed and resumed.

    Args:
        folder: where the corpus and the runs go.
        seed: of the random moments.
        say: told of every kill.
    """

    folder: Path
    seed: int
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        """Write the corpus, and score it undisturbed."""
        self._random = random.Random(self.seed)
        self._data = write_corpus(self.folder / "data")
        # Several workers compute texts that come again in other shards anew: in another batch, with other last digits.
        self.whole = {}
        for workers in (2, 1):
            started = time.monotonic()
            output = self.folder / f"whole-{workers}"
            assert self._start(output, workers).wait() == 0, "the undisturbed run failed"
            self.life_s = time.monotonic() - started
            self.whole[workers] = results(output)

    def kill(self, number: int, of: int) -> str:
        """Kill a run, resume it, compare; returns where it was killed."""
        output = self.folder / f"run-{number}"
        workers = 2 if number % 4 == 3 else 1
        if number % 2:
            sign = SIGNS[number // 2 % len(SIGNS)]
            where = self._kill_at_sign(output, sign, workers)
        else:
            where = self._kill_after(output, self.life_s * (number + self._random.random()) / of, workers)
        if self._random.random() < 1 / 3:
            where += "; " + self._kill_after(output, self.life_s * self._random.random(), workers)
        resumed = self._start(output, workers)
        assert resumed.wait() == 0, f"the run that was killed {where} does not go on"
        compare(output, self.whole[workers])
        self.say(f"{number + 1:4} of {of}: killed {where}; resumed, and equal")
        return where

    def _kill_after(self, output: Path, delay_s: float, workers: int) -> str:
        run = self._start(output, workers)
        try:
            run.wait(delay_s)
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            return f"after {delay_s:.2f} s ({state_of(output)})"
        return f"not at all: it ended within {delay_s:.2f} s"

    def _kill_at_sign(self, output: Path, sign: str, workers: int) -> str:
        run = self._start(output, workers)
        while run.poll() is None and not next(output.glob(sign), None):
            pass  # not a moment later than need be
        if run.poll() is not None:
            return f"not at all: '{sign}' was gone too soon"
        run.kill()
        run.wait()
        return f"at '{sign}' ({state_of(output)})"

    def _start(self, output: Path, workers: int = 1) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "scorer", "run", str(demo_model()), *self._data, "--output", str(output)]
        command += ["--workers", str(workers), "--threads", "2", "--provider", "cpu"]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)


def write_corpus(folder: Path) -> list[str]:
    """The demo's corpus three times, in twelve files of three formats, with bad rows; returns their names."""
    folder.mkdir()
    rows = pl.concat([pl.read_parquet(demo_corpus())] * 3)
    bad = pl.int_range(pl.len()) % 97 == 5
    rows = rows.with_columns(
        id=pl.int_range(pl.len()).cast(pl.String), text=pl.when(bad).then(pl.lit(" ")).otherwise("text")
    )
    size = -(-rows.height // FILES)
    names = []
    for number in range(FILES):
        part = rows.slice(number * size, size)
        file = folder / f"{number:02}{('.parquet', '.csv', '.jsonl')[number % 3]}"
        write = {".parquet": part.write_parquet, ".csv": part.write_csv, ".jsonl": part.write_ndjson}[file.suffix]
        write(file)  # type: ignore[operator]
        names.append(str(file))
    return names


def results(output: Path) -> dict[str, pl.DataFrame | object]:
    """All that must be equal."""
    counts = json.loads((output / "run.json").read_text())["counts"]
    return {"counts": counts, **{name: pl.read_parquet(output / f"{name}.parquet") for name in ("ranked", "rejects")}}


def compare(output: Path, whole: dict[str, pl.DataFrame | object]) -> None:
    """Fail where a resumed run differs from the whole one in any value, or left something behind."""
    found = results(output)
    assert found["counts"] == whole["counts"], f"counts differ: {found['counts']} and {whole['counts']}"
    for name in ("ranked", "rejects"):
        one, other = found[name], whole[name]
        assert isinstance(one, pl.DataFrame)
        assert isinstance(other, pl.DataFrame)
        assert one["row"].n_unique() == one.height, f"{name}: a row twice"
        assert one.equals(other), f"{name} differs"
    passing = {"run.lock", ".sorting"}
    left = [path for path in output.rglob("*") if ".tmp" in path.name or path.name in passing]
    assert not left, f"left behind: {left}"


def state_of(output: Path) -> str:
    """How far a run came, by its files."""
    if (output / "run.json").exists():
        return "finished"
    if (output / "ranked.parquet").exists():
        return "ranked"
    shards = len(list(output.glob("scores/shard-*.parquet")))
    return f"{shards} of {FILES} shards" if output.exists() else "nothing written yet"


def main() -> None:
    """Kill so many runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--first", type=int, default=0, help="number of the first kill, to go on with a soak in pieces")
    parser.add_argument("--last", type=int, help="number after the last kill of this piece")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), arguments.seed + arguments.first, lambda line: print(line, flush=True))
        print(f"An undisturbed run takes {soak.life_s:.1f} s.", flush=True)
        kills = range(arguments.first, arguments.last or arguments.kills)
        for number in kills:
            soak.kill(number, arguments.kills)
    print(f"{len(kills)} runs killed, resumed, and equal to the undisturbed one in every value.")


if __name__ == "__main__":
    main()
