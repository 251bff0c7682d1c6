"""Ranked rows as Argilla's records, and what a data set must be like to take them. Nothing here talks to a server."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from scorer.errors import DataError, UsageError
from scorer.ranking.head import Head
from scorer.review.answers.corrections import text_hash

Suggest = Literal["predicted", "given"]
Kind = Literal["terms", "integer", "float"]

QUESTION = "label"
# Fields: name and title. Names are unique across fields, question and metadata.
FIELDS: Mapping[str, str] = {"text": "Text", "text_pair": "Second text", "given": "Given label"}
# Metadata that people sort and filter by: name, kind, title. No dots in names: filters stumble over them.
METADATA: Mapping[str, tuple[Kind, str]] = {
    "loss": ("float", "Loss (nats)"),
    "rank": ("integer", "Rank"),
    "self_confidence": ("float", "P(given label)"),
    "predicted_probability": ("float", "P(predicted label)"),
    "given_label": ("terms", "Given label"),
    "predicted_label": ("terms", "Predicted label"),
    "truncated": ("terms", "Text cut for the model"),
    "row": ("integer", "Row"),
    "source_file": ("terms", "Source file"),
    "label_source": ("terms", "Who gave the label"),
}
# What the server takes of an agent's name: these characters, one letter or digit among them, and no more than so many.
_NOT_IN_AGENT = re.compile(r"[^A-Za-z0-9\-_:./ ]+")
LONGEST_AGENT = 200
LONGEST_LABEL = 200
MOST_LABELS = 500  # of a question, unless the server was set up for more
HASH_SEPARATOR = "#"
LABEL_DIGITS = 12  # of the given label's hash in a record's id


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A row as a record.

    Attributes:
        id: row id, hash of the text and hash of the given label, the same at every push.
        fields: texts and given label, by field name.
        metadata: what people sort and filter by.
        value: the suggested label.
        score: its probability among the classes.
        agent: who suggests it.
    """

    id: str
    fields: Mapping[str, str]
    metadata: Mapping[str, str | int | float]
    value: str
    score: float
    agent: str

    def to_dict(self) -> dict[str, Any]:
        """The record in the form that the Argilla client reads: `argilla.Record.from_dict`."""
        suggestion = {"value": self.value, "score": self.score, "agent": self.agent}
        return {
            "id": self.id,
            "fields": dict(self.fields),
            "metadata": dict(self.metadata),
            "suggestions": {QUESTION: suggestion},
            "responses": {},
            "vectors": {},
        }


@dataclasses.dataclass(frozen=True, slots=True)
class DatasetSettings:
    """What a data set must be like.

    Attributes:
        fields: names of the fields, in order.
        labels: options of the label question, in the model's order.
        metadata: names and kinds of the metadata properties.
    """

    fields: tuple[str, ...]
    labels: tuple[str, ...]
    metadata: Mapping[str, Kind]

    def differences(self, there: DatasetSettings) -> list[str]:
        """How a data set that is there differs, a line each; metadata that it has beyond ours is no difference."""
        found = []
        for what, ours, theirs in (("fields", self.fields, there.fields), ("labels", self.labels, there.labels)):
            if ours != theirs:
                found.append(f"  {what}: the ranking has {', '.join(ours)}; the data set has {', '.join(theirs)}")
        for name, kind in self.metadata.items():
            if (has := there.metadata.get(name, "none")) != kind:
                found.append(f"  metadata '{name}': the ranking has {kind}; the data set has {has}")
        return found


def settings_for(head: Head) -> DatasetSettings:
    """The settings that a ranking's records need.

    Raises:
        UsageError: Argilla cannot take the labels.
    """
    fields = tuple(name for name in FIELDS if name == "given" or name in head.rows[0])
    if len(head.label_names) > MOST_LABELS:
        raise UsageError(f"the model has {len(head.label_names):,} labels; a question in Argilla takes {MOST_LABELS}.")
    for name in head.label_names:
        if not name.strip() or len(name) > LONGEST_LABEL:
            raise UsageError(
                f"the model's label {name[:60]!r} has {len(name):,} characters; Argilla takes 1 to {LONGEST_LABEL}. "
                "Rename it in the checkpoint's id2label and export again."
            )
    return DatasetSettings(fields, head.label_names, {name: kind for name, (kind, _) in METADATA.items()})


def make_records(head: Head, *, agent: str, suggest: Suggest, label_source: str | None) -> list[Record]:
    """The records of a ranking's head, most suspect first.

    Args:
        head: the rows.
        agent: who predicts, as Argilla takes it: see `clean_agent`.
        suggest: suggest the predicted label, or the given one.
        label_source: who gave the labels in the data, or None.

    Raises:
        DataError: a score is not finite.
    """
    return [_record(row, agent, suggest, label_source) for row in head.rows]


def _record(row: Mapping[str, Any], agent: str, suggest: Suggest, label_source: str | None) -> Record:
    fields = {name: _storable(row[name]) for name in ("text", "text_pair") if name in row}
    numbers = {name: float(row[name]) for name in ("loss", "self_confidence", "predicted_probability")}
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise DataError(
                f"row {row['row']:,} (id {row['id']}) has {name} {number}, which is no number to sort by. The model "
                "gave no usable answer for it; export and run again."
            )
    metadata: dict[str, str | int | float] = {
        **numbers,
        "rank": int(row["rank"]),
        "row": int(row["row"]),
        "given_label": row["label_name"],
        "predicted_label": row["predicted_label_name"],
        "truncated": "yes" if row["truncated"] else "no",
        "source_file": _storable(row["source_file"]),
    }
    if label_source:
        metadata["label_source"] = label_source
    chosen, score = ("label_name", "self_confidence") if suggest == "given" else _PREDICTED
    return Record(
        id=record_id(row["id"], text_hash(row["text"], row.get("text_pair")), row["label_name"]),
        fields={**fields, "given": row["label_name"]},
        metadata=metadata,
        value=row[chosen],
        score=min(max(numbers[score], 0.0), 1.0),
        agent=clean_agent(label_source or "given label") if suggest == "given" else agent,
    )


_PREDICTED = ("predicted_label_name", "predicted_probability")


def record_id(row_id: str, hashed_text: str, given_label: str) -> str:
    """A record's id, the same whenever the row is pushed again; rows of one id and text differ by their label."""
    return HASH_SEPARATOR.join((row_id, hashed_text, text_hash(given_label)[:LABEL_DIGITS]))


def split_record_id(record: str, given_label: str) -> tuple[str, str]:
    """Row id and text hash of the id of a record with that given label.

    Raises:
        ValueError: the id is none that `record_id` made, or it is about another label.
    """
    parts = record.rsplit(HASH_SEPARATOR, 2)
    if (
        len(parts) != 3
        or not re.fullmatch(r"[0-9a-f]{32}", parts[1])
        or record_id(parts[0], parts[1], given_label) != record
    ):
        raise ValueError(record)
    return parts[0], parts[1]


def clean_agent(name: str) -> str:
    """A name as Argilla takes it for an agent: other characters become hyphens.

    Raises:
        UsageError: nothing is left.
    """
    cleaned = _NOT_IN_AGENT.sub("-", name).strip(" -")[:LONGEST_AGENT].strip()
    if not re.search("[A-Za-z0-9]", cleaned):
        raise UsageError(f"--agent {name!r} holds no letter or digit that Argilla takes. Give another name.")
    return cleaned


def _storable(text: str) -> str:
    """The text without NUL, which databases refuse; its symbol stands in."""
    return text.replace("\0", "\u2400")
