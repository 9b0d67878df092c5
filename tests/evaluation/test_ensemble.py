"""One number a study from several folds and seeds, and the threshold chosen for it."""

from __future__ import annotations

import pandas as pd
import pytest

from pefuse.evaluation import can_be_ranked, mean_by_study, validation_threshold


def test_a_study_has_the_mean_of_its_rows():
    """Of b (0.2 + 0.4) / 2; a is told once."""
    rows = pd.DataFrame({"study_id": ["b", "a", "b"], "label": [1, 0, 1], "risk": [0.2, 0.1, 0.4]})
    means = mean_by_study(rows, "risk")

    assert list(means.index) == ["a", "b"]
    assert list(means["label"]) == [0, 1]
    assert list(means["risk"]) == [0.1, pytest.approx(0.3)]


def test_new_patients_have_no_label():
    means = mean_by_study(pd.DataFrame({"study_id": ["a", "a"], "risk": [0.0, 1.0]}), "risk")

    assert list(means.columns) == ["risk"]
    assert means.at["a", "risk"] == 0.5


def test_equal_votes_tie_whatever_their_order():
    """Three members' shares of yes, with none and all kept finite: each study's mean is one half."""
    none, half, every = 1e-6, 0.5, 1 - 1e-6
    shares = {"a": (none, half, every), "b": (every, none, half), "c": (half, half, half)}
    rows = pd.DataFrame([{"study_id": study, "risk": share} for study, own in shares.items() for share in own])

    assert list(mean_by_study(rows, "risk")["risk"]) == [0.5, 0.5, 0.5]


def test_the_threshold_separates_as_well_as_it_can():
    """From 0.6 on, after 0.5, both deaths and no survivor are called."""
    validation = pd.DataFrame({"label": [0, 0, 1, 1], "score": [0.1, 0.5, 0.6, 0.9]})

    assert validation_threshold(validation) == 0.55


@pytest.mark.parametrize(("labels", "scores"), [([0, 0], [0.1, 0.2]), ([0, 1], [0.1, None]), ([], [])])
def test_there_is_none_where_studies_cannot_be_ranked(labels, scores):
    validation = pd.DataFrame({"label": labels, "score": scores}, dtype=float)

    assert not can_be_ranked(validation)
    assert validation_threshold(validation) is None
