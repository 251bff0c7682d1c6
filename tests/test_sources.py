"""The same rows come out of every file format, whole, in order, and from any start."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import json
import random
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.config import RunConfig
from scorer.errors import DataError, UsageError
from scorer.schema import source_schema
from scorer.sources import Shard, Source, Span, open_source, plan_source, read_shard, read_shards, remember_places
from scorer.sources.columns.columns import Columns
from scorer.sources.formats import json_lines as json_lines_module
from scorer.sources.formats.columnar import ParquetTable
from scorer.sources.formats.delimited import DelimitedTable
from scorer.sources.formats.hub import open_hub_dataset
from scorer.sources.storage import text_stream
from scorer.sources.storage.table import Place
from scorer.sources.storage.text_stream import TextOptions

Row = dict[str, Any]

# 200 kB of words: more than one block of the readers' buffers.
LONG_TEXT = " ".join(f"word{number}" for number in range(22_000))
TEXTS: list[str | None] = [
    "plain",
    "with \"quotes\", commas; and 'others'",
    "two\nlines",
    "a line\r\nof another system",
    "a\ttab",
    "\n leading and trailing \n",
    "",
    " ",
    "😀 family 👨‍👩‍👧 flag 🇩🇪",
    "שלום עולם \u202eoverride\u202c",
    "combining e\u0301 and \ufeff in the middle",
    "nul \x00 inside",
    "control \x1b[31m\x07",
    LONG_TEXT,
    None,
    "NA",
    "null",
    "12",
    "true",
    "back\\slash \\n",
    '"',
    "last",
]
LABELS: list[str | None] = ["World", "Sports", "Sci/Tech", "with, comma", None, "", "Žluť", "12", "NaN"]
ROWS: list[Row] = [
    {"id": f"{number:03}", "text": text, "label": LABELS[number % len(LABELS)]} for number, text in enumerate(TEXTS)
]


def table_of(rows: Sequence[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), pa.schema([(name, pa.string()) for name in rows[0]]))


def delimited(rows: Sequence[Row], delimiter: str = ",", line_end: str = "\n", quoting: Any = csv.QUOTE_MINIMAL) -> str:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(rows[0]), delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue()


def json_lines(rows: Sequence[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=number % 2 == 0) + "\n" for number, row in enumerate(rows))


def compressed(content: bytes, suffix: str) -> bytes:
    if suffix == ".gz":
        return gzip.compress(content)
    if suffix == ".bz2":
        return bz2.compress(content)
    if suffix == ".zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(content)
        return sink.getvalue().to_pybytes()
    return content


def write_parquet(rows: Sequence[Row], file: Path) -> None:
    pq.write_table(table_of(rows), file, row_group_size=4)


def write_arrow(rows: Sequence[Row], file: Path, writer_of: Callable[..., Any]) -> None:
    table = table_of(rows)
    with writer_of(str(file), table.schema) as writer:
        writer.write_table(table, max_chunksize=5)


def write(rows: Sequence[Row], file: Path) -> Path:
    """Write rows in the format that the file's name asks for."""
    kind, compression = file.suffixes[0], "".join(file.suffixes[1:])
    if kind == ".parquet":
        write_parquet(rows, file)
    elif kind == ".arrow":
        write_arrow(rows, file, pa.ipc.new_file)
    elif kind == ".ipc":
        write_arrow(rows, file, pa.ipc.new_stream)
    else:
        texts = {
            ".csv": lambda: delimited(rows),
            ".tsv": lambda: delimited(rows, "\t"),
            ".jsonl": lambda: json_lines(rows),
        }
        file.write_bytes(compressed(texts[kind]().encode(), compression))
    return file


COLUMNAR = ["data.parquet", "data.arrow", "data.ipc"]
TEXTUAL = [f"data{kind}{suffix}" for kind in (".csv", ".tsv", ".jsonl") for suffix in ("", ".gz", ".zst", ".bz2")]


def source_of(*data: Path | str, **options: Any) -> Source:
    config = RunConfig(model=Path("none"), data=tuple(map(str, data)), output=Path("none"), **options)
    return open_source(config, lambda _: None)


def read(source: Source, *, shard_rows: int = 1_000, window_rows: int = 1_000, limit: int | None = None) -> list[Row]:
    """All rows of a source, by way of its plan."""
    plan = plan_source(source, shard_rows=shard_rows, limit=limit)
    return [
        row for shard in plan.shards for batch in read_shard(source, shard, window_rows) for row in batch.to_pylist()
    ]


def contents(rows: Sequence[Row]) -> list[Row]:
    return [{name: row[name] for name in ROWS[0]} for row in rows]


def expected(rows: Sequence[Row], file: str) -> list[Row]:
    """Rows as the format can hold them: delimited text knows no null."""
    if ".csv" not in file and ".tsv" not in file:
        return list(rows)
    return [{name: "" if value is None else value for name, value in row.items()} for row in rows]


# --- one content, many formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COLUMNAR + TEXTUAL)
def test_every_format_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    file = write(ROWS, tmp_path / name)
    found = read(source_of(file), shard_rows=10, window_rows=4)
    assert contents(found) == expected(ROWS, name)
    assert [row["row"] for row in found] == list(range(len(ROWS)))
    assert {row["source_file"] for row in found} == {str(file)}


@pytest.mark.parametrize("name", COLUMNAR + TEXTUAL)
def test_batches_have_the_canonical_schema(name: str, tmp_path: Path) -> None:
    source = source_of(write(ROWS, tmp_path / name))
    plan = plan_source(source, shard_rows=10, limit=None)
    schemas = {batch.schema for shard in plan.shards for batch in read_shard(source, shard, 4)}
    assert schemas == {source_schema(pairs=False)}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("last_line", ["ends", "open"])
def test_csv_dialects_give_the_same_rows(line_end: str, quoting: Any, bom: str, last_line: str, tmp_path: Path) -> None:
    content = bom + delimited(ROWS, line_end=line_end, quoting=quoting)
    if last_line == "open":
        content = content.removesuffix(line_end)
    file = tmp_path / "data.csv"
    file.write_bytes(content.encode())
    assert contents(read(source_of(file))) == expected(ROWS, "data.csv")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\n\n", "\n \t\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("last_line", ["ends", "open"])
def test_json_lines_dialects_give_the_same_rows(line_end: str, bom: str, last_line: str, tmp_path: Path) -> None:
    content = bom + json_lines(ROWS).replace("\n", line_end)
    if last_line == "open":
        content = content.removesuffix(line_end)
    file = tmp_path / "data.jsonl"
    file.write_bytes(content.encode())
    assert contents(read(source_of(file))) == ROWS


def test_json_lines_across_a_block_of_the_reader_stay_whole(tmp_path: Path) -> None:
    rows = [{"id": str(number), "text": f"é{number} " * 40_000, "label": "World"} for number in range(9)]
    file = write(rows, tmp_path / "data.jsonl")  # 2.6 MB: several blocks, none ending with a line
    assert contents(read(source_of(file))) == rows


@pytest.mark.parametrize("name", ["data.csv.gz", "data.jsonl.gz", "data.jsonl.bz2", "data.csv.zst"])
def test_concatenated_compressed_members_are_all_read(name: str, tmp_path: Path) -> None:
    plain = (delimited(ROWS) if "csv" in name else json_lines(ROWS)).encode()
    cuts = [0, len(plain) // 3, 2 * len(plain) // 3, len(plain)]
    suffix = Path(name).suffix
    members = [compressed(plain[start:stop], suffix) for start, stop in itertools.pairwise(cuts)]
    (tmp_path / name).write_bytes(b"".join(members))
    assert contents(read(source_of(tmp_path / name))) == expected(ROWS, name)


@pytest.mark.parametrize("start", [0, 1, 3])
def test_csv_row_longer_than_a_block_is_read_in_a_larger_one(
    start: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_stream, "BLOCK_BYTES", 1_000)
    texts = ["short", "short too", "long\n" * 4_000, "short again", "longer still\n" * 40_000, "end"]
    rows = [{"id": str(number), "text": text, "label": "World"} for number, text in enumerate(texts)]
    source = source_of(write(rows, tmp_path / "data.csv"))
    assert contents(read(source)) == rows
    assert plan_source(source, shard_rows=2, limit=None).rows == len(rows)
    table = source.tables[0]
    found = [text for batch in table.batches(["text"], start) for text in batch.column("text").to_pylist()]
    assert found == texts[start:]


def test_csv_row_longer_than_the_largest_block_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_stream, "BLOCK_BYTES", 1_000)
    monkeypatch.setattr("scorer.sources.formats.delimited.LARGEST_ROW_BYTES", 4_000)
    file = write([{"text": "x\n" * 40_000, "label": "World"}], tmp_path / "data.csv")
    with pytest.raises(DataError, match=r"data\.csv': the row that begins in line 2 is longer than 4,000 bytes"):
        read(source_of(file))


def test_csv_values_are_never_taken_for_numbers_dates_or_nulls(tmp_path: Path) -> None:
    values = ["007", "1e5", "2024-01-01", "NULL", "#N/A", "-0.0", "TRUE"]
    rows = [{"id": value, "text": value, "label": value} for value in values]
    found = read(source_of(write(rows, tmp_path / "data.csv")))
    assert contents(found) == rows


# --- types of columns -------------------------------------------------------------------------------------------


def labels_read(labels: pa.Array, tmp_path: Path, suffix: str = "parquet") -> list[Any]:
    table = pa.table({"text": pa.array([f"text {number}" for number in range(len(labels))]), "label": labels})
    file = tmp_path / f"data.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, file)
    else:
        with pa.ipc.new_file(str(file), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return [row["label"] for row in read(source_of(file), window_rows=3)]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize(
    "integer", [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
)
def test_integer_labels_of_any_width_become_text(integer: pa.DataType, suffix: str, tmp_path: Path) -> None:
    assert labels_read(pa.array([0, 3, None, 100, 1], integer), tmp_path, suffix) == ["0", "3", None, "100", "1"]


def test_unsigned_label_beyond_int64_is_not_taken_for_a_missing_one(tmp_path: Path) -> None:
    assert labels_read(pa.array([0, 2**64 - 1], pa.uint64()), tmp_path) == ["0", str(2**64 - 1)]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_true_and_false_stay(suffix: str, tmp_path: Path) -> None:
    assert labels_read(pa.array([True, None, False]), tmp_path, suffix) == ["true", None, "false"]


def test_true_and_false_in_json_lines_stay(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": True}, {"text": "b", "label": None}, {"text": "c", "label": False}]
    assert [row["label"] for row in read(source_of(write(rows, tmp_path / "data.jsonl")))] == ["true", None, "false"]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize("values", [["a", None, "b", "a"], [7, None, 8, 7]])
def test_dictionary_encoded_labels_are_decoded(values: list[Any], suffix: str, tmp_path: Path) -> None:
    assert labels_read(pa.array(values).dictionary_encode(), tmp_path, suffix) == [
        value if value is None else str(value) for value in values
    ]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
@pytest.mark.parametrize("name", ["data.parquet", "data.arrow"])
def test_every_kind_of_string_column_is_read(kind: pa.DataType, name: str, tmp_path: Path) -> None:
    table = pa.Table.from_pylist(ROWS, pa.schema([(name, kind) for name in ROWS[0]]))
    if name.endswith("parquet"):
        pq.write_table(table, tmp_path / name, row_group_size=4)
    else:
        with pa.ipc.new_file(str(tmp_path / name), table.schema) as writer:
            writer.write_table(table, max_chunksize=5)
    assert contents(read(source_of(tmp_path / name), shard_rows=10, window_rows=4)) == ROWS


def test_dictionary_encoded_texts_with_changing_dictionaries_are_read(tmp_path: Path) -> None:
    pieces = [pa.array(texts).dictionary_encode() for texts in (["a", "b"], ["c", None], ["b", "d"])]
    batches = [
        pa.RecordBatch.from_arrays([piece, pa.array(["World"] * 2).dictionary_encode()], ["text", "label"])
        for piece in pieces
    ]
    with pa.ipc.new_stream(str(tmp_path / "data.arrow"), batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    found = read(source_of(tmp_path / "data.arrow"), window_rows=5)
    assert [row["text"] for row in found] == ["a", "b", "c", None, "b", "d"]


def test_integer_ids_become_strings_and_without_an_id_the_row_serves(tmp_path: Path) -> None:
    table = pa.table({"id": [70, 7], "key": ["x", None], "text": ["a", "b"], "label": [0, 1]})
    pq.write_table(table, tmp_path / "data.parquet")
    assert [row["id"] for row in read(source_of(tmp_path / "data.parquet"))] == ["70", "7"]
    assert [row["id"] for row in read(source_of(tmp_path / "data.parquet", id_column="key"))] == ["x", "1"]
    pq.write_table(table.drop(["id"]), tmp_path / "bare.parquet")
    assert [row["id"] for row in read(source_of(tmp_path / "bare.parquet"))] == ["0", "1"]


def test_column_names_with_dots_are_names_and_not_paths(tmp_path: Path) -> None:
    table = pa.table({"label.raw": ["x", "y"], "text.html": ["<a>", "<b>"], "text": ["a", "b"], "label": ["p", "q"]})
    pq.write_table(table, tmp_path / "data.parquet")
    source = source_of(tmp_path / "data.parquet")
    assert plan_source(source, shard_rows=9, limit=None).label_counts == {"p": 1, "q": 1}
    assert [(row["text"], row["label"]) for row in read(source)] == [("a", "p"), ("b", "q")]
    dotted = source_of(tmp_path / "data.parquet", text_column="text.html", label_column="label.raw")
    assert [(row["text"], row["label"]) for row in read(dotted)] == [("<a>", "x"), ("<b>", "y")]


def test_json_lines_with_numbers_in_one_part_and_strings_in_another_are_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("delimited", "json_lines"):
        monkeypatch.setattr(f"scorer.sources.formats.{module}.READ_ROWS", 3)
    labels = [0, 1, 2, "0", "one", None, None, None, None, True, False, True]
    rows = [{"id": number, "text": f"text {number}", "label": label} for number, label in enumerate(labels)]
    source = source_of(write(rows, tmp_path / "data.jsonl"))
    found = read(source, window_rows=len(rows))
    as_text = ["0", "1", "2", "0", "one", None, None, None, None, "true", "false", "true"]
    assert [row["label"] for row in found] == as_text
    assert [row["text"] for row in found] == [row["text"] for row in rows]


def test_json_lines_objects_may_lack_keys_and_hold_others(tmp_path: Path) -> None:
    lines = [{"label": 1, "text": "a", "meta": {"x": [1]}}, {"text": "b"}, {"label": 2}]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = read(source_of(tmp_path / "data.jsonl"))
    assert [(row["text"], row["label"]) for row in found] == [("a", "1"), ("b", None), (None, "2")]


def test_pairs_are_read_beside_each_other(tmp_path: Path) -> None:
    rows = [{"premise": f"p{number}", "hypothesis": f"h{number}", "label": "World"} for number in range(7)]
    for name in ("data.parquet", "data.csv", "data.jsonl"):
        found = read(source_of(write(rows, tmp_path / name)), window_rows=3)
        assert [(row["text"], row["text_pair"]) for row in found] == [(f"p{n}", f"h{n}") for n in range(7)]


# --- shards, windows, limits ------------------------------------------------------------------------------------


def split_at_random(rows: Sequence[Row], parts: int, noise: random.Random) -> Iterator[Sequence[Row]]:
    cuts = sorted(noise.sample(range(1, len(rows)), parts - 1))
    for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        yield rows[start:stop]


@pytest.mark.parametrize("seed", range(12))
def test_shards_and_windows_of_any_size_partition_the_rows_of_any_files(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = random.Random(seed)
    for module in ("delimited", "json_lines"):
        monkeypatch.setattr(f"scorer.sources.formats.{module}.READ_ROWS", noise.randint(1, 9))
    monkeypatch.setattr(text_stream, "BLOCK_BYTES", noise.choice([500, 4_000, 1_000_000]))
    rows = [
        {"id": f"{number:04}", "text": f"line {number}\n" * noise.randint(1, 9), "label": noise.choice("abc")}
        for number in range(noise.randint(20, 120))
    ]
    files = [
        write(part, tmp_path / f"{index:02}{noise.choice(['.parquet', '.arrow', '.ipc', '.csv', '.jsonl.gz', '.tsv'])}")
        for index, part in enumerate(split_at_random(rows, noise.randint(1, 6), noise))
    ]
    source = source_of(*files)
    shard_rows, window_rows = noise.randint(1, 40), noise.randint(1, 17)
    limit = noise.choice([None, 1, noise.randint(1, len(rows)), len(rows), len(rows) + 5])
    plan = plan_source(source, shard_rows=shard_rows, limit=limit)
    kept = rows[:limit]

    assert plan.rows == len(kept)
    assert plan.label_counts == {name: n for name in "abc" if (n := sum(row["label"] == name for row in kept))}
    assert [shard.index for shard in plan.shards] == list(range(len(plan.shards)))
    assert all(1 <= shard.rows <= shard_rows for shard in plan.shards)
    found: list[Row] = []
    for shard in plan.shards:
        windows = list(read_shard(source, shard, window_rows))
        assert [batch.num_rows for batch in windows[:-1]] == [window_rows] * (len(windows) - 1)
        assert sum(batch.num_rows for batch in windows) == shard.rows
        assert windows[0].column("row")[0].as_py() == shard.first_row == len(found)
        found += [row for batch in windows for row in batch.to_pylist()]
    assert contents(found) == kept
    shuffled = noise.sample(plan.shards, len(plan.shards))  # shards may be read in any order, on their own
    again = {shard.index: [r for b in read_shard(source, shard, 1_000) for r in b.to_pylist()] for shard in shuffled}
    assert [row for shard in plan.shards for row in again[shard.index]] == found


@pytest.mark.parametrize("name", ["data.parquet", "data.arrow", "data.ipc", "data.csv.gz", "data.jsonl"])
def test_a_table_can_be_read_from_any_row(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("delimited", "json_lines"):
        monkeypatch.setattr(f"scorer.sources.formats.{module}.READ_ROWS", 3)
    ids = [row["id"] for row in ROWS]
    table = source_of(write(ROWS, tmp_path / name)).tables[0]
    for start in range(len(ROWS) + 2):
        found = [value for batch in table.batches(["id"], start) for value in batch.column("id").to_pylist()]
        assert found == ids[start:]


@pytest.mark.parametrize("name", ["data.parquet", "data.arrow", "data.csv", "data.jsonl"])
def test_long_texts_fill_a_window_the_same_way_wherever_reading_begins(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorer.sources.reading.WINDOW_BYTES", 5_000)
    noise = random.Random(1)
    rows = [{"id": str(n), "text": "x" * noise.choice([1, 900, 4_000, 9_000]), "label": "a"} for n in range(120)]
    file = write(rows, tmp_path / name)
    plan = plan_source(source_of(file), shard_rows=30, limit=None)

    def windows(shards: Sequence[Shard]) -> list[list[int]]:
        source = source_of(file)
        return [batch.column("row").to_pylist() for _, batch in read_shards(source, shards, 1_000)]

    in_order = windows(plan.shards)
    assert [row for window in in_order for row in window] == list(range(120))
    assert all(sum(len(rows[row]["text"]) for row in window[:-1]) < 5_000 for window in in_order)
    for shard in plan.shards:
        alone = windows([shard])
        assert alone == [window for window in in_order if shard.first_row <= window[0] < shard.first_row + 30]


def test_limit_leaves_later_files_unread(tmp_path: Path) -> None:
    first = write(ROWS, tmp_path / "a.jsonl")
    second = tmp_path / "b.jsonl"
    second.write_text((json.dumps(ROWS[0]) + "\n") * 1_000 + "not JSON\n")  # beyond what the schema looks at
    source = source_of(first, second)
    assert contents(read(source, limit=len(ROWS))) == ROWS
    with pytest.raises(DataError, match=r"line 1,001 of '.*b\.jsonl' is not JSON"):
        read(source, limit=len(ROWS) + 1)


def test_a_table_that_lost_rows_since_it_was_planned_is_refused(tmp_path: Path) -> None:
    file = write(ROWS, tmp_path / "data.parquet")
    source = source_of(file)
    plan = plan_source(source, shard_rows=100, limit=None)
    write(ROWS[:9], file)
    with pytest.raises(DataError, match=r"holds 9 rows now.*start again with --overwrite"):
        list(read_shard(source, plan.shards[0], 100))
    file.unlink()
    with pytest.raises(DataError, match="does not exist any more"):
        list(read_shard(source, plan.shards[0], 100))


def test_an_empty_file_among_others_adds_no_rows(tmp_path: Path) -> None:
    whole, empty = tmp_path / "b.csv", tmp_path / "a.csv"
    write(ROWS, whole)
    empty.write_text("id,text,label\n")
    source = source_of(empty, whole)
    plan = plan_source(source, shard_rows=1_000, limit=None)
    assert plan.shards == (Shard(0, 0, (Span(1, 0, len(ROWS), 0, Place(0, len("id,text,label\n"), 1)),)),)
    assert contents(read(source)) == expected(ROWS, "b.csv")


# --- finding files ----------------------------------------------------------------------------------------------


def test_folders_and_globs_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "more").mkdir(parents=True)
    write(ROWS[:5], folder / "a.csv")
    write(ROWS[5:9], folder / "b.csv.gz")
    write(ROWS[9:], folder / "more" / "c.csv")
    (folder / "README.md").write_text("not data")
    wanted = expected(ROWS, "a.csv")
    assert contents(read(source_of(folder))) == wanted
    assert contents(read(source_of(f"{folder}/**/*.csv*"))) == wanted
    assert contents(read(source_of(folder / "more", folder / "a.csv"))) == wanted[9:] + wanted[:5]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    assert contents(read(source_of(write(ROWS, tmp_path / "data[1].parquet")))) == ROWS


def test_columns_named_by_the_user_win_and_guesses_are_said(tmp_path: Path) -> None:
    rows = [{"title": "a title", "text": "a text", "label": "x", "topic": "y", "id": "1"}]
    file = str(write(rows, tmp_path / "data.csv"))
    said: list[str] = []
    config = RunConfig(model=Path("none"), data=(file,), output=Path("none"), text_column="title", label_column="topic")
    source = open_source(config, said.append)
    assert [(row["text"], row["label"], row["id"]) for row in read(source)] == [("a title", "y", "1")]
    assert said == ["Columns guessed: id 'id'."]


# --- names of integer labels ------------------------------------------------------------------------------------


def with_class_names(table: pa.Table, names: Sequence[str]) -> pa.Table:
    features = {"info": {"features": {"label": {"names": list(names), "_type": "ClassLabel"}}}}
    return table.replace_schema_metadata({"huggingface": json.dumps(features)})


@pytest.mark.parametrize("name", ["data.parquet", "data.arrow"])
def test_declared_names_of_integer_labels_are_found(name: str, tmp_path: Path) -> None:
    plain = pa.table({"text": ["a", "b"], "label": [1, 0]})
    for table, names in ((plain, None), (with_class_names(plain, ["no", "yes"]), ("no", "yes"))):
        if name.endswith("parquet"):
            pq.write_table(table, tmp_path / name)
        else:
            with pa.ipc.new_file(str(tmp_path / name), table.schema) as writer:
                writer.write_table(table)
        assert source_of(tmp_path / name).class_names == names


@pytest.mark.parametrize("metadata", ["not JSON", "[]", '{"info": {"features": {"label": {"_type": "Value"}}}}'])
def test_foreign_metadata_declares_no_names(metadata: str, tmp_path: Path) -> None:
    table = pa.table({"text": ["a"], "label": [1]}).replace_schema_metadata({"huggingface": metadata})
    pq.write_table(table, tmp_path / "data.parquet")
    assert source_of(tmp_path / "data.parquet").class_names is None


# --- the `datasets` library -------------------------------------------------------------------------------------


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    library = pytest.importorskip("datasets")
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    library.disable_progress_bars()
    return library


def dataset_of(datasets: Any, rows: Sequence[Row], names: Sequence[str] | None = None) -> Any:
    label = datasets.ClassLabel(names=list(names)) if names else datasets.Value("string")
    features = datasets.Features({"id": datasets.Value("string"), "text": datasets.Value("string"), "label": label})
    return datasets.Dataset.from_list(list(rows), features=features)


def test_a_saved_data_set_gives_the_same_rows(datasets: Any, tmp_path: Path) -> None:
    dataset_of(datasets, ROWS).save_to_disk(tmp_path / "saved", num_shards=3)
    source = source_of(tmp_path / "saved")
    assert len(source.tables) == 3
    assert contents(read(source, shard_rows=10, window_rows=4)) == ROWS


def test_a_split_of_saved_splits_gives_its_rows_and_its_label_names(datasets: Any, tmp_path: Path) -> None:
    rows = [{**row, "label": number % 3} for number, row in enumerate(ROWS)]
    names = ("no", "yes", "perhaps")
    splits = {"train": dataset_of(datasets, rows, names), "test": dataset_of(datasets, rows[:4], names)}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    train, test = (source_of(tmp_path / "saved", split=split) for split in ("train", "test"))
    as_text = [{**row, "label": str(row["label"])} for row in rows]
    assert contents(read(train)) == as_text
    assert contents(read(test)) == as_text[:4]
    assert train.class_names == names


def test_a_saved_selection_of_rows_gives_those_rows_alone(datasets: Any, tmp_path: Path) -> None:
    dataset_of(datasets, ROWS).select([3, 1]).save_to_disk(tmp_path / "flat")
    assert contents(read(source_of(tmp_path / "flat"))) == [ROWS[3], ROWS[1]]


def test_a_folder_opened_through_the_hub_gives_the_same_rows(datasets: Any, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write(ROWS, folder / "train.parquet")
    said: list[str] = []
    table = open_hub_dataset(str(folder), None, "train", None, said.append)
    source = Source((table,), source_of(folder / "train.parquet").columns, None, "hub")
    assert contents(read(source, shard_rows=10, window_rows=4)) == ROWS
    assert said == [f"Loaded {folder}, split train: {len(ROWS)} rows."]
    for start in (0, 5, len(ROWS)):
        found = [value for batch in table.batches(["id"], start) for value in batch.column("id").to_pylist()]
        assert found == [row["id"] for row in ROWS[start:]]


def test_several_splits_on_the_hub_ask_for_a_choice(datasets: Any, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write(ROWS, folder / "train.parquet")
    write(ROWS[:3], folder / "test.parquet")
    with pytest.raises(UsageError, match=r"several splits.*--split"):
        open_hub_dataset(str(folder), None, None, None, lambda _: None)
    with pytest.raises(UsageError, match=r"--split"):
        open_hub_dataset(str(folder), None, "dev", None, lambda _: None)
    assert open_hub_dataset(str(folder), None, "test", None, lambda _: None).name.endswith("/test")


def test_consecutive_shards_are_read_in_one_pass_and_others_from_their_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorer.sources.kept.SMALL_FILE_BYTES", 0)

    class Counting(ParquetTable):
        starts: list[int] = []  # noqa: RUF012 — one list for the test

        def batches(self, columns: Sequence[str], start: int = 0) -> Iterator[pa.RecordBatch]:
            self.starts.append(start)
            return super().batches(columns, start)

    pq.write_table(pa.table({"text": [str(i) for i in range(100)], "label": [0] * 100}), tmp_path / "data.parquet")
    source = Source((Counting(str(tmp_path / "data.parquet")),), Columns("text", None, "label", None), None, "test")
    shards = plan_source(source, shard_rows=30, limit=None).shards
    Counting.starts.clear()
    in_order = [row for _, batch in read_shards(source, shards, 7) for row in batch.column("row").to_pylist()]
    assert in_order == list(range(100))
    assert Counting.starts == [0]
    Counting.starts.clear()
    some = [
        row for _, batch in read_shards(source, (shards[2], shards[0]), 7) for row in batch.column("row").to_pylist()
    ]
    assert some == [*range(60, 90), *range(30)]
    assert Counting.starts == [60, 0]


# --- places in text files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["data.csv", "data.tsv.gz", "data.jsonl", "data.jsonl.zst"])
def test_a_later_run_enters_a_text_file_where_its_rows_begin(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorer.sources.formats.json_lines.READ_ROWS", 10)
    monkeypatch.setattr(text_stream, "BLOCK_BYTES", 2_000)
    rows = [{"id": str(number), "text": f'"{number}"\n' * (number % 9 + 1), "label": "World"} for number in range(500)]
    file = write(rows, tmp_path / name)
    plan = plan_source(source_of(file), shard_rows=100, limit=None)
    spans = [span for shard in plan.shards for span in shard.spans]
    assert len(spans) == 5
    assert all(span.place is not None and span.place.row <= span.start < span.place.row + 100 for span in spans)

    again = source_of(file)  # knows nothing yet
    remember_places(again, plan)
    parsed: list[int] = []
    spy = json_lines_module.decode if "json" in name else DelimitedTable._parse
    if "json" in name:
        monkeypatch.setattr(json_lines_module, "decode", lambda content: parsed.append(1) or spy(content))
    else:
        monkeypatch.setattr(DelimitedTable, "_parse", lambda *a: parsed.append(len(t := spy(*a))) or t)
    last = [row for batch in read_shard(again, plan.shards[4], 50) for row in batch.to_pylist()]
    assert contents(last) == rows[400:]
    assert sum(parsed) <= 200  # not the 500 rows of the file


CELLS = st.one_of(
    st.text(alphabet="ab\",\n\r\t 'é", max_size=6),
    st.sampled_from(['"', '""', '"a"b', 'a"b"', "\r", "\r\n", "a,b", ' "a', '"\n"']),
)


@settings(max_examples=200, deadline=None)
@given(
    records=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=12),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    block=st.integers(1, 40),
)
def test_csv_in_blocks_is_read_as_pyarrow_reads_it_whole(
    records: list[list[str]], quoting: Any, line_end: str, block: int
) -> None:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator=line_end, quoting=quoting, escapechar=None, quotechar='"')
    if quoting == csv.QUOTE_NONE:  # stray quotes in fields that are not quoted
        sink.write("".join(",".join(re.sub(r"[,\r\n]", "", cell) for cell in cells) + line_end for cells in records))
    else:
        writer.writerows(records)
    body = sink.getvalue().encode()
    content = b"id,text,label" + line_end.encode() + body
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        file = Path(folder) / "data.csv"
        file.write_bytes(content)
        patch.setattr(text_stream, "BLOCK_BYTES", block)
        expected_rows = whole_csv(content)
        table = DelimitedTable(str(file), ",", TextOptions(delimiter=",", quoting="double"))
        try:
            found = [row for batch in table.batches(["id", "text", "label"]) for row in batch.to_pylist()]
        except DataError as error:
            refused = str(error)
        else:
            refused = ""
        if refused:  # pyarrow takes a stray quote for one that quotes, and a carriage return for the end of a row
            assert expected_rows is None or quoting == csv.QUOTE_NONE or "in a field without quotes" in refused
            return
        assert found == expected_rows
        for start in range(len(found) + 1):
            from_there = [row for b in table.batches(["id", "text", "label"], start) for row in b.to_pylist()]
            assert from_there == found[start:]


def whole_csv(content: bytes) -> list[Row] | None:
    """What pyarrow makes of the file in one piece; None where it refuses."""
    names = ["id", "text", "label"]
    try:
        table = pa_csv.read_csv(
            io.BytesIO(content),
            pa_csv.ReadOptions(use_threads=False),
            pa_csv.ParseOptions(newlines_in_values=True),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid:
        return None
    return table.to_pylist()
