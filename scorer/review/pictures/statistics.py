"""Figures about a whole ranking: how losses spread, where label errors go, how many to expect.

One lazy pass over the label and score columns; texts are not read, and memory does not grow with the rows.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.errors import DataError
from scorer.ranking.rank import open_ranking

# Bins of the losses' histogram, points of the curve over ranks.
LOSS_BINS = 60
CURVE_POINTS = 200
# The curve goes this many times as deep as the head.
CURVE_HEADS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class among the given labels.

    Attributes:
        label: class index.
        rows: rows given this label.
        head_rows: those of them in the head.
        expected_errors: sum of 1 - P(given label) over its rows.
        mean_loss: mean loss of its rows, in nats.
        instead: the class most often predicted instead in the head, or None.
        instead_rows: how often.
    """

    label: int
    rows: int
    head_rows: int
    expected_errors: float
    mean_loss: float
    instead: int | None
    instead_rows: int


@dataclasses.dataclass(frozen=True, slots=True)
class RankingFigures:
    """A ranking in figures.

    Attributes:
        rows: rows of the ranking.
        head_rows: rows of its head.
        label_names: the model's C class names.
        loss_edges: edges of the histogram's bins, float64 [LOSS_BINS + 1], in nats.
        loss_counts: rows per bin, int64 [LOSS_BINS].
        loss_counts_head: rows of the head per bin, int64 [LOSS_BINS].
        confusion: rows of the head by given and predicted label, int64 [C, C].
        curve_ranks: ranks, int64 [P].
        curve_errors: errors expected down to each of them, float64 [P].
        expected_head: errors expected in the head: the sum of 1 - P(given label).
        expected_all: errors expected in the whole ranking.
        classes: one per class, in the model's order.
    """

    rows: int
    head_rows: int
    label_names: tuple[str, ...]
    loss_edges: NDArray[np.float64]
    loss_counts: NDArray[np.int64]
    loss_counts_head: NDArray[np.int64]
    confusion: NDArray[np.int64]
    curve_ranks: NDArray[np.int64]
    curve_errors: NDArray[np.float64]
    expected_head: float
    expected_all: float
    classes: tuple[ClassFigures, ...]

    def to_json(self) -> dict[str, Any]:
        """What the page shows as text."""
        return {
            "rows": self.rows,
            "head_rows": self.head_rows,
            "expected_head": self.expected_head,
            "expected_all": self.expected_all,
            "classes": [dataclasses.asdict(figures) for figures in self.classes],
        }


def ranking_figures(directory: Path, top: int) -> RankingFigures:
    """Compute the figures of a run's ranking, with its first `top` rows as the head.

    Raises:
        DataError: there is no ranking, or it is damaged.
    """
    ranked, metadata = open_ranking(directory)
    names = tuple(metadata.get("label_names", ()))
    rows = ranked.select(
        "rank", "label", "predicted_label", "loss", error=1 - pl.col("self_confidence").cast(pl.Float64)
    )
    in_head = pl.col("rank") <= top
    try:
        total, deepest = rows.select(pl.len(), pl.max("loss").fill_null(0.0)).collect(engine="streaming").row(0)
        edges = np.linspace(0, max(float(deepest), 1e-3), LOSS_BINS + 1)
        step = max(1, -(-min(total, CURVE_HEADS * top) // CURVE_POINTS))
        queries = [
            _by_class(rows, in_head),
            _confusion(rows.filter(in_head)),
            _histogram(rows, edges, in_head),
            _curve(rows.filter(pl.col("rank") <= CURVE_HEADS * top), step),
        ]
        by_class, pairs, histogram, curve = pl.collect_all(queries, engine="streaming")
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"cannot read the ranking in '{directory}': {reason}. Rank again with: scorer rank {directory}"
        ) from error
    confusion = np.zeros((len(names), len(names)), np.int64)
    confusion[pairs["label"].to_numpy(), pairs["predicted_label"].to_numpy()] = pairs["rows"].to_numpy()
    counts = np.zeros((2, LOSS_BINS), np.int64)
    counts[:, histogram["bin"].to_numpy()] = histogram.select("rows", "head_rows").to_numpy().T
    return RankingFigures(
        rows=total,
        head_rows=min(top, total),
        label_names=names,
        loss_edges=edges,
        loss_counts=counts[0],
        loss_counts_head=counts[1],
        confusion=confusion,
        curve_ranks=np.concatenate(([0], curve["rank"].to_numpy())),
        curve_errors=np.concatenate(([0.0], np.cumsum(curve["error"].to_numpy()))),
        expected_head=float(by_class["head_error"].sum()),
        expected_all=float(by_class["error"].sum()),
        classes=tuple(_class_figures(label, by_class, confusion) for label in range(len(names))),
    )


def _by_class(rows: pl.LazyFrame, in_head: pl.Expr) -> pl.LazyFrame:
    return rows.group_by("label").agg(
        pl.len().alias("rows"),
        in_head.sum().alias("head_rows"),
        pl.sum("error"),
        pl.col("error").filter(in_head).sum().alias("head_error"),
        pl.mean("loss"),
    )


def _confusion(head: pl.LazyFrame) -> pl.LazyFrame:
    return head.group_by("label", "predicted_label").agg(pl.len().alias("rows"))


def _histogram(rows: pl.LazyFrame, edges: NDArray[np.float64], in_head: pl.Expr) -> pl.LazyFrame:
    place = (pl.col("loss") / float(edges[-1]) * LOSS_BINS).floor().cast(pl.Int64).clip(0, LOSS_BINS - 1)
    return rows.group_by(place.alias("bin")).agg(pl.len().alias("rows"), in_head.sum().alias("head_rows"))


def _curve(rows: pl.LazyFrame, step: int) -> pl.LazyFrame:
    """Errors expected between one point of the curve and the next, each with the last rank it covers."""
    return (
        rows.group_by(((pl.col("rank") - 1) // step).alias("point")).agg(pl.max("rank"), pl.sum("error")).sort("point")
    )


def _class_figures(label: int, by_class: pl.DataFrame, confusion: NDArray[np.int64]) -> ClassFigures:
    found = by_class.filter(pl.col("label") == label)
    others = confusion[label].copy()
    others[label] = 0
    instead = int(others.argmax())
    return ClassFigures(
        label=label,
        rows=int(found["rows"].sum()),
        head_rows=int(found["head_rows"].sum()),
        expected_errors=round(float(found["error"].sum()), 3),
        mean_loss=round(float(found["loss"].sum()), 5),  # one row, or none
        instead=instead if others[instead] else None,
        instead_rows=int(others[instead]),
    )
