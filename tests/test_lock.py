"""The lock of a directory: one holder at a time, who says who it is, and nothing left when it ends."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from scorer.errors import OutputError
from scorer.system.lock import locked

# Adds 1 to a number in a file, so many times, each under the lock; reading and writing apart show any overlap.
COUNTING = """
import pathlib, sys, time
from scorer.errors import OutputError
from scorer.system.lock import locked
folder, left = pathlib.Path(sys.argv[1]), int(sys.argv[2])
while left:
    try:
        with locked(folder / "run.lock"):
            number = int((folder / "number").read_text())
            time.sleep(0.001)
            (folder / "number").write_text(str(number + 1))
        left -= 1
    except OutputError:
        pass
"""


def test_processes_that_take_and_leave_the_lock_never_meet(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("0")
    command = [sys.executable, "-c", COUNTING, str(tmp_path), "60"]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 4
    assert (tmp_path / "number").read_text() == "240"
    assert [file.name for file in tmp_path.iterdir()] == ["number"]


def test_who_is_turned_away_leaves_the_holders_note(tmp_path: Path) -> None:
    file = tmp_path / "run.lock"
    with locked(file):
        note = file.read_bytes()
        for _ in range(2):
            with (
                pytest.raises(OutputError, match=r"another run is writing to .* \(process \d+ on .*, since "),
                locked(file),
            ):
                pass
        assert file.read_bytes() == note
    assert not file.exists()


@pytest.mark.parametrize("note", [b"", b"{}", b"\xff\xfe", b'{"pid": "one", "host": "x", "since": "y"}', b"{" * 9_999])
def test_a_note_that_cannot_be_read_is_nobodys(note: bytes, tmp_path: Path) -> None:
    file = tmp_path / "run.lock"
    file.write_bytes(note)
    with locked(file) as died:
        assert died is None


def test_the_lock_is_free_when_the_block_fails_and_when_its_folder_goes(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(ZeroDivisionError), locked(folder / "run.lock"):
        raise ZeroDivisionError
    assert not list(folder.iterdir())
    with locked(folder / "run.lock"):
        (folder / "run.lock").unlink()
        folder.rmdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"), locked(tmp_path / "file" / "run.lock"):
        pass


@pytest.mark.parametrize("answer", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_gives_no_protection_and_stops_nobody(
    answer: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError(answer, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / "run.lock") as died, locked(tmp_path / "run.lock"):
        assert died is None
    assert not list(tmp_path.iterdir())
