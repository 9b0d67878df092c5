"""Two runs: how far each model's AUC moved from the first to the second."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pefuse.report.estimates import Estimate
from pefuse.report.figures.style import INK, MUTED, SURVIVED, Plot, bare_axes, new_figure, plot_of

__all__ = ["run_differences"]


def run_differences(rows: Sequence[tuple[str, Estimate]], *, first: str, second: str, name: str) -> Plot | None:
    """A line a model with its 95 % interval; right of 0 the second run is better. None where nothing can be told.

    Args:
        rows: each model's label, and AUC of the second run minus that of the first.
        name: of the figure's file.
    """
    known = [(label, one, one.value) for label, one in rows if one.value is not None]
    if not known:
        return None
    with new_figure(3.9, 0.75 + 0.25 * len(known)) as figure:
        axes = figure.add_subplot()
        bare_axes(axes, grid="x")
        axes.axvline(0, color=INK, linewidth=0.8)
        for row, (_, one, value) in enumerate(known):
            bounds = [bound for bound in (one.low, one.high) if bound is not None]
            sure = len(bounds) == 2 and (bounds[0] > 0 or bounds[1] < 0)
            color = SURVIVED if sure else MUTED
            if len(bounds) == 2:
                axes.plot(bounds, [row, row], color=color, linewidth=1.4, solid_capstyle="butt")
            axes.plot([value], [row], marker="o", markersize=5, color=color)
        axes.set_yticks(range(len(known)), [label for label, _, _ in known])
        axes.set_ylim(len(known) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        reach = max(
            0.05, *(abs(bound) for _, one, value in known for bound in (one.low, one.high, value) if bound)
        )
        axes.set_xlim(-1.08 * reach, 1.08 * reach)
        axes.set_xlabel(f"AUC of {second} − AUC of {first}\n← {first} better  |  {second} better →")
        return plot_of(
            figure,
            name=name,
            title=f"{second} against {first}",
            alt=f"Difference of AUC, run {second} minus run {first}, with its 95 % interval, for each model.",
            numbers=pd.DataFrame(
                [
                    {"model": label, "difference": value, "low": one.low, "high": one.high}
                    for label, one, value in known
                ]
            ),
        )
