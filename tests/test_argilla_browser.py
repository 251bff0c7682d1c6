"""A person in Argilla's own pages, in a real browser: rows by falling loss, a click, Submit, and the answer at home."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from argilla_server.stack import PASSWORD, missing

from scorer import RunConfig, score
from scorer.cli.commands.demo import demo_corpus, demo_model
from scorer.model.model_directory import open_model_directory
from scorer.review.answers.corrections import read_corrections

pytestmark = [
    pytest.mark.xdist_group("argilla"),
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]
if missing() is None:
    pytest.importorskip("argilla", reason="needs the extra `argilla`")
    from argilla_helpers import Server

# Where the picture in docs/argilla.md goes; only written when asked for.
SCREENSHOT = os.environ.get("SCORER_SCREENSHOT")


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("browser") / "scores"
    score(RunConfig(model=demo_model(), data=(str(demo_corpus()),), output=out))
    return out


def sign_in(page: Any, server: Server, user: str) -> None:
    token = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    page.goto(f"{server.stack.url}/sign-in?auth={token}")
    page.wait_for_url(lambda url: "sign-in" not in url)


def test_a_person_sees_rows_by_falling_loss_and_a_click_comes_home(
    argilla: Server, scores: Path, context: Any, tmp_path: Path
) -> None:
    name = "support-messages"
    printed = argilla.push(scores, name, "--top", 30)
    link = re.findall(r"Review: (\S+)", printed)[0]
    first, second, third = pl.read_parquet(scores / "ranked.parquet").head(3).to_dicts()
    names = open_model_directory(demo_model()).contract.label_names
    another = next(name for name in names if name not in (first["label_name"], first["predicted_label_name"]))
    page = context.new_page()
    sign_in(page, argilla, "ada")
    page.goto(link)
    shows(page, first)
    if SCREENSHOT:
        page.wait_for_timeout(1_000)
        page.screenshot(path=SCREENSHOT)
    choose(page, another)
    submit(page)
    shows(page, second)
    choose(page, second["label_name"])
    submit(page)
    shows(page, third)
    submit(page)  # the suggestion, as it stands
    page.get_by_text(third["text"][:60]).first.wait_for(state="detached")
    output = tmp_path / "corrections.jsonl"
    done = argilla.command("from-argilla", "--dataset", name, "-o", output)
    assert done.returncode == 0, done.stderr
    answers = read_corrections([output]).answers
    assert [(answer.rank, answer.annotator, answer.verdict, answer.corrected_label) for answer in answers] == [
        (1, "ada", "relabel", another),
        (2, "ada", "keep", None),
        (3, "ada", "relabel", third["predicted_label_name"]),
    ]
    assert [answer.id for answer in answers] == [row["id"] for row in (first, second, third)]


def shows(page: Any, row: dict[str, Any]) -> None:
    page.get_by_text(row["text"][:60]).first.wait_for()


def choose(page: Any, label: str) -> None:
    page.locator(f'label[title="{label}"]').click()


def submit(page: Any) -> None:
    page.get_by_role("button", name="Submit").click()
