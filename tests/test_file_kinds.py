"""A file that is not what its name says is named for what it is, with what to do about it."""

from __future__ import annotations

import bz2
import gzip
import io
import pickle
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bag_model import write_bag_model

from scorer import RunConfig, score
from scorer.errors import DataError
from scorer.model.model_directory import open_model_directory
from scorer.sources import open_source, plan_source

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
CSV = b"id,text,label\na,some text,x\n"
JSONL = b'{"id": "a", "text": "some text", "label": "x"}\n'


def parquet() -> bytes:
    sink = io.BytesIO()
    pl.read_csv(CSV).write_parquet(sink)
    return sink.getvalue()


def arrow(stream: bool) -> bytes:
    table, sink = pl.read_csv(CSV).to_arrow(), io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def zipped(*names: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name in names:
            archive.writestr(name, "x" * 99)
    return sink.getvalue()


def numpy_file() -> bytes:
    sink = io.BytesIO()
    np.save(sink, np.arange(3))
    return sink.getvalue()


EXCEL = zipped("[Content_Types].xml", "xl/workbook.xml")
PICKLE = pickle.dumps({"text": ["a"]})
HTML = b"\n<!DOCTYPE html><html><body>404</body></html>"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("d.csv", LFS, "a Git LFS pointer.*Run: git lfs pull"),
        ("d.parquet", LFS, "a Git LFS pointer"),
        ("d.jsonl", LFS, "a Git LFS pointer"),
        ("d.csv.gz", LFS, "a Git LFS pointer"),
        ("d.csv", parquet(), r"it is Parquet\. Let its name end in \.parquet"),
        ("d.arrow", parquet(), "it is Parquet"),
        ("d.jsonl", arrow(stream=True), r"it is Arrow IPC\. Let its name end in \.arrow"),
        ("d.parquet", arrow(stream=False), "it is Arrow IPC"),
        ("d.parquet", arrow(stream=True), "it is Arrow IPC"),
        ("d.parquet", CSV, r"as Parquet: it is text\. Let its name end in \.csv"),
        ("d.parquet", CSV.replace(b",", b"\t"), r"Let its name end in \.tsv"),
        ("d.arrow", JSONL, r"Let its name end in \.jsonl"),
        ("d.csv", JSONL, "it holds JSON"),
        ("d.tsv", b'[{"text": "a"}]', "it holds JSON"),
        ("d.csv", gzip.compress(CSV, mtime=0), r"compressed with gzip\. Let its name end in \.gz"),
        ("d.jsonl", bz2.compress(JSONL), "compressed with bzip2"),
        ("d.csv.gz", bz2.compress(CSV), "compressed with bzip2"),
        ("d.csv.gz", CSV, r"it is text\. Take '\.gz' away"),
        ("d.parquet", gzip.compress(parquet()), "compressed with gzip"),
        ("d.csv", zipped("data.csv"), "a ZIP archive.*Unpack it"),
        ("d.csv", EXCEL, "an Excel workbook.*Save the sheet as CSV"),
        ("d.xlsx", EXCEL, "an Excel workbook.*Save the sheet as CSV"),
        ("d.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "an old Excel workbook"),
        ("d.pkl", PICKLE, "a Python pickle.*opens no pickle.*read_pickle"),
        ("d.csv", PICKLE, "a Python pickle"),
        ("d.csv", HTML, "a web page.*Download the file again"),
        ("d.parquet", HTML, "a web page"),
        ("d.json", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
        ("d.npy", numpy_file(), "a NumPy array"),
        ("d.csv", b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "an image"),
        ("d.parquet", b"", "it is empty"),
        ("d.csv", b"", "it is empty"),
        ("data", parquet(), r"It is Parquet\. Let its name end in \.parquet"),
        ("d.txt", CSV, r"It is text\. Let its name end in \.csv"),
    ],
)
def test_a_file_of_another_kind_is_named_for_what_it_is(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    config = RunConfig(model=Path("none"), data=(str(file),), output=Path("none"))
    with pytest.raises(DataError, match=says):
        open_source(config, lambda _: None)


def test_a_database_is_named(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "rows.db") as database:
        database.execute("create table rows (text, label)")
    config = RunConfig(model=Path("none"), data=(str(tmp_path / "rows.db"),), output=Path("none"))
    with pytest.raises(DataError, match=r"an SQLite database.*sqlite3 -header -csv"):
        open_source(config, lambda _: None)


@pytest.mark.parametrize("header", ["ORCID,text,label", "PARENT,text,label", "PAR1,text,label", "GIF8,text,label"])
def test_names_of_columns_are_no_marks_of_formats(header: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(f"{header}\n1,some text,x\n")
    config = RunConfig(model=Path("none"), data=(str(tmp_path / "d.csv"),), output=Path("none"))
    assert plan_source(open_source(config, lambda _: None), shard_rows=9, limit=None).rows == 1


def test_bad_files_of_another_kind_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(LFS)
    (tmp_path / "b.csv").write_bytes(CSV)
    config = RunConfig(model=Path("none"), data=(str(tmp_path),), output=Path("none"), skip_bad_files=True)
    source = open_source(config, lambda _: None)
    assert [Path(table.name).name for table in source.tables] == ["b.csv"]
    assert "Git LFS pointer" in source.left_out[0].reason


def broken(values: list[bytes | None], kind: str) -> pa.Array:
    """A column with bytes that are no UTF-8, as writers leave them that do not look."""
    raw = pa.array(values, pa.binary())
    if kind == "string":
        return pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
    if kind == "dictionary":
        return pa.array(values, pa.binary()).dictionary_encode()
    return raw.cast({"binary": pa.binary(), "large": pa.large_binary(), "view": pa.binary_view()}[kind])


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize("kind", ["string", "dictionary", "binary", "large", "view"])
def test_bytes_that_are_no_text_are_one_rejected_row(kind: str, suffix: str, tmp_path: Path) -> None:
    model = write_bag_model(tmp_path / "model")
    name = open_model_directory(model).contract.label_names[0].encode()
    table = pa.table(
        {
            "id": broken([b"a", b"b", b"\xff", b"d", b"e"], kind),
            "text": broken([b"fine", b"caf\xe9", b"fine too", None, b"caf\xc3\xa9"], kind),
            "label": broken([name, name, name, name, b"caf\xe9"], "string"),
        }
    )
    file = tmp_path / f"d.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, file)
    else:
        with pa.ipc.new_file(str(file), table.schema) as writer:
            writer.write_table(table)
    label_map = tmp_path / "map.json"
    label_map.write_text('{"' + name.decode() + '": "' + name.decode() + '", "caf\ufffd": null}')
    config = RunConfig(model=model, data=(str(file),), output=tmp_path / "out", provider="cpu", label_map=label_map)
    score(config)
    ranked = pl.read_parquet(tmp_path / "out" / "ranked.parquet", glob=False).sort("row")
    rejects = pl.read_parquet(tmp_path / "out" / "rejects.parquet", glob=False)
    assert ranked["row"].to_list() == [0, 2]
    assert ranked["text"].to_list() == ["fine", "fine too"]
    assert list(zip(rejects["row"], rejects["reason"], rejects["text"], strict=True)) == [
        (1, "text_invalid", "caf\ufffd"),
        (3, "text_missing", None),
        (4, "label_missing", "café"),
    ]
