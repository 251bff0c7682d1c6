"""What a benchmark ran on: processor and its instructions, load, GPU, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Instructions that decide the rates; other names are those of ARM.
VECTOR_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16", "asimddp", "bf16")
BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def machine() -> dict[str, Any]:
    """What it runs on, and how busy that is now."""
    from scorer.distribution import VERSION  # late: environments without scorer import this module too

    flags = cpu_flags()
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "instructions": {name: name in flags for name in VECTOR_FLAGS} if flags else None,
        "memory_mib": _memory_mib(),
        "platform": platform.platform(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "gpus": _gpus(),
        "scorer": VERSION,
    }


def stamp() -> dict[str, Any]:
    """When it ran, and which code."""
    return {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": _commit()}


def cpu_flags() -> frozenset[str]:
    """What the processor can do, in Linux's names; empty where that cannot be told."""
    return frozenset(_cpu_field("flags").split() or _cpu_field("Features").split())


def lacks_bfloat16() -> bool:
    """Whether it is certain that the processor has no arithmetic in bfloat16."""
    flags = cpu_flags()
    return bool(flags) and not flags & BFLOAT16_FLAGS


def _cpu_model() -> str:
    return _cpu_field("model name") or platform.processor() or platform.machine()


def _cpu_field(name: str) -> str:
    """A field of the first processor in /proc/cpuinfo, or an empty string."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")


def _memory_mib() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (ValueError, OSError):
        return None


def _gpus() -> list[str]:
    return _lines_of(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"])


def _commit() -> str | None:
    folder = str(Path(__file__).parent)
    commit = _lines_of(["git", "-C", folder, "rev-parse", "--short", "HEAD"])
    changed = _lines_of(["git", "-C", folder, "status", "--porcelain"])
    return commit[0] + (" with changes" if changed else "") if commit else None


def _lines_of(command: list[str]) -> list[str]:
    """What a command prints; nothing where it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return []
    return done.stdout.strip().splitlines() if done.returncode == 0 else []
