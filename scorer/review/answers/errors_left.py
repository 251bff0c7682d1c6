"""How many errors are left among the rows that nobody has looked at: an estimate from those that people did."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scorer.arithmetic.fidelity import log_odds
from scorer.errors import DataError
from scorer.ranking.rank import open_ranking
from scorer.results.run_directory import RunDirectory
from scorer.review.answers.decisions import Decision
from scorer.review.answers.matching import Candidates, Match
from scorer.review.answers.summary import is_wrong
from scorer.sources.storage.storage import reading

PRIOR_SCALE = 2.5  # standard deviation of the weak prior on slope and offset, in logits per standard deviation
STEPS = 50
FEWEST_DECIDED = 20  # rows below which no curve is fitted
DRAWS = 2_000
DECIMALS = 2  # of log odds, to which rows count as alike
SMALLEST_LOSS = 1e-6  # below it float32 tells no two losses apart


@dataclasses.dataclass(frozen=True, slots=True)
class ErrorsLeft:
    """An estimate of the errors among the rows that nobody has looked at.

    Attributes:
        rows: rows that nobody has decided on.
        errors: expected errors among them.
        low: lower end of the 95% interval.
        high: upper end.
        next_hundred: expected errors among the hundred of them that cost the model most.
    """

    rows: int
    errors: float
    low: float
    high: float
    next_hundred: float


def estimate_errors_left(
    directory: Path, decisions: Sequence[Decision], notify: Callable[[str], None] | None = None
) -> ErrorsLeft | None:
    """Estimate the errors among the rows of a ranking that nobody has decided on.

    Args:
        directory: output of the run that was reviewed.
        decisions: what people decided.
        notify: told of decisions about rows that the ranking does not have.

    Returns:
        The estimate; None where too few rows are decided, or all alike.

    Raises:
        DataError: there is no ranking, it holds no texts, or it is another one: most decisions are about rows that it
            does not have.
    """
    asked = [decision for decision in decisions if is_wrong(decision) is not None]
    matches, losses = _matches(directory, asked)
    found = [match for match in matches if match.refused is None]
    if 2 * len(found) < len(asked):
        raise DataError(
            f"'{directory}' is not the run that was reviewed: it has {len(found):,} of the {len(asked):,} rows that "
            "people decided on."
        )
    if notify is not None and len(found) < len(asked):
        notify(
            f"{len(asked) - len(found):,} of the {len(asked):,} rows that people decided on are not in '{directory}' "
            "as they were judged (id, text and label), and do not count here."
        )
    decided, wrong = np.zeros(losses.size, dtype=bool), np.zeros(losses.size, dtype=bool)  # bool [N]
    for match in found:
        for row in match.rows:
            decided[row.row] = True
            wrong[row.row] = match.decision.verdict == "drop" or match.decision.label != row.label
    return errors_left(losses, decided, wrong)


def _matches(directory: Path, decisions: Sequence[Decision]) -> tuple[list[Match], npt.NDArray[np.float64]]:
    """The decisions with their rows in the ranking, by position there, and the loss of every row, float64 [N].

    Most often all rows are found by their ids; only otherwise every text is looked at.
    """
    open_ranking(directory)
    file = RunDirectory(directory).ranked
    ids = pa.array({decision.first.id for decision in decisions}, pa.string())
    for among in (ids, None):
        candidates = Candidates(decisions, by_id=True)
        losses = _show(file, candidates, among)
        matches = candidates.matches()
        if all(match.refused is None for match in matches):
            break
    return matches, losses


def _show(file: Path, candidates: Candidates, ids: pa.Array | None) -> npt.NDArray[np.float64]:
    """Show a ranking's rows, all or those of some ids, to the candidates; gives the loss of every row, float64 [N]."""
    losses, first = [np.empty(0)], 0
    with reading(str(file), "a ranking"), pq.ParquetFile(file) as ranked:
        columns = [
            name for name in ("id", "text", "text_pair", "label_name", "loss") if name in ranked.schema_arrow.names
        ]
        if "text" not in columns:
            raise DataError(
                f"the ranking '{file}' holds no texts, by which judged rows are known. Run again without --no-text."
            )
        for batch in ranked.iter_batches(columns=columns):
            losses.append(batch.column("loss").to_numpy().astype(np.float64))
            places = np.arange(first, first + batch.num_rows)
            first += batch.num_rows
            named = np.ones(batch.num_rows, dtype=bool)  # bool [rows]
            if ids is not None:
                known = pc.is_in(batch.column("id").cast(pa.string()), value_set=ids)
                named = known.to_numpy(zero_copy_only=False)
            shown = batch.filter(pa.array(named))
            labels = shown.column("label_name").to_pylist()
            candidates.add(
                places[named].tolist(),
                ids=shown.column("id").to_pylist(),
                texts=shown.column("text").to_pylist(),
                pairs=shown.column("text_pair").to_pylist() if "text_pair" in columns else None,
                labels=labels,
                written=labels,
            )
    return np.concatenate(losses)


def errors_left(
    losses: npt.NDArray[np.float64], decided: npt.NDArray[np.bool_], wrong: npt.NDArray[np.bool_]
) -> ErrorsLeft | None:
    """Estimate the errors that are left, from a curve of error probability over loss.

    The curve is logistic in the model's log odds against the given label, log(exp(loss) - 1), as in calibration by
    Platt's method, fitted with a weak prior to the rows that people decided on. The interval comes from draws of the
    fit's normal approximation and of the errors themselves. It carries the head's pattern on to rows that nobody has
    seen, so it is only as good as the ranking is even.

    Args:
        losses: loss of every ranked row, in nats, float64 [N].
        decided: whether people decided on the row [N].
        wrong: whether they found its label wrong [N].

    Returns:
        The estimate; None where too few rows are decided, or all alike.
    """
    seen = wrong[decided]
    if seen.size < FEWEST_DECIDED or seen.all() or not seen.any():
        return None
    scale = log_odds(np.maximum(losses, SMALLEST_LOSS))  # float64 [N]
    center, spread = scale[decided].mean(), max(scale[decided].std(), 1e-6)
    weights, covariance = _fit(_features(scale[decided], center, spread), seen.astype(np.float64))
    steps, rows = np.unique(np.round(scale[~decided], DECIMALS), return_counts=True)  # alike losses go as one step
    features = _features(np.asarray(steps, dtype=np.float64), center, spread)  # float64 [S, 2]
    expected = _logistic(features @ weights)
    generator = np.random.default_rng(0)
    drawn = generator.multivariate_normal(weights, covariance, DRAWS)  # float64 [draws, 2]
    low, high = np.quantile([_drawn(features, rows, one, generator) for one in drawn], (0.025, 0.975))
    hundred = np.repeat(expected[::-1], rows[::-1])[:100].sum()
    return ErrorsLeft(int(rows.sum()), float(expected @ rows), float(low), float(high), float(hundred))


def _features(scale: npt.NDArray[np.float64], center: float, spread: float) -> npt.NDArray[np.float64]:
    """Offset and standardized log odds: float64 [rows, 2]."""
    return np.stack([np.ones_like(scale), (scale - center) / spread], axis=1)


def _fit(
    features: npt.NDArray[np.float64], outcomes: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weights of a logistic curve and their covariance, by Newton's method with a normal prior."""
    weights = np.zeros(features.shape[1])
    precision = np.eye(features.shape[1]) / PRIOR_SCALE**2
    for _ in range(STEPS):
        chance = _logistic(features @ weights)
        gradient = features.T @ (outcomes - chance) - precision @ weights
        curvature = (features * (chance * (1 - chance))[:, None]).T @ features + precision
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return weights, np.asarray(np.linalg.inv(curvature), dtype=np.float64)


def _drawn(
    features: npt.NDArray[np.float64],
    rows: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    generator: np.random.Generator,
) -> float:
    """Errors among rows under one draw of the curve: their sum is near to normal, rows being many."""
    chance = _logistic(features @ weights)
    return max(float(generator.normal(chance @ rows, math.sqrt((chance * (1 - chance)) @ rows))), 0.0)


def _logistic(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -500, 500))))
