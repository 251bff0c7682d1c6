"""A ranking in pictures, drawn with matplotlib: how losses spread, what to expect down the ranks, where errors go.

The one module that imports matplotlib, and only when something is drawn.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scorer.errors import MissingExtraError, OutputError
from scorer.review.pictures.statistics import RankingFigures
from scorer.system.files import replacing, writing
from scorer.system.visible_text import visible

PLOT_FORMATS = ("png", "svg")
PNG_DPI = 180

# The page replaces these colours by its own, which follow light and dark.
INK, MUTED, LINE, PANEL = "#1f1e1b", "#6c6961", "#e3e0d8", "#ffffff"
GIVEN, PREDICTED = "#9a4f00", "#146b63"

# Classes up to which the confusion is a matrix; above, its largest cells are listed.
MATRIX_CLASSES = 20
LISTED_PAIRS = 20
LISTED_CLASSES = 40
NAME_CHARACTERS = 28
LEVEL_CHARACTERS = 60  # of names side by side, above which they are slanted
WIDE = (6.4, 3.6)  # inches

# Label names are no formulas, and texts are wider than they are tall.
_STYLE: Mapping[str, Any] = {
    "text.parse_math": False,
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "figure.facecolor": PANEL,
    "axes.facecolor": PANEL,
    "svg.fonttype": "none",
}
# Fonts for PNG, of which the first that has a character draws it.
_FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans Arabic", "Noto Sans Devanagari")


def draw_svg(figures: RankingFigures) -> dict[str, str]:
    """The pictures of the page: name to SVG document.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    documents = {}
    with _drawing():
        for name in ("losses", "expected", "confusion"):
            content = io.StringIO()
            _figure(name, figures).savefig(content, format="svg", metadata={"Date": None})
            documents[name] = content.getvalue()
    return documents


def write_plots(figures: RankingFigures, directory: Path, plot_format: str = "png") -> list[Path]:
    """Write all pictures as files, replacing earlier ones of the same name.

    Args:
        figures: what to draw.
        directory: folder that receives losses, expected, confusion and classes.
        plot_format: "png" or "svg".

    Returns:
        The files.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OutputError: the folder cannot be written.
    """
    files = []
    with _drawing():
        if directory.exists() and not directory.is_dir():
            raise OutputError(f"--plots '{directory}' is a file; give a directory.")
        with writing(directory):
            directory.mkdir(parents=True, exist_ok=True)
        for name in _PICTURES:
            file = directory / f"{name}.{plot_format}"
            with writing(file), replacing(file) as temporary:
                _figure(name, figures).savefig(temporary, format=plot_format, dpi=PNG_DPI)
            files.append(file)
    return files


@contextlib.contextmanager
def _drawing() -> Iterator[None]:
    """This module's style, with the fonts that are there."""
    try:
        import matplotlib as mpl
        from matplotlib import font_manager
    except ImportError as error:
        raise MissingExtraError("matplotlib", "report", "Drawing pictures") from error
    known = set(font_manager.get_font_names())
    fonts = [font for font in _FONTS if font in known]
    with mpl.rc_context({**_STYLE, "font.family": fonts}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)  # a box is drawn for it
        yield


def _figure(name: str, figures: RankingFigures) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=WIDE, layout="constrained")
    _PICTURES[name](figure, figures)
    return figure


def _losses(figure: Any, figures: RankingFigures) -> None:
    axes = figure.add_subplot()
    left, width = figures.loss_edges[:-1], np.diff(figures.loss_edges)
    rest = figures.loss_counts - figures.loss_counts_head
    axes.bar(left, figures.loss_counts, width, align="edge", color=MUTED, alpha=0.35, linewidth=0)
    axes.bar(left, figures.loss_counts_head, width, align="edge", color=GIVEN, linewidth=0)
    axes.set_yscale("log")
    axes.set_ylim(0.7, max(10.0, 6.0 * float(figures.loss_counts.max(initial=1))))  # room for the legend
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")
    axes.set_xlim(0, figures.loss_edges[-1])
    axes.set_xlabel("loss in nats")
    axes.set_ylabel("rows")
    axes.legend(
        handles=axes.containers[::-1],
        labels=[f"the first {figures.head_rows:,} rows", f"the other {int(rest.sum()):,}"],
        loc="upper right",
        frameon=False,
        labelcolor=INK,
    )


def _expected(figure: Any, figures: RankingFigures) -> None:
    axes = figure.add_subplot()
    ranks, errors = figures.curve_ranks, figures.curve_errors
    deepest, most = int(ranks[-1]), max(1.0, float(errors[-1]) * 1.15)
    axes.plot([0, most], [0, most], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.fill_between(ranks, errors, color=PREDICTED, alpha=0.15, linewidth=0)
    axes.plot(ranks, errors, color=PREDICTED, linewidth=1.8)
    if figures.head_rows < deepest:
        axes.axvline(figures.head_rows, color=GIVEN, linewidth=1)
        text = f"{figures.head_rows:,} rows: {figures.expected_head:,.0f} errors expected"
        place = (figures.head_rows, 0.06 * most)
        axes.annotate(text, place, xytext=(6, 0), textcoords="offset points", color=GIVEN)
    axes.set_xlim(0, max(1, deepest))
    axes.set_ylim(0, most)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("rank")
    axes.set_ylabel("errors expected so far")


def _confusion(figure: Any, figures: RankingFigures) -> None:
    if len(figures.label_names) > MATRIX_CLASSES:
        _largest_pairs(figure, figures)
        return
    counts, names = figures.confusion, [_short(name) for name in figures.label_names]
    classes = len(names)
    figure.set_size_inches(6.4, min(8.0, max(3.0, 1.2 + 0.42 * classes)))
    axes = figure.add_subplot()
    axes.grid(visible=False)
    off_diagonal = counts[~np.eye(classes, dtype=bool)]
    most = max(1, int(off_diagonal.max(initial=0)))
    for given, predicted in np.ndindex(counts.shape):
        count = int(counts[given, predicted])
        agrees = given == predicted
        share = 0.0 if not count else 0.14 if agrees else 0.1 + 0.8 * count / most
        corner = (predicted - 0.48, given - 0.48)
        axes.add_patch(_rectangle(corner, 0.96, MUTED if agrees else PREDICTED, share))
        if count:
            axes.text(predicted, given, f"{count:,}", ha="center", va="center", color=PANEL if share > 0.55 else INK)
    level = classes * max(map(len, names), default=0) <= LEVEL_CHARACTERS
    axes.set_xticks(range(classes), names, rotation=0 if level else 35, ha="center" if level else "right")
    axes.set_yticks(range(classes), names)
    axes.set_xlim(-0.5, classes - 0.5)
    axes.set_ylim(classes - 0.5, -0.5)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("given")


def _largest_pairs(figure: Any, figures: RankingFigures) -> None:
    """Many classes: the pairs of given and predicted label that come most often, as bars."""
    counts = figures.confusion.copy()
    np.fill_diagonal(counts, 0)
    largest = [place for place in np.argsort(counts, axis=None)[::-1][:LISTED_PAIRS] if counts.flat[place]]
    pairs = [np.unravel_index(place, counts.shape) for place in largest]
    figure.set_size_inches(6.4, 1.0 + 0.26 * max(4, len(pairs)))
    axes = figure.add_subplot()
    axes.grid(visible=False)
    names = [f"{_short(figures.label_names[given])} → {_short(figures.label_names[to])}" for given, to in pairs]
    bars = axes.barh(range(len(pairs)), [counts[pair] for pair in pairs], color=PREDICTED, height=0.7)
    axes.bar_label(bars, padding=3, color=INK)
    axes.set_yticks(range(len(pairs)), names)
    axes.invert_yaxis()
    axes.xaxis.set_visible(False)
    axes.spines[:].set_visible(False)


def _classes(figure: Any, figures: RankingFigures) -> None:
    """A table, the classes with the most expected errors first where there are many."""
    shown = sorted(figures.classes, key=lambda one: -one.expected_errors)[:LISTED_CLASSES]
    if len(figures.classes) <= LISTED_CLASSES:
        shown = list(figures.classes)
    figure.set_size_inches(9.0, 0.7 + 0.27 * (len(shown) + 1))
    axes = figure.add_subplot()
    axes.set_axis_off()
    names = figures.label_names
    cells = [
        [
            _short(names[one.label]),
            f"{one.rows:,}",
            f"{one.head_rows:,}",
            f"{one.expected_errors:,.1f}",
            f"{one.mean_loss:.3f}",
            "" if one.instead is None else f"{_short(names[one.instead])} ({one.instead_rows:,})",
        ]
        for one in shown
    ]
    header = [
        "class",
        "rows",
        f"in the first {figures.head_rows:,}",
        "expected errors",
        "mean loss",
        "mostly predicted",
    ]
    table = axes.table(
        cells,
        colLabels=header,
        colWidths=[0.24, 0.1, 0.14, 0.14, 0.11, 0.27],
        cellLoc="right",
        edges="horizontal",
        bbox=[0, 0, 1, 1],
    )
    table.auto_set_font_size(False)
    for (line, column), cell in table.get_celld().items():
        cell.set_edgecolor(LINE)
        cell.set_text_props(ha="left" if column in {0, 5} else "right", color=MUTED if line == 0 else INK)
        cell.PAD = 0.04


_PICTURES: Mapping[str, Callable[[Any, RankingFigures], None]] = {
    "losses": _losses,
    "expected": _expected,
    "confusion": _confusion,
    "classes": _classes,
}


def _rectangle(corner: tuple[float, float], side: float, colour: str, alpha: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, side, side, facecolor=colour, alpha=alpha, linewidth=0)


def _short(name: str) -> str:
    shown = visible(name)
    return shown if len(shown) <= NAME_CHARACTERS else f"{shown[: NAME_CHARACTERS - 1]}…"
