"""Whatever names, spellings, types, formats and maps meet: each row gets the class that a careful person would give, or

is rejected, or the run stops; and a class that is written back is read as that class again.
"""

from __future__ import annotations

import csv
import decimal
import json
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st
from label_oracle import acceptable, as_integer

from scorer.config import RunConfig
from scorer.errors import DataError, LabelError
from scorer.labels import MISSING, UNKNOWN, UNKNOWN_SHARE, LabelEncoder, resolve_labels
from scorer.labels.label_map import read_label_map
from scorer.labels.proposal import propose_map, write_map
from scorer.labels.settled_labels import settle_labels
from scorer.review.correct.spelling import spelled_labels
from scorer.sources import open_source, plan_source, read_shards

WORDS = (
    *(
        "positive",
        "Negative",
        "neutral",
        "yes",
        "no",
        "US",
        "us",
        "Straße",
        "STRASSE",
        "économie",
        "İstanbul",
        "trail ",
    ),
    *("nan", "None", "null", "N/A", "true", "False", "True", "0", "1", "2", "3", "-1", "-100", "00", "01", "02", "+1"),
    *("1.0", "2.50", "1e3", "1 star", "2 stars", "3 stars", "one", "two", "card_arrival", "very good", "C++", "C#"),
    *("don't know", "LABEL_0", "LABEL_1", "LABEL_2", "①", "½", "ﬁne", "x²", "not yes", "=1", "[]", "🙂"),
)
SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    str.lower,
    str.upper,
    str.title,
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: unicodedata.normalize("NFKD", text),
    lambda text: f" {text}\t",
    lambda text: text.replace(" ", "\u00a0"),
    lambda text: text.replace(" ", "_"),
    lambda text: text.replace("'", "\u2019"),
    lambda text: f"{text}.0",
    lambda text: f"0{text}",
)
# Words that are easily taken for each other.
KINDRED = (
    ("US", "us", "Us", "U.S."),
    ("0", "1", "2", "3"),
    ("1", "2", "3", "4", "5"),
    ("-1", "0", "1"),
    ("1", "1.0", "01", "one", "1 star", "+1", "\uff11", "true"),
    ("00", "01", "02", "03"),
    ("true", "True", "yes", "1", "Maybe"),
    ("False", "no", "0", "None", "nan", ""),
    ("Straße", "STRASSE", "strasse"),
    ("é", "e\u0301", "É", "e"),
    ("trail", "trail ", " Trail"),
    ("ok now", "ok\u00a0now", "ok_now"),
    ("1 star", "2 stars", "3 stars", "4 stars"),
)
kindred = st.sampled_from(KINDRED).flatmap(
    lambda words: st.lists(st.sampled_from(words), min_size=2, max_size=len(words), unique=True)
)
names_of_models = kindred | st.lists(
    st.sampled_from(WORDS) | st.text(min_size=1, max_size=3), min_size=2, max_size=6, unique=True
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], dict[str | None, int]]:
    """A model's names, and labels with their numbers of rows: the names in some spelling, numbers, and strays."""
    names = [name for name in draw(names_of_models) if name.strip()]
    assume(len(names) >= 2)
    spelling = draw(st.sampled_from(SPELLINGS))
    kind = draw(st.sampled_from(("names", "names", "indices", "indices from one", "kindred", "truths", "anything")))
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, unique=True)) if draw(st.booleans()) else names
    if kind == "names":
        labels = [spelling(name) for name in chosen]
    elif kind.startswith("indices"):
        labels = [str(names.index(name) + kind.endswith("one")) for name in chosen]
        labels = [f"{label}.0" for label in labels] if draw(st.booleans()) else labels
    elif kind == "kindred":
        labels = draw(kindred)
    elif kind == "truths":
        labels = draw(st.sampled_from((["true", "false"], ["True", "False"], ["TRUE"])))
    else:
        labels = draw(st.lists(st.sampled_from(WORDS) | st.text(max_size=3), min_size=1, max_size=8, unique=True))
    counts: dict[str | None, int] = {label: draw(st.integers(1, 100)) for label in labels}
    strays = st.sampled_from((*WORDS, "?", "label", "", " ", None, "99", "-5", *names))
    for stray in draw(st.lists(strays | st.sampled_from(labels).map(str.upper), max_size=3)):
        counts.setdefault(stray, draw(st.integers(1, 3)))
    return names, counts


def resolved(names: list[str], counts: dict[str | None, int], **options: Any) -> LabelEncoder | None:
    """The table, or None where the run stops."""
    try:
        return resolve_labels(counts, names, **options)
    except LabelError:
        return None


def is_far_off(label: str, names: list[str]) -> bool:
    """Whether a label is an integer but no index of the model; a run warns where these are many."""
    number = as_integer(label)
    return number is not None and not 0 <= number < len(names)


def check(encoder: LabelEncoder, names: list[str], counts: dict[str | None, int], label_map: Any = None) -> None:
    """No label has a class that nobody would give it, and labels are not rejected by the dozen in silence."""
    rows = {label: count for label, count in counts.items() if label is not None}
    for label in rows:
        read = encoder.encode_value(label)
        if read != UNKNOWN and not (read == MISSING and (not label.strip() or as_integer(label) in {-1, -100})):
            assert read in acceptable(label, rows, names, label_map), (label, read)
    rejected = sum(
        count
        for label, count in rows.items()
        if encoder.encode_value(label) == UNKNOWN and not is_far_off(label, names)
    )
    assert rejected <= UNKNOWN_SHARE * sum(rows.values())


@settings(max_examples=500, deadline=None)
@given(tables())
@example((["True", "False"], {"true": 3, "false": 2}))
@example((["-1", "0", "1"], {"-1": 9, "0": 8, "1": 9}))
@example((["03", "00", "02", "01"], {"00": 1, "01": 1, "02": 1, "03": 1}))
@example((["1", "2", "3", "4", "5"], {"1": 1, "2": 1, "3": 1, "4": 1, "5": 1}))
@example((["True", "Maybe"], {"false": 100, "true": 1}))
def test_no_label_becomes_another_class(table: tuple[list[str], dict[str | None, int]]) -> None:
    names, counts = table
    encoder = resolved(names, counts)
    event("stops" if encoder is None else encoder.description.split(",")[0])
    if encoder is not None:
        check(encoder, names, counts)


@settings(max_examples=120, deadline=None)
@given(tables())
def test_exact_names_are_read(table: tuple[list[str], dict[str | None, int]]) -> None:
    names, _ = table
    encoder = resolved(names, dict.fromkeys(names, 5))
    assert encoder is not None
    assert [encoder.encode_value(name) for name in names] == list(range(len(names)))


@settings(max_examples=120, deadline=None)
@given(st.lists(st.text("abcdé ", min_size=4).filter(str.strip), min_size=2, max_size=6, unique_by=lambda t: t.strip()))
def test_indices_of_names_without_numbers_are_read(names: list[str]) -> None:
    for written in ("{}", "{}.0", " {}"):
        counts: dict[str | None, int] = {written.format(index): 7 for index in range(len(names))}
        encoder = resolved(names, counts | {"?": 1, None: 3})
        assert encoder is not None
        assert [encoder.encode_value(label) for label in counts] == list(range(len(names)))
        assert encoder.encode_value("?") == UNKNOWN


@st.composite
def maps(draw: st.DrawFn, names: list[str], counts: dict[str | None, int]) -> dict[str, Any]:
    """A map of some labels, or of all, to names, numbers, truths and null."""
    labels = [label for label in counts if label is not None]
    keys = draw(st.lists(st.sampled_from(WORDS + tuple(labels)), max_size=5))
    keys += labels if draw(st.booleans()) else []
    targets = st.sampled_from([*names, *names, *range(len(names)), None, True, False, "0", "1"])
    return {draw(st.sampled_from(SPELLINGS))(key) if draw(st.booleans()) else key: draw(targets) for key in keys}


@settings(max_examples=500, deadline=None)
@given(tables(), st.data())
def test_a_map_decides_before_names_and_numbers(
    table: tuple[list[str], dict[str | None, int]], data: st.DataObject
) -> None:
    names, counts = table
    label_map = data.draw(maps(names, counts))
    assume(label_map)
    encoder = resolved(names, counts, label_map=label_map)
    event("stops" if encoder is None else "reads")
    if encoder is None:
        return
    check(encoder, names, counts, label_map)
    for key, target in label_map.items():
        if key in counts and target in names:  # the exact text to the exact name
            assert encoder.encode_value(key) == names.index(target)
        if key in counts and target is None:
            assert encoder.encode_value(key) == MISSING


@settings(max_examples=120, deadline=None)
@given(tables())
def test_a_map_of_every_label_to_a_name_is_followed(table: tuple[list[str], dict[str | None, int]]) -> None:
    names, counts = table
    labels = [label for label in counts if label is not None]
    label_map = {label: names[number % len(names)] for number, label in enumerate(labels)}
    encoder = resolved(names, counts, label_map=label_map)
    assert encoder is not None
    assert [encoder.encode_value(label) for label in labels] == [names.index(label_map[label]) for label in labels]


@settings(max_examples=500, deadline=None)
@given(tables(), st.data())
def test_a_class_that_is_written_back_is_read_again(
    table: tuple[list[str], dict[str | None, int]], data: st.DataObject
) -> None:
    names, counts = table
    label_map = data.draw(maps(names, counts)) if data.draw(st.booleans()) else None
    encoder = resolved(names, counts, label_map=label_map or None)
    if encoder is None:
        return
    spelled = spelled_labels(encoder, counts)
    used = {encoder.encode_value(label) for label in counts} - {MISSING, UNKNOWN}
    assert used <= spelled.keys()
    for index, label in spelled.items():
        assert encoder.encode_value(label) == index
        if index in used:  # the spelling that most rows have
            most = max(count for other, count in counts.items() if encoder.encode_value(other) == index)
            assert counts[label] == most
    chosen = data.draw(st.sampled_from(sorted(spelled))) if spelled else None
    if chosen is None:
        return
    after = dict(counts)
    taken = data.draw(st.sampled_from(list(counts)))
    moved = data.draw(st.integers(1, counts[taken]))
    after[taken] -= moved
    after[spelled[chosen]] = after.get(spelled[chosen], 0) + moved
    again = resolved(names, {label: count for label, count in after.items() if count}, label_map=label_map or None)
    if again is not None:
        assert again.encode_value(spelled[chosen]) == chosen
        for label in counts:
            before, now = encoder.encode_value(label), again.encode_value(label)
            assert now in {before, MISSING, UNKNOWN} or before in {MISSING, UNKNOWN}


@settings(max_examples=250, deadline=None)
@given(names_of_models, names_of_models, st.data())
def test_declared_names_are_read_by_name(names: list[str], declared: list[str], data: st.DataObject) -> None:
    assume(all(name.strip() for name in (*names, *declared)))
    declared = data.draw(st.permutations(names)) if data.draw(st.booleans()) else declared
    present = data.draw(st.lists(st.integers(-1, len(declared) - 1), min_size=1, unique=True))
    counts: dict[str | None, int] = {str(number): 10 for number in present}
    encoder = resolved(names, counts, class_names=declared)
    if sorted(declared) == sorted(names):
        assert encoder is not None
    if encoder is None:
        return
    rows = dict.fromkeys(declared, 1)
    for number in present:
        read = encoder.encode_value(str(number))
        assert read == MISSING if number < 0 else read in acceptable(declared[number], rows, names, None), number
    for index, label in spelled_labels(encoder, counts).items():
        assert index in acceptable(declared[int(label)], rows, names, None)


@settings(max_examples=120, deadline=None)
@given(tables())
def test_a_proposed_map_is_accepted_as_it_is(table: tuple[list[str], dict[str | None, int]]) -> None:
    names, counts = table
    proposal = propose_map(counts, names, None)
    assert set(proposal) == {label for label in counts if label is not None and label.strip()}
    encoder = resolved(names, counts)
    with tempfile.TemporaryDirectory() as folder:
        if not proposal:
            return
        write_map(proposal, Path(folder) / "map.json")
        read = resolve_labels(counts, names, label_map=read_label_map(Path(folder) / "map.json"))
    for label, name in proposal.items():
        assert read.encode_value(label) == (MISSING if name is None else names.index(name))
        if encoder is not None and encoder.encode_value(label) >= 0:
            assert read.encode_value(label) == encoder.encode_value(label)


# --- end to end, through files ----------------------------------------------------------------------------------

TYPES: dict[str, tuple[Callable[[str], Any], pa.DataType]] = {
    "string": (str, pa.string()),
    "large string": (str, pa.large_string()),
    "categories": (str, pa.dictionary(pa.int8(), pa.string())),
    "bytes": (str.encode, pa.binary()),
    "int8": (int, pa.int8()),
    "int64": (int, pa.int64()),
    "categories of integers": (int, pa.dictionary(pa.int32(), pa.int64())),
    "float": (float, pa.float64()),
    "half": (float, pa.float16()),
    "decimal": (decimal.Decimal, pa.decimal128(20, 0)),
    "decimal with digits": (decimal.Decimal, pa.decimal128(20, 2)),
    "truth": (lambda text: {"true": True, "false": False}[text.lower()], pa.bool_()),
}


def written(labels: list[str | None], kind: str, form: str, file: Path) -> list[str | None]:
    """Write rows with these labels to a file, and return the labels in the spelling of the file.

    Raises:
        ValueError, KeyError, ArithmeticError, pa.ArrowException: the type cannot hold the labels.
    """
    convert, data_type = TYPES[kind]
    values = [None if label is None else convert(label) for label in labels]
    texts = [f"text {row}" for row in range(len(labels))]
    if form == "csv":
        with file.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened, quoting=csv.QUOTE_ALL)
            writer.writerows([("text", "label"), *zip(texts, ["" if v is None else v for v in values], strict=True)])
        return ["" if value is None else str(value) for value in values]
    if form == "jsonl":
        lines = [json.dumps({"text": t, "label": v}) for t, v in zip(texts, values, strict=True)]
        file.write_text("\n".join(lines), encoding="utf-8")
        return [json.dumps(v) if v is not None and not isinstance(v, str) else v for v in values]
    table = pa.table({"text": texts, "label": pa.array(values, data_type)})
    if form == "parquet":
        pq.write_table(table, file)
    else:
        with pa.ipc.new_file(str(file), table.schema) as writer:
            writer.write_table(table)
    if pa.types.is_decimal(data_type):
        return [None if value is None else f"{value:.{data_type.scale}f}" for value in values]
    if pa.types.is_boolean(data_type):
        return [None if value is None else str(value).lower() for value in values]
    return [v.decode() if isinstance(v, bytes) else v if v is None else str(v) for v in values]


@settings(max_examples=250, deadline=None)
@given(tables(), st.sampled_from(sorted(TYPES)), st.sampled_from(("csv", "jsonl", "parquet", "arrow")), st.data())
def test_rows_of_files_get_the_class_of_their_label(
    table: tuple[list[str], dict[str | None, int]], kind: str, form: str, data: st.DataObject
) -> None:
    names, counts = table
    labels = [label for label, count in counts.items() for _ in range(min(count, 20))]
    if kind not in {"string", "large string", "categories", "bytes"}:
        labels = [label for label in labels if label is None or TYPES[kind][1] == pa.bool_() or as_integer(label)]
    label_map = data.draw(maps(names, counts)) or None if data.draw(st.integers(0, 3)) == 0 else None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"data.{form}"
        try:
            spelled = written(labels, kind, form, file)
        except (ValueError, KeyError, ArithmeticError, TypeError, pa.ArrowException):
            assume(False)
        assume(labels)
        config = RunConfig(model=Path("model"), data=(str(file),), output=Path("out"))
        try:
            source = open_source(config, lambda _: None)
            plan = plan_source(source, shard_rows=7, limit=None)
        except DataError:  # such as a type that JSON Lines do not read
            assume(False)
        of_file = {label: spelled.count(label) for label in spelled}
        assert plan.label_counts == of_file
        try:
            encoder = settle_labels(source, plan, names, label_map=label_map, by_index=False)
        except LabelError:
            event(f"{form}: stops")
            return
        event(f"{form}: reads")
        check(encoder, names, of_file, label_map)
        read = [
            code
            for _, batch in read_shards(source, plan.shards, 5)
            for code in encoder.encode(batch.column("label")).tolist()
        ]
    assert read == [encoder.encode_value(label) for label in spelled]
