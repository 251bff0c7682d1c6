"""A command, timed, with its peak memory. Standard library only.

The command is started by a process of this file, which is small: a process's peak counts what the process that
started it held at that moment.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended well.

    Attributes:
        seconds: from starting it to its end.
        peak_bytes: peak resident memory.
    """

    seconds: float
    peak_bytes: int


def run_command(command: Sequence[str]) -> Ran:
    """Run a command and wait.

    Raises:
        SystemExit: it failed; its last words are the message.
    """
    done = subprocess.run([sys.executable, "-I", __file__, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}: {done.stderr.strip()}")
    return Ran(**json.loads(done.stdout))


def scorer_run(model: Path, data: Sequence[str], *options: str) -> tuple[Ran, dict[str, Any]]:
    """`scorer run` as a process, and its run.json."""
    with tempfile.TemporaryDirectory(prefix="scorer-benchmark-") as folder:
        output = Path(folder) / "scores"
        command = [sys.executable, "-m", "scorer", "run", str(model), *data, "--output", str(output), *options]
        ran = run_command(command)
        report: dict[str, Any] = json.loads((output / "run.json").read_text(encoding="utf-8"))
    return ran, report


def main() -> None:
    """Run the command of the arguments; print what it took as JSON, pass on what it says when it fails."""
    start = time.perf_counter()
    done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit}))
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
