"""The benchmarks' own arithmetic: whole-head comparison, rounds that end in time, environments that cannot be made, and
pages that say what the results say."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[1]
BENCHMARKS = REPOSITORY / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import environments
import rounds
from charts import has_chart
from contenders import NAMES, NOTEBOOK
from job import Job, contender
from presentation import END, PAGES, block, markdown
from results import same_head
from rounds import in_time

RESULTS = sorted((BENCHMARKS / "results").glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_every_contender_says_what_it_is(name: str) -> None:
    module = contender(name)
    assert 0 < len(module.DESCRIPTION) <= 62  # more would not fit beside its bar
    assert module.PRECISION
    assert module.PACKAGES
    assert set(module.PROVIDERS) <= {"cpu", "cuda"}
    assert module.PROVIDERS
    assert set(module.EXPORTS) <= {"fp32", "fp16", "int8", "plain"}
    assert f"| `{name}` |" in (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    if module.ENVIRONMENT is not None:
        assert (environments.REQUIREMENTS / f"{module.ENVIRONMENT}.txt").is_file()


def test_environments_pin_what_the_constraints_pin() -> None:
    constraints = dict(line.split("==") for line in environments.CONSTRAINTS.read_text().splitlines() if "==" in line)
    for file in environments.REQUIREMENTS.glob("*.txt"):
        pins = dict(line.split("==") for line in file.read_text().splitlines() if not line.startswith("#"))
        shared = pins.keys() & constraints.keys()
        assert {name: pins[name] for name in shared} == {name: constraints[name] for name in shared}


def test_the_same_head_may_swap_rows_of_a_tie_alone() -> None:
    exact = np.array([1.0, 5.0, 4.0, 4.0 + 1e-6, 0.5])
    assert same_head(exact, exact, 3)
    assert same_head(np.array([0.0, 5.0, 4.0 + 1e-6, 4.0, 0.0]), exact, 3)  # a tie, and rows below the head
    assert not same_head(np.array([0.0, 4.0, 5.0, 4.0, 0.0]), exact, 3)  # another order
    assert not same_head(np.array([4.5, 5.0, 4.0, 4.0, 0.0]), exact, 3)  # another row
    assert not same_head(exact + 0.01, exact, 3)  # the rows and the order, but not the losses


def test_a_later_round_leaves_the_slowest_out_and_keeps_the_notebook() -> None:
    names = ["slow", NOTEBOOK, "quick", "middling"]
    turns_s = {"slow": 100.0, NOTEBOOK: 90.0, "quick": 10.0, "middling": 20.0}
    assert in_time(names, turns_s, 220) == names
    assert in_time(names, turns_s, 125) == [NOTEBOOK, "quick", "middling"]
    assert in_time(names, turns_s, 105) == [NOTEBOOK, "quick"]
    assert in_time(names, turns_s, 95) == []
    assert in_time(names, turns_s, -5) == []


SLEEPER = """
import subprocess, sys, types
sys.path.insert(0, {benchmarks!r})
import contenders, harness

def load(job):
    child = subprocess.Popen(["sleep", "600"])
    (job.workdir / "child.pid").write_text(str(child.pid))
    child.wait()

sleeper = types.ModuleType("contenders.sleeper")
sleeper.load, sleeper.PACKAGES, sleeper.EXPORTS = load, (), ()
sys.modules["contenders.sleeper"] = sleeper
harness.main()
"""


def test_a_contender_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "harness.py").write_text(SLEEPER.format(benchmarks=str(BENCHMARKS)))
    monkeypatch.setattr(rounds, "HARNESS", tmp_path / "harness.py")
    (tmp_path / "texts.json").write_text('{"texts": ["a text"], "labels": [0]}')
    job = Job(tmp_path, tmp_path, tmp_path, tmp_path / "texts.json", tmp_path, "cpu", True, 512, 1, 128, 0)
    found = environments.Interpreters({}, {})
    said: list[str] = []
    (record,) = rounds.run_rounds(["sleeper"], job, found, repeats=3, ends_at=1e12, limit_s=9.0, say=said.append)
    assert record.measured == ()
    assert record.failure == "timed out after 0.15 minutes"
    assert len(said) == 1  # it does not start again
    child = int((tmp_path / "child.pid").read_text())
    status = Path(f"/proc/{child}/status")
    until = time.monotonic() + 20  # a killed process ends when it is its turn
    while status.exists() and "\nState:\tZ" not in status.read_text():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_contender_that_ends_without_a_result_tells_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "harness.py").write_text("import sys; sys.exit('no such luck')")
    monkeypatch.setattr(rounds, "HARNESS", tmp_path / "harness.py")
    job = Job(tmp_path, tmp_path, tmp_path, tmp_path, tmp_path, "cpu", True, 512, 1, 128, 0)
    assert rounds.measure("any", job, sys.executable, 0, 60.0) == "ended with 1: no such luck"


def test_an_environment_that_cannot_be_made_is_its_contenders_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    (requirements / "openvino.txt").write_text("./no-such-package\n")
    monkeypatch.setattr(environments, "REQUIREMENTS", requirements)
    names = ["openvino_sorted", "openvino_sorted_bf16", "notebook"]
    given = {"notebook": "/usr/bin/python3"}
    found = environments.interpreters(names, given, tmp_path / "cache", "cpu", lambda line: None)
    assert found.pythons == given
    assert found.failures.keys() == {"openvino_sorted", "openvino_sorted_bf16"}
    assert "no-such-package" in found.failures["openvino_sorted"]
    assert not list((tmp_path / "cache" / "environments").iterdir())


def test_a_table_has_a_cell_for_every_title() -> None:
    assert markdown(["a", "b"], [["x", "1"]]) == ["| a | b |", "| --- | --: |", "| x | 1 |"]


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.name)
def test_pages_show_what_the_results_say(file: Path) -> None:
    document = json.loads(file.read_text(encoding="utf-8"))
    pages = [page for page in PAGES if f"<!-- results {file.name} -->" in page.read_text(encoding="utf-8")]
    assert pages
    for page in pages:
        expected = f"<!-- results {file.name} -->\n{block(document, file, page)}\n{END}"
        assert expected in page.read_text(encoding="utf-8"), f"run: python benchmarks/presentation.py {file}"
    assert file.with_suffix(".png").is_file() == has_chart(document)
