"""ROC curves: a few models a panel in colour, all others faint behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from pefuse.evaluation import RocCurve, auroc, roc_curve
from pefuse.report.aggregation import ModelScores
from pefuse.report.figures.style import FAINT, INK, LINES, MUTED, Plot, bare_axes, chunks, new_figure, plot_of
from pefuse.report.names import model_name

__all__ = ["roc_panels"]

_PANELS = (
    ("scores", "Clinical scores", ("score",)),
    ("single", "Scan or record alone", ("single",)),
    ("late", "Late fusion", ("late",)),
    ("joint", "Early and intermediate fusion", ("joint",)),
    ("other", "Other models", ("other",)),
)


def roc_panels(scores: Sequence[ModelScores]) -> list[Plot]:
    """One panel a family of models, at most four curves each."""
    able = [one for one in scores if not one.problem]
    curves = {one.name: roc_curve(one.test["label"], one.test["score"]) for one in able}
    plots = []
    for name, title, members in _grouped(able):
        parts = chunks(members, len(LINES))
        for part, chunk in enumerate(parts, start=1):
            several = len(parts) > 1
            heading = f"{title} ({part} of {len(parts)})" if several else title
            plots.append(_panel(f"roc-{name}-{part}" if several else f"roc-{name}", heading, chunk, curves))
    return plots


def _grouped(scores: Sequence[ModelScores]) -> list[tuple[str, str, list[ModelScores]]]:
    """Models by family; late and joint fusion share a panel while there is room."""
    by_family: dict[str, list[ModelScores]] = {}
    for one in scores:
        by_family.setdefault(model_name(one.name).family, []).append(one)
    fused = by_family.get("late", []) + by_family.get("joint", [])
    groups = [
        (name, title, [one for f in families for one in by_family.get(f, [])]) for name, title, families in _PANELS
    ]
    if len(fused) <= len(LINES):
        groups = [group for group in groups if group[0] not in ("late", "joint")]
        groups.insert(2, ("fusion", "Fusion of both", fused))
    return [group for group in groups if group[2]]


def _panel(name: str, title: str, members: Sequence[ModelScores], curves: dict[str, RocCurve]) -> Plot:
    labels = [model_name(one.name).label for one in members]
    with new_figure(3.2, 3.45 + 0.16 * len(members)) as figure:
        axes = figure.add_subplot()
        bare_axes(axes)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)))
        _draw_context(axes, curves, leave_out={one.name for one in members})
        for one, label, (color, dashes) in zip(members, labels, LINES, strict=False):
            auc = auroc(one.test["label"], one.test["score"])
            _draw(axes, curves[one.name], color=color, linestyle=dashes, label=f"{label}: AUC {auc:.2f}")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", title=title)
        axes.set(xlabel="1 − specificity (false alarms)", ylabel="sensitivity (deaths found)")
        figure.legend(loc="outside lower center", alignment="left")
        numbers = pd.concat([_points(one.name, curves[one.name]) for one in members], ignore_index=True)
        alt = f"ROC curves on the test studies: {', '.join(labels)}."
        return plot_of(figure, name=name, title=title, alt=alt, numbers=numbers)


def _draw_context(axes: Axes, curves: dict[str, RocCurve], *, leave_out: set[str]) -> None:
    """All other models, faint, and the best that the data allow where that is known."""
    for name, curve in curves.items():
        if name not in leave_out and not name.startswith("ideal-"):
            _draw(axes, curve, color=FAINT, linewidth=0.8)
    if "ideal-both" in curves:
        _draw(axes, curves["ideal-both"], color=INK, linewidth=0.9, linestyle=":")


def _draw(axes: Axes, curve: RocCurve, **style: Any) -> None:
    axes.plot(curve.false_positive_rate, curve.true_positive_rate, **style)


def _points(name: str, curve: RocCurve) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": name,
            "threshold": curve.thresholds,
            "false_positive_rate": curve.false_positive_rate,
            "true_positive_rate": curve.true_positive_rate,
        }
    )
