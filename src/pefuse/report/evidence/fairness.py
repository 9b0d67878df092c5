"""Fairness: the models of Table 2 and the reference in each group of patients, and the largest gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from pefuse.evaluation import GroupMeasure, GroupPerformance, group_performance, largest_gap, validation_threshold
from pefuse.report.aggregation import ModelScores
from pefuse.report.estimates import Estimate, Frozen, estimate
from pefuse.report.evidence.grouping import Grouping
from pefuse.report.names import model_name

__all__ = ["FairnessRow", "GroupGap", "GroupMeasures", "GroupRow", "fairness_rows"]

GapMeasure = Literal["auc", "sensitivity", "specificity", "observed_to_expected"]
GAPS: tuple[GapMeasure, ...] = ("auc", "sensitivity", "specificity", "observed_to_expected")


class GroupMeasures(Frozen):
    """A measure in a group and its difference to all others; None = too few to say."""

    value: Estimate
    difference: Estimate | None


class GroupRow(Frozen):
    """A model in one group of the test studies."""

    group: str
    studies: int
    deaths: int
    auc: GroupMeasures | None
    sensitivity: GroupMeasures | None
    specificity: GroupMeasures | None
    observed_to_expected: GroupMeasures | None


class GroupGap(Frozen):
    """The two groups furthest apart in a measure."""

    measure: GapMeasure
    higher: str
    lower: str
    difference: Estimate


class FairnessRow(Frozen):
    """A model over one grouping; `unknown` studies belong to no group."""

    name: str
    label: str
    grouping: str
    grouping_label: str
    asked: bool
    unknown: int
    groups: tuple[GroupRow, ...]
    gaps: tuple[GroupGap, ...]


def fairness_rows(scores: Sequence[ModelScores], groupings: Sequence[Grouping]) -> tuple[FairnessRow, ...]:
    """Each of these models over each grouping, at the Youden threshold of its validation studies."""
    return tuple(_row(one, grouping) for one in scores for grouping in groupings)


def _row(scores: ModelScores, grouping: Grouping) -> FairnessRow:
    test = scores.test
    names = grouping.of.reindex(test.index).fillna("").astype(str).tolist()
    found = group_performance(
        test["label"].to_numpy(dtype=np.float64),
        test["score"].to_numpy(dtype=np.float64),
        test["risk"].to_numpy(dtype=np.float64),
        names,
        threshold=validation_threshold(scores.validation),
        order=grouping.order,
    )
    gaps = [gap for measure in GAPS if (gap := largest_gap(found, measure)) is not None]
    return FairnessRow(
        name=scores.name,
        label=model_name(scores.name).label,
        grouping=grouping.name,
        grouping_label=grouping.label,
        asked=grouping.asked,
        unknown=sum(not name for name in names),
        groups=tuple(_group(one) for one in found),
        gaps=tuple(
            GroupGap(
                measure=gap.measure,
                higher=gap.higher,
                lower=gap.lower,
                difference=estimate(gap.difference, gap.interval),
            )
            for gap in gaps
        ),
    )


def _group(one: GroupPerformance) -> GroupRow:
    return GroupRow(
        group=one.group,
        studies=one.cases,
        deaths=one.deaths,
        auc=_measures(one.auc),
        sensitivity=_measures(one.sensitivity),
        specificity=_measures(one.specificity),
        observed_to_expected=_measures(one.observed_to_expected),
    )


def _measures(measure: GroupMeasure | None) -> GroupMeasures | None:
    if measure is None:
        return None
    difference = measure.difference
    return GroupMeasures(
        value=estimate(measure.value, measure.interval),
        difference=estimate(difference.value, difference.interval) if difference is not None else None,
    )
