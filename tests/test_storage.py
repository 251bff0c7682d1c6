"""Data in object stores, through `fsspec`: in memory here, which takes the same way as s3://, gs:// and hf://."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest

from scorer import RunConfig, score
from scorer.errors import DataError, MissingExtraError, OutputError
from scorer.system.urls import without_secrets

FORMATS = ("parquet", "arrow", "csv", "csv.gz", "jsonl", "jsonl.zst")


@pytest.fixture
def store() -> Iterator[Any]:
    memory = fsspec.filesystem("memory")
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def write(corpus: pl.DataFrame, file: Path) -> bytes:
    kind, _, compression = file.name.partition(".")[2].partition(".")
    {
        "parquet": corpus.write_parquet,
        "arrow": corpus.write_ipc,
        "csv": lambda path: corpus.write_csv(path, compression={"gz": "gzip"}.get(compression, "uncompressed")),
        "jsonl": lambda path: corpus.write_ndjson(path, compression={"zst": "zstd"}.get(compression, "uncompressed")),
    }[kind](file)
    return file.read_bytes()


@pytest.fixture
def config(model: Path, corpus: pl.DataFrame, tmp_path: Path, store: Any) -> RunConfig:
    """The corpus in the store, a hundred rows in each of six formats."""
    (tmp_path / "files").mkdir()
    for index, kind in enumerate(FORMATS):
        name = f"{index}.{kind}"
        store.pipe(f"/bucket/data/{name}", write(corpus.slice(index * 100, 100), tmp_path / "files" / name))
    store.pipe("/bucket/data/README.md", b"no data")
    return RunConfig(
        model=model, data=("memory://bucket/data",), output=tmp_path / "out", provider="cpu", shard_rows=40
    )


def ranking(config: RunConfig) -> pl.DataFrame:
    return pl.read_parquet(config.output / "ranked.parquet")


@pytest.mark.parametrize("data", ["memory://bucket/data", "memory://bucket/data/*.*", "memory://bucket/**/*.[pacj]*"])
def test_a_store_gives_what_the_same_local_files_give(data: str, config: RunConfig, tmp_path: Path) -> None:
    local = dataclasses.replace(config, data=(str(tmp_path / "files"),), output=tmp_path / "local")
    score(local)
    score(dataclasses.replace(config, data=(data,)))
    assert ranking(config).drop("source_file").equals(ranking(local).drop("source_file"))
    assert set(ranking(config)["source_file"]) == {
        f"memory:///bucket/data/{n}.{kind}" for n, kind in enumerate(FORMATS)
    }


def test_one_object_by_its_name(config: RunConfig, corpus: pl.DataFrame) -> None:
    score(dataclasses.replace(config, data=("memory://bucket/data/2.csv",)))
    assert sorted(ranking(config)["id"]) == sorted(corpus["id"][200:300])


def test_a_changed_object_is_another_run(config: RunConfig, store: Any) -> None:
    score(config)
    store.pipe("/bucket/data/2.csv", store.cat("/bucket/data/2.csv"))  # the same bytes, written again
    with pytest.raises(OutputError, match=r"'memory:///bucket/data/2\.csv' has changed \(version"):
        score(config)


def test_a_url_shows_no_secrets(config: RunConfig, store: Any) -> None:
    store.pipe("/user:hunter2@bucket/data.csv?X-Amz-Signature=hunter2", store.cat("/bucket/data/2.csv"))
    score(dataclasses.replace(config, data=("memory://user:hunter2@bucket/data.csv?X-Amz-Signature=hunter2",)))
    for file in config.output.rglob("*"):
        assert file.is_dir() or b"hunter2" not in file.read_bytes(), file
    assert set(ranking(config)["source_file"]) == {"memory://bucket/data.csv"}
    with pytest.raises(DataError) as failed:
        score(dataclasses.replace(config, data=("memory://user:hunter2@bucket/none.csv?sig=hunter2",), overwrite=True))
    assert "hunter2" not in str(failed.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/a b.csv", "s3://bucket/a b.csv"),
        ("https://u:p@host:80/x.csv?sig=1#f", "https://host:80/x.csv"),
        ("/path/with@sign?.csv", "/path/with@sign?.csv"),
        ("hf://datasets/owner/name/x.parquet", "hf://datasets/owner/name/x.parquet"),
    ],
)
def test_what_of_a_name_is_shown(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_mistakes_with_urls(config: RunConfig, monkeypatch: pytest.MonkeyPatch, store: Any) -> None:
    with pytest.raises(DataError, match=r"there is no file 'memory://bucket/none\.csv'"):
        score(dataclasses.replace(config, data=("memory://bucket/none.csv",)))
    with pytest.raises(DataError, match=r"'memory://bucket/\*\.csv' holds no data file"):
        score(dataclasses.replace(config, data=("memory://bucket/*.csv",)))
    with pytest.raises(DataError, match=r"Protocol not known: nowhere"):
        score(dataclasses.replace(config, data=("nowhere://bucket/x.csv",)))
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match=r"s3fs.*pip install 'scorer-onnx\[s3\]'"):
        score(dataclasses.replace(config, data=("s3://bucket/x.csv",)))

    def refuses(*_: object, **__: object) -> object:
        raise RuntimeError("the store says no")

    monkeypatch.setattr(type(store), "_open", refuses)
    with pytest.raises(
        DataError, match=r"cannot read 'memory:///bucket/data/0\.parquet': RuntimeError: the store says"
    ):
        score(config)


def test_results_go_to_a_disk(config: RunConfig, scorer: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = scorer("run", config.model, config.output / "x.csv", "-o", "s3://bucket/out")
    assert done.returncode == OutputError.exit_code
    assert "'s3://bucket/out' is a URL; give a directory" in done.stderr


def test_file_urls_work_on_the_command_line(
    config: RunConfig, tmp_path: Path, scorer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    url = (tmp_path / "files").as_uri()
    done = scorer("run", config.model, url, "-o", config.output, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert ranking(config).height == 600
