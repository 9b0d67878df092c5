"""Forest plot: a measure of some models in each group of patients."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from pefuse.report.evidence import FairnessRow, GroupRow
from pefuse.report.figures.style import INK, LINES, MUTED, Plot, bare_axes, new_figure, plot_of

__all__ = ["FOREST_MEASURES", "forest_panel"]

FOREST_MEASURES = {
    "auc": "AUC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "observed_to_expected": "Deaths observed / expected",
}
MARKS = ("o", "s", "D", "^")
RATIO_LIMITS = (0.2, 5.0)
APART = 0.2  # between the models of a row, in rows


def forest_panel(rows: Sequence[FairnessRow], measure: str) -> Plot:
    """One measure: groups down the side, by grouping; one mark a model with its 95 % interval."""
    models = list(dict.fromkeys((row.name, row.label) for row in rows))
    groupings = list(dict.fromkeys((row.grouping, row.grouping_label) for row in rows))
    by = {(row.name, row.grouping): row for row in rows}
    height = sum(1.0 + len(by[models[0][0], name].groups) for name, _ in groupings)
    below_in = 0.4 + 0.16 * len(models)  # the axis' numbers, and a line of the legend for each model
    with new_figure(3.7, 0.3 + 0.27 * height + below_in, margins_in=(1.35, 0.12, below_in, 0.3)) as figure:
        axes = figure.add_subplot()
        bare_axes(axes, grid="x")
        place, ticks, numbers = 0.0, [], []
        for grouping, label in groupings:
            beside = blended_transform_factory(figure.transFigure, axes.transData)
            axes.text(0.02, place, label, transform=beside, fontsize=7.5, fontweight="bold", va="center")
            for offset, group in enumerate(by[models[0][0], grouping].groups, start=1):
                ticks.append((place + offset, f"{group.group} ({group.deaths}/{group.studies})"))
            for offset in _silent([by[name, grouping] for name, _ in models], measure):
                axes.text(
                    _left(measure), place + offset, " too few to say", fontsize=6.5, color=MUTED, va="center"
                )
            for number, (name, _) in enumerate(models):
                shift = APART * (number - (len(models) - 1) / 2)
                for offset, group in enumerate(by[name, grouping].groups, start=1):
                    draw_mark(axes, place + offset + shift, group, measure, number)
                    numbers.append(_numbers(by[name, grouping], group, measure))
            place += 1.0 + len(by[models[0][0], grouping].groups)
        axes.set_yticks([at for at, _ in ticks], [text for _, text in ticks])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(place - 0.3, -0.6)
        _scale(axes, measure)
        for number, (_, label) in enumerate(models):
            axes.plot([], [], MARKS[number % 4], color=LINES[number % 4][0], markersize=4, label=label)
        figure.legend(loc="lower left", bbox_to_anchor=(0.36, 0.0), labelspacing=0.25)
        title = FOREST_MEASURES[measure]
        axes.set_title(title)
        return plot_of(
            figure,
            name=f"subgroups-{measure.replace('_', '-')}",
            title=title,
            alt=f"{title} of {', '.join(label for _, label in models)} in each group of test studies.",
            numbers=pd.DataFrame(numbers),
        )


def draw_mark(axes: Axes, place: float, group: GroupRow, measure: str, number: int) -> None:
    """The measure of a group with its interval; an arrow where either goes on beyond the axis of ratios."""
    found = getattr(group, measure)
    if found is None or found.value.value is None:
        return
    color, (least, most) = LINES[number % 4][0], RATIO_LIMITS if measure == "observed_to_expected" else (0.0, 1.0)
    value = low = high = found.value.value
    if found.value.low is not None and found.value.high is not None:
        low, high = found.value.low, found.value.high
        within = [min(max(bound, least), most) for bound in (low, high)]
        axes.plot(within, [place, place], color=color, linewidth=1.2)
    if least <= value <= most:
        axes.plot([value], [place], MARKS[number % 4], color=color, markersize=4)
    for beyond, arrow, at in ((min(low, value) < least, "<", least), (max(high, value) > most, ">", most)):
        if beyond:
            axes.plot([at], [place], arrow, color=color, markersize=5, clip_on=False)


def _silent(rows: Sequence[FairnessRow], measure: str) -> list[int]:
    """Places, from 1, of groups that no model has the measure in."""
    of_groups = zip(*(row.groups for row in rows), strict=True)
    return [
        at for at, group in enumerate(of_groups, start=1) if all(getattr(one, measure) is None for one in group)
    ]


def _left(measure: str) -> float:
    return RATIO_LIMITS[0] if measure == "observed_to_expected" else 0.0


def _scale(axes: Axes, measure: str) -> None:
    if measure == "observed_to_expected":
        axes.set_xscale("log")
        axes.set_xlim(*RATIO_LIMITS)
        axes.set_xticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
        axes.minorticks_off()
        axes.axvline(1, color=INK, linewidth=0.8)
        return
    axes.set_xlim(-0.02, 1.02)
    if measure == "auc":
        axes.axvline(0.5, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)))


def _numbers(row: FairnessRow, group: GroupRow, measure: str) -> dict[str, object]:
    found = getattr(group, measure)
    value, between = (found.value, found.difference) if found else (None, None)
    return {
        "model": row.name,
        "grouping": row.grouping,
        "group": group.group,
        "studies": group.studies,
        "deaths": group.deaths,
        measure: value.value if value else None,
        f"{measure}_low": value.low if value else None,
        f"{measure}_high": value.high if value else None,
        "to_others": between.value if between else None,
        "to_others_low": between.low if between else None,
        "to_others_high": between.high if between else None,
    }
