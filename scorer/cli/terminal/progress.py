"""Sentences and progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from scorer.system.visible_text import visible

# Seconds between plain progress lines.
LINE_INTERVAL_S = 10.0


class TerminalListener:
    """Prints what a run has to say on stderr.

    Args:
        quiet: print warnings only.
        doing: what goes on, beside the bar.
        unit: what is counted.
    """

    def __init__(self, *, quiet: bool = False, doing: str = "scoring", unit: str = "rows") -> None:
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._quiet = quiet
        self._doing, self._unit = doing, unit
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._rows = self._done = self._tokens = 0
        self._started = self._last_line = 0.0

    def info(self, message: str) -> None:
        """Print a sentence."""
        if not self._quiet:
            self._console.print(visible(message), soft_wrap=True)

    def warning(self, message: str) -> None:
        """Print a warning that is hard to miss."""
        lines = "\n".join(visible(line) for line in f"WARNING: {message}".splitlines())
        self._console.print(lines, style="bold red", soft_wrap=True)

    def started(self, rows: int) -> None:
        """Show the bar, or begin to count."""
        self._rows = rows
        self._done = self._tokens = 0
        self._started = self._last_line = time.monotonic()
        if self._console.is_terminal and not self._quiet:
            self._bar = Progress(
                TextColumn(self._doing),
                BarColumn(bar_width=None),
                TaskProgressColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=self._console,
                expand=True,
                transient=True,
            )
            self._task = self._bar.add_task(self._doing, total=rows, rate="")
            self._bar.start()

    def advanced(self, rows: int, tokens: int) -> None:
        """Move the bar, or print a line now and then."""
        self._done += rows
        self._tokens += tokens
        now = time.monotonic()
        elapsed = max(now - self._started, 1e-6)
        rate = f"{self._done / elapsed:,.0f} {self._unit}/s"
        if self._tokens:
            rate += f", {self._tokens / elapsed:,.0f} tokens/s"
        if self._bar is not None and self._task is not None:
            label = f"{self._done:,} of {self._rows:,} {self._unit}, {rate}"
            self._bar.update(self._task, completed=self._done, rate=label)
        elif not self._quiet and now - self._last_line >= LINE_INTERVAL_S and self._done:
            self._last_line = now
            left = elapsed * (self._rows - self._done) / self._done
            share = self._done / self._rows
            self.info(f"{self._done:,} of {self._rows:,} {self._unit} ({share:.1%}), {rate}, {duration(left)} left")

    def finished(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def duration(seconds: float) -> str:
    """Seconds as a person would say them: "42 s", "7 min", "3 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
