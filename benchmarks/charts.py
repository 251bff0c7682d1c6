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


def draw_contenders(document: Mapping[str, Any], file: Path) -> None:
    """Bars: how many times the notebook's rate, or rows per second where the notebook did not run."""
    plt = _pyplot()
    figures = [Figures(**each) for each in document["contenders"] if each["seconds"]]
    by_ratio = all(each.ratio is not None for each in figures)
    figures.sort(key=lambda each: _value(each, by_ratio))
    values = [_value(each, by_ratio) for each in figures]
    picture, axes = plt.subplots(figsize=(WIDTH_INCHES, 0.52 * len(figures) + 1.3), layout="constrained")
    colours = [_colour(each.name) for each in figures]
    edges = [FAINT if colour == CEILING else colour for colour in colours]
    axes.barh(range(len(figures)), values, height=0.62, color=colours, edgecolor=edges, linewidth=1)
    for place, (each, value) in enumerate(zip(figures, values, strict=True)):
        shown = f"{value:.1f}x" if by_ratio else f"{value:,.0f} rows/s"
        facts = f"{each.rows_per_s:,.0f} rows/s, {each.peak_mib:,.0f} MiB"
        text = axes.annotate(
            shown, (value, place), (5, 0), textcoords="offset points", va="center", color=INK, weight="bold"
        )
        axes.annotate(facts, (1, 0), (6, 0), xycoords=text, textcoords="offset points", color=FAINT, size=8)
        axes.text(-0.012, place + 0.17, f"{each.name}  {each.precision}", color=INK, size=9.5, **_beside(axes))
        axes.text(-0.012, place - 0.21, each.description, color=FAINT, size=7.5, **_beside(axes))
    axes.set_yticks([])
    axes.set_xlim(0, max(values, default=1) * 1.28)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(FAINT)
    axes.xaxis.set_visible(False)
    axes.set_title(_headline(document, by_ratio), loc="left", size=11, color=INK, x=-0.75, wrap=False)
    _save(picture, file)


def _value(each: Figures, by_ratio: bool) -> float:
    return (each.ratio if by_ratio else each.rows_per_s) or 0.0


def _colour(name: str) -> str:
    if name == "bare_session":
        return CEILING
    return OURS if name.startswith("scorer") else OTHERS


def _beside(axes: Any) -> dict[str, Any]:
    """Placement left of the axis: x as a share of its width, y in its units."""
    return {"ha": "right", "va": "center", "transform": axes.get_yaxis_transform()}


def _headline(document: Mapping[str, Any], by_ratio: bool) -> str:
    rows = document["work"]["rows"]
    host = document["machine"]
    device = ", ".join(host["gpus"]) if document["provider"] == "cuda" and not document["rehearsal"] else host["cpu"]
    what = "times the notebook's rate" if by_ratio else "rows per second"
    rehearsed = "Rehearsal on the CPU: " if document["rehearsal"] else ""
    threads = f"{document['threads']} threads, " if document["provider"] == "cpu" else ""
    return f"{rehearsed}{what}, {rows:,} rows of {', '.join(document['data'])}, {threads}{device}"


def draw_curves(document: Mapping[str, Any], file: Path) -> None:
    """Lines: rate against text length; rate and peak memory against the size of the corpus."""
    plt = _pyplot()
    picture, (by_length, by_size, memory) = plt.subplots(1, 3, figsize=(WIDTH_INCHES, 3.1), layout="constrained")
    lengths = document["lengths"]
    tokens = [each["tokens"] for each in lengths]
    for name, colour in (("scorer", OURS), ("notebook", OTHERS)):
        rates = [each[name]["rows_per_s"] for each in lengths]
        by_length.plot(tokens, rates, color=colour, marker="o", markersize=4, linewidth=2)
        by_length.annotate(name, (tokens[0], rates[0]), (6, 2), textcoords="offset points", color=colour, size=9)
    by_length.set(xscale="log", yscale="log", title="rows/s by tokens per text")
    by_length.set_xticks(tokens, [str(each) for each in tokens])
    sizes = [each["rows"] for each in document["sizes"]]
    for axes, key, title in ((by_size, "rows_per_s", "rows/s by rows"), (memory, "peak_mib", "peak MiB by rows")):
        axes.plot(sizes, [each[key] for each in document["sizes"]], color=OURS, marker="o", markersize=4, linewidth=2)
        axes.set(xscale="log", title=title, ylim=(0, None))
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
