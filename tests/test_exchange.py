"""Tables for spreadsheets, and tasks for Label Studio with annotations back."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

from scorer import RunConfig, score
from scorer.cli.commands.demo import demo_corpus, demo_model
from scorer.errors import DataError
from scorer.review.answers.corrections import read_corrections, text_hash
from scorer.review.files.label_studio import read_annotations
from scorer.review.files.spreadsheet import CELL_CHARACTERS, safe_cell


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "out"
    score(RunConfig(model=demo_model(), data=(str(demo_corpus()),), output=out, limit=300))
    return out


@pytest.fixture(scope="module")
def ranked(run: Path) -> pl.DataFrame:
    return pl.read_parquet(run / "ranked.parquet")


FORMULAS = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "  =1",
    '"=1"',
    "\uff1d1",
    "plain;=1+1",
    "plain\n=1+1",
    "plain | -1",
    "plain\t@x",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_starts_a_formula_whatever_it_is_split_at(text: str) -> None:
    cell = safe_cell(text)
    for separator in (";", "\t", "|", "\n", "\r"):
        for part in cell.split(separator):
            assert part.lstrip(' "')[:1] not in {"=", "+", "-", "@", "\uff1d"}


@pytest.mark.parametrize(
    "text", ["plain", "a = b + c - d", "well-known; e.g. this", "3 - 2 = 1", "mail me@x.org", "line\nbreak", ""]
)
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert safe_cell(text) == text


def test_control_characters_and_overrides_in_a_cell_are_shown() -> None:
    assert safe_cell("\x1b[31mred\x00 \u202egnp") == "␛[31mred␀ <U+202E>gnp"
    assert len(safe_cell("x" * 50_000)) < CELL_CHARACTERS + 100
    assert safe_cell("x" * 50_000).endswith("(+18,000 characters)")


@pytest.mark.parametrize("bom", [False, True])
def test_the_table_is_the_head_of_the_ranking(
    bom: bool, run: Path, ranked: pl.DataFrame, scorer: Any, tmp_path: Path
) -> None:
    file = tmp_path / "head.csv"
    done = scorer("to-csv", run, "--top", 50, "-o", file, *(["--bom"] if bom else []))
    assert done.returncode == 0, done.stderr
    assert file.read_bytes().startswith(b"\xef\xbb\xbf") == bom
    with file.open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    head = ranked.head(50)
    assert [row["id"] for row in rows] == head["id"].to_list()
    assert [row["text"] for row in rows] == head["text"].to_list()
    assert [row["predicted_label_name"] for row in rows] == head["predicted_label_name"].to_list()
    assert [float(row["loss"]) for row in rows] == pytest.approx(head["loss"].to_list(), abs=1e-5)
    assert pl.read_csv(file).height == 50


def test_tasks_carry_the_prediction_and_fit_their_configuration(
    run: Path, ranked: pl.DataFrame, label_names: tuple[str, ...], scorer: Any, tmp_path: Path
) -> None:
    done = scorer("to-label-studio", run, "--top", 40, "-o", tmp_path / "ls")
    assert done.returncode == 0, done.stderr
    tasks = json.loads((tmp_path / "ls" / "tasks.json").read_text(encoding="utf-8"))
    config = ElementTree.fromstring((tmp_path / "ls" / "config.xml").read_text(encoding="utf-8"))
    controls = {choices.get("name"): [c.get("value") for c in choices] for choices in config.iter("Choices")}
    assert controls == {"label": list(label_names), "remark": ["unsure", "drop"]}
    shown = {part.get("value") for part in config.iter("Text")}
    assert shown <= {f"${name}" for name in tasks[0]["data"]}
    for task, row in zip(tasks, ranked.head(40).iter_rows(named=True), strict=True):
        assert (task["data"]["row_id"], task["data"]["text"]) == (row["id"], row["text"])
        assert task["data"]["text_hash"] == text_hash(row["text"])
        prediction = task["predictions"][0]
        assert prediction["result"][0]["value"]["choices"] == [row["predicted_label_name"]]
        assert prediction["score"] == pytest.approx(row["predicted_probability"], abs=1e-5)


def annotated(task: dict[str, Any], annotator: Any, *, skipped: bool = False, **chosen: str) -> dict[str, Any]:
    """The task as Label Studio exports it when somebody has chosen."""
    results = [
        {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": [choice]}, "id": f"x{name}"}
        for name, choice in chosen.items()
    ]
    annotation = {
        "id": 1,
        "completed_by": annotator,
        "result": results,
        "was_cancelled": skipped,
        "created_at": "2026-11-24T06:29:00.123456Z",
        "updated_at": "2026-11-24T06:30:00.123456Z",
        "lead_time": 2.5,
    }
    return {**task, "id": 7, "annotations": [*task.get("annotations", []), annotation]}


def test_annotations_come_back_as_corrections(
    run: Path, ranked: pl.DataFrame, label_names: tuple[str, ...], scorer: Any, tmp_path: Path
) -> None:
    scorer("to-label-studio", run, "--top", 6, "-o", tmp_path)
    tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    given = [task["data"]["given_label"] for task in tasks]
    other = next(name for name in label_names if name != given[1])
    export = [
        annotated(tasks[0], 3, label=given[0]),
        annotated(annotated(tasks[1], {"id": 4, "email": "ann@example.org"}, label=other), 5, label=given[1]),
        annotated(tasks[2], 3, remark="unsure", label=other),
        annotated(tasks[3], 3, remark="drop"),
        annotated(tasks[4], 3, skipped=True),
        {**tasks[5], "annotations": []},
    ]
    (tmp_path / "export.json").write_text(json.dumps(export), encoding="utf-8")
    done = scorer("from-label-studio", tmp_path / "export.json", run, "-o", tmp_path / "corrections.jsonl")
    assert done.returncode == 0, done.stderr
    found = read_corrections([tmp_path / "corrections.jsonl"])
    assert found.label_names == label_names
    assert [answer.verdict for answer in found.answers] == ["keep", "relabel", "keep", "unsure", "drop", "unsure"]
    assert found.answers[1].corrected_label == other
    assert [answer.annotator for answer in found.answers] == ["3", "ann@example.org", "5", "3", "3", "3"]
    assert {answer.at for answer in found.answers} == {"2026-11-24T06:30:00Z"}
    assert [answer.id for answer in found.answers] == [ranked["id"][place] for place in (0, 1, 1, 2, 3, 4)]
    assert [answer.text_hash for answer in found.answers] == [
        text_hash(ranked["text"][place]) for place in (0, 1, 1, 2, 3, 4)
    ]


def test_the_flat_export_comes_back_as_well(run: Path, ranked: pl.DataFrame, scorer: Any, tmp_path: Path) -> None:
    scorer("to-label-studio", run, "--top", 3, "-o", tmp_path)
    tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    common = {"id": 11, "annotator": 2, "annotation_id": 5, "updated_at": "2026-11-24T06:30:00.1Z", "lead_time": 1.0}
    flat = [
        {**tasks[0]["data"], **common, "label": tasks[0]["data"]["predicted_label"]},
        {**tasks[1]["data"], **common, "remark": "drop"},
        {**tasks[2]["data"], **common},
    ]
    (tmp_path / "export.json").write_text(json.dumps(flat), encoding="utf-8")
    assert scorer("from-label-studio", tmp_path / "export.json", run, "-o", tmp_path / "c.jsonl").returncode == 0
    answers = read_corrections([tmp_path / "c.jsonl"]).answers
    assert [(answer.id, answer.verdict) for answer in answers] == [
        (ranked["id"][0], "relabel"),
        (ranked["id"][1], "drop"),
    ]


def test_choices_come_in_lists_and_records_and_several_are_refused(
    run: Path, ranked: pl.DataFrame, scorer: Any, tmp_path: Path
) -> None:
    scorer("to-label-studio", run, "--top", 1, "-o", tmp_path)
    task = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))[0]["data"]
    predicted, given = task["predicted_label"], ranked["label_name"][0]
    for choice in (predicted, [predicted], {"choices": [predicted]}):
        (tmp_path / "export.json").write_text(json.dumps([task | {"label": choice}]), encoding="utf-8")
        assert read_annotations(tmp_path / "export.json", [predicted, given])[0].corrected_label == predicted
    several = {"from_name": "label", "type": "choices", "value": {"choices": [given, predicted]}}
    for export in (
        [task | {"label": {"choices": [given, predicted]}}],
        [{"data": task, "annotations": [{"result": [several]}]}],
    ):
        (tmp_path / "export.json").write_text(json.dumps(export), encoding="utf-8")
        with pytest.raises(DataError, match=r"task 1 of .* holds several choices where one is to be made"):
            read_annotations(tmp_path / "export.json", [predicted, given])


@pytest.mark.parametrize(
    ("export", "verdicts"),
    [
        ("export.json", ["relabel", "keep", "drop", "unsure"] * 2),
        ("export-min.json", ["relabel", "keep", "drop"] * 2),  # JSON-MIN leaves skipped tasks out
    ],
)
def test_exports_of_a_real_server_are_read_and_applied(
    export: str, verdicts: list[str], scorer: Any, tmp_path: Path
) -> None:
    """Both files were exported by Label Studio 1.23.2 from tasks of the embedded corpus, answered through its API."""
    file = Path(__file__).parent / "label_studio" / export
    score(RunConfig(model=demo_model(), data=(str(demo_corpus()),), output=tmp_path / "run", limit=100))
    done = scorer("from-label-studio", file, tmp_path / "run", "-o", tmp_path / "corrections.jsonl")
    assert done.returncode == 0, done.stderr
    answers = read_corrections([tmp_path / "corrections.jsonl"]).answers
    assert [answer.verdict for answer in answers] == verdicts
    assert all(answer.moment is not None and answer.annotator == "1" for answer in answers)
    done = scorer("apply", tmp_path / "corrections.jsonl", demo_corpus(), "-o", tmp_path / "corrected.parquet")
    assert done.returncode == 0, done.stderr
    before, after = pl.read_parquet(demo_corpus()), pl.read_parquet(tmp_path / "corrected.parquet")
    changed = before["id"].filter(before["label"] != after["label"]).to_list()
    assert sorted(changed) == sorted(answer.id for answer in answers if answer.verdict == "relabel")
