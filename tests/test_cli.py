"""Commands as a person meets them: help, version, output, and documents that keep up with the code."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import click
import polars as pl
import pytest
from click.testing import CliRunner

from scorer import errors
from scorer.cli.commands.demo import demo_corpus
from scorer.cli.commands.doctor import diagnose
from scorer.cli.main import cli
from scorer.distribution import DISTRIBUTION, install_command

REPOSITORY = Path(__file__).parents[1]
Scorer = Callable[..., subprocess.CompletedProcess[str]]

COMMANDS = sorted(cli.commands)


def error_classes() -> list[type[errors.ScorerError]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ScorerError)]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_is_grouped_and_ends_with_an_example(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"], terminal_width=100)
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"scorer {name}" in result.output.split("Example")[1]
    assert max(map(len, result.output.splitlines())) <= 110
    for option in (p for p in cli.commands[name].params if isinstance(p, click.Option) and p.name != "help"):
        assert option.help, f"{option.name} has no help"


def test_version(scorer: Scorer) -> None:
    done = scorer("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"scorer, version \d+\.\d+\.\d+\n", done.stdout)


def test_every_installation_that_is_named_is_of_this_distribution() -> None:
    pattern = re.compile(r"pip install [^\n]*?'([\w-]+)\[")
    files = [
        file
        for folder in ("scorer", "benchmarks", "scripts", "docs")
        for file in (REPOSITORY / folder).rglob("*")
        if file.suffix in {".py", ".js", ".md", ".html"} and ".cache" not in file.parts
    ]
    found = {name for file in [*files, *REPOSITORY.glob("*.md")] for name in pattern.findall(file.read_text())}
    assert found == {DISTRIBUTION}
    assert install_command("hub") == f"pip install '{DISTRIBUTION}[hub]'"
    assert tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["name"] == DISTRIBUTION


def test_exit_codes_are_distinct() -> None:
    codes = [kind.exit_code for kind in error_classes()]
    assert len(codes) == len(set(codes))


def test_run_prints_a_summary_and_the_ten_highest_losses(
    scorer: Scorer, model: Path, corpus_file: Path, tmp_path: Path
) -> None:
    done = scorer("run", model, corpus_file, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "Scored 600 of 600 rows" in done.stdout
    assert "The 10 highest losses" in done.stdout
    assert "Columns guessed: text 'text', label 'label', id 'id'." in done.stderr
    assert f"scorer show {tmp_path / 'out'}" in done.stdout


def test_json_is_one_object_on_stdout(scorer: Scorer, model: Path, corpus_file: Path, tmp_path: Path) -> None:
    done = scorer("run", model, corpus_file, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary == json.loads((tmp_path / "out" / "run.json").read_text())
    assert summary["counts"]["read"] == 600


def test_show_filters_by_given_and_predicted_label(
    scorer: Scorer, model: Path, corpus_file: Path, label_names: tuple[str, ...], tmp_path: Path
) -> None:
    scorer("run", model, corpus_file, "-o", tmp_path / "out")
    ranked = pl.read_parquet(tmp_path / "out" / "ranked.parquet")
    expected = ranked.filter(pl.col("label") == 1).head(3)
    done = scorer("show", tmp_path / "out", "--label", label_names[1].upper(), "--top", 3)
    assert done.returncode == 0, done.stderr
    assert [int(rank) for rank in re.findall(r"^#(\d+)", done.stdout, re.MULTILINE)] == expected["rank"].to_list()
    predicted = scorer("show", tmp_path / "out", "--predicted", "0", "--top", 1)
    first = ranked.filter(pl.col("predicted_label") == 0).head(1)["rank"].item()
    assert f"#{first} " in predicted.stdout


@pytest.mark.parametrize(
    ("by", "high_first"),
    [("loss", True), ("self_confidence", False), ("normalized_margin", False), ("entropy", True)],
)
def test_rank_again_by_another_score(
    by: str, high_first: bool, *, scorer: Scorer, model: Path, corpus_file: Path, tmp_path: Path
) -> None:
    scorer("run", model, corpus_file, "-o", tmp_path / "out")
    assert scorer("rank", tmp_path / "out", "--by", by).returncode == 0
    ranked = pl.read_parquet(tmp_path / "out" / "ranked.parquet")
    assert ranked["rank"].to_list() == list(range(1, 601))
    assert ranked.select(by, "row").equals(
        ranked.select(by, "row").sort(by, "row", descending=[high_first, False], maintain_order=True)
    )


def test_doctor_says_what_starts(scorer: Scorer) -> None:
    done = scorer("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^Provider cpu\s+starts$", done.stdout, re.MULTILINE)
    assert re.search(r"^onnxruntime|ONNX Runtime packages +onnxruntime", done.stdout, re.MULTILINE)
    assert re.search(r"^Exporter +(torch|optimum|none)$", done.stdout, re.MULTILINE)


def test_doctor_says_what_to_install_for_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = diagnose()
    assert found.exporter is None
    assert [line for line in found.advice if "pip install 'scorer-onnx[export" in line]


def test_demo_finds_the_planted_errors_and_says_what_to_do_next(scorer: Scorer, tmp_path: Path) -> None:
    done = scorer("demo", "-o", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    found, planted = map(int, re.findall(r"(\d+) of the (\d+) planted", done.stdout)[0])
    assert planted == 120
    assert found >= 0.8 * planted
    assert f"Next: scorer show {tmp_path / 'demo'}" in done.stdout
    assert scorer("demo", "-o", tmp_path / "demo").returncode == 0  # again, over its own results


@pytest.mark.parametrize(
    ("sent", "code", "word"), [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "Terminated.")]
)
def test_a_signal_ends_the_run_at_once_and_says_how_to_go_on(
    sent: signal.Signals, code: int, word: str, *, model: Path, scorer: Scorer, tmp_path: Path
) -> None:
    data = [str(demo_corpus())] * 8  # two share a shard
    command = [sys.executable, "-m", "scorer", "run", str(model), *data, "-o", "out", "--overwrite"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("out/scores/shard-*.parquet")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert word in stderr
    assert "Traceback" not in stderr
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name or path.name in {"run.json", "run.lock"}]
    (done, resuming) = re.findall(r"(\d) of 4 shards are finished. Go on with: (scorer run .+)", stderr)[0]
    assert int(done) >= 1
    assert "--overwrite" not in resuming
    again = scorer(*shlex.split(resuming)[1:], cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert f"Going on with an earlier run: {done} of 4 shards are finished." in again.stderr
    assert pl.read_parquet(tmp_path / "out" / "ranked.parquet").height == 8 * 4_000


def test_progress_is_plain_lines_where_there_is_no_terminal(
    model: Path, corpus_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scorer.cli.terminal.progress.LINE_INTERVAL_S", 0.0)
    result = CliRunner().invoke(cli, ["run", str(model), str(corpus_file), "-o", str(tmp_path / "out")])
    assert result.exit_code == 0
    lines = re.findall(r"([\d,]+) of 600 rows \([\d.]+%\), [\d,]+ rows/s, [\d,]+ tokens/s, .+ left", result.stderr)
    assert lines
    assert lines[-1] == "600"
    assert "\x1b" not in result.stderr
