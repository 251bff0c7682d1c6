"""Texts, labels, ids and file names from people who mean harm: the page shows them, and nothing of them acts."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest
from reviewing import READY, Reviewer

from scorer import RunConfig, score
from scorer.review.answers.corrections import read_corrections

TEXTS = [
    "<script>window.harmed = 1; alert(1)</script>",
    "</script><script>window.harmed = 1</script>",
    "<!-- <script> </script> --> ]]> <![CDATA[",
    '<img src=x onerror="window.harmed = 1"><svg onload="window.harmed = 1"><iframe srcdoc="<script>parent.harmed=1">',
    "\"><a href='javascript:window.harmed=1'>click</a> ' onmouseover='window.harmed=1' x='",
    "{{constructor.constructor('window.harmed=1')()}} ${window.harmed=1} __proto__ &lt;b&gt; &amp; \\u003cscript",
    "=cmd|' /C calc'!A0 +1 -1 @SUM(1)",
    "\x1b[31mred\x1b]0;title\x07 bell \x00 nul \x7f del \x9b31m",
    "user \u202egnp.exe\u202c and \u2066isolated\u2069, zero\u200bwidth, \ufeffmark, line\u2028separator\u2029end",
    "مرحبا <b>بالعالم</b> 123 abc",
    "株価は<i>上昇</i>しました。東京市場で今日、大きな動きがありました。",
    "family 👨\u200d👩\u200d👧, flag 🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f, hidden \U000e0041",
]
LABELS = [
    "<script>window.harmed=1</script>",
    '"><img src=x onerror=window.harmed=1>',
    '=HYPERLINK("http://example.com","x")',
    "\u202elabel\x1b[0m",
    "</option></select><b>",
    "__proto__",
]
FILE = "<img src=x onerror=window.harmed=1>\u202e.parquet"
# What the page shows for characters that would act.
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff]")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A run whose every name and text is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copytree(model, folder / "model")
    contract = json.loads((folder / "model" / "scorer.json").read_text())
    contract["label_names"] = LABELS
    (folder / "model" / "scorer.json").write_text(json.dumps(contract))
    rows = len(TEXTS)
    data = pl.DataFrame(
        {
            "id": [f"{text[:40]}{row}" for row, text in enumerate(TEXTS)],
            "text": TEXTS,
            "label": [r % 6 for r in range(rows)],
        }
    )
    data.write_parquet(folder / FILE)
    options = {"labels_by_index": True, "id_column": "id", "text_column": "text", "label_column": "label"}
    score(RunConfig(model=folder / "model", data=(str(folder / FILE),), output=folder / "out", **options))
    return folder / "out"


@pytest.fixture(scope="module")
def page_file(run: Path, scorer: Any) -> Path:
    file = run / "page.html"
    done = scorer("report", run, "-o", file, "--title", "</title><script>window.harmed=1</script>\u202e")
    assert done.returncode == 0, done.stderr
    return file


def assert_unharmed(reviewer: Reviewer) -> None:
    assert reviewer.page.evaluate("window.harmed") is None
    assert reviewer.page.evaluate("({}).harmed") is None
    assert reviewer.complaints == []
    assert {address.split(":")[0] for address in reviewer.requests} <= {"file", "data", "blob"}
    assert reviewer.page.locator("script").count() == 2
    assert reviewer.page.locator("img, iframe, a, b, i, body svg[onload], [onerror], [onmouseover]").count() == 0


def test_nothing_runs_and_nothing_breaks_out(page_file: Path, context: Any) -> None:
    reviewer = Reviewer(context, page_file)
    shown = set()
    for _ in TEXTS:
        shown.add(reviewer.page.text_content("#example .text"))
        assert not RAW.search(reviewer.page.evaluate("document.body.innerText + document.title"))
        reviewer.press("l")
        assert not RAW.search(reviewer.text("#labels"))
        reviewer.press("Escape", "?", "Escape", "o", "Escape", "p")
    plain = {text for text in TEXTS if not RAW.search(text) and "\U000e0041" not in text}
    assert len(plain) >= 8
    assert plain <= shown
    assert any("␛[31mred␛]0;title␇ bell ␀ nul ␡ del U+009B31m" in text for text in shown)
    assert any("user U+202Egnp.exeU+202C and U+2066isolated" in text for text in shown)
    for choice in LABELS[:3]:
        reviewer.filter("given", choice)
        reviewer.page.locator(".entry").first.hover()
    reviewer.page.click("#reset")
    reviewer.search("<script>window")
    reviewer.page.locator("#example mark").first.hover()
    assert_unharmed(reviewer)


def test_names_and_texts_come_back_as_they_were(page_file: Path, run: Path, context: Any, tmp_path: Path) -> None:
    reviewer = Reviewer(context, page_file)
    reviewer.press(*["p"] * len(TEXTS))
    reviewer.download(tmp_path / "corrections.jsonl")
    found = read_corrections([tmp_path / "corrections.jsonl"])
    ranked = pl.read_parquet(run / "ranked.parquet")
    assert found.label_names == tuple(LABELS)
    assert [answer.id for answer in found.answers] == ranked["id"].to_list()
    assert [answer.label for answer in found.answers] == ranked["predicted_label_name"].to_list()
    assert {answer.source_file for answer in found.answers} == set(ranked["source_file"])
    reviewer.reload()
    assert reviewer.answered == len(TEXTS)
    assert_unharmed(reviewer)


def test_right_to_left_text_is_laid_out_so(page_file: Path, context: Any) -> None:
    reviewer = Reviewer(context, page_file)
    reviewer.search("مرحبا")
    text = reviewer.page.locator("#example .text")
    assert text.evaluate("element => getComputedStyle(element).direction") == "rtl"
    reviewer.search("株価")
    assert text.evaluate("element => getComputedStyle(element).direction") == "ltr"


@pytest.mark.parametrize(
    "injected",
    [
        "<script>window.harmed = 1</script>",
        "<img src=x onerror='window.harmed = 1'>",
        "<svg onload='window.harmed = 1'></svg>",
        "<script src='data:text/javascript,window.harmed=1'></script>",
        "<iframe srcdoc='<script>parent.harmed = 1</script>'></iframe>",
        "<a id=bait href='javascript:window.harmed=1'>x</a>",
        "<style>body { background: url(http://127.0.0.1:9/harm) }</style>",
    ],
)
def test_the_policy_holds_even_where_markup_got_in(
    injected: str, page_file: Path, context: Any, tmp_path: Path
) -> None:
    """The second line of defence: with markup put into the file by force, still nothing runs and nothing is fetched."""
    forced = tmp_path / "forced.html"
    forced.write_text(page_file.read_text("utf-8").replace("</main>", f"</main>{injected}"), encoding="utf-8")
    page = context.new_page()
    requests: list[str] = []
    page.on("requestfinished", lambda request: requests.append(request.url))
    page.goto(forced.as_uri())
    page.wait_for_selector(READY)
    if page.locator("#bait").count():
        page.evaluate("document.getElementById('bait').click()")
    page.wait_for_timeout(100)
    assert page.evaluate("window.harmed") is None
    assert [address for address in requests if not address.startswith(("file:", "data:"))] == []


def test_the_probe_sees_a_script_that_runs(tmp_path: Path, context: Any) -> None:
    (tmp_path / "bare.html").write_text("<script>window.harmed = 1</script>", encoding="utf-8")
    page = context.new_page()
    page.goto((tmp_path / "bare.html").as_uri())
    assert page.evaluate("window.harmed") == 1


def test_the_page_makes_no_markup_from_strings(page_file: Path, context: Any) -> None:
    reviewer = Reviewer(context, page_file)
    refused = reviewer.page.evaluate(
        "(() => { try { document.body.innerHTML = '<b>x</b>'; } catch (error) { return error.name; } })()"
    )
    assert refused == "TypeError"


def test_no_cell_of_the_table_is_a_formula_or_acts_on_a_terminal(run: Path, scorer: Any, tmp_path: Path) -> None:
    done = scorer("to-csv", run, "-o", tmp_path / "head.csv")
    assert done.returncode == 0, done.stderr
    assert not {"\x1b", "\u202e"} & set(done.stdout)
    content = (tmp_path / "head.csv").read_text(encoding="utf-8")
    assert not RAW.search(content.replace("\r\n", "\n"))
    for delimiter in (",", ";", "\t", "|"):
        cells = [cell for row in csv.reader(content.splitlines(), delimiter=delimiter) for cell in row]
        assert not [cell for cell in cells if cell.lstrip(" \"'")[:1] in set("=+@") and cell.lstrip(' "')[:1] != "'"]
    assert "'=cmd|' /C calc'!A0" in content
    assert "'=HYPERLINK" in content


def test_label_studio_gets_labels_that_xml_can_hold_and_gives_them_back(run: Path, scorer: Any, tmp_path: Path) -> None:
    assert scorer("to-label-studio", run, "-o", tmp_path).returncode == 0
    config = ElementTree.parse(tmp_path / "config.xml")
    choices = [choice.get("value") for choice in config.iterfind("./Choices[@name='label']/Choice")]
    tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    export = []
    for number, task in enumerate(tasks):
        assert task["predictions"][0]["result"][0]["value"]["choices"][0] in choices
        result = {"type": "choices", "from_name": "label", "value": {"choices": [choices[number % len(LABELS)]]}}
        export.append({**task, "annotations": [{"result": [result]}]})
    (tmp_path / "export.json").write_text(json.dumps(export), encoding="utf-8")
    done = scorer("from-label-studio", tmp_path / "export.json", run, "-o", tmp_path / "corrections.jsonl")
    assert done.returncode == 0, done.stderr
    answers = read_corrections([tmp_path / "corrections.jsonl"]).answers
    assert [answer.label for answer in answers] == [LABELS[n % len(LABELS)] for n in range(len(TEXTS))]
