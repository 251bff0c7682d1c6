"""From the head of a ranking to records on an Argilla server: made, brought up to date, never doubled, never wiped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scorer.errors import OutputError
from scorer.listener import Listener
from scorer.review.argilla.access import Access
from scorer.review.argilla.records import QUESTION, DatasetSettings, Record
from scorer.review.argilla.server import ArgillaServer, Dataset
from scorer.system.files import replacing, writing

# Records of one request: small enough that progress moves every second, large enough that requests cost little.
BATCH_RECORDS = 100

GUIDELINES = """\
These rows cost the model most: their given label surprises it. Many given labels are wrong, some texts fit two labels,
and sometimes the model errs. Read the text and choose the label that is right, be it the given one, the suggested one
or another. Discard what you cannot decide.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did.

    Attributes:
        created: records that are new.
        updated: records that were there with other content.
        unchanged: records that were there as they should be.
        total: records of the data set now.
        link: opens the data set in the browser, most suspect first.
    """

    created: int
    updated: int
    unchanged: int
    total: int
    link: str


def push(
    access: Access,
    dataset_name: str,
    settings: DatasetSettings,
    records: Sequence[Record],
    *,
    guidelines: str | None,
    annotators: int,
    by_loss: bool,
    listener: Listener,
) -> Pushed:
    """Bring records to a server; what is there already and equal is passed over, so a broken push is resumed.

    Args:
        access: where, and who.
        dataset_name: the data set; made where it is not there.
        settings: what it must be like.
        records: in the order in which they are sent.
        guidelines: what annotators read in a new data set; None takes the built-in ones.
        annotators: people who must answer a record of a new data set before it is done.
        by_loss: whether the link sorts by loss; by rank otherwise.
        listener: hears of progress and waits.

    Raises:
        OutputError: a data set of that name is there with other fields, labels or metadata.
        ServerError: the server cannot be reached, or refuses.
    """
    server = ArgillaServer(access, listener)
    dataset = server.find_dataset(dataset_name)
    if dataset is not None and not dataset.ready:  # a push that broke before the first record
        server.delete_dataset(dataset)
        dataset = None
    if dataset is None:
        dataset = server.create_dataset(
            dataset_name, settings, guidelines=guidelines or GUIDELINES, annotators=annotators
        )
        listener.info(f"Made the data set '{dataset_name}' in the workspace '{server.workspace}'.")
    elif differences := settings.differences(dataset.settings):
        raise OutputError(
            f"'{dataset_name}' in the workspace '{server.workspace}' is another data set:\n"
            + "\n".join(differences)
            + "\nGive another --dataset, or delete that one in Argilla."
        )
    return _send(server, dataset, records, by_loss, listener)


def _send(
    server: ArgillaServer, dataset: Dataset, records: Sequence[Record], by_loss: bool, listener: Listener
) -> Pushed:
    there = {item["external_id"]: _content(item) for item in server.records(dataset, "suggestions")}
    wanted = [_server_form(record, str(dataset.question)) for record in records]
    missing = [item for item in wanted if there.get(item["external_id"]) != _content(item)]
    created = sum(item["external_id"] not in there for item in missing)
    if there:
        listener.info(f"{len(records) - created:,} of {len(records):,} records are there already.")
    listener.started(len(missing))
    try:
        for first in range(0, len(missing), BATCH_RECORDS):
            batch = missing[first : first + BATCH_RECORDS]
            server.put_records(dataset, batch)
            listener.advanced(len(batch), 0)
    finally:
        listener.finished()
    sort = "metadata.loss.desc" if by_loss else "metadata.rank.asc"
    return Pushed(
        created=created,
        updated=len(missing) - created,
        unchanged=len(records) - len(missing),
        total=len(there) + created,
        link=f"{server.url}/dataset/{dataset.id}/annotation-mode?page=1&status=pending&sort={sort}",
    )


def _server_form(record: Record, question: str) -> dict[str, Any]:
    suggestion = {"question_id": question, "value": record.value, "score": record.score, "agent": record.agent}
    return {
        "external_id": record.id,
        "fields": dict(record.fields),
        "metadata": dict(record.metadata),
        "suggestions": [{**suggestion, "type": "model"}],
    }


def _content(item: Mapping[str, Any]) -> str:
    """What makes two records equal, whoever wrote them."""
    keys = ("question_id", "value", "score", "agent")
    suggestions = [[suggestion.get(key) for key in keys] for suggestion in item["suggestions"]]
    return json.dumps([item["fields"], item["metadata"], suggestions], sort_keys=True)


def write_records(file: Path, records: Sequence[Record]) -> None:
    """Write records as JSON Lines, for `argilla.Record.from_dict`, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    with writing(file), replacing(file) as temporary, temporary.open("w", encoding="utf-8") as handle:
        for record in records:
            handle.write(json.dumps(record.to_dict(), ensure_ascii=False) + "\n")


def settings_lines(settings: DatasetSettings) -> list[str]:
    """Settings for a person, a line each."""
    return [
        f"Fields:    {', '.join(settings.fields)}",
        f"Question:  {QUESTION}, one of: {', '.join(settings.labels)}",
        f"Metadata:  {', '.join(f'{name} ({kind})' for name, kind in settings.metadata.items())}",
    ]
