"""One contender, once, in the process that this file starts: load, warm up, time, and write what came of it.

    PYTHON benchmarks/harness.py NAME JOB_FILE RESULT_STEM

Writes RESULT_STEM.json and RESULT_STEM.npy (the losses). Needs numpy and whatever the contender needs, no more,
so that it runs in environments that do not have scorer. `run.py` calls it; a person rarely does.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from job import Contender, Job, NotHereError, contender

WARM_UP_ROWS = 16
# Another distribution of the same package.
ALTERNATIVES = {"onnxruntime": "onnxruntime-gpu"}


def main() -> None:
    """Write the result; a contender that fails is a result too."""
    name, job_file, stem = sys.argv[1:]
    job = Job.from_json(Path(job_file).read_text(encoding="utf-8"))
    try:
        result = measure(contender(name), job, Path(f"{stem}.npy"))
    except NotHereError as error:
        result = {"failure": str(error)}
    except Exception as error:
        result = {"failure": f"{type(error).__name__}: {error}"}
    Path(f"{stem}.json").write_text(json.dumps(result), encoding="utf-8")


def measure(module: Contender, job: Job, losses_file: Path) -> dict[str, Any]:
    """Load, warm up, score all rows, and say how long it took and how much memory there was at most."""
    if missing := [name for name in module.PACKAGES if _version(name) is None]:
        return {"failure": f"not installed: {', '.join(missing)}"}
    if missing := [name for name in module.EXPORTS if not (job.models / name).is_dir()]:
        return {"failure": f"the {missing[0]} export failed; its message stands at the start of this run"}
    rows = json.loads(job.texts_file.read_text(encoding="utf-8"))
    texts, labels = rows["texts"], rows["labels"]
    start = time.perf_counter()
    score = module.load(job)
    score(texts[:WARM_UP_ROWS], labels[:WARM_UP_ROWS])
    load_s = time.perf_counter() - start
    start = time.perf_counter()
    outcome = score(texts, labels)
    elapsed_s = time.perf_counter() - start
    if outcome.losses.shape != (len(texts),) or not np.isfinite(outcome.losses).all():
        return {"failure": f"the losses are not {len(texts)} finite numbers"}
    np.save(losses_file, outcome.losses)
    return {
        "failure": None,
        "seconds": elapsed_s if outcome.seconds is None else outcome.seconds,
        "load_s": load_s,
        "padding_efficiency": outcome.padding_efficiency,
        "peak_bytes": peak_bytes(),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in module.PACKAGES}},
    }


def peak_bytes() -> int:
    """Peak resident memory of this process or, where it is more, of a command that the contender started.

    A command's figure includes this process as it was when it started the command; so it is kept small till then.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    command = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    try:  # getrusage(RUSAGE_SELF) would include the runner as it was when it started this process
        status = Path("/proc/self/status").read_text(encoding="ascii")
        own = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError):
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return max(own, command)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return _version(ALTERNATIVES[name]) if name in ALTERNATIVES else None


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything is local; nothing may wait for a network
    main()
