"""The rooms of the package: each imports from those above it in the list of CONTRIBUTING.md, and the list is whole."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "scorer"
MOST_MODULES = 14
# Modules of the package itself, which every room may use; the last two are its doors.
GROUND = ("distribution", "errors", "schema", "listener", "config")
DOORS = ("__init__", "__main__")


def listed() -> list[str]:
    """Rooms in the order of CONTRIBUTING.md, from the ground up: "sources/storage"."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = text.split("## The rooms", 1)[1].split("```", 2)[1]
    return re.findall(r"^([a-z_/]+)/ ", block, flags=re.MULTILINE)


def room_of(module: Path) -> str:
    """The folder of a module, below the package; modules of the package itself are rooms of their own."""
    inside = module.relative_to(PACKAGE)
    return inside.parent.as_posix() if len(inside.parts) > 1 else inside.stem


def modules() -> Iterator[Path]:
    yield from sorted(PACKAGE.rglob("*.py"))


def imported(module: Path) -> Iterator[Path]:
    """The package's own modules that a module imports, wherever in its text."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] != "scorer":
                continue
            path = PACKAGE.joinpath(*parts[1:])
            if path.with_suffix(".py").is_file():
                yield path.with_suffix(".py")
            elif path != PACKAGE and (path / "__init__.py").is_file():
                yield path / "__init__.py"


def arrows() -> dict[tuple[str, str], set[str]]:
    """(from room, to room) -> the modules that draw the arrow; what stays within a room is none."""
    found: dict[tuple[str, str], set[str]] = {}
    for module in modules():
        for target in imported(module):
            pair = (room_of(module), room_of(target))
            if pair[0] != pair[1]:
                found.setdefault(pair, set()).add(f"{module.relative_to(PACKAGE)} -> {target.relative_to(PACKAGE)}")
    return found


def test_every_room_is_in_the_list_and_nothing_else() -> None:
    folders = {room_of(module) for module in modules() if module.parent != PACKAGE}
    assert len(listed()) == len(set(listed()))
    assert set(listed()) == folders
    assert {module.stem for module in PACKAGE.glob("*.py")} == {*GROUND, *DOORS}


def test_no_arrow_points_upward() -> None:
    order = {room: floor for floor, room in enumerate([*GROUND, *listed()])}
    upward = [
        modules for (above, below), modules in arrows().items() if above not in DOORS and order[below] >= order[above]
    ]
    assert upward == []


def test_nothing_imports_the_doors() -> None:
    assert [pair for pair in arrows() if pair[1] in DOORS] == []


@pytest.mark.parametrize("room", listed())
def test_a_room_is_small_enough_to_look_around_in(room: str) -> None:
    assert 1 <= len([each for each in (PACKAGE / room).glob("*.py") if each.stem != "__init__"]) <= MOST_MODULES


def test_the_walk_sees_imports_wherever_they_stand() -> None:
    """The test of the test: a door draws arrows too, and lazy imports count."""
    assert any(target.name == "run.py" for target in imported(PACKAGE / "cli" / "main.py"))
