"""Every contender in a process of its own, taking turns, so that a drifting machine disturbs all alike."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from contenders import NOTEBOOK
from environments import Interpreters
from job import Job

HARNESS = Path(__file__).with_name("harness.py")
# Time that a contender may take: many times what the slowest needs for the rows that a round has.
LIMIT_S = 1_200.0


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """One contender in one round.

    Attributes:
        round: from 0.
        seconds: scoring, or the whole command where the contender is one.
        load_s: loading and warm-up, which are not in `seconds`.
        peak_bytes: peak resident memory.
        padding_efficiency: real tokens per computed token, or None where unknown.
        versions: of the packages that the contender needs.
        losses: float64 [N].
    """

    round: int
    seconds: float
    load_s: float
    peak_bytes: int
    padding_efficiency: float | None
    versions: Mapping[str, str]
    losses: npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """All rounds of one contender; `failure` is why it has none, or no more of them."""

    name: str
    measured: tuple[Measured, ...]
    failure: str | None


def run_rounds(
    names: Sequence[str],
    job: Job,
    found: Interpreters,
    *,
    repeats: int,
    ends_at: float,
    limit_s: float = LIMIT_S,
    say: Callable[[str], None],
) -> list[Record]:
    """Measure all contenders, round after round; one that failed does not start again.

    The first round is whole. From a later one the slowest contenders are left out, so that it ends in time; the
    notebook stays, for every ratio is to its rate in the same round.

    Args:
        names: the contenders, in the order of their turns.
        job: the work.
        found: the Python of each.
        repeats: rounds.
        ends_at: when all should be over, on the clock of `time.monotonic`.
        limit_s: seconds after which a contender is ended; one that hangs must not keep the others waiting.
        say: hears of every measurement.
    """
    measured: dict[str, list[Measured]] = {name: [] for name in names}
    failures = {name: found.failures[name] for name in names if name in found.failures}
    turns_s: dict[str, float] = {}
    for number in range(repeats):
        able = [name for name in names if name not in failures]
        chosen = able if number == 0 else in_time(able, turns_s, ends_at - time.monotonic())
        if late := [name for name in able if name not in chosen]:
            say(f"round {number + 1}/{repeats}  without {', '.join(late)}, to end in time")
        for name in chosen:
            started = time.monotonic()
            result = measure(name, job, found.pythons.get(name, sys.executable), number, limit_s)
            turns_s[name] = time.monotonic() - started
            if isinstance(result, Measured):
                measured[name].append(result)
            else:
                failures[name] = result
            shown = f"{result.seconds:8.2f} s" if isinstance(result, Measured) else result
            say(f"round {number + 1}/{repeats}  {name:<24} {shown}")
    return [Record(name, tuple(measured[name]), failures.get(name)) for name in names]


def in_time(names: Sequence[str], turns_s: Mapping[str, float], left_s: float) -> list[str]:
    """The notebook and as many others as fit into the time, the fastest first; none where no other would fit.

    Args:
        names: the contenders that could run.
        turns_s: seconds that each took before, loading and all.
        left_s: seconds until the end.
    """
    chosen = set()
    for name in sorted(names, key=lambda name: (name != NOTEBOOK, turns_s[name])):
        left_s -= turns_s[name]
        if left_s < 0:
            break
        chosen.add(name)
    return [name for name in names if name in chosen] if chosen - {NOTEBOOK} else []


def environment(threads: int) -> dict[str, str]:
    """Environment variables that hold a process to so many threads."""
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}


def measure(name: str, job: Job, python: str, number: int, limit_s: float) -> Measured | str:
    """One contender once, or why not; ended with all that it started after so many seconds."""
    job_file = job.workdir / "job.json"
    job_file.write_text(job.to_json(), encoding="utf-8")
    stem = job.workdir / f"{name}-{number}"
    command = [python, str(HARNESS), name, str(job_file), str(stem)]
    with Path(f"{stem}.err").open("w+", encoding="utf-8", errors="replace") as complaints:
        try:
            process = subprocess.Popen(
                command,
                env=environment(job.threads),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                start_new_session=True,  # a group of its own, which ends as a whole
            )
        except OSError as error:
            return f"{python} does not start: {error.strerror}"
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return f"timed out after {limit_s / 60:g} minutes"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        complaints.seek(0)
        lines = complaints.read().strip().splitlines()
    result_file = Path(f"{stem}.json")
    if not result_file.exists():
        return f"ended with {process.returncode}: {lines[-1] if lines else 'no message'}"
    result: dict[str, Any] = json.loads(result_file.read_text(encoding="utf-8"))
    if (failure := result.pop("failure")) is not None:
        return str(failure)
    return Measured(round=number, losses=np.load(f"{stem}.npy"), **result)
