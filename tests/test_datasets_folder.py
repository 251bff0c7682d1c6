"""Folders of `datasets`: every value keeps its type, whatever the data came in, and labels become classes."""

from __future__ import annotations

import datetime
import decimal
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scorer.errors import DataError
from scorer.labels import resolve_labels
from scorer.review.correct.datasets_folder import Classes, write_folder
from scorer.sources.formats.columnar import ArrowTable, ParquetTable
from scorer.sources.formats.json_columns import JsonColumns
from scorer.sources.formats.json_lines import JsonTable
from scorer.sources.storage.edits import Edits
from scorer.sources.storage.table import Table

datasets = pytest.importorskip("datasets", reason="needs the extra `hub`")

NAMES = ("neg", "pos")


def folder_of(table: Table, labels: list[str | None], changes: dict[int, str], output: Path) -> Any:
    """The folder of a table whose rows have these labels, loaded."""
    counts = {label: labels.count(label) for label in set(labels)}
    encoder = resolve_labels({**counts, "neg": 1, "pos": 1}, NAMES)
    edits = Edits(table.name, len(labels), "label", changes, frozenset(), keep_original=False)
    write_folder([table], [edits], Classes(NAMES, encoder, None, list(counts)), output)
    return datasets.load_from_disk(str(output))


texts = st.sampled_from(
    ["", "2024-01-01", "2024-01-01 10:00:00", "1", "1.0", "true", "null", "[1]", '{"a":1}', "é😀\n"]
)
whole = st.integers(-(2**40), 2**40)
simple = st.none() | st.booleans() | whole | st.integers(-9999, 9999).map(lambda n: n / 8) | texts
values = st.recursive(
    simple, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
)
# A column holds values of one kind, as most do, or whatever comes.
columns = st.sampled_from(
    [texts, whole, st.booleans(), st.lists(texts), st.fixed_dictionaries({"a": whole, "b": texts}), simple, values]
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_json_keeps_its_values(data: Any) -> None:
    kinds = data.draw(st.lists(columns, max_size=3))
    rows = data.draw(st.integers(1, 5))
    documents = []
    for row in range(rows):
        document = {f"c{number}": data.draw(kind) for number, kind in enumerate(kinds) if data.draw(st.integers(0, 4))}
        documents.append({"text": f"row {row}", **document, "label": data.draw(st.sampled_from([*NAMES, None]))})
    changes = data.draw(st.dictionaries(st.integers(0, rows - 1), st.sampled_from(NAMES)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.jsonl"
        file.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")
        table = JsonTable(str(file))
        if not hasattr(datasets, "Json") and None in JsonColumns(table).types.values():
            return  # this version has no column for values of several kinds
        after = folder_of(table, [document["label"] for document in documents], changes, Path(folder) / "out").to_list()
    names = {name for document in documents for name in document}
    for row, document in enumerate(documents):
        label = changes.get(row, document["label"])
        expected = dict.fromkeys(names) | document | {"label": None if label is None else NAMES.index(label)}
        assert repr(sorted(after[row].items())) == repr(sorted(normal(expected, after[row]).items()))


def normal(document: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """Whole numbers of a column of floats are floats."""
    return {name: _normal(value, like[name]) for name, value in document.items()}


def _normal(value: Any, like: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and isinstance(like, float):
        return float(value)
    if isinstance(value, list) and isinstance(like, list) and len(value) == len(like):
        return [_normal(each, other) for each, other in zip(value, like, strict=True)]
    if isinstance(value, dict) and isinstance(like, dict) and value.keys() == like.keys():
        return {key: _normal(each, like[key]) for key, each in value.items()}
    return value


def test_json_of_several_kinds_and_long_lines_are_kept(tmp_path: Path) -> None:
    documents = [
        {"text": "bad " * 500_000, "label": "neg", "meta": {"a": 1}, "n": 2**63, "day": "2024-01-01", "mixed": 1},
        {"text": "good", "label": "pos", "meta": {"b": [1, "x"]}, "n": 1, "day": "2024-01-02", "mixed": "one"},
    ]
    file = tmp_path / "data.jsonl"
    file.write_text("\ufeff" + "\n\n".join(map(json.dumps, documents)), encoding="utf-8")
    types = JsonColumns(JsonTable(str(file))).types
    assert {name for name, data_type in types.items() if data_type is None} == {"meta", "n", "mixed"}
    after = folder_of(JsonTable(str(file)), ["neg", "pos"], {0: "pos"}, tmp_path / "out")
    assert after.features["day"] == datasets.Value("string")
    if hasattr(datasets, "Json"):
        assert after.to_list() == [documents[0] | {"label": 1}, documents[1] | {"label": 1}]


def test_types_and_features_of_other_columns_stay(tmp_path: Path) -> None:
    """ClassLabels and sequences of a saved data set, and Arrow's types that `datasets` knows."""
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["pos", "neg"]),
            "topic": datasets.ClassLabel(names=["a", "b"]),
            "spans": [{"start": datasets.Value("int16"), "name": datasets.Value("string")}],
            "vector": datasets.Sequence(datasets.Value("float16"), length=2),
        }
    )
    columns = {
        "text": ["one", "two", "three"],
        "label": [0, -1, None],
        "topic": [1, 0, None],
        "spans": [[{"start": 1, "name": "x"}], [], None],
        "vector": [[0.5, 1.0], None, [2.0, 3.0]],
    }
    before = datasets.Dataset.from_dict(columns, features=features)
    before.save_to_disk(str(tmp_path / "saved"))
    file = next((tmp_path / "saved").glob("*.arrow"))
    encoder = resolve_labels({"0": 1, "-1": 1, None: 1}, NAMES, class_names=("pos", "neg"))
    edits = Edits("data", 3, "label", {0: "1"}, frozenset(), keep_original=False)
    write_folder(
        [ArrowTable(str(file))], [edits], Classes(NAMES, encoder, ("pos", "neg"), ["0", "-1", None]), tmp_path / "out"
    )
    after = datasets.load_from_disk(str(tmp_path / "out"))
    assert after["label"][:] == [0, -1, None]
    others = ["text", "topic", "spans", "vector"]
    assert after.select_columns(others).to_list() == before.select_columns(others).to_list()
    assert {name: after.features[name] for name in others} == {name: before.features[name] for name in others}


def test_arrow_types_stay_or_are_refused(tmp_path: Path) -> None:
    moment = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    table = pa.table(
        {
            "text": pa.array(["one", "two"]).cast(pa.large_string()),
            "label": pa.array(["neg", "pos"]).dictionary_encode(),
            "when": pa.array([moment, None], pa.timestamp("ms", "Europe/Berlin")),
            "price": pa.array([decimal.Decimal("1.20"), None], pa.decimal128(10, 2)),
            "group": pa.array(["x", None]).dictionary_encode(),
            "small": pa.array([1, None], pa.uint8()),
        }
    )
    pq.write_table(table, tmp_path / "data.parquet")
    after = folder_of(ParquetTable(str(tmp_path / "data.parquet")), ["neg", "pos"], {0: "pos"}, tmp_path / "out")
    assert after["label"][:] == [1, 1]
    others = ["text", "when", "price", "group", "small"]
    assert after.select_columns(others).with_format("arrow")[:].to_pylist() == table.select(others).to_pylist()
    assert (after.features["when"].dtype, after.features["small"].dtype) == ("timestamp[ms, tz=Europe/Berlin]", "uint8")
    for name, column, says in (
        ("twice", pa.array([1, 2]), "several columns named 'twice'"),
        ("m", pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int8())), r"column 'm'.*which `datasets` cannot hold"),
    ):
        other = table.append_column(name, column)
        other = other.append_column(name, column) if name == "twice" else other
        pq.write_table(other, tmp_path / "other.parquet")
        with pytest.raises(DataError, match=says):
            folder_of(ParquetTable(str(tmp_path / "other.parquet")), ["neg", "pos"], {}, tmp_path / name)
        assert not (tmp_path / name).exists()


def test_labels_that_are_none_of_the_model_s_are_not_lost(tmp_path: Path) -> None:
    labels = ["neg", "junk", "", "-1", "-100", None, "spam"]
    lines = [json.dumps({"text": f"row {row}", "label": label}) for row, label in enumerate(labels)]
    (tmp_path / "data.jsonl").write_text("\n".join(lines))
    encoder = resolve_labels(
        dict.fromkeys(labels, 1) | {"neg": 100}, NAMES, label_map={"neg": "neg", "junk": None, "spam": None}
    )
    edits = Edits("data", 7, "label", {}, frozenset(), keep_original=False)
    table = JsonTable(str(tmp_path / "data.jsonl"))
    write_folder([table], [edits], Classes(NAMES, encoder, None, labels), tmp_path / "out")
    after = datasets.load_from_disk(str(tmp_path / "out"))
    assert after.features["label"].names == ["neg", "pos", "junk", "spam"]
    assert after["label"][:] == [0, 2, -1, -1, -1, None, 3]


def test_what_a_saved_folder_says_of_itself_stays(tmp_path: Path) -> None:
    made = datasets.Dataset.from_dict({"text": ["a", "b"], "label": NAMES})
    made.info.description, made.info.license = "mine", "mit"
    made.save_to_disk(str(tmp_path / "saved"))
    tables = [ArrowTable(str(file)) for file in (tmp_path / "saved").glob("*.arrow")]
    edits = [Edits("data", 2, "label", {0: "pos"}, frozenset(), keep_original=False)]
    counts = dict.fromkeys(NAMES, 1)
    write_folder(tables, edits, Classes(NAMES, resolve_labels(counts, NAMES), None, NAMES), tmp_path / "out")
    info = datasets.load_from_disk(str(tmp_path / "out")).info
    assert (info.description, info.license) == ("mine", "mit")
