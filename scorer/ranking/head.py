"""The head of a ranking: its first rows, or those that are asked for. All that shows rows to people reads them here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from scorer.errors import DataError, UsageError
from scorer.ranking.rank import open_ranking
from scorer.ranking.scored_rows import first_line
from scorer.schema import LIST_COLUMNS

# Rows of a head where nobody says how many.
DEFAULT_TOP = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of a ranking to take; conditions add up.

    Attributes:
        top: at most so many rows; None takes 500 where nothing else limits them, and all that match otherwise.
        min_loss: only rows with at least this loss, in nats.
        label: only rows given this label, by name or index.
        predicted: only rows predicted to have this label, by name or index.
        per_class: at most so many rows of each given label.
        distinct: of rows of one id, text and given label the first alone: what people say of it holds for all of them.
    """

    top: int | None = None
    min_loss: float | None = None
    label: str | None = None
    predicted: str | None = None
    per_class: int | None = None
    distinct: bool = False

    @property
    def most(self) -> int | None:
        """At most so many rows, or None."""
        limited = self.min_loss is not None or self.per_class is not None
        return DEFAULT_TOP if self.top is None and not limited else self.top


@dataclasses.dataclass(frozen=True, slots=True)
class Head:
    """The chosen rows of a ranking.

    Attributes:
        rows: the rows, most suspect first, with the columns of the ranking.
        total: rows of the whole ranking.
        metadata: what the ranking says of its run.
        duplicates: rows left out because one of the chosen rows has the same id, text and given label.
    """

    rows: list[dict[str, Any]]
    total: int
    metadata: Mapping[str, Any]
    duplicates: int

    @property
    def label_names(self) -> tuple[str, ...]:
        """The model's C class names, in its order."""
        return tuple(self.metadata.get("label_names", ()))

    @property
    def ranked_by(self) -> str:
        """The score that orders the ranking."""
        return str(self.metadata["ranked_by"])

    @property
    def model(self) -> str:
        """Name of the model that ranked the rows, with its revision where it has one."""
        model = self.metadata.get("model", {})
        revision = model.get("revision")
        return str(model.get("source", "model")) + (f"@{revision[:12]}" if revision else "")


def read_head(directory: Path, selection: Selection, *, to_judge: bool = False, probabilities: bool = False) -> Head:
    """The head of a run's ranking.

    Args:
        directory: a run's output directory.
        selection: which rows.
        to_judge: people are to judge the rows, so the ranking must hold their texts.
        probabilities: read the probabilities of all classes, too.

    Raises:
        DataError: there is no ranking, it is damaged, or it holds no texts that people could judge.
        UsageError: the model has no such label, or there is no row for people to judge.
    """
    ranked, metadata = open_ranking(directory)
    try:
        columns = ranked.collect_schema().names()
        if to_judge and "text" not in columns:
            raise DataError(
                f"the ranking in '{directory}' holds no texts, so nobody could judge them. Run again without --no-text."
            )
        matching = _matching(ranked, selection, metadata.get("label_names", ()))
        identity = [name for name in ("id", "text", "text_pair", "label") if name in columns]
        chosen = matching.unique(identity, keep="first", maintain_order=True) if selection.distinct else matching
        if selection.per_class is not None:
            chosen = chosen.filter(pl.int_range(pl.len()).over("label") < selection.per_class)
        if selection.most is not None:
            chosen = chosen.head(selection.most)
        rows = (chosen if probabilities else chosen.drop(LIST_COLUMNS, strict=False)).collect()
        total = int(ranked.select(pl.len()).collect().item())
        duplicates = _alike(matching, rows, identity) - rows.height if selection.distinct else 0
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"cannot read the ranking in '{directory}': {first_line(error)}. Rank again with: scorer rank {directory}"
        ) from error
    if to_judge and rows.is_empty():
        raise UsageError(f"no row of the ranking in '{directory}' matches. Ask for less: --min-loss, --label.")
    return Head(rows.to_dicts(), total, metadata, duplicates)


def _matching(ranked: pl.LazyFrame, selection: Selection, names: Sequence[str]) -> pl.LazyFrame:
    for column, wanted in (("label", selection.label), ("predicted_label", selection.predicted)):
        if wanted is not None:
            ranked = ranked.filter(pl.col(column) == label_index(wanted, names))
    return ranked if selection.min_loss is None else ranked.filter(pl.col("loss") >= selection.min_loss)


def _alike(matching: pl.LazyFrame, rows: pl.DataFrame, identity: Sequence[str]) -> int:
    """Rows that are one of the chosen ones in what people are asked about, those included."""
    chosen = rows.lazy().select(identity)
    return int(matching.join(chosen, on=identity, how="semi", nulls_equal=True).select(pl.len()).collect().item())


def label_index(wanted: str, names: Sequence[str]) -> int:
    """Index of a label given by name, whatever its case, or by index.

    Raises:
        UsageError: the model has no such label.
    """
    folded = [name.casefold() for name in names]
    if wanted in names:
        return names.index(wanted)
    if wanted.casefold() in folded:
        return folded.index(wanted.casefold())
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise UsageError(f"there is no label '{wanted}'; the model's labels are: {', '.join(names)}.")
