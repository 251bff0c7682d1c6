"""The public names, as a program that uses them meets them: typed, and the examples of docs/python.md with them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import scorer

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

PROGRAM = """
from collections.abc import Mapping
from pathlib import Path
from typing import assert_type

from scorer import (
    Applied, ApplyConfig, ExportConfig, Listener, RunConfig, RunReport, ScorerError, apply_corrections, export_onnx,
    rank, score,
)


def ranked(data: tuple[str, ...], model: Path, output: Path, listener: Listener | None) -> Path:
    config = RunConfig(
        model=model, data=data, output=output, text_column="review", part=(1, 2), max_batch_tokens=1_024, workers=2
    )
    try:
        report = score(config, listener)
    except ScorerError as error:
        raise SystemExit(assert_type(error.exit_code, int)) from error
    assert_type(report, RunReport)
    reasons: Mapping[str, int] = report.counts.rejected_by_reason
    assert_type(sum(reasons.values()), int)
    assert_type(report.rows_per_s, float)
    return assert_type(rank(output, "entropy", top=100), Path)


def corrected(files: tuple[Path, ...], data: tuple[str, ...], output: Path) -> int:
    applied = apply_corrections(ApplyConfig(corrections=files, data=data, output=output, drop=True))
    assert_type(applied, Applied)
    return assert_type(sum(applied.changed.values()) + len(applied.refused), int)


export_onnx(ExportConfig(model="checkpoint", output=Path("model"), precision="int8", max_length=256))
"""

# A program that is wrong in one place, and what a type checker says of it.
WRONG = {
    'RunConfig(model="model", data=("a.csv",), output=Path("o"))': 'incompatible type "str"; expected "Path"',
    'RunConfig(model=Path("m"), data=("a.csv",), output=Path("o"), thread=2)': 'Unexpected keyword argument "thread"',
    'rank(Path("o"), by="los")': "incompatible type \"Literal['los']\"",
    "score(None)": 'incompatible type "None"; expected "RunConfig"',
    'scorer.fit("data.csv")': 'Module has no attribute "fit"',
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def type_check(program: Path, cache: Path) -> str:
    """What mypy says of a program, with this project's settings for packages that have no types."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(cache), str(program)]
    environment = {**os.environ, "MYPYPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_every_public_name_is_there() -> None:
    assert dir(scorer) == sorted(scorer.__all__)
    for name in scorer.__all__:
        assert getattr(scorer, name).__name__ == name
    assert (Path(scorer.__file__).parent / "py.typed").is_file()


def test_programs_that_use_the_public_names_type_check_and_wrong_ones_do_not(tmp_path: Path, cache: Path) -> None:
    assert len(EXAMPLES) >= 2
    for number, text in enumerate([PROGRAM, *EXAMPLES]):
        program = tmp_path / f"program_{number}.py"
        program.write_text(text)
        assert type_check(program, cache) == ""
    head = "from pathlib import Path\n\nimport scorer\nfrom scorer import RunConfig, rank, score\n\n"
    program = tmp_path / "wrong.py"
    program.write_text(head + "\n".join(WRONG) + "\n")
    told = type_check(program, cache)
    for number, (line, complaint) in enumerate(WRONG.items(), start=head.count("\n") + 1):
        assert re.search(rf"wrong\.py:{number}: error: .*{re.escape(complaint)}", told), (line, told)
