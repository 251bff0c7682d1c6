"""The card of a corrected data set: what changed, by whom, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence

from scorer.distribution import VERSION
from scorer.review.answers.corrections import Correction
from scorer.review.correct.apply import Applied

MOST_CHANGES = 50  # rows of the table of changes


def card_text(applied: Applied, data: Sequence[str], model: str | None, answers: Sequence[Correction]) -> str:
    """The card, in Markdown.

    Args:
        applied: what was done.
        data: the data set that was corrected, as the user named it.
        model: the model that ranked the rows, or None where no file says.
        answers: what people said.
    """
    people = len({answer.annotator for answer in answers if answer.annotator})
    tools = sorted({answer.source for answer in answers if answer.source})
    changed = sum(applied.changed.values())
    lines = [
        "# Corrected labels",
        "",
        f"The rows are those of {', '.join(f'`{item}`' for item in data)}. People looked at {len(applied.decisions):,} "
        f"rows whose given label surprised a model, and changed the label of {changed:,} of {applied.rows:,} rows.",
        "",
        f"- model that ranked the rows: {f'`{model}`' if model else 'not recorded'}",
        f"- answers: {len(answers):,}, by {people:,} people" + (f", in {', '.join(tools)}" if tools else ""),
        f"- disagreements: {sum(decision.disputed for decision in applied.decisions):,} rows, "
        f"{sum(decision.verdict is None for decision in applied.decisions):,} left as they were",
        f"- rows left out: {applied.dropped:,}; corrections refused: {len(applied.refused):,}",
        f"- label order: {', '.join(applied.label_names)}",
        "",
        "| given | corrected | rows |",
        "|---|---|---|",
        *(
            f"| {_cell(given)} | {_cell(corrected)} | {rows:,} |"
            for (given, corrected), rows in applied.changed.most_common(MOST_CHANGES)
        ),
        "",
        "Only the head of a ranking was looked at: most rows were judged by nobody, and wrong labels are left.",
        "",
        f"Made with scorer {VERSION}.",
    ]
    return "\n".join(lines) + "\n"


def _cell(name: str) -> str:
    return name.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
