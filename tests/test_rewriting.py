"""Random tables rewritten: every value, type, dictionary, batch and chunk but the changed labels is as it was."""

from __future__ import annotations

import dataclasses
import datetime
import string
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scorer.errors import DataError, LabelError
from scorer.review.correct.outputs import rewrite
from scorer.sources.edits.parquet_chunks import (
    LOCATION_OFFSET,
    LOCATIONS,
    OFFSET_INDEX,
    OFFSET_INDEX_LENGTH,
    ParquetChunks,
)
from scorer.sources.edits.thrift_compact import BINARY, FALSE, I32, I64, LIST, STRUCT, TRUE, read_struct, write_struct
from scorer.sources.formats.arrow_edits import _form
from scorer.sources.formats.columnar import ArrowTable, ParquetTable
from scorer.sources.storage.edits import Edits

# --- tables ---

words = st.text(string.ascii_letters + 'é😀 ,"\n', max_size=6)
moments = st.datetimes(datetime.datetime(1970, 1, 2), datetime.datetime(2200, 1, 1))
numbers = st.integers(-100, 100)
floats = st.floats(width=16)

# What other columns may hold: a type, and the values of it.
KINDS: Sequence[tuple[pa.DataType, st.SearchStrategy[Any]]] = (
    (pa.string(), words),
    (pa.large_string(), words),
    (pa.string_view(), words),
    (pa.binary(), st.binary(max_size=5)),
    (pa.binary_view(), st.binary(max_size=20)),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.bool_(), st.booleans()),
    (pa.int8(), numbers),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float16(), floats),
    (pa.float32(), floats),
    (pa.float64(), st.floats()),
    (pa.decimal128(12, 2), st.decimals(-1000, 1000, places=2)),
    (pa.decimal256(50, 3), st.decimals(-1000, 1000, places=3)),
    (pa.date32(), st.dates()),
    (pa.time64("us"), st.times()),
    (pa.timestamp("ns", "Europe/Berlin"), moments),
    (pa.timestamp("s"), moments.map(lambda moment: moment.replace(microsecond=0))),
    (pa.duration("ms"), numbers),
    (pa.null(), st.none()),
    (pa.uuid(), st.uuids().map(lambda value: value.bytes)),
    (pa.list_(pa.int16()), st.lists(st.none() | numbers, max_size=3)),
    (pa.list_(pa.string_view()), st.lists(words, max_size=2)),
    (pa.large_list(pa.list_(pa.float32())), st.lists(st.lists(floats, max_size=2), max_size=2)),
    (pa.list_(pa.float32(), 2), st.lists(floats, min_size=2, max_size=2)),
    (
        pa.map_(pa.string(), pa.int32()),
        st.dictionaries(words, numbers, max_size=2).map(lambda pairs: list(pairs.items())),
    ),
    (
        pa.struct([("label", pa.string()), ("b", pa.list_(pa.int8()))]),  # a field of the label's name is no column
        st.fixed_dictionaries({"label": words, "b": st.none() | st.lists(numbers, max_size=2)}),
    ),
)
# The label's column: a type, and what its values look like as text.
LABELS: Sequence[tuple[pa.DataType, Sequence[str]]] = (
    (pa.string(), ("pos", "neg", "", "a 'quoted', one")),
    (pa.large_string(), ("pos", "neg", "neutral", "é😀")),
    (pa.string_view(), ("pos", "neg", "a name of more than twelve bytes", "x")),
    (pa.binary(), ("pos", "neg", "é", "x")),
    (pa.int8(), ("0", "1", "2", "-1")),
    (pa.int64(), ("0", "1", "2", "123456789012")),
    (pa.uint64(), ("0", "1", "2", "18446744073709551615")),
    (pa.bool_(), ("true", "false")),
    (pa.float32(), ("0.0", "1.0", "2.5", "-1.0")),
    (pa.float64(), ("0.0", "1.0", "2.0", "3.0")),
    (pa.decimal128(5, 1), ("0.0", "1.0", "2.0", "3.5")),
)
INDEX_TYPES = (pa.int8(), pa.int32(), pa.uint8(), pa.uint32())


@dataclasses.dataclass
class Made:
    """A table, where its label stands, and what its labels may be."""

    table: pa.Table
    position: int
    choices: Sequence[str]

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)


def as_array(texts: Sequence[str | None], data_type: pa.DataType) -> pa.Array:
    return pa.array(texts, pa.string()).cast(data_type)


@st.composite
def dictionary_arrays(draw: Any, rows: int, members: pa.Array, *, ordered: bool | None = None) -> pa.Array:
    """Nulls and members that no row has are among them."""
    index_type = draw(st.sampled_from(INDEX_TYPES))
    indices = draw(st.lists(st.none() | st.integers(0, len(members) - 1), min_size=rows, max_size=rows))
    is_ordered = draw(st.booleans()) if ordered is None else ordered
    return pa.DictionaryArray.from_arrays(pa.array(indices, index_type), members, ordered=is_ordered)


@st.composite
def label_arrays(draw: Any, rows: int, *, views: bool) -> tuple[pa.Array, Sequence[str]]:
    data_type, choices = draw(st.sampled_from(LABELS))
    if (views or not pa.types.is_string_view(data_type)) and draw(st.booleans()):
        known = draw(st.lists(st.sampled_from(choices), unique=True, min_size=1))
        return draw(dictionary_arrays(rows, as_array(known, data_type))), choices
    texts = draw(st.lists(st.none() | st.sampled_from(choices), min_size=rows, max_size=rows))
    return as_array(texts, data_type), choices


@st.composite
def tables(draw: Any, *, views: bool = True) -> Made:
    """A table; with dictionaries of views, which Parquet's writer does not take, or without."""
    rows = draw(st.integers(1, 12))
    label, choices = draw(label_arrays(rows, views=views))
    columns: list[tuple[pa.Field, pa.Array]] = []
    for number in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from(["a", "a", "b.label", "label.raw", f"c{number}", ""]))  # some twice
        if draw(st.integers(0, 3)) == 0:
            array = draw(dictionary_arrays(rows, pa.array(draw(st.lists(words, unique=True, min_size=1, max_size=4)))))
        else:
            data_type, values = draw(st.sampled_from(KINDS))
            array = pa.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), data_type)
        metadata = {"note": name} if draw(st.booleans()) else None
        columns.append((pa.field(name, array.type, metadata=metadata), array))
    position = draw(st.integers(0, len(columns)))
    columns.insert(position, (pa.field("label", label.type, metadata={"who": "crowd"}), label))
    schema = pa.schema([field for field, _ in columns], metadata={"mine": "kept"})
    return Made(pa.Table.from_arrays([array for _, array in columns], schema=schema), position, choices)


@st.composite
def edits_of(draw: Any, made: Made, *, whole: bool) -> Edits:
    """Changes; whether rows leave and columns come, too."""
    labels = draw(st.dictionaries(st.integers(0, made.rows - 1), st.sampled_from(made.choices)))
    dropped = draw(st.frozensets(st.integers(0, made.rows - 1), max_size=3)) if whole else frozenset()
    return Edits("data", made.rows, "label", labels, dropped, keep_original=whole and draw(st.booleans()))


# --- what is compared ---


def shown(array: pa.Array) -> tuple[str, str, str]:
    """An array's type, values and dictionary, so that equal means equal: NaN too, and 1 is not 1.0."""
    members = repr(array.dictionary.to_pylist()) if pa.types.is_dictionary(array.type) else ""
    return str(array.type), repr(array.to_pylist()), members


def check_others(
    before: Sequence[pa.RecordBatch],
    after: Sequence[pa.RecordBatch],
    position: int,
    edits: Edits,
    *,
    written: bool = True,
) -> None:
    """Every batch is there with the rows that stay, and every other column with its values.

    `written` says whether the file holds dictionaries, or the reader makes them of the values that it meets.
    """
    assert len(before) == len(after)
    first = 0
    for old, new in zip(before, after, strict=True):
        stays = [row for row in range(old.num_rows) if first + row not in edits.dropped]
        first += old.num_rows
        assert new.num_rows == len(stays)
        for column in range(old.num_columns):
            if column == position:
                continue
            (kind, _, members), values = shown(old.column(column)), old.column(column).to_pylist()
            found = shown(new.column(column))
            assert found[:2] == (kind, repr([values[row] for row in stays]))
            assert found[2] == members or not written


def check_labels(before: pa.Table, after: pa.Table, position: int, edits: Edits) -> None:
    data_type = before.schema.field(position).type
    plain = data_type.value_type if pa.types.is_dictionary(data_type) else data_type
    wanted = {row: as_array([text], plain)[0].as_py() for row, text in edits.labels.items()}
    stays = [row for row in range(before.num_rows) if row not in edits.dropped]
    given_labels = before.column(position).to_pylist()
    assert after.column(position).to_pylist() == [wanted.get(row, given_labels[row]) for row in stays]
    if edits.keep_original:
        assert after.column("original_label").to_pylist() == [given_labels[row] for row in stays]
        assert after.column("corrected_label").to_pylist() == [wanted.get(row) for row in stays]
        assert after.schema.types[-2:] == [after.schema.field(position).type] * 2


def check_schema(before: pa.Schema, after: pa.Schema, edits: Edits) -> None:
    kept = pa.schema(list(after)[: len(before)], metadata=after.metadata)
    assert kept.equals(before, check_metadata=True)
    assert len(after) == len(before) + 2 * edits.keep_original


def check_dictionaries(before: Sequence[pa.RecordBatch], after: Sequence[pa.RecordBatch], position: int) -> None:
    """Members keep their places; new ones stand behind them."""
    for old, new in zip(before, after, strict=True):
        if pa.types.is_dictionary(old.column(position).type):
            members = old.column(position).dictionary.to_pylist()
            assert new.column(position).dictionary.to_pylist()[: len(members)] == members


def rewritten(table: Any, folder: Path, edits: Edits) -> Path:
    output = folder / f"out{Path(table.name).suffix}"
    rewrite(table, output, edits)
    assert sorted(path.name for path in folder.iterdir()) == sorted([Path(table.name).name, output.name])
    return output


# --- Arrow ---


def ipc_batches(file: Path) -> tuple[list[pa.RecordBatch], list[Any], pa.Schema]:
    with pa.OSFile(str(file)) as opened:
        is_file = bytes(opened.read(6)) == b"ARROW1"
        opened.seek(0)
        if is_file:
            reader = pa.ipc.open_file(opened)
            found = [reader.get_batch_with_custom_metadata(index) for index in range(reader.num_record_batches)]
        else:
            reader = pa.ipc.open_stream(opened)
            found = list(reader.iter_batches_with_custom_metadata())
        return [batch for batch, _ in found], [metadata for _, metadata in found], reader.schema


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_arrow_table_keeps_all_but_the_changed_labels(data: Any) -> None:
    made = data.draw(tables())
    edits = data.draw(edits_of(made, whole=data.draw(st.booleans())))
    is_file, codec = data.draw(st.booleans()), data.draw(st.sampled_from([None, "lz4", "zstd"]))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.arrow"
        options = pa.ipc.IpcWriteOptions(compression=codec)
        new_writer = pa.ipc.new_file if is_file else pa.ipc.new_stream
        with new_writer(str(file), made.table.schema, options=options) as writer:
            for number, batch in enumerate(made.table.to_batches(max_chunksize=data.draw(st.integers(1, 12)))):
                writer.write_batch(batch, custom_metadata={"number": str(number)})
        output = rewritten(ArrowTable(str(file)), Path(folder), edits)
        (before, notes, schema), (after, new_notes, new_schema) = ipc_batches(file), ipc_batches(output)
        form = _form(ArrowTable(str(output)))
    check_schema(schema, new_schema, edits)
    check_others(before, after, made.position, edits)
    check_dictionaries(before, after, made.position)
    check_labels(made.table, pa.Table.from_batches(after, new_schema), made.position, edits)
    assert new_notes == notes
    assert (form.is_file, form.codec) == (is_file, codec)


def test_a_stream_may_have_a_dictionary_for_every_batch(tmp_path: Path) -> None:
    dictionaries = (["pos", "neg", "unused"], ["neg", "pos"], ["neg"])
    batches = [
        pa.RecordBatch.from_arrays(
            [pa.DictionaryArray.from_arrays(pa.array([0, None, 0], pa.int8()), pa.array(members))], ["label"]
        )
        for members in dictionaries
    ]
    with pa.ipc.new_stream(str(tmp_path / "data.arrow"), batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    edits = Edits("data", 9, "label", {4: "neg", 8: "new"}, frozenset(), keep_original=False)
    after, _, _ = ipc_batches(rewritten(ArrowTable(str(tmp_path / "data.arrow")), tmp_path, edits))
    assert [batch.column(0).dictionary.to_pylist() for batch in after] == [*map(list, dictionaries[:2]), ["neg", "new"]]
    assert [batch.column(0).to_pylist() for batch in after] == [
        ["pos", None, "pos"],
        ["neg", "neg", "neg"],
        ["neg", None, "new"],
    ]


# --- Parquet ---


def parquet_groups(file: Path) -> list[pa.RecordBatch]:
    with pq.ParquetFile(file) as opened:
        return [opened.read_row_group(group).combine_chunks().to_batches()[0] for group in range(opened.num_row_groups)]


def chunk_bytes(file: Path) -> dict[tuple[int, int], bytes]:
    """The bytes of every column chunk, by row group and leaf."""
    content, metadata, found = file.read_bytes(), pq.read_metadata(file), {}
    for group in range(metadata.num_row_groups):
        for leaf in range(metadata.num_columns):
            column = metadata.row_group(group).column(leaf)
            start = column.dictionary_page_offset or column.data_page_offset
            found[group, leaf] = content[start : start + column.total_compressed_size]
    return found


PARQUET_FORMS = st.fixed_dictionaries(
    {
        "row_group_size": st.integers(1, 12),
        "compression": st.sampled_from(["none", "snappy", "gzip", "zstd", "brotli", {"label": "zstd"}]),
        "use_dictionary": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "write_page_index": st.booleans(),
    }
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), PARQUET_FORMS)
def test_any_parquet_table_keeps_all_but_the_changed_labels(data: Any, form: Mapping[str, Any]) -> None:
    made = data.draw(tables(views=False))
    edits = data.draw(edits_of(made, whole=False))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.parquet"
        pq.write_table(made.table, file, **form)
        output = rewritten(ParquetTable(str(file)), Path(folder), edits)
        before, after = parquet_groups(file), parquet_groups(output)
        schemas = [pq.read_schema(each) for each in (file, output)]
        metadata = [pq.read_metadata(each) for each in (file, output)]
        chunks = [chunk_bytes(each) for each in (file, output)]
        indexed = [page_headers(each) for each in (file, output)]
    check_schema(schemas[0], schemas[1], edits)
    check_others(before, after, made.position, edits)
    check_labels(made.table, pa.Table.from_batches(after, schemas[1]), made.position, edits)
    if form["use_dictionary"]:
        check_dictionaries(before, after, made.position)
    assert chunks[0].keys() == chunks[1].keys()
    assert len({leaf for (group, leaf), content in chunks[0].items() if chunks[1][group, leaf] != content}) <= 1
    assert all(indexed[0][place] == headers for place, headers in indexed[1].items())
    for group, leaf in chunks[0]:
        old, new = (each.row_group(group).column(leaf) for each in metadata)
        assert (new.path_in_schema, new.compression) == (old.path_in_schema, old.compression)


def page_headers(file: Path) -> dict[tuple[int, int], list[bytes]]:
    """What stands where the page indexes say that pages begin: 16 bytes of each page, by row group and leaf."""
    found: dict[tuple[int, int], list[bytes]] = {}
    with pa.OSFile(str(file)) as opened:
        content = file.read_bytes()
        for group, row_group in enumerate(ParquetChunks(opened, str(file))._groups):
            for leaf, chunk in enumerate(row_group[1][1][1]):
                if OFFSET_INDEX not in chunk:
                    continue
                begin, length = chunk[OFFSET_INDEX][1], chunk[OFFSET_INDEX_LENGTH][1]
                index, end = read_struct(content, begin)
                assert end == begin + length
                places = [location[LOCATION_OFFSET][1] for location in index[LOCATIONS][1][1]]
                found[group, leaf] = [content[place : place + 16] for place in places]
    return found


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), PARQUET_FORMS)
def test_any_parquet_table_loses_rows_and_gains_columns(data: Any, form: Mapping[str, Any]) -> None:
    made = data.draw(tables(views=False))
    edits = data.draw(edits_of(made, whole=True))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.parquet"
        pq.write_table(made.table, file, **form)
        output = rewritten(ParquetTable(str(file)), Path(folder), edits)
        before, written = parquet_groups(file), parquet_groups(output)
        schemas = [pq.read_schema(each) for each in (file, output)]
        metadata = [pq.read_metadata(each) for each in (file, output)]
    after, first = [], 0
    for batch in before:  # a row group that loses all of its rows is gone
        rows = set(range(first, first := first + batch.num_rows))
        after.append(batch.slice(0, 0) if rows <= edits.dropped else written.pop(0))
    check_schema(schemas[0], schemas[1], edits)
    check_others(before, after, made.position, edits, written=bool(form["use_dictionary"]) and not edits.dropped)
    left = [batch for batch in after if batch.num_rows]
    check_labels(made.table, pa.Table.from_batches(left, schemas[1]), made.position, edits)
    for leaf in range(metadata[0].num_columns if left else 0):
        old, new = (each.row_group(0).column(leaf) for each in metadata)
        assert (new.path_in_schema, new.compression) == (old.path_in_schema, old.compression)


# --- what Arrow's own writer would lose ---


def test_times_of_the_old_kind_and_sort_orders_survive(tmp_path: Path) -> None:
    """INT96 holds years that nanoseconds of 64 bits do not; a sort order by the label holds no longer."""
    times = [datetime.datetime(year, 7, 1, tzinfo=datetime.UTC) for year in (1500, 2024, 9000)]
    table = pa.table({"when": pa.array(times, pa.timestamp("us", "UTC")), "label": ["a", "b", "c"], "n": [1, 2, 3]})
    sorting = [pq.SortingColumn(1), pq.SortingColumn(2)]
    file = tmp_path / "data.parquet"
    pq.write_table(table, file, use_deprecated_int96_timestamps=True, sorting_columns=sorting, row_group_size=2)
    edits = Edits("data", 3, "label", {0: "c"}, frozenset(), keep_original=False)
    output = rewritten(ParquetTable(str(file)), tmp_path, edits)
    with pq.ParquetFile(output, coerce_int96_timestamp_unit="us") as after:
        assert after.metadata.row_group(0).column(0).physical_type == "INT96"
        assert [after.metadata.row_group(group).sorting_columns for group in (0, 1)] == [(), tuple(sorting)]
        whole = after.read()
    assert whole.column("label").to_pylist() == ["c", "b", "c"]
    assert [when.year for when in whole.column("when").cast(pa.timestamp("us")).to_pylist()] == [1500, 2024, 9000]
    with pytest.raises(DataError, match="'when' holds times as INT96"):
        rewrite(ParquetTable(str(file)), tmp_path / "new", dataclasses.replace(edits, dropped=frozenset({1})))


def test_polars_reads_its_categories_and_enums_as_it_wrote_them(tmp_path: Path) -> None:
    frame = pl.DataFrame({"label": ["pos", "neg", None, "pos"], "tags": [["a"], [], None, ["b"]]})
    kinds = {"cat": pl.Categorical, "enum": pl.Enum(["unused", "pos", "neg"]), "text": pl.String}
    for name, kind in kinds.items():
        typed = frame.with_columns(pl.col("label").cast(kind), pl.col("tags").cast(pl.List(pl.Categorical)))
        edits = Edits("data", 4, "label", {2: "pos", 3: "neg"}, frozenset(), keep_original=False)
        for suffix, write, read in (
            ("arrow", pl.DataFrame.write_ipc, pl.read_ipc),
            ("parquet", pl.DataFrame.write_parquet, pl.read_parquet),
        ):
            folder = tmp_path / f"{name}-{suffix}"
            folder.mkdir()
            file = folder / f"data.{suffix}"
            write(typed, file)
            table = ArrowTable(str(file)) if suffix == "arrow" else ParquetTable(str(file))
            after = read(rewritten(table, folder, edits))
            assert after["label"].to_list() == ["pos", "neg", "pos", "neg"]
            assert after.schema == typed.schema
            assert after["tags"].to_list() == frame["tags"].to_list()
            if name == "enum":
                with pytest.raises(LabelError, match=r"'new'.*is an Enum of unused, pos, neg"):
                    rewrite(table, folder / "new", dataclasses.replace(edits, labels={0: "new"}))


def test_what_a_column_cannot_hold_is_refused(tmp_path: Path) -> None:
    full = pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array([f"m{member}" for member in range(128)]))
    columns = {"128 members": full, "int8 values": pa.array([1], pa.int8()), "bool values": pa.array([True])}
    for says, column in columns.items():
        file = tmp_path / "data.arrow"
        with pa.ipc.new_file(str(file), pa.schema([pa.field("label", column.type)])) as writer:
            writer.write_batch(pa.RecordBatch.from_arrays([column], ["label"]))
        edits = Edits("data", 1, "label", {0: "300"}, frozenset(), keep_original=False)
        with pytest.raises(LabelError, match=f"'300', which column 'label' cannot hold.*{says}"):
            rewrite(ArrowTable(str(file)), tmp_path / "out.arrow", edits)
        assert not (tmp_path / "out.arrow").exists()


def test_a_file_s_own_metadata_stays(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("label", pa.string())])
    with pa.ipc.new_file(str(tmp_path / "data.arrow"), schema, metadata={"mine": "kept"}) as writer:
        writer.write_batch(pa.record_batch([pa.array(["a"])], schema=schema))
    edits = Edits("data", 1, "label", {0: "b"}, frozenset(), keep_original=False)
    output = rewritten(ArrowTable(str(tmp_path / "data.arrow")), tmp_path, edits)
    assert dict(pa.ipc.open_file(str(output)).metadata) == {b"mine": b"kept"}


@given(st.integers(0, 40), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=300), st.integers(0, 20), st.booleans())
def test_metadata_is_written_as_it_was_read(number: int, integer: int, text: bytes, items: int, truth: bool) -> None:
    inner = {1: (STRUCT, {number + 1: (I64, integer)}), 17: (TRUE if truth else FALSE, truth)}
    struct = {
        number + 1: (BINARY, text),
        number + 20: (LIST, (STRUCT, [inner] * items)),
        number + 60: (LIST, (TRUE, [1] * items)),
        number + 61: (I32, integer >> 32),
    }
    content = write_struct(struct)
    assert read_struct(b"x" + content + b"y", 1) == (struct, len(content) + 1)
