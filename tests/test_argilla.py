"""The loop through a real Argilla server: records out, people's answers home, the data set corrected.

The server is argilla-server from PyPI with SQLite and redis; only its search engine is a stand-in.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from argilla_server.stack import API_KEY, missing
from conftest import SHARED
from rankings import make_ranking

from scorer import ExportConfig, RunConfig, export_onnx, score
from scorer.cli.commands.demo import demo_corpus, demo_model
from scorer.errors import DataError, OutputError, ScorerError, ServerError, UsageError
from scorer.listener import Silence
from scorer.review.answers.corrections import read_corrections, text_hash
from scorer.review.argilla.records import record_id

pytestmark = [
    pytest.mark.xdist_group("argilla"),
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]
if missing() is None:
    pytest.importorskip("argilla", reason="needs the extra `argilla`")
    from argilla_helpers import Server, wait_until

LABELS = ("World", "Sports", "Business")
NEWS_ROWS = 800
LARGE_HEAD = 5_000


@pytest.fixture(scope="session")
def news(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """AG News, scored by a model that has not seen these rows: the data and the run."""
    folder = tmp_path_factory.mktemp("news")
    export_onnx(ExportConfig(model=str(SHARED / "models" / "agnews-minilm-fold0"), output=folder / "model"))
    rows = pl.read_parquet(SHARED / "data" / "ag_news" / "train.parquet").filter(pl.col("fold") == 1)
    rows.head(NEWS_ROWS).write_parquet(folder / "news.parquet")
    score(RunConfig(model=folder / "model", data=(str(folder / "news.parquet"),), output=folder / "scores"))
    return folder / "news.parquet", folder / "scores"


@pytest.fixture
def ranking(tmp_path: Path) -> Path:
    return make_ranking(tmp_path / "scores", [f"text {row}" for row in range(60)], LABELS)


@pytest.mark.shared
def test_the_head_of_ag_news_arrives_sorted_and_a_second_push_changes_nothing(
    argilla: Server, news: tuple[Path, Path]
) -> None:
    _, scores = news
    printed = argilla.push(scores, "ag-news", "--top", 500, "--label-source", "AG corpus")
    assert "500 records: 500 new, 0 updated, 0 as they were. 'ag-news' holds 500 records." in printed
    link = re.search(r"Review: (\S+)", printed)
    assert link is not None
    assert link[1].endswith(
        f"/dataset/{argilla.dataset_id('ag-news')}/annotation-mode?page=1&status=pending&sort=metadata.loss.desc"
    )
    head = pl.read_parquet(scores / "ranked.parquet").head(500)
    there = argilla.sorted_by_loss("ag-news")
    assert len(there) == len(argilla.records("ag-news")) == 500
    for row, record in zip(head.iter_rows(named=True), there, strict=True):
        assert record["external_id"] == record_id(row["id"], text_hash(row["text"]), row["label_name"])
        assert record["fields"] == {"text": row["text"], "given": row["label_name"]}
        (suggestion,) = record["suggestions"]
        assert suggestion["value"] == row["predicted_label_name"]
        assert suggestion["score"] == row["predicted_probability"]
        assert suggestion["agent"] == "agnews-minilm-fold0"
        assert record["metadata"] == {
            **{name: row[name] for name in ("loss", "rank", "self_confidence", "predicted_probability", "row")},
            "given_label": row["label_name"],
            "predicted_label": row["predicted_label_name"],
            "truncated": "yes" if row["truncated"] else "no",
            "source_file": row["source_file"],
            "label_source": "AG corpus",
        }
    argilla.answer(there[0], "ada", "Business")
    argilla.answer(there[1], "bo", None, "discarded")
    before = argilla.records("ag-news")
    again = argilla.push(scores, "ag-news", "--top", 500, "--label-source", "AG corpus")
    assert "0 new, 0 updated, 500 as they were" in again
    assert argilla.records("ag-news") == before


def test_new_content_updates_records_and_keeps_their_answers(argilla: Server, ranking: Path) -> None:
    argilla.push(ranking, "updated")
    first, second, *_ = argilla.records("updated")
    argilla.answer(first, "ada", "Sports")
    argilla.answer(first, "bo", "World", "draft")
    argilla.answer(second, "ada", None, "discarded")
    before = argilla.records("updated")
    argilla.push(ranking, "updated", "--agent", "another model")
    after = argilla.records("updated")
    assert [record["responses"] for record in after] == [record["responses"] for record in before]
    assert {record["suggestions"][0]["agent"] for record in after} == {"another model"}
    assert len(after) == 60


def test_a_push_that_is_killed_goes_on_where_it_stopped(argilla: Server, tmp_path: Path) -> None:
    directory = make_ranking(tmp_path, [f"text {row}" for row in range(300)], LABELS)
    command = [sys.executable, "-m", "scorer", "to-argilla", str(directory), "--dataset", "killed"]
    process = subprocess.Popen(command, env=argilla.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    names = lambda: [item["name"] for item in argilla.ask("GET", "/me/datasets")["items"]]  # noqa: E731
    wait_until(lambda: "killed" in names() and len(argilla.records("killed")) >= 100)
    process.send_signal(signal.SIGKILL)
    process.wait()
    survived = len(argilla.records("killed"))
    assert 100 <= survived < 300
    printed = argilla.push(directory, "killed")
    arrived = int(re.findall(r"([\d,]+) as they were", printed)[0])
    assert arrived >= survived  # the server may have finished a batch that it had begun
    assert len(argilla.records("killed")) == 300


def test_a_data_set_that_was_never_published_is_made_anew(argilla: Server, ranking: Path) -> None:
    workspace = argilla.ask("GET", "/me/workspaces")["items"][0]["id"]
    argilla.ask("POST", "/datasets", json={"name": "half-made", "workspace_id": workspace})
    assert "60 new" in argilla.push(ranking, "half-made")


@pytest.mark.parametrize(
    ("labels", "pairs", "says"),
    [
        (("World", "Business", "Sports"), None, "labels: the ranking has World, Business, Sports; the data set has"),
        (LABELS, ["x"] * 3, "fields: the ranking has text, text_pair, given; the data set has text, given"),
    ],
)
def test_a_data_set_with_other_labels_or_fields_is_refused(
    labels: tuple[str, ...], pairs: Any, says: str, *, argilla: Server, ranking: Path, tmp_path: Path
) -> None:
    argilla.push(ranking, "taken", "--top", 3)
    other = make_ranking(tmp_path / "other", ["a", "b", "c"], labels, pairs=pairs)
    done = argilla.command("to-argilla", other, "--dataset", "taken")
    assert done.returncode == OutputError.exit_code
    assert says in done.stderr
    assert len(argilla.records("taken")) == 3


def test_odd_texts_labels_and_names_go_through(argilla: Server, tmp_path: Path) -> None:
    labels = ("a.b", "7", 'ß "quoted" <b>', "x" * 200)
    texts = ["long " * 2_500, "<script>alert(1)</script>", "nul \0 byte", "😀 新闻 שלום \u202e", "  blank around  "]
    pairs = ["", "second", "\x1b[31m", "x", "y"]
    columns = {"source_file": ["dir.v2/\0.csv"] * 5, "id": ["a/b c#d", "", "ünï", "x" * 500, "5"]}
    directory = make_ranking(tmp_path, texts, labels, pairs=pairs, source="modèle/x@y", **columns)
    name = "odd: Ünï/データ & more"
    argilla.push(directory, name)
    there = argilla.sorted_by_loss(name)
    assert [record["fields"]["text"] for record in there] == [text.replace("\0", "␀") for text in texts]
    assert [record["fields"]["text_pair"] for record in there] == pairs
    assert [record["suggestions"][0]["value"] for record in there] == ["7", labels[2], labels[3], "a.b", "7"]
    for record, label in zip(there, [*labels, labels[0]], strict=True):
        argilla.answer(record, "ada", label)
    output = tmp_path / "corrections.jsonl"
    done = argilla.command("from-argilla", "--dataset", name, "-o", output)
    assert done.returncode == 0, done.stderr
    read = read_corrections([output])
    assert read.label_names == labels
    assert [answer.id for answer in read.answers] == columns["id"]
    assert [answer.text_hash for answer in read.answers] == [
        text_hash(text, pair) for text, pair in zip(texts, pairs, strict=True)
    ]
    assert {answer.verdict for answer in read.answers} == {"keep"}
    assert "0 new, 0 updated, 5 as they were" in argilla.push(directory, name)


def ten_records_twice_answered(
    argilla: Server, records: list[dict[str, Any]], names: tuple[str, ...]
) -> dict[int, str]:
    """Twenty answers by two people; returns the labels that majority changed, by rank."""
    changed = {}
    for position, record in enumerate(records[:10]):
        rank, given = record["metadata"]["rank"], record["metadata"]["given_label"]
        other, third = [name for name in names if name != given][:2]
        both: dict[int, tuple[tuple[str | None, str], tuple[str | None, str]]] = {
            0: ((other, "submitted"), (other, "submitted")),  # agreement on another label
            1: ((other, "submitted"), (other, "submitted")),
            2: ((given, "submitted"), (given, "submitted")),  # agreement on the given one
            3: ((other, "submitted"), (given, "submitted")),  # conflict
            4: ((other, "submitted"), (third, "submitted")),  # conflict on which other
            5: ((other, "submitted"), (other, "draft")),  # a draft has no voice
            6: ((given, "submitted"), (other, "draft")),
            7: ((None, "discarded"), (None, "discarded")),
            8: ((other, "submitted"), (None, "discarded")),  # one for it, one undecided: no majority
            9: ((third, "discarded"), (third, "submitted")),  # discarded with a label is discarded
        }
        for user, (label, status) in zip(("ada", "bo"), both[position], strict=True):
            argilla.answer(record, user, label, status)
        if position in (0, 1, 5):
            changed[rank] = other
    return changed


@pytest.mark.shared
def test_twenty_answers_by_two_people_change_exactly_the_rows_of_the_majority(
    argilla: Server, news: tuple[Path, Path], tmp_path: Path
) -> None:
    data, scores = news
    argilla.push(scores, "twenty", "--top", 20, "--annotators", 2)
    records = argilla.sorted_by_loss("twenty")
    names = ("World", "Sports", "Business", "Sci/Tech")
    changed = ten_records_twice_answered(argilla, records, names)
    output = tmp_path / "corrections.jsonl"
    done = argilla.command("from-argilla", "--dataset", "twenty", "-o", output)
    assert done.returncode == 0, done.stderr
    assert "18 answers by 2 people on 10 of 20 records; 2 drafts were left out" in done.stdout
    assert "People disagree on 4 rows; on 4 of them nothing decides:" in done.stdout
    read = read_corrections([output])
    assert (read.label_names, read.model) == (names, "agnews-minilm-fold0")
    assert {answer.annotator for answer in read.answers} == {"ada", "bo"}
    assert {answer.source for answer in read.answers} == {"argilla:twenty"}
    ranked = pl.read_parquet(scores / "ranked.parquet")
    for answer in read.answers:
        row = ranked.row(answer.rank - 1, named=True)
        assert (answer.id, answer.row, answer.source_file) == (row["id"], row["row"], row["source_file"])
    applied = argilla.command("apply", output, data, "-o", tmp_path / "corrected.parquet")
    assert applied.returncode == 0, applied.stderr
    before, after = pl.read_parquet(data), pl.read_parquet(tmp_path / "corrected.parquet")
    ids = {ranked.row(rank - 1, named=True)["id"]: label for rank, label in changed.items()}
    differs = before["label"] != after["label"]
    assert dict(zip(after.filter(differs)["id"].cast(pl.String), after.filter(differs)["label"], strict=True)) == {
        row_id: names.index(label) for row_id, label in ids.items()
    }
    assert after.drop("label").equals(before.drop("label"))
    saved = argilla.command("apply", output, data, "-o", tmp_path / "folder", "--as-datasets")
    assert saved.returncode == 0, saved.stderr
    features = json.loads((tmp_path / "folder" / "dataset_info.json").read_text())["features"]
    assert features["label"]["names"] == list(names)
    summary = argilla.command("corrections", output, "--ranking", scores)
    assert summary.returncode == 0, summary.stderr
    assert "18 answers by 2 people on 10 rows." in summary.stdout


def test_drafts_and_single_people_are_read_on_request(argilla: Server, ranking: Path, tmp_path: Path) -> None:
    argilla.push(ranking, "drafts", "--top", 10, "--annotators", 2)
    ten_records_twice_answered(argilla, argilla.sorted_by_loss("drafts"), LABELS)
    output = tmp_path / "corrections.jsonl"
    argilla.command("from-argilla", "--dataset", "drafts", "-o", output, "--drafts")
    assert len(read_corrections([output]).answers) == 20
    argilla.command("from-argilla", "--dataset", "drafts", "-o", output, "--user", "bo")
    answers = read_corrections([output]).answers
    assert (len(answers), {answer.annotator for answer in answers}) == (8, {"bo"})
    verdicts = [answer.verdict for answer in answers]
    assert verdicts == ["relabel", "relabel", "keep", "keep", "relabel", "unsure", "unsure", "relabel"]
    unknown = argilla.command("from-argilla", "--dataset", "drafts", "-o", output, "--user", "cy")
    assert unknown.returncode == UsageError.exit_code
    assert "none of the people" in unknown.stderr
    own = argilla.command("from-argilla", "--dataset", "drafts", "-o", output, ARGILLA_API_KEY=argilla.keys["ada"])
    assert own.returncode == ServerError.exit_code
    assert "owners and administrators may" in own.stderr


def test_a_data_set_of_somebody_else_is_refused(argilla: Server, tmp_path: Path) -> None:
    absent = argilla.command("from-argilla", "--dataset", "no such", "-o", tmp_path / "c.jsonl")
    assert absent.returncode == UsageError.exit_code
    assert "no data set 'no such'" in absent.stderr
    workspace = argilla.ask("GET", "/me/workspaces")["items"][0]["id"]
    made = argilla.ask("POST", "/datasets", json={"name": "stranger", "workspace_id": workspace})
    text = {"name": "text", "title": "Text", "required": True, "settings": {"type": "text"}}
    argilla.ask("POST", f"/datasets/{made['id']}/fields", json=text)
    options = [{"value": label, "text": label} for label in LABELS]
    settings = {"type": "label_selection", "options": options, "visible_options": 3}
    question = {"name": "label", "title": "Label", "required": True, "settings": settings}
    argilla.ask("POST", f"/datasets/{made['id']}/questions", json=question)
    argilla.ask("PUT", f"/datasets/{made['id']}/publish")
    foreign = argilla.command("from-argilla", "--dataset", "stranger", "-o", tmp_path / "c.jsonl")
    assert foreign.returncode == DataError.exit_code
    assert "was not made by scorer to-argilla" in foreign.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("environment", "error", "says"),
    [
        ({"ARGILLA_API_URL": "http://127.0.0.1:9"}, ServerError, "cannot reach http://127.0.0.1:9"),
        ({"ARGILLA_API_KEY": "wrong-key"}, ServerError, "does not know the API key"),
        ({"ARGILLA_API_KEY": ""}, UsageError, "Set ARGILLA_API_KEY"),
        ({"ARGILLA_WORKSPACE": "nowhere"}, UsageError, "no workspace 'nowhere'"),
    ],
)
def test_a_server_that_cannot_be_used_is_said_and_nothing_is_done(
    environment: dict[str, str],
    error: type[ScorerError],
    says: str,
    *,
    argilla: Server,
    ranking: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scorer.review.argilla.server.WAITS_S", (0.1, 0.1))
    before = argilla.ask("GET", "/me/datasets")
    done = argilla.command("to-argilla", ranking, "--dataset", "never", **environment)
    assert (done.returncode, done.stdout) == (error.exit_code, "")
    assert says in done.stderr
    assert argilla.ask("GET", "/me/datasets") == before


def test_another_program_at_the_address_is_told_from_argilla(argilla: Server, ranking: Path) -> None:
    search = (argilla.stack.home / "search.url").read_text().strip()
    done = argilla.command("to-argilla", ranking, "--dataset", "never", ARGILLA_API_URL=search)
    assert done.returncode == ServerError.exit_code
    assert search in done.stderr


def test_an_annotator_may_not_push(argilla: Server, ranking: Path) -> None:
    done = argilla.command("to-argilla", ranking, "--dataset", "not mine", ARGILLA_API_KEY=argilla.keys["ada"])
    assert done.returncode == ServerError.exit_code
    assert "does not allow this user" in done.stderr


class Saboteur(Silence):
    """Kills the server after so many records; starts it again when it is missed, if told to."""

    def __init__(self, server: Server, after: int, *, revives: bool) -> None:
        self.server, self.left, self.revives = server, after, revives
        self.alive = True
        self.heard: list[str] = []

    def advanced(self, rows: int, tokens: int) -> None:
        self.left -= rows
        if self.left <= 0 and self.alive:
            self.server.stack.kill_server()
            self.alive = False
            self.left = 10**9

    def info(self, message: str) -> None:
        self.heard.append(message)
        if not self.alive and self.revives:
            self.server.stack.start_server()
            self.alive = True


@pytest.mark.parametrize("revives", [True, False])
def test_a_server_that_dies_halfway_is_waited_for_and_then_given_up(
    revives: bool, argilla: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scorer.ranking.head import Selection, read_head
    from scorer.review.argilla.access import Access
    from scorer.review.argilla.push import push
    from scorer.review.argilla.records import make_records, settings_for

    monkeypatch.setattr("scorer.review.argilla.server.WAITS_S", (0.1, 0.1))
    head = read_head(
        make_ranking(tmp_path, [f"text {row}" for row in range(300)], LABELS), Selection(distinct=True), to_judge=True
    )
    records = make_records(head, agent="model", suggest="predicted", label_source=None)
    listener = Saboteur(argilla, 200, revives=revives)
    access = Access(argilla.stack.url, API_KEY, "argilla")
    name = f"dies-{revives}"
    options: dict[str, Any] = {"guidelines": None, "annotators": 1, "by_loss": True}
    try:
        if revives:
            assert push(access, name, settings_for(head), records, **options, listener=listener).created == 300
        else:
            with pytest.raises(ServerError, match="the same command goes on from there") as raised:
                push(access, name, settings_for(head), records, **options, listener=listener)
            assert API_KEY not in str(raised.value)
    finally:
        if not listener.alive:
            argilla.stack.start_server()
    assert any("trying again in" in message for message in listener.heard)
    if not revives:
        assert len(argilla.records(name)) == 200
        assert "100 new, 0 updated, 200 as they were" in argilla.push(tmp_path, name, "--agent", "model")
    assert len(argilla.records(name)) == 300


def test_a_head_of_five_thousand_goes_through_and_progress_moves(
    argilla: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = pl.read_parquet(demo_corpus())
    again = corpus.with_columns(id=pl.col("id") + "-again", text=pl.col("text") + " Thank you.")
    pl.concat([corpus, again.head(LARGE_HEAD - 3_900)]).write_parquet(tmp_path / "corpus.parquet")
    score(RunConfig(model=demo_model(), data=(str(tmp_path / "corpus.parquet"),), output=tmp_path / "scores"))
    monkeypatch.setattr("scorer.cli.terminal.progress.LINE_INTERVAL_S", 1.0)
    for name, value in argilla.environment().items():
        monkeypatch.setenv(name, value)
    from click.testing import CliRunner

    from scorer.cli.main import cli

    arguments = ["to-argilla", str(tmp_path / "scores"), "--dataset", "large", "--top", str(LARGE_HEAD)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert "5,000 records: 5,000 new" in result.stdout
    lines = re.findall(r"([\d,]+) of 5,000 records \([\d.]+%\), [\d,]+ records/s, .+ left", result.stderr)
    moved = [int(line.replace(",", "")) for line in lines]
    assert len(moved) > 3
    assert moved == sorted(set(moved))
    argilla.shown += [result.stdout, result.stderr]
    there = argilla.sorted_by_loss("large")
    ranked = pl.read_parquet(tmp_path / "scores" / "ranked.parquet").head(LARGE_HEAD)
    assert [record["metadata"]["loss"] for record in there] == ranked["loss"].to_list()
    assert {record["external_id"].split("#")[0] for record in there} == set(ranked["id"])


def test_no_command_ever_showed_a_key(argilla: Server, ranking: Path) -> None:
    """Runs last: looks through everything that the commands above printed, and through arguments given here."""
    with_key = argilla.command("to-argilla", ranking, "--dataset", "keyed", "--api-key", API_KEY, ARGILLA_API_KEY="")
    assert with_key.returncode == 0, with_key.stderr
    assert len(argilla.shown) > 2
    for key in (API_KEY, "wrong-key", *argilla.keys.values()):
        assert not [text for text in argilla.shown if key in text]
