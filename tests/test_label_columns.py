"""Which columns are taken, what is said of those beside them, and names beside integers that contradict them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from scorer.config import RunConfig
from scorer.errors import LabelError, UsageError
from scorer.labels import LabelEncoder
from scorer.labels.settled_labels import settle_labels
from scorer.review.answers.corrections import Correction, text_hash, write_corrections
from scorer.review.correct.apply import ApplyConfig, apply_corrections
from scorer.sources import Source, open_source, plan_source

NEWS = ("World", "Sports", "Business", "Sci/Tech")
ALPHABETICAL = sorted(NEWS)


def opened(file: Path, said: list[str], **options: Any) -> Source:
    return open_source(RunConfig(Path("model"), (str(file),), Path("out"), **options), said.append)


def with_columns(tmp_path: Path, *names: str, values: dict[str, Sequence[Any]] | None = None) -> Path:
    data = {name: [f"{name} {row}" for row in range(4)] for name in names} | {"label": [0, 1, 0, 1]} | (values or {})
    pl.DataFrame(data).write_parquet(tmp_path / "data.parquet")
    return tmp_path / "data.parquet"


@pytest.mark.parametrize(
    ("columns", "text", "pair"),
    [
        (("question", "sentence"), "question", "sentence"),
        (("sentence", "question"), "question", "sentence"),
        (("text_pair", "text"), "text", "text_pair"),
        (("premise", "hypothesis"), "premise", "hypothesis"),
        (("sentence_A", "sentence_B"), "sentence_A", "sentence_B"),
        (("Sentence1", "Sentence2"), "Sentence1", "Sentence2"),
        (("question1", "question2"), "question1", "question2"),
        (("question", "passage"), "question", "passage"),
        (("text", "question", "sentence"), "text", None),
        (("Text",), "Text", None),
        (("title", "content"), "content", None),
    ],
)
def test_known_pairs_are_taken_and_said(tmp_path: Path, columns: tuple[str, ...], text: str, pair: str | None) -> None:
    said: list[str] = []
    taken = opened(with_columns(tmp_path, *columns), said).columns
    assert (taken.text, taken.text_pair) == (text, pair)
    assert f"text '{text}'" in said[0]
    assert pair is None or f"with '{pair}'" in said[0]


def test_a_text_beside_the_guessed_one_is_said(tmp_path: Path) -> None:
    long = {"notes": ["a rather long remark on the row before this one"] * 4, "url": ["x" * 80] * 4, "n": [1, 2, 3, 4]}
    file = with_columns(tmp_path, "text", "review_title", "answer2", "kind", "label_text", values=long)
    said: list[str] = []
    opened(file, said)
    assert said[1].startswith("Not read: 'review_title', 'answer2', 'notes', which may be a text too.")
    assert "--text-pair-column" in said[1]
    said.clear()
    opened(file, said, text_column="text")
    assert len(said) == 1


@pytest.mark.parametrize("name", ["intent", "target", "category", "class", "Label"])
def test_other_names_of_labels_are_taken_where_there_is_one(tmp_path: Path, name: str) -> None:
    pl.DataFrame({"text": ["a"], name: ["b"]}).write_csv(tmp_path / "data.csv")
    said: list[str] = []
    assert opened(tmp_path / "data.csv", said).columns.label == name
    assert f"label '{name}'" in said[0]
    pl.DataFrame({"text": ["a"], "intent": ["b"], "topic": ["c"]}).write_csv(tmp_path / "two.csv")
    with pytest.raises(UsageError, match="--label-column"):
        opened(tmp_path / "two.csv", said)


# --- a column of names beside integers --------------------------------------------------------------------------


def news(order: Sequence[str], name: str = "label_name", rows: int = 40) -> pl.DataFrame:
    names = [NEWS[row % 4] for row in range(rows)]
    texts = [f"text {row}" for row in range(rows)]
    return pl.DataFrame({"text": texts, "label": [order.index(each) for each in names], name: names})


def settled(file: Path, *, label_map: Any = None, **options: Any) -> LabelEncoder:
    source = opened(file, [], **options)
    plan = plan_source(source, shard_rows=7, limit=None)
    by_index = options.get("labels_by_index", False)
    return settle_labels(source, plan, NEWS, label_map=label_map, by_index=by_index)


WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "data.parquet": pl.DataFrame.write_parquet,
    "data.csv": pl.DataFrame.write_csv,
    "data.jsonl": pl.DataFrame.write_ndjson,
    "data.arrow": pl.DataFrame.write_ipc,
}


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("name", ["label_name", "label_text", "category_name", "Label Name", "labelName", "source"])
def test_names_that_contradict_the_integers_stop_the_run(tmp_path: Path, form: str, name: str) -> None:
    WRITERS[form](news(ALPHABETICAL, name), tmp_path / form)
    with pytest.raises(LabelError, match=f"column '{name}' calls the rows with the label .* --label-column {name}"):
        settled(tmp_path / form)
    assert settled(tmp_path / form, label_column=name).encode_value("World") == 0
    assert settled(tmp_path / form, labels_by_index=True).encode_value("0") == 0
    by_map = {str(index): label for index, label in enumerate(ALPHABETICAL)}
    assert settled(tmp_path / form, label_map=by_map).encode_value("3") == 0


def test_names_that_agree_or_are_others_than_the_model_s_are_no_trouble(tmp_path: Path) -> None:
    wrong = news(NEWS).with_columns(pl.col("label_name").replace({"World": "cats", "Sports": "dogs"}))
    once = (
        news(NEWS)
        .with_row_index()
        .with_columns(
            pl.when(pl.col("index") == 0).then(pl.lit("Sports")).otherwise(pl.col("label_name")).alias("label_name")
        )
    )
    verified = news(NEWS, "verified").with_columns(verified=pl.Series(["World", "World", "World", "Sports"] * 10))
    for frame in (news(NEWS), wrong, once, verified, news(NEWS, "source")):
        frame.write_parquet(tmp_path / "data.parquet")
        assert settled(tmp_path / "data.parquet").encode_value("3") == 3


def test_a_column_of_names_is_named_where_integers_do_not_fit(tmp_path: Path) -> None:
    news(("", *NEWS)).write_csv(tmp_path / "data.csv")
    with pytest.raises(LabelError, match="shifted by one") as stop:
        settled(tmp_path / "data.csv")
    assert "--label-column label_name" in stop.value.__notes__[0]


def test_apply_sees_the_contradiction_too(tmp_path: Path) -> None:
    frame = news(ALPHABETICAL)
    frame.write_csv(tmp_path / "data.csv")
    answer = Correction(
        id="0",
        row=0,
        text_hash=text_hash("text 0"),
        given_label="World",
        verdict="relabel",
        corrected_label="Sports",
        annotator="ada",
    )
    write_corrections(tmp_path / "c.jsonl", NEWS, [answer])
    config = ApplyConfig(
        corrections=(tmp_path / "c.jsonl",), data=(str(tmp_path / "data.csv"),), output=tmp_path / "out.csv"
    )
    with pytest.raises(LabelError, match="calls the rows"):
        apply_corrections(config)
    (tmp_path / "map.json").write_text(json.dumps({str(i): name for i, name in enumerate(ALPHABETICAL)}))
    with_map = ApplyConfig(
        corrections=(tmp_path / "c.jsonl",),
        data=(str(tmp_path / "data.csv"),),
        output=tmp_path / "out.csv",
        label_map=tmp_path / "map.json",
    )
    apply_corrections(with_map)
    after = pl.read_csv(tmp_path / "out.csv")["label"].to_list()
    assert after == [ALPHABETICAL.index("Sports"), *frame["label"].to_list()[1:]]


# --- a map that is written for the user -------------------------------------------------------------------------


def test_a_map_is_written_and_taken_by_run_and_apply(
    scorer: Any, model: Path, corpus: pl.DataFrame, label_names: tuple[str, ...], tmp_path: Path
) -> None:
    spelled = corpus.with_columns(pl.col("label").str.to_uppercase() + pl.lit("!"))
    spelled.write_csv(tmp_path / "data.csv")
    run = ("run", model, tmp_path / "data.csv", "--output", tmp_path / "out")
    refused = scorer(*run)
    assert refused.returncode == 4
    assert "--write-label-map FILE" in refused.stderr
    told = scorer(*run, "--write-label-map", tmp_path / "map.json")
    assert told.returncode == 0, told.stderr
    assert f"--label-map {tmp_path / 'map.json'}" in told.stdout
    assert not (tmp_path / "out").exists()
    written = json.loads((tmp_path / "map.json").read_text(encoding="utf-8"))
    assert written == {f"{name.upper()}!": name for name in label_names}
    again = scorer(*run, "--write-label-map", tmp_path / "map.json")
    assert again.returncode == 7
    done = scorer(*run, "--label-map", tmp_path / "map.json")
    assert done.returncode == 0, done.stderr
    ranked = pl.read_parquet(tmp_path / "out" / "ranked.parquet").sort("row")
    assert ranked["label_name"].to_list() == corpus["label"].to_list()

    first = ranked.row(0, named=True)
    other = next(name for name in label_names if name != first["label_name"])
    answer = Correction(
        id=first["id"],
        row=0,
        text_hash=text_hash(first["text"]),
        given_label=first["label_name"],
        verdict="relabel",
        corrected_label=other,
        annotator="ada",
    )
    write_corrections(tmp_path / "c.jsonl", label_names, [answer])
    apply = ("apply", tmp_path / "c.jsonl", tmp_path / "data.csv", "-o", tmp_path / "new.csv")
    assert scorer(*apply, "--write-label-map", tmp_path / "again.json").returncode == 0
    assert (tmp_path / "again.json").read_text() == (tmp_path / "map.json").read_text()
    done = scorer(*apply, "--label-map", tmp_path / "again.json")
    assert done.returncode == 0, done.stderr
    after = pl.read_csv(tmp_path / "new.csv")["label"].to_list()
    assert after == [f"{other.upper()}!", *spelled["label"].to_list()[1:]]
