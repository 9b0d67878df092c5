"""Risks with both modalities against risks with one of them replaced by its average."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from pefuse.report.figures.style import DASHED, DIED, MUTED, SURVIVED, Plot, bare_axes, new_figure, plot_of
from pefuse.report.modality import LEAST_RISK
from pefuse.report.names import model_name

__all__ = ["modality_panels"]

TICKS = (0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
REPLACED = {"without_scan": "scan", "without_record": "record"}


def modality_panels(model: str, table: pd.DataFrame, *, outcome: str) -> tuple[Plot, Plot]:
    """The scan replaced, and the record: on the diagonal lie studies whose risk the modality did not move.

    Args:
        table: of one model: study_id, label, risk, without_scan, without_record, a row a study.
        outcome: what a label of 1 means.
    """
    risks = table[["risk", *REPLACED]].clip(LEAST_RISK, 1 - LEAST_RISK)
    limits = (float(risks.min().min()) / 1.6, 1 - (1 - float(risks.max().max())) / 1.6)
    scan, record = (_panel(model, table, column, limits, outcome) for column in REPLACED)
    return scan, record


def _panel(model: str, table: pd.DataFrame, column: str, limits: tuple[float, float], outcome: str) -> Plot:
    replaced, label = REPLACED[column], model_name(model).label
    with new_figure(3.6, 3.6) as figure:
        axes = figure.add_subplot()
        _draw(axes, table, column, limits, outcome)
        axes.set(
            title=f"{label}: average {replaced}",
            xlabel="risk with both",
            ylabel=f"risk with an average {replaced}",
        )
        figure.legend(loc="outside lower center", ncols=2)
        return plot_of(
            figure,
            name=f"modality-{model}-{replaced}",
            title=f"{label}: average {replaced}",
            alt=(
                f"Risks of {len(table)} studies by {label} with both modalities, against those with the "
                f"{replaced} replaced by its average, by outcome."
            ),
            numbers=table[["study_id", "label", "risk", column]],
        )


def _draw(axes: Axes, table: pd.DataFrame, column: str, limits: tuple[float, float], outcome: str) -> None:
    bare_axes(axes)
    axes.set_xscale("logit")
    axes.set_yscale("logit")
    axes.plot(limits, limits, color=MUTED, linewidth=0.8, linestyle=DASHED)
    of_cases = "died" if outcome == "death" else outcome
    of_others = "survived" if outcome == "death" else f"no {outcome}"
    for value, color, marker, words in ((0, SURVIVED, "o", of_others), (1, DIED, "D", of_cases)):
        rows = table[table["label"] == value]
        axes.plot(
            rows["risk"].clip(LEAST_RISK, 1 - LEAST_RISK),
            rows[column].clip(LEAST_RISK, 1 - LEAST_RISK),
            linestyle="none",
            marker=marker,
            markersize=4.2,
            markeredgewidth=0.9,
            markerfacecolor=color if value else "none",
            color=color,
            label=f"{words} ({len(rows)})",
        )
    ticks = [tick for tick in TICKS if limits[0] <= tick <= limits[1]]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter(FixedFormatter([f"{100 * tick:g} %" for tick in ticks]))
        axis.set_minor_locator(NullLocator())
    axes.set_xlim(*limits)
    axes.set_ylim(*limits)
