"""Where an export writes: one at a time, whole or not at all, and clean again after whatever ended an earlier one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from disks import mounted

from scorer.errors import OutputError
from scorer.export.output import published
from scorer.model.model_directory import CONTRACT_FILE, MODEL_FILE
from scorer.system.files import temporary_beside

HOLD = """
import sys, time
from pathlib import Path
from scorer.export.output import published
with published(Path(sys.argv[1]), overwrite=True) as folder:
    (folder / "model.onnx").write_text("half")
    print(folder.name, flush=True)
    time.sleep(60)
"""


def write(output: Path, content: str, *, overwrite: bool = False) -> None:
    """An export in small."""
    with published(output, overwrite=overwrite) as folder:
        (folder / MODEL_FILE).write_text(content)
        (folder / CONTRACT_FILE).write_text("{}")


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process in the middle of an export."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "model")], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(".model.")
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_export_to_the_same_place_is_refused(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=rf"another export is writing to '.*model' \(process {holder.pid} on .*Wait"):
        write(tmp_path / "model", "second")
    write(tmp_path / "beside", "third")
    assert (tmp_path / "beside" / MODEL_FILE).read_text() == "third"
    assert len(list(tmp_path.glob(".model.*.tmp/model.onnx"))) == 1  # the first one's, untouched


def test_what_a_killed_export_left_goes_with_the_next(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert len(list(tmp_path.iterdir())) == 2  # what it built, and its lock
    write(tmp_path / "model", "next")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_in_containers_the_next_export_has_the_number_of_the_killed_one(tmp_path: Path) -> None:
    left = temporary_beside(tmp_path / "model")  # with this process's own number
    left.mkdir()
    write(tmp_path / "model", "next")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_output_that_was_moved_away_when_the_export_was_killed_is_put_back(tmp_path: Path) -> None:
    output = tmp_path / "model"
    write(output, "old")
    output.rename(tmp_path / ".model.replaced")
    with pytest.raises(OutputError, match="--overwrite"):
        write(output, "new")
    assert (output / MODEL_FILE).read_text() == "old"
    write(output, "new", overwrite=True)
    assert (output / MODEL_FILE).read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_somebody_puts_there_meanwhile_stays(tmp_path: Path) -> None:
    output = tmp_path / "model"

    def export_while_somebody_writes() -> None:
        with published(output, overwrite=False) as folder:
            (folder / MODEL_FILE).write_text("new")
            output.mkdir()
            (output / "thesis.txt").write_text("years of work")

    with pytest.raises(OutputError, match="not empty"):
        export_while_somebody_writes()
    assert (output / "thesis.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("size", ["40k", "300k"])  # the tokenizer, the graph
def test_a_full_disk_is_told_whatever_library_met_it(size: str, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs an extra that exports")
    from checkpoints import make_checkpoint

    from scorer import ExportConfig, export_onnx

    checkpoint = make_checkpoint("bert", tmp_path / "checkpoint")
    with mounted(tmp_path / "disk", size) as disk:
        with pytest.raises(OutputError, match=r"cannot write to '.*disk': No space left on device\. Free space or ch"):
            export_onnx(ExportConfig(str(checkpoint), disk / "model"))
        assert list(disk.iterdir()) == []


def test_other_failures_keep_their_reason_on_a_full_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "40k") as disk:
        (disk / "filler").write_bytes(b"0" * 8_192)
        with pytest.raises(ValueError, match="no classifier"), published(disk / "model", overwrite=False):
            raise ValueError("no classifier")
