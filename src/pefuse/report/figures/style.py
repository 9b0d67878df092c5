"""How figures look, and how one becomes files: an SVG with real text, and its numbers as CSV beside it."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from pefuse.storage import atomic_file, write_text

__all__ = [
    "DASHED",
    "DIED",
    "FAINT",
    "GRID",
    "INK",
    "LINES",
    "MUTED",
    "SURVIVED",
    "Plot",
    "bare_axes",
    "chunks",
    "inline_svg",
    "new_figure",
    "plot_of",
    "write_plot",
]

Item = TypeVar("Item")
Margins = tuple[float, float, float, float]

# Okabe & Ito (2008): told apart with any colour vision; dashes help where colour is lost in print.
LINES: tuple[tuple[str, Any], ...] = (
    ("#0072B2", "-"),
    ("#D55E00", (0, (5, 1.5))),
    ("#009E73", (0, (1.2, 1.2))),
    ("#AA4499", (0, (6, 1.5, 1.2, 1.5))),
)
DASHED = (0, (6, 3))  # of thin lines: shorter dashes look like dots
DIED, SURVIVED = "#D55E00", "#0072B2"
INK, MUTED, GRID, FAINT = "#1b2430", "#5b6675", "#e3e8ee", "#c9d1da"

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched, and follows the page's font
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure ready to be written: `name` is its file's, `alt` says in words what it shows."""

    name: str
    title: str
    alt: str
    svg: str = field(repr=False)
    numbers: pd.DataFrame = field(repr=False)


@contextmanager
def new_figure(width_in: float, height_in: float, *, margins_in: Margins | None = None) -> Iterator[Figure]:
    """A figure in our style, without pyplot's global state. Draw and save it inside the block.

    Without `margins_in` (left, right, bottom, top) room for labels is found by measuring them, which takes
    nearly half of the time of a figure: give margins where labels are of known size.
    """
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(width_in, height_in), layout="constrained" if margins_in is None else None)
        if margins_in is not None:
            left, right, bottom, top = margins_in
            figure.subplots_adjust(
                left=left / width_in,
                right=1 - right / width_in,
                bottom=bottom / height_in,
                top=1 - top / height_in,
            )
        yield figure


def bare_axes(axes: Axes, *, grid: Literal["both", "x", "y", ""] = "both") -> None:
    """Only what is needed to read values: two spines and a light grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=GRID, linewidth=0.6)


def plot_of(figure: Figure, *, name: str, title: str, alt: str, numbers: pd.DataFrame) -> Plot:
    """Draw a figure to SVG: the same bytes every time."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        # Not `savefig`, which draws everything twice.
        canvas: Any = FigureCanvasSVG(figure)  # untyped in matplotlib
        canvas.print_svg(buffer, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return Plot(name=name, title=title, alt=alt, svg=_own_ids(buffer.getvalue(), name), numbers=numbers)


def write_plot(plot: Plot, folder: Path) -> None:
    """Write `<name>.svg` and `<name>.csv`."""
    write_text(folder / f"{plot.name}.svg", plot.svg)
    with atomic_file(folder / f"{plot.name}.csv") as partial:
        plot.numbers.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")


def inline_svg(plot: Plot) -> str:
    """The figure as a part of an HTML page: no prolog, no foreign names, a label for screen readers."""
    body = plot.svg[plot.svg.index("<svg") :]
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", body).replace("xlink:href", "href")
    opening = f'<svg role="img" aria-label="{_attribute(plot.alt)}"'
    return re.sub(r"^<svg", opening, body, count=1)


def _own_ids(svg: str, prefix: str) -> str:
    """Give ids a prefix, since two figures on one page may not share any."""
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    return svg.replace("url(#", f"url(#{prefix}-")


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def chunks(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Items in as few runs of at most `size` as do, all about equally long."""
    runs = math.ceil(len(items) / size)
    bounds = [round(part * len(items) / runs) for part in range(runs + 1)]
    return [items[start:end] for start, end in pairwise(bounds)]
