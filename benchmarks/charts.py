"""Results as pictures: bars for the contenders, lines for the cost curves. The only importer of matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from results import Figures

WIDTH_INCHES = 9.5
DOTS_PER_INCH = 110
# scorer, everybody else, and what is no contender but the ceiling.
OURS, OTHERS, CEILING = "#1f6feb", "#a8b0ba", "#ffffff"
INK, FAINT = "#1f2328", "#6e7781"


def draw(document: Mapping[str, Any], file: Path) -> None:
    """Draw the chart that belongs to a result."""
    {"contenders": draw_contenders, "curves": draw_curves}[document["benchmark"]](document, file)


def has_chart(document: Mapping[str, Any]) -> bool:
    """Whether a result is drawn; the pairs of exports are a table alone."""
    return bool(document["benchmark"] != "exports")


def draw_contenders(document: Mapping[str, Any], file: Path) -> None:
    """Bars: how many times the notebook's rate, or rows per second where the notebook did not run."""
    plt = _pyplot()
    figures = [Figures(**each) for each in document["contenders"] if each["seconds"]]
    by_ratio = all(each.ratio is not None for each in figures)
    figures.sort(key=lambda each: _value(each, by_ratio))
    values = [_value(each, by_ratio) for each in figures]
    picture, axes = plt.subplots(figsize=(WIDTH_INCHES, 0.46 * len(figures) + 0.9))
    colours = [_colour(each.name) for each in figures]
    edges = [FAINT if colour == CEILING else colour for colour in colours]
    axes.barh(range(len(figures)), values, height=0.6, color=colours, edgecolor=edges, linewidth=1)
    for place, (each, value) in enumerate(zip(figures, values, strict=True)):
        _name_bar(axes, each, place)
        _say_figures(axes, each, value, place, by_ratio=by_ratio)
    axes.set(yticks=[], xlim=(0, max(values, default=1)), ylim=(-0.6, len(figures) - 0.4))
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(FAINT)
    axes.xaxis.set_visible(False)
    title, subtitle = _headlines(document, by_ratio=by_ratio)
    height = picture.get_figheight()
    picture.subplots_adjust(left=0.42, right=0.78, bottom=0.12 / height, top=1 - 0.62 / height)
    picture.text(0.012, 1 - 0.24 / height, title, color=INK, size=13, weight="bold", va="center")
    picture.text(0.012, 1 - 0.46 / height, subtitle, color=FAINT, size=9.5, va="center")
    _save(picture, file)


def _name_bar(axes: Any, each: Figures, place: int) -> None:
    """Name, precision and description, left of the bar."""
    where = {"ha": "right", "va": "center", "transform": axes.get_yaxis_transform()}  # x in widths, y in bars
    axes.text(-0.02, place + 0.18, f"{each.name} · {each.precision}", color=INK, size=10, **where)
    axes.text(-0.02, place - 0.2, each.description, color=FAINT, size=8, **where)


def _say_figures(axes: Any, each: Figures, value: float, place: int, *, by_ratio: bool) -> None:
    """Figures right of the bar."""
    shown = f"{value:.1f}x" if by_ratio else f"{value:,.0f}"
    style = {"textcoords": "offset points", "annotation_clip": False}
    text = axes.annotate(shown, (value, place), (6, 0), va="center", color=INK, size=11, weight="bold", **style)
    facts = f"{each.rows_per_s:,.0f} rows/s · {each.peak_mib:,.0f} MiB"
    axes.annotate(facts, (1, 0.5), (7, 0), xycoords=text, va="center", color=FAINT, size=9, **style)


def _value(each: Figures, by_ratio: bool) -> float:
    return (each.ratio if by_ratio else each.rows_per_s) or 0.0


def _colour(name: str) -> str:
    if name == "bare_session":
        return CEILING
    return OURS if name.startswith("scorer") else OTHERS


def _headlines(document: Mapping[str, Any], *, by_ratio: bool) -> tuple[str, str]:
    """What the bars are, and what they were measured on."""
    on_gpu = document["provider"] == "cuda" and not document["rehearsal"]
    host = document["machine"]
    device = ", ".join(host["gpus"]) if on_gpu else f"{document['threads']} threads of {host['cpu']}"
    title = "Rows per second" + (", as a multiple of the notebook's path" if by_ratio else "")
    rehearsed = "rehearsal of the CUDA run; " if document["rehearsal"] else ""
    rows = f"{document['work']['rows']:,} rows of {', '.join(document['data'])}"
    return title, f"{rehearsed}{rows}, {document['checkpoint']}, {device}; MiB: peak memory of the process"


def draw_curves(document: Mapping[str, Any], file: Path) -> None:
    """Lines: rate against text length; rate and peak memory against the size of the corpus."""
    plt = _pyplot()
    picture, (by_length, by_size, memory) = plt.subplots(1, 3, figsize=(WIDTH_INCHES, 3.1), layout="constrained")
    lengths = document["lengths"]
    tokens = [each["tokens"] for each in lengths]
    for name, colour, ink, where in (("scorer", OURS, OURS, (8, 4)), ("notebook", OTHERS, FAINT, (-8, -14))):
        rates = [each[name]["rows_per_s"] for each in lengths]
        by_length.plot(tokens, rates, color=colour, marker="o", markersize=4, linewidth=2)
        side = "left" if where[0] > 0 else "right"
        point = (tokens[len(tokens) // 2], rates[len(tokens) // 2])
        by_length.annotate(name, point, where, textcoords="offset points", color=ink, size=10, ha=side)
    by_length.set(xscale="log", yscale="log", title="rows/s, by tokens of a text")
    by_length.yaxis.set_major_formatter("{x:g}")
    by_length.set_xticks(tokens, [str(each) for each in tokens])
    sizes = [each["rows"] for each in document["sizes"]]
    for axes, key, title in (
        (by_size, "rows_per_s", "rows/s of a small model, by rows"),
        (memory, "peak_mib", "peak MiB, by rows"),
    ):
        values = [each[key] for each in document["sizes"]]
        axes.plot(sizes, values, color=OURS, marker="o", markersize=4, linewidth=2)
        axes.set(xscale="log", title=title, ylim=(0, 1.15 * max(values)))
        axes.set_xticks(sizes, [_short(each) for each in sizes])
    for axes in (by_length, by_size, memory):
        axes.minorticks_off()
        axes.grid(axis="y", color="#d8dee4", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8, colors=INK)
        axes.title.set(size=10, color=INK)
    _save(picture, file)


def _short(rows: int) -> str:
    """A number of rows in few characters."""
    return f"{rows / 1e6:g}M" if rows >= 1e6 else f"{rows / 1e3:g}k" if rows >= 1e3 else str(rows)


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def _save(picture: Any, file: Path) -> None:
    """Write the picture in a palette of few colours, which halves its bytes."""
    from PIL import Image

    picture.savefig(file, dpi=DOTS_PER_INCH, facecolor="white")
    Image.open(file).convert("RGB").quantize(colors=48).save(file, optimize=True)
