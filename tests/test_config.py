"""The configuration says of every option what it decides; a run's fingerprint and its resuming follow from that."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from scorer import ApplyConfig, RunConfig, score
from scorer.cli.commands.corrections import apply_command
from scorer.cli.commands.demo import demo_corpus, demo_model
from scorer.cli.commands.run import run_command
from scorer.config import BatchConfig, DataConfig, Decides, ModelConfig, options_that_decide
from scorer.errors import UsageError
from scorer.review.examples import read_examples
from scorer.run.setup.session import on_own_gpu


@pytest.mark.parametrize("field", dataclasses.fields(RunConfig), ids=lambda field: field.name)
def test_every_option_says_what_it_decides(field: dataclasses.Field[object]) -> None:
    assert field.metadata.get("decides") in get_args(Decides)


def test_what_options_decide_is_a_partition_of_them() -> None:
    named = [name for what in get_args(Decides) for name in options_that_decide(what)]
    assert sorted(named) == sorted(field.name for field in dataclasses.fields(RunConfig))


def test_the_options_that_shards_depend_on_are_these() -> None:
    """Moving one of them lets a run resume shards of other content: a change here is a change of what results are."""
    assert set(options_that_decide("shards")) == {
        "delimiter",
        "quoting",
        "encoding",
        "labels_by_index",
        "max_batch_tokens",
        "provider",
        "provider_options",
        "limit",
        "part",
        "keep_text",
        "top_k_probabilities",
        "window_rows",
        "shard_rows",
    }
    assert set(options_that_decide("ranking")) == {"ranked_top", "skip_bad_files", "rescore_top"}


def test_a_run_is_composed_of_its_parts_and_apply_reads_data_by_the_same() -> None:
    assert issubclass(RunConfig, DataConfig)
    assert issubclass(RunConfig, ModelConfig)
    assert issubclass(RunConfig, BatchConfig)
    assert issubclass(ApplyConfig, DataConfig)


def test_apply_checks_the_options_of_the_data_as_a_run_does() -> None:
    common = {"data": ("data.csv",), "delimiter": "too long"}
    with pytest.raises(UsageError, match="--delimiter") as of_run:
        RunConfig(model=Path("model"), output=Path("out"), **common)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="--delimiter") as of_apply:
        ApplyConfig(corrections=(Path("c.jsonl"),), output=Path("out"), **common)  # type: ignore[arg-type]
    assert str(of_run.value) == str(of_apply.value)
    with pytest.raises(UsageError, match="cannot be written anew"):
        ApplyConfig(corrections=(Path("c.jsonl"),), output=Path("out"), data=("data.csv",), skip_bad_files=True)


@pytest.mark.parametrize("part", [lambda: ModelConfig(Path("model"), threads=0), lambda: BatchConfig(window_rows=0)])
def test_a_part_checks_itself(part: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match="must be at least 1"):
        part()


def test_the_command_line_has_the_defaults_of_the_configuration() -> None:
    given = run_command.make_context("run", ["model", "data.csv", "-o", "out"]).params
    for name in ("as_json", "write_label_map"):  # what is done with a run is none of its options
        del given[name]
    model, keep_text = given.pop("model_dir"), not given.pop("no_text")
    named = RunConfig(model=model, keep_text=keep_text, **given)
    assert named == RunConfig(model=Path("model"), data=("data.csv",), output=Path("out"))


def test_run_and_apply_read_data_by_the_same_options() -> None:
    fields = {field.name for field in dataclasses.fields(DataConfig)}
    of_run, of_apply = (
        {each.name: each for each in command.params if each.name in fields} for command in (run_command, apply_command)
    )
    assert of_run.keys() == fields
    assert of_apply.keys() == fields - {"skip_bad_files"}
    for name in of_apply.keys() - {"data"}:  # an argument of the one, also an option of the other
        assert of_run[name].to_info_dict() == of_apply[name].to_info_dict()


def test_a_worker_has_a_gpu_of_its_own_where_auto_found_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` takes no options, so a worker is told the provider that the run found."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    config = ModelConfig(Path("model"))
    assert [on_own_gpu(config, "cuda", number) for number in (0, 3)] == [
        ModelConfig(Path("model"), provider="cuda", provider_options=(("device_id", device),)) for device in "01"
    ]
    assert on_own_gpu(config, "cpu", 1) == config
    chosen = ModelConfig(Path("model"), provider="cuda", provider_options=(("device_id", "1"),))
    assert on_own_gpu(chosen, "cuda", 0) == chosen


def test_answers_on_a_page_outlive_what_decides_no_score(tmp_path: Path) -> None:
    """The page keeps answers under the run's hash: scored again by other threads, the rows are the same."""
    config = RunConfig(model=demo_model(), data=(str(demo_corpus()),), output=tmp_path / "one", limit=40)
    runs = {
        "one": config,
        "two": dataclasses.replace(config, output=tmp_path / "two", threads=1, ranked_top=9, overwrite=True),
        "three": dataclasses.replace(config, output=tmp_path / "three", limit=41),
    }
    hashes = {}
    for name, each in runs.items():
        score(each)
        hashes[name] = read_examples(each.output).run_hash
    assert hashes["one"] == hashes["two"] != hashes["three"]
