"""The cohort over time: studies and deaths a year."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.ticker import MaxNLocator

from pefuse.report.figures.style import DIED, FAINT, INK, Plot, bare_axes, new_figure, plot_of

__all__ = ["studies_by_year"]


def studies_by_year(by_year: Mapping[str, Mapping[str, Any]]) -> Plot | None:
    """Bars of studies with known outcome, those who died at their foot."""
    if not by_year:
        return None
    years = sorted(by_year)
    studies = [int(by_year[year]["studies"]) for year in years]
    deaths = [int(by_year[year]["deaths"]) for year in years]
    with new_figure(3.4, 2.2) as figure:
        axes = figure.add_subplot()
        bare_axes(axes, grid="y")
        axes.bar(years, studies, color=FAINT, width=0.7, label="studies")
        axes.bar(years, deaths, color=DIED, width=0.7, label="died")
        for place, (count, died) in enumerate(zip(studies, deaths, strict=True)):
            axes.text(place, count, f"{count} / {died}", ha="center", va="bottom", color=INK, fontsize=7)
        axes.margins(y=0.12)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
        return plot_of(
            figure,
            name="cohort-by-year",
            title="Studies and deaths a year",
            alt=f"Studies with known outcome from {years[0]} to {years[-1]}, and how many of them died.",
            numbers=pd.DataFrame({"year": years, "studies": studies, "deaths": deaths}),
        )
