"""Every mistake a person can make ends in a message that helps, the right exit code, and nothing half-written."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from mistakes import CASES, Bench

import scorer.cli.main
from scorer.errors import DataError, LabelError, ScorerError, UsageError

SMALL_FILE_BYTES = 1_000_000
LONGEST_MESSAGE = 8_000


@pytest.fixture
def bench(
    tmp_path: Path, model: Path, label_names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    monkeypatch.setenv("COLUMNS", "200")
    yield Bench(tmp_path, model, label_names, monkeypatch)
    for folder in tmp_path.iterdir():
        if folder.is_dir() and not folder.is_symlink():
            folder.chmod(0o700)


def tree(folder: Path) -> dict[str, object]:
    """All that lies in a folder, so that two looks at it can be compared."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.is_symlink():
            found[str(path)] = path.readlink() if path.is_symlink() else "folder"
        elif path.stat().st_size <= SMALL_FILE_BYTES and os.access(path, os.R_OK):
            found[str(path)] = path.read_bytes()
        else:
            found[str(path)] = path.stat().st_mtime_ns
    return found


@dataclasses.dataclass(frozen=True)
class Outcome:
    exit_code: int | None
    stdout: str
    stderr: str

    def shows(self, says: Sequence[str]) -> None:
        """The message is on stderr, holds every fragment, and looks like one written for a person."""
        assert "Error: " in self.stderr
        assert "Traceback" not in self.stderr + self.stdout
        assert self.stdout == ""
        assert not [fragment for fragment in says if fragment not in self.stderr]
        assert "\x1b" not in self.stderr
        assert len(self.stderr) <= LONGEST_MESSAGE


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """The command in this process; an exception that it lets through fails the test."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["scorer", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            scorer.cli.main.main()
        stdout, stderr = capsys.readouterr()
        sys.stderr.write(stderr)  # shown where the test fails
        return Outcome(ended.value.code, stdout, stderr)  # type: ignore[arg-type]

    return run


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_ends_in_a_helpful_message_and_changes_no_file(
    name: str, bench: Bench, command: Callable[..., Outcome]
) -> None:
    arguments = CASES[name].arguments(bench)
    before = tree(bench.path)
    outcome = command(*arguments)
    assert outcome.exit_code == CASES[name].error.exit_code
    outcome.shows(CASES[name].says)
    assert tree(bench.path) == before


@pytest.mark.parametrize(
    "name",
    [
        "missing_file",
        "file_name_in_another_encoding",
        "parquet_with_a_damaged_page_in_the_middle",
        "label_names_of_another_model",
        "texts_that_are_all_blank",
        "option_that_does_not_exist",
        "model_with_a_flipped_byte",
    ],
)
def test_a_mistake_ends_alike_in_a_process_of_its_own(
    name: str, bench: Bench, scorer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    arguments = CASES[name].arguments(bench)
    before = tree(bench.path)
    done = scorer(*arguments)
    assert done.returncode == CASES[name].error.exit_code
    Outcome(done.returncode, done.stdout, done.stderr).shows(CASES[name].says)
    assert tree(bench.path) == before


def test_exit_codes_are_distinct_and_none_is_the_one_of_a_traceback() -> None:
    codes = [error.exit_code for error in ScorerError.__subclasses__()]
    assert len(set(codes)) == len(codes)
    assert not {0, 1} & set(codes)


def test_a_hub_data_set_that_cannot_be_reached_says_what_to_check(
    bench: Bench, scorer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    pytest.importorskip("datasets")
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(bench.path / "cache")}
    done = scorer(*bench.run("owner/no-such-data"), env=offline)
    assert done.returncode == DataError.exit_code
    Outcome(done.returncode, done.stdout, done.stderr).shows(
        ["no file or folder 'owner/no-such-data'", "hub", "network", "hf auth login"]
    )
    assert not bench.out.exists()


@pytest.fixture
def finished_run(bench: Bench, command: Callable[..., Outcome]) -> Path:
    assert command(*bench.run(bench.good())).exit_code in {0, None}
    return bench.out


def test_show_lists_the_labels_when_asked_for_one_that_does_not_exist(
    finished_run: Path, bench: Bench, command: Callable[..., Outcome]
) -> None:
    outcome = command("show", finished_run, "--label", "no such label")
    assert outcome.exit_code == UsageError.exit_code
    outcome.shows(["no label 'no such label'", *bench.label_names])


@pytest.mark.parametrize("by", ["loss", "entropy"])
def test_rank_of_a_truncated_shard_fails_and_keeps_the_ranking(
    by: str, finished_run: Path, command: Callable[..., Outcome]
) -> None:
    shard = finished_run / "scores" / "shard-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-400])
    before = tree(finished_run)
    outcome = command("rank", finished_run, "--by", by)
    assert outcome.exit_code == DataError.exit_code
    outcome.shows(["cannot rank", "scores", "scorer run"])
    assert tree(finished_run) == before


def test_rank_of_a_second_shard_that_is_garbage_fails_and_keeps_the_ranking(
    finished_run: Path, command: Callable[..., Outcome]
) -> None:
    (finished_run / "scores" / "shard-00001.parquet").write_bytes(b"PAR1" + b"garbage" * 50 + b"PAR1")
    before = tree(finished_run)
    outcome = command("rank", finished_run)
    assert outcome.exit_code == DataError.exit_code
    outcome.shows(["cannot rank", "scores", "scorer run"])
    assert tree(finished_run) == before


def test_terminal_without_unicode_shows_rankings_and_errors(
    finished_run: Path, bench: Bench, scorer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    texts = bench.frame(text=["naïve 😀 新闻"] * 12)
    done = scorer(*bench.run(bench.csv(texts), out=bench.path / "second"), env=ascii_only)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    as_json = scorer(*bench.run(bench.csv(texts), out=bench.path / "neuigkeiten-é"), "--json", env=ascii_only)
    assert json.loads(as_json.stdout)["output"].endswith("-é")
    shown = scorer("show", bench.path / "second", env=ascii_only)
    assert (shown.returncode, "Traceback" in shown.stderr) == (0, False)
    assert "na\\xefve" in shown.stdout
    failed = scorer("show", bench.path / "新闻", env=ascii_only)
    assert (failed.returncode, "Traceback" in failed.stderr) == (DataError.exit_code, False)


def test_control_characters_in_a_message_are_shown_and_not_acted_on(
    bench: Bench, command: Callable[..., Outcome]
) -> None:
    data = bench.csv(bench.frame(label=["\x1b[31mred\x07", "plain"] * 6))
    outcome = command(*bench.run(data))
    assert outcome.exit_code == LabelError.exit_code
    outcome.shows(["red", "plain"])
    assert not {"\x1b", "\x07"} & set(outcome.stderr)
    missing = command(*bench.run(bench.path / "a\x1b]0;title\x07b.csv"))
    assert missing.exit_code == DataError.exit_code
    missing.shows(["there is no file"])
    assert not {"\x1b", "\x07"} & set(missing.stderr)
