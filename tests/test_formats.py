"""Every format that a name can stand for is whole: read from any row on, and written anew with labels changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.feather
import pytest

from scorer.sources.columns.values import label_values
from scorer.sources.formats.formats import FORMATS, open_table
from scorer.sources.storage.edits import Edits
from scorer.sources.storage.table import Table

ROWS = 30
FRAME = pl.DataFrame(
    {
        "id": list(range(ROWS)),
        "text": [f'row {n}, "quoted" \u00e4' for n in range(ROWS)],
        "label": ["cat" if n % 3 else "dog" for n in range(ROWS)],
    }
)


def lines(frame: pl.DataFrame, path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dicts()), encoding="utf-8")


def stream(frame: pl.DataFrame, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, frame.to_arrow().schema) as writer:
        writer.write_table(frame.to_arrow(), max_chunksize=7)


WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    ".parquet": lambda frame, path: frame.write_parquet(path, row_group_size=8),
    ".pq": lambda frame, path: frame.write_parquet(path, row_group_size=8),
    ".arrow": stream,
    ".feather": lambda frame, path: pyarrow.feather.write_feather(frame.to_arrow(), str(path), chunksize=7),
    ".ipc": lambda frame, path: frame.write_ipc(path),
    ".csv": lambda frame, path: frame.write_csv(path),
    ".tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    ".jsonl": lines,
    ".ndjson": lines,
    ".json": lambda frame, path: path.write_text(json.dumps(frame.to_dicts(), indent=1), encoding="utf-8"),
}


@pytest.fixture(params=FORMATS)
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Table:
    """A file of the format; a format without a writer here is not whole."""
    path = tmp_path / f"data{request.param}"
    WRITERS[request.param](FRAME, path)
    return open_table(str(path))


def values(table: Table, column: str, start: int = 0) -> list[str]:
    return [value for batch in table.batches([column], start) for value in label_values(batch.column(0)).to_pylist()]


def test_it_is_read_from_any_row_on(table: Table) -> None:
    assert set(table.schema().names) == set(FRAME.columns)
    for column in FRAME.columns:
        whole = [str(value) for value in FRAME[column].to_list()]
        for start in (0, 1, 7, 8, ROWS - 1, ROWS):
            assert values(table, column, start) == whole[start:]


def test_every_column_comes_with_a_type(table: Table) -> None:
    schema, batches = table.all_columns("label")
    found = pa.Table.from_batches(list(batches), schema)
    assert found.column_names == FRAME.columns
    assert [str(value) for value in found.column("id").to_pylist()] == [str(n) for n in range(ROWS)]
    assert found.column("label").to_pylist() == FRAME["label"].to_list()


def test_it_is_written_anew_with_labels_changed_and_nothing_else(table: Table, tmp_path: Path) -> None:
    place = Path(table.name)
    output = tmp_path / f"output{place.suffix}"
    nothing = Edits(table.name, ROWS, "label", {}, frozenset(), keep_original=False)
    table.rewrite(output, nothing)
    assert pl.DataFrame([values(open_table(str(output)), name) for name in FRAME.columns]).equals(
        pl.DataFrame([values(table, name) for name in FRAME.columns])
    )
    if place.suffix in {".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".pq"}:
        assert output.read_bytes() == place.read_bytes()
    changed = Edits(table.name, ROWS, "label", {3: "cat", 4: "dog"}, frozenset({7}), keep_original=False)
    table.rewrite(output, changed)
    expected = FRAME["label"].to_list()
    expected[3], expected[4] = "cat", "dog"
    del expected[7]
    assert values(open_table(str(output)), "label") == expected
    assert values(open_table(str(output)), "text") == [text for n, text in enumerate(FRAME["text"]) if n != 7]


def test_a_table_that_was_changed_meanwhile_is_refused(table: Table, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="rows now"):
        table.rewrite(tmp_path / "output", Edits(table.name, ROWS + 1, "label", {2: "dog"}, frozenset(), False))
