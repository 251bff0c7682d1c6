"""The data's labels in the model's terms: what is accepted, and what stops the run with both lists."""

from __future__ import annotations

import pyarrow as pa
import pytest

from scorer.errors import LabelError
from scorer.labels import MISSING, UNKNOWN, resolve_labels
from scorer.sources.label_column import check_label_type

NEWS = ("World", "Sports", "Business", "Sci/Tech")
GENERIC = ("LABEL_0", "LABEL_1")


def encode(values: list, counts: dict | None = None, model: tuple[str, ...] = NEWS, **options: object) -> list[int]:
    """Settle the labels of `counts` (or of the values themselves) and encode the values, as text all of them."""
    counts = counts if counts is not None else dict.fromkeys(values, 10)
    counts = {value if value is None else str(value): rows for value, rows in counts.items()}
    array = pa.array([value if value is None else str(value) for value in values], pa.large_string())
    return resolve_labels(counts, model, **options).encode(array).tolist()


def test_integers_are_class_indices() -> None:
    assert encode([0, 3, 1]) == [0, 3, 1]


def test_numeric_strings_are_class_indices() -> None:
    assert encode(["0", " 3 ", "1", "2.0"]) == [0, 3, 1, 2]


def test_codes_are_no_numbers() -> None:
    counts = {"0": 50, "1": 50, "01": 1, "+1": 1, "1e0": 1, "1_0": 1, "²": 1}
    assert encode(list(counts), counts) == [0, 1, *[UNKNOWN] * 5]


def test_names_are_matched_whatever_their_case() -> None:
    assert encode(["sports", "WORLD", " Sci/tech ", "Business"]) == [1, 0, 3, 2]


@pytest.mark.parametrize("missing", [None, -1, -100, "-1.0", "", "  "])
def test_missing_labels_among_integers(missing: int | str | None) -> None:
    assert encode([0, missing], {0: 100, missing: 5}) == [0, MISSING]


@pytest.mark.parametrize("missing", [None, "", "  ", "-1", "-100"])
def test_missing_labels_among_names(missing: str | None) -> None:
    assert encode(["World", missing], {"World": 100, missing: 5}) == [0, MISSING]


def test_integers_outside_the_classes_are_unknown() -> None:
    assert encode([0, 4, 99, -5]) == [0, UNKNOWN, UNKNOWN, UNKNOWN]


def test_stray_names_are_unknown_when_every_class_is_found() -> None:
    assert encode(["World", "???"], dict.fromkeys(NEWS, 100) | {"???": 3}) == [0, UNKNOWN]


def test_a_missing_class_beside_a_stray_name_stops_the_run() -> None:
    with pytest.raises(LabelError, match="'Tech'") as stop:
        encode(["World"], {"World": 100, "Sports": 100, "Business": 100, "Tech": 1})
    assert "labels in the data" in str(stop.value)
    assert "3 = 'Sci/Tech'" in str(stop.value)


def test_many_stray_names_stop_the_run() -> None:
    with pytest.raises(LabelError, match="match no label"):
        encode(["World"], dict.fromkeys(NEWS, 100) | {"Weather": 300})


def test_class_label_names_are_aligned_by_name() -> None:
    names = ("sci/tech", "world", "sports", "business")
    assert encode([0, 1, 2, 3, -1], class_names=names) == [3, 0, 1, 2, MISSING]


def test_class_label_names_that_no_row_uses_do_not_matter() -> None:
    assert encode([1, 2], class_names=("unused", "world", "sports")) == [0, 1]


def test_class_label_names_that_do_not_match_stop_the_run() -> None:
    with pytest.raises(LabelError, match="'politics'") as stop:
        encode([0, 1], class_names=("politics", "sports"))
    assert "--labels-by-index" in str(stop.value)
    assert "--label-map" in str(stop.value)


def test_a_model_without_names_needs_help_with_named_data() -> None:
    with pytest.raises(LabelError, match="no label names of its own"):
        encode([0, 1], model=GENERIC, class_names=("neg", "pos"))
    with pytest.raises(LabelError, match="no label names of its own"):
        encode(["neg", "pos"], model=GENERIC)
    assert encode([0, 1], model=GENERIC, class_names=("neg", "pos"), by_index=True) == [0, 1]
    assert encode(["neg", "pos"], model=GENERIC, label_map={"neg": "LABEL_0", "pos": 1}) == [0, 1]


def test_a_model_without_names_takes_plain_integers_and_its_own_names() -> None:
    assert encode([0, 1], model=GENERIC) == [0, 1]
    assert encode(["LABEL_1", "label_0"], model=GENERIC) == [1, 0]


def test_names_that_are_numbers_in_another_order_are_ambiguous() -> None:
    with pytest.raises(LabelError, match="another order"):
        encode([1, 2], model=("1", "2", "3"))
    assert encode([1, 2], model=("1", "2", "3"), by_index=True) == [1, 2]
    assert encode([1, 2], model=("1", "2", "3"), label_map={"1": "1", "2": "2"}) == [0, 1]
    assert encode([0, 1], model=("0", "1")) == [0, 1]


def test_labels_that_start_at_one_stop_the_run() -> None:
    with pytest.raises(LabelError, match="shifted by one"):
        encode([1, 2, 3, 4])
    assert encode([1, 2, 3, 4], by_index=True) == [1, 2, 3, UNKNOWN]


def test_label_map_translates_and_drops() -> None:
    mapping = {"good": "Sports", "bad": 0, "unclear": None}
    assert encode(["good", "bad", "unclear", None], label_map=mapping) == [1, 0, MISSING, MISSING]


def test_label_map_speaks_of_class_label_names() -> None:
    mapping = {"politics": "World", "other": None}
    assert encode([0, 1], class_names=("politics", "other"), label_map=mapping) == [0, MISSING]


def test_label_map_must_say_something_of_every_label() -> None:
    with pytest.raises(LabelError, match="says nothing of 1 of the data's labels: 'bad'"):
        encode(["good", "bad"], label_map={"good": 0})


@pytest.mark.parametrize("target", ["Weather", 4, -1])
def test_label_map_must_lead_to_labels_of_the_model(target: object) -> None:
    with pytest.raises(LabelError, match="no label of the model"):
        encode(["good"], label_map={"good": target})


def test_names_by_index_are_refused() -> None:
    with pytest.raises(LabelError, match="holds names"):
        encode(["World"], by_index=True)


def test_names_that_differ_in_case_only_are_matched_exactly() -> None:
    assert encode(["a", "A"], model=("A", "a")) == [1, 0]


@pytest.mark.parametrize("data_type", [pa.list_(pa.int64()), pa.date32(), pa.timestamp("s"), pa.struct([])])
def test_label_columns_of_other_types_are_refused(data_type: pa.DataType) -> None:
    with pytest.raises(LabelError, match="label column 'y' of data"):
        check_label_type(data_type, "y", "data")


def test_fractions_are_named_as_such() -> None:
    assert encode(["0.0", "1.0"]) == [0, 1]
    with pytest.raises(LabelError, match="soft labels"):
        encode(["0.1", "0.9"])


def test_no_rows_encode_to_no_labels() -> None:
    assert resolve_labels({"0": 1}, NEWS).encode(pa.array([], pa.large_string())).size == 0
