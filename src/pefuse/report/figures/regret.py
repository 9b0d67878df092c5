"""A model's risks against the ideal ones of the same patients (simulated cohorts)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pefuse.report.aggregation import ModelScores
from pefuse.report.figures.style import DASHED, DIED, INK, MUTED, SURVIVED, Plot, bare_axes, new_figure, plot_of
from pefuse.report.names import model_name

__all__ = ["regret_panel"]

LOWEST = 1e-3  # of the drawing: a risk of one in a thousand or less


def regret_panel(scores: ModelScores, ideal: ModelScores) -> Plot:
    """Each test patient: ideal risk to the right, the model's upwards, both on the logit scale."""
    studies = scores.test.index.intersection(ideal.test.index)
    ours, best = scores.test.loc[studies], ideal.test.loc[studies, "risk"]
    died = ours["label"].to_numpy() == 1
    x, y = (np.clip(risk.to_numpy(dtype=np.float64), LOWEST, 1 - LOWEST) for risk in (best, ours["risk"]))
    title = model_name(scores.name).label
    with new_figure(3.2, 3.1, margins_in=(0.55, 0.1, 0.45, 0.28)) as figure:
        axes = figure.add_subplot()
        bare_axes(axes)
        axes.plot([LOWEST, 1 - LOWEST], [LOWEST, 1 - LOWEST], color=MUTED, linewidth=0.7, linestyle=DASHED)
        axes.plot(x[~died], y[~died], "o", color=SURVIVED, markersize=3, alpha=0.6, label="survived")
        axes.plot(x[died], y[died], "D", color=DIED, markersize=4, markeredgecolor=INK, label="died")
        axes.set(
            xscale="logit",
            yscale="logit",
            xlim=(LOWEST * 0.7, 1 - LOWEST * 0.7),
            ylim=(LOWEST * 0.7, 1 - LOWEST * 0.7),
        )
        ticks, texts = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99], ["0.1 %", "1 %", "10 %", "50 %", "90 %", "99 %"]
        axes.set_xticks(ticks, texts)
        axes.set_yticks(ticks, texts)
        axes.minorticks_off()
        axes.set(title=title, xlabel="ideal risk", ylabel="the model's risk")
        axes.legend(loc="upper left", handlelength=1.0)
        numbers = pd.DataFrame({"study_id": studies, "label": ours["label"], "ideal": best, "risk": ours["risk"]})
        return plot_of(
            figure,
            name=f"regret-{scores.name}",
            title=title,
            alt=f"Risk by {title} against the ideal risk of each test patient.",
            numbers=numbers,
        )
