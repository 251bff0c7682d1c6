"""What goes to Argilla, before any server sees it: which rows, which records, and what can never be sent."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rankings import make_ranking

from scorer.errors import DataError, UsageError
from scorer.ranking.head import Head, Selection, read_head
from scorer.review.answers.corrections import text_hash
from scorer.review.argilla.access import Access
from scorer.review.argilla.records import (
    METADATA,
    Record,
    clean_agent,
    make_records,
    record_id,
    settings_for,
    split_record_id,
)

LABELS = ("World", "Sports", "Business")
Scorer = Callable[..., subprocess.CompletedProcess[str]]


def records_of(head: Head, **options: Any) -> list[Record]:
    return make_records(head, **{"agent": "a/model", "suggest": "predicted", "label_source": None} | options)


@pytest.fixture
def ranking(tmp_path: Path) -> Path:
    return make_ranking(tmp_path / "scores", [f"text {row}" for row in range(900)], LABELS)


def select_head(directory: Path, selection: Selection) -> Head:
    """As `scorer to-argilla` reads it."""
    return read_head(directory, dataclasses.replace(selection, distinct=True), to_judge=True)


def ranks(directory: Path, **selection: Any) -> list[int]:
    return [row["rank"] for row in select_head(directory, Selection(**selection)).rows]


def test_rows_are_chosen_by_rank_loss_and_label(ranking: Path) -> None:
    assert ranks(ranking) == list(range(1, 501))
    assert ranks(ranking, top=3) == [1, 2, 3]
    ranked = pl.read_parquet(ranking / "ranked.parquet")
    high = ranked.filter(pl.col("loss") >= 2)["rank"].to_list()
    assert len(high) > 500
    assert ranks(ranking, min_loss=2) == high
    assert ranks(ranking, min_loss=2, top=10) == high[:10]
    assert ranks(ranking, label="sports", top=3) == [2, 5, 8]
    assert ranks(ranking, per_class=2) == [1, 2, 3, 4, 5, 6]
    assert ranks(ranking, per_class=2, label="2") == [3, 6]


def test_an_empty_head_and_an_unknown_label_are_refused(ranking: Path) -> None:
    with pytest.raises(UsageError, match="no row of the ranking"):
        select_head(ranking, Selection(min_loss=99))
    with pytest.raises(UsageError, match="no label 'Weather'"):
        select_head(ranking, Selection(label="Weather"))


def test_rows_of_one_id_text_and_label_are_one_record_and_the_others_are_counted(tmp_path: Path) -> None:
    """Annotators' rows have one id and one text, and differ in what they say."""
    texts = ["same", "same", "other", "same", "same", "same"]
    names = [LABELS[label] for label in (0, 1, 2, 0, 0, 0)]
    labels = {"label": [0, 1, 2, 0, 0, 0], "label_name": names}
    directory = make_ranking(tmp_path, texts, LABELS, id=["a", "a", "a", "b", "a", "a"], **labels)
    head = select_head(directory, Selection())
    assert [row["rank"] for row in head.rows] == [1, 2, 3, 4]
    assert head.duplicates == 2
    ids = [record.id for record in records_of(head)]
    assert len(set(ids)) == 4
    few = select_head(directory, Selection(top=1))
    assert ([row["rank"] for row in few.rows], few.duplicates) == ([1], 2)
    per_class = select_head(directory, Selection(per_class=2))
    assert ([row["rank"] for row in per_class.rows], per_class.duplicates) == ([1, 2, 3, 4], 2)


def test_a_ranking_without_texts_is_refused(tmp_path: Path) -> None:
    directory = make_ranking(tmp_path, ["a", "b"], LABELS, keep_text=False)
    with pytest.raises(DataError, match="without --no-text"):
        select_head(directory, Selection())


def test_a_record_says_all_that_the_ranking_says(tmp_path: Path) -> None:
    head = select_head(make_ranking(tmp_path, ["one", "two"], LABELS, pairs=["eins", ""]), Selection())
    first, second = records_of(head, label_source="crowd")
    row = head.rows[0]
    assert first.id == f"id-0#{text_hash('one', 'eins')}#{text_hash('World')[:12]}"
    assert first.fields == {"text": "one", "text_pair": "eins", "given": "World"}
    assert (first.value, first.score, first.agent) == ("Sports", row["predicted_probability"], "a/model")
    assert first.metadata == {
        "loss": 9.0,
        "rank": 1,
        "self_confidence": row["self_confidence"],
        "predicted_probability": row["predicted_probability"],
        "given_label": "World",
        "predicted_label": "Sports",
        "truncated": "yes",
        "row": 0,
        "source_file": "data/news.v2.csv",
        "label_source": "crowd",
    }
    assert second.metadata["truncated"] == "no"
    assert settings_for(head).fields == ("text", "text_pair", "given")
    assert settings_for(head).labels == LABELS


def test_the_given_label_can_be_the_suggestion(ranking: Path) -> None:
    head = select_head(ranking, Selection(top=1))
    record = records_of(head, suggest="given", label_source="Mechanical Turk (2019)")[0]
    assert (record.value, record.agent) == ("World", "Mechanical Turk -2019-".strip("-"))
    assert record.score == head.rows[0]["self_confidence"]


def test_numbers_are_plain_and_finite(ranking: Path, tmp_path: Path) -> None:
    for record in records_of(select_head(ranking, Selection(top=5))):
        for name, value in record.metadata.items():
            kind = METADATA[name][0]
            assert type(value) is {"float": float, "integer": int, "terms": str}[kind], name
        assert 0 <= record.score <= 1
        assert type(record.score) is float
    for broken in (float("nan"), float("inf")):
        directory = make_ranking(tmp_path / str(broken), ["a", "b"], LABELS, losses=[broken, 1.0])
        with pytest.raises(DataError, match=r"row 0 .id id-0. has (loss|self_confidence)"):
            records_of(select_head(directory, Selection()))


def test_a_probability_that_rounding_put_above_one_stays_a_score(tmp_path: Path) -> None:
    head = select_head(make_ranking(tmp_path, ["a", "b"], LABELS, predicted_probability=[1.0000001, 0.5]), Selection())
    assert records_of(head)[0].score == 1.0


@given(st.text(max_size=300))
def test_an_agent_is_what_the_server_takes(name: str) -> None:
    try:
        cleaned = clean_agent(name)
    except UsageError:
        assert not re.search("[A-Za-z0-9]", name[:200])
    else:
        assert re.fullmatch(r"[a-zA-Z0-9-_:\.\/ ]*[a-zA-Z0-9][a-zA-Z0-9-_:\.\/ ]*", cleaned)
        assert 1 <= len(cleaned) <= 200


def test_a_usual_model_name_is_its_own_agent() -> None:
    assert clean_agent("textattack/bert-base-uncased-ag-news@1a2b3c") == "textattack/bert-base-uncased-ag-news-1a2b3c"
    assert clean_agent("modèle (v2)") == "mod-le -v2"


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=10), st.text(max_size=10))
def test_a_record_s_id_gives_back_row_id_and_hash(row_id: str, text: str, given_label: str, other: str) -> None:
    hashed = text_hash(text)
    record = record_id(row_id, hashed, given_label)
    assert split_record_id(record, given_label) == (row_id, hashed)
    if other != given_label:
        with pytest.raises(ValueError, match="#"):
            split_record_id(record, other)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (("World", " "), "Argilla takes 1 to 200"),
        (("World", "x" * 201), "201 characters"),
        (tuple(f"class {label}" for label in range(501)), "501 labels"),
    ],
)
def test_labels_that_argilla_cannot_take_are_refused(labels: tuple[str, ...], says: str, tmp_path: Path) -> None:
    head = select_head(make_ranking(tmp_path, ["a", "b"], labels), Selection())
    with pytest.raises(UsageError, match=says):
        settings_for(head)


def test_names_are_unique_and_hold_no_dot(ranking: Path) -> None:
    settings = settings_for(select_head(ranking, Selection()))
    names = [*settings.fields, "label", *settings.metadata]
    assert len(set(names)) == len(names)
    assert not [name for name in names if "." in name]


def test_nul_is_shown_by_its_symbol_and_hashed_as_it_is(tmp_path: Path) -> None:
    record = records_of(select_head(make_ranking(tmp_path, ["a\0b", "c"], LABELS), Selection()))[0]
    assert record.fields["text"] == "a␀b"
    assert split_record_id(record.id, "World")[1] == text_hash("a\0b")


@pytest.mark.parametrize(
    ("url", "key", "says"),
    [
        ("localhost:6900", "a key", "must be an address such as"),
        ("http://", "key", "must be an address such as"),
        ("http://localhost", "", "there is no API key"),
        ("http://localhost", "secret\nkey", "characters that no key has"),
        ("http://localhost", "sécret", "characters that no key has"),
    ],
)
def test_an_address_or_a_key_that_cannot_be_one_is_refused_without_showing_the_key(
    url: str, key: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says) as raised:
        Access(url, key)
    assert not key or key not in str(raised.value)


def test_what_an_address_shows_and_what_a_key_does_not() -> None:
    access = Access("https://me:secret@example.org:6900/argilla/", "the-key")
    assert access.shown_url == "https://example.org:6900/argilla"
    assert "the-key" not in repr(access)


def test_records_are_written_without_a_server_for_the_client_to_read(
    ranking: Path, scorer: Scorer, tmp_path: Path
) -> None:
    done = scorer("to-argilla", ranking, "--dataset", "news", "--top", 7, "-o", tmp_path / "records.jsonl")
    assert done.returncode == 0, done.stderr
    documents = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert [document["metadata"]["rank"] for document in documents] == list(range(1, 8))
    argilla = pytest.importorskip("argilla", reason="needs the extra `argilla`")
    records = [argilla.Record.from_dict(document) for document in documents]
    assert [record.id for record in records] == [document["id"] for document in documents]
    assert records[0].suggestions["label"].value == "Sports"


def test_a_dry_run_shows_settings_and_records_and_asks_no_server(ranking: Path, scorer: Scorer) -> None:
    done = scorer("to-argilla", ranking, "--dataset", "news", "--dry-run", "--api-url", "http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert "World, Sports, Business" in done.stdout
    assert "Records:   500, of which the first:" in done.stdout
    assert done.stdout.count('"fields"') == 3


def test_without_the_client_the_extra_is_named(ranking: Path) -> None:
    code = (
        "import sys; sys.modules['argilla'] = None\n"
        f"sys.argv = ['scorer', 'to-argilla', {str(ranking)!r}, '--dataset', 'news', '--api-key', 'k']\n"
        "from scorer.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 10
    assert "pip install 'scorer-onnx[argilla]'" in done.stderr
