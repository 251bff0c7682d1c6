"""From people's answers on an Argilla server to corrections."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from scorer.errors import DataError, UsageError
from scorer.listener import Listener
from scorer.review.answers.corrections import Correction
from scorer.review.argilla.access import Access
from scorer.review.argilla.records import QUESTION, split_record_id
from scorer.review.argilla.server import ArgillaServer, Dataset


@dataclasses.dataclass(frozen=True, slots=True)
class Pulled:
    """What was read from a data set.

    Attributes:
        answers: every person's answer on every record, by rank.
        label_names: the question's labels: the model's names in its order.
        model: the agent of the suggestions, or None.
        records: records of the data set.
        drafts: answers that were left out because nobody has submitted them.
    """

    answers: tuple[Correction, ...]
    label_names: tuple[str, ...]
    model: str | None
    records: int
    drafts: int


def pull(access: Access, dataset_name: str, *, drafts: bool, users: Collection[str], listener: Listener) -> Pulled:
    """Read the answers of a data set that `to-argilla` made.

    Args:
        access: where, and who.
        dataset_name: the data set.
        drafts: take answers that nobody has submitted, too.
        users: only these people's answers; empty takes all.
        listener: hears of waits.

    Raises:
        UsageError: there is no such data set, or none of its answers is by one of the users.
        DataError: the data set was not made by `to-argilla`.
        ServerError: the server cannot be reached, or refuses.
    """
    server = ArgillaServer(access, listener)
    dataset = server.find_dataset(dataset_name)
    if dataset is None:
        raise UsageError(
            f"there is no data set '{dataset_name}' in the workspace '{server.workspace}' at {server.url}. Make one "
            "with: scorer to-argilla"
        )
    if dataset.question is None or not {"given_label", "row"} <= set(dataset.settings.metadata):
        raise DataError(
            f"'{dataset_name}' was not made by scorer to-argilla: it has another question or other metadata."
        )
    names = server.user_names()
    _check_users(users, names, server)
    answers, left_out, records, agents = [], 0, 0, set()
    for record in server.records(dataset, "responses", "suggestions"):
        records += 1
        agents |= {suggestion.get("agent") for suggestion in record["suggestions"]}
        for answer, status in _answers(record, dataset, names):
            if users and answer.annotator not in users:
                continue
            if status == "draft" and not drafts:
                left_out += 1
            else:
                answers.append(answer)
    answers.sort(key=lambda answer: (answer.rank or 0, answer.id))
    model = agents.pop() if len(agents) == 1 else None
    return Pulled(tuple(answers), dataset.settings.labels, model, records, left_out)


def _check_users(users: Collection[str], names: Mapping[str, str], server: ArgillaServer) -> None:
    unknown = [user for user in users if user not in names.values()]
    if unknown:
        raise UsageError(
            f"--user '{unknown[0]}' is none of the people in the workspace '{server.workspace}': "
            f"{', '.join(sorted(names.values()))}."
        )


def _answers(record: Mapping[str, Any], dataset: Dataset, names: Mapping[str, str]) -> Iterator[tuple[Correction, str]]:
    """The answers on a record, each with its status; a draft without a label is none."""
    for response in record["responses"]:
        status = response["status"]
        value = (response["values"] or {}).get(QUESTION, {}).get("value")
        if status == "draft" and value is None:
            continue
        yield _correction(record, response, None if status == "discarded" else value, dataset, names), status


def _correction(
    record: Mapping[str, Any],
    response: Mapping[str, Any],
    label: str | None,
    dataset: Dataset,
    names: Mapping[str, str],
) -> Correction:
    metadata = record["metadata"] or {}
    try:
        given = metadata["given_label"]
        row_id, hashed = split_record_id(record["external_id"] or "", given)
        return Correction(
            id=row_id,
            row=metadata["row"],
            text_hash=hashed,
            given_label=given,
            verdict="unsure" if label is None else "keep" if label == given else "relabel",
            corrected_label=label if label != given else None,
            source_file=metadata.get("source_file"),
            annotator=names.get(response["user_id"], response["user_id"]),
            at=_utc(response["updated_at"]),
            source=f"argilla:{dataset.name}",
            rank=metadata.get("rank"),
        )
    except (KeyError, ValueError) as error:
        raise DataError(
            f"record '{record['external_id']}' of '{dataset.name}' was not made by scorer to-argilla: its id or its "
            f"metadata does not say which row it is ({error})."
        ) from error


def _utc(at: str) -> str:
    """The server's time, which is UTC and does not say so, to the second."""
    moment = datetime.datetime.fromisoformat(at)
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
