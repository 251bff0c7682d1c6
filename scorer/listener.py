"""Who hears what a run has to say. The command line prints; a program that calls `score` may not care."""

from __future__ import annotations

from typing import Protocol


class Listener(Protocol):
    """Receives sentences and progress."""

    def info(self, message: str) -> None:
        """A sentence worth reading once, such as a guess that was made."""
        ...

    def warning(self, message: str) -> None:
        """Something that may make the result worthless."""
        ...

    def started(self, rows: int) -> None:
        """Scoring begins; `rows` rows will be read."""
        ...

    def advanced(self, rows: int, tokens: int) -> None:
        """So many more rows are scored; they held so many real tokens. Called from the inference thread."""
        ...

    def finished(self) -> None:
        """Scoring has ended, well or not."""
        ...


class Silence:
    """Hears nothing."""

    def info(self, message: str) -> None:
        """Ignore a sentence."""

    def warning(self, message: str) -> None:
        """Ignore a warning; it stands in the report too."""

    def started(self, rows: int) -> None:
        """Ignore the start."""

    def advanced(self, rows: int, tokens: int) -> None:
        """Ignore progress."""

    def finished(self) -> None:
        """Ignore the end."""
