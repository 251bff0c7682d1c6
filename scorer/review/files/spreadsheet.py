r"""The head of a ranking as a flat CSV table, made for eyes and spreadsheets.

Spreadsheets run what looks like a formula, so such cells are taken apart by an apostrophe, at their start and wherever
a program that splits at another character would see a start. Control characters and direction overrides become visible
symbols; line breaks stay. So texts and ids may differ from the data's by a character: corrections are not made here.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from scorer.review.examples import Example, Examples
from scorer.system.files import replacing, writing
from scorer.system.visible_text import visible

# A cell of Excel and LibreOffice holds no more characters.
CELL_CHARACTERS = 32_000

# What starts a formula, full-width forms among them, behind what a program may take for the start of a cell.
_FORMULA = re.compile(r"(^|[;|\t\r\n])(\s*[\"']*\s*)(?=[=+\-@＝＋－＠])")  # noqa: RUF001  full-width on purpose
_COLUMNS = (
    "rank",
    "row",
    "id",
    "source_file",
    "text",
    "text_pair",
    "label_name",
    "predicted_label_name",
    "loss",
    "self_confidence",
    "predicted_probability",
    "n_tokens",
    "truncated",
)


def write_csv(examples: Examples, file: Path, *, bom: bool = False) -> None:
    """Write examples as CSV: UTF-8, comma, every text quoted, CRLF as spreadsheets write it.

    Args:
        examples: what to write.
        file: the file; an earlier one is replaced.
        bom: start with a byte order mark, without which Excel takes UTF-8 for something else.

    Raises:
        OutputError: the file cannot be written.
    """
    pairs = any(example.text_pair is not None for example in examples.items)
    columns = [name for name in _COLUMNS if pairs or name != "text_pair"]
    encoding = "utf-8-sig" if bom else "utf-8"
    with writing(file), replacing(file) as temporary, temporary.open("w", encoding=encoding, newline="") as handle:
        writer = csv.writer(handle, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(columns)
        for example in examples.items:
            cells = _cells(example, examples.label_names)
            writer.writerow([cells[name] for name in columns])


def _cells(example: Example, names: tuple[str, ...]) -> dict[str, str | int | float]:
    return {
        "rank": example.rank,
        "row": example.row,
        "id": safe_cell(example.id),
        "source_file": safe_cell(example.source_file or ""),
        "text": safe_cell(example.text),
        "text_pair": safe_cell(example.text_pair or ""),
        "label_name": safe_cell(names[example.label]),
        "predicted_label_name": safe_cell(names[example.predicted]),
        "loss": round(example.loss, 6),
        "self_confidence": round(example.probabilities[example.label], 6),
        "predicted_probability": round(example.probabilities[example.predicted], 6),
        "n_tokens": example.n_tokens,
        "truncated": str(example.truncated).lower(),
    }


def safe_cell(text: str) -> str:
    """The text as a cell that no spreadsheet runs and no terminal acts on."""
    left_out = len(text) - CELL_CHARACTERS
    lines = text[:CELL_CHARACTERS].replace("\r\n", "\n").split("\n")
    shown = "\n".join(map(visible, lines)) + (f" … (+{left_out:,} characters)" if left_out > 0 else "")
    return _FORMULA.sub(r"\1'\2", shown)
