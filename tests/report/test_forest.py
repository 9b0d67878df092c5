"""Forest plots: what lies beyond the axis is pointed at."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from pefuse.report.estimates import Estimate
from pefuse.report.evidence import GroupRow
from pefuse.report.evidence.fairness import GroupMeasures
from pefuse.report.figures.forest import draw_mark


@pytest.mark.parametrize(
    ("value", "low", "high", "marks"),
    [
        (1.0, 0.5, 2.0, {"o": 1.0}),
        (2.0, 0.5, 8.0, {"o": 2.0, ">": 5.0}),
        (0.0, 0.0, 1.5, {"<": 0.2}),  # no death: a logarithm has no place for it
        (7.0, 3.0, 20.0, {">": 5.0}),
        (1.0, 0.1, 9.0, {"o": 1.0, "<": 0.2, ">": 5.0}),
        (5.0, 0.2, 5.0, {"o": 5.0}),  # on the edge is not beyond it
    ],
)
def test_a_ratio_beyond_the_axis_ends_in_an_arrow(value, low, high, marks):
    """The axis runs from 0.2 to 5, and the line of an interval stays within it."""
    axes = Figure().add_subplot()
    ratio = GroupMeasures(value=Estimate(value=value, low=low, high=high), difference=None)
    group = GroupRow(
        group="male",
        studies=40,
        deaths=5,
        auc=None,
        sensitivity=None,
        specificity=None,
        observed_to_expected=ratio,
    )
    draw_mark(axes, 1.0, group, "observed_to_expected", 0)

    interval, *drawn = axes.lines
    assert list(interval.get_xdata()) == [max(low, 0.2), min(high, 5.0)]
    assert {line.get_marker(): float(line.get_xdata()[0]) for line in drawn} == marks


def test_shares_have_no_arrows():
    """An AUC of 0 to 1 fits its axis."""
    axes = Figure().add_subplot()
    auc = GroupMeasures(value=Estimate(value=0.0, low=0.0, high=1.0), difference=None)
    group = GroupRow(
        group="male", studies=40, deaths=5, auc=auc, sensitivity=None, specificity=None, observed_to_expected=None
    )
    draw_mark(axes, 1.0, group, "auc", 1)

    assert [line.get_marker() for line in axes.lines] == ["None", "s"]
