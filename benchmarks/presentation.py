"""Results as tables: on the terminal, and in the pages of the repository.

    python benchmarks/presentation.py benchmarks/results/*.json

Draws the chart of each result beside it and writes its table into every page that has room for it: what stands
between `<!-- results NAME.json -->` and `<!-- end of results -->` is replaced.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from charts import draw
from results import Figures, Workload
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).parents[1]
PAGES = (REPOSITORY / "README.md", REPOSITORY / "benchmarks" / "README.md")
END = "<!-- end of results -->"


def show(document: Mapping[str, Any]) -> None:
    """Print the table of a run of the contenders, then what failed and why."""
    figures, work = figures_of(document)
    table = Table(title=_title(document, work), title_justify="left")
    for position, name in enumerate(columns(work)):
        table.add_column(name, justify="left" if position < 2 else "right", no_wrap=True)
    for each in figures:
        table.add_row(*cells(each))
    # Wide enough for every column, also where the output is a file.
    console = Console(width=max(Console().width, 200))
    console.print(table)
    for each in figures:
        if each.failure is not None:
            console.print(f"{each.name}: {each.failure}", markup=False, soft_wrap=True)


def figures_of(document: Mapping[str, Any]) -> tuple[list[Figures], Workload]:
    """The figures in a JSON document, and what they are figures of."""
    return [Figures(**each) for each in document["contenders"]], Workload(**document["work"])


def columns(work: Workload) -> list[str]:
    """Titles of the table."""
    names = ["contender", "precision", "rows/s", "min-max", "rounds", "x notebook", "tokens/s", "real/padded"]
    names += ["peak MiB", "useful GFLOP/s", "of GEMM peak", f"head of {work.head}", "Spearman"]
    return [*names, "head is fp32's"]


def cells(each: Figures) -> list[str]:
    """A contender's line of the table."""
    if not each.seconds:
        return [each.name, each.precision, "not run", *["-"] * 11]
    return [
        each.name,
        each.precision,
        _number(each.rows_per_s, ".1f"),
        f"{_number(each.rows_per_s_min, '.1f')}-{_number(each.rows_per_s_max, '.1f')}",
        str(len(each.seconds)),
        _number(each.ratio, ".2f"),
        _number(each.tokens_per_s, ",.0f"),
        _number(each.padding_efficiency, ".1%"),
        _number(each.peak_mib, ",.0f"),
        _number(each.useful_gflops, ".1f"),
        _number(each.peak_share, ".1%"),
        _number(each.head_overlap, ".1%"),
        _number(each.spearman, ".6f"),
        "yes" if each.exact_head else _number(each.exact_overlap, ".1%"),
    ]


def _number(value: float | None, how: str) -> str:
    return "-" if value is None else format(value, how)


def _title(document: Mapping[str, Any], work: Workload) -> str:
    rehearsed = "rehearsal on the CPU: " if document["rehearsal"] else ""
    return f"{rehearsed}{work.rows:,} rows, {work.tokens:,} real tokens"


def block(document: Mapping[str, Any], file: Path, page: Path) -> str:
    """What a page shows of a result: its chart, its table, and what it was measured on."""
    chart = Path(os.path.relpath(file.with_suffix(".png"), page.parent)).as_posix()
    tables = {"contenders": contenders_block, "curves": curves_block}
    title, lines = tables[document["benchmark"]](document)
    return "\n".join([f"![{title}]({chart})", "", *lines])


def contenders_block(document: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Title and lines for a run of the contenders."""
    figures, work = figures_of(document)
    titles = columns(work)
    rows = [[f"`{name}`", *rest] for name, *rest in map(cells, figures)]
    host = document["machine"]
    on = f"{document['threads']} threads of {host['cpu']}{_instructions(host)}"
    if document["provider"] == "cuda":
        on = f"the CPU in a rehearsal ({on})" if document["rehearsal"] else f"{', '.join(host['gpus'])} and {on}"
    said = (
        f"{work.rows:,} rows of {', '.join(document['data'])} ({work.tokens / work.rows:.1f} tokens a row), "
        f"{document['checkpoint']}, on {on}; {document['date'][:10]}, commit {document['commit']}."
    )
    if work.peak_gflops:
        said += f" GEMM peak {work.peak_gflops:,.0f} GFLOP/s."
    failures = [f"- `{each.name}`: {each.failure}" for each in figures if each.failure is not None]
    return f"rows per second of every contender on {document['provider']}", [
        *markdown(titles, rows),
        "",
        said,
        *(["", *failures] if failures else []),
    ]


def curves_block(document: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Title and lines for the cost curves."""
    lengths = markdown(
        ["tokens a row", "scorer rows/s", "scorer tokens/s", "notebook rows/s", "notebook tokens/s"],
        [
            [
                str(each["tokens"]),
                _number(each["scorer"]["rows_per_s"], ",.1f"),
                _number(each["scorer"]["rows_per_s"] * each["tokens"], ",.0f"),
                _number(each["notebook"]["rows_per_s"], ",.1f"),
                _number(each["notebook"]["rows_per_s"] * each["tokens"], ",.0f"),
            ]
            for each in document["lengths"]
        ],
    )
    sizes = markdown(
        ["rows", "seconds", "rows/s", "peak MiB"],
        [
            [
                f"{each['rows']:,}",
                _number(each["seconds"], ",.1f"),
                _number(each["rows_per_s"], ",.0f"),
                _number(each["peak_mib"], ",.0f"),
            ]
            for each in document["sizes"]
        ],
    )
    host = document["machine"]
    said = (
        f"Texts made from {', '.join(document['data'])}; {document['model']} for the lengths, {document['size_model']} "
        f"for the sizes; {document['threads']} threads of {host['cpu']}{_instructions(host)}; "
        f"{document['date'][:10]}, commit {document['commit']}."
    )
    return "rate against text length and corpus size", [*lengths, "", *sizes, "", said]


def _instructions(host: Mapping[str, Any]) -> str:
    """The processor's vector instructions, in brackets."""
    names = [name for name, present in (host["instructions"] or {}).items() if present]
    return f" ({', '.join(names)})" if names else ""


def markdown(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table; the columns after the first are numbers."""
    lines = [titles, ["---", *["--:"] * (len(titles) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def rendered(page: Path, file: Path, document: Mapping[str, Any]) -> str:
    """The page with this result in its place; unchanged where it has none."""
    start = f"<!-- results {file.name} -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(END)}", re.DOTALL)
    content = f"{start}\n{block(document, file, page)}\n{END}"
    return pattern.sub(lambda _: content, page.read_text(encoding="utf-8"))


def main() -> None:
    """Draw the charts and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path, help="JSON files that run.py and curves.py wrote")
    for file in parser.parse_args().results:
        document = json.loads(file.read_text(encoding="utf-8"))
        draw(document, file.with_suffix(".png"))
        for page in PAGES:
            page.write_text(rendered(page, file, document), encoding="utf-8")
        print(f"{file}: chart drawn, pages written")


if __name__ == "__main__":
    main()
