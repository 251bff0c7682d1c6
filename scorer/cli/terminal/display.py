"""How rankings and reports look in a terminal. Texts come from strangers: nothing in them may act on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scorer.results.run_report import RunReport
from scorer.system.visible_text import excerpt, visible

# Characters of a text shown before it is cut, in blocks and in table cells.
BLOCK_CHARACTERS = 600
CELL_CHARACTERS = 300


def print_ranking(console: Console, rows: Iterable[Mapping[str, Any]], *, full: bool = False) -> None:
    """Print ranked rows as blocks: the score, both labels, and the text, wrapped.

    Args:
        console: where to print.
        rows: rows of a ranking, as mappings.
        full: show whole texts.
    """
    for row in rows:
        where = f"row {row['row']:,}"
        if row["id"] not in {None, str(row["row"])}:
            where += f", id {visible(row['id'])}"
        head = Text()
        head.append(f"#{row['rank']:<5}", style="bold")
        head.append(f" loss {row['loss']:.3f}", style="bold red")
        head.append(f"   {where}, {visible(row['source_file'])}", style="dim")
        console.print(head, soft_wrap=True)
        console.print(_labels_line(row), soft_wrap=True)
        for name in ("text", "text_pair"):
            if name in row:
                _print_text(console, row[name], full=full)
        console.print()


def _labels_line(row: Mapping[str, Any]) -> Text:
    line = Text("       given ")
    line.append(visible(row["label_name"]), style="bold yellow")
    line.append(f" ({row['self_confidence']:.1%})   predicted ")
    line.append(visible(row["predicted_label_name"]), style="bold green")
    line.append(f" ({row['predicted_probability']:.1%})")
    if row["truncated"]:
        line.append(f"   cut to {row['n_tokens']} tokens", style="dim")
    return line


def _print_text(console: Console, text: str, *, full: bool) -> None:
    shown = visible(text) if full else excerpt(text, BLOCK_CHARACTERS)
    indent = " " * 7
    width = max(20, console.width - len(indent))  # in cells, of which a character may take two
    for line in Text(shown).wrap(console, width):
        console.print(Text(indent + line.plain), soft_wrap=True)


def ranking_table(rows: Iterable[Mapping[str, Any]], title: str, width: int) -> Table:
    """Ranked rows as a table of so many cells, one line each, for a summary."""
    label_width = 20 if width >= 110 else 12
    table = Table(title=title, title_justify="left", expand=True, pad_edge=False)
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("loss", justify="right", no_wrap=True)
    table.add_column("given", overflow="ellipsis", no_wrap=True, max_width=label_width)
    table.add_column("predicted", overflow="ellipsis", no_wrap=True, max_width=label_width)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("text", overflow="ellipsis", no_wrap=True, ratio=1)
    for row in rows:
        if "text" in row:
            text = excerpt(row["text"], CELL_CHARACTERS)
        else:
            text = f"row {row['row']:,}" if row["id"] is None else f"id {visible(row['id'])}"
        table.add_row(
            str(row["rank"]),
            f"{row['loss']:.3f}",
            Text(visible(row["label_name"])),
            Text(visible(row["predicted_label_name"])),
            f"{row['predicted_probability']:.0%}",
            Text(text),
        )
    return table


def summary_lines(report: RunReport) -> list[str]:
    """A finished run in a few lines."""
    counts = report.counts
    lines = [
        f"Scored {counts.scored:,} of {counts.read:,} rows in {report.scoring_s:.1f} s: "
        f"{report.rows_per_s:,.0f} rows/s, "
        f"{report.tokens_per_s:,.0f} real tokens/s, padding efficiency {report.padding_efficiency:.1%}, "
        f"{report.provider}, {report.threads} threads."
    ]
    if counts.distinct < counts.scored:
        lines.append(f"{counts.distinct:,} distinct texts were computed; repeated ones take the same answer.")
    if (head := report.exact_head) is not None:
        lines.append(
            f"Scored {head.rescored:,} rows again in fp32: the first {head.exact:,} of the ranking are exact by "
            f"the errors measured ({head.overlap:.0%} of the first {head.asked:,} stood there before)."
        )
    if counts.rejected:
        reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in counts.rejected_by_reason.items())
        lines.append(f"Rejected {counts.rejected:,} rows ({reasons}); see rejects.parquet.")
    if counts.truncated:
        lines.append(f"Truncated {counts.truncated:,} rows to {report.max_length} tokens; they are scored and flagged.")
    lines.append(
        f"The model agrees with the given label on {report.agreement.share:.1%} of the first "
        f"{report.agreement.rows:,} rows."
    )
    return lines
