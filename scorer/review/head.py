"""The part of a ranking that people look at: chosen by rank, loss and label, each row once.

Rows are one where id, text and given label are: what people say of it holds for all of them.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import polars as pl

from scorer.errors import DataError, UsageError
from scorer.ranking.rank import label_index, open_ranking
from scorer.schema import LIST_COLUMNS

DEFAULT_TOP = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of a ranking to take; conditions add up.

    Attributes:
        top: at most so many rows; None takes 500 where nothing else limits them, and all that match otherwise.
        min_loss: only rows with at least this loss, in nats.
        label: only rows given this label, by name or index.
        per_class: at most so many rows of each given label.
    """

    top: int | None = None
    min_loss: float | None = None
    label: str | None = None
    per_class: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Head:
    """The chosen rows of a ranking.

    Attributes:
        rows: the rows, most suspect first, with the columns of the ranking but the probabilities.
        label_names: the model's C class names, in its order.
        model: name of the model that ranked them, with its revision where it has one.
        ranked_by: the score that they are ranked by.
        duplicates: rows left out because one of the chosen rows has the same id, text and given label.
    """

    rows: list[dict[str, Any]]
    label_names: tuple[str, ...]
    model: str
    ranked_by: str
    duplicates: int


def select_head(directory: Path, selection: Selection) -> Head:
    """The head of a run's ranking.

    Args:
        directory: a run's output directory.
        selection: which rows.

    Raises:
        DataError: there is no ranking, or it holds no texts.
        UsageError: no row matches, or the model has no such label.
    """
    ranked, metadata = open_ranking(directory)
    names = tuple(metadata["label_names"])
    try:
        columns = ranked.collect_schema().names()
        if "text" not in columns:
            raise DataError(
                f"the ranking in '{directory}' holds no texts, so nobody could judge them. Run again without --no-text."
            )
        matching = _matching(ranked, selection, names)
        identity = [name for name in ("id", "text", "text_pair", "label") if name in columns]
        top = selection.top
        if top is None and selection.min_loss is None and selection.per_class is None:
            top = DEFAULT_TOP
        distinct = matching.unique(identity, keep="first", maintain_order=True)
        if selection.per_class is not None:
            distinct = distinct.filter(pl.int_range(pl.len()).over("label") < selection.per_class)
        rows = (distinct if top is None else distinct.head(top)).drop(LIST_COLUMNS, strict=False).collect()
        chosen = rows.lazy().select(identity)
        alike = matching.join(chosen, on=identity, how="semi", nulls_equal=True).select(pl.len()).collect().item()
    except pl.exceptions.PolarsError as error:
        raise DataError(f"cannot read the ranking in '{directory}': {error}. Rank again with: scorer rank") from error
    if rows.is_empty():
        raise UsageError(f"no row of the ranking in '{directory}' matches. Ask for less: --min-loss, --label.")
    return Head(rows.to_dicts(), names, _model_name(metadata), metadata["ranked_by"], alike - rows.height)


def _matching(ranked: pl.LazyFrame, selection: Selection, names: tuple[str, ...]) -> pl.LazyFrame:
    if selection.label is not None:
        ranked = ranked.filter(pl.col("label") == label_index(selection.label, names))
    if selection.min_loss is not None:
        ranked = ranked.filter(pl.col("loss") >= selection.min_loss)
    return ranked


def _model_name(metadata: dict[str, Any]) -> str:
    model = metadata.get("model", {})
    revision = model.get("revision")
    return str(model.get("source", "model")) + (f"@{revision[:12]}" if revision else "")
