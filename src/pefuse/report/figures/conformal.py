"""Conformal sets: how many test studies get which answer from each model."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pefuse.report.evidence import ConformalRow
from pefuse.report.figures.style import DIED, FAINT, MUTED, SURVIVED, Plot, bare_axes, new_figure, plot_of

__all__ = ["conformal_bars"]

_PARTS = (
    ("only_survival", "survival", SURVIVED),
    ("both", "cannot be told", FAINT),
    ("neither", "like neither", MUTED),
    ("only_death", "death", DIED),
)


def conformal_bars(rows: Sequence[ConformalRow]) -> Plot:
    """One bar a model, all of one stated coverage: the shares of the four sets."""
    stated = rows[0].stated
    with new_figure(3.7, 0.95 + 0.24 * len(rows), margins_in=(1.42, 0.12, 0.68, 0.28)) as figure:
        axes = figure.add_subplot()
        bare_axes(axes, grid="")
        for place, row in enumerate(rows):
            total, left = row.only_death + row.only_survival + row.both + row.neither, 0.0
            for name, _, color in _PARTS:
                share = getattr(row, name) / total
                axes.barh(place, share, left=left, color=color, height=0.72)
                left += share
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xlabel="share of test studies")
        axes.tick_params(axis="y", length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_title(f"Outcomes not ruled out, {100 * stated:.0f} % coverage")
        for _, label, color in _PARTS:
            axes.bar(0, 0, color=color, label=label)
        figure.legend(loc="lower center", ncols=4, handlelength=0.9, columnspacing=0.9)
        return plot_of(
            figure,
            name="conformal-sets",
            title=f"Conformal sets, stated coverage {100 * stated:.0f} %",
            alt="Share of test studies for which each model rules out death, survival, neither or both.",
            numbers=pd.DataFrame(
                [row.model_dump(include={"name", *(part for part, _, _ in _PARTS)}) for row in rows]
            ),
        )
