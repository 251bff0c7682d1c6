"""README and docs/ keep up with the code: commands, options, columns, reasons, exit codes, formats, names, links."""

from __future__ import annotations

import dataclasses
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import commands_page
import pytest

import scorer
from scorer import errors
from scorer.cli.main import INTERRUPTED, TERMINATED, cli
from scorer.review.answers.corrections import VERDICTS, Correction
from scorer.schema import REJECT_REASONS
from scorer.sources.formats.formats import FORMATS
from scorer.tasks.single_label import scores_schema

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PAGES = sorted(DOCS.glob("*.md"))
# What people read; each of its links leads somewhere, each of its options is one.
READ = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *PAGES]
OPTIONS = {
    name: {each for p in command.params if isinstance(p, click.Option) for each in p.opts}
    for name, command in cli.commands.items()
}


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def first_cells(page: str, heading: str) -> list[str]:
    """The first cell of each row of the first table under a heading."""
    rows = text_of(page).split(f"{heading}\n", 1)[1].split("|---", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    return [row.split("|")[1].strip() for row in rows]


def names_in(cells: list[str]) -> list[str]:
    return [name for each in cells for name in re.findall(r"`([^`]+)`", each)]


def anchors(file: Path) -> set[str]:
    """What links may name within a page: its headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    assert text_of("commands.md") == commands_page.page(), "run: python scripts/commands_page.py"


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_option_of_every_command_is_told(name: str) -> None:
    section = text_of("commands.md").split(f"\n## scorer {name}\n")[1].split("\n## ")[0]
    told = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE))))
    assert told == OPTIONS[name]
    elsewhere = "\n".join([README, *(text_of(page.name) for page in PAGES if page.name != "commands.md")])
    assert re.search(rf"scorer {name}\b", elsewhere)  # and the command is explained, not listed alone


@pytest.mark.parametrize("file", READ, ids=lambda file: file.name)
def test_every_option_that_is_told_exists(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    every = set().union(*OPTIONS.values()) | {"--version", "--help"}
    named = re.findall(r"`(?:[\w./ -]* )?(--[a-z][a-z-]+)", text)
    assert [option for option in named if option not in every] == []
    for line in re.findall(r"^    scorer .+|`scorer [a-z-]+ [^`]*`", text, re.MULTILINE):
        command, *words = shlex.split(line.strip().strip("`").split("#")[0])[1:]
        if command in OPTIONS:
            given = [word for word in words if re.match(r"--?[a-z]", word)]
            assert [word for word in given if word not in OPTIONS[command]] == [], line
        else:
            assert command in {"COMMAND", "--version", "--help"}, line


def test_every_column_is_described_and_no_other() -> None:
    kept = (scores_schema(classes=2, pairs=True, keep_text=True, top_k=top_k) for top_k in (None, 1))
    columns = {"rank"} | {name for each in kept for name in each.names}
    assert set(names_in(first_cells("results.md", "## Columns"))) == columns


def test_every_reason_is_described_and_no_other() -> None:
    assert names_in(first_cells("results.md", "## Rejected rows")) == [*REJECT_REASONS]


def test_every_exit_code_is_described_and_no_other() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ScorerError)]
    for kind in kinds:
        assert re.search(rf"{kind.__name__}\s+{kind.exit_code} ", errors.__doc__ or ""), kind.__name__
    told = [
        code for cell in first_cells("troubleshooting.md", "# Messages and exit codes") for code in cell.split(", ")
    ]
    assert sorted(map(int, told)) == sorted({0, INTERRUPTED, TERMINATED, *(kind.exit_code for kind in kinds)})


def test_the_corrections_file_is_described() -> None:
    assert {*names_in(first_cells("corrections.md", "## The file"))} == {
        field.name for field in dataclasses.fields(Correction)
    }
    assert [verdict for verdict in VERDICTS if f"`{verdict}`" not in text_of("corrections.md")] == []


def test_every_format_is_described() -> None:
    assert [suffix for suffix in FORMATS if f"`{suffix}`" not in text_of("data.md")] == []


def test_every_extra_is_described_and_no_other() -> None:
    project: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert {*names_in(first_cells("installing.md", "# Installing"))} == {*project["optional-dependencies"]}


def test_every_public_name_is_described() -> None:
    assert [name for name in scorer.__all__ if not re.search(rf"\b{name}\b", text_of("python.md"))] == []


@pytest.mark.parametrize("file", [*READ, *REPOSITORY.glob("[CL]*.md"), REPOSITORY / "benchmarks" / "README.md"])
def test_every_relative_link_leads_somewhere(file: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", file.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_front_page_is_short_and_leads_to_every_other() -> None:
    assert len(README.splitlines()) <= 120
    for page in PAGES:
        assert f"](docs/{page.name})" in README, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_opens_with_what_it_answers(page: Path) -> None:
    title, blank, opening = page.read_text(encoding="utf-8").splitlines()[:3]
    assert title.startswith("# ")
    assert not blank
    assert re.match(r"[A-Z].{30}", opening)


def test_the_two_commands_of_the_front_page() -> None:
    demo = "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt '.[cpu]' && .venv/bin/scorer demo"
    assert f"\n    {demo}\n" in README
    assert "\n    bash scripts/check\n" in README
    assert "\nbash scripts/check\n" in (REPOSITORY / ".ci" / "run").read_text()
    assert isinstance(cli.commands["demo"], click.Command)
