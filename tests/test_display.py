"""Texts from strangers are shown and never acted on, on consoles of any width."""

from __future__ import annotations

import io
import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.cells import cell_len
from rich.console import Console

import scorer.cli.main
from scorer.cli.terminal.display import BLOCK_CHARACTERS, CELL_CHARACTERS, print_ranking, ranking_table
from scorer.system.visible_text import excerpt, visible

HOSTILE = {
    "colours": "\x1b[31mred\x1b[0m",
    "clears the screen": "\x1b[2J\x1b[H",
    "sets the title": "\x1b]0;owned\x07",
    "eight-bit controls": "\x9b31m\x9d0;owned\x9c",
    "backspaces": "safe\x08\x08\x08\x08evil",
    "carriage return": "overwritten\rshown",
    "new lines": "one\ntwo\r\nthree\x0bfour\x0cfive\x85six\u2028seven\u2029eight",
    "bidi overrides": "\u202eevil\u202c \u2066isolate\u2069 \u200fmark\u061c",
    "zero width": "in\u200bvisi\u200cble\u2060\ufeff",
    "nul and delete": "a\x00b\x7fc",
    "markup": "[bold red]not bold[/] [/nonsense] [link=http://example.org]x[/link] [[",
    "emoji codes": ":warning: :smile:",
    "tabs": "a\tb",
    "wide": "汉字かな" * 60,
    "mixed widths": "some latin words, then 汉字 " * 8 + "汉字かな" * 30,
    "emoji": "👨‍👩‍👧 🇩🇪 👍🏽 " * 40,
    "stacked marks": "z\u0301\u0302\u0303\u0304" * 50,
    "one long word": "x" * 1_000,
    "very long": "a word " * 15_000,
    "blank": " ",
}
# What may reach a terminal: no control but the line feed, and none of the marks that reorder or hide.
FORBIDDEN_CATEGORIES = {"Cc", "Zl", "Zp"}
FORBIDDEN = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)), *"\u200b\u200e\u200f\u061c\ufeff"}


def assert_harmless(shown: str) -> None:
    left = {character for character in shown if unicodedata.category(character) in FORBIDDEN_CATEGORIES} - {"\n"}
    assert not left | (FORBIDDEN & set(shown))


def ranked_row(text: str = "text", **fields: Any) -> dict[str, Any]:
    return {
        "rank": 1,
        "row": 1_234,
        "id": "1234",
        "source_file": "data.csv",
        "text": text,
        "label_name": "World",
        "predicted_label_name": "Sports",
        "loss": 7.25,
        "self_confidence": 0.0007,
        "predicted_probability": 0.99,
        "n_tokens": 128,
        "truncated": False,
        **fields,
    }


def printed(width: int, *rows: dict[str, Any], full: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    print_ranking(console, rows, full=full)
    return console.file.getvalue()  # type: ignore[attr-defined]


def table(width: int, *rows: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    console.print(ranking_table(rows, "The highest losses", console.width))
    return console.file.getvalue()  # type: ignore[attr-defined]


def without_spaces(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_visible_text_is_one_harmless_line(text: str) -> None:
    assert_harmless(visible(text))
    assert "\n" not in visible(text)


def test_visible_text_keeps_what_people_write() -> None:
    harmless = "naïve café — “quotes” 汉字 שלום 👨‍👩‍👧 🇩🇪 z\u0301 [bold]x[/bold] :smile:"
    assert visible(harmless) == harmless


def test_visible_text_shows_which_control_stood_there() -> None:
    assert visible("\x1b[31m\x00\x7f\x9b\u202e\ufeff") == "␛[31m␀␡<U+009B><U+202E><U+FEFF>"
    assert visible("a\nb\r\nc\td") == "a b c d"


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 100_000])
def test_an_excerpt_tells_how_much_it_leaves_out(length: int) -> None:
    shown = excerpt("x" * length, 10)
    assert shown.startswith("x" * min(length, 10))
    assert len(shown) < 50
    assert (f"(+{length - 10:,} characters)" in shown) == (length > 10)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_an_excerpt_is_harmless_wherever_it_is_cut(text: str) -> None:
    for characters in range(1, 12):
        assert_harmless(excerpt(text, characters))


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_printed_ranking_is_harmless_and_complete(text: str, full: bool, width: int) -> None:
    shown = printed(width, ranked_row(text, text_pair=text), full=full)
    assert_harmless(shown)
    wanted = visible(text) if full else excerpt(text, BLOCK_CHARACTERS)
    assert without_spaces(shown).count(without_spaces(wanted)) >= (2 if wanted.strip() else 0)


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_printed_texts_fit_the_console(text: str, width: int) -> None:
    lines = printed(width, ranked_row(text)).split("\n")[2:]
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("width", [30, 40, 80, 200])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_ranking_table_is_harmless_and_has_one_line_for_each_row(text: str, width: int) -> None:
    heading = table(width).count("\n")
    shown = table(width, ranked_row(text), ranked_row("other", label_name=text, predicted_label_name=text))
    assert_harmless(shown)
    assert shown.count("\n") == heading + 2
    assert max(map(cell_len, shown.split("\n"))) <= width


@pytest.mark.parametrize("field", ["id", "source_file", "label_name", "predicted_label_name"])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_names_and_ids_are_as_harmless_as_texts(text: str, field: str) -> None:
    assert_harmless(printed(80, ranked_row(**{field: text})))
    row = ranked_row(**{field: text})
    del row["text"]  # a run with --no-text shows ids instead
    assert_harmless(table(80, row))
    assert_harmless(printed(80, row))


def test_markup_in_a_text_is_printed_as_it_stands() -> None:
    assert HOSTILE["markup"] in printed(200, ranked_row(HOSTILE["markup"]))
    assert "[bold red]not bold[/]" in table(200, ranked_row(HOSTILE["markup"]))
    assert ":warning: :smile:" in table(200, ranked_row(HOSTILE["emoji codes"]))


def test_a_printed_row_tells_its_place_score_and_labels() -> None:
    shown = printed(100, ranked_row(id="a-7", truncated=True))
    for part in ("#1", "loss 7.250", "row 1,234, id a-7, data.csv", "given World (0.1%)", "predicted Sports (99.0%)"):
        assert part in shown
    assert "cut to 128 tokens" in shown
    assert "id" not in printed(100, ranked_row(id="1234"))


def test_a_row_without_an_id_is_printed() -> None:
    row = ranked_row(id=None)
    assert "row 1,234" in printed(80, row)
    del row["text"]
    assert "row 1,234" in table(80, row)


def test_a_long_text_is_cut_unless_it_is_asked_for() -> None:
    text = "0123456789" * 10_000
    assert f"(+{100_000 - BLOCK_CHARACTERS:,} characters)" in printed(80, ranked_row(text))
    assert without_spaces(printed(80, ranked_row(text), full=True)).endswith(text)
    assert len(table(5_000, ranked_row(text)).split("\n")[4].strip(" │┃")) < CELL_CHARACTERS + 200


def test_styles_are_the_only_escapes_on_a_colour_terminal() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="truecolor")
    print_ranking(console, [ranked_row("".join(HOSTILE.values()))])
    console.print(ranking_table([ranked_row(HOSTILE["colours"])], "title", 80))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "␛[31mred" in shown
    plain = re.sub(r"\x1b\[(\d+(;\d+)*)?m", "", shown)
    assert "\x1b" not in plain
    assert_harmless(plain)


@pytest.fixture
def show(
    model: Path,
    label_names: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    """Score the hostile texts once, then show them."""
    data = tmp_path / "hostile \x1b[31m\u202e.parquet"
    texts = list(HOSTILE.values())
    ids = [f"{index} \x1b[31m" if index % 2 else None for index in range(len(texts))]
    labels = [label_names[index % len(label_names)] for index in range(len(texts))]
    pl.DataFrame({"id": ids, "text": texts, "label": labels}).write_parquet(data)

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["scorer", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            scorer.cli.main.main()
        assert not ended.value.code
        return "".join(capsys.readouterr())

    assert_harmless(run("run", model, data, "--output", tmp_path / "out"))
    return lambda *options: run("show", tmp_path / "out", *options)


def test_hostile_data_go_through_run_and_show_and_touch_no_terminal(
    show: Callable[..., str], label_names: tuple[str, ...]
) -> None:
    shown = show("--top", 100)
    assert_harmless(shown)
    assert shown.count("given ") == len(HOSTILE) - 1  # all but the blank text, which is rejected
    assert_harmless(show("--top", 100, "--full"))
    chosen = show("--top", 100, "--label", label_names[0].upper())
    assert 0 < chosen.count("given ") < shown.count("given ")
    assert chosen.count(f"given {label_names[0]} ") == chosen.count("given ")
    assert show("--label", 0) == show("--label", label_names[0])
