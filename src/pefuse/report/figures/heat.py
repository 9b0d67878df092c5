"""Explanations against the truth: heat in each structure, how often it is hit, and features that carry signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from pefuse.report.figures.style import DIED, FAINT, INK, SURVIVED, Plot, bare_axes, new_figure, plot_of
from pefuse.report.heat_truth import METHODS, is_control
from pefuse.report.names import model_name

__all__ = ["heat_hits_panel", "heat_share_panel", "signal_panel"]

_MARKS = {  # colour and marker of each method; its control is hollow
    "layer-cam": (DIED, "o"),
    "grad-cam": (SURVIVED, "s"),
    "hires-cam": ("#009E73", "^"),
    "occlusion": ("#AA4499", "D"),
    "masks": (DIED, "o"),
    "shap": (SURVIVED, "s"),
}
_LOWEST_RATIO = 0.02  # no heat at all has no place on a log axis


def heat_share_panel(model: str, table: pd.DataFrame) -> Plot:
    """Share of heat over share of volume, a row a structure, a dot a method, with its interval.

    Args:
        table: rows of one model, as `heat_by_structure` gives them.
    """
    label = model_name(model).label
    shown = table.assign(
        **{name: table[name].clip(lower=_LOWEST_RATIO) for name in ("ratio", "ratio_low", "ratio_high")}
    )
    return _rows_panel(
        shown,
        value="ratio",
        xlabel="share of heat / share of volume (1 = chance)",
        name=f"heat-share-{model}",
        title=f"{label}: heat in each structure",
        alt=f"How much more heat than volume lies in each structure, {label}. {_alt(table)}",
        numbers=table.drop(columns=["hits", "hit_rate", "hit_rate_low", "hit_rate_high", "hit_chance"]),
    )


def heat_hits_panel(model: str, table: pd.DataFrame) -> Plot:
    """How often the hottest voxel lies in each structure, with Wilson's interval; see `heat_share_panel`."""
    label = model_name(model).label
    return _rows_panel(
        table,
        value="hit_rate",
        xlabel="scans whose hottest point lies there",
        name=f"heat-hits-{model}",
        title=f"{label}: hottest point",
        alt=f"In how many scans the hottest point lies in each structure, {label}.",
        numbers=table.drop(columns=["heat_share", "ratio", "ratio_low", "ratio_high"]),
    )


def signal_panel(model: str, table: pd.DataFrame) -> Plot:
    """Precision at k: how many of the first k features carry signal, by method, with chance.

    Args:
        table: rows of one model: method, k, precision, chance.
    """
    label = model_name(model).label
    ordered = table.sort_values(["method", "k"], ignore_index=True)
    with new_figure(3.6, 2.9) as figure:
        axes = figure.add_subplot()
        bare_axes(axes)
        chance = ordered[~ordered["method"].map(is_control)].groupby("k")["chance"].mean()
        axes.plot(chance.index, chance, color=INK, linewidth=0.9, linestyle=(0, (2, 2)), label="picked at random")
        for method in _in_order(ordered["method"]):
            rows = ordered[ordered["method"] == method]
            axes.plot(
                rows["k"], rows["precision"], label=METHODS.get(method, method), **_look(method), linewidth=1.2
            )
        axes.set(title=label, xlabel="first k features", ylabel="share that carries signal", ylim=(-0.03, 1.03))
        axes.set_xticks(sorted(ordered["k"].unique()))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        figure.legend(loc="outside lower center")
        return plot_of(
            figure,
            name=f"signal-{model}",
            title=f"{label}: features that carry signal",
            alt=f"Share of the first k features of {label} that carry signal, beside chance.",
            numbers=ordered,
        )


def _rows_panel(
    table: pd.DataFrame, *, value: str, xlabel: str, name: str, title: str, alt: str, numbers: pd.DataFrame
) -> Plot:
    structures = list(dict.fromkeys(table["structure"]))
    methods = _in_order(table["method"])
    row_in = 0.14 + 0.07 * len(methods)
    with new_figure(3.9, 0.95 + row_in * len(structures) + 0.14 * len(methods)) as figure:
        axes = figure.add_subplot()
        bare_axes(axes, grid="x")
        for place, method in enumerate(methods):
            rows = table[table["method"] == method]
            shift = 0.75 * (place - (len(methods) - 1) / 2) / len(methods)
            _draw(axes, rows, [structures.index(one) + shift for one in rows["structure"]], value, method)
        if value == "hit_rate":
            _mark_chance(axes, table.drop_duplicates("structure", ignore_index=True))
        axes.set_yticks(range(len(structures)), [_on_two_lines(one) for one in structures])
        axes.set_ylim(len(structures) - 0.4, -0.6)
        for line in range(1, len(structures)):
            axes.axhline(line - 0.5, color=FAINT, linewidth=0.9 if line == 1 else 0.4)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set(title=title, xlabel=xlabel)
        _scale(axes, value, table[[f"{value}_low", value, f"{value}_high"]].to_numpy(float))
        figure.legend(loc="outside lower center")
        return plot_of(figure, name=name, title=title, alt=alt, numbers=numbers)


def _mark_chance(axes: Axes, rows: pd.DataFrame) -> None:
    """A dashed line in each row whose chance of a hit is known."""
    known = rows[rows["hit_chance"].notna()]
    if len(known):
        places, dashes = known.index.to_numpy(), (0, (2, 2))
        chance = known["hit_chance"]
        axes.vlines(
            chance, places - 0.45, places + 0.45, color=INK, linewidth=0.9, linestyle=dashes, label="chance"
        )


def _draw(axes: Axes, rows: pd.DataFrame, heights: Sequence[float], value: str, method: str) -> None:
    look = _look(method)
    axes.hlines(heights, rows[f"{value}_low"], rows[f"{value}_high"], color=look["color"], linewidth=1.2)
    axes.plot(rows[value], heights, linestyle="none", label=METHODS.get(method, method), **look)


def _scale(axes: Axes, value: str, shown: NDArray[np.float64]) -> None:
    if value == "hit_rate":
        axes.set_xlim(-0.02, 1.02)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
        return
    axes.set_xscale("log")
    known = shown[np.isfinite(shown)]  # a structure that no scan has, has no ratio
    low, high = min(0.8 * known.min(initial=1), 0.5), max(1.25 * known.max(initial=1), 2.0)
    axes.set_xlim(low, high)
    axes.axvline(1, color=INK, linewidth=0.9, linestyle=(0, (2, 2)), zorder=0)
    ticks = [tick for tick in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()


def _look(method: str) -> dict[str, Any]:
    color, marker = _MARKS.get(method.removesuffix(" randomised"), (INK, "D"))
    return {
        "color": color,
        "marker": marker,
        "markersize": 4.5,
        "markerfacecolor": "white" if is_control(method) else color,
        "markeredgecolor": color,
    }


def _in_order(methods: pd.Series) -> list[str]:
    known = list(METHODS)
    return sorted(methods.unique(), key=lambda name: (known.index(name) if name in known else len(known), name))


def _on_two_lines(structure: str) -> str:
    return structure.replace(" and its vessels", "\nand its vessels")


def _alt(table: pd.DataFrame) -> str:
    method = _in_order(table["method"])[0]
    first = table[table["method"] == method]
    known = [
        f"{row['structure']} {row['ratio']:.1f}" for row in first.to_dict("records") if np.isfinite(row["ratio"])
    ]
    return f"{METHODS.get(method, method)}: {', '.join(known)}." if known else ""
