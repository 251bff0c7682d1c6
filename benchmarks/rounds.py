"""Every contender in a process of its own, taking turns, so that a drifting machine disturbs all alike."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from job import Job

HARNESS = Path(__file__).with_name("harness.py")


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
    names: Sequence[str], job: Job, repeats: int, pythons: Mapping[str, str], say: Callable[[str], None]
) -> list[Record]:
    """Measure all contenders, round after round; one that failed does not start again."""
    measured: dict[str, list[Measured]] = {name: [] for name in names}
    failures: dict[str, str] = {}
    for number in range(repeats):
        for name in names:
            if name in failures:
                continue
            result = _measure(name, job, pythons.get(name, sys.executable), number)
            if isinstance(result, Measured):
                measured[name].append(result)
                say(f"round {number + 1}/{repeats}  {name:<22} {result.seconds:8.2f} s")
            else:
                failures[name] = result
                say(f"round {number + 1}/{repeats}  {name:<22} {result}")
    return [Record(name, tuple(measured[name]), failures.get(name)) for name in names]


def environment(threads: int) -> dict[str, str]:
    """Environment variables that hold a process to so many threads."""
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}


def _measure(name: str, job: Job, python: str, number: int) -> Measured | str:
    """One contender once, or why not."""
    job_file = job.workdir / "job.json"
    job_file.write_text(job.to_json(), encoding="utf-8")
    stem = job.workdir / f"{name}-{number}"
    try:
        done = subprocess.run(
            [python, str(HARNESS), name, str(job_file), str(stem)],
            env=environment(job.threads),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        return f"{python} does not start: {error.strerror}"
    result_file = Path(f"{stem}.json")
    if not result_file.exists():
        lines = done.stderr.strip().splitlines()
        return f"ended with {done.returncode}: {lines[-1] if lines else 'no message'}"
    result: dict[str, Any] = json.loads(result_file.read_text(encoding="utf-8"))
    if (failure := result.pop("failure")) is not None:
        return str(failure)
    return Measured(round=number, losses=np.load(f"{stem}.npy"), **result)
