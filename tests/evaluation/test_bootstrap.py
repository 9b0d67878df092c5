"""The bootstrap against scipy's, against a loop over scikit-learn on the drawn cases, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from pefuse.evaluation import (
    Interval,
    auroc,
    average_precision,
    bca_interval,
    bootstrap_scores,
    delong,
    delong_test,
)

STATISTICS = {"auroc": roc_auc_score, "average_precision": average_precision_score}


def two_scores(
    seed: int = 0, *, cases: int = 150, deaths: int = 25, levels: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and two correlated scores `(2, N)`, the first the better one; `levels` > 0 makes ties."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(cases) < deaths).astype(int)
    common = generator.normal(size=cases)
    pull = np.array([[1.6], [0.7]])
    scores = common + pull * labels + 0.7 * generator.normal(size=(2, cases))
    return labels, np.round(scores * levels) / levels if levels else scores


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("levels", [0, 2])
def test_each_resample_equals_scikit_learn_on_the_drawn_cases(statistic, levels):
    """The draws are repeated from the same seed, and each resample scored the slow way."""
    labels, scores = two_scores(cases=40, deaths=9, levels=levels)
    died, lived = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    generator = np.random.default_rng(7)
    drawn = [generator.integers(0, group.size, size=(group.size, 30)) for group in (died, lived)]

    found = bootstrap_scores(labels, scores, statistic=statistic, resamples=30, seed=7)

    for resample in range(30):
        cases = np.concatenate([died[drawn[0][:, resample]], lived[drawn[1][:, resample]]])
        for row in range(2):
            expected = STATISTICS[statistic](labels[cases], scores[row, cases])
            assert found.resampled[row, resample] == pytest.approx(expected)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("levels", [0, 2])
def test_each_patient_left_out_equals_scikit_learn_without_them(statistic, levels):
    """Patients with one study and with three, some of whom died only after their last."""
    labels, scores = two_scores(cases=40, deaths=9, levels=levels)
    patients = np.random.default_rng(1).permutation(np.repeat(np.arange(20), [1, 3] * 10))

    found = bootstrap_scores(labels, scores, statistic=statistic, clusters=patients, resamples=5)

    with_death = np.unique(patients[labels == 1])
    without = np.setdiff1d(patients, with_death)
    for part, ids in zip(found.left_out, (with_death, without), strict=True):
        assert part.shape == (2, ids.size)
        for row in range(2):
            expected = [
                STATISTICS[statistic](labels[patients != one], scores[row, patients != one]) for one in ids
            ]
            # Patients are numbered in the order in which they appear.
            assert sorted(part[row]) == pytest.approx(sorted(expected))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_each_case_left_out_equals_scikit_learn_without_it(statistic):
    labels, scores = two_scores(cases=40, deaths=9, levels=2)

    found = bootstrap_scores(labels, scores, statistic=statistic, resamples=5)

    left_out = np.concatenate(found.left_out, axis=1)
    for case in range(40):
        kept = np.arange(40) != case
        assert left_out[0, case] == pytest.approx(STATISTICS[statistic](labels[kept], scores[0, kept]))


def test_all_studies_of_a_patient_are_drawn_together():
    """Two survivors of three studies each: a resample holds 0, 3 or 6 of the first one's, never 1 or 2."""
    labels = np.array([1, 1, 0, 0, 0, 0, 0, 0])
    scores = np.array([2.0, 2, 1, 1, 1, 3, 3, 3])  # the first is outranked by both deaths, the second by none
    found = bootstrap_scores(labels, scores, clusters=list("abcccddd"), resamples=200)

    assert set(np.round(found.resampled[0], 12)) == {0.0, 0.5, 1.0}


def test_a_patient_who_died_after_the_second_study_counts_as_one_with_a_death():
    """Strata: two patients with a death, one without; so both classes are always there."""
    labels, patients = [0, 1, 1, 0, 0], [7, 7, 8, 9, 9]
    found = bootstrap_scores(labels, [1, 2, 3, 2, 1], clusters=patients, resamples=50)

    assert [part.shape[1] for part in found.left_out] == [2, 1]
    assert np.isfinite(found.resampled).all()


@pytest.mark.parametrize("statistic", STATISTICS)
def test_bca_interval_equals_scipys_of_the_same_resamples(statistic):
    """scipy draws; we get its resamples and our own closed-form jackknife."""
    labels, scores = two_scores(cases=60, deaths=12)
    died = labels == 1

    def of(deaths: np.ndarray, survivors: np.ndarray) -> float:
        flags = np.repeat([1, 0], [deaths.size, survivors.size])
        # Rounded: scikit-learn's sums differ in the last digit, and scipy asks which resamples tie with ours.
        return round(STATISTICS[statistic](flags, np.concatenate([deaths, survivors])), 12)

    sample = (scores[0, died], scores[0, ~died])
    expected = stats.bootstrap(sample, of, vectorized=False, method="BCa", n_resamples=300, rng=0)

    found = bootstrap_scores(labels, scores[0], statistic=statistic, resamples=5)
    interval = bca_interval(
        float(found.observed[0]), expected.bootstrap_distribution, [part[0] for part in found.left_out]
    )

    assert interval.method == "bca"
    assert (interval.low, interval.high) == pytest.approx(tuple(expected.confidence_interval))


def test_an_interval_from_our_own_draws_agrees_with_scipys():
    labels, scores = two_scores()
    died = labels == 1

    def of(deaths: np.ndarray, survivors: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.mean(deaths[..., :, None] > survivors[..., None, :], axis=(-1, -2))

    expected = stats.bootstrap(
        (scores[0, died], scores[0, ~died]), of, vectorized=True, n_resamples=9999, batch=200, rng=1
    ).confidence_interval
    interval = bootstrap_scores(labels, scores[0]).interval()

    assert (interval.low, interval.high) == pytest.approx(tuple(expected), abs=0.015)


def test_observed_is_the_statistic_of_the_sample():
    labels, scores = two_scores(levels=3)

    assert bootstrap_scores(labels, scores, resamples=1).observed == pytest.approx(
        [auroc(labels, row) for row in scores]
    )
    precision = bootstrap_scores(labels, scores, statistic="average_precision", resamples=1).observed
    assert precision == pytest.approx([average_precision(labels, row) for row in scores])


def test_the_same_seed_draws_the_same_patients_whatever_the_scores():
    labels, scores = two_scores()
    both, second = (
        bootstrap_scores(labels, scores, seed=3, resamples=50),
        bootstrap_scores(labels, scores[1], seed=3, resamples=50),
    )

    assert (both.resampled[1] == second.resampled[0]).all()
    assert (both.resampled != bootstrap_scores(labels, scores, seed=4, resamples=50).resampled).any()


def test_more_resamples_than_fit_a_block_are_all_there(monkeypatch):
    monkeypatch.setattr("pefuse.evaluation.bootstrap.BLOCK_WEIGHTS", 150 * 7)
    labels, scores = two_scores()

    assert bootstrap_scores(labels, scores, resamples=30).resampled.shape == (2, 30)


def test_bootstrap_spread_agrees_with_delong():
    labels, scores = two_scores()
    spread = bootstrap_scores(labels, scores).resampled.std(axis=1)

    assert spread == pytest.approx(np.sqrt(np.diag(delong(labels, scores).covariance)), rel=0.1)


def test_the_difference_of_two_scores_agrees_with_delong():
    labels, scores = two_scores()
    found, test = bootstrap_scores(labels, scores).difference(0, 1), delong_test(labels, *scores)

    assert found.difference == pytest.approx(auroc(labels, scores[0]) - auroc(labels, scores[1]))
    assert found.interval.method == "bca"
    assert found.interval.low == pytest.approx(test.interval.low, abs=0.02)
    assert found.interval.high == pytest.approx(test.interval.high, abs=0.02)
    assert found.p_value < 0.05


def test_studies_copied_as_more_of_the_same_patient_tell_nothing_new():
    """Each study three times: as independent studies the interval shrinks by the root of 3, as patients not."""
    labels, scores = two_scores()
    patients = np.tile(np.arange(labels.size), 3)
    once = bootstrap_scores(labels, scores[0]).interval()
    copied = bootstrap_scores(np.tile(labels, 3), np.tile(scores[0], 3), clusters=patients).interval()
    pretended = bootstrap_scores(np.tile(labels, 3), np.tile(scores[0], 3)).interval()

    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), abs=0.015)
    assert pretended.high - pretended.low == pytest.approx((once.high - once.low) / np.sqrt(3), rel=0.1)


def test_two_equal_scores_do_not_differ():
    labels, scores = two_scores()
    found = bootstrap_scores(labels, np.stack([scores[0], scores[0]]), resamples=200).difference(0, 1)

    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert (found.interval.low, found.interval.high, found.interval.method) == (0.0, 0.0, "percentile")


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_perfect_score_has_resamples_all_equal_and_says_percentile(statistic):
    interval = bootstrap_scores([0, 0, 0, 1, 1], [1, 2, 3, 4, 5], statistic=statistic, resamples=100).interval()

    assert interval == Interval(1.0, 1.0, 0.95, "percentile")


def test_a_constant_score_says_percentile():
    interval = bootstrap_scores([0, 0, 0, 1, 1], np.ones(5), resamples=100).interval()

    assert interval == Interval(0.5, 0.5, 0.95, "percentile")


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_single_death_is_in_every_resample_so_nothing_can_be_told(statistic):
    found = bootstrap_scores([1, 0, 0, 0], [[2, 1, 3, 0], [1, 2, 3, 0]], statistic=statistic, resamples=50)

    assert found.interval().method == "none"
    assert np.isnan(found.interval().low)
    assert np.isnan(found.difference(0, 1).p_value)


def test_a_single_survivor_cannot_be_told_either():
    assert bootstrap_scores([1, 1, 0], [2, 1, 1.5], resamples=20).interval().method == "none"


def test_resamples_all_on_one_side_have_no_bias_that_can_be_told():
    left_out = [np.array([0.1, 0.2, 0.4]), np.array([0.3, 0.2])]
    interval = bca_interval(0.9, np.linspace(0, 0.8, 101), left_out)

    assert interval == Interval(pytest.approx(0.02), pytest.approx(0.78), 0.95, "percentile")


def test_resamples_that_could_not_be_judged_are_left_aside():
    """All patients died in the end: a resample may hold no study with a survivor."""
    labels, patients = [1, 0, 1, 1, 1, 1], [1, 1, 2, 3, 4, 5]
    found = bootstrap_scores(labels, [3, 2, 1, 4, 5, 1.5], clusters=patients, resamples=200)
    lacking = np.isnan(found.resampled[0])

    assert 0 < lacking.sum() < 200
    assert found.difference(0, 0).resamples == 200 - lacking.sum()
    assert found.interval().method == "percentile"  # without patient 1 nothing can be ranked


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resamples": 0}, "At least one resample"),
        ({"statistic": "f1"}, "choose one of auroc, average_precision"),
        ({"clusters": [1, 2]}, "One patient a study"),
        ({"clusters": [1, None, 2]}, "1 of 3 studies have no patient"),
        ({"scores": [1, np.nan, 2]}, "1 of 3 scores are not finite"),
        ({"labels": [0, 0, 0]}, "Both classes are needed"),
    ],
)
def test_what_cannot_be_resampled_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_scores(**{"labels": [0, 1, 1], "scores": [1, 2, 3], "resamples": 5, **change})
