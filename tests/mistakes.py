"""Mistakes that a person can make: how each comes about, its exit code, and what its message must say.

`test_errors.py` makes them one by one.
"""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import hashlib
import json
import os
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rankings import make_ranking

import scorer.model.session
from scorer import RunConfig, score
from scorer.errors import (
    DataError,
    ExportError,
    LabelError,
    MissingExtraError,
    ModelError,
    NothingScoredError,
    OutputError,
    ProviderError,
    ScorerError,
    UsageError,
)


@dataclasses.dataclass(frozen=True)
class Bench:
    """Where a case lays out its files; everything lies in one folder of its own."""

    path: Path
    model: Path
    label_names: tuple[str, ...]
    monkeypatch: pytest.MonkeyPatch

    @property
    def out(self) -> Path:
        return self.path / "out"

    def run(self, *data_and_options: object, model: Path | None = None, out: Path | None = None) -> list[object]:
        """Arguments of `scorer run` on the given data."""
        return ["run", model or self.model, *data_and_options, "--output", out or self.out]

    def frame(self, rows: int = 12, **columns: Sequence[Any]) -> pl.DataFrame:
        """A data set without a fault, but for the columns given."""
        names = [self.label_names[row % len(self.label_names)] for row in range(rows)]
        good: dict[str, Sequence[Any]] = {"text": [f"news {row} of the day" for row in range(rows)], "label": names}
        return pl.DataFrame({**good, **columns})

    def good(self, name: str = "good.csv") -> Path:
        return self.csv(self.frame(), name)

    def csv(self, frame: pl.DataFrame, name: str = "data.csv") -> Path:
        frame.write_csv(self.path / name)
        return self.path / name

    def parquet(self, frame: pl.DataFrame, name: str = "data.parquet", **options: Any) -> Path:
        pq.write_table(frame.to_arrow(), self.path / name, **options)
        return self.path / name

    def file(self, name: str, content: str | bytes) -> Path:
        file = self.path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def jsonl(self, *documents: object, name: str = "data.jsonl") -> Path:
        return self.file(name, "".join(json.dumps(document) + "\n" for document in documents))

    def row(self, **fields: object) -> dict[str, object]:
        return {"text": "some news", "label": self.label_names[0], **fields}

    def label_map(self, document: object) -> Path:
        return self.file("map.json", json.dumps(document))

    def edited_model(self, *, without: str = "", replaced: dict[str, bytes] | None = None, **changes: object) -> Path:
        """The model directory with files taken away or replaced (their hashes agree), or its contract changed."""
        directory = self.path / "model"
        directory.mkdir()
        contract = json.loads((self.model / "scorer.json").read_text(encoding="utf-8"))
        for name in ("model.onnx", "tokenizer.json", "config.json"):
            if name not in {without, *(replaced or {})}:
                (directory / name).symlink_to(self.model / name)
        for name, content in (replaced or {}).items():
            (directory / name).write_bytes(content)
            contract["files"][name] = hashlib.sha256(content).hexdigest()
        if without != "scorer.json":
            (directory / "scorer.json").write_text(json.dumps({**contract, **changes}), encoding="utf-8")
        return directory


@dataclasses.dataclass(frozen=True)
class Case:
    """A mistake, the exception class whose exit code it must end in, and what the message must say."""

    arguments: Callable[[Bench], list[object]]
    error: type[ScorerError]
    says: tuple[str, ...]


CASES: dict[str, Case] = {}


def case(error: type[ScorerError], *says: str) -> Callable[[Callable[[Bench], list[object]]], None]:
    def add(arguments: Callable[[Bench], list[object]]) -> None:
        CASES[arguments.__name__] = Case(arguments, error, says)

    return add


# --- files that cannot be found or opened -----------------------------------------------------------------------


@case(DataError, "there is no file", "missing.csv", "Check the path")
def missing_file(bench: Bench) -> list[object]:
    return bench.run(bench.path / "missing.csv")


@case(DataError, "there is no file 'missing.csv'", "Looked in", "somewhere")
def missing_file_beside_the_user(bench: Bench) -> list[object]:
    (bench.path / "somewhere").mkdir()
    bench.monkeypatch.chdir(bench.path / "somewhere")
    return bench.run("missing.csv")


@case(DataError, "no file matches", "*.parquet", "Check the path")
def glob_without_match(bench: Bench) -> list[object]:
    bench.good()
    return bench.run(bench.path / "*.parquet")


@case(DataError, "format of", "data.xlsx", ".parquet", ".jsonl", ".gz")
def unknown_suffix(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.xlsx", "x"))


@case(DataError, "format of", "data.parquet.gz")
def compressed_parquet(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.parquet.gz", b"x"))


@case(DataError, "folder", "data.csv", "holds no data file")
def folder_named_like_a_file(bench: Bench) -> list[object]:
    (bench.path / "data.csv").mkdir()
    return bench.run(bench.path / "data.csv")


@case(DataError, "link.csv", "is a link to", "gone.csv", "which is gone")
def broken_symlink(bench: Bench) -> list[object]:
    (bench.path / "link.csv").symlink_to(bench.path / "gone.csv")
    return bench.run(bench.path / "link.csv")


@case(DataError, "cannot read", "secret.csv", "permission denied")
def file_without_permission(bench: Bench) -> list[object]:
    secret = bench.good("secret.csv")
    secret.chmod(0)
    if os.access(secret, os.R_OK):
        pytest.skip("this user may read everything")
    return bench.run(secret)


@case(DataError, "name", "not valid UTF-8", "ename")
def file_name_in_another_encoding(bench: Bench) -> list[object]:
    name = os.fsdecode(b"caf\xe9.csv")
    bench.good().rename(bench.path / name)
    return bench.run(bench.path / name)


@case(DataError, "there is no file", "xxxx")
def text_where_a_file_is_expected(bench: Bench) -> list[object]:
    return bench.run("x" * 5_000)


# --- files that are empty, damaged or not what they say ---------------------------------------------------------


@case(DataError, "data.csv", "is empty")
def empty_csv(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.csv", ""))


@case(DataError, "data.csv", "no rows")
def csv_with_a_header_only(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.csv", "text,label\n"))


@case(DataError, "data.parquet", "no rows")
def parquet_without_rows(bench: Bench) -> list[object]:
    return bench.run(bench.parquet(bench.frame().clear()))


@case(DataError, "data.jsonl", "is empty")
def empty_jsonl(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.jsonl", ""))


@case(DataError, "data.jsonl", "is empty")
def jsonl_of_blank_lines(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.jsonl", "\n\n  \n"))


@case(DataError, "cannot read", "data.arrow", "Arrow IPC")
def empty_arrow(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.arrow", ""))


@case(DataError, "cannot read", "data.arrow", "Arrow IPC")
def arrow_that_is_garbage(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.arrow", b"no arrow at all" * 20))


@case(DataError, "cannot read", "data.arrow", "Arrow IPC")
def truncated_arrow_stream(bench: Bench) -> list[object]:
    table = bench.frame(200).to_arrow()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue().to_pybytes()
    return bench.run(bench.file("data.arrow", content[: len(content) // 2]))


@case(DataError, "cannot read", "data.parquet", "as Parquet")
def parquet_that_is_garbage(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.parquet", b"no parquet at all" * 20))


@case(DataError, "cannot read", "data.parquet", "as Parquet", "cut short", "again")
def truncated_parquet(bench: Bench) -> list[object]:
    content = bench.parquet(bench.frame(), "whole.parquet").read_bytes()
    return bench.run(bench.file("data.parquet", content[: len(content) // 2]))


@case(DataError, "cannot read", "data.parquet", "as Parquet")
def parquet_with_a_damaged_page_in_the_middle(bench: Bench) -> list[object]:
    noise = random.Random(3)
    texts = ["".join(chr(noise.randrange(97, 123)) for _ in range(60)) for _ in range(300)]
    file = bench.parquet(bench.frame(300, text=texts), row_group_size=100, use_dictionary=False)
    chunk = pq.read_metadata(file).row_group(1).column(0)
    with file.open("r+b") as handle:
        handle.seek(chunk.data_page_offset)
        handle.write(b"\xff" * 200)
    return bench.run(file)


def _string_column_of(*values: bytes) -> pa.Array:
    """A string array of bytes that nobody checked, as foreign writers leave them."""
    return pa.array(values, pa.binary()).view(pa.string())


@case(LabelError, "match no label", "caf\ufffd", "--label-column")
def parquet_label_that_is_not_utf8(bench: Bench) -> list[object]:
    pq.write_table(
        pa.table({"text": pa.array(["fine"]), "label": _string_column_of(b"caf\xe9")}), bench.path / "data.parquet"
    )
    return bench.run(bench.path / "data.parquet")


def _noisy_csv(bench: Bench) -> bytes:
    noise = random.Random(5)
    return bench.csv(bench.frame(500, text=[f"news {noise.random()}" for _ in range(500)]), "whole.csv").read_bytes()


@case(DataError, "cannot read", "data.csv.gz", "runcated")
def truncated_gzip_csv(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.csv.gz", gzip.compress(_noisy_csv(bench))[:-2_000]))


@case(DataError, "cannot read", "data.jsonl.bz2", "runcated")
def truncated_bz2_jsonl(bench: Bench) -> list[object]:
    noise = random.Random(5)
    lines = "".join(json.dumps(bench.row(text=f"news {noise.random()}")) + "\n" for _ in range(500))
    return bench.run(bench.file("data.jsonl.bz2", bz2.compress(lines.encode())[:-2_000]))


@case(DataError, "cannot read", "data.csv.zst", "runcated")
def truncated_zstd_csv(bench: Bench) -> list[object]:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(_noisy_csv(bench))
    return bench.run(bench.file("data.csv.zst", sink.getvalue().to_pybytes()[:-2_000]))


@case(DataError, "cannot read", "data.jsonl.zst")
def zstd_that_is_garbage(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.jsonl.zst", b"not compressed at all" * 9))


@case(DataError, "line 3", "data.csv", "not valid UTF-8", "0xe9", "--encoding cp1252")
def csv_in_windows_1252(bench: Bench) -> list[object]:
    name = bench.label_names[0].encode()
    return bench.run(bench.file("data.csv", b"text,label\nfine,%s\ncaf\xe9,%s\nna\xefve,%s\n" % (name, name, name)))


@case(DataError, "line 1", "data.csv", "not valid UTF-8", "--encoding cp1252")
def csv_header_that_is_not_utf8(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.csv", b"text,label,caf\xe9\nnews,World,1\n"))


@case(DataError, "line 2", "data.jsonl", "not valid UTF-8", "0xe9", "--encoding cp1252")
def jsonl_in_windows_1252(bench: Bench) -> list[object]:
    line = b'{"text": "caf\xe9", "label": 1}\n'
    return bench.run(bench.file("data.jsonl", json.dumps(bench.row()).encode() + b"\n" + line * 2))


@case(DataError, "data.csv", "line 2", "carriage return", "quote")
def csv_with_a_carriage_return_in_a_bare_field(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.csv", f"label,text\n{bench.label_names[0]},half\ra text\n"))


@case(DataError, "data.csv", "line 3", "rows of their own", "--quoting none", "--quoting double")
def csv_field_that_seems_to_hold_rows(bench: Bench) -> list[object]:
    name = bench.label_names[0]
    return bench.run(
        bench.file("data.csv", f'text,label\na,{name}\n"Never again,{name}\nfine,{name}\nsize 5",{name}\n')
    )


@case(DataError, "data.csv", "text^label", "--delimiter")
def csv_with_a_delimiter_that_nobody_uses(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.csv", f"text^label\na,{bench.label_names[0]}\n"))


@case(DataError, "data.csv", "line 3", "closes before", "--quoting backslash", "--quoting none")
def csv_quote_within_a_quoted_field(bench: Bench) -> list[object]:
    name = bench.label_names[0]
    return bench.run(bench.file("data.csv", f'text,label\n"fine",{name}\n"not "fine", no",{name}\n'))


@case(UsageError, "--delimiter", "'::'", "one character")
def delimiter_of_two_characters(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--delimiter", "::")


@case(UsageError, "--encoding", "'ansi-latin'", "cp1252")
def encoding_that_nobody_knows(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--encoding", "ansi-latin")


@case(UsageError, "--encoding", "applies to", "data.parquet")
def encoding_of_a_parquet_file(bench: Bench) -> list[object]:
    return bench.run(bench.parquet(bench.frame()), "--encoding", "cp1252")


@case(UsageError, "--delimiter", "applies to CSV and TSV", "data.jsonl")
def delimiter_of_a_json_file(bench: Bench) -> list[object]:
    return bench.run(bench.jsonl(bench.row()), "--delimiter", ";")


@case(DataError, "data.json", "line 4", "not JSON", "cut short")
def json_array_cut_short(bench: Bench) -> list[object]:
    text = "[\n" + ",\n".join([json.dumps(bench.row())] * 3)
    return bench.run(bench.file("data.json", text[:-20]))


@case(DataError, "data.json", "a list", "one object per line")
def json_array_of_lists(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.json", json.dumps([["some news", bench.label_names[0]]])))


@case(DataError, "data.csv", "Row #3", "Expected 2 columns, got 3")
def ragged_csv_row(bench: Bench) -> list[object]:
    name = bench.label_names[0]
    return bench.run(bench.file("data.csv", f"text,label\nfine,{name}\nan, unquoted comma,{name}\n"))


@case(DataError, "data.csv", "quot")
def csv_quote_that_never_closes(bench: Bench) -> list[object]:
    name = bench.label_names[0]
    return bench.run(bench.file("data.csv", f'text,label\nfine,{name}\n"open,{name}\nlast,{name}\n'))


@case(DataError, "data.csv", "several columns named 'text'")
def csv_header_with_a_column_twice(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.csv", f"text,text,label\na,b,{bench.label_names[0]}\n"))


@case(DataError, "data.parquet", "several columns named 'text'")
def parquet_with_a_column_twice(bench: Bench) -> list[object]:
    texts, labels = pa.array(["a"]), pa.array([bench.label_names[0]])
    pq.write_table(
        pa.Table.from_arrays([texts, texts, labels], names=["text", "text", "label"]), bench.path / "data.parquet"
    )
    return bench.run(bench.path / "data.parquet")


@case(DataError, "line 2", "data.jsonl", "not JSON")
def jsonl_line_that_is_no_json(bench: Bench) -> list[object]:
    return bench.run(bench.file("data.jsonl", json.dumps(bench.row()) + "\n{'text': 'single quotes'}\n"))


@case(DataError, "line 2", "data.jsonl", "a list", "one object per line")
def jsonl_line_that_is_a_list(bench: Bench) -> list[object]:
    return bench.run(bench.jsonl(bench.row(), ["some news", 1]))


# --- columns ----------------------------------------------------------------------------------------------------


@case(UsageError, "no column 'body'", "--text-column", "text, label")
def wrong_text_column(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--text-column", "body")


@case(UsageError, "no column 'stars'", "--label-column", "text, label")
def wrong_label_column(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--label-column", "stars")


@case(UsageError, "no column 'reply'", "--text-pair-column", "text, label")
def wrong_text_pair_column(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--text-column", "text", "--text-pair-column", "reply")


@case(UsageError, "no column 'uuid'", "--id-column", "text, label")
def wrong_id_column(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--id-column", "uuid")


@case(UsageError, "looks like the text", "--text-column", "review, label")
def no_column_that_looks_like_text(bench: Bench) -> list[object]:
    return bench.run(bench.csv(bench.frame().rename({"text": "review"})))


@case(UsageError, "looks like the label", "--label-column", "text, stars")
def no_column_that_looks_like_a_label(bench: Bench) -> list[object]:
    return bench.run(bench.csv(bench.frame().rename({"label": "stars"})))


@case(UsageError, "two roles", "text")
def one_column_in_two_roles(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--text-column", "text", "--label-column", "text")


@case(UsageError, "two roles", "'text'", "--text-column")
def label_column_that_is_also_the_guessed_text(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--label-column", "text")


@case(UsageError, "--text-pair-column needs --text-column")
def pair_column_without_text_column(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--text-pair-column", "text")


@case(DataError, "second.csv", "no column 'label'", "stars")
def second_file_that_lacks_a_column(bench: Bench) -> list[object]:
    second = bench.csv(bench.frame().rename({"label": "stars"}), "second.csv")
    return bench.run(bench.good(), second)


@case(DataError, "column 'text'", "int64", "not text", "--text-column")
def text_column_of_integers(bench: Bench) -> list[object]:
    return bench.run(bench.parquet(bench.frame(text=list(range(12)))))


@case(DataError, "column 'id'", "cannot be read as text", "--id-column")
def id_column_of_lists(bench: Bench) -> list[object]:
    return bench.run(bench.parquet(bench.frame(id=[[row] for row in range(12)])))


# --- labels -----------------------------------------------------------------------------------------------------


@case(LabelError, "'0.25'", "soft labels", "integer or a name")
def float_labels_in_parquet(bench: Bench) -> list[object]:
    return bench.run(bench.parquet(bench.frame(label=[0.25, 0.75] * 6)))


@case(LabelError, "soft labels", "'0.5'")
def float_labels_in_csv(bench: Bench) -> list[object]:
    return bench.run(bench.csv(bench.frame(label=["0.5", "1.5"] * 6)))


@case(LabelError, "list", "multi-label", "--label-column")
def labels_that_are_lists_in_parquet(bench: Bench) -> list[object]:
    return bench.run(bench.parquet(bench.frame(label=[[0, 1]] * 12)))


@case(LabelError, "list", "multi-label")
def labels_that_are_lists_in_jsonl(bench: Bench) -> list[object]:
    return bench.run(bench.jsonl(bench.row(label=["a"])))


@case(LabelError, "label column 'label'", "timestamp", "--label-column")
def labels_that_are_dates(bench: Bench) -> list[object]:
    stamps = pl.Series([0] * 12).cast(pl.Datetime)
    return bench.run(bench.parquet(bench.frame(label=stamps)))


@case(LabelError, "match no label", "'a text of its own 0'", "labels in the data", "labels of the model")
def label_column_of_free_text(bench: Bench) -> list[object]:
    return bench.run(bench.csv(bench.frame(label=[f"a text of its own {row}" for row in range(12)])))


@case(LabelError, "match no label", "…", "--label-column", "labels of the model")
def label_column_of_long_texts(bench: Bench) -> list[object]:
    return bench.run(bench.csv(bench.frame(label=[f"{row} " + "long " * 20_000 for row in range(12)])))


@case(LabelError, "'label'", "20,000 different values", "--label-column")
def label_column_of_very_much_free_text(bench: Bench) -> list[object]:
    rows = 20_100
    return bench.run(bench.parquet(bench.frame(rows, label=[f"value {row}" for row in range(rows)])))


@case(
    LabelError,
    "2 of the data's labels match no label",
    "labels in the data",
    "labels of the model",
    "'cats' (6 rows)",
    "'dogs' (6 rows)",
    "0 = ",
    "--label-map",
)
def label_names_of_another_model(bench: Bench) -> list[object]:
    return bench.run(bench.csv(bench.frame(label=["cats", "dogs"] * 6)))


@case(LabelError, "LABEL_0", "no label names of its own", "0 = 'LABEL_0'", "--label-map")
def model_without_label_names(bench: Bench) -> list[object]:
    generic = [f"LABEL_{index}" for index in range(len(bench.label_names))]
    return bench.run(bench.good(), model=bench.edited_model(label_names=generic))


@case(LabelError, "numbers", "another order", "--labels-by-index", "0 = '1'")
def model_with_numbers_as_names_in_another_order(bench: Bench) -> list[object]:
    classes = len(bench.label_names)
    names = [str((index + 1) % classes) for index in range(classes)]
    data = bench.csv(bench.frame(label=[row % (classes - 1) for row in range(12)]))
    return bench.run(data, model=bench.edited_model(label_names=names))


@case(LabelError, "run from 1 to", "shifted by one", "--label-map", "--labels-by-index")
def labels_that_count_from_one(bench: Bench) -> list[object]:
    return bench.run(bench.csv(bench.frame(label=[1 + row % len(bench.label_names) for row in range(12)])))


@case(DataError, "cannot read --label-map", "absent.json", "No such file", "JSON object")
def label_map_that_is_missing(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--label-map", bench.path / "absent.json")


@case(DataError, "cannot read --label-map", "map.json", "surrogates not allowed")
def label_map_with_half_an_emoji(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--label-map", bench.label_map({"\ud83d": bench.label_names[0]}))


@case(DataError, "cannot read --label-map", "map.json", "JSON object")
def label_map_that_is_no_json(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--label-map", bench.file("map.json", "cats: World"))


@case(DataError, "--label-map", "map.json", "must hold", "JSON object")
def label_map_that_is_a_list(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--label-map", bench.label_map(["World"]))


@case(DataError, "--label-map", "sends 'cats' to [0]", "JSON object")
def label_map_to_a_list(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--label-map", bench.label_map({"cats": [0]}))


@case(LabelError, "--label-map sends 'cats' to 'felines'", "no label of the model", "labels of the model")
def label_map_to_a_label_that_the_model_lacks(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--label-map", bench.label_map({"cats": "felines"}))


@case(LabelError, "--label-map sends 'cats' to 99", "no label of the model")
def label_map_to_an_index_that_the_model_lacks(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--label-map", bench.label_map({"cats": 99}))


@case(LabelError, "--label-map says nothing of 1", "'dogs'", "null")
def label_map_that_leaves_out_a_label(bench: Bench) -> list[object]:
    data = bench.csv(bench.frame(label=["cats", "dogs"] * 6))
    return bench.run(data, "--label-map", bench.label_map({"cats": bench.label_names[0]}))


@case(UsageError, "--label-map and --labels-by-index contradict")
def label_map_with_labels_by_index(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--label-map", bench.label_map({"a": 0}), "--labels-by-index")


@case(LabelError, "--labels-by-index", "holds names", "--label-map")
def labels_by_index_on_names(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--labels-by-index")


def _class_label_file(bench: Bench, name: str, names: Sequence[str]) -> Path:
    features = {"info": {"features": {"label": {"_type": "ClassLabel", "names": list(names)}}}}
    table = bench.frame(label=[row % len(names) for row in range(12)]).to_arrow()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), bench.path / name)
    return bench.path / name


@case(LabelError, "'cats'", "'dogs'", "labels of the model", "--labels-by-index", "--label-map")
def declared_label_names_of_another_model(bench: Bench) -> list[object]:
    return bench.run(_class_label_file(bench, "data.parquet", ["cats", "dogs"]))


@case(DataError, "b.parquet", "names its labels otherwise", "a.parquet", "runs of their own")
def files_that_declare_different_label_names(bench: Bench) -> list[object]:
    first = _class_label_file(bench, "a.parquet", bench.label_names)
    return bench.run(first, _class_label_file(bench, "b.parquet", bench.label_names[::-1]))


# --- rows that all fall away ------------------------------------------------------------------------------------


@case(NothingScoredError, "all 12 rows were rejected", "text_blank: 12", "column 'text'", "--text-column")
def texts_that_are_all_blank(bench: Bench) -> list[object]:
    return bench.run(bench.csv(bench.frame(text=["  "] * 12)))


@case(NothingScoredError, "none of the 12 rows", "'label' holds no value", "--label-column")
def labels_that_are_all_missing(bench: Bench) -> list[object]:
    return bench.run(bench.parquet(bench.frame(label=pl.Series([None] * 12, dtype=pl.Int64))))


@case(NothingScoredError, "none of the 12 rows", "77", "--label-map")
def labels_that_are_all_outside_the_model(bench: Bench) -> list[object]:
    return bench.run(bench.parquet(bench.frame(label=[77] * 12)))


# --- options ----------------------------------------------------------------------------------------------------


@case(UsageError, "--max-length is 0", "at least 1")
def max_length_of_zero(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--max-length", 0)


@case(UsageError, "--max-length 2 leaves no room", "special tokens")
def max_length_below_the_special_tokens(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--max-length", 2)


@case(UsageError, "--max-length", "leaves no room", "special tokens", "pair")
def max_length_below_the_special_tokens_of_a_pair(bench: Bench) -> list[object]:
    data = bench.csv(bench.frame(other=[f"more {row}" for row in range(12)]))
    return bench.run(data, "--text-column", "text", "--text-pair-column", "other", "--max-length", 3)


@case(UsageError, "--max-length 100000", "positions", "at most")
def max_length_above_the_positions(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--max-length", 100_000)


@case(UsageError, "--limit is -1", "at least 1")
def negative_limit(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--limit", -1)


@case(UsageError, "--threads is -2", "at least 1")
def negative_threads(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--threads", -2)


@case(UsageError, "No such option", "--lables-by-index", "--labels-by-index")
def option_that_does_not_exist(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--lables-by-index")


@case(UsageError, "--limit", "'ten'", "integer")
def limit_that_is_no_number(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--limit", "ten")


@case(UsageError, "Missing option '--output'")
def run_without_output(bench: Bench) -> list[object]:
    return ["run", bench.model, bench.good()]


@case(UsageError, "Missing argument 'DATA")
def run_without_data(bench: Bench) -> list[object]:
    return bench.run()


@case(UsageError, "No such command", "'scroe'")
def command_that_does_not_exist(bench: Bench) -> list[object]:
    return ["scroe", bench.path]


@case(UsageError, "--split", "applies to", "good.csv")
def split_of_a_file(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--split", "train")


@case(UsageError, "no split 'test'", "leave --split out")
def split_of_a_folder_of_files(bench: Bench) -> list[object]:
    bench.good()
    return bench.run(bench.path, "--split", "test")


@case(UsageError, "--revision", "hub data set")
def revision_of_a_file(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--revision", "main")


@case(UsageError, "--config", "hub data set")
def config_of_a_file(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--config", "plain")


# --- output -----------------------------------------------------------------------------------------------------


@case(OutputError, "is a file", "out", "give a directory")
def output_that_is_a_file(bench: Bench) -> list[object]:
    return bench.run(bench.good(), out=bench.file("out", "mine"))


@case(UsageError, "not valid UTF-8", "--output", "another name")
def output_with_a_name_in_another_encoding(bench: Bench) -> list[object]:
    return bench.run(bench.good(), out=bench.path / os.fsdecode(b"caf\xe9"))


@case(OutputError, "s3://bucket/out", "is a URL", "give a directory")
def output_in_an_object_store(bench: Bench) -> list[object]:
    return ["run", bench.model, bench.good(), "--output", "s3://bucket/out"]


@case(UsageError, "--part", "'3'", "I/N")
def shard_that_is_one_number(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--part", "3")


@case(UsageError, "--part is 5/4", "from 1 to N")
def shard_beyond_the_last(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--part", "5/4")


@case(UsageError, "--part 2/4", "only 1 shards", "no more parts")
def more_parts_than_shards(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--part", "2/4")


@case(DataError, "cannot read", "data.parquet", "as Parquet")
def parquet_with_a_column_name_that_is_not_utf8(bench: Bench) -> list[object]:
    content = bench.parquet(bench.frame().rename({"label": "labelmark"}), "whole.parquet").read_bytes()
    return bench.run(bench.file("data.parquet", content.replace(b"labelmark", b"label\xff\xfe\xfd\xfc")))


@case(UsageError, "several directories", "--output OUT")
def rank_of_several_runs_to_nowhere(bench: Bench) -> list[object]:
    return ["rank", bench.path, bench.path]


@case(DataError, "holds no finished run", "scorer run")
def joining_what_is_no_run(bench: Bench) -> list[object]:
    return ["rank", bench.path, "--output", bench.out]


@case(OutputError, "cannot write", "File name too long", "--output")
def output_with_a_name_too_long(bench: Bench) -> list[object]:
    return bench.run(bench.good(), out=bench.path / ("x" * 300))


@case(OutputError, "cannot write", "out", "Not a directory", "--output")
def output_inside_a_file(bench: Bench) -> list[object]:
    return bench.run(bench.good(), out=bench.file("file", "mine") / "out")


@case(OutputError, "cannot write", "out", "ermi", "--output")
def output_in_a_folder_without_permission(bench: Bench) -> list[object]:
    locked = bench.path / "locked"
    locked.mkdir(mode=0o500)
    if os.access(locked, os.W_OK):
        pytest.skip("this user may write everywhere")
    return bench.run(bench.good(), out=locked / "out")


@case(OutputError, "cannot write", "ermi", "--output")
def output_in_a_folder_that_may_not_be_entered(bench: Bench) -> list[object]:
    locked = bench.path / "locked"
    locked.mkdir(mode=0o000)
    if os.access(locked, os.X_OK):
        pytest.skip("this user may enter every folder")
    return bench.run(bench.good(), out=locked / "out")


@case(DataError, "there is no file", "locked", "permissions")
def data_in_a_folder_that_may_not_be_entered(bench: Bench) -> list[object]:
    locked = bench.path / "locked"
    locked.mkdir(mode=0o000)
    if os.access(locked, os.X_OK):
        pytest.skip("this user may enter every folder")
    return bench.run(locked / "data.csv")


@case(OutputError, "holds results of an earlier run", "--overwrite")
def output_that_holds_an_earlier_run(bench: Bench) -> list[object]:
    bench.out.mkdir()
    bench.file("out/run.json", "{}")
    bench.file("out/ranked.parquet", "precious")
    return bench.run(bench.good())


@case(OutputError, "holds an unfinished run", "--overwrite")
def output_that_holds_an_unfinished_run(bench: Bench) -> list[object]:
    (bench.out / "scores").mkdir(parents=True)
    bench.file("out/scores/shard-00000.parquet", "precious")
    return bench.run(bench.good())


@case(DataError, "there is no file")
def overwriting_with_data_that_are_not_there(bench: Bench) -> list[object]:
    bench.out.mkdir()
    bench.file("out/run.json", "{}")
    bench.file("out/ranked.parquet", "precious")
    return bench.run(bench.path / "missing.csv", "--overwrite")


@case(NothingScoredError, "text_invalid")
def failure_after_scoring_began_in_a_folder_of_the_user(bench: Bench) -> list[object]:
    bench.out.mkdir()
    bench.file("out/notes.txt", "mine")
    return bench.run(bench.file("data.csv", b"text,label\ncaf\xe9,%s\n" % bench.label_names[0].encode()))


# --- model directory --------------------------------------------------------------------------------------------


@case(ModelError, "nowhere", "does not exist", "scorer export-onnx")
def model_that_does_not_exist(bench: Bench) -> list[object]:
    return bench.run(bench.good(), model=bench.path / "nowhere")


@case(ScorerError, "File name too long", "xxx")
def model_with_a_name_too_long(bench: Bench) -> list[object]:
    return bench.run(bench.good(), model=bench.path / ("x" * 300))


@case(ModelError, "no scorer.json", "scorer export-onnx")
def model_without_contract(bench: Bench) -> list[object]:
    return bench.run(bench.good(), model=bench.edited_model(without="scorer.json"))


@case(ModelError, "no tokenizer.json", "Export the model again")
def model_without_tokenizer(bench: Bench) -> list[object]:
    return bench.run(bench.good(), model=bench.edited_model(without="tokenizer.json"))


@case(ModelError, "no model.onnx", "Export the model again")
def model_without_graph(bench: Bench) -> list[object]:
    return bench.run(bench.good(), model=bench.edited_model(without="model.onnx"))


@case(ModelError, "model.onnx", "does not match the hash", "changed or damaged", "Export the model again")
def model_with_a_flipped_byte(bench: Bench) -> list[object]:
    directory = bench.edited_model(without="model.onnx")
    content = bytearray((bench.model / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (directory / "model.onnx").write_bytes(content)
    return bench.run(bench.good(), model=directory)


@case(ModelError, "cannot read", "scorer.json", "Export the model again")
def contract_that_is_no_json(bench: Bench) -> list[object]:
    directory = bench.edited_model(without="scorer.json")
    (directory / "scorer.json").write_text('{"label_names": [')
    return bench.run(bench.good(), model=directory)


@case(ModelError, "scorer.json", "format_version", "99")
def contract_of_another_version(bench: Bench) -> list[object]:
    return bench.run(bench.good(), model=bench.edited_model(format_version=99))


@case(ModelError, "scorer.json", "outside", "../model.onnx")
def contract_that_names_a_file_elsewhere(bench: Bench) -> list[object]:
    files = {"model.onnx": "0", "tokenizer.json": "0", "../model.onnx": "0"}
    hashes = {**json.loads((bench.model / "scorer.json").read_text(encoding="utf-8"))["files"]}
    return bench.run(bench.good(), model=bench.edited_model(files={**files, **hashes}))


@case(ModelError, "PyTorch checkpoint", "scorer.json", "scorer export-onnx")
def pytorch_checkpoint_instead_of_a_model(bench: Bench) -> list[object]:
    checkpoint = bench.path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    (checkpoint / "model.safetensors").write_bytes(b"")
    return bench.run(bench.good(), model=checkpoint)


@case(ModelError, "cannot load", "model.onnx", "Export the model again")
def graph_that_is_garbage(bench: Bench) -> list[object]:
    return bench.run(bench.good(), model=bench.edited_model(replaced={"model.onnx": b"no graph" * 50}))


@case(ModelError, "cannot load", "model.onnx", "escapes model directory", "Export the model again")
def graph_that_takes_its_weights_from_elsewhere(bench: Bench) -> list[object]:
    graph = onnx.load(bench.model / "model.onnx")
    weights = max(graph.graph.initializer, key=lambda each: len(each.raw_data))
    (bench.path / "secret.bin").write_bytes(weights.raw_data)
    size = len(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": "../secret.bin", "offset": "0", "length": str(size)}.items():
        weights.external_data.add(key=key, value=value)
    return bench.run(bench.good(), model=bench.edited_model(replaced={"model.onnx": graph.SerializeToString()}))


@case(ModelError, "cannot read the tokenizer", "tokenizer.json", "Export the model again")
def tokenizer_that_is_garbage(bench: Bench) -> list[object]:
    return bench.run(bench.good(), model=bench.edited_model(replaced={"tokenizer.json": b"{}"}))


@case(ModelError, "logits of shape", "Export the model again")
def contract_with_a_label_too_many(bench: Bench) -> list[object]:
    return bench.run(bench.good(), model=bench.edited_model(label_names=[*bench.label_names, "one more"]))


@case(ModelError, "nowhere", "does not exist", "scorer export-onnx")
def model_and_data_both_missing(bench: Bench) -> list[object]:
    return bench.run(bench.path / "missing.csv", model=bench.path / "nowhere")


# --- packages and providers -------------------------------------------------------------------------------------


@case(UsageError, "--provider-option is 'gpu_mem_limit'", "NAME=VALUE")
def provider_option_without_a_value(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--provider", "cuda", "--provider-option", "gpu_mem_limit")


@case(UsageError, "--provider-option gpu_mem_limit=1", "--provider cuda, tensorrt or openvino")
def provider_option_without_a_provider(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--provider-option", "gpu_mem_limit=1")


@case(UsageError, "--rescore-top is '110%'", "auto, a share such as 2%")
def rescore_top_beyond_all(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--rescore-top", "110%")


@case(UsageError, "--rescore-top is 'most'", "auto, a share such as 2%")
def rescore_top_in_words(bench: Bench) -> list[object]:
    return bench.run(bench.good(), "--rescore-top", "most")


@case(ProviderError, "--provider cuda", "CUDAExecutionProvider", "scorer-onnx[gpu]")
def cuda_without_cuda(bench: Bench) -> list[object]:
    if "onnxruntime-gpu" in scorer.model.session.installed_onnxruntime():
        pytest.skip("CUDA may be here")
    return bench.run(bench.good(), "--provider", "cuda")


@case(ProviderError, "ONNX Runtime is not installed", "pip install 'scorer-onnx[cpu]'", "scorer-onnx[gpu]")
def no_onnxruntime(bench: Bench) -> list[object]:
    bench.monkeypatch.setattr(scorer.model.session, "installed_onnxruntime", dict)
    return bench.run(bench.good())


@case(ProviderError, "onnxruntime and onnxruntime-gpu are installed together", "pip uninstall")
def both_onnxruntime_packages(bench: Bench) -> list[object]:
    both = {"onnxruntime": "1.0", "onnxruntime-gpu": "1.0"}
    bench.monkeypatch.setattr(scorer.model.session, "installed_onnxruntime", lambda: both)
    return bench.run(bench.good())


@case(MissingExtraError, "no file or folder 'owner/name'", "'datasets'", "pip install 'scorer-onnx[hub]'")
def hub_data_set_without_datasets(bench: Bench) -> list[object]:
    bench.monkeypatch.setitem(sys.modules, "datasets", None)
    return bench.run("owner/name")


@case(MissingExtraError, "'torch'", "pip install 'scorer-onnx[export]'")
def export_without_torch(bench: Bench) -> list[object]:
    bench.monkeypatch.setitem(sys.modules, "torch", None)
    return ["export-onnx", bench.path, bench.out]


# --- saved data sets --------------------------------------------------------------------------------------------


def _saved_splits(bench: Bench, *splits: str) -> Path:
    folder = bench.path / "saved"
    for split in splits:
        (folder / split).mkdir(parents=True)
        (folder / split / "state.json").write_text('{"_data_files": [{"filename": "data-00000.arrow"}]}')
        bench.frame().write_ipc_stream(folder / split / "data-00000.arrow")
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    return folder


@case(UsageError, "several splits", "--split: train, test")
def saved_splits_without_a_choice(bench: Bench) -> list[object]:
    return bench.run(_saved_splits(bench, "train", "test"))


@case(UsageError, "no split 'dev'", "--split: train, test")
def saved_splits_without_the_one_asked_for(bench: Bench) -> list[object]:
    return bench.run(_saved_splits(bench, "train", "test"), "--split", "dev")


@case(UsageError, "--split", "applies to", "train")
def split_of_a_saved_data_set_that_has_none(bench: Bench) -> list[object]:
    return bench.run(_saved_splits(bench, "train") / "train", "--split", "test")


@case(DataError, "saved selection", "flatten_indices")
def saved_data_set_with_indices(bench: Bench) -> list[object]:
    folder = _saved_splits(bench, "train") / "train"
    (folder / "state.json").write_text('{"_indices_data_files": [{"filename": "indices.arrow"}]}')
    return bench.run(folder)


@case(DataError, "state.json", "JSON")
def saved_data_set_with_a_damaged_state(bench: Bench) -> list[object]:
    folder = _saved_splits(bench, "train") / "train"
    (folder / "state.json").write_text('{"_data_files": [1]}')
    return bench.run(folder)


@case(DataError, "data-00000.arrow", "does not exist")
def saved_data_set_that_lacks_a_file(bench: Bench) -> list[object]:
    folder = _saved_splits(bench, "train") / "train"
    (folder / "data-00000.arrow").unlink()
    return bench.run(folder)


@case(DataError, "outside its folder", "../../secret.arrow")
def saved_data_set_that_points_elsewhere(bench: Bench) -> list[object]:
    folder = _saved_splits(bench, "train") / "train"
    (folder / "state.json").write_text('{"_data_files": [{"filename": "../../secret.arrow"}]}')
    return bench.run(folder)


# --- show, rank, export -----------------------------------------------------------------------------------------


@case(DataError, "holds no ranked.parquet", "scorer run")
def show_without_a_run(bench: Bench) -> list[object]:
    return ["show", bench.path]


@case(DataError, "holds no score shards", "scorer run")
def rank_without_a_run(bench: Bench) -> list[object]:
    return ["rank", bench.path]


@case(DataError, "nowhere", "holds no ranked.parquet")
def show_of_a_directory_that_does_not_exist(bench: Bench) -> list[object]:
    return ["show", bench.path / "nowhere"]


@case(UsageError, "--by", "'gut feeling'", "normalized_margin")
def rank_by_an_unknown_score(bench: Bench) -> list[object]:
    return ["rank", bench.path, "--by", "gut feeling"]


@case(UsageError, "--top", "0")
def show_nothing(bench: Bench) -> list[object]:
    return ["show", bench.path, "--top", 0]


@case(DataError, "cannot read", "ranked.parquet", "scorer rank")
def show_of_a_damaged_ranking(bench: Bench) -> list[object]:
    (bench.out / "scores").mkdir(parents=True)
    bench.file("out/ranked.parquet", b"PAR1" + b"garbage" * 40)
    return ["show", bench.out]


@case(DataError, "ranked.parquet", "scorer run")
def show_of_a_foreign_parquet_file(bench: Bench) -> list[object]:
    bench.out.mkdir()
    bench.parquet(bench.frame(), "out/ranked.parquet")
    return ["show", bench.out]


# --- reports, tables, Label Studio ------------------------------------------------------------------------------


def _run(bench: Bench, **options: Any) -> Path:
    score(RunConfig(model=bench.model, data=(str(bench.good()),), output=bench.out, **options))
    return bench.out


@case(DataError, "holds no ranked.parquet", "scorer run")
def report_without_a_run(bench: Bench) -> list[object]:
    return ["report", bench.path]


@case(DataError, "holds no ranked.parquet", "scorer run")
def table_without_a_run(bench: Bench) -> list[object]:
    return ["to-csv", bench.path, "-o", bench.path / "head.csv"]


@case(DataError, "holds no texts", "--no-text")
def report_of_a_run_without_texts(bench: Bench) -> list[object]:
    return ["report", _run(bench, keep_text=False)]


@case(UsageError, "--top", "0")
def report_of_nothing(bench: Bench) -> list[object]:
    return ["report", bench.path, "--top", 0]


@case(UsageError, "--plot-format", "'gif'", "svg")
def pictures_in_a_format_that_is_not_made(bench: Bench) -> list[object]:
    return ["report", bench.path, "--plot-format", "gif"]


@case(OutputError, "cannot write", "nowhere", "No such file")
def report_into_a_folder_that_does_not_exist(bench: Bench) -> list[object]:
    return ["report", _run(bench), "-o", bench.path / "nowhere" / "page.html"]


@case(OutputError, "cannot write", "directory")
def report_over_a_folder(bench: Bench) -> list[object]:
    return ["report", _run(bench), "-o", bench.out]


@case(OutputError, "--plots", "good.csv", "is a file", "directory")
def pictures_into_a_file(bench: Bench) -> list[object]:
    return ["report", _run(bench), "--plots", bench.path / "good.csv"]


@case(OutputError, "cannot write", "good.csv", "exists")
def tasks_into_a_file(bench: Bench) -> list[object]:
    return ["to-label-studio", _run(bench), "-o", bench.path / "good.csv"]


def _from_label_studio(bench: Bench, content: str) -> list[object]:
    export = bench.file("export.json", content)
    return ["from-label-studio", export, _run(bench), "-o", bench.path / "corrections.jsonl"]


@case(DataError, "cannot read", "missing.json", "Check the path")
def export_of_label_studio_that_is_missing(bench: Bench) -> list[object]:
    return ["from-label-studio", bench.path / "missing.json", _run(bench), "-o", bench.path / "corrections.jsonl"]


@case(DataError, "export.json", "not JSON", "JSON-MIN")
def export_of_label_studio_as_csv(bench: Bench) -> list[object]:
    return _from_label_studio(bench, "text,label\n")


@case(DataError, "export.json", "no list of tasks", "JSON-MIN")
def export_of_label_studio_that_is_an_object(bench: Bench) -> list[object]:
    return _from_label_studio(bench, "{}")


@case(DataError, "task 1 of", "'row_id'", "to-label-studio")
def export_of_a_foreign_label_studio_project(bench: Bench) -> list[object]:
    return _from_label_studio(bench, '[{"id": 1, "text": "some news", "label": "World"}]')


@case(DataError, "task 1 of", "no label 'no such label'", "the model's labels are")
def export_of_label_studio_with_a_label_of_another_model(bench: Bench) -> list[object]:
    data = {"row_id": "1", "row": 1, "rank": 1, "text_hash": "0", "given_label": bench.label_names[0]}
    return _from_label_studio(bench, json.dumps([{**data, "label": "no such label"}]))


@case(DataError, "task 1 of", "annotations", "JSON-MIN")
def export_of_label_studio_with_annotations_of_another_form(bench: Bench) -> list[object]:
    return _from_label_studio(bench, '[{"data": {}, "annotations": [{"result": [{"type": "choices"}]}]}]')


@case(ExportError, "no config.json", "save_pretrained")
def export_of_a_folder_that_is_no_checkpoint(bench: Bench) -> list[object]:
    pytest.importorskip("torch")
    return ["export-onnx", bench.path, bench.out]


# --- reviewing --------------------------------------------------------------------------------------------------


def _ranking(bench: Bench) -> Path:
    return make_ranking(bench.out, ["some news", "more news"], bench.label_names)


def _corrections(bench: Bench, **fields: object) -> Path:
    name = bench.label_names[0]
    answer = {"id": "0", "row": 0, "text_hash": "0" * 32, "given_label": name, "verdict": "keep", **fields}
    header = {"scorer_corrections": 1, "label_names": list(bench.label_names)}
    return bench.jsonl(header, answer, name="corrections.jsonl")


@case(DataError, "holds no ranked.parquet", "scorer run")
def to_argilla_without_a_run(bench: Bench) -> list[object]:
    return ["to-argilla", bench.path, "--dataset", "news"]


@case(UsageError, "no row of the ranking", "matches", "--min-loss")
def to_argilla_of_an_empty_head(bench: Bench) -> list[object]:
    return ["to-argilla", _ranking(bench), "--dataset", "news", "--min-loss", 99]


@case(UsageError, "--dataset")
def to_argilla_without_a_name(bench: Bench) -> list[object]:
    return ["to-argilla", _ranking(bench)]


@case(UsageError, "--agent '???'", "letter or digit")
def to_argilla_with_an_agent_of_signs(bench: Bench) -> list[object]:
    return ["to-argilla", _ranking(bench), "--dataset", "news", "--agent", "???"]


@case(DataError, "cannot read the guidelines", "nowhere.md")
def to_argilla_with_guidelines_that_do_not_exist(bench: Bench) -> list[object]:
    return ["to-argilla", _ranking(bench), "--dataset", "news", "--guidelines", bench.path / "nowhere.md"]


@case(UsageError, "guidelines", "0 characters", "10,000")
def to_argilla_with_empty_guidelines(bench: Bench) -> list[object]:
    return ["to-argilla", _ranking(bench), "--dataset", "news", "--guidelines", bench.file("empty.md", " \n")]


@case(OutputError, "cannot write", "records.jsonl")
def to_argilla_into_a_folder_that_does_not_exist(bench: Bench) -> list[object]:
    return ["to-argilla", _ranking(bench), "--dataset", "news", "-o", bench.path / "nowhere" / "records.jsonl"]


@case(UsageError, "no API key", "ARGILLA_API_KEY")
def from_argilla_without_a_key(bench: Bench) -> list[object]:
    bench.monkeypatch.delenv("ARGILLA_API_KEY", raising=False)
    return ["from-argilla", "--dataset", "news", "-o", bench.out]


@case(UsageError, "--api-url is 'localhost:6900'", "http://localhost:6900")
def from_argilla_at_no_address(bench: Bench) -> list[object]:
    return ["from-argilla", "--dataset", "news", "-o", bench.out, "--api-url", "localhost:6900", "--api-key", "k"]


@case(DataError, "cannot read the corrections", "missing.jsonl", "Check the path")
def corrections_that_do_not_exist(bench: Bench) -> list[object]:
    return ["corrections", bench.path / "missing.jsonl"]


@case(DataError, "line 2 of", "'verdict' is 'perhaps'", "keep, relabel, unsure, drop")
def corrections_with_an_unknown_verdict(bench: Bench) -> list[object]:
    return ["corrections", _corrections(bench, verdict="perhaps")]


@case(DataError, "line 1 of", "lacks", "one JSON object per line")
def corrections_that_are_another_file(bench: Bench) -> list[object]:
    return ["corrections", bench.jsonl(bench.row())]


@case(DataError, "there is no file", "missing.csv")
def apply_to_data_that_does_not_exist(bench: Bench) -> list[object]:
    return ["apply", _corrections(bench), bench.path / "missing.csv", "-o", bench.out]


@case(OutputError, "exists already", "another --output")
def apply_over_the_data_itself(bench: Bench) -> list[object]:
    return ["apply", _corrections(bench), bench.good(), "-o", bench.path / "good.csv"]


@case(UsageError, "another format", "ends in .csv", "--as-datasets")
def apply_into_another_format(bench: Bench) -> list[object]:
    return ["apply", _corrections(bench), bench.good(), "-o", bench.path / "out.parquet"]


@case(LabelError, "match no label of the model")
def apply_to_other_labels(bench: Bench) -> list[object]:
    data = bench.csv(bench.frame(label=["good", "bad"] * 6))
    return ["apply", _corrections(bench), data, "-o", bench.path / "out.csv"]


@case(MissingExtraError, "'datasets'", "pip install 'scorer-onnx[hub]'")
def apply_for_datasets_without_datasets(bench: Bench) -> list[object]:
    bench.monkeypatch.setitem(sys.modules, "datasets", None)
    return ["apply", _corrections(bench), bench.good(), "-o", bench.out, "--as-datasets"]
