"""Subgroups: their AUCs by hand, their borders, and silence where they are too small."""

from __future__ import annotations

import numpy as np
import pytest

from pefuse.evaluation import age_groups, auroc, delong_interval, subgroup_aucs


def test_each_subgroup_is_judged_alone():
    random = np.random.default_rng(0)
    labels = np.tile([1, 0, 0], 30)
    scores = random.normal(size=90) + labels
    groups = np.where(np.arange(90) < 45, "male", "female").tolist()

    found = {one.group: one for one in subgroup_aucs(labels, scores, groups)}

    men = slice(0, 45)
    assert found["male"].auc == auroc(labels[men], scores[men])
    assert found["male"].interval == delong_interval(labels[men], scores[men])
    assert (found["male"].cases, found["male"].deaths) == (45, 15)
    assert list(found) == ["female", "male"]


@pytest.mark.parametrize(
    ("deaths", "survivors", "enough"), [(5, 5, True), (4, 60, False), (60, 4, False), (0, 9, False)]
)
def test_fewer_than_five_of_an_outcome_are_too_few_to_say(deaths, survivors, enough):
    labels = np.repeat([1, 0], [deaths, survivors])
    (found,) = subgroup_aucs(labels, np.arange(len(labels)), ["all"] * len(labels))

    assert found.enough == enough
    assert (found.auc is None) == (found.interval is None) == (not enough)
    assert (found.cases, found.deaths) == (deaths + survivors, deaths)


def test_an_empty_subgroup_that_was_asked_for_is_told():
    (first, second) = subgroup_aucs([1, 0], [0.9, 0.1], ["", "b"], order=["a", "b"])
    assert (first.group, first.cases, first.enough) == ("a", 0, False)
    assert second.cases == 1


def test_age_groups_hold_their_lower_edge_and_not_their_upper():
    """49.9 is below 50; 50 and 69.9 lie between; 70, 95 and 101 are the last group; nobody knows NaN."""
    assert age_groups([0, 49.9, 50, 69.9, 70, 95, 101, np.nan]) == [
        "0–50", "0–50", "50–70", "50–70", "70–95", "70–95", "70–95", "",
    ]  # fmt: skip
    assert age_groups([30], edges=(0, 18, 65)) == ["18–65"]
