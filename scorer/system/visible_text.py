"""Texts of strangers made safe to show: nothing in them acts on a terminal, a log or the order of reading."""

from __future__ import annotations

_SYMBOLS = {code: 0x2400 + code for code in range(32)} | {0x7F: 0x2421}  # Unicode's control pictures
# Characters that reorder or hide text: bidirectional controls, zero-width marks, line and paragraph separators.
_INVISIBLE = (
    *range(0x80, 0xA0),
    0x061C,
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
)
_VISIBLE = _SYMBOLS | {code: f"<U+{code:04X}>" for code in _INVISIBLE if code != 0x200D}  # 200D joins emoji


def visible(text: str) -> str:
    """The text with control characters and direction overrides as visible symbols, on one line."""
    return " ".join(text.split("\n")).replace("\r", "").replace("\t", " ").translate(_VISIBLE)


def excerpt(text: str, characters: int) -> str:
    """The visible text, cut to so many characters with a note of what is left out."""
    if len(text) <= characters:
        return visible(text)
    return f"{visible(text[:characters])} … (+{len(text) - characters:,} characters)"
