"""From score shards to one ranking. Polars, lazy; nothing here knows of models or tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from scorer import schema, scoring
from scorer.config import RANKED_BY, RankedBy
from scorer.errors import DataError, UsageError
from scorer.shards import RunDirectory, replacing, writing

# Rows per row group of the ranking: a size that other readers like.
ROW_GROUP_ROWS = 65_536
# Whether a high value is the suspect one.
HIGH_IS_SUSPECT: Mapping[RankedBy, bool] = {
    "loss": True,
    "self_confidence": False,
    "normalized_margin": False,
    "entropy": True,
}


def rank(directory: Path, by: RankedBy = "loss") -> Path:
    """Rank all scored rows of a run and write `ranked.parquet`.

    Args:
        directory: a run's output directory.
        by: the score to rank by; the most suspect row gets rank 1, ties go by row. A score that the shards do
            not hold (normalized_margin, entropy) is added as a column.

    Returns:
        The ranking's file.

    Raises:
        UsageError: `by` is no known score.
        DataError: there are no score shards, or one is damaged.
        OutputError: the ranking cannot be written.
    """
    if by not in RANKED_BY:
        raise UsageError(f"cannot rank by '{by}'; known are {', '.join(RANKED_BY)}.")
    run = RunDirectory(directory)
    shards = sorted(run.scores.glob("part-*.parquet"))
    if not shards:
        raise DataError(f"'{directory}' holds no score shards to rank. Make some with: scorer run")
    try:
        metadata = schema.read_metadata(shards[0])
        rows = with_score(pl.scan_parquet(shards), by)
        ranked = rows.sort([by, "row"], descending=[HIGH_IS_SUSPECT[by], False]).with_row_index("rank", offset=1)
        with writing(run.ranked), replacing(run.ranked) as temporary:
            ranked.with_columns(pl.col("rank").cast(pl.Int64)).sink_parquet(
                temporary,
                compression="zstd",
                row_group_size=ROW_GROUP_ROWS,
                metadata=schema.file_metadata({**metadata, "ranked_by": by}),
            )
    except (pl.exceptions.PolarsError, pa.ArrowException) as error:
        raise DataError(
            f"cannot rank the shards in '{run.scores}': {_first_line(error)}. A shard is damaged; score again with: "
            "scorer run --overwrite"
        ) from error
    return run.ranked


def with_score(rows: pl.LazyFrame, by: RankedBy) -> pl.LazyFrame:
    """The rows with the column `by`, computed where the shards do not hold it."""
    functions = {"normalized_margin": _margin, "entropy": _entropy}
    if by not in functions:
        return rows
    inputs = pl.struct("label", "probabilities")
    return rows.with_columns(inputs.map_batches(functions[by], return_dtype=pl.Float32).alias(by))


def gather_rejects(directory: Path) -> int:
    """Join the rejects of all shards into `rejects.parquet` and remove them; returns their number."""
    run = RunDirectory(directory)
    parts = sorted(run.rejects.glob("part-*.parquet"))
    target = directory / schema.REJECTS_FILE
    with writing(target), replacing(target) as temporary:
        pl.scan_parquet(parts).sink_parquet(
            temporary,
            compression="zstd",
            metadata=schema.file_metadata(schema.read_metadata(parts[0])),
        )
    with writing(run.rejects):
        for part in parts:
            part.unlink()
        run.rejects.rmdir()
    return int(pl.scan_parquet(target).select(pl.len()).collect().item())


def open_ranking(directory: Path) -> tuple[pl.LazyFrame, dict[str, Any]]:
    """A run's ranking and the document in its metadata.

    Raises:
        DataError: there is no ranking, or it is damaged.
    """
    file = RunDirectory(directory).ranked
    if not file.is_file():
        hint = "Rank its shards with: scorer rank" if (directory / "scores").is_dir() else "Make one with: scorer run"
        raise DataError(f"'{directory}' holds no {schema.RANKED_FILE}. {hint}")
    try:
        metadata = schema.read_metadata(file)
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        raise DataError(
            f"cannot read '{file}': {_first_line(error)}. Rank again with: scorer rank {directory}"
        ) from error
    if "ranked_by" not in metadata:
        raise DataError(f"'{file}' is not a ranking that scorer wrote. Make one with: scorer run")
    return pl.scan_parquet(file), metadata


def head(directory: Path, top: int, *, label: str | None = None, predicted: str | None = None) -> list[dict[str, Any]]:
    """The first rows of a run's ranking.

    Args:
        directory: a run's output directory.
        top: number of rows.
        label: only rows given this label, by name or index.
        predicted: only rows predicted to have this label, by name or index.

    Raises:
        DataError: there is no ranking.
        UsageError: the model has no such label.
    """
    ranked, metadata = open_ranking(directory)
    names = metadata.get("label_names", [])
    for column, wanted in (("label", label), ("predicted_label", predicted)):
        if wanted is not None:
            ranked = ranked.filter(pl.col(column) == label_index(wanted, names))
    try:
        return ranked.drop("probabilities").head(top).collect().to_dicts()
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"cannot read the ranking in '{directory}': {_first_line(error)}. Rank again with: scorer rank {directory}"
        ) from error


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


def _first_line(error: Exception) -> str:
    """What happened; polars adds the plan of its query below."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(". ")


def _margin(rows: pl.Series) -> pl.Series:
    fields = rows.struct
    margin = scoring.normalized_margin(fields.field("probabilities").to_numpy(), fields.field("label").to_numpy())
    return pl.Series(margin)


def _entropy(rows: pl.Series) -> pl.Series:
    return pl.Series(scoring.entropy(rows.struct.field("probabilities").to_numpy()))
