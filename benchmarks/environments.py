"""Environments for contenders whose packages are no part of scorer: made once each, by pip, and kept in the cache.

`environments/NAME.txt` pins what pip installs, `environments/NAME.cuda.txt` where a GPU wants other packages. An
environment that cannot be made is the failure of its contenders, never of the run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from job import contender

REQUIREMENTS = Path(__file__).with_name("environments")
# Their packages read checkpoints by transformers 4.57, as optimum does.
CONSTRAINTS = Path(__file__).parents[1] / "constraints-optimum.txt"


@dataclasses.dataclass(frozen=True, slots=True)
class Interpreters:
    """Which Python runs which contender.

    Attributes:
        pythons: interpreter by contender; those that are not named run with the runner's own.
        failures: why a contender has none.
    """

    pythons: Mapping[str, str]
    failures: Mapping[str, str]


class InstallError(Exception):
    """An environment that cannot be made; the message is pip's."""


def interpreters(
    names: Sequence[str], given: Mapping[str, str], cache: Path, provider: str, say: Callable[[str], None]
) -> Interpreters:
    """An interpreter for every contender: the one given, or one of an environment made for it, or the runner's own.

    Args:
        names: the contenders.
        given: interpreters that the user names; their packages are the user's affair.
        cache: folder that keeps the environments.
        provider: "cpu" or "cuda".
        say: hears what is being installed.
    """
    pythons = dict(given)
    failures: dict[str, str] = {}
    made: dict[str, str | InstallError] = {}
    for name in names:
        environment = contender(name).ENVIRONMENT
        if name in given or environment is None:
            continue
        if environment not in made:
            made[environment] = _made(environment, cache, provider, say)
        python = made[environment]
        if isinstance(python, InstallError):
            failures[name] = f"its environment cannot be made: {python}"
        else:
            pythons[name] = python
    return Interpreters(pythons, failures)


def _made(name: str, cache: Path, provider: str, say: Callable[[str], None]) -> str | InstallError:
    """The environment's interpreter, made unless an earlier run did so from the same requirements."""
    requirements = REQUIREMENTS / f"{name}.{provider}.txt"
    if not requirements.exists():
        requirements = REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(sys.version.encode() + requirements.read_bytes() + CONSTRAINTS.read_bytes())
    folder = cache / "environments" / f"{requirements.stem}-{digest.hexdigest()[:12]}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    complete = folder / "complete"  # written last
    if complete.exists():
        return str(python)
    say(f"making the environment {requirements.stem}, once: {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _call([sys.executable, "-m", "venv", str(folder)])
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _call([*install, "--constraint", str(CONSTRAINTS), "--requirement", str(requirements)])
    except InstallError as error:
        shutil.rmtree(folder, ignore_errors=True)
        return error
    complete.touch()
    return str(python)


def _call(command: Sequence[str]) -> None:
    """Run a command; its last complaint is the error."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or [f"exit code {done.returncode}"]
        raise InstallError(errors[-1].strip())
