"""Reviewing in the browser: a real page of a real run, worked through as a person would."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import SHARED
from rankings import make_ranking
from reviewing import Reviewer

from scorer import RunConfig, score
from scorer.cli.commands.demo import demo_corpus, demo_model
from scorer.review.answers.corrections import read_corrections, text_hash
from scorer.review.answers.decisions import merge
from scorer.review.answers.errors_left import estimate_errors_left
from scorer.review.examples import read_examples
from scorer.review.page.page import render_page, write_page


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the first thousand rows of the embedded corpus."""
    out = tmp_path_factory.mktemp("run") / "out"
    score(RunConfig(model=demo_model(), data=(str(demo_corpus()),), output=out, limit=1_000))
    return out


@pytest.fixture(scope="module")
def ranked(run: Path) -> pl.DataFrame:
    return pl.read_parquet(run / "ranked.parquet")


@pytest.fixture
def reviewer(run: Path, context: Any, tmp_path: Path) -> Reviewer:
    examples = read_examples(run, 200)
    write_page(tmp_path / "page.html", render_page(examples, title="demo"))
    return Reviewer(context, tmp_path / "page.html")


@pytest.mark.shared
def test_twenty_rows_of_a_real_run_by_keyboard_with_a_reload_and_a_download(
    agnews_model: Path, context: Any, scorer: Any, tmp_path: Path
) -> None:
    news = pl.read_parquet(SHARED / "data" / "ag_news" / "train.parquet").filter(pl.col("fold") == 1).head(1_200)
    news.write_parquet(tmp_path / "news.parquet")
    data, run = str(tmp_path / "news.parquet"), tmp_path / "run"
    score(RunConfig(model=agnews_model, data=(data,), output=run, max_length=128))
    assert scorer("report", run, "-o", tmp_path / "page.html").returncode == 0
    ranked = pl.read_parquet(run / "ranked.parquet").head(500)

    reviewer = Reviewer(context, tmp_path / "page.html")
    reviewer.filter("given", "Business")
    business = ranked.filter(pl.col("label_name") == "Business")
    assert reviewer.matches == len(business)
    expected: list[tuple[str, str, str | None]] = []
    keys = ["p", "g", "p", "1", "u", "p", "d", "p", "4", "p"]
    for number, row in enumerate(business.head(20).iter_rows(named=True)):
        assert reviewer.rank == row["rank"]
        key = keys[number % len(keys)]
        reviewer.press(key)
        label = {"p": row["predicted_label_name"], "1": "World", "4": "Sci/Tech"}.get(key, "Business")
        verdict = {"u": "unsure", "d": "drop"}.get(key) or ("keep" if label == "Business" else "relabel")
        expected.append((row["id"], verdict, label if verdict == "relabel" else None))
        if number == 11:
            reviewer.reload()
            assert reviewer.answered == 12
            reviewer.filter("given", "Business")
    assert reviewer.answered == 20
    header, *lines = reviewer.download(tmp_path / "corrections.jsonl")
    assert header["label_names"] == ["World", "Sports", "Business", "Sci/Tech"]
    assert [(line["id"], line["verdict"], line["corrected_label"]) for line in lines] == expected
    assert reviewer.complaints == []
    assert {address.split(":")[0] for address in reviewer.requests} <= {"file", "data", "blob"}

    done = scorer("apply", tmp_path / "corrections.jsonl", data, "-o", tmp_path / "corrected.parquet")
    assert done.returncode == 0, done.stderr
    corrected = pl.read_parquet(tmp_path / "corrected.parquet")
    names = header["label_names"]
    relabelled = {id_: names.index(label) for id_, verdict, label in expected if label is not None}
    assert len(relabelled) >= 12
    wanted = pl.col("id").cast(pl.String).replace_strict(relabelled, default=pl.col("label"), return_dtype=pl.Int64)
    assert corrected.equals(news.with_columns(label=wanted.cast(news["label"].dtype)))
    assert (corrected["label"] != news["label"]).sum() == len(relabelled)


def test_the_download_is_a_corrections_file_as_the_package_reads_it(
    reviewer: Reviewer, ranked: pl.DataFrame, label_names: tuple[str, ...], tmp_path: Path
) -> None:
    reviewer.page.fill("#reviewer", "Ann")
    reviewer.page.keyboard.press("Tab")
    reviewer.page.locator("body").click(position={"x": 5, "y": 5})
    reviewer.press("p", "g", "u", "d")
    reviewer.download(tmp_path / "corrections.jsonl")
    corrections = read_corrections([tmp_path / "corrections.jsonl"])
    assert corrections.label_names == label_names
    assert [answer.verdict for answer in corrections.answers] == ["relabel", "keep", "unsure", "drop"]
    for answer, row in zip(corrections.answers, ranked.head(4).iter_rows(named=True), strict=True):
        assert (answer.id, answer.row, answer.rank) == (row["id"], row["row"], row["rank"])
        assert answer.text_hash == text_hash(row["text"])
        assert answer.given_label == row["label_name"]
        assert (answer.annotator, answer.source) == ("Ann", "report")
        assert answer.moment is not None
    assert corrections.answers[0].corrected_label == ranked["predicted_label_name"][0]


def test_filters_and_search_list_the_rows_that_the_ranking_has(reviewer: Reviewer, ranked: pl.DataFrame) -> None:
    head = ranked.head(200)
    first = head["label_name"][0]
    reviewer.filter("given", first)
    assert reviewer.matches == (head["label_name"] == first).sum()
    predicted = head.filter(pl.col("label_name") == first)["predicted_label_name"][0]
    reviewer.filter("predicted", predicted)
    both = head.filter(pl.col("label_name") == first, pl.col("predicted_label_name") == predicted)
    assert reviewer.matches == len(both)
    assert reviewer.rank == both["rank"][0]
    reviewer.page.click("#reset")
    assert reviewer.text("#matches") == "200 rows"
    reviewer.search("ORDER")
    assert reviewer.matches == head["text"].str.to_lowercase().str.contains("order", literal=True).sum()
    assert reviewer.page.locator("#example mark").first.inner_text().lower() == "order"
    reviewer.search("no (such [text \\ anywhere?*")
    assert reviewer.page.locator(".entry").count() == 0
    assert "No row matches" in reviewer.text("#example")
    reviewer.press("Escape", "p", "z", "n", "j", "e", "x", "l")
    assert reviewer.answered == 0
    reviewer.page.click("#reset")
    reviewer.filter("sort", "loss, lowest")
    reviewer.press("ArrowUp")
    reviewer.page.locator(".entry").first.click()
    assert reviewer.rank == 200
    assert reviewer.complaints == []


def test_answers_are_undone_taken_back_and_given_by_mouse(reviewer: Reviewer) -> None:
    reviewer.press("p", "g", "u")
    assert (reviewer.answered, reviewer.rank) == (3, 4)
    reviewer.press("z")
    assert (reviewer.answered, reviewer.rank) == (2, 3)
    reviewer.press("k", "x")
    assert (reviewer.answered, reviewer.rank) == (1, 2)
    reviewer.page.keyboard.press("Control+z")
    assert (reviewer.answered, reviewer.rank) == (2, 2)
    reviewer.filter("status", "relabelled")
    assert (reviewer.matches, reviewer.rank) == (1, 1)
    reviewer.filter("status", "open")
    assert (reviewer.matches, reviewer.rank) == (198, 3)
    reviewer.page.click("#answer-drop")
    assert (reviewer.matches, reviewer.rank, reviewer.answered) == (197, 4, 3)
    reviewer.page.click("#undo")
    assert (reviewer.matches, reviewer.rank, reviewer.answered) == (198, 3, 2)
    reviewer.page.locator(".bar").nth(2).click()
    assert reviewer.answered == 3


def test_another_label_is_found_by_typing(
    reviewer: Reviewer, ranked: pl.DataFrame, label_names: tuple[str, ...], tmp_path: Path
) -> None:
    row = ranked.row(0, named=True)
    wanted = next(name for name in label_names if name not in {row["label_name"], row["predicted_label_name"]})
    reviewer.press("l")
    reviewer.page.keyboard.type(wanted[:4].lower())
    reviewer.press("Enter")
    reviewer.press("l")
    reviewer.page.keyboard.type("no such label")
    reviewer.press("Enter")
    assert reviewer.answered == 1
    _, line = reviewer.download(tmp_path / "corrections.jsonl")
    assert (line["verdict"], line["corrected_label"]) == ("relabel", wanted)


def test_a_colleagues_answers_are_loaded_and_the_later_one_stays(
    reviewer: Reviewer, run: Path, context: Any, tmp_path: Path
) -> None:
    reviewer.press("p", "g", "u", "d")
    lines = reviewer.download(tmp_path / "mine.jsonl")
    theirs = [
        lines[0],
        {**lines[1], "verdict": "drop", "corrected_label": None, "annotator": "Bo", "at": "2031-01-01T00:00:00Z"},
        {**lines[2], "verdict": "drop", "annotator": "Bo", "at": "2001-01-01T00:00:00Z"},
        {**lines[3], "id": "a row of another page", "annotator": "Bo"},
        {**lines[4], "text_hash": "0" * 32, "annotator": "Bo"},
    ]
    (tmp_path / "theirs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in theirs), encoding="utf-8")
    said = reviewer.load(tmp_path / "theirs.jsonl")
    assert "1 answers taken over" in said
    assert "1 no newer" in said
    assert "2 on rows that this page does not show" in said
    _, *merged = reviewer.download(tmp_path / "merged.jsonl")
    assert [line["verdict"] for line in merged] == ["drop", "keep", "unsure", "drop"]
    assert [line["annotator"] for line in merged] == ["Bo", None, None, None]

    second = context.browser.new_context()
    elsewhere = Reviewer(second, tmp_path / "page.html")
    assert elsewhere.answered == 0
    elsewhere.load(tmp_path / "merged.jsonl")
    assert elsewhere.answered == 4
    elsewhere.reload()
    assert elsewhere.answered == 4
    second.close()


def test_annotators_rows_have_answers_of_their_own(context: Any, tmp_path: Path) -> None:
    """Rows of one id and text differ by their label, on this page and on that of the data with one label changed."""
    names = ["World", "Sports", "Business"]
    for folder, labels in (("before", [0, 1, 2]), ("after", [0, 2, 2])):
        given = {"label": labels, "label_name": [names[label] for label in labels]}
        run = make_ranking(tmp_path / folder, ["one"] * 3, names, id=["7"] * 3, row=[5, 6, 7], **given)
        write_page(tmp_path / f"{folder}.html", render_page(read_examples(run), title="rows"))
    page = Reviewer(context, tmp_path / "before.html")
    page.press("g", "1", "d")
    _, *lines = page.download(tmp_path / "mine.jsonl")
    found = [(line["given_label"], line["verdict"], line["corrected_label"]) for line in lines]
    assert found == [("World", "keep", None), ("Sports", "relabel", "World"), ("Business", "drop", None)]
    after = Reviewer(context, tmp_path / "after.html")
    assert after.answered == 2  # of the browser's own storage: the row of Sports is no more
    moved = [{**line, "row": line["row"] + 1, "at": "2031-01-01T00:00:00Z"} for line in lines]
    (tmp_path / "moved.jsonl").write_text("".join(json.dumps(line) + "\n" for line in moved), encoding="utf-8")
    assert "2 answers taken over; left: 1 on rows that this page does not show" in after.load(tmp_path / "moved.jsonl")
    assert page.complaints == after.complaints == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("not json\n", "line 1 is not JSON"),
        ('{"id": "1"}\n', "line 1 is no correction"),
        ('{"scorer_corrections": 9}\n', "version 9"),
        ('{"id": "1", "text_hash": "", "verdict": "relabel", "corrected_label": "nothing"}\n', "names a label"),
        ('{"id": "1", "text_hash": "", "verdict": "__proto__"}\n', "no correction"),
        ("[]\n", "no correction"),
        ("7\n", "not a JSON object"),
    ],
)
def test_a_file_that_is_no_corrections_is_refused_and_named(
    content: str, says: str, reviewer: Reviewer, tmp_path: Path
) -> None:
    (tmp_path / "wrong.jsonl").write_text(content, encoding="utf-8")
    said = reviewer.load(tmp_path / "wrong.jsonl")
    assert "wrong.jsonl" in said
    assert says in said
    assert reviewer.answered == 0


def test_the_precision_has_wilsons_interval(reviewer: Reviewer) -> None:
    reviewer.press(*"pppgpudpgp" * 2)
    errors, n, z = 14, 18, 1.96
    share = errors / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = centre - half, centre + half
    assert reviewer.text("#precision") == f"{share:.0%} ({low:.0%} to {high:.0%})"


@pytest.mark.parametrize("answers", ["pppgpudpgp" * 4, "pppppppgggugggggggdg" * 2, "gggggggggggggggggggp" * 3])
def test_the_errors_to_come_are_those_that_the_terminal_tells(
    answers: str, reviewer: Reviewer, run: Path, tmp_path: Path
) -> None:
    assert reviewer.text("#ahead") == "after 20 rows"
    reviewer.press(*answers)
    reviewer.download(tmp_path / "corrections.jsonl")
    decisions = merge(read_corrections([tmp_path / "corrections.jsonl"]).answers, "majority")
    told = estimate_errors_left(run, decisions)
    assert told is not None
    assert told.next_hundred > 0.5
    assert reviewer.text("#ahead") == f"≈ {told.next_hundred:.0f} errors"


def test_nothing_is_foretold_where_all_answers_are_alike(reviewer: Reviewer) -> None:
    reviewer.press(*"p" * 25)
    assert reviewer.text("#ahead") == "\N{EN DASH}"


def test_long_texts_fold_and_unfold_and_a_hit_in_the_fold_shows(context: Any, tmp_path: Path, model: Path) -> None:
    text = "start " + "word " * 600 + "needle " + "word " * 6_000
    pl.DataFrame({"text": [text, "short"], "label": ["Billing", "Praise"]}).write_parquet(tmp_path / "data.parquet")
    score(RunConfig(model=model, data=(str(tmp_path / "data.parquet"),), output=tmp_path / "out"))
    write_page(tmp_path / "page.html", render_page(read_examples(tmp_path / "out"), title="long"))
    reviewer = Reviewer(context, tmp_path / "page.html")
    reviewer.search("start")
    assert len(reviewer.text("#example .text")) < 2_000
    assert "cut to" in reviewer.text("#example .facts")
    assert "leaves out 13,013 characters" in reviewer.text("#example")
    reviewer.search("needle")
    assert "needle" in reviewer.text("#example .text")
    reviewer.page.click("#reset")
    reviewer.press("Escape", "e")
    assert "needle" in reviewer.text("#example .text")


def test_answers_of_a_longer_page_survive_a_shorter_one(run: Path, context: Any, tmp_path: Path) -> None:
    for top in (200, 20):
        write_page(tmp_path / f"{top}.html", render_page(read_examples(run, top), title="demo"))
    page = Reviewer(context, tmp_path / "200.html")
    page.press(*["p"] * 40)
    shorter = Reviewer(context, tmp_path / "20.html")
    assert shorter.text("#reviewed") == "20 of 20"
    shorter.press("z", "k", "g")
    assert Reviewer(context, tmp_path / "200.html").answered == 40


def test_pairs_show_both_texts(context: Any, tmp_path: Path, model: Path) -> None:
    rows = {"id": ["a"], "premise": ["First <b>text</b>"], "hypothesis": ["Second text"], "label": ["Praise"]}
    pl.DataFrame(rows).write_parquet(tmp_path / "data.parquet")
    columns = {"text_column": "premise", "text_pair_column": "hypothesis"}
    score(RunConfig(model=model, data=(str(tmp_path / "data.parquet"),), output=tmp_path / "out", **columns))
    write_page(tmp_path / "page.html", render_page(read_examples(tmp_path / "out"), title="pairs"))
    reviewer = Reviewer(context, tmp_path / "page.html")
    assert reviewer.page.locator("#example .text").all_inner_texts() == ["First <b>text</b>", "Second text"]
    reviewer.press("g")
    _, line = reviewer.download(tmp_path / "corrections.jsonl")
    assert line["text_hash"] == text_hash("First <b>text</b>", "Second text")


def test_a_phone_shows_one_pane_at_a_time(run: Path, chromium: Any, tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", render_page(read_examples(run, 20), title="demo"))
    phone = chromium.new_context(viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True)
    reviewer = Reviewer(phone, tmp_path / "page.html")
    wide = reviewer.page.evaluate("document.documentElement.scrollWidth")
    assert wide == 390
    assert not reviewer.page.is_visible("#example")
    reviewer.page.locator(".entry").nth(1).tap()
    assert reviewer.rank == 2
    assert not reviewer.page.is_visible("#list")
    reviewer.page.tap("#answer-predicted")
    assert reviewer.rank == 3
    reviewer.page.tap("#back")
    assert reviewer.page.is_visible("#list")
    phone.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_the_button(scheme: str, run: Path, chromium: Any, tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", render_page(read_examples(run, 20), title="demo"))
    context = chromium.new_context(color_scheme=scheme)
    reviewer = Reviewer(context, tmp_path / "page.html")

    def is_dark() -> bool:
        return bool(reviewer.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 21, 19)")

    assert is_dark() == (scheme == "dark")
    reviewer.page.click("#theme")
    assert not is_dark()
    reviewer.page.click("#theme")
    assert is_dark()
    reviewer.reload()
    assert is_dark()
    context.close()


def test_a_browser_that_keeps_nothing_says_so_and_works_on(reviewer: Reviewer, tmp_path: Path) -> None:
    assert not reviewer.page.is_visible("#notice")
    reviewer.page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('refused'); } })"
    )
    reviewer.reload()
    assert "answers are lost when it closes" in reviewer.text("#notice")
    reviewer.press("p", "g")
    assert [line["verdict"] for line in reviewer.download(tmp_path / "c.jsonl")[1:]] == ["relabel", "keep"]
    assert reviewer.complaints == []


def test_a_reviewers_name_goes_with_every_page(run: Path, context: Any, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_page(tmp_path / f"{name}.html", render_page(read_examples(run, 20), title=name))
    first = Reviewer(context, tmp_path / "one.html")
    first.page.fill("#reviewer", "Zoë / ../..")
    first.page.locator("#reviewer").blur()
    second = Reviewer(context, tmp_path / "two.html")
    second.press("g")
    with second.page.expect_download() as download:
        second.page.click("#download")
    assert download.value.suggested_filename == "corrections-Zoë.jsonl"
    download.value.save_as(tmp_path / "c.jsonl")
    assert read_corrections([tmp_path / "c.jsonl"]).answers[0].annotator == "Zoë / ../.."
