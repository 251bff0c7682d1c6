"""The core is light: heavy packages stay unimported, and the package works where they do not exist."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scorer.cli.main import cli

HEAVY = ("torch", "transformers", "optimum", "datasets", "argilla", "onnx", "sklearn")


def imported_after(code: str) -> list[str]:
    """Heavy packages in sys.modules after running the code in a fresh process."""
    tail = f"\nimport sys, json; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


def run_code(model: Path, data: Path, output: Path) -> str:
    return (
        "from pathlib import Path\nfrom scorer import RunConfig, score\n"
        f"score(RunConfig(model=Path({str(model)!r}), data=({str(data)!r},), output=Path({str(output)!r})))"
    )


def test_a_run_on_local_files_imports_nothing_heavy(model: Path, corpus_file: Path, tmp_path: Path) -> None:
    assert imported_after(run_code(model, corpus_file, tmp_path / "out")) == []
    assert (tmp_path / "out" / "ranked.parquet").exists()


def test_the_probe_sees_a_heavy_import() -> None:
    assert imported_after("import datasets") != []


def test_importing_the_package_imports_none_of_its_tools() -> None:
    code = (
        "import sys, scorer; before = {'numpy', 'polars', 'pyarrow', 'onnxruntime', 'rich', 'click', "
        "'msgspec', 'filelock'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + "; print(sorted(before))"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [[], *([name] for name in sorted(cli.commands))])
def test_help_needs_click_alone(command: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['scorer', *{command!r}, '--help']\nfrom scorer.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted({'numpy', 'polars', 'pyarrow', 'onnxruntime', 'rich', 'msgspec', 'filelock'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_run_works_where_the_extras_do_not_exist(model: Path, corpus_file: Path, tmp_path: Path) -> None:
    hidden = f"import sys\nfor name in {HEAVY!r}: sys.modules[name] = None\n"
    code = hidden + run_code(model, corpus_file, tmp_path / "out")
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert (tmp_path / "out" / "run.json").exists()
