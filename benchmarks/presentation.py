"""Results as tables: on the terminal, and in the pages of the repository.

    python benchmarks/presentation.py benchmarks/results/*.json

Draws the chart of each result beside it and writes its table into every page that has room for it: what stands
between `<!-- results NAME.json -->` and `<!-- end of results -->` is replaced.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from charts import draw, has_chart
from results import Figures, Workload
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).parents[1]
BENCHMARKS = REPOSITORY / "benchmarks"
PAGES = (REPOSITORY / "README.md", BENCHMARKS / "README.md")
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
    """What a page shows of a result: its chart and what it was measured on; the benchmarks' page has its table too."""
    chart = Path(os.path.relpath(file.with_suffix(".png"), page.parent)).as_posix()
    tables = {"contenders": contenders_block, "curves": curves_block, "exports": exports_block}
    found = tables[document["benchmark"]](document)
    picture = [f"![{found.title}]({chart})", ""] if has_chart(document) else []
    lines = [*picture, textwrap.fill(found.said, 120)]
    if page.parent == BENCHMARKS:
        lines += ["", *found.table]
    return "\n".join(lines)


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """Title of the chart, what is said of it, and the lines of the table."""

    title: str
    said: str
    table: list[str]


def contenders_block(document: Mapping[str, Any]) -> Block:
    """A run of the contenders."""
    figures, work = figures_of(document)
    on = f"{document['threads']} threads of {_processor(document)}"
    if document["provider"] == "cuda":
        gpus = ", ".join(document["machine"]["gpus"])
        on = f"the CPU, in a rehearsal ({on})" if document["rehearsal"] else f"{gpus}, {on}"
    ratios = [f"{each.name} {each.ratio:.1f}" for each in figures if each.name.startswith("scorer") and each.ratio]
    said = (
        f"Times the notebook's rate, median of the rounds: {', '.join(ratios)}. {work.rows:,} rows of "
        f"{', '.join(document['data'])} ({work.tokens / work.rows:.1f} tokens a row), {document['checkpoint']}, "
        f"on {on}; "
        f"{document['date'][:10]}, commit {document['commit']}."
    )
    if work.peak_gflops:
        said += f" Peak of matrix products: {work.peak_gflops:,.0f} GFLOP/s."
    rows = [[f"`{name}`", *rest] for name, *rest in map(cells, figures)]
    failures = [f"- `{each.name}`: {each.failure}" for each in figures if each.failure is not None]
    table = [*markdown(columns(work), rows), *(["", *failures] if failures else [])]
    return Block(f"Rate of every contender on {document['provider']}", said, table)


def curves_block(document: Mapping[str, Any]) -> Block:
    """The cost curves."""
    lengths = [
        [
            str(each["tokens"]),
            *(
                format(each[who]["rows_per_s"] * factor, ",.0f")
                for who in ("scorer", "notebook")
                for factor in (1, each["real_tokens"])
            ),
        ]
        for each in document["lengths"]
    ]
    sizes = [
        [f"{each['rows']:,}", *(format(each[key], ",.0f") for key in ("seconds", "rows_per_s", "peak_mib"))]
        for each in document["sizes"]
    ]
    said = (
        f"Texts made from {', '.join(document['data'])}; scored by {document['model']} for the lengths, by "
        f"{document['size_model']} for the sizes, on {document['threads']} threads of {_processor(document)}, "
        f"{document['date'][:10]}, commit {document['commit']}."
    )
    table = [
        *markdown(
            ["tokens a text", "scorer rows/s", "scorer tokens/s", "notebook rows/s", "notebook tokens/s"], lengths
        ),
        "",
        *markdown(["rows", "seconds", "rows/s", "peak MiB"], sizes),
    ]
    return Block("Rate by text length and by rows, peak memory by rows", said, table)


def exports_block(document: Mapping[str, Any]) -> Block:
    """Graphs of torch's exporter in pairs with others."""
    said = (
        f"{document['rows']:,} rows of {', '.join(document['data'])} "
        f"({document['tokens'] / document['rows']:.1f} tokens a row), each pair in turns, "
        f"{document['repeats']} rounds, on {document['threads']} threads of "
        f"{_processor(document)}; {document['date'][:10]}, commit {document['commit']}."
    )
    rows = [
        [
            each["model"],
            f"`{each['contender']}`",
            each["against"],
            *(format(statistics.median(each[whose]), ".1f") for whose in ("seconds", "their_seconds")),
            f"{each['ratio']:.2f}",
            f"{min(each['ratios']):.2f}-{max(each['ratios']):.2f}",
            f"{each['max_loss_difference']:.1e}",
        ]
        for each in document["pairs"]
    ]
    titles = ["model", "scorer", "against", "s", "their s", "times the rate", "min-max", "largest difference, nats"]
    return Block("Graphs of torch's exporter", said, markdown(titles, rows))


def _processor(document: Mapping[str, Any]) -> str:
    """The processor, with those of its instructions that matter."""
    host = document["machine"]
    names = [name for name, present in (host["instructions"] or {}).items() if present]
    return f"{host['cpu']} ({', '.join(names)})" if names else str(host["cpu"])


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
        if has_chart(document):
            draw(document, file.with_suffix(".png"))
        for page in PAGES:
            page.write_text(rendered(page, file, document), encoding="utf-8")
        print(f"{file}: drawn, pages written")


if __name__ == "__main__":
    main()
