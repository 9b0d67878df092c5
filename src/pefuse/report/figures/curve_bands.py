"""A curve of one model with its band: where the curve of other patients would run, point by point."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pefuse.evaluation import CurveBand
from pefuse.report.aggregation import ModelScores
from pefuse.report.figures.discrimination import ROC, Kind, curve_points, prepare_axes
from pefuse.report.figures.style import FAINT, LINES, Plot, new_figure, plot_of
from pefuse.report.names import model_name

__all__ = ["banded_curve"]


def banded_curve(kind: Kind, one: ModelScores, band: CurveBand, *, beside: Sequence[ModelScores] = ()) -> Plot:
    """One model in colour with its band, those `beside` it faint: two bands in a panel would hide each other."""
    label = model_name(one.name).label
    color = LINES[0][0]
    with new_figure(3.2, 3.6) as figure:
        axes = figure.add_subplot()
        prepare_axes(axes, kind, one)
        for other in beside:
            x, y, _ = kind.curve(other.test["label"], other.test["score"])
            axes.plot(x, y, color=FAINT, linewidth=0.8, drawstyle=kind.drawstyle)
        axes.fill_between(
            band.x,
            band.low,
            band.high,
            color=color,
            alpha=0.18,
            linewidth=0,
            step=None if kind is ROC else "pre",
        )
        curve = kind.curve(one.test["label"], one.test["score"])
        area = kind.area(one.test["label"], one.test["score"])
        axes.plot(curve[0], curve[1], color=color, label=f"{kind.area_name} {area:.2f}", drawstyle=kind.drawstyle)
        axes.set(title=label)
        figure.legend(loc="outside lower center")
        bounds = pd.DataFrame(
            {"model": one.name, kind.x: band.x, f"{kind.y}_low": band.low, f"{kind.y}_high": band.high}
        )
        numbers = pd.concat(
            [curve_points(kind, one.name, curve).assign(part="curve"), bounds.assign(part="95 % band")],
            ignore_index=True,
        )
        alt = f"{kind.title} of {label} on the test studies with its 95 % band."
        name = f"{kind.name}-band-{one.name}"
        return plot_of(figure, name=name, title=f"{kind.title}: {label}", alt=alt, numbers=numbers)
