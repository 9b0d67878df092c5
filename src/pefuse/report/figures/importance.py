"""Feature importance: what a model of the record went by, averaged over folds and seeds."""

from __future__ import annotations

import pandas as pd

from pefuse.report.figures.style import SURVIVED, Plot, bare_axes, new_figure, plot_of
from pefuse.report.names import model_name

__all__ = ["importance_panel"]

LONGEST_NAME = 32


def importance_panel(model: str, importance: pd.DataFrame, *, method: str = "", top: int = 15) -> Plot:
    """The `top` features of one model, as a share of all its importance. The CSV has every feature.

    Args:
        importance: feature, importance.
        method: what was measured, for the title.
    """
    ordered = importance.sort_values(["importance", "feature"], ascending=[False, True], ignore_index=True)
    total = float(ordered["importance"].sum())
    share = ordered["importance"] / total if total > 0 else ordered["importance"]
    shown = ordered.assign(share=share).head(top)
    label = model_name(model).label
    title = f"{label}: {method}" if method else label
    with new_figure(3.6, (0.85 if method else 0.7) + 0.2 * len(shown)) as figure:
        axes = figure.add_subplot()
        bare_axes(axes, grid="x")
        axes.barh(range(len(shown)), 100 * shown["share"], color=SURVIVED, height=0.68)
        axes.set_yticks(range(len(shown)), [_short(name) for name in shown["feature"]])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set(title=title.replace(": ", "\n"), xlabel="share of all importance, %")
        return plot_of(
            figure,
            name=f"importance-{model}",
            title=title,
            alt=f"The {len(shown)} most important features of {title}, first {shown['feature'].iloc[0]}.",
            numbers=ordered.assign(share=share),
        )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1].rstrip() + "…"
