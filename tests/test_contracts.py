"""JSON contracts: what is written is read, a fault is named by its place, and versions tell what may be read."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pyarrow.parquet as pq
import pytest
from bag_model import write_bag_model

from scorer import RunConfig, score
from scorer.errors import DataError, ModelError, OutputError
from scorer.listener import Silence
from scorer.model.model_directory import ModelContract, open_model_directory
from scorer.ranking.merging import merge
from scorer.results.manifest import Manifest
from scorer.results.run_report import RunReport, options_of
from scorer.schema import TALLY_KEY, parquet_writer
from scorer.system.documents import parse, written


class Inner(msgspec.Struct, frozen=True):
    scored: int
    names: tuple[str, ...] = ()
    path: Path | None = None


class Outer(msgspec.Struct, frozen=True):
    counts: Inner
    files: dict[str, str] = {}
    format_version: int = 3


GOOD = '{"format_version": 3, "counts": {"scored": 1}}'


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ('{"format_version": 3, "counts": {"scored": "many"}}', '$.counts.scored is "many": expected `int`, got `str`'),
        ('{"format_version": 3, "counts": {"scored": true}}', "$.counts.scored is true: expected `int`, got `bool`"),
        ('{"format_version": 3, "counts": {"scored": [1]}}', "$.counts.scored: expected `int`, got `array`"),
        ('{"format_version": 3, "counts": {}}', "$.counts: object missing required field `scored`"),
        ('{"format_version": 3}', "object missing required field `counts`"),
        ('{"format_version": 3, "counts": {"scored": 1, "names": ["é", 7]}}', "$.counts.names[1] is 7: expected `str`"),
        ('{"format_version": 3, "counts": {"scored": 1, "path": 7}}', "$.counts.path is 7: expected `str`, got `int`"),
        ('{"format_version": 3, "counts": {"scored": 1}, "files": {"a": 1}}', "$.files[...]: expected `str`"),
        ('{"format_version": 3, "counts": {"scored": "' + "x" * 99 + '"}}', '$.counts.scored is "' + "x" * 59 + "…: "),
        ('{"format_version": 4, "counts": "of another kind"}', "format_version is 4, this scorer reads 3"),
        ('{"counts": {"scored": 1}}', "format_version is null, this scorer reads 3"),
        ("[1]", "expected `object`, got `array`"),
        (GOOD[:-4], "truncated"),
        ("", "truncated"),
        (b"\xff", "malformed"),
        (b'{"format_version": 3, "counts": {"scored": 1, "names": ["\xff"]}}', "can't decode byte 0xff"),
        ('{"format_version": 3, "counts": {"scored": 1}, "more": ' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_fault_is_named_by_its_place_and_its_value(document: str | bytes, says: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        parse(document, Outer, version=3)
    assert says in str(raised.value)


def test_keys_of_a_newer_scorer_are_passed_over_within_a_version() -> None:
    newer = GOOD.replace('"scored": 1', '"scored": 1, "skimmed": {"a": []}')
    assert parse(newer, Outer, version=3) == parse(GOOD, Outer, version=3) == Outer(Inner(1))


@pytest.mark.parametrize("indent", [0, 2])
def test_documents_are_written_as_pythons_json_writes_them(indent: int) -> None:
    document = Outer(Inner(-1, ("é", 'quote "', "\u2028"), Path("some/where")), {"a": "b", "": "\t"})
    text = written(document, indent=indent)
    assert text == json.dumps(json.loads(text), indent=indent or None, ensure_ascii=False)
    assert parse(text, Outer, version=3) == document


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag_model(tmp_path_factory.mktemp("bag") / "model")


@pytest.fixture
def config(bag: Path, corpus: pl.DataFrame, tmp_path: Path) -> RunConfig:
    """Two shards of 300 rows."""
    corpus.write_parquet(tmp_path / "data.parquet")
    return RunConfig(
        model=bag, data=(str(tmp_path / "data.parquet"),), output=tmp_path / "out", provider="cpu", shard_rows=300,
        window_rows=300,
    )  # fmt: skip


def changed(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(file.read_text(encoding="utf-8"))
    change(document)
    file.write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture
def own_model(bag: Path, tmp_path: Path) -> Path:
    """A model directory whose contract a test may change."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in bag.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda it: it.update(max_length="long"), '$.max_length is "long": expected `int`, got `str`'),
        (lambda it: it.update(max_length=0), "max_length is 0"),
        (lambda it: it.update(label_names=["a", "a"]), "label_names is ('a', 'a')"),
        (lambda it: it.update(label_names="ab"), '$.label_names is "ab": expected `array`, got `str`'),
        (lambda it: it.update(graph_inputs=["attention_mask"]), "graph_inputs is ('attention_mask',)"),
        (
            lambda it: it.update(truncation_side="middle"),
            "$.truncation_side is \"middle\": invalid enum value 'middle'",
        ),
        (lambda it: it.update(precision="int4"), '$.precision is "int4"'),
        (lambda it: it["parity"].update(tolerance=None), "$.parity.tolerance is null: expected `float`, got `null`"),
        (lambda it: it["parity"].pop("texts"), "$.parity: object missing required field `texts`"),
        (lambda it: it.pop("files"), "object missing required field `files`"),
        (lambda it: it.update(format_version=4, parity="elsewhere"), "format_version is 4, this scorer reads 3"),
    ],
)
def test_a_faulty_model_contract_is_refused_with_file_place_and_cure(
    change: Callable[[dict[str, Any]], object], says: str, own_model: Path
) -> None:
    changed(own_model / "scorer.json", change)
    with pytest.raises(ModelError) as raised:
        open_model_directory(own_model)
    message = str(raised.value)
    assert message.startswith(f"cannot read '{own_model / 'scorer.json'}': ")
    assert says in message
    assert message.endswith(". Export the model again.")


def test_a_model_contract_that_says_more_is_read(own_model: Path) -> None:
    before = open_model_directory(own_model).contract
    changed(own_model / "scorer.json", lambda it: it.update(licence="free"))
    assert open_model_directory(own_model).contract == before
    assert ModelContract.from_json(before.to_json()) == before


def test_a_report_is_read_as_it_was_written(config: RunConfig) -> None:
    report = score(config)
    text = (config.output / "run.json").read_text(encoding="utf-8")
    read = RunReport.from_json(text)
    assert report.to_json() == text
    assert msgspec.structs.replace(read, seconds={}, elapsed_s=0.0, scoring_s=0.0) == msgspec.structs.replace(
        report, seconds={}, elapsed_s=0.0, scoring_s=0.0
    )
    assert read.options == config


def test_no_value_of_a_report_is_without_a_type() -> None:
    seen: set[object] = set()

    def walk(kind: Any) -> None:
        assert kind not in (Any, object, dict, list, tuple), "a value of any kind"
        if kind in seen:
            return
        seen.add(kind)
        hints = typing.get_type_hints(kind) if isinstance(kind, type) and kind.__module__.startswith("scorer") else {}
        for each in (*typing.get_args(kind), *hints.values()):
            if each is not Ellipsis and not isinstance(each, str):
                walk(each)

    walk(RunReport)
    assert {int, float, Path, RunConfig} <= seen


def test_secrets_in_urls_stay_out_of_the_options() -> None:
    asked = RunConfig(model=Path("m"), data=("s3://key:secret@bucket/a.csv",), output=Path("o"))
    assert "secret" in written(asked)
    assert "secret" not in written(options_of(asked))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda it: it["plan"]["shards"][1].__setitem__(1, "far"), '$.plan.shards[1][1] is "far": expected `int`'),
        (lambda it: it["plan"]["label_counts"].append(["x"]), "$.plan.label_counts["),
        (lambda it: it["plan"].pop("left_out"), "$.plan: object missing required field `left_out`"),
        (lambda it: it.update(format_version=99), "format_version is 99, this scorer reads "),
    ],
)
def test_a_run_with_a_faulty_manifest_is_not_gone_on_with(
    change: Callable[[dict[str, Any]], object], says: str, config: RunConfig
) -> None:
    score(config)
    file = config.output / "manifest.json"
    assert Manifest.from_json(file.read_bytes()).to_json() == file.read_text(encoding="utf-8")
    changed(file, change)
    with pytest.raises(OutputError) as raised:
        score(config)
    for fragment in (str(config.output), "manifest.json", "cannot be read", says, "--overwrite"):
        assert fragment in str(raised.value)


def test_results_without_a_manifest_are_not_gone_on_with(config: RunConfig) -> None:
    score(config)
    (config.output / "manifest.json").unlink()
    with pytest.raises(OutputError, match=r"and no manifest.json that tells what it was made from"):
        score(config)


def test_a_finished_run_with_a_faulty_report_is_ranked_again(config: RunConfig) -> None:
    score(config)
    changed(config.output / "run.json", lambda it: it["counts"].update(scored="many"))
    assert score(config).resumed.shards == 2
    assert RunReport.from_json((config.output / "run.json").read_bytes()).counts.scored == 600


def test_a_part_with_a_faulty_report_is_not_joined(config: RunConfig, tmp_path: Path) -> None:
    score(config)
    changed(config.output / "run.json", lambda it: it["counts"].update(scored="many"))
    with pytest.raises(DataError, match=r"no finished run that this scorer can read \(\$\.counts\.scored is \"many\""):
        merge([config.output], tmp_path / "joined", "loss", None, Silence())


def test_a_shard_with_faulty_counts_is_scored_again(config: RunConfig) -> None:
    expected = score(config).counts
    file = config.output / "scores" / "shard-00001.parquet"
    table, metadata = pq.read_table(file), dict(pq.read_metadata(file).metadata)
    counts = json.loads(metadata[TALLY_KEY.encode()])
    assert counts["read"] == 300
    with parquet_writer(file, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({TALLY_KEY: json.dumps(counts | {"read": None})})
    said: list[str] = []

    class Hearing(Silence):
        def warning(self, message: str) -> None:
            said.append(message)

    (config.output / "run.json").unlink()
    report = score(config, Hearing())
    assert (report.resumed.shards, report.counts) == (1, expected)
    assert said[:1] == [f"'{file}' is damaged and is scored again ($.read is null: expected `int`, got `null`)."]
