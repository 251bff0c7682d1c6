"""The files a run writes: their columns, types and metadata, in one place.

    scores/shard-00000.parquet  scored rows in input order, a file per shard
    rescored/round-00.parquet   rows at the head, scored again in fp32 after a model of less precision
    rejects.parquet             rows that cannot be scored, each with its reason
    ranked.parquet              all scored rows, most suspect first
    manifest.json               what the shards come from and how they are cut; written first
    run.json                    what was done, with counts, timings and versions; written last

Reviewing tools read ranked.parquet and nothing else; a column keeps its name and meaning. Files are opened by absolute
paths: pyarrow and polars take a relative `x:y/z` for a URL and `~` for a home.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

SCORES_DIRECTORY = "scores"
RESCORED_DIRECTORY = "rescored"
REJECTS_DIRECTORY = "rejects"  # shard by shard; gathered into rejects.parquet at the end
MANIFEST_FILE = "manifest.json"
LOCK_FILE = "run.lock"  # there while a run goes on
RANKED_FILE = "ranked.parquet"
REJECTS_FILE = "rejects.parquet"
RUN_FILE = "run.json"

RejectReason = Literal["text_missing", "text_invalid", "text_blank", "label_missing", "label_unknown"]
REJECT_REASONS: tuple[str, ...] = get_args(RejectReason)

# Columns of few different values; a dictionary of the others costs time and saves nothing.
DICTIONARY_COLUMNS = (
    "source_file",
    "label",
    "label_name",
    "predicted_label",
    "predicted_label_name",
    "n_tokens",
    "precision",
    "reason",
    "given_label",
)

# Columns of lists, which take most of a ranking's room; `top_...` stand in for the first with --top-k-probabilities.
LIST_COLUMNS = ("probabilities", "top_labels", "top_probabilities")

# Keys of the JSON documents in the files' Parquet metadata: on the run, and on a shard's counts.
METADATA_KEY = "scorer"
TALLY_KEY = "scorer.tally"


def source_schema(*, pairs: bool) -> pa.Schema:
    """Schema of the record batches that a source yields; `label` is still in the data's own spelling."""
    fields = [
        pa.field("row", pa.int64()),  # position in the whole data set, from 0
        pa.field("id", pa.large_string()),
        pa.field("source_file", pa.large_string()),
        pa.field("text", pa.large_string()),
    ]
    if pairs:
        fields.append(pa.field("text_pair", pa.large_string()))
    fields.append(pa.field("label", pa.large_string()))
    fields.append(pa.field("text_invalid", pa.bool_()))  # a text is no valid Unicode, or no text at all
    return pa.schema(fields)


def scores_schema(fields: Sequence[pa.Field], *, pairs: bool, keep_text: bool) -> pa.Schema:
    """Schema of a score shard, and, behind a leading `rank`, of the ranking.

    Args:
        fields: columns of the task, `loss` among them.
        pairs: whether the texts are pairs.
        keep_text: whether texts are written.
    """
    before = [
        pa.field("row", pa.int64()),
        pa.field("id", pa.large_string()),
        pa.field("source_file", pa.large_string()),
    ]
    if keep_text:
        before.append(pa.field("text", pa.large_string()))
        if pairs:
            before.append(pa.field("text_pair", pa.large_string()))
    return pa.schema(
        [
            *before,
            *fields,
            pa.field("n_tokens", pa.int32()),
            pa.field("truncated", pa.bool_()),
            pa.field("precision", pa.large_string()),
        ]
    )


def rejects_schema(*, pairs: bool, keep_text: bool) -> pa.Schema:
    """Schema of the rejects: where the row stands, why it was not scored, and what it held."""
    fields = [
        pa.field("row", pa.int64()),
        pa.field("id", pa.large_string()),
        pa.field("source_file", pa.large_string()),
        pa.field("reason", pa.large_string()),
        pa.field("given_label", pa.large_string()),  # as it stands in the data
    ]
    if keep_text:
        fields.append(pa.field("text", pa.large_string()))
        if pairs:
            fields.append(pa.field("text_pair", pa.large_string()))
    return pa.schema(fields)


def file_metadata(document: Mapping[str, Any]) -> dict[str, str]:
    """The Parquet key-value metadata that carries a document."""
    return {METADATA_KEY: json.dumps(document, ensure_ascii=False)}


def read_metadata(file: Path) -> dict[str, Any]:
    """The document that `file_metadata` put into a Parquet file, or an empty one.

    Raises:
        OSError, ValueError: the file cannot be read or is not Parquet.
    """
    # The file's own key-value pairs: not every writer repeats them in the Arrow schema that it stores.
    raw = (pq.read_metadata(file.absolute()).metadata or {}).get(METADATA_KEY.encode())
    return dict(json.loads(raw)) if raw else {}


def parquet_writer(file: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer of one of the run's files; a context manager."""
    dictionary = [name for name in DICTIONARY_COLUMNS if name in schema.names]
    return pq.ParquetWriter(file.absolute(), schema, compression="zstd", use_dictionary=dictionary)
