"""Does every installation that the README and the messages name resolve, with old and new installers, and soon enough?

    python scripts/check_installs.py
    python scripts/check_installs.py --brief                     # what CI runs
    python scripts/check_installs.py --only uv --seconds 60

Asks the pip that comes with this Python, the newest pip, and uv, each in an environment of its own and each with and
without constraints, what they would install; nothing is installed, but old pips download what they would install,
which takes a while the first time. Looks at the versions too: beside other packages, an exporter must get the
transformers that it needs. Needs a package index, and says so where there is none.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "constraints.txt", "constraints-optimum.txt")
INSTALLERS = ("bundled pip", "newest pip", "uv")
PROBE = "click"  # a small package without dependencies: where it does not resolve, no index answers


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """What somebody may want to have in one environment.

    Attributes:
        extras: of this package.
        beside: other packages with it.
        expected: beginnings of versions that must come of it.
    """

    extras: str
    beside: tuple[str, ...] = ()
    expected: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def constraints(self) -> str:
        """The file of versions that were verified with the exporter that the extras bring."""
        return "constraints-optimum.txt" if "optimum" in self.extras else "constraints.txt"

    @property
    def requirements(self) -> list[str]:
        """What the installer is given."""
        return [f".[{self.extras}]", *self.beside]


TORCH, OPTIMUM = {"transformers": "5."}, {"transformers": "4.57.", "optimum-onnx": "0.1."}
MAIN = Wish("cpu,export,hub", expected=TORCH)
WISHES = (
    Wish("cpu"),
    MAIN,
    Wish("gpu,export,hub", expected=TORCH),
    Wish("cpu,export,hub,report,argilla", expected=TORCH),
    Wish("cpu,dev", expected=TORCH),
    Wish("cpu,export-optimum,hub", expected=OPTIMUM),
    Wish("cpu,export-optimum,hub,report,argilla", expected=OPTIMUM),
    Wish("cpu,export,hub", ("sentence-transformers>=6", "setfit>=1.2"), {**TORCH, "setfit": "1.", "datasets": "5."}),
    Wish("cpu,export-optimum,hub", ("setfit>=1.2",), {**OPTIMUM, "sentence-transformers": "5."}),
)


def main() -> None:
    """Try all, print each, and fail if one does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=INSTALLERS, help="try this installer alone")
    parser.add_argument(
        "--brief", action="store_true", help="uv on all, and the bundled pip on the README's line, constrained"
    )
    parser.add_argument("--seconds", type=float, default=120, help="time that a resolution may take")
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory(prefix="scorer-installs-") as folder:
        source = copy_of_sources(Path(folder) / "source")
        for installer in INSTALLERS if options.only is None else (options.only,):
            if options.brief and installer == "newest pip":
                continue
            command = make_installer(installer, Path(folder) / installer.replace(" ", "-"))
            for wish in WISHES if installer == "uv" or not options.brief else (MAIN,):
                for constraints in ([], ["-c", wish.constraints]):
                    if options.brief and installer != "uv" and not constraints:
                        continue  # it would download the newest torch with all that it needs for CUDA
                    taken_s, trouble = resolve([*command, *constraints], wish, source, options.seconds)
                    name = f"{' '.join(wish.requirements)} {'with' if constraints else 'without'} constraints"
                    print(f"{installer:<12} {name}: {taken_s:.0f} s {trouble}", flush=True)
                    failed |= bool(trouble)
    sys.exit(1 if failed else 0)


def copy_of_sources(folder: Path) -> Path:
    """What building the package needs, where builds may leave their files."""
    shutil.copytree(REPOSITORY / "scorer", folder / "scorer", ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy(REPOSITORY / name, folder)
    return folder


def make_installer(installer: str, folder: Path) -> list[str]:
    """An empty environment, and the command that tells what it would install there; ends where no index answers."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    package = {"newest pip": "pip", "uv": "uv"}.get(installer, PROBE)
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "-U", package], check=False, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(
            f"No package index can be reached, so no installation can be tried: pip could not install '{package}'.\n"
            f"{last_line(done)}\nTry again with a network, or set PIP_INDEX_URL and UV_INDEX_URL."
        )
    if installer == "uv":
        return [python, "-m", "uv", "pip", "install", "--dry-run", "--python", python]
    return [python, "-m", "pip", "install", "--dry-run"]


def resolve(command: Sequence[str], wish: Wish, folder: Path, most_s: float) -> tuple[float, str]:
    """Seconds that it took, and what went wrong."""
    started = time.perf_counter()
    try:
        done = subprocess.run(
            [*command, *wish.requirements], cwd=folder, capture_output=True, text=True, check=False, timeout=most_s
        )
    except subprocess.TimeoutExpired:
        return most_s, "TOO LONG"
    taken_s = time.perf_counter() - started
    if done.returncode:
        return taken_s, f"FAILED: {last_line(done)}"
    found = versions(done.stdout + done.stderr)
    wrong = [
        f"{name} {found.get(name, 'is missing')}, not {start}*"
        for name, start in wish.expected.items()
        if not found.get(name, "").startswith(start)
    ]
    return taken_s, f"WRONG: {'; '.join(wrong)}" if wrong else ""


def versions(output: str) -> dict[str, str]:
    """Version by package: from pip's line `Would install a-1 b-2`, or from uv's lines ` + a==1`."""
    found = re.findall(r"^ \+ (\S+)==(\S+)", output, flags=re.MULTILINE)
    found += re.findall(r" (\S+)-(\d[^\s-]*)(?= |$)", "".join(re.findall(r"^Would install( .+)", output, re.MULTILINE)))
    return {name.lower().replace("_", "-"): version for name, version in found}


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last thing that a command said."""
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {done.returncode}"


if __name__ == "__main__":
    main()
