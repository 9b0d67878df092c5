"""The risks of single cases: by the model, by the scan or the record alone, and without either."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.ticker import FuncFormatter

from pefuse.report.explanations import Case
from pefuse.report.figures.style import DIED, INK, MUTED, SURVIVED, Plot, bare_axes, new_figure, plot_of

__all__ = ["case_risks"]

RISKS = {  # attribute of a case: what it is, colour, marker, hollow
    "risk": ("this model", INK, "D", False),
    "scan_alone": ("model of the scan alone", SURVIVED, "s", False),
    "record_alone": ("model of the record alone", DIED, "o", False),
    "without_scan": ("this model, scan replaced by the average", SURVIVED, "s", True),
    "without_record": ("this model, record replaced by the average", DIED, "o", True),
}


def case_risks(cases: Sequence[Case], *, label: str, threshold: float | None) -> Plot:
    """A row a case with all of its risks, and the threshold above which the model calls a death."""
    numbers = pd.DataFrame([_numbers(case) for case in cases])
    with new_figure(3.8, 1.75 + 0.27 * len(cases)) as figure:
        axes = figure.add_subplot()
        bare_axes(axes, grid="both")
        if threshold is not None:
            axes.axvline(threshold, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), label="threshold")
        for name, (words, color, marker, hollow) in reversed(RISKS.items()):
            axes.plot(
                numbers[name],
                range(len(cases)),
                linestyle="none",
                marker=marker,
                markersize=5,
                color=color,
                markerfacecolor="white" if hollow else color,
                label=words,
                clip_on=False,
            )
        axes.set_yticks(range(len(cases)), [f"{case.study_id}, {case.kind or 'no call'}" for case in cases])
        axes.set_ylim(len(cases) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.tick_params(axis="y", length=0, pad=7)  # clear of marks at 0
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.set_xlabel("risk of death")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside lower center")
        return plot_of(
            figure,
            name="cases",
            title="Risks of single cases",
            alt=f"Risks of {len(cases)} cases by {label}, by single models, and with scan or record replaced.",
            numbers=numbers,
        )


def _numbers(case: Case) -> dict[str, object]:
    risks = {name: getattr(case, name) for name in RISKS}
    return {"study_id": case.study_id, "label": case.label, "called": case.called, "kind": case.kind, **risks}
