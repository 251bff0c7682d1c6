"""Names of classes from config.json: from the table that has some, in the order of the logits, or a refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.errors import ExportError
from scorer.export.checkpoint.class_names import class_names

GENERIC = {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}
GENERIC_INDICES = {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
REAL = {"0": "sport", "1": "world", "2": "tech"}
REAL_INDICES = {"sport": 0, "world": 1, "tech": 2}
NAMES = ("sport", "world", "tech")


@pytest.mark.parametrize(
    ("id2label", "label2id", "expected"),
    [
        (REAL, REAL_INDICES, NAMES),
        (REAL, None, NAMES),
        (REAL, {}, NAMES),
        (REAL, GENERIC_INDICES, NAMES),
        (REAL, {"LABEL_0": 0, "LABEL_1": 1}, NAMES),  # transformers' own, for two classes
        ({"2": "tech", "0": "sport", "1": "world"}, None, NAMES),
        (REAL, {"Sport": 0, "WORLD ": "1", "tech": 2.0}, NAMES),  # the same in another spelling
        ({"0": "Pos", "1": "pos", "2": "POS"}, {"Pos": 0, "pos": 1, "POS": 2}, ("Pos", "pos", "POS")),
        (REAL, {"sport": 0}, NAMES),  # says less, and nothing else
        (REAL, {**REAL_INDICES, "technology": 2}, NAMES),  # another name of the same class
        (GENERIC, REAL_INDICES, NAMES),
        ({"0": "LABEL_0", "1": "LABEL_1"}, REAL_INDICES, NAMES),  # transformers' own, for two classes
        ({"0": "0", "1": "1", "2": "2"}, REAL_INDICES, NAMES),
        ({"0": 0, "1": 1, "2": 2}, {"tech": "2", "sport": "0", "world": "1"}, NAMES),
        (None, REAL_INDICES, NAMES),
        ({}, {"world": 1.0, "tech": 2.0, "sport": 0.0}, NAMES),
        (GENERIC, GENERIC_INDICES, tuple(GENERIC_INDICES)),
        (GENERIC, None, tuple(GENERIC_INDICES)),
        (None, GENERIC_INDICES, None),
        (None, None, None),
        ({"0": 1, "1": 2.5, "2": "x"}, None, ("1", "2.5", "x")),
        ({"0": False, "1": True}, {"False": 0, "True": 1}, ("false", "true")),
        ({"0": " pos", "1": "neg "}, None, (" pos", "neg ")),
        ({"0": "LABEL_1", "1": "LABEL_0"}, {"LABEL_1": 0, "LABEL_0": 1}, ("LABEL_1", "LABEL_0")),
    ],
)
def test_names_come_from_the_table_that_has_them(id2label: Any, label2id: Any, expected: tuple[str, ...]) -> None:
    names, notice = class_names({"id2label": id2label, "label2id": label2id}, "checkpoint")
    assert names == expected
    assert (notice is not None) == (expected == NAMES and "sport" not in json.dumps(id2label))


@pytest.mark.parametrize(
    ("id2label", "label2id", "fragments"),
    [
        # contradictions are shown from both sides
        (REAL, {"world": 0, "tech": 1, "sport": 2}, ["0: sport", "world: 0", "contradict"]),
        (REAL, {"sport": 1, "world": 0, "tech": 2}, ["0: sport", "sport: 1"]),
        (REAL, {"sports": 0, "world": 1, "tech": 2}, ["0: sport", "sports: 0"]),
        (REAL, {**REAL_INDICES, "other": 3}, ["other: 3"]),
        ({"0": "neg", "1": "pos"}, {"neg": 1, "pos": 0}, ["0: neg", "neg: 1"]),
        ({"0": "LABEL_0", "1": "pos"}, {"neg": 0, "pos": 1}, ["0: LABEL_0", "neg: 0"]),
        (GENERIC, {"LABEL_0": 2, "LABEL_1": 1, "LABEL_2": 0}, ["0: LABEL_0", "LABEL_0: 2"]),
        ({"0": 0, "1": 1, "2": 2}, {"1": 0, "2": 1, "3": 2}, ["0: 0", "1: 0"]),
        # no names
        ({"0": None, "1": "pos"}, None, ["class 0", "null"]),
        ({"0": "neg", "1": ""}, None, ["class 1", '""']),
        ({"0": "neg", "1": " \t"}, None, ["class 1"]),
        ({"0": {"name": "neg"}, "1": "pos"}, None, ["class 0", '{"name": "neg"}']),
        ({"0": "neg", "1": ["pos", "good"]}, None, ["class 1", '["pos", "good"]']),
        ({"0": "neg", "1": "neg"}, None, ["'neg'", "more than one class (0, 1)"]),
        ({"0": 1, "1": "1"}, None, ["'1'", "more than one class"]),
        (["neg", "pos"], None, ["id2label", "not a table", '["neg", "pos"]']),
        ({"neg": 0, "pos": 1}, None, ["id2label", "not a table from class index to name"]),
        ({"0": "neg", "-1": "pos"}, None, ["not a table"]),
        ({"1": "neg", "2": "pos"}, None, ["none for class 0"]),
        # label2id
        (None, ["neg", "pos"], ["label2id", "not a table"]),
        (GENERIC, {"sport": 1, "world": 2, "tech": 3}, ["label2id", "none for class 0"]),
        (None, {"neg": 0, "negative": 0, "pos": 1}, ["class 0", "'neg' and 'negative'"]),
        (None, {"neg": "first", "pos": 1}, ["'neg'", '"first"']),
        (None, {"neg": None, "pos": 1}, ["'neg'", "null"]),
        (None, {"neg": False, "pos": True}, ["'neg'", "false"]),
        (None, {"neg": 0.5, "pos": 1}, ["'neg'", "0.5"]),
        (None, {"neg": -1, "pos": 1}, ["'neg'", "-1"]),
        (None, {"": 0, "pos": 1}, ["class 0", "blank"]),
        (REAL, {"sport": [0]}, ["'sport'", "[0]"]),
    ],
)
def test_tables_that_cannot_be_right_are_refused_with_what_they_are(
    id2label: Any, label2id: Any, fragments: list[str]
) -> None:
    with pytest.raises(ExportError) as refused:
        class_names({"id2label": id2label, "label2id": label2id}, "checkpoint")
    message = str(refused.value)
    assert "config.json of 'checkpoint'" in message or "'checkpoint' gives the name" in message
    assert all(fragment in message for fragment in fragments), message


names_of_classes = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1).filter(str.strip),
    min_size=2,
    max_size=6,
    unique=True,
).map(tuple)


@given(names=names_of_classes, data=st.data())
def test_every_way_to_write_the_names_gives_the_names(names: tuple[str, ...], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(names))))
    index = data.draw(st.sampled_from([int, str, float]))
    by_index = {str(i): names[i] for i in order}
    by_name = {names[i]: index(i) if index is not str else str(i) for i in order}
    generic = {str(i): f"LABEL_{i}" for i in order}
    table = data.draw(st.sampled_from([(by_index, by_name), (by_index, None), (generic, by_name), (None, by_name)]))
    found, _ = class_names(json.loads(json.dumps({"id2label": table[0], "label2id": table[1]})), "checkpoint")
    if all(name in (f"LABEL_{i}", str(i)) for i, name in enumerate(names)):  # no names at all
        assert found in (None, names, tuple(f"LABEL_{i}" for i in range(len(names))))
    else:
        assert found == names


@given(names=names_of_classes, data=st.data())
def test_another_order_is_never_taken(names: tuple[str, ...], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(names))).filter(lambda order: list(order) != sorted(order)))
    by_name = dict(zip(names, order, strict=True))
    tables = {"id2label": {str(i): name for i, name in enumerate(names)}, "label2id": by_name}
    try:
        found, _ = class_names(tables, "checkpoint")
    except ExportError:
        return
    # One of the two says nothing, or names that fold into each other stand for each other.
    taken_from_indices = tuple(sorted(names, key=by_name.__getitem__))
    folded = [name.strip().casefold() for name in names]
    assert found in (names, taken_from_indices)
    assert any(name in (f"LABEL_{i}", str(i)) for i, name in enumerate(names)) or len(set(folded)) < len(folded)
