"""Names and order of models, and the paper's table."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pefuse.evaluation import operating_point
from pefuse.report.names import model_name, published, sorted_models


def test_variants_stand_behind_their_base_and_strangers_last():
    names = ["my-net", "mbt", "intermediate-sanet-pca", "late-tabnet", "intermediate-sanet", "tabnet", "pesi"]

    assert sorted_models(names) == [
        *("pesi", "tabnet", "late-tabnet", "intermediate-sanet", "intermediate-sanet-pca", "mbt", "my-net")
    ]


def test_labels_are_readable():
    assert model_name("intermediate-sanet-pca").label == "Intermediate SANet, PCA"
    assert model_name("late-tabnet").label == "Late TabNet"
    assert model_name("my-net").label == "my-net"


@pytest.mark.parametrize("model", list(published().index))
def test_published_rates_follow_from_the_published_counts(model):
    """Rounded or cut to two decimals, as the paper prints them."""
    row = published().loc[model]
    counts = [int(row[count]) for count in ("tp", "fn", "fp", "tn")]
    point = operating_point(np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts), 1)

    assert sum(counts) == 72
    for rate in ("accuracy", "specificity", "sensitivity", "ppv", "npv"):
        value = getattr(point, rate)
        assert row[rate] in (round(value, 2), math.floor(100 * value) / 100)
