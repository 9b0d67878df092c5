"""Calibration: predicted risk against the share that died, and how the risks of both outcomes lie."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pefuse.evaluation import calibration_bins, calibration_curve, wilson_interval
from pefuse.report.aggregation import ModelScores
from pefuse.report.figures.style import DASHED, DIED, INK, MUTED, SURVIVED, Plot, bare_axes, new_figure, plot_of
from pefuse.report.names import CLINICAL_SCORES, model_name
from pefuse.report.results import Judgement

__all__ = ["calibration_panel", "risk_panel"]


def calibration_panel(scores: ModelScores, judgement: Judgement) -> Plot:
    """A model's smoothed calibration curve with its band, and the shares observed in groups of equal size."""
    label, risk = scores.test["label"], scores.test["risk"]
    curve = calibration_curve(label, risk)
    bins = calibration_bins(label, risk)
    intervals = [wilson_interval(int(d), int(n)) for d, n in zip(bins.deaths, bins.cases, strict=True)]
    low, high = np.array([i.low for i in intervals]), np.array([i.high for i in intervals])
    title = model_name(scores.name).label
    with new_figure(3.2, 3.4, margins_in=(0.48, 0.1, 0.68, 0.28)) as figure:
        axes = figure.add_subplot()
        bare_axes(axes)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7, linestyle=DASHED)
        if curve.method != "shares":  # a line through the shares of a few risks would feign what is between them
            axes.fill_between(curve.risk, curve.low, curve.high, color=SURVIVED, alpha=0.15, linewidth=0)
            axes.plot(curve.risk, curve.share, color=SURVIVED)
        axes.vlines(bins.mean_risk, low, high, color=INK, linewidth=0.9)
        axes.plot(bins.mean_risk, bins.death_share, "o", color=INK, markersize=4)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", title=title)
        axes.set(xlabel="predicted risk", ylabel="share that died")
        # Under the panel: a curve may be anywhere in it.
        axes.text(
            0.5, -0.22, _figures_in_words(judgement), transform=axes.transAxes, ha="center", va="top", fontsize=7.5
        )
        numbers = pd.concat(
            [
                pd.DataFrame(
                    {
                        "kind": curve.method,
                        "risk": curve.risk,
                        "share": curve.share,
                        "low": curve.low,
                        "high": curve.high,
                    }
                ),
                pd.DataFrame(
                    {
                        "kind": "group",
                        "risk": bins.mean_risk,
                        "share": bins.death_share,
                        "low": low,
                        "high": high,
                        "deaths": bins.deaths,
                        "cases": bins.cases,
                    }
                ),
            ],
            ignore_index=True,
        )
        return plot_of(
            figure,
            name=f"calibration-{scores.name}",
            title=title,
            alt=f"Calibration of {title} on the test studies.",
            numbers=numbers,
        )


def risk_panel(scores: ModelScores, judgement: Judgement, *, bins: int = 20) -> Plot:
    """How a model's risks (or points) lie among the died (up) and the survived (down), with the threshold."""
    died = scores.test["label"].to_numpy() == 1
    values = scores.test["score"].to_numpy()
    in_points = scores.name in CLINICAL_SCORES
    edges = _edges(values, bins) if in_points else np.linspace(0, 1, bins + 1)
    of_died, of_survived = (np.histogram(values[group], edges)[0] for group in (died, ~died))
    title = model_name(scores.name).label
    with new_figure(3.2, 2.3, margins_in=(0.45, 0.1, 0.48, 0.28)) as figure:
        axes = figure.add_subplot()
        bare_axes(axes, grid="")
        width = np.diff(edges)
        axes.bar(
            edges[:-1], of_died / died.sum(), width, align="edge", color=DIED, edgecolor="white", linewidth=0.4
        )
        axes.bar(
            edges[:-1],
            -of_survived / (~died).sum(),
            width,
            align="edge",
            color=SURVIVED,
            edgecolor="white",
            linewidth=0.4,
        )
        axes.axhline(0, color=INK, linewidth=0.7)
        if judgement.threshold is not None:
            axes.axvline(judgement.threshold, color=INK, linewidth=1.0, linestyle=(0, (3, 2)))
        largest = 1.15 * max((of_died / died.sum()).max(), (of_survived / (~died).sum()).max())
        axes.set(xlim=(edges[0], edges[-1]), ylim=(-largest, largest), title=title)
        axes.set_xlabel("points" if in_points else "predicted risk")
        axes.set_yticks(
            [largest / 2, -largest / 2],
            [f"died\n({died.sum()})", f"survived\n({(~died).sum()})"],
            rotation=90,
            va="center",
            multialignment="center",
        )
        for tick, color in zip(axes.get_yticklabels(), (DIED, SURVIVED), strict=True):
            tick.set_color(color)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        numbers = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "died": of_died, "survived": of_survived})
        return plot_of(
            figure,
            name=f"risks-{scores.name}",
            title=title,
            alt=f"Distribution of what {title} says for test patients who died and who survived.",
            numbers=numbers,
        )


def _edges(values: np.ndarray, bins: int) -> np.ndarray:
    """Edges between whole points, at most `bins` bars."""
    low, high = np.floor(values.min()), np.ceil(values.max())
    step = max(1.0, np.ceil((high - low + 1) / bins))
    return np.arange(low - 0.5, high + step + 0.5, step)


def _figures_in_words(judgement: Judgement) -> str:
    calibration = judgement.calibration
    slope = "cannot be told" if calibration.slope is None else f"{calibration.slope:.2f}".replace("-", "−")
    return f"slope {slope}, Brier {calibration.brier:.3f}, ECE {calibration.expected_error:.3f}"
