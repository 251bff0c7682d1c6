"""The demo's texts: made from a seed, distinct, planted as promised; the shipped files are what the generator makes."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from random import Random

import polars as pl
import pytest

from scorer.cli.commands.demo import demo_corpus, demo_model, demo_planted
from scorer.model.model_directory import open_model_directory

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.append(str(SCRIPTS))

import demo_texts

MAX_ASSETS_BYTES = 5_000_000


@pytest.fixture(scope="module")
def rows() -> list[demo_texts.ShippedRow]:
    return demo_texts.shipped_rows(0)


@pytest.fixture(scope="module")
def training(rows: list[demo_texts.ShippedRow]) -> list[demo_texts.Message]:
    return demo_texts.training_messages(0, rows)


def test_one_seed_makes_the_same_texts_and_another_seed_others(rows: list[demo_texts.ShippedRow]) -> None:
    assert demo_texts.shipped_rows(0) == rows
    other = {row.text for row in demo_texts.shipped_rows(1)}
    assert len(other & {row.text for row in rows}) < len(rows) // 10


def test_no_text_comes_twice_and_none_is_shared_with_training(
    rows: list[demo_texts.ShippedRow], training: list[demo_texts.Message]
) -> None:
    texts = [row.text for row in rows] + [message.text for message in training]
    marks = {demo_texts.fingerprint(text) for text in texts}
    assert len(marks) == len(texts) == demo_texts.SHIPPED_ROWS + demo_texts.TRAINING_ROWS


def test_messages_are_filled_in_and_vary_in_length(rows: list[demo_texts.ShippedRow]) -> None:
    assert not [
        row.text for row in rows if re.search(r"[\[\]{}|]| {2}| [.,!?]", row.text) or row.text != row.text.strip()
    ]
    words = sorted(len(row.text.split()) for row in rows)
    assert words[len(words) // 20] <= 6
    assert words[-len(words) // 20] >= 70
    assert words[-1] <= 125


def test_every_pattern_of_the_grammar_can_be_written() -> None:
    patterns = re.findall(r"\{(\w+)\}", demo_texts.GRAMMAR_FILE.read_text(encoding="utf-8"))
    writer = demo_texts._Writer(demo_texts._grammar(), Random(0))
    assert all(writer._value(name) for name in set(patterns) - {"name"})  # {name} stands in the file's heading


def test_classes_are_balanced_within_reason(
    rows: list[demo_texts.ShippedRow], training: list[demo_texts.Message]
) -> None:
    for labels in ([row.true_label for row in rows], [message.label for message in training]):
        counts = Counter(labels)
        assert set(counts) == set(demo_texts.class_names())
        assert min(counts.values()) > 0.10 * len(labels)
        assert max(counts.values()) < 0.25 * len(labels)


def test_three_of_a_hundred_labels_are_flipped_to_any_other_class(rows: list[demo_texts.ShippedRow]) -> None:
    flipped = [row for row in rows if row.given_label != row.true_label]
    assert len(flipped) == demo_texts.PLANTED_ROWS == 0.03 * len(rows)
    assert {row.given_label for row in flipped} == set(demo_texts.class_names())
    assert {row.true_label for row in flipped} == set(demo_texts.class_names())


def test_shipped_corpus_is_what_the_generator_makes_for_the_recorded_seed() -> None:
    made = demo_texts.shipped_rows(_recorded_seed(demo_corpus()))
    corpus = pl.read_parquet(demo_corpus())
    assert corpus.columns == ["id", "text", "label"]
    assert corpus.rows() == [(row.id, row.text, row.given_label) for row in made]


def test_shipped_list_of_planted_errors_is_what_the_generator_makes() -> None:
    made = demo_texts.shipped_rows(_recorded_seed(demo_planted()))
    planted = pl.read_parquet(demo_planted())
    assert planted.columns == ["id", "given_label", "true_label"]
    assert planted.rows() == [
        (row.id, row.given_label, row.true_label) for row in made if row.given_label != row.true_label
    ]


def test_planted_rows_exist_in_the_corpus_under_their_given_label() -> None:
    corpus, planted = pl.read_parquet(demo_corpus()), pl.read_parquet(demo_planted())
    joined = planted.join(corpus, on="id", how="inner", validate="1:1")
    assert len(joined) == len(planted)
    assert (joined["label"] == joined["given_label"]).all()
    assert (joined["given_label"] != joined["true_label"]).all()


def test_shipped_model_knows_the_classes_of_the_corpus() -> None:
    contract = open_model_directory(demo_model()).contract
    assert contract.label_names == demo_texts.class_names()
    assert set(pl.read_parquet(demo_corpus())["label"]) == set(contract.label_names)


def test_assets_are_small() -> None:
    files = [file for file in demo_corpus().parent.rglob("*") if file.is_file()]
    assert {"corpus.parquet", "planted.parquet", "README.md", "model.onnx"} <= {file.name for file in files}
    assert sum(file.stat().st_size for file in files) < MAX_ASSETS_BYTES


def _recorded_seed(file: Path) -> int:
    return int(pl.read_parquet_metadata(file)["demo.seed"])
