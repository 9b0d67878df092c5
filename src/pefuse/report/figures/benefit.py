"""Decision curves: what acting on a model is worth at each risk from which one might act."""

from __future__ import annotations

import pandas as pd

from pefuse.evaluation import DecisionCurve
from pefuse.report.aggregation import ModelScores
from pefuse.report.figures.style import INK, MUTED, SURVIVED, Plot, bare_axes, new_figure, plot_of
from pefuse.report.names import model_name

__all__ = ["decision_panel"]


def decision_panel(scores: ModelScores, curve: DecisionCurve) -> Plot:
    """A model's net benefit with its band, treating all (grey), treating none (the line at 0)."""
    title = model_name(scores.name).label
    died = float(scores.test["label"].mean())
    with new_figure(3.2, 2.5, margins_in=(0.58, 0.2, 0.42, 0.28)) as figure:
        axes = figure.add_subplot()
        bare_axes(axes)
        axes.axhline(0, color=INK, linewidth=0.9)
        axes.plot(curve.thresholds, curve.all, color=MUTED, linewidth=1.1, linestyle=(0, (4, 2)))
        axes.fill_between(curve.thresholds, curve.low, curve.high, color=SURVIVED, alpha=0.15, linewidth=0)
        axes.plot(curve.thresholds, curve.model, color=SURVIVED)
        # The same scale for all models of a run; what lies below it is worse than anyone would do.
        axes.set(xlim=(0, float(curve.thresholds[-1])), ylim=(-0.4 * died, 1.6 * died), title=title)
        axes.set(xlabel="risk from which one would act", ylabel="net benefit")
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        numbers = pd.DataFrame(
            {
                "threshold": curve.thresholds,
                "model": curve.model,
                "model_low": curve.low,
                "model_high": curve.high,
                "treat_all": curve.all,
                "treat_none": 0.0,
                "over_default": curve.over_default,
                "over_default_low": curve.over_default_low,
                "over_default_high": curve.over_default_high,
            }
        )
        return plot_of(
            figure,
            name=f"benefit-{scores.name}",
            title=title,
            alt=f"Decision curve of {title} on the test studies, with treating all and treating none.",
            numbers=numbers,
        )
