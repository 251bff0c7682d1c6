"""Text files as people have them: read rightly, and said aloud, or stopped with the line and what helps."""

# ruff: noqa: E501 — tables of files

from __future__ import annotations

import codecs
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from scorer.config import RunConfig
from scorer.errors import DataError
from scorer.sources import open_source, plan_source, read_shards
from scorer.sources.storage import text_stream

FINE = [("bad service", "neg"), ("love it", "pos")]


def rows_of(file: Path, **options: Any) -> tuple[list[tuple[str | None, str | None]], list[str]]:
    """Text and label of every row, rejected texts in brackets, and what was said."""
    said: list[str] = []
    source = open_source(RunConfig(model=file, data=(str(file),), output=file, **options), said.append)
    plan = plan_source(source, shard_rows=1_000, limit=None)
    rows = [row for _, batch in read_shards(source, plan.shards, 1_000) for row in batch.to_pylist()]
    found = [(f"[{row['text']}]" if row["text_invalid"] else row["text"], row["label"]) for row in rows]
    return found, [line.replace(str(file), "FILE") for line in said if "guessed" not in line]


READ: dict[str, tuple[str, bytes, list[tuple[str | None, str | None]], str]] = {
    "semicolons": ("csv", b"text;label\r\nbad service;neg\r\nlove it;pos\r\n", FINE, "';' as delimiter"),
    "sep line": ("csv", b'sep=;\r\n"text";label\r\nbad service;neg\r\nlove it;pos\r\n', FINE, "';' as delimiter"),
    "sep line with a mark": ("csv", b"\xef\xbb\xbfsep=|\ntext|label\nbad service|neg\nlove it|pos\n", FINE, "'|'"),
    "tabs in .csv": ("csv", b"text\tlabel\nbad service\tneg\nlove it\tpos\n", FINE, "a tab as delimiter"),
    "commas in .tsv": ("tsv", b"text,label\nbad service,neg\nlove it,pos\n", FINE, "',' as delimiter"),
    "pipes": ("csv", b"id|text|label\n1|bad service|neg\n2|love it|pos\n", FINE, "'|' as delimiter"),
    "semicolons and commas": ("csv", b"text;label\na, b;neg\nc;pos\n", [("a, b", "neg"), ("c", "pos")], "';'"),
    "names with blanks": ("csv", b"text, label\nbad service,neg\nlove it,pos\n", FINE, ""),
    "quoted names with blanks": ("csv", b'"text", "label"\nbad service,neg\nlove it,pos\n', FINE, ""),
    "quotes behind blanks": ("csv", b'text, label\n"bad, bad", "neg"\na, pos\n', [("bad, bad", "neg"), ("a", "pos")], "blank"),
    "backslashes": ("csv", b'text,label\n"a \\"b\\", c",neg\nd,pos\n', [('a "b", c', "neg"), ("d", "pos")], "backslash"),
    "escaped delimiter": ("csv", b"text,label\na\\, b,neg\nd,pos\n", [("a, b", "neg"), ("d", "pos")], "backslash"),
    "doubled quotes": ("csv", b'text,label\n"a ""b"", c\\",neg\n', [('a "b", c\\', "neg")], ""),
    "quotes as text": ("tsv", b'text\tlabel\n"Never\tneg\nsize 5"\tpos\n"a" b\tneg\n', [
        ('"Never', "neg"), ('size 5"', "pos"), ('"a" b', "neg")], "quotes as text"),
    "rows in a quoted field": ("tsv", b'text\tlabel\n"Never\tneg\nlove\tpos\nSlow "\tneg\nok\tpos\n', [
        ('"Never', "neg"), ("love", "pos"), ('Slow "', "neg"), ("ok", "pos")], "quotes as text"),
    "quoted tabs": ("tsv", b'text\tlabel\n"a\tb"\tneg\n"c ""d"""\tpos\n', [("a\tb", "neg"), ('c "d"', "pos")], ""),
    "inches": ("csv", b'text,label\na 5" disk,neg\n', [('a 5" disk', "neg")], ""),
    "texts of several lines": ("csv", b'label,text\npos,"one\ntwo, three\n\nfour"\nneg,b\n', [
        ("one\ntwo, three\n\nfour", "pos"), ("b", "neg")], ""),
    "old Mac": ("csv", b"text,label\rbad service,neg\rlove it,pos\r", FINE, ""),
    "twice a carriage return": ("csv", b"text,label\r\r\nbad service,neg\r\r\nlove it,pos\r\r\n", FINE, ""),
    "blank lines first": ("csv", b"\r\n \n\ntext,label\nbad service,neg\n\nlove it,pos\n\n", FINE, ""),
    "empty cells first": ("csv", b",,\ntext,label,\nbad service,neg,\nlove it,pos,\n", FINE, ""),
    "rows end with a delimiter": ("csv", b"text,label\nbad service,neg,\nlove it,pos,\n", FINE, ""),
    "the header ends with a delimiter": ("csv", b"text,label,\nbad service,neg\nlove it,pos\n", FINE, ""),
    "repeated names": ("csv", b"x,text,x,label\n1,bad service,2,neg\n1,love it,2,pos\n", FINE, ""),
    "UTF-16": ("csv", "text,label\nbad service,neg\nlove it,pos\n".encode("utf-16"), FINE, "utf-16-le"),
    "UTF-16 without a mark": ("csv", "text;label\nbad service;neg\nlove it;pos\n".encode("utf-16-be"), FINE, "utf-16-be"),
    "UTF-16 of China": ("tsv", codecs.BOM_UTF16_BE + "text\tlabel\n坏的\tneg\n".encode("utf-16-be"), [("坏的", "neg")], "16"),
    "UTF-32": ("csv", "text,label\nbad service,neg\nlove it,pos\n".encode("utf-32"), FINE, "utf-32"),
    "JSON in UTF-16": ("jsonl", '{"text": "é", "label": 1}\n'.encode("utf-16"), [("é", "1")], "utf-16"),
    "half an emoji in UTF-16": ("csv", b"\xff\xfe" + "text,label\na,b\nc\ud83d,d\n".encode("utf-16-le", "surrogatepass"), [
        ("a", "b"), ("[c\ufffd\ufffd\ufffd]", "d")], "utf-16-le"),
    "one bad byte in CSV": ("csv", b"text,label\nfine,neg\nbad \xff,pos\nok,neg\n", [
        ("fine", "neg"), ("[bad \ufffd]", "pos"), ("ok", "neg")], "Line 3 of 'FILE' is not valid UTF-8"),
    "one bad byte in JSON": ("jsonl", b'{"text": "a", "label": 1}\n{"text": "b\xe9", "label": 2}\n{"text":"c"}\n', [
        ("a", "1"), ("[b\ufffd\ufffd\ufffd]", "2"), ("c", None)], "Line 2"),
    "half an emoji in JSON": ("jsonl", b'{"text": "a\\ud83d", "label": 1}\n{"text": "b", "label": 2}\n', [
        ("[a\ufffd\ufffd\ufffd]", "1"), ("b", "2")], ""),
    "odd values in JSON": ("jsonl", b'{"text":"a","label":true}\n{"text":7,"label":1.0}\n{"text":["x"],"label":"s"}\n', [
        ("a", "true"), ("[7]", "1.0"), ('[["x"]]', "s")], ""),
    "a number before texts": ("jsonl", b'{"text":7,"label":1}\n{"text":"b","label":1e5}\n{"text":"c","label":NaN}\n', [
        ("[7]", "1"), ("b", "1e5"), ("c", None)], ""),
    "NUL padding": ("jsonl", b'{"text":"a","label":"x"}\n\0\0\0\0', [("a", "x")], ""),
    "commas behind objects": ("jsonl", b'{"text":"a","label":"x"},\n{"text":"b","label":"y"},\n', [
        ("a", "x"), ("b", "y")], ""),
    "a raw tab in JSON": ("jsonl", b'{"text":"a\tb","label":"x"}\n', [("a\tb", "x")], ""),
    "an array": ("json", b'[{"text":"bad service","label":"neg"},{"text":"love it","label":"pos"}]', FINE, "array"),
    "an array over lines": ("json", json.dumps([{"text": t, "label": n} for t, n in FINE], indent=2).encode(), FINE, "array"),
    "an array of .jsonl": ("jsonl", b'[\n{"text":"bad service","label":"neg"},\n{"text":"love it","label":"pos"},\n]\n', FINE, "array"),
    "objects over lines": ("json", b'{\n"text":"bad service",\n"label":"neg"\n}\n{\n"text":"love it",\n"label":"pos"}', FINE, "lines"),
    "one object over lines": ("json", b'{\n"text":"bad service",\n"label":"neg"\n}\n', FINE[:1], "lines"),
    "one line": ("json", b'{"text":"bad service","label":"neg"}', FINE[:1], ""),
    "columns": ("json", b'{"text":{"0":"bad service","1":"love it"},"label":{"0":"neg","1":"pos"}}', FINE, "columns"),
    "columns, keys of another order": ("json", b'{"text":{"a":"bad service","b":"love it"},"label":{"b":"pos","a":"neg"}}', FINE, "columns"),
    "index": ("json", b'{"0":{"text":"bad service","label":"neg"},"1":{"text":"love it","label":"pos"}}', FINE, "index"),
    "split": ("json", b'{"columns":["text","label"],"index":[0,1],"data":[["bad service","neg"],["love it","pos"]]}', FINE, "split"),
    "table": ("json", b'{"schema":{"fields":[]},"data":[{"text":"bad service","label":"neg"},{"text":"love it","label":"pos"}]}', FINE, "'data'"),
    "an object in a line": ("jsonl", b'{"text":"bad service","label":"neg","data":[{"a":1}]}\n', FINE[:1], ""),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("name", READ)
def test_what_people_have_is_read(name: str, packed: bool, tmp_path: Path) -> None:
    suffix, content, expected, words = READ[name]
    file = tmp_path / f"data.{suffix}{'.gz' if packed else ''}"
    file.write_bytes(gzip.compress(content) if packed else content)
    found, said = rows_of(file)
    assert found == expected
    assert words in " ".join(said)
    assert bool(said) == bool(words)


ASKED = {
    "cp1252": (b"text,label\ncaf\xe9 \x80,neg\n", {"encoding": "cp1252"}, [("café €", "neg")]),
    "shift_jis": ("text,label\n悪い,neg\n".encode("shift_jis"), {"encoding": "shift-jis"}, [("悪い", "neg")]),
    "utf-16": ("text,label\n坏,neg\n".encode("utf-16-le"), {"encoding": "utf-16"}, [("坏", "neg")]),
    "tab": (b"text\tlabel\na,b\tneg\n", {"delimiter": "tab"}, [("a,b", "neg")]),
    "caret": (b"text^label\na,b^neg\n", {"delimiter": "^"}, [("a,b", "neg")]),
    "of several bytes": ("text§label\na,b§neg\n".encode(), {"delimiter": "§"}, [("a,b", "neg")]),
    "none": (b'text,label\n"a,neg\n"b",neg\n', {"quoting": "none"}, [('"a', "neg"), ('"b"', "neg")]),
    "double": (b'text,label\n"x,neg\na,neg\nb",neg\n', {"quoting": "double"}, [("x,neg\na,neg\nb", "neg")]),
    "backslash": (b'text,label\n"a\\\\",neg\n', {"quoting": "backslash"}, [("a\\", "neg")]),
    "a byte that cp1252 has not": (b"text,label\na\x81,neg\nb,neg\n", {"encoding": "cp1252"}, [("[a\ufffd\ufffd\ufffd]", "neg"), ("b", "neg")]),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_options_say_how_a_file_is_written(name: str, tmp_path: Path) -> None:
    content, options, expected = ASKED[name]
    (tmp_path / "data.csv").write_bytes(content)
    found, said = rows_of(tmp_path / "data.csv", **options)
    assert found == expected
    assert not said


REFUSED = {
    "a quote that never closes": (b'text,label\nfine,a\n"open,a\nlast,a\n', "line 3 never closes.*--quoting none"),
    "text behind a closing quote": (b'text,label\n"a" b,x\nc,y\n', "line 2 closes before.*--quoting backslash"),
    "a row of three": (b"text,label\na,b\nc,d,e\n", "in line 3.*Expected 2 columns, got 3.*--delimiter"),
    "a row of one": (b"text;label\na;b\nc\n", "in line 3.*Expected 2 columns, got 1"),
    "a carriage return": (b"text,label\na\rb,x\n", "line 2 has a carriage return"),
    "a line feed": (b"text,label\rab,x\ra\nb,x\r", "carriage return|line feed"),
    "rows in a quoted field": (b'text,label\nok,pos\n"Never,neg\nlove,pos\nSlow ",neg\n', "line 3.*rows of their own"),
    "only rows in a quoted field": (b'text,label\n"Never,neg\nlove,pos\nSlow ",neg\n', "line 2.*rows of their own"),
    "Windows-1252": (b"text,label\ncaf\xe9,a\nna\xefve,b\n", "line 2.*0xe9 at position 3.*--encoding cp1252"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_told_stops_with_the_line_and_what_helps(name: str, tmp_path: Path) -> None:
    content, words = REFUSED[name]
    (tmp_path / "data.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        rows_of(tmp_path / "data.csv")


def test_what_contradicts_the_look_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_stream, "LOOK_BYTES", 100)
    monkeypatch.setattr(text_stream, "BLOCK_BYTES", 150)
    good = b"text,label\n" + b"a fine row,pos\n" * 30
    for bad, words in (
        (b'"stray,pos\n' + b"a fine row,pos\n" * 30, "line 32 never closes"),
        (b'"stray,pos\na fine row,pos\nstray",pos\n', "line 32 .*rows of their own"),
        (b'"a" b,pos\n', "line 32 closes before"),
        (b"a\rb,pos\n", "line 32 has a carriage return"),
        (b"a;b,pos,x\n", "in line 32"),
    ):
        (tmp_path / "data.csv").write_bytes(good + bad)
        with pytest.raises(DataError, match=words):
            rows_of(tmp_path / "data.csv")


def test_a_stray_quote_before_the_end_of_the_look_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_stream, "LOOK_BYTES", 600)
    rows = b"text\tlabel\n" + b"a fine row\tpos\n" * 5 + b'"stray\tneg\n' + b"another\tneg\n" * 200
    (tmp_path / "data.tsv").write_bytes(rows)
    found, said = rows_of(tmp_path / "data.tsv")
    assert found[5:7] == [('"stray', "neg"), ("another", "neg")]
    assert len(found) == 206
    assert "quotes as text" in said[0]


@pytest.mark.parametrize(
    "content",
    [
        'label\ttext\nneg\tplain\nneg\t"He said so\npos\tthen yes"\nneg\tx\n',
        'id\ttext\tlabel\n0\tplain\tneg\n1\t"He said so\tneg\n2\t"\tpos\n3\tx\tneg\n',
    ],
)
def test_stray_quotes_of_two_rows_glue_nothing_where_a_label_comes_once(tmp_path: Path, content: str) -> None:
    (tmp_path / "data.tsv").write_text(content)
    (tmp_path / "data.csv").write_text(content.replace("\t", ","))
    said: list[str] = []
    config = RunConfig(model=tmp_path, data=(str(tmp_path / "data.tsv"),), output=tmp_path)
    source = open_source(config, said.append, ("neg", "pos"))
    assert plan_source(source, shard_rows=9, limit=None).rows == 4
    assert "quotes as text" in said[0]
    config = RunConfig(model=tmp_path, data=(str(tmp_path / "data.csv"),), output=tmp_path)
    with pytest.raises(DataError, match="--quoting"):
        plan_source(open_source(config, said.append, ("neg", "pos")), shard_rows=9, limit=None)


def test_json_objects_of_rows_may_lack_keys(tmp_path: Path) -> None:
    by_id = {"a1": {"text": "a", "label": "neg", "k": 1}, "a2": {"text": "b", "label": "pos"}}
    by_column = {"text": {"0": "a", "1": "b"}, "label": {"1": "neg", "2": "pos"}}
    for document, expected in ((by_id, {"neg": 1, "pos": 1}), (by_column, {None: 1, "neg": 1, "pos": 1})):
        (tmp_path / "data.json").write_text(json.dumps(document))
        config = RunConfig(model=tmp_path, data=(str(tmp_path / "data.json"),), output=tmp_path)
        assert plan_source(open_source(config, print), shard_rows=9, limit=None).label_counts == expected


def test_a_key_with_a_lone_surrogate_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"text": "a", "label": "no"}\n{"text": "b", "label": "yes", "k\\ud800": 1}\n')
    config = RunConfig(model=tmp_path, data=(str(tmp_path / "data.jsonl"),), output=tmp_path)
    assert plan_source(open_source(config, print), shard_rows=9, limit=None).label_counts == {"no": 1, "yes": 1}
