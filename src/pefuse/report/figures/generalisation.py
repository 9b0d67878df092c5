"""Validation against test: does a model hold on the studies it was never tuned on?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from pefuse.report.figures.style import DIED, MUTED, SURVIVED, Plot, bare_axes, new_figure, plot_of
from pefuse.report.results import Estimate, ModelResult

__all__ = ["validation_against_test"]


def validation_against_test(models: Sequence[ModelResult]) -> Plot | None:
    """Each model's validation AUC (hollow) and test AUC with its interval (filled); a sure drop is marked."""
    judged = [(model, model.test.auc) for model in models if model.test is not None]
    if not judged:
        return None
    shown = [model for model, _ in judged]
    with new_figure(3.7, 0.65 + 0.25 * len(shown)) as figure:
        axes = figure.add_subplot()
        bare_axes(axes, grid="x")
        axes.axvline(0.5, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)))
        for row, (model, auc) in enumerate(judged):
            _draw(axes, row, model, auc)
        axes.set_yticks(range(len(shown)), [model.label for model in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        lowest = min(_known(auc.low, auc.value, model.validation_auc) for model, auc in judged)
        axes.set_xlim(max(0.0, min(0.48, lowest - 0.03)), 1.015)
        axes.set_xlabel("AUC    ○ validation    ● test with 95 % interval")
        return plot_of(
            figure,
            name="validation-test",
            title="Validation against test",
            alt=_alt([model.label for model in shown if model.dropped]),
            numbers=_numbers(shown),
        )


def _draw(axes: Axes, row: int, model: ModelResult, auc: Estimate) -> None:
    if auc.value is None:
        return
    color = DIED if model.dropped else SURVIVED if model.family != "ideal" else MUTED
    if auc.low is not None and auc.high is not None:
        axes.plot([auc.low, auc.high], [row, row], color=color, linewidth=1.4, solid_capstyle="butt")
    axes.plot([auc.value], [row], marker="o", markersize=5.5, color=color)
    if model.validation_auc is None or model.validation_auc.value is None:
        return
    axes.plot(
        [model.validation_auc.value],
        [row - 0.22],
        marker="o",
        markersize=5,
        markerfacecolor="white",
        markeredgecolor=color,
        markeredgewidth=1.2,
    )


def _known(low: float | None, value: float | None, validation: Estimate | None) -> float:
    candidates = [low, value, validation.value if validation else None]
    return min(number for number in candidates if number is not None)


def _alt(dropped: list[str]) -> str:
    ending = f"Clearly lower on test: {', '.join(dropped)}." if dropped else "No model is clearly lower on test."
    return f"AUC of each model on validation and on test studies. {ending}"


def _numbers(models: list[ModelResult]) -> pd.DataFrame:
    def bounds(name: str, estimate: Estimate | None) -> dict[str, float | None]:
        given = estimate or Estimate(value=None)
        return {name: given.value, f"{name}_low": given.low, f"{name}_high": given.high}

    return pd.DataFrame(
        [
            {
                "model": model.name,
                **bounds("validation_auc", model.validation_auc),
                **bounds("test_auc", model.test.auc if model.test else None),
                **bounds("drop", model.drop),
                "dropped": model.dropped,
            }
            for model in models
        ]
    )
