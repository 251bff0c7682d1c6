"""Rankings made by hand, for what no model would give: odd labels, odd texts, chosen losses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scorer import schema
from scorer.tasks.single_label import scores_schema


def make_ranking(
    directory: Path,
    texts: Sequence[str],
    label_names: Sequence[str],
    *,
    pairs: Sequence[str] | None = None,
    losses: Sequence[float] | None = None,
    source: str = "a/model",
    keep_text: bool = True,
    **columns: Sequence[Any],
) -> Path:
    """Write a ranking as a run does: row r is given label r mod C and predicted the next one.

    Args:
        directory: the run's output directory.
        texts: the rows' texts, most suspect first.
        label_names: the model's labels.
        pairs: second texts, or None.
        losses: losses in nats; without them they fall from 9.
        source: the model's name.
        keep_text: whether the ranking holds texts.
        **columns: values of further columns, which win over those made here.
    """
    rows, classes = len(texts), len(label_names)
    given = np.arange(rows) % classes
    predicted = (given + 1) % classes
    loss = np.array(np.linspace(9, 1, rows) if losses is None else losses, dtype=np.float32)
    confidence = np.exp(-loss)
    probabilities = np.zeros((rows, classes), dtype=np.float32)
    probabilities[np.arange(rows), given] = confidence
    probabilities[np.arange(rows), predicted] = 1 - confidence
    values: dict[str, Any] = {
        "row": np.arange(rows),
        "id": [f"id-{row}" for row in range(rows)],
        "source_file": ["data/news.v2.csv"] * rows,
        "text": list(texts),
        "text_pair": pairs,
        "label": given,
        "label_name": [label_names[label] for label in given],
        "predicted_label": predicted,
        "predicted_label_name": [label_names[label] for label in predicted],
        "loss": loss,
        "self_confidence": confidence,
        "predicted_probability": 1 - confidence,
        "probabilities": probabilities.tolist(),
        "n_tokens": [12] * rows,
        "truncated": [row % 2 == 0 for row in range(rows)],
        "precision": ["fp32"] * rows,
        **columns,
    }
    fields = scores_schema(classes=classes, pairs=pairs is not None, keep_text=keep_text)
    ranked = pa.schema([pa.field("rank", pa.int64()), *fields])
    document = {
        "label_names": list(label_names),
        "ranked_by": "loss",
        "model": {"source": source, "revision": None, "precision": "fp32"},
    }
    table = pa.table({"rank": np.arange(1, rows + 1), **{field.name: values[field.name] for field in fields}}, ranked)
    directory.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(schema.file_metadata(document)), directory / schema.RANKED_FILE)
    return directory
