"""Figures as a table, as JSON, and, where matplotlib is installed, as a chart."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from results import Figures, Workload
from rich.console import Console
from rich.table import Table


def show(figures: Sequence[Figures], work: Workload) -> None:
    """Print the table, then what failed and why."""
    table = Table(title=f"{work.rows:,} rows, {work.tokens:,} real tokens", title_justify="left")
    columns = ["contender", "precision", "rows/s", "min-max", "x notebook", "tokens/s", "real/padded", "peak MiB"]
    columns += ["useful GFLOP/s", "of GEMM peak", f"head of {work.head}", "Spearman"]
    for position, name in enumerate(columns):
        table.add_column(name, justify="left" if position < 2 else "right", no_wrap=True)
    for each in figures:
        table.add_row(each.name, each.precision, *(_cells(each) if each.seconds else ["failed", *["-"] * 9]))
    # Wide enough for every column, also where the output is a file.
    console = Console(width=max(Console().width, 170))
    console.print(table)
    for each in figures:
        if each.failure is not None:
            console.print(f"{each.name} failed: {each.failure}", markup=False)


def _cells(each: Figures) -> list[str]:
    spread = f"{_number(each.rows_per_s_min, '.1f')}-{_number(each.rows_per_s_max, '.1f')}"
    return [
        _number(each.rows_per_s, ".1f"),
        spread,
        _number(each.ratio, ".2f"),
        _number(each.tokens_per_s, ",.0f"),
        _number(each.padding_efficiency, ".1%"),
        _number(each.peak_mib, ",.0f"),
        _number(each.useful_gflops, ".1f"),
        _number(each.peak_share, ".1%"),
        _number(each.head_overlap, ".1%"),
        _number(each.spearman, ".6f"),
    ]


def _number(value: float | None, how: str) -> str:
    return "-" if value is None else format(value, how)


def document(figures: Sequence[Figures], work: Workload, asked: dict[str, Any]) -> dict[str, Any]:
    """Everything about a run of the benchmark that a later reader needs."""
    return {
        "benchmark": "contenders",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **asked,
        "rows": work.rows,
        "tokens": work.tokens,
        "head": work.head,
        "flops": work.flops,
        "commit": _commit(),
        "contenders": [dataclasses.asdict(each) for each in figures],
    }


def machine() -> dict[str, Any]:
    """What it runs on, and how busy that is now."""
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "gpus": _gpus(),
        "scorer": importlib.metadata.version("scorer"),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or platform.machine()


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


def draw_chart(figures: Sequence[Figures], work: Workload, file: Path) -> bool:
    """Rows per second as bars; returns False where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        return False
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = [each for each in figures if each.rows_per_s is not None][::-1]
    rates = [each.rows_per_s or 0.0 for each in shown]
    below = [rate - (each.rows_per_s_min or rate) for rate, each in zip(rates, shown, strict=True)]
    above = [(each.rows_per_s_max or rate) - rate for rate, each in zip(rates, shown, strict=True)]
    figure, axes = plt.subplots(figsize=(9, 0.45 * len(shown) + 1.2), layout="constrained")
    bars = axes.barh([f"{each.name} ({each.precision})" for each in shown], rates, xerr=[below, above], capsize=3)
    axes.bar_label(bars, labels=[f"{each.rows_per_s:.0f}" for each in shown], padding=6)
    rounds = max((len(each.seconds) for each in shown), default=0)
    axes.set_xlabel(f"rows per second, {work.rows:,} rows, median and range of {rounds} rounds")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)
    return True
