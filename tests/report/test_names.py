"""Names and order of models, and the paper's table."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pefuse.evaluation import operating_point
from pefuse.report.names import (
    model_name,
    published_table1,
    published_table2,
    published_table3,
    sorted_models,
    variant_label,
)


def test_variants_stand_behind_their_base_and_strangers_last():
    names = ["my-net", "mbt", "intermediate-sanet-pca", "late-tabnet", "intermediate-sanet", "tabnet", "pesi"]

    assert sorted_models(names) == [
        *("pesi", "tabnet", "late-tabnet", "intermediate-sanet", "intermediate-sanet-pca", "mbt", "my-net")
    ]


def test_labels_are_readable():
    assert model_name("intermediate-sanet-pca").label == "Intermediate SANet, PCA"
    assert model_name("late-tabnet").label == "Late TabNet"
    assert model_name("early-sparse-pca-fc-dim256").label == "Early fusion, sparse PCA, FC layer, d = 256"
    assert variant_label("none") == "no reduction"
    assert model_name("my-net").label == "my-net"


@pytest.mark.parametrize("model", list(published_table1().index))
def test_published_rates_follow_from_the_published_counts(model):
    """Rounded or cut to two decimals, as the paper prints them."""
    row = published_table1().loc[model]
    counts = [int(row[count]) for count in ("tp", "fn", "fp", "tn")]
    point = operating_point(np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts), 1)

    assert sum(counts) == 72
    for rate in ("accuracy", "specificity", "sensitivity", "ppv", "npv"):
        value = getattr(point, rate)
        assert row[rate] in (round(value, 2), math.floor(100 * value) / 100)


def test_the_published_tables_2_and_3_are_those_of_the_paper():
    """A few cells of each, and sane intervals throughout."""
    by_group, parts = published_table2(), published_table3()

    assert by_group["auc"]["spesi", "70–95"] == 0.60
    assert by_group["auc"]["intermediate-sanet", "male"] == 0.98
    assert len(by_group) == 15
    assert parts["auc"].to_dict() == {
        "fc": 0.90, "cnn1d": 0.91, "xgboost": 0.92, "none": 0.92, "sparse-pca": 0.94, "nmf": 0.94, "mlle": 0.96,
        "spectral": 0.93, "bilinear": 0.95, "dim1024": 0.95, "dim256": 0.96,
    }  # fmt: skip
    assert set(parts.index[parts["significant"] == 1]) == {"fc", "cnn1d", "xgboost", "none", "spectral"}
    for table in (by_group, parts):
        assert (table["auc_low"] <= table["auc"]).all()
        assert (table["auc"] <= table["auc_high"]).all()
