"""One number a study from several folds and seeds, and the threshold chosen for it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pefuse.evaluation import (
    auroc,
    brier_score,
    can_be_ranked,
    delong_test,
    ensemble_gain,
    mean_by_study,
    validation_threshold,
)


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


def members(count: int = 5, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of 60 patients and risks of models that share a signal and have noise of their own."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([1, 0], [12, 48])
    logit = 1.2 * labels - 1.5 + generator.normal(size=60) + generator.normal(size=(count, 60))
    return labels, 1 / (1 + np.exp(-logit))


def test_ensemble_against_single_models_by_hand():
    """The mean's AUC and Brier score minus the mean of the members'."""
    labels, risks = members()
    gain = ensemble_gain(labels, risks)
    mean = risks.mean(axis=0)

    assert gain.members == 5
    assert gain.auc == pytest.approx(auroc(labels, mean) - np.mean([auroc(labels, one) for one in risks]))
    single = np.mean([brier_score(labels, one) for one in risks])
    assert gain.brier == pytest.approx(brier_score(labels, mean) - single)


def test_brier_gain_is_the_members_variance():
    """Mean over patients of the variance between members, with its sign turned."""
    labels, risks = members()

    assert ensemble_gain(labels, risks).brier == pytest.approx(-risks.var(axis=0).mean())


def test_interval_is_that_of_a_bootstrap_of_patients():
    labels, risks = members()
    gain = ensemble_gain(labels, risks)
    generator = np.random.default_rng(1)
    drawn = []
    for _ in range(1000):
        of = np.concatenate([generator.integers(0, 12, 12), generator.integers(12, 60, 48)])
        drawn.append(
            auroc(labels[of], risks[:, of].mean(axis=0)) - np.mean([auroc(labels[of], one[of]) for one in risks])
        )

    assert (gain.auc_interval.high - gain.auc_interval.low) / 2 == pytest.approx(1.96 * np.std(drawn), rel=0.15)


def test_one_member_gains_nothing():
    """Compared with itself by DeLong: 0, and nothing that varies."""
    labels, risks = members(1)
    gain = ensemble_gain(labels, risks[0])

    assert (gain.members, gain.auc, gain.brier) == (1, 0.0, 0.0)
    assert np.isnan([gain.auc_interval.low, gain.brier_interval.high]).all()


def test_two_members_of_which_one_is_constant_are_half_a_paired_test():
    """The mean ranks as the other one does, so the gain is half of AUC(other) - 1/2, and so is its interval."""
    labels, risks = members(1)
    gain = ensemble_gain(labels, np.vstack([risks, np.full(60, 0.3)]))
    paired = delong_test(labels, risks[0], np.full(60, 0.3))

    assert gain.auc == pytest.approx(paired.difference / 2)
    assert gain.auc_interval.low == pytest.approx(paired.interval.low / 2)


def test_ensembles_need_both_outcomes_and_known_risks():
    with pytest.raises(ValueError, match="0 of 2 cases"):
        ensemble_gain([0, 0], [[0.1, 0.2]])
    with pytest.raises(ValueError, match="not finite"):
        ensemble_gain([0, 1], [[0.1, np.nan]])
