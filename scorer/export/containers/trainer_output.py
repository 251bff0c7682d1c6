"""The output folder of transformers' Trainer: checkpoint-500, checkpoint-1000, … and what its record says of them.

Which of them is meant nobody can know but the person who trained, so none is taken: the last and the best are named.
Reads file names and trainer_state.json, and loads nothing.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STATE_FILE = "trainer_state.json"
STEP = re.compile(r"checkpoint-(\d+)")
# Any of these makes a folder a model of its own.
MODEL_FILES = ("config.json", "adapter_config.json", "modules.json", "config_setfit.json")


@dataclasses.dataclass(frozen=True, slots=True)
class Best:
    """The checkpoint that the Trainer's record names as the best.

    Attributes:
        name: its folder's name.
        metric: its value of the metric that decided, or None where the record does not say.
    """

    name: str
    metric: float | None

    def __str__(self) -> str:
        return self.name if self.metric is None else f"{self.name}, with a metric of {self.metric:.6g}"


def checkpoints_in(folder: Path) -> tuple[Path, ...]:
    """The folders of checkpoints that hold a model, by their number of steps."""
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := STEP.fullmatch(path.name))]
    return tuple(path for _, path in sorted(found) if holds_model(path))


def holds_model(folder: Path) -> bool:
    """Whether a folder holds a model of a kind that can be opened."""
    return any((folder / name).is_file() for name in MODEL_FILES)


def best_of(folder: Path, steps: tuple[Path, ...]) -> Best | None:
    """The best checkpoint by the latest record, or None where the Trainer was not told to look for one."""
    for place in (folder, *reversed(steps)):
        state = _state(place)
        named = state.get("best_model_checkpoint")
        if isinstance(named, str) and named:
            metric = state.get("best_metric")
            return Best(re.split(r"[/\\]", named.rstrip("/\\"))[-1], metric if isinstance(metric, float) else None)
        if state:
            return None
    return None


def which_to_give(folder: Path, steps: tuple[Path, ...]) -> str:
    """What to say of a folder that holds nothing but checkpoints: the last, the best, and the commands."""
    best, last = best_of(folder, steps), steps[-1]
    said = f"'{folder}' is the output folder of a Trainer, with {_counted(steps)} and no model of its own."
    if best is None:
        chosen = f"The last is {last.name}; which one is the best was not recorded."
        commands = [last]
    elif best.name not in {step.name for step in steps}:
        chosen = f"The best was {best}, and is no longer there; the last is {last.name}."
        commands = [last]
    elif best.name == last.name:
        chosen = f"The last is also the best by the Trainer's record: {best}."
        commands = [last]
    else:
        chosen = f"The best by the Trainer's record is {best}; the last is {last.name}."
        commands = [folder / best.name, last]
    written = " or: ".join(f"scorer export-onnx {shlex.quote(str(path))} OUT" for path in commands)
    return f"{said} {chosen} Give one of them: {written}"


def what_is_beside(folder: Path) -> str | None:
    """What a person should know where a Trainer's output folder has a model of its own, or None where it is none."""
    steps = checkpoints_in(folder)
    if not steps:
        return None
    best = best_of(folder, steps)
    named = "" if best is None else f"; the best by the Trainer's record is {best}"
    return (
        f"the model at the top of '{folder}' is exported, not one of its {_counted(steps)} (the last is "
        f"{steps[-1].name}{named})"
    )


def _counted(steps: tuple[Path, ...]) -> str:
    return "1 checkpoint" if len(steps) == 1 else f"{len(steps)} checkpoints"


def _state(folder: Path) -> Mapping[str, Any]:
    """The Trainer's record; empty where there is none that can be read."""
    try:
        state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}
