"""ROC and precision-recall curves: a few models a panel in colour, all others faint behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pefuse.evaluation import auroc, average_precision, precision_recall_curve, roc_curve
from pefuse.report.aggregation import ModelScores
from pefuse.report.figures.style import (
    DASHED,
    FAINT,
    INK,
    LINES,
    MUTED,
    Plot,
    bare_axes,
    chunks,
    new_figure,
    plot_of,
)
from pefuse.report.names import model_name

__all__ = ["PRECISION_RECALL", "ROC", "Kind", "curve_panels", "curve_points", "prepare_axes"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """A kind of curve: how it is computed, drawn and named. `curve` gives its x, y and thresholds."""

    name: str
    title: str
    x: str
    y: str
    x_label: str
    y_label: str
    area_name: str
    area: Callable[[Any, Any], float]
    curve: Callable[[Any, Any], tuple[FloatArray, FloatArray, FloatArray]]
    drawstyle: str


def _roc(labels: Any, scores: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    found = roc_curve(labels, scores)
    return found.false_positive_rate, found.true_positive_rate, found.thresholds


def _precision_recall(labels: Any, scores: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    found = precision_recall_curve(labels, scores)
    return found.recall, found.precision, found.thresholds


ROC = Kind(
    name="roc",
    title="ROC curve",
    x="false_positive_rate",
    y="true_positive_rate",
    x_label="1 − specificity (false alarms)",
    y_label="sensitivity (deaths found)",
    area_name="AUC",
    area=auroc,
    curve=_roc,
    drawstyle="default",
)
PRECISION_RECALL = Kind(
    name="pr",
    title="Precision-recall curve",
    x="recall",
    y="precision",
    x_label="sensitivity (deaths found)",
    y_label="PPV (alarms that were right)",
    area_name="AP",
    area=average_precision,
    curve=_precision_recall,
    drawstyle="steps-pre",  # as average precision adds it up
)

_PANELS = (
    ("scores", "Clinical scores", ("score",)),
    ("single", "Scan or record alone", ("single",)),
    ("late", "Late fusion", ("late",)),
    ("joint", "Early and intermediate fusion", ("joint",)),
    ("other", "Other models", ("other",)),
)


def curve_panels(kind: Kind, scores: Sequence[ModelScores]) -> list[Plot]:
    """One panel a family of models, at most four curves each."""
    able = [one for one in scores if not one.problem]
    curves = {one.name: kind.curve(one.test["label"], one.test["score"]) for one in able}
    plots = []
    for name, title, members in _grouped(able):
        parts = chunks(members, len(LINES))
        for part, chunk in enumerate(parts, start=1):
            several = len(parts) > 1
            heading = f"{title} ({part} of {len(parts)})" if several else title
            name_of_part = f"{kind.name}-{name}-{part}" if several else f"{kind.name}-{name}"
            plots.append(_panel(kind, name_of_part, heading, chunk, curves))
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


def _panel(
    kind: Kind,
    name: str,
    title: str,
    members: Sequence[ModelScores],
    curves: dict[str, tuple[FloatArray, FloatArray, FloatArray]],
) -> Plot:
    labels = [model_name(one.name).label for one in members]
    with new_figure(3.2, 3.45 + 0.16 * len(members)) as figure:
        axes = figure.add_subplot()
        prepare_axes(axes, kind, members[0])
        axes.set(title=title)
        leave_out = {one.name for one in members}
        for other, (x, y, _) in curves.items():
            if other not in leave_out and not other.startswith("ideal-"):
                axes.plot(x, y, color=FAINT, linewidth=0.8, drawstyle=kind.drawstyle)
        if "ideal-both" in curves:  # the best that the data allow, where that is known
            x, y, _ = curves["ideal-both"]
            axes.plot(x, y, color=INK, linewidth=0.9, linestyle=":", drawstyle=kind.drawstyle)
        for one, label, (color, dashes) in zip(members, labels, LINES, strict=False):
            x, y, _ = curves[one.name]
            area = kind.area(one.test["label"], one.test["score"])
            text = f"{label}: {kind.area_name} {area:.2f}"
            axes.plot(x, y, color=color, linestyle=dashes, label=text, drawstyle=kind.drawstyle)
        figure.legend(loc="outside lower center", alignment="left")
        numbers = pd.concat([curve_points(kind, one.name, curves[one.name]) for one in members], ignore_index=True)
        alt = f"{kind.title} on the test studies: {', '.join(labels)}."
        return plot_of(figure, name=name, title=title, alt=alt, numbers=numbers)


def prepare_axes(axes: Axes, kind: Kind, one: ModelScores) -> None:
    """Empty axes with the line that a score without any information has."""
    bare_axes(axes)
    # Of precision: whoever is called, the share of deaths dies.
    chance = [0.0, 1.0] if kind is ROC else [float(one.test["label"].mean())] * 2
    axes.plot([0, 1], chance, color=MUTED, linewidth=0.7, linestyle=DASHED)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set(xlabel=kind.x_label, ylabel=kind.y_label)


def curve_points(kind: Kind, name: str, curve: tuple[FloatArray, FloatArray, FloatArray]) -> pd.DataFrame:
    """The corners of a curve as numbers."""
    x, y, thresholds = curve
    return pd.DataFrame({"model": name, "threshold": thresholds, kind.x: x, kind.y: y})
