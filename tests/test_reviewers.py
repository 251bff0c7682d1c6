"""What every reviewing tool must do: show the head of a ranking as it is, and give answers back as corrections.

A new command `scorer to-TOOL` fails here until `TOOLS` says how what it writes is read, and how people answer in it.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rankings import make_ranking

from scorer.cli.main import cli
from scorer.ranking.head import Selection, read_head
from scorer.review.answers.corrections import read_corrections, text_hash
from scorer.review.argilla.records import split_record_id

LABELS = ("World", "Sports", "Business")
TEXTS = [f"text {row} of the ranking, with é😀" for row in range(9)]
TOP = 5
# What people say of the first rows: a verdict, and the label that it gives.
ANSWERS = [("keep", None), ("relabel", "World"), ("drop", None), ("unsure", None)]

Row = tuple[str, str, str]  # id, text, given label


@dataclasses.dataclass(frozen=True)
class Tool:
    """A reviewing tool.

    Attributes:
        output: what --output names.
        shown: the rows that the output shows.
        answered: makes an export of the tool from the output, with `ANSWERS`; None where answers take another way.
        elsewhere: the tests of that way, or why there is none.
        options: what else the command that writes wants.
    """

    output: str
    shown: Callable[[Path], list[Row]]
    answered: Callable[[Path], Path] | None = None
    elsewhere: str = ""
    options: Sequence[str] = ()


def rows_of_csv(file: Path) -> list[Row]:
    with file.open(encoding="utf-8", newline="") as handle:
        return [(row["id"], row["text"], row["label_name"]) for row in csv.DictReader(handle)]


def rows_of_tasks(folder: Path) -> list[Row]:
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    return [(task["data"]["row_id"], task["data"]["text"], task["data"]["given_label"]) for task in tasks]


def export_of_label_studio(folder: Path) -> Path:
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    for task, (verdict, label) in zip(tasks, ANSWERS, strict=False):
        chosen = {"keep": ("label", task["data"]["given_label"]), "relabel": ("label", label)}
        name, choice = chosen.get(verdict, ("remark", verdict))
        result = {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": [choice]}}
        task["annotations"] = [{"completed_by": 1, "result": [result], "updated_at": "2026-11-24T06:30:00.1Z"}]
    (folder / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    return folder / "export.json"


def rows_of_records(file: Path) -> list[Row]:
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    fields = [record["fields"] for record in records]
    ids = [split_record_id(record["id"], each["given"])[0] for record, each in zip(records, fields, strict=True)]
    return [(id_, each["text"], each["given"]) for id_, each in zip(ids, fields, strict=True)]


TOOLS: dict[str, Tool] = {
    "csv": Tool("head.csv", rows_of_csv, elsewhere="a table to look at"),
    "label-studio": Tool("tasks", rows_of_tasks, export_of_label_studio),
    "argilla": Tool(
        "records.jsonl",
        rows_of_records,
        elsewhere="tests/test_argilla.py, with a server",
        options=("--dataset", "news"),
    ),
}


def tools() -> Sequence[str]:
    return sorted(name.removeprefix("to-") for name in cli.commands if name.startswith("to-"))


@pytest.fixture(scope="module")
def ranking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ranking(tmp_path_factory.mktemp("ranking") / "scores", TEXTS, LABELS)


@pytest.fixture(params=tools())
def tool(request: pytest.FixtureRequest) -> tuple[str, Tool]:
    assert request.param in TOOLS, f"add to TOOLS how rows and answers of {request.param} are read"
    return request.param, TOOLS[request.param]


def test_it_shows_the_head_of_the_ranking(tool: tuple[str, Tool], ranking: Path, scorer: Any, tmp_path: Path) -> None:
    name, of = tool
    done = scorer(f"to-{name}", ranking, "--top", TOP, "--output", tmp_path / of.output, *of.options)
    assert done.returncode == 0, done.stderr
    head = read_head(ranking, Selection(TOP)).rows
    assert of.shown(tmp_path / of.output) == [(row["id"], row["text"], row["label_name"]) for row in head]


def test_answers_come_back_as_corrections(tool: tuple[str, Tool], ranking: Path, scorer: Any, tmp_path: Path) -> None:
    name, of = tool
    if of.answered is None:
        assert of.elsewhere
        return
    scorer(f"to-{name}", ranking, "--top", TOP, "--output", tmp_path / of.output, *of.options)
    export = of.answered(tmp_path / of.output)
    done = scorer(f"from-{name}", export, ranking, "--output", tmp_path / "corrections.jsonl")
    assert done.returncode == 0, done.stderr
    found = read_corrections([tmp_path / "corrections.jsonl"])
    assert found.label_names == LABELS
    assert [(answer.verdict, answer.corrected_label) for answer in found.answers] == ANSWERS
    head = read_head(ranking, Selection(len(ANSWERS))).rows
    assert [(answer.id, answer.row, answer.rank, answer.text_hash, answer.given_label) for answer in found.answers] == [
        (row["id"], row["row"], row["rank"], text_hash(row["text"]), row["label_name"]) for row in head
    ]
    assert {answer.source for answer in found.answers} == {name}
