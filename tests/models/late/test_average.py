"""The late average's weights: by hand, against a grid, and at the edges."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pefuse.errors import RunError, UsageError
from pefuse.models.late import WeightedAverage


def log_loss(risk, labels):
    return -np.mean(labels * np.log(risk) + (1 - labels) * np.log(1 - risk))


def test_weights_have_the_least_log_loss_of_all():
    """Against every pair of weights on a fine grid."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200).astype(float)
    first = np.clip(0.5 + 0.25 * (labels - 0.5) + rng.normal(0, 0.2, 200), 0.02, 0.98)
    second = np.clip(0.5 + 0.20 * (labels - 0.5) + rng.normal(0, 0.2, 200), 0.02, 0.98)

    average = WeightedAverage(["a", "b"]).fit(np.stack([first, second], axis=1), labels)

    grid = np.linspace(0, 1, 2001)
    best = grid[np.argmin([log_loss(w * first + (1 - w) * second, labels) for w in grid])]
    assert 0.1 < best < 0.9
    assert average.weights[0] == pytest.approx(best, abs=1e-3)
    assert average.weights.sum() == pytest.approx(1)


def test_averages_risks_and_gives_their_logit():
    """0.25 * 0.2 + 0.75 * 0.6 = 0.5, whose logit is 0."""
    average = WeightedAverage.from_json({"names": ["a", "b"], "weights": [0.25, 0.75]})

    assert average.predict([[0.2, 0.6]]) == pytest.approx([0.5])
    assert average.predict_logit([[0.2, 0.6]]) == pytest.approx([0.0])


def test_a_useless_model_gets_no_weight():
    labels = np.array([0, 1] * 20)
    average = WeightedAverage(["good", "reversed"]).fit(
        np.stack([0.1 + 0.8 * labels, 0.9 - 0.8 * labels], axis=1), labels
    )

    assert average.weights.tolist() == [1.0, 0.0]


def test_models_that_agree_share_their_weight():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 50)
    same = rng.uniform(0.05, 0.95, 50)

    average = WeightedAverage(["a", "b", "c"]).fit(np.stack([same] * 3, axis=1), labels)

    assert average.weights == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
def test_a_single_outcome_leaves_equal_weights(labels):
    average = WeightedAverage(["a", "b"]).fit([[0.1, 0.9], [0.2, 0.8], [0.3, 0.4]], labels)

    assert average.weights.tolist() == [0.5, 0.5]


def test_order_of_cases_and_of_models_does_not_matter():
    rng = np.random.default_rng(2)
    labels, risks = rng.integers(0, 2, 60), rng.uniform(0.05, 0.95, (60, 3))
    order = rng.permutation(60)

    weights = WeightedAverage(["a", "b", "c"]).fit(risks, labels).weights

    np.testing.assert_allclose(
        WeightedAverage(["a", "b", "c"]).fit(risks[order], labels[order]).weights, weights, atol=1e-4
    )
    np.testing.assert_allclose(
        WeightedAverage(["c", "b", "a"]).fit(risks[:, ::-1], labels).weights[::-1], weights, atol=1e-4
    )


def test_risks_of_exactly_0_and_1_are_no_catastrophe():
    """One sure and wrong case costs ln 10⁶, not infinity."""
    average = WeightedAverage(["a", "b"]).fit([[0.0, 0.4], [1.0, 0.6], [1.0, 0.3]], [0, 1, 0])

    assert np.isfinite(average.weights).all()
    assert np.isfinite(average.predict_logit([[0.0, 0.0], [1.0, 1.0]])).all()


def test_a_missing_risk_leaves_its_weight_to_the_others():
    average = WeightedAverage.from_json({"names": ["a", "b", "c"], "weights": [0.5, 0.5, 0.0]})
    nan = np.nan

    risk = average.predict([[0.2, nan, 0.9], [0.2, 0.4, nan], [nan, nan, 0.9], [nan, nan, nan]])

    assert risk[:3] == pytest.approx([0.2, 0.3, 0.9])
    assert np.isnan(risk[3])


def test_fit_uses_only_cases_that_all_models_scored():
    rng = np.random.default_rng(3)
    labels, risks = rng.integers(0, 2, 40).astype(float), rng.uniform(0.05, 0.95, (40, 2))
    with_gaps = np.concatenate([risks, np.column_stack([np.full(30, np.nan), np.full(30, 0.01)])])

    average = WeightedAverage(["a", "b"]).fit(with_gaps, np.concatenate([labels, np.ones(30)]))

    np.testing.assert_allclose(average.weights, WeightedAverage(["a", "b"]).fit(risks, labels).weights)


def test_json_round_trip():
    average = WeightedAverage(["a", "b"]).fit([[0.2, 0.4], [0.9, 0.5], [0.3, 0.1]], [0, 1, 0])

    restored = WeightedAverage.from_json(json.loads(json.dumps(average.to_json())))

    assert restored.names == average.names
    assert np.array_equal(restored.weights, average.weights)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"names": ["a"], "weights": [0.5]},
        {"names": ["a"], "weights": "x"},
        {"names": ["a", "b"], "weights": [2, -1]},
    ],
)
def test_damaged_json_is_refused(content):
    with pytest.raises(RunError, match="damaged"):
        WeightedAverage.from_json(content)


@pytest.mark.parametrize(
    ("risks", "labels", "message"),
    [
        ([[0.1, 0.2, 0.3]], [0], "2 models"),
        ([[0.1, 1.2]], [0], "probabilities, not logits"),
        ([[0.1, 0.2]], [0, 1], "1 labels"),
        ([[0.1, 0.2]], [2], "each 0 or 1"),
    ],
)
def test_misuse_is_refused_in_one_line(risks, labels, message):
    with pytest.raises(UsageError, match=message):
        WeightedAverage(["a", "b"]).fit(risks, labels)
