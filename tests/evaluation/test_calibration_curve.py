"""The smoothed curve against a direct fit and patsy's spline, its band by simulation, and ICI against calzone."""

from __future__ import annotations

import numpy as np
import pytest
from patsy import dmatrix
from scipy.optimize import minimize

from pefuse.evaluation import calibration_curve, calibration_distances, wilson_interval
from pefuse.evaluation.calibration_curve import restricted_cubic_spline


def logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def drawn(cases: int, *, seed: int = 0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of well calibrated risks, or of risks that are `shift` too low on the logit scale."""
    generator = np.random.default_rng(seed)
    logit = generator.normal(-2, 1.2, size=cases)
    return (generator.random(cases) < logistic(logit + shift)).astype(int), logistic(logit)


def by_formula() -> tuple[np.ndarray, np.ndarray]:
    """120 cases, 42 deaths, all risks distinct: the same everywhere, without a generator."""
    case = np.arange(120)
    risk = ((37 * case) % 121 + 1) / 123
    return (((53 * case) % 100) / 100 < risk**2).astype(int), risk


def test_spline_spans_the_same_curves_as_patsys():
    """Natural cubic splines with the same knots: each column of ours is a combination of theirs, and as many."""
    values = np.random.default_rng(0).normal(size=200)
    knots = np.quantile(values, [0.1, 0.5, 0.9])

    ours = np.column_stack([np.ones(200), restricted_cubic_spline(values, knots)])
    inside = (values >= knots[0]) & (values <= knots[-1])
    theirs = np.asarray(
        dmatrix("cr(x, knots=(k,), lower_bound=a, upper_bound=b) - 1",
                {"x": values[inside], "k": knots[1], "a": knots[0], "b": knots[2]})
    )  # fmt: skip

    again = theirs @ np.linalg.lstsq(theirs, ours[inside], rcond=None)[0]
    np.testing.assert_allclose(again, ours[inside], atol=1e-8)
    assert np.linalg.matrix_rank(theirs) == np.linalg.matrix_rank(ours) == 3


def test_spline_is_straight_outside_its_knots():
    columns = restricted_cubic_spline(np.array([-5.0, -4.0, -3.0, 4.0, 5.0, 6.0]), np.array([-1.0, 0.0, 1.5]))

    np.testing.assert_allclose(np.diff(columns[:3], 2, axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.diff(columns[3:], 2, axis=0), 0, atol=1e-9)


def test_curve_equals_a_direct_maximisation_with_its_delta_method_band():
    labels, risk = by_formula()
    logit = np.log(risk / (1 - risk))
    knots = np.quantile(logit, [0.1, 0.5, 0.9])
    design = np.column_stack([np.ones(120), restricted_cubic_spline(logit, knots)])

    best = minimize(lambda b: np.logaddexp(0, design @ b).sum() - labels @ design @ b, np.zeros(3), tol=1e-12).x
    share = logistic(design @ best)
    covariance = np.linalg.inv((design * (share * (1 - share))[:, None]).T @ design)
    error = np.sqrt(np.einsum("ni,ij,nj->n", design, covariance, design))
    order = np.argsort(risk)
    curve = calibration_curve(labels, risk, points=121)

    assert curve.method == "spline"
    np.testing.assert_allclose(
        np.interp(risk[order][5:-5], curve.risk, curve.share), share[order][5:-5], atol=2e-3
    )
    upper = logistic(design @ best + 1.959964 * error)
    np.testing.assert_allclose(np.interp(risk[order][5:-5], curve.risk, curve.high), upper[order][5:-5], atol=4e-3)


def test_curve_of_true_risks_is_the_diagonal_and_of_low_ones_lies_above():
    true, low = calibration_curve(*drawn(20_000)), calibration_curve(*drawn(20_000, shift=1.0))
    common = true.risk < 0.5

    assert np.abs(true.share - true.risk)[common].max() < 0.03
    middle = (low.risk > 0.1) & (low.risk < 0.5)
    assert (low.low > low.risk)[middle].all()


def test_band_holds_the_truth_as_often_as_it_says():
    """200 samples of 300 true risks, looked at where the risk is 0.1: 95 % of bands hold it, give or take 3 %."""
    held = []
    for seed in range(200):
        curve = calibration_curve(*drawn(300, seed=seed))
        place = int(np.abs(curve.risk - 0.1).argmin())
        held.append(curve.low[place] <= curve.risk[place] <= curve.high[place])

    assert 0.915 <= np.mean(held) <= 0.985


def test_few_distinct_risks_are_shown_as_they_are():
    """1 of 3 and 2 of 2 died."""
    curve = calibration_curve([0, 1, 0, 1, 1], [0.1, 0.1, 0.1, 0.4, 0.4])

    assert curve.method == "shares"
    np.testing.assert_allclose(curve.risk, [0.1, 0.4])
    np.testing.assert_allclose(curve.share, [1 / 3, 1.0])
    assert curve.low[0] == pytest.approx(wilson_interval(1, 3).low)


def test_risks_that_separate_the_outcomes_give_the_shares_of_fifths():
    labels, risk = np.repeat([0, 1], [20, 10]), np.linspace(0.02, 0.9, 30)
    curve = calibration_curve(labels, risk)

    assert curve.method == "shares"
    assert curve.share[0] == 0
    assert curve.share[-1] == 1
    assert curve.low.min() >= 0
    assert curve.high.max() <= 1


def test_ties_leave_a_line_where_they_bear_no_spline():
    """45 of 60 share one risk, so all quantiles that knots stand on fall together."""
    generator = np.random.default_rng(1)
    risk = np.concatenate([np.full(57, 0.05), np.linspace(0.1, 0.9, 9)])
    labels = generator.integers(0, 2, size=66)
    curve = calibration_curve(labels, risk)

    assert curve.method == "line"
    assert np.isfinite([curve.share, curve.low, curve.high]).all()


def test_a_constant_risk_has_one_point():
    curve = calibration_curve([0, 1, 0, 0], [0.2] * 4)

    assert (curve.risk.tolist(), curve.share.tolist()) == ([0.2], [0.25])


def test_risks_of_0_and_1_are_allowed():
    labels, risk = by_formula()
    risk = np.where(risk > 0.9, 1.0, np.where(risk < 0.1, 0.0, risk))

    assert np.isfinite(calibration_curve(labels, risk).share).all()


@pytest.mark.parametrize(
    ("span", "ici", "e50", "e90", "emax"),
    [
        (0.50, 0.14205690192224657, 0.14145146847244083, 0.23763016097592352, 0.2695733614923398),
        (0.75, 0.13393463904520606, 0.13632089709610173, 0.2096494954429954, 0.21481309314149574),
    ],
)
def test_distances_equal_calzones(span, ici, e50, e90, emax):
    """calzone-tool 0.1.0: `lowess_regression_analysis(died, [1 - risk, risk], span=span, delta=0)`."""
    found = calibration_distances(*by_formula(), span=span)

    assert (found.ici, found.e50, found.e90, found.emax) == pytest.approx((ici, e50, e90, emax), abs=1e-9)


def test_distances_by_hand_where_risks_are_few():
    """Risks 0.1 (1 of 4 died) and 0.4 (1 of 2): distances 0.15 (four times) and 0.1 (twice)."""
    found = calibration_distances([1, 0, 0, 0, 1, 0], [0.1] * 4 + [0.4] * 2)

    assert (found.ici, found.e50, found.emax) == pytest.approx((0.8 / 6, 0.15, 0.15))


def test_distances_of_many_cases_come_from_a_grid_close_to_the_full_answer():
    labels, risk = drawn(1500, shift=0.5)

    assert calibration_distances(labels, risk).ici == pytest.approx(exact_ici(labels, risk), abs=2e-4)


def exact_ici(labels: np.ndarray, risk: np.ndarray) -> float:
    from statsmodels.nonparametric.smoothers_lowess import lowess

    return float(np.abs(lowess(labels, risk, frac=0.75, it=0, return_sorted=False) - risk).mean())


def test_distances_survive_windows_full_of_ties():
    risk = np.concatenate([np.full(45, 0.05), np.linspace(0.1, 0.9, 15)])
    labels = np.random.default_rng(0).integers(0, 2, size=60)

    assert 0 <= calibration_distances(labels, risk).ici <= 1


@pytest.mark.parametrize("judge", [calibration_curve, calibration_distances])
def test_one_class_and_unknown_risks_are_refused(judge):
    with pytest.raises(ValueError, match="0 of 2 cases"):
        judge([0, 0], [0.1, 0.2])
    with pytest.raises(ValueError, match="not finite"):
        judge([0, 1], [0.1, np.nan])
