"""What this process may use of the machine."""

from __future__ import annotations

import os
from pathlib import Path


def allowed_threads() -> int:
    """Threads that this process may really use: the smaller of its CPU affinity and its cgroup's quota."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, int(cgroup_cpus() or affinity)))


def cgroup_cpus() -> float | None:
    """CPUs that the cgroup's quota grants (v2, then v1), or None without a quota."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read_text().strip()
            period = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return None if quota in {"max", "-1"} else int(quota) / int(period)
