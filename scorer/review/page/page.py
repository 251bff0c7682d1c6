"""The page a person reviews in: one HTML file, made of the parts in `page/` and examples from a ranking.

The data stands in the page as JSON that cannot end its block; the script shows it as text and never as markup. A
content security policy names the page's own script and styles by their hashes, and allows nothing else: no network,
no other script, no markup made from strings.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from scorer.review.examples import Example, Examples
from scorer.review.page.inline_svg import inline_svg
from scorer.review.pictures import pictures
from scorer.system.files import replacing, writing

# The script's parts, in reading order; each is a few functions, together they are one script.
SCRIPTS = (
    "data.js",
    "text.js",
    "answers.js",
    "estimates.js",
    "corrections.js",
    "view.js",
    "list.js",
    "example.js",
    "overview.js",
    "main.js",
)
# Characters of a text that the page carries; nobody reads further, and a page has to open.
TEXT_CHARACTERS = 20_000
# Classes whose probabilities the page carries for each row, the given and the predicted one always among them.
CLASSES_SHOWN = 12
PROBABILITY_DIGITS = 5
# The pictures' colours by the page's own, which follow light and dark.
COLOURS = {
    pictures.INK: "var(--ink)",
    pictures.MUTED: "var(--muted)",
    pictures.LINE: "var(--line)",
    pictures.PANEL: "var(--panel)",
    pictures.GIVEN: "var(--given)",
    pictures.PREDICTED: "var(--predicted)",
}

_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def render_page(
    examples: Examples,
    *,
    title: str,
    about: Mapping[str, Any] | None = None,
    drawn: Mapping[str, str] | None = None,
) -> str:
    """The whole page.

    Args:
        examples: what to review.
        title: its heading.
        about: figures about the whole ranking, as `RankingFigures.to_json` gives them.
        drawn: SVG documents of the pictures by name, as `draw_svg` gives them.
    """
    style = _part("page.css")
    script = '(() => {\n"use strict";\n' + "\n".join(map(_part, SCRIPTS)) + "})();\n"
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_source(script)}",
            f"style-src {_source(style)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
    return _fill(
        _part("page.html"),
        {
            "policy": policy,
            "style": style,
            "script": script,
            "data": embedded_json({**_document(examples), "title": title, "about": about}),
            **{f"picture-{name}": inline_svg(svg, name, COLOURS) for name, svg in (drawn or {}).items()},
        },
    )


def write_page(file: Path, page: str) -> None:
    """Write the page, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    with writing(file), replacing(file) as temporary:
        temporary.write_text(page, encoding="utf-8")


def embedded_json(document: Any) -> str:
    """JSON that may stand in a script block of HTML: it holds no character that could end the block."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


def _document(examples: Examples) -> dict[str, Any]:
    """What the script reads: columns of N rows, and what holds for all of them."""
    items = examples.items
    return {
        "run": examples.run_hash,
        "model": examples.model,
        "labels": examples.label_names,
        "ranked_by": examples.ranked_by,
        "ranked_rows": examples.rows,
        "rows": {
            "rank": [example.rank for example in items],
            "row": [example.row for example in items],
            "id": [example.id for example in items],
            "source_file": [example.source_file for example in items],
            "text": [example.text[:TEXT_CHARACTERS] for example in items],
            "text_pair": [(example.text_pair or "")[:TEXT_CHARACTERS] for example in items],
            "is_pair": [example.text_pair is not None for example in items],
            "left_out": [_left_out(example) for example in items],
            "hash": [example.text_hash for example in items],
            "label": [example.label for example in items],
            "predicted": [example.predicted for example in items],
            "loss": [float(f"{example.loss:.9g}") for example in items],  # all that a float32 holds
            "probabilities": [_most_probable(example) for example in items],
            "n_tokens": [example.n_tokens for example in items],
            "truncated": [example.truncated for example in items],
        },
    }


def _left_out(example: Example) -> int:
    """Characters that the page does not carry."""
    lengths = (len(example.text), len(example.text_pair or ""))
    return sum(max(0, length - TEXT_CHARACTERS) for length in lengths)


def _most_probable(example: Example) -> list[tuple[int, float]]:
    """(class, probability) of the classes that the page shows, in the model's order."""
    values = example.probabilities
    order = sorted(range(len(values)), key=lambda index: -values[index])
    shown = sorted({*order[:CLASSES_SHOWN], example.label, example.predicted})
    return [(index, round(values[index], PROBABILITY_DIGITS)) for index in shown]


def _part(name: str) -> str:
    return (files("scorer") / "review" / "page" / name).read_text(encoding="utf-8")


def _source(code: str) -> str:
    """A hash source of the content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def _fill(template: str, values: Mapping[str, str]) -> str:
    """The template with each <!--name--> replaced, once: what a value holds is not looked at again."""
    pieces: Sequence[str] = template.split("<!--")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, rest = piece.split("-->", 1)
        filled += [values.get(name, ""), rest]
    return "".join(filled)
