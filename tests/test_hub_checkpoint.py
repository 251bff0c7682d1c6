"""A hub id exported, as docs/data.md tells: real code up to the network, on a folder like its cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch", reason="needs an extra that exports")

from checkpoints import TRAINING_TEXT, make_checkpoint
from torch_reference import torch_losses

from scorer.model.model_directory import open_model_directory

LABELS = ("politics", "sports", "science")
COMMITS = {"main": "0123456789abcdef0123456789abcdef01234567", "v2": "89abcdef0123456789abcdef0123456789abcdef"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HF_HOME with a checkpoint `owner/name` of two commits: files in blobs, links to them in snapshots."""
    home = tmp_path_factory.mktemp("home")
    cache = home / "hub" / "models--owner--name"
    for seed, (name, commit) in enumerate(COMMITS.items()):
        checkpoint = make_checkpoint("bert", home / "made" / name, label_names=LABELS, seed=seed)
        snapshot = cache / "snapshots" / commit
        for folder in (cache / "blobs", cache / "refs", snapshot):
            folder.mkdir(parents=True, exist_ok=True)
        (cache / "refs" / name).write_text(commit)
        for file in checkpoint.iterdir():
            blob = cache / "blobs" / f"{name}-{file.name}"
            shutil.copy(file, blob)
            (snapshot / file.name).symlink_to(os.path.relpath(blob, snapshot))
    return home


@pytest.fixture
def command(home: Path, scorer: Callable[..., Any], tmp_path: Path) -> Callable[..., CompletedProcess[str]]:
    """The command, offline, in an empty folder."""
    environment = {
        name: value for name, value in os.environ.items() if name not in {"HF_HUB_CACHE", "TRANSFORMERS_CACHE"}
    }
    environment |= {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    return lambda *arguments: scorer(*arguments, env=environment, cwd=tmp_path)


@pytest.mark.parametrize("revision", [None, "v2", COMMITS["v2"]], ids=["main", "branch", "commit"])
def test_a_checkpoint_is_exported_by_its_id_and_runs(
    revision: str | None, home: Path, command: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    options = [] if revision is None else ["--revision", revision]
    done = command("export-onnx", "owner/name", "model", "--max-length", "64", *options)
    assert done.returncode == 0, done.stderr
    contract = open_model_directory(tmp_path / "model").contract
    branch = "main" if revision is None else "v2"
    assert (contract.source, contract.revision) == ("owner/name", COMMITS[branch])

    texts = list(TRAINING_TEXT)
    labels = [row % 3 for row in range(len(texts))]
    pl.DataFrame({"text": texts, "label": [LABELS[label] for label in labels]}).write_parquet(tmp_path / "data.parquet")
    done = command("run", "model", "data.parquet", "--output", "scores")
    assert done.returncode == 0, done.stderr
    found = pl.read_parquet(tmp_path / "scores" / "ranked.parquet").sort("row")["loss"].to_numpy()
    expected = torch_losses(home / "made" / branch, texts, labels, max_length=64)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "options"), [("owner/other", []), ("owner/name", ["--revision", "v3"])], ids=["id", "revision"]
)
def test_what_is_not_in_the_cache_is_told_in_a_sentence(
    model: str, options: list[str], command: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    done = command("export-onnx", model, "model", *options)
    assert done.returncode == 9
    assert f"'{model}'" in done.stderr
    assert "network" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert list(tmp_path.iterdir()) == []
