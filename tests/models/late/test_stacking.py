"""Second models: their inputs by hand, and that they read risks as they were trained to."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pefuse.errors import RunError, UsageError
from pefuse.models.boosting import BoostedTrees, BoostedTreesConfig
from pefuse.models.late import StackedTabNet, StackedTrees, StackingInputs
from pefuse.models.tabnet import TabNet, TabNetConfig

RISKS = np.random.default_rng(0).random((40, 2))
LABELS = (RISKS.sum(axis=1) > 1.2).astype(float)


def test_inputs_are_standardised_with_the_training_cases():
    """Risks 0.2 and 0.6 have mean 0.4 and deviation 0.2; 1.0 is three deviations above."""
    inputs = StackingInputs.fit("risk", [[0.2], [0.6]], models=1)

    np.testing.assert_allclose(inputs([[0.2], [0.6], [1.0]]), [[-1], [1], [3]], rtol=1e-6)


def test_logits_are_kept_finite_and_in_order():
    inputs = StackingInputs.fit("logit", RISKS, models=2)
    rows = inputs([[0.0, 1.0], [0.5, 0.5]])

    assert np.isfinite(rows).all()
    assert rows[0, 0] < rows[1, 0]
    assert rows[0, 1] > rows[1, 1]


def test_a_model_that_always_says_the_same_is_only_centred():
    assert StackingInputs.fit("risk", [[0.3], [0.3]], models=1)([[0.3]]).tolist() == [[0.0]]


def test_inputs_come_back_from_json():
    inputs = StackingInputs.fit("logit", RISKS, models=2)
    assert StackingInputs.from_json(json.loads(json.dumps(inputs.to_json()))) == inputs


@pytest.mark.parametrize(
    "content",
    [{}, {"scale": "rank", "mean": [0], "deviation": [1]}, {"scale": "risk", "mean": [0], "deviation": [0]}],
)
def test_damaged_inputs_are_refused(content):
    with pytest.raises(RunError, match="damaged"):
        StackingInputs.from_json(content)


def test_trees_and_tabnet_answer_on_inputs_made_of_the_risks():
    inputs = StackingInputs.fit("logit", RISKS, models=2)
    trees = BoostedTrees(BoostedTreesConfig(rounds=20, threads=1)).fit(inputs(RISKS), LABELS)
    network = TabNet(TabNetConfig(input_dim=2, n_d=4)).eval()
    names = ("scan", "record")

    grown = StackedTrees(names=names, inputs=inputs, trees=trees).predict_logit(RISKS)
    net = StackedTabNet(names=names, inputs=inputs, network=network, logit_shift=0.5).predict_logit(RISKS)

    np.testing.assert_array_equal(grown, trees.predict_logit(inputs(RISKS)))
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs(RISKS))).logit.double().numpy() - 0.5
    np.testing.assert_allclose(net, expected)


def test_a_missing_risk_is_refused_with_what_to_do():
    inputs = StackingInputs.fit("risk", RISKS, models=2)
    trees = BoostedTrees(BoostedTreesConfig(rounds=2, threads=1)).fit(inputs(RISKS), LABELS)
    stacked = StackedTrees(names=("scan", "record"), inputs=inputs, trees=trees)

    with pytest.raises(UsageError, match=r"1 of 2 cases lack a risk of scan or record.*late-average"):
        stacked.predict_logit([[0.1, np.nan], [0.1, 0.2]])
