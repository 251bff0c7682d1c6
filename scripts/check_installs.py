"""Does every installation that the README and the messages name resolve, with old and new installers, and soon enough?

    python scripts/check_installs.py
    python scripts/check_installs.py --only uv --seconds 60

Asks the pip that comes with this Python, the newest pip, and uv, each in an environment of its own and each with and
without constraints, what they would install; nothing is installed, but old pips download what they would install,
which takes a while the first time. Needs a package index. Run it by hand when dependencies change: what resolves
depends on the index of the day, so no test can promise it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
# Extras, and the constraints that they are also tried with: those of the exporter that they bring.
EXTRAS = {
    "cpu": "constraints.txt",
    "cpu,export,hub": "constraints.txt",
    "cpu,export,hub,report,argilla": "constraints.txt",
    "cpu,dev": "constraints.txt",
    "cpu,export-torch,hub": "constraints-torch.txt",
}
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "constraints.txt", "constraints-torch.txt")
INSTALLERS = ("bundled pip", "newest pip", "uv")


def main() -> None:
    """Try all, print each, and fail if one does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=INSTALLERS, help="try this installer alone")
    parser.add_argument("--seconds", type=float, default=120, help="time that a resolution may take")
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory(prefix="scorer-installs-") as folder:
        source = copy_of_sources(Path(folder) / "source")
        for installer in INSTALLERS if options.only is None else (options.only,):
            command = make_installer(installer, Path(folder) / installer.replace(" ", "-"))
            for extras, file in EXTRAS.items():
                for constraints in ([], ["-c", file]):
                    taken_s, trouble = resolve([*command, *constraints, f".[{extras}]"], source, options.seconds)
                    with_constraints = "with constraints" if constraints else "without constraints"
                    print(f"{installer:<12} .[{extras}] {with_constraints}: {taken_s:.0f} s {trouble}", flush=True)
                    failed |= bool(trouble)
    sys.exit(1 if failed else 0)


def copy_of_sources(folder: Path) -> Path:
    """What building the package needs, where builds may leave their files."""
    shutil.copytree(REPOSITORY / "scorer", folder / "scorer", ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy(REPOSITORY / name, folder)
    return folder


def make_installer(installer: str, folder: Path) -> list[str]:
    """An empty environment, and the command that tells what it would install there."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    if installer != "bundled pip":
        package = "pip" if installer == "newest pip" else "uv"
        subprocess.run([python, "-m", "pip", "install", "-q", "-U", package], check=True)
    if installer == "uv":
        return [python, "-m", "uv", "pip", "install", "--dry-run", "--python", python]
    return [python, "-m", "pip", "install", "--dry-run"]


def resolve(command: Sequence[str], folder: Path, most_s: float) -> tuple[float, str]:
    """Seconds that it took, and what went wrong."""
    started = time.perf_counter()
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=most_s)
    except subprocess.TimeoutExpired:
        return most_s, "TOO LONG"
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return time.perf_counter() - started, f"FAILED: {lines[-1]}" if done.returncode else ""


if __name__ == "__main__":
    main()
