"""The data's labels in the model's terms: what is accepted, and what stops the run with both lists."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest

from scorer.errors import DataError, LabelError, OutputError
from scorer.labels import MISSING, UNKNOWN, resolve_labels
from scorer.labels.label_map import read_label_map
from scorer.labels.proposal import propose_map, write_map
from scorer.review.correct.spelling import spelled_labels
from scorer.sources.columns.label_column import check_label_type

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


def test_numbers_beside_a_name_are_no_indices_where_a_map_takes_the_name_away() -> None:
    with pytest.raises(LabelError, match=r"takes away '1', which the model has as a name.*Map each"):
        encode([0, 1], model=("1", "0.5"), label_map={"1": None})
    assert encode([0, 1, 7], model=("no", "yes"), label_map={"7": None}) == [0, 1, MISSING]
    assert encode([3, 5, 7], model=("3", "5", "7"), label_map={"7": None}) == [0, 1, MISSING]


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


# --- numbers, truths and names that look like them --------------------------------------------------------------

STARS = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")


@pytest.mark.parametrize("names", [("True", "False"), ("true", "false"), ("TRUE", "FALSE")])
@pytest.mark.parametrize("spelled", [("true", "false"), ("True", "False"), (" TRUE", "FALSE")])
def test_truths_are_names_before_they_are_numbers(names: tuple[str, str], spelled: tuple[str, str]) -> None:
    assert encode(list(spelled), model=names) == [0, 1]


def test_truths_that_are_no_names_are_one_and_zero() -> None:
    for names in (("neg", "pos"), ("no", "yes"), ("not_toxic", "toxic"), GENERIC):
        assert encode(["True", "false"], model=names) == [1, 0]
    assert encode(["true", "false"], model=("1", "0")) == [0, 1]
    settled = resolve_labels({"true": 5, "false": 5}, ("ham", "spam"))
    assert settled.encode_value("true") == 1
    assert "by their position alone" in settled.warnings[0]


@pytest.mark.parametrize("names", [("yes", "no"), ("toxic", "not toxic"), ("neg", "neu", "pos"), ("True", "Maybe")])
def test_truths_that_the_names_contradict_stop_the_run(names: tuple[str, ...]) -> None:
    with pytest.raises(LabelError, match="--label-map"):
        encode(["true", "false"], model=names)


def test_minus_one_is_a_class_where_the_model_or_the_map_names_it() -> None:
    assert encode([-1, 0, 1], model=("-1", "0", "1")) == [0, 1, 2]
    assert encode(["-1.0", "0.0", "1.0"], model=("-1", "0", "1")) == [0, 1, 2]
    sentiment = ("negative", "neutral", "positive")
    assert encode([-1, 0, 1], model=sentiment, label_map={"-1": "negative", "0": 1, "1": 2.0}) == [0, 1, 2]
    with pytest.raises(LabelError, match=r"10 of 30 rows have the label -1.*null"):
        encode([-1, 0, 1], model=sentiment)
    assert encode([-1, 0, 1], model=sentiment, label_map={"-1": None}) == [MISSING, 0, 1]
    asked = resolve_labels({"-1": 10, "0": 10}, sentiment, by_index=True)
    assert asked.encode_value("-1") == MISSING
    assert "10 of 20 rows" in asked.warnings[0]


def test_declared_labels_may_be_missing_on_any_number_of_rows() -> None:
    counts = {"-1": 1_000, "0": 1}
    assert encode([-1, 0], counts, class_names=NEWS) == [MISSING, 0]


def test_codes_with_zeros_are_names() -> None:
    assert encode(["00", "01", "02", "03"], model=("03", "00", "02", "01")) == [1, 3, 2, 0]


def test_numbers_that_are_all_of_the_model_s_names_are_names() -> None:
    one_to_five = ("1", "2", "3", "4", "5")
    assert encode([1, 2, 3, 4, 5], model=one_to_five) == [0, 1, 2, 3, 4]
    assert encode(["1.0", "2.0", "3.0", "4.0", "5.0"], model=one_to_five) == [0, 1, 2, 3, 4]
    assert encode([0, 1, 2], model=("2", "0", "1")) == [1, 2, 0]
    assert encode([1, "x"], dict.fromkeys(range(1, 6), 99) | {"x": 1}, model=one_to_five) == [0, UNKNOWN]
    for sample in ([1, 2, 3, 4], [0, 1, 2], [2]):
        with pytest.raises(LabelError, match=r"name or an index.*--labels-by-index"):
            encode(sample, model=one_to_five)


def test_numbers_that_names_carry_at_another_position_stop_the_run() -> None:
    for names in (STARS, ("one", "two", "three", "four", "five"), ("v1", "v2", "v3", "v4", "v5")):
        with pytest.raises(LabelError, match=r"by its name, or .* by its position"):
            encode([1, 2, 3], model=names)
        with pytest.raises(LabelError, match="by its name"):
            encode([1, 2, 3], {1: 500, 2: 500, 3: 500, 99: 1}, model=names)
        assert encode([0, 1, 4], model=names) == [0, 1, 4]
        assert encode([1, 2], model=names, by_index=True) == [1, 2]
    assert encode([1, 2], model=("class 0", "class 1", "class 2")) == [1, 2]
    assert encode([0, 1, 2], model=("covid19", "sars", "flu")) == [0, 1, 2]


def test_labels_that_seem_to_start_at_one_stop_the_run_without_all_of_them() -> None:
    with pytest.raises(LabelError, match="shifted by one"):
        encode([1, 4])


def test_stray_texts_among_integers_are_unknown() -> None:
    assert encode([0, "?"], {0: 50, 1: 50, "?": 1, "label": 1}) == [0, UNKNOWN]
    assert encode([0, "Sports"], {0: 99, "Sports": 1}) == [0, 1]
    with pytest.raises(LabelError, match="mixed"):
        encode([0, "Sports"], {0: 50, "Sports": 50})


# --- names that differ in writing alone -------------------------------------------------------------------------


def test_names_are_matched_whatever_their_characters_forms() -> None:
    composed = ("économie", "société", "very good", "C++", "Straße")
    data = [unicodedata.normalize("NFD", "économie"), "SOCIÉTÉ", "very\u00a0\u00a0good ", "C\uff0b\uff0b", "STRASSE"]
    assert encode(data, model=composed) == [0, 1, 2, 3, 4]


def test_a_fold_that_fits_two_names_fits_none() -> None:
    counts = {"us": 50, "US": 50, "Us": 1}
    assert encode(["us", "US", "Us"], counts, model=("US", "us")) == [1, 0, UNKNOWN]


def test_spellings_of_one_name_are_one_class_and_it_is_said() -> None:
    settled = resolve_labels({"US": 50, "de": 50, "us": 5, "DE ": 1}, ("US", "de"))
    assert [settled.encode_value(label) for label in ("US", "us", "DE ")] == [0, 0, 1]
    assert "are read as one class: 'US', 'us'; 'de', 'DE '" in settled.warnings[0]
    assert not resolve_labels({"US": 50, " US": 1, "de": 50}, ("US", "de")).warnings


def test_names_that_read_like_nothing_are_names_where_the_model_has_them() -> None:
    names = ("None", "nan", "null", "N/A")
    assert encode(["None", "nan", "null", "N/A", None, ""], model=names) == [0, 1, 2, 3, MISSING, MISSING]
    assert encode(["nan"], dict.fromkeys(NEWS, 50) | {"nan": 1}) == [UNKNOWN]


def test_what_differs_between_names_that_look_alike_is_shown() -> None:
    with pytest.raises(LabelError) as stop:
        encode(["don\u2019t know", "Sport."], model=("don't know", "sport", "C++"))
    assert 'U+2019 RIGHT SINGLE QUOTATION MARK where the model has "\'"' in str(stop.value)
    assert "'Sport.' looks like 'sport': '.' where the model has nothing" in str(stop.value)
    assert "--write-label-map FILE" in str(stop.value)


# --- maps -------------------------------------------------------------------------------------------------------


def test_a_map_speaks_of_truths_and_numbers_however_they_are_written() -> None:
    pair = ("neg", "pos")
    assert encode(["true", "false"], model=pair, label_map={"True": "neg", "FALSE": "pos"}) == [0, 1]
    assert encode(["1.0", "2.0"], model=pair, label_map={"1": "neg", "2": "pos"}) == [0, 1]
    assert encode(["01", "1"], model=pair, label_map={"01": "neg", "1": "pos"}) == [0, 1]
    assert encode(["", "x"], model=pair, label_map={"": "neg", "x": "pos"}) == [0, 1]


def test_targets_are_names_before_they_are_indices() -> None:
    assert encode(["a", "b"], model=("1", "0"), label_map={"a": 1, "b": "0"}) == [0, 1]
    assert encode(["a", "b"], model=("True", "False"), label_map={"a": True, "b": False}) == [0, 1]
    assert encode(["a", "b"], model=("neg", "pos"), label_map={"a": True, "b": False}) == [1, 0]
    with pytest.raises(LabelError, match="by its name or by its index"):
        encode(["a", "b"], model=("1", "2", "3"), label_map={"a": 0, "b": 1})
    with pytest.raises(LabelError, match="by its name or by its index"):
        encode(["a", "b"], model=STARS, label_map={"a": 1, "b": 2})


def test_labels_that_a_map_leaves_out_are_read_by_name_unless_it_turns_names_round() -> None:
    assert encode(["good", "World"], label_map={"good": "Sports"}) == [1, 0]
    for label_map, label in (({"good": "Sports"}, "0"), ({"Sports": "World"}, "World")):
        with pytest.raises(LabelError, match="says nothing of 1"):
            encode([*label_map, label], label_map=label_map)


def test_a_map_that_only_rejects_leaves_the_others_to_themselves() -> None:
    assert encode([0, 1, 7], label_map={"7": None}) == [0, 1, MISSING]
    assert encode([0, 1], class_names=("sports", "spam"), label_map={"spam": None}) == [1, MISSING]


def test_maps_that_contradict_themselves_stop_the_run() -> None:
    pair = ("neg", "pos")
    for label_map in ({"true": "neg", "True": "pos"}, {"1": "neg", "1.0": "pos"}):
        with pytest.raises(LabelError, match="say the same"):
            encode([next(iter(label_map))], model=pair, label_map=label_map)
    assert encode(["US", "us"], model=pair, label_map={"US": "neg", "us": "pos"}) == [0, 1]
    with pytest.raises(LabelError, match=r"'Us' could be any of 'US', 'us'"):
        encode(["US", "Us"], model=pair, label_map={"US": "neg", "us": "pos"})


def test_a_map_may_speak_of_declared_names_that_are_numbers() -> None:
    names = ("1", "2", "3")
    label_map = {"1": "World", "2": "Sports", "3": "Business"}
    assert encode([0, 1, 2], class_names=names, label_map=label_map) == [0, 1, 2]
    with pytest.raises(LabelError, match="could speak of"):
        encode([1], class_names=names, label_map=label_map)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_label_maps_may_begin_with_a_byte_order_mark(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text('{"é": true, "b": 1.0, "c": null}', encoding=encoding)
    assert read_label_map(tmp_path / "map.json") == {"é": True, "b": 1.0, "c": None}


def test_label_maps_name_each_label_once(tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text('{"a": "x", "b": "x", "a": "y"}')
    with pytest.raises(DataError, match="'a' stands there twice"):
        read_label_map(tmp_path / "map.json")


# --- maps that are written for the user -------------------------------------------------------------------------


def test_a_proposal_guesses_what_a_person_would() -> None:
    names = ("card_arrival", "top_up_failed", "société", "C++", "other")
    data = ["Card arrival", "top-up failed", "societe", "c++", "othr", "C#", "weather"]
    counts = {label: 10 - number for number, label in enumerate(data)} | {None: 3, " ": 2}
    assert propose_map(counts, names, None) == {
        **dict(zip(data, names, strict=False)),
        "C#": None,
        "weather": None,
    }


def test_a_proposal_for_numbers() -> None:
    sentiment = ("negative", "neutral", "positive")
    assert propose_map({"-1": 3, "0": 2, "1": 1}, sentiment, None) == dict(
        zip(["-1", "0", "1"], sentiment, strict=True)
    )
    assert propose_map({"1": 3, "4": 2}, STARS, None) == {"1": "1 star", "4": "4 stars"}
    assert propose_map({"0": 3, "-1": 2, "9": 1}, NEWS, None) == {"0": "World", "-1": None, "9": None}
    assert propose_map({"0": 3, "1": 1}, NEWS, ("sport", "cats")) == {"sport": "Sports", "cats": None}


def test_a_proposal_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        write_map({"a": "World"}, tmp_path / "map.json")
    assert (tmp_path / "map.json").read_text() == "mine"


# --- the way back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "names", "options", "expected"),
    [
        ({"WORLD": 9, "SPORTS": 1, "sports": 5}, NEWS, {}, ["WORLD", "sports", "Business", "Sci/Tech"]),
        ({"world": 9, "sports": 1}, NEWS, {}, ["world", "sports", "business", "sci/tech"]),
        ({"0": 9, "2": 1}, NEWS, {}, ["0", "1", "2", "3"]),
        ({"0.0": 9, "2.0": 1}, NEWS, {}, ["0.0", "1.0", "2.0", "3.0"]),
        ({"True": 9}, ("true", "false"), {}, ["True", "False"]),
        ({"TRUE": 9}, ("neg", "pos"), {}, ["FALSE", "TRUE"]),
        ({"1": 9, "2": 1}, ("2", "1"), {}, ["2", "1"]),
        ({"0": 9}, ("b", "a"), {"class_names": ("a", "b")}, ["1", "0"]),
        ({"0": 9}, ("b", "a", "c"), {"class_names": ("a", "b")}, ["1", "0", None]),
        ({"-1": 9}, ("n", "p"), {"label_map": {"-1": "n", "1": "p", "good": "p"}}, ["-1", "1"]),
        ({"bad": 9}, ("n", "p"), {"label_map": {"bad": "n", "good": "p"}}, ["bad", "good"]),
        ({"bad": 9}, ("n", "p", "x"), {"label_map": {"bad": "n", "good": "p"}}, ["bad", "good", None]),
        ({"positive": 9}, ("Positive", "US", "us"), {}, ["positive", "US", "us"]),
        ({"us": 9, "DE": 9}, ("us", "US", "DE"), {}, ["us", "US", "DE"]),
        ({unicodedata.normalize("NFD", "é"): 9}, ("é", "è"), {}, [*(unicodedata.normalize("NFD", c) for c in "éè")]),
    ],
)
def test_a_class_is_written_as_the_data_write_it(
    counts: dict, names: tuple[str, ...], options: dict, expected: list
) -> None:
    spelled = spelled_labels(resolve_labels(counts, names, **options), counts)
    assert [spelled.get(index) for index in range(len(names))] == expected


def test_a_number_that_could_be_two_names_is_no_index() -> None:
    with pytest.raises(LabelError, match="match no label"):
        encode(["1.00"], model=("1", "1.0"))


def test_declared_names_that_a_map_leaves_out_are_read_by_name() -> None:
    assert encode([0, 1], class_names=("sports", "cats"), label_map={"cats": "World"}) == [1, 0]


@pytest.mark.parametrize("names", [("true", "false"), ("on", "off"), ("Yes", "No")])
def test_bits_against_names_that_say_the_contrary_stop(names: tuple[str, str]) -> None:
    with pytest.raises(LabelError, match="the model's class 0 is"):
        resolve_labels({"0": 5, "1": 5}, names)
    assert not resolve_labels({"0": 5, "1": 5}, names[::-1]).warnings
    assert resolve_labels({"0": 5, "1": 5}, names, by_index=True).encode_value("1") == 1


def test_bits_against_names_that_seem_to_say_the_contrary_are_warned_of() -> None:
    settled = resolve_labels({"0": 5, "1": 5}, ("positive", "negative"))
    assert settled.encode_value("1") == 1
    assert "0 is taken as 'positive'" in settled.warnings[0]
    assert not resolve_labels({"0": 5, "1": 5}, ("sport", "world")).warnings
