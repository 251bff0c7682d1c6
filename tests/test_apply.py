"""Corrections applied: exactly the labels that people changed, in every form that data comes in."""

# ruff: noqa: E501 — tables of files

from __future__ import annotations

import errno
import gzip
import json
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import DataError, LabelError, OutputError, ScorerError, UsageError
from scorer.labels import resolve_labels
from scorer.review.answers.corrections import Correction, text_hash, write_corrections
from scorer.review.correct.apply import Applied, ApplyConfig, apply_corrections
from scorer.review.correct.card import card_text
from scorer.review.correct.datasets_folder import Classes, write_folder
from scorer.sources.formats.hub import HubTable
from scorer.sources.storage.edits import Edits
from scorer.system.files import making_folder, writing

LABELS = ("World", "Sports", "Business", "Sci/Tech")
ROWS = 40


@pytest.fixture
def news() -> pl.DataFrame:
    """Rows with everything that could be lost: quotes, line breaks, numbers as text, nulls, emoji."""
    texts = [f'row {row}, "quoted" — naïve 😀' + ("\nsecond line" if row % 7 == 0 else "") for row in range(ROWS)]
    return pl.DataFrame(
        {
            "id": [f"n-{row:03}" for row in range(ROWS)],
            "text": texts,
            "label": [LABELS[row % 4] for row in range(ROWS)],
            "zip": [f"00{row}" for row in range(ROWS)],
            "note": [None if row % 3 else f"note {row}" for row in range(ROWS)],
        }
    )


def answers(frame: pl.DataFrame, changes: dict[int, str | None], **fields: Any) -> list[Correction]:
    """Answers on rows of the frame: another label, or None for the given one being right."""
    found = []
    for row, label in changes.items():
        whole = frame.row(row, named=True)
        found.append(
            Correction(
                **{
                    "id": whole["id"],
                    "row": row,
                    "text_hash": text_hash(whole["text"]),
                    "given_label": whole["label"],
                    "verdict": "keep" if label is None else "relabel",
                    "corrected_label": label,
                    "annotator": "ada",
                    "rank": row + 1,
                }
                | fields
            )
        )
    return found


CHANGES: dict[int, str | None] = {0: "Business", 7: "World", 8: "Sci/Tech", 21: None, 39: "Sports"}


def corrected(frame: pl.DataFrame, changes: dict[int, str | None] = CHANGES) -> list[str]:
    return [changes.get(row) or label for row, label in enumerate(frame["label"])]


def write(tmp_path: Path, found: Sequence[Correction], labels: Sequence[str] = LABELS) -> Path:
    file = tmp_path / "corrections.jsonl"
    write_corrections(file, labels, found)
    return file


def run(tmp_path: Path, found: Sequence[Correction], data: object, output: Path, **options: Any) -> Applied:
    return apply_corrections(
        ApplyConfig(corrections=(write(tmp_path, found),), data=(str(data),), output=output, **options)
    )


def save_arrow(frame: pl.DataFrame, file: Path) -> None:
    table = frame.to_arrow()
    with pa.ipc.new_stream(str(file), table.schema) as writer:
        writer.write_table(table, max_chunksize=9)


FORMS: dict[str, tuple[Callable[[pl.DataFrame, Path], Any], Callable[[Path], pl.DataFrame]]] = {
    "data.parquet": (lambda frame, file: frame.write_parquet(file, row_group_size=11), pl.read_parquet),
    "data.csv": (lambda frame, file: frame.write_csv(file), lambda file: pl.read_csv(file, infer_schema=False)),
    "data.tsv": (
        lambda frame, file: frame.write_csv(file, separator="\t", quote_style="always"),
        lambda file: pl.read_csv(file, separator="\t", infer_schema=False),
    ),
    "data.csv.gz": (
        lambda frame, file: file.write_bytes(gzip.compress(frame.write_csv().encode())),
        lambda file: pl.read_csv(gzip.decompress(file.read_bytes()), infer_schema=False),
    ),
    "data.jsonl": (lambda frame, file: frame.write_ndjson(file), pl.read_ndjson),
    "data.arrow": (lambda frame, file: frame.write_ipc(file), pl.read_ipc),
    "stream.arrow": (save_arrow, lambda file: pl.from_arrow(pa.ipc.open_stream(file.read_bytes()).read_all())),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_comes_out_as_it_came_in_but_for_the_labels_that_people_changed(
    name: str, news: pl.DataFrame, tmp_path: Path
) -> None:
    save, load = FORMS[name]
    save(news, tmp_path / name)
    applied = run(tmp_path, answers(news, CHANGES), tmp_path / name, tmp_path / f"out-{name}")
    before, after = load(tmp_path / name), load(tmp_path / f"out-{name}")
    assert after["label"].to_list() == corrected(news)
    assert after.drop("label").equals(before.drop("label"))
    assert after.schema == before.schema
    assert applied.changed.total() == 4
    assert (applied.rows, applied.refused, applied.dropped) == (ROWS, (), 0)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_text_formats_keep_every_other_byte(news: pl.DataFrame, tmp_path: Path) -> None:
    raw = "\ufeffid,text,label,zip\r\n"
    raw += 'a,"one, two",World,007\r\n\r\nb,  plain  ,"Sports",1e5\r\n"c","line\nbreak and ""quotes""",World,\r\n'
    raw += 'd,a stray " quote,Business,+1'
    (tmp_path / "data.csv").write_bytes(raw.encode())
    texts = {"a": "one, two", "b": "  plain  ", "c": 'line\nbreak and "quotes"', "d": 'a stray " quote'}
    given = {"a": "World", "b": "Sports", "c": "World", "d": "Business"}
    found = [
        Correction(key, 0, text_hash(texts[key]), given[key], "relabel", "Sci/Tech", annotator="ada") for key in "bd"
    ]
    run(tmp_path, found, tmp_path / "data.csv", tmp_path / "out.csv")
    expected = raw.replace('"Sports"', '"Sci/Tech"').replace("Business", "Sci/Tech")
    assert (tmp_path / "out.csv").read_bytes() == expected.encode()
    lines = [
        '{"id":"a","text":"é","label":"World","x":1.50}\n',
        '\n{"id": "b", "text": "\\u00e9 too", "label": "World"}',
    ]
    (tmp_path / "data.jsonl").write_text("".join(lines))
    found = [Correction("b", 1, text_hash("é too"), "World", "relabel", "Sports", annotator="ada")]
    run(tmp_path, found, tmp_path / "data.jsonl", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == lines[0] + lines[1].replace("World", "Sports")


WHOLE: dict[str, tuple[bytes, dict[str, Any], bytes]] = {
    "semicolon.csv": (b"sep=;\r\nid;text;label\r\na;one;World\r\n", {}, b"sep=;\r\nid;text;label\r\na;one;Sports\r\n"),
    "utf16.csv": ("\ufeffid,text,label\na,one,World\n".encode("utf-16-le"), {}, "\ufeffid,text,label\na,one,Sports\n".encode("utf-16-le")),
    "cp1252.csv": (b"id,text,label,x\na,one,World,\xe9\n", {"encoding": "cp1252"}, b"id,text,label,x\na,one,Sports,\xe9\n"),
    "bad-byte.csv": (b"id,text,label\nb,\xff,World\na,one,World\n", {}, b"id,text,label\nb,\xff,World\na,one,Sports\n"),
    "quotes.tsv": (b'id\ttext\tlabel\nb\t"two\tWorld\na\tone\tWorld\n', {}, b'id\ttext\tlabel\nb\t"two\tWorld\na\tone\tSports\n'),
    "twice.csv": (b"x,id,x,text, label\n1,a,2,one,World\n", {}, b"x,id,x,text, label\n1,a,2,one,Sports\n"),
    "array.json": (b'[\n{"id": "a", "text": "one", "label": "World", "n": 1.10}\n]', {}, b'[\n{"id": "a", "text": "one", "label": "Sports", "n": 1.10}\n]'),
    "columns.json": (b'{"id":{"0":"a"},"text":{"0":"one"},"label":{"0":"World"}}', {}, b'{"id":{"0":"a"},"text":{"0":"one"},"label":{"0":"Sports"}}'),
    "surrogate.jsonl": (b'{"id":"b","text":"\\ud83d","label":"World"}\n{"id":"a","text":"one","label":"World"}', {}, b'{"id":"b","text":"\\ud83d","label":"World"}\n{"id":"a","text":"one","label":"Sports"}'),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_text_files_of_any_dialect_come_back_in_it(name: str, tmp_path: Path) -> None:
    content, options, expected = WHOLE[name]
    (tmp_path / name).write_bytes(content)
    found = [Correction("a", 0, text_hash("one"), "World", "relabel", "Sports", annotator="ada")]
    applied = run(tmp_path, found, tmp_path / name, tmp_path / f"out-{name}", **options)
    assert applied.changed.total() == 1
    assert (tmp_path / f"out-{name}").read_bytes() == expected


KEPT = {
    "data.csv": (b"id;text;label\na;one;World\nb;two;World\n", b"id;text;label;original_label;corrected_label\na;one;Sports;World;Sports\n"),
    "array.json": (
        b'[{"id":"a","text":"one","label":"World"},\n {"id":"b","text":"two","label":"World"}]\n',
        b'[{"id":"a","text":"one","label":"Sports","original_label":"World","corrected_label":"Sports"}]\n',
    ),
    "pretty.json": (
        b'{\n  "id": "b",\n  "text": "two",\n  "label": "World"\n}\n{\n  "id": "a",\n  "text": "one",\n  "label": "World"\n}\n',
        b'{\n  "id": "a",\n  "text": "one",\n  "label": "Sports",\n  "original_label": "World",\n  "corrected_label": "Sports"\n}\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_text_files_keep_the_original_and_lose_what_people_drop(name: str, tmp_path: Path) -> None:
    content, expected = KEPT[name]
    (tmp_path / name).write_bytes(content)
    found = [
        Correction("a", 0, text_hash("one"), "World", "relabel", "Sports", annotator="ada"),
        Correction("b", 1, text_hash("two"), "World", "drop", None, annotator="ada"),
    ]
    run(tmp_path, found, tmp_path / name, tmp_path / f"out-{name}", keep_original=True, drop=True)
    assert (tmp_path / f"out-{name}").read_bytes() == expected


def test_a_table_in_one_object_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_bytes(WHOLE["columns.json"][0])
    found = [Correction("a", 0, text_hash("one"), "World", "relabel", "Sports", annotator="ada")]
    with pytest.raises(UsageError, match="--keep-original works on arrays"):
        run(tmp_path, found, tmp_path / "data.json", tmp_path / "out.json", keep_original=True)
    assert not (tmp_path / "out.json").exists()


def test_parquet_keeps_its_row_groups_its_codec_and_its_metadata(news: pl.DataFrame, tmp_path: Path) -> None:
    table = news.to_arrow().replace_schema_metadata({"who": "me"})
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=11, compression="gzip")
    run(tmp_path, answers(news, CHANGES), tmp_path / "data.parquet", tmp_path / "out.parquet")
    before, after = pq.ParquetFile(tmp_path / "data.parquet"), pq.ParquetFile(tmp_path / "out.parquet")
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    sizes = [[file.metadata.row_group(group).num_rows for group in range(4)] for file in (before, after)]
    assert sizes[0] == sizes[1] == [11, 11, 11, 7]
    assert after.metadata.row_group(0).column(0).compression == "GZIP"


def test_several_files_become_a_folder_of_them(news: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for start in range(0, ROWS, 15):
        news.slice(start, 15).write_parquet(tmp_path / "data" / f"part-{start:02}.parquet")
    for data, output in ((tmp_path / "data" / "*.parquet", "by-glob"), (tmp_path / "data", "by-folder")):
        applied = run(tmp_path, answers(news, CHANGES), data, tmp_path / output)
        after = pl.read_parquet(tmp_path / output / "*.parquet")
        assert after["label"].to_list() == corrected(news)
        assert len(list((tmp_path / output).iterdir())) == 3
        assert applied.changed.total() == 4


def test_the_original_is_kept_beside_on_request(news: pl.DataFrame, tmp_path: Path) -> None:
    for name in ("data.parquet", "data.csv", "data.jsonl"):
        save, load = FORMS[name]
        save(news, tmp_path / name)
        run(tmp_path, answers(news, CHANGES), tmp_path / name, tmp_path / f"out-{name}", keep_original=True)
        after = load(tmp_path / f"out-{name}")
        assert after["original_label"].to_list() == news["label"].to_list()
        decided = {row: label or news["label"][row] for row, label in CHANGES.items()}
        assert after["corrected_label"].to_list() == [decided.get(row) for row in range(ROWS)]
        assert after["label"].to_list() == corrected(news)


def test_rows_to_drop_leave_on_request_only(news: pl.DataFrame, tmp_path: Path) -> None:
    drop = answers(news, {3: None, 20: None}, verdict="drop")
    for name in ("data.parquet", "data.csv", "data.jsonl", "stream.arrow"):
        save, load = FORMS[name]
        save(news, tmp_path / name)
        assert run(tmp_path, drop, tmp_path / name, tmp_path / f"kept-{name}").dropped == 0
        assert load(tmp_path / f"kept-{name}").height == ROWS
        assert run(tmp_path, drop, tmp_path / name, tmp_path / f"out-{name}", drop=True).dropped == 2
        ids = load(tmp_path / f"out-{name}")["id"].to_list()
        assert ids == [name for row, name in enumerate(news["id"]) if row not in (3, 20)]


def test_a_shuffled_reencoded_and_resharded_copy_is_corrected_by_id(news: pl.DataFrame, tmp_path: Path) -> None:
    shuffled = news.sample(fraction=1, shuffle=True, seed=3).select("zip", "label", "text", "id")
    (tmp_path / "data").mkdir()
    for start in range(0, ROWS, 9):
        shuffled.slice(start, 9).write_csv(tmp_path / "data" / f"{start}.csv")
    applied = run(tmp_path, answers(news, CHANGES), tmp_path / "data", tmp_path / "out")
    after = pl.read_csv(tmp_path / "out" / "*.csv", infer_schema=False)
    assert dict(zip(after["id"], after["label"], strict=True)) == dict(zip(news["id"], corrected(news), strict=True))
    assert {match.found_by for match in applied.matches} == {"id"}


def test_a_copy_without_ids_is_corrected_by_text(news: pl.DataFrame, tmp_path: Path) -> None:
    shuffled = news.drop("id").sample(fraction=1, shuffle=True, seed=4)
    shuffled.write_parquet(tmp_path / "data.parquet")
    applied = run(tmp_path, answers(news, CHANGES), tmp_path / "data.parquet", tmp_path / "out.parquet")
    after = pl.read_parquet(tmp_path / "out.parquet")
    assert dict(zip(after["text"], after["label"], strict=True)) == dict(
        zip(news["text"], corrected(news), strict=True)
    )
    assert {match.found_by for match in applied.matches} == {"text hash"}


def test_a_run_without_ids_is_not_joined_by_position(news: pl.DataFrame, tmp_path: Path) -> None:
    """Its ids were positions; the copy has other rows there, or an id column that counts otherwise."""
    found = [dataclass_with(answer, id=str(answer.row)) for answer in answers(news, CHANGES)]
    moved = news.reverse().with_columns(id=pl.Series([str(row) for row in range(ROWS)]))
    moved.write_parquet(tmp_path / "data.parquet")
    applied = run(tmp_path, found, tmp_path / "data.parquet", tmp_path / "out.parquet")
    after = pl.read_parquet(tmp_path / "out.parquet").reverse()
    assert after["label"].to_list() == corrected(news)
    assert {match.found_by for match in applied.matches} == {"text hash"}


def dataclass_with(answer: Correction, **fields: Any) -> Correction:
    import dataclasses

    return dataclasses.replace(answer, **fields)


def test_a_changed_text_or_label_is_refused_and_named(news: pl.DataFrame, tmp_path: Path) -> None:
    texts, labels = news["text"].to_list(), news["label"].to_list()
    texts[0] += "!"
    labels[7] = "Sports"  # was Sci/Tech when it was judged
    labels[8] = "Sci/Tech"  # what people said already
    changed = news.with_columns(text=pl.Series(texts), label=pl.Series(labels)).filter(pl.col("id") != "n-039")
    changed.write_parquet(tmp_path / "data.parquet")
    applied = run(tmp_path, answers(news, CHANGES), tmp_path / "data.parquet", tmp_path / "out.parquet")
    assert {match.decision.first.id: match.refused for match in applied.refused} == {
        "n-000": "its text has changed since it was judged",
        "n-007": "its label is 'Sports' now, it was 'Sci/Tech' when judged",
        "n-039": "no row has its id or its text",
    }
    assert (applied.changed.total(), applied.already) == (0, 1)
    assert pl.read_parquet(tmp_path / "out.parquet").equals(changed)


def test_applying_again_changes_nothing(news: pl.DataFrame, tmp_path: Path) -> None:
    news.write_parquet(tmp_path / "data.parquet")
    found = answers(news, CHANGES)
    run(tmp_path, found, tmp_path / "data.parquet", tmp_path / "once.parquet")
    again = run(tmp_path, found, tmp_path / "once.parquet", tmp_path / "twice.parquet")
    assert (again.changed.total(), again.already, again.refused) == (0, 4, ())
    assert pl.read_parquet(tmp_path / "twice.parquet").equals(pl.read_parquet(tmp_path / "once.parquet"))


def test_like_texts_without_ids_are_corrected_together_or_not_at_all(news: pl.DataFrame, tmp_path: Path) -> None:
    twice = pl.concat([news, news.head(2)])
    twice.drop("id").write_parquet(tmp_path / "data.parquet")
    agreed = run(tmp_path, answers(news, {0: "Sports"}), tmp_path / "data.parquet", tmp_path / "out.parquet")
    after = pl.read_parquet(tmp_path / "out.parquet")
    assert (agreed.changed.total(), after["label"][0], after["label"][ROWS]) == (2, "Sports", "Sports")
    unlike = [*answers(twice, {1: "World"}, id="1"), *answers(twice, {ROWS + 1: "Business"}, id="41")]
    refused = run(tmp_path, unlike, tmp_path / "data.parquet", tmp_path / "none.parquet").refused
    assert [match.refused for match in refused] == [
        "rows with its text were judged differently, and no id tells them apart"
    ] * 2


def test_one_id_in_two_files_is_told_apart_by_text(news: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    other = news.with_columns(text=pl.col("text") + " other")
    news.write_parquet(tmp_path / "data" / "a.parquet")
    other.write_parquet(tmp_path / "data" / "b.parquet")
    run(tmp_path, answers(other, {5: "World"}), tmp_path / "data", tmp_path / "out")
    assert pl.read_parquet(tmp_path / "out" / "a.parquet").equals(news)
    assert pl.read_parquet(tmp_path / "out" / "b.parquet")["label"].to_list() == corrected(other, {5: "World"})


def test_pairs_are_known_by_both_texts(tmp_path: Path) -> None:
    pairs = pl.DataFrame({"premise": ["a", "a"], "hypothesis": ["b", "c"], "label": ["World", "World"]})
    pairs.write_csv(tmp_path / "data.csv")
    found = [Correction("1", 1, text_hash("a", "c"), "World", "relabel", "Sports")]
    run(tmp_path, found, tmp_path / "data.csv", tmp_path / "out.csv")
    assert pl.read_csv(tmp_path / "out.csv")["label"].to_list() == ["World", "Sports"]


def test_integers_mean_what_they_meant_in_the_run(news: pl.DataFrame, tmp_path: Path) -> None:
    numbers = news.with_columns(label=pl.Series([LABELS.index(label) for label in news["label"]], dtype=pl.Int8))
    numbers.write_parquet(tmp_path / "data.parquet")
    run(tmp_path, answers(news, CHANGES), tmp_path / "data.parquet", tmp_path / "out.parquet")
    after = pl.read_parquet(tmp_path / "out.parquet")
    assert after.schema == numbers.schema
    assert after["label"].to_list() == [LABELS.index(label) for label in corrected(news)]


def test_a_label_map_works_backwards(news: pl.DataFrame, tmp_path: Path) -> None:
    german = dict(zip(LABELS, ("Welt", "Sport", "Wirtschaft", "Technik"), strict=True))
    news.with_columns(pl.col("label").replace(german)).write_csv(tmp_path / "data.csv")
    (tmp_path / "map.json").write_text(json.dumps({theirs: ours for ours, theirs in german.items()}))
    options = {"label_map": tmp_path / "map.json"}
    run(tmp_path, answers(news, CHANGES), tmp_path / "data.csv", tmp_path / "out.csv", **options)
    assert pl.read_csv(tmp_path / "out.csv")["label"].to_list() == [german[label] for label in corrected(news)]


def saved(news: pl.DataFrame, names: Sequence[str], folder: Path) -> Any:
    datasets = pytest.importorskip("datasets", reason="needs the extra `hub`")
    labels = [names.index(label) if label in names else -1 for label in news["label"]]
    columns = {
        **news.drop("label").to_dict(as_series=False),
        "label": labels,
        "vector": [[0.5, row] for row in range(ROWS)],
    }
    features = datasets.Features(
        {
            **dict.fromkeys(("id", "text", "zip", "note"), datasets.Value("string")),
            "label": datasets.ClassLabel(names=list(names)),
            "vector": datasets.Sequence(datasets.Value("float32"), length=2),
        }
    )
    data = datasets.Dataset.from_dict(columns, features=features)
    data.save_to_disk(str(folder))
    return data


def test_a_saved_data_set_comes_back_with_the_model_s_label_order(news: pl.DataFrame, tmp_path: Path) -> None:
    backwards = [*LABELS[::-1], "Unclear"]
    before = saved(news, backwards, tmp_path / "saved")
    import datasets

    for data, options in ((tmp_path / "saved", {}), (tmp_path / "saved", {"keep_original": True})):
        output = tmp_path / f"out-{len(options)}"
        run(tmp_path, answers(news, CHANGES), data, output, **options)
        after = datasets.load_from_disk(str(output))
        assert after.features["label"].names == list(LABELS)
        assert [after.features["label"].int2str(label) for label in after["label"]] == corrected(news)
        others = ["id", "text", "zip", "note", "vector"]
        assert after.select_columns(others).to_list() == before.select_columns(others).to_list()
        assert {name: after.features[name] for name in others} == {name: before.features[name] for name in others}
    assert after.features["original_label"].names == list(LABELS)
    assert [after.features["label"].int2str(label) for label in after["original_label"]] == news["label"].to_list()
    assert after["corrected_label"][21] == LABELS.index(news["label"][21])
    assert after["corrected_label"][1] is None


def test_a_split_of_a_saved_dict_and_a_data_set_of_the_hub_become_folders(news: pl.DataFrame, tmp_path: Path) -> None:
    train = saved(news, LABELS, tmp_path / "saved")
    import datasets

    datasets.DatasetDict({"train": train, "test": train.select([0])}).save_to_disk(str(tmp_path / "splits"))
    run(tmp_path, answers(news, CHANGES), tmp_path / "splits", tmp_path / "out", split="train")
    after = datasets.load_from_disk(str(tmp_path / "out"))
    assert [LABELS[label] for label in after["label"]] == corrected(news)
    # as `datasets` hands over a data set of the hub, without the hub
    table = HubTable(train, "me/news/train")
    labels = {row: str(LABELS.index(label)) for row, label in CHANGES.items() if label is not None}
    edits = Edits(table.name, ROWS, "label", labels, frozenset(), keep_original=False)
    counts = dict.fromkeys(map(str, range(4)), 10)
    encoder = resolve_labels(counts, LABELS, class_names=LABELS)
    write_folder([table], [edits], Classes(LABELS, encoder, LABELS, list(counts)), tmp_path / "hub")
    assert datasets.load_from_disk(str(tmp_path / "hub")).to_list() == after.to_list()


def test_labels_that_the_model_does_not_know_stay(news: pl.DataFrame, tmp_path: Path) -> None:
    labels = news["label"].to_list()
    labels[5], labels[6] = "Weather", None
    pl.DataFrame({**news.to_dict(as_series=False), "label": labels}).write_csv(tmp_path / "data.csv")
    pytest.importorskip("datasets", reason="needs the extra `hub`")
    import datasets

    run(tmp_path, answers(news, CHANGES), tmp_path / "data.csv", tmp_path / "out", as_datasets=True)
    after = datasets.load_from_disk(str(tmp_path / "out"))
    assert after.features["label"].names == [*LABELS, "Weather"]
    assert (after["label"][5], after["label"][6]) == (4, -1)


@pytest.mark.parametrize("name", ["data.parquet", "data.csv", "data.jsonl"])
def test_files_become_a_folder_of_datasets_on_request(name: str, news: pl.DataFrame, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="needs the extra `hub`")
    FORMS[name][0](news, tmp_path / name)
    run(tmp_path, answers(news, CHANGES), tmp_path / name, tmp_path / "out", as_datasets=True)
    after = datasets.load_from_disk(str(tmp_path / "out"))
    assert after.features["label"].names == list(LABELS)
    assert [LABELS[label] for label in after["label"]] == corrected(news)
    assert after["text"] == news["text"].to_list() or list(after["text"]) == news["text"].to_list()


def test_a_parquet_file_of_datasets_keeps_its_own_label_order(news: pl.DataFrame, tmp_path: Path) -> None:
    names = LABELS[::-1]
    saved(news, names, tmp_path / "saved").to_parquet(str(tmp_path / "data.parquet"))
    options = {"keep_original": True}
    run(tmp_path, answers(news, CHANGES), tmp_path / "data.parquet", tmp_path / "out.parquet", **options)
    import datasets

    after = datasets.Dataset.from_parquet(str(tmp_path / "out.parquet"), cache_dir=str(tmp_path / "cache"))
    assert after.features["label"].names == after.features["original_label"].names == list(names)
    assert [names[label] for label in after["label"]] == corrected(news)


@pytest.mark.parametrize(
    ("error", "says", "options"),
    [
        (UsageError, "would be another format", {"output": "out.csv"}),
        (OutputError, "exists already", {"output": "data.parquet"}),
        (UsageError, "has a column 'original_label' already", {"keep_original": True, "extra": "original_label"}),
        (LabelError, "speak of 'Business', which the data does not name", {"labels": None, "class_names": True}),
        (LabelError, "do not say in which order", {"labels": None}),
        (DataError, "holds no answers", {"found": []}),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    error: type[ScorerError], says: str, options: dict[str, Any], news: pl.DataFrame, tmp_path: Path
) -> None:
    if "extra" in options:
        news = news.with_columns(pl.lit("x").alias(options["extra"]))
    if "class_names" in options:
        saved(news, [*"abcd"], tmp_path / "saved").to_parquet(str(tmp_path / "data.parquet"))
    else:
        news.write_parquet(tmp_path / "data.parquet")
    file = write(tmp_path, options.get("found", answers(news, CHANGES)))
    if "labels" in options:  # a file without a header
        file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    before = sorted(path.name for path in tmp_path.iterdir())
    output = tmp_path / options.get("output", "out.parquet")
    config = ApplyConfig(
        corrections=(file,),
        data=(str(tmp_path / "data.parquet"),),
        output=output,
        keep_original=options.get("keep_original", False),
    )
    with pytest.raises(error, match=says):
        apply_corrections(config)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_large_corpus_is_read_once_and_matched_whatever_its_order(tmp_path: Path) -> None:
    """More rows than a window or a shard of the reader holds."""
    rows = 70_000
    order = list(range(rows))
    random.Random(1).shuffle(order)
    frame = pl.DataFrame(
        {"id": [str(row) for row in order], "text": [f"text {row}" for row in order], "label": ["World"] * rows}
    )
    frame.write_parquet(tmp_path / "data.parquet", row_group_size=20_000)
    picked = {order.index(row): "Sports" for row in (0, 8_191, 8_192, 65_535, 65_536, 69_999)}
    run(tmp_path, answers(frame, picked), tmp_path / "data.parquet", tmp_path / "out.parquet")
    after = pl.read_parquet(tmp_path / "out.parquet")
    changed = after.filter(pl.col("label") == "Sports")["id"].to_list()
    assert sorted(map(int, changed)) == [0, 8_191, 8_192, 65_535, 65_536, 69_999]


class _Hub(BaseHTTPRequestHandler):
    """A hub that knows no data set and takes none: it notes what it is asked to do."""

    asked: ClassVar[list[tuple[str, str, bytes]]] = []

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.command, self.path, body))
        self.send_error(400, "out of order")

    def log_message(self, *_: object) -> None:
        pass


def test_pushing_to_the_hub_asks_for_a_private_data_set_and_fails_with_the_result_at_hand(
    news: pl.DataFrame, tmp_path: Path, scorer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """As far as the network: the hub is a server on this machine, which refuses."""
    datasets = pytest.importorskip("datasets", reason="needs the extra `hub`")
    news.write_parquet(tmp_path / "data.parquet")
    hub = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    environment = os.environ | {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_address[1]}",
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": "hf_secret_token",
        "HF_HOME": str(tmp_path / "hf"),
    }
    arguments = [write(tmp_path, answers(news, CHANGES)), tmp_path / "data.parquet", "-o", tmp_path / "out"]
    done = scorer("apply", *arguments, "--push-to-hub", "me/news-corrected", env=environment)
    hub.shutdown()
    assert done.returncode == OutputError.exit_code, done.stderr
    assert "cannot push to 'me/news-corrected'" in done.stderr
    assert "hf auth login" in done.stderr
    assert "hf_secret_token" not in done.stdout + done.stderr
    assert _Hub.asked, done.stderr
    method, path, body = _Hub.asked[0]
    assert (method, path) == ("POST", "/api/repos/create")
    asked = json.loads(body)
    assert (asked["name"], asked["organization"], asked["type"]) == ("news-corrected", "me", "dataset")
    assert asked.get("private") is True or asked.get("visibility") == "private"
    after = datasets.load_from_disk(str(tmp_path / "out"))
    assert [LABELS[label] for label in after["label"]] == corrected(news)


def test_the_card_says_what_changed(news: pl.DataFrame, tmp_path: Path) -> None:
    news.write_parquet(tmp_path / "data.parquet")
    found = [*answers(news, CHANGES), *answers(news, {0: "World"}, annotator="bo", source="argilla:news")]
    applied = run(tmp_path, found, tmp_path / "data.parquet", tmp_path / "out.parquet")
    card = card_text(applied, ("fancyzhx/ag_news",), "a/model", found)
    assert "The rows are those of `fancyzhx/ag_news`." in card
    assert "changed the label of 3 of 40 rows" in card
    assert "`a/model`" in card
    assert "- answers: 6, by 2 people, in argilla:news" in card
    assert "- disagreements: 1 rows, 1 left as they were" in card
    assert "| Sci/Tech | World | 1 |" in card


# --- which row a decision is about ---


def annotated(tmp_path: Path, *, ids: bool) -> tuple[pl.DataFrame, Path]:
    """Three annotators' labels of one item, a second item, and a row that stands twice."""
    frame = pl.DataFrame(
        {
            "id": ["7", "7", "7", "8", "9", "9"],
            "text": ["one", "one", "one", "two", "twice", "twice"],
            "label": ["World", "Sports", "Business", "Business", "World", "World"],
        }
    )
    file = tmp_path / "data.parquet"
    (frame if ids else frame.drop("id")).write_parquet(file)
    return frame if ids else frame.with_columns(id=pl.Series([str(row) for row in range(6)])), file


@pytest.mark.parametrize("ids", [True, False])
def test_rows_of_one_text_are_told_apart_by_their_label(ids: bool, tmp_path: Path) -> None:
    frame, file = annotated(tmp_path, ids=ids)
    unsure = answers(frame, {0: None}, verdict="unsure")
    applied = run(
        tmp_path, [*unsure, *answers(frame, {1: "World", 2: "Sports", 4: "Sports"})], file, tmp_path / "o.parquet"
    )
    after = pl.read_parquet(tmp_path / "o.parquet")["label"].to_list()
    assert after == ["World", "World", "Sports", "Business", "Sports", "Sports"]
    assert not applied.refused
    assert [len(match.rows) for match in applied.alike] == [2]


@pytest.mark.parametrize("ids", [True, False])
def test_rows_that_nothing_tells_apart_and_that_were_judged_unlike_stay(ids: bool, tmp_path: Path) -> None:
    frame, file = annotated(tmp_path, ids=ids)
    for second in (
        answers(frame, {5: None}),
        answers(frame, {5: "Business"}),
        answers(frame, {5: None}, verdict="drop"),
    ):
        found = [*answers(frame, {4: "Sports", 3: "World"}), *second]
        output = tmp_path / f"{second[0].verdict}.parquet"
        applied = run(tmp_path, found, file, output, drop=True)
        assert pl.read_parquet(output)["label"].to_list() == [*frame["label"][:3], "World", "World", "World"]
        assert len(applied.refused) == (1 if ids else 2)
        assert all("judged differently" in str(match.refused) for match in applied.refused)


def test_decisions_that_meet_in_one_row_when_applied_again_change_nothing(tmp_path: Path) -> None:
    """What was World is Sports and what was Sports is World now: of the second time nobody can tell which is which."""
    frame, file = annotated(tmp_path, ids=True)
    found = answers(frame, {0: "Sports", 1: "World"})
    run(tmp_path, found, file, tmp_path / "once.parquet")
    once = pl.read_parquet(tmp_path / "once.parquet")
    assert once["label"].to_list()[:3] == ["Sports", "World", "Business"]
    found = answers(frame, {0: "Sports", 1: "Business"})
    run(tmp_path, found, file, tmp_path / "first.parquet")
    again = run(tmp_path, found, tmp_path / "first.parquet", tmp_path / "second.parquet")
    assert len(again.refused) == 2
    assert pl.read_parquet(tmp_path / "second.parquet").equals(pl.read_parquet(tmp_path / "first.parquet"))


def test_a_label_that_people_keep_is_not_respelled(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("id,text,label\na,one,World\nb,two,WORLD\nc,three,Sports\n")
    frame = pl.DataFrame(
        {"id": ["a", "b", "c"], "text": ["one", "two", "three"], "label": ["World", "World", "Sports"]}
    )
    run(tmp_path, answers(frame, {1: None, 2: "World"}), tmp_path / "data.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "id,text,label\na,one,World\nb,two,WORLD\nc,three,World\n"


# --- several files ---


def test_files_keep_their_places(news: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders, globs and files by name, of one name in several folders and compressed, from near and far."""
    parts = {
        name: news.slice(10 * number, 10)
        for number, name in enumerate(("a/x.csv", "a/y/x.csv", "b/x.csv", "b[1]/x.csv.gz"))
    }
    for name, part in parts.items():
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        content = part.write_csv().encode()
        file.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    monkeypatch.chdir(tmp_path / "data")
    corrections = (write(tmp_path, answers(news, CHANGES)),)
    here = str(tmp_path / "data")
    wanted: list[tuple[tuple[str, ...], list[str]]] = [
        ((here,), list(parts)),
        (("a",), ["x.csv", "y/x.csv"]),
        (("a/y",), ["x.csv"]),
        (("a/*.csv", "b/*.csv"), ["a/x.csv", "b/x.csv"]),
        (("**/x.csv",), ["a/x.csv", "a/y/x.csv", "b/x.csv"]),
        (("b[1]/x.csv.gz", "b"), ["b[1]/x.csv.gz", "b/x.csv"]),
        (("../data/a/x.csv", f"{here}/b/x.csv"), ["a/x.csv", "b/x.csv"]),
        (("a/*.csv",), ["x.csv"]),
    ]
    for number, (data, files) in enumerate(wanted):
        output = tmp_path / f"out-{number}"
        apply_corrections(ApplyConfig(corrections=corrections, data=data, output=output))
        assert sorted(str(file.relative_to(output)) for file in output.rglob("*") if file.is_file()) == sorted(files)
    whole = dict(zip(news["id"], corrected(news), strict=True))
    for name in parts:
        content = (tmp_path / "out-0" / name).read_bytes()
        after = pl.read_csv(gzip.decompress(content) if name.endswith(".gz") else content, infer_schema=False)
        assert after["label"].to_list() == [whole[row] for row in parts[name]["id"]]
    apply_corrections(ApplyConfig(corrections=corrections, data=("b/*.csv",), output=tmp_path / "one.csv"))
    assert (tmp_path / "one.csv").is_file()
    with pytest.raises(UsageError, match=r"x\.csv' twice"):
        apply_corrections(
            ApplyConfig(corrections=corrections, data=("a", f"{here}/a/x.csv"), output=tmp_path / "twice")
        )
    assert not (tmp_path / "twice").exists()


def test_the_command_takes_several_files_and_says_what_was_meant(
    news: pl.DataFrame,
    tmp_path: Path,
    scorer: Callable[..., subprocess.CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    news.head(20).write_csv("one.csv")
    news.tail(20).write_ndjson("two words.jsonl")
    write(tmp_path, answers(news, CHANGES)).rename("c.jsonl")
    write_corrections(Path("d.jsonl"), LABELS, answers(news, {3: "World"}))
    news.head(20).write_csv("alike.csv")
    meant = {
        (
            "c.jsonl",
            "one.csv",
            "two words.jsonl",
        ): "'one.csv' is data, not corrections.*scorer apply c.jsonl --data one.csv --data 'two words.jsonl' -o out",
        ("one.csv", "c.jsonl"): "scorer apply c.jsonl --data one.csv -o out",
        (
            "c.jsonl",
            "d.jsonl",
        ): "'d.jsonl' holds corrections and is no data.*scorer apply c.jsonl d.jsonl --data DATA -o out",
        ("c.jsonl", "--data", "one.csv", "two words.jsonl"): "'two words.jsonl' is data.*scorer apply c.jsonl --data",
        ("one.csv",): "there are no corrections.*scorer apply CORRECTIONS --data one.csv",
        (
            "c.jsonl",
            "two words.jsonl",
            "d.jsonl",
            "one.csv",
        ): "scorer apply c.jsonl d.jsonl --data 'two words.jsonl' --data one.csv",
    }
    for arguments, says in meant.items():
        done = scorer("apply", *arguments, "-o", "out")
        assert done.returncode == UsageError.exit_code
        assert re.search(says, " ".join(done.stderr.split())), done.stderr
    done = scorer("apply", "c.jsonl", "d.jsonl", "--data", "one.csv", "--data", "alike.csv", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in Path("out").iterdir()) == ["alike.csv", "one.csv"]
    assert "4 of the decisions stand for 8 rows" in done.stdout


def test_what_a_killed_apply_left_hinders_nobody_and_goes(news: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("a", "b"):
        news.write_parquet(tmp_path / "data" / f"{name}.parquet")
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    with making_folder(tmp_path / "like") as folder:
        (folder / "file").touch()
        name = folder.name.replace(".like.", ".out.")
    left = tmp_path / name.replace(f".{os.getpid()}.tmp", f".{int(dead.stdout)}.tmp")
    at_work = tmp_path / name.replace(f".{os.getpid()}.tmp", f".{os.getppid()}.tmp")
    elsewhere = tmp_path / left.name.replace(".out.", ".out.on-another-machine-")
    for each in (left, at_work, elsewhere):
        (each / "sub").mkdir(parents=True)
    run(tmp_path, answers(news, CHANGES), tmp_path / "data", tmp_path / "out")
    assert [each.exists() for each in (left, at_work, elsewhere)] == [False, True, True]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.parquet", "b.parquet"]


def test_the_cure_fits_what_the_system_says(tmp_path: Path) -> None:
    cures = {
        errno.ENOSPC: "Free space",
        errno.EACCES: "Get the right to write there",
        errno.EROFS: "Nothing can be written there",
        errno.ENAMETOOLONG: "a shorter name",
        errno.ENOTDIR: "is a file and no folder",
        errno.EISDIR: "A folder has that name",
        errno.EMFILE: "ulimit",
        errno.EPIPE: "Check the path",
    }
    for number, cure in cures.items():
        with pytest.raises(OutputError, match=cure) as failed, writing(tmp_path):
            raise OSError(number, os.strerror(number))
        assert ("Free space" in str(failed.value)) == (number == errno.ENOSPC)
    (tmp_path / "file").write_text("")
    news = pl.DataFrame({"id": ["a"], "text": ["one"], "label": ["World"]})
    news.write_csv(tmp_path / "data.csv")
    for output, cure in (
        (tmp_path / "file" / "out.csv", "file': File exists. Something else has that name"),
        (tmp_path / f"{'n' * 300}.csv", "shorter name"),
    ):
        with pytest.raises(OutputError, match=cure):
            run(tmp_path, answers(news, {0: "Sports"}), tmp_path / "data.csv", output)


def test_each_file_keeps_its_own_spelling(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.csv").write_text("id,text,label\na1,one,WORLD\na2,two,SPORTS\n")
    (data / "b.csv").write_text("id,text,label\nb1,three,world\nb2,four,sports\nb3,five,sports\n")
    (data / "c.jsonl").write_text('{"id": "c1", "text": "six", "label": "World"}\n')
    frame = pl.DataFrame({"id": ["a1", "b1", "c1"], "text": ["one", "three", "six"], "label": ["World"] * 3})
    run(tmp_path, answers(frame, dict.fromkeys(range(3), "Sports")), data, tmp_path / "out")
    assert (tmp_path / "out" / "a.csv").read_text() == "id,text,label\na1,one,SPORTS\na2,two,SPORTS\n"
    assert "b1,three,sports" in (tmp_path / "out" / "b.csv").read_text()
    assert '"label": "sports"' in (tmp_path / "out" / "c.jsonl").read_text()  # as most of the data has it
