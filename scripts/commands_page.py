"""docs/commands.md, written from the commands' own help.

    python scripts/commands_page.py

A test fails where the page and the commands differ.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click

from scorer.cli.main import cli
from scorer.cli.terminal.help import Command, GroupedOption

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
OPENING = """# Commands

Every command with its arguments, options and defaults: the same text as `scorer COMMAND --help`, from which
`scripts/commands_page.py` writes this page.

| command | what it does |
|---|---|"""


def page() -> str:
    """The page's text."""
    commands = sorted(cli.commands.items())
    index = [f"| [`scorer {name}`](#scorer-{name}) | {cell(each.get_short_help_str(200))} |" for name, each in commands]
    return "\n".join([OPENING, *index, *(section(name, each) for name, each in commands)]) + "\n"


def section(name: str, command: click.Command) -> str:
    """A command: how it is called, what it does, its options in their groups, examples."""
    context = click.Context(command, info_name=f"scorer {name}")
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = ["", f"## scorer {name}", "", f"    {usage}", "", paragraphs(command.help or "")]
    groups: dict[str, list[str]] = {}
    for option in command.params:
        record = option.get_help_record(context)
        if record is not None and isinstance(option, GroupedOption):
            written, told = record
            groups.setdefault(option.heading, []).append(f"| {code(written)} | {cell(told)} |")
    for heading, rows in groups.items():
        lines += ["", f"| {heading} | |", "|---|---|", *rows]
    if isinstance(command, Command) and command.examples:
        lines += ["", "Examples:", "", *(f"    {example}" for example in command.examples)]
    return "\n".join(lines)


def paragraphs(help_text: str) -> str:
    """A docstring's text, a line for each paragraph."""
    return "\n\n".join(" ".join(each.split()) for each in inspect.cleandoc(help_text).split("\n\n"))


def code(written: str) -> str:
    """An option and its value as code in a cell; choices are separated by commas, as a bar would end the cell."""
    return f"`{re.sub(r'[|]', ', ', written)}`"


def cell(text: str) -> str:
    """A help text as a cell of a table."""
    return re.sub(r"[|]", r"\\|", " ".join(text.split()))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
