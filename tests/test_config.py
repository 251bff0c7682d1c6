"""The configuration says of every option what it decides; a run's fingerprint and its resuming follow from that."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_args

import pytest

from scorer import ApplyConfig, RunConfig
from scorer.config import BatchConfig, DataConfig, Decides, ModelConfig, options_that_decide
from scorer.errors import UsageError


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
