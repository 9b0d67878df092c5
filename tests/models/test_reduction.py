"""Reducers: fitted on training rows, restored exactly, usable as a layer."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save
from sklearn.decomposition import PCA

from pefuse.errors import UsageError
from pefuse.models.reduction import REDUCERS, PcaConfig, PcaReduction, make_reducer, reducer_from_state

ROWS = np.random.default_rng(0).normal(size=(40, 12)) @ np.random.default_rng(1).normal(size=(12, 12)) + 3


def test_pca_equals_scikit_learn():
    reducer = make_reducer("pca", components=5).fit(ROWS)
    other = PCA(n_components=5, svd_solver="full").fit(ROWS)

    np.testing.assert_allclose(reducer.transform(ROWS[:7] + 1), other.transform(ROWS[:7] + 1), atol=1e-10)


def test_a_share_keeps_as_few_components_as_explain_it():
    reducer = PcaReduction(PcaConfig(components=0.9)).fit(ROWS)

    share = PCA().fit(ROWS).explained_variance_ratio_.cumsum()
    assert reducer.output_dim == int(np.argmax(share >= 0.9)) + 1
    assert PcaReduction(PcaConfig(components=0.9, most=2)).fit(ROWS).output_dim == 2


def test_new_rows_do_not_move_the_fit():
    """Transforming is a function of one row: what else is in the batch does not matter."""
    reducer = make_reducer("pca", components=3).fit(ROWS)

    np.testing.assert_allclose(reducer.transform(ROWS)[4:5], reducer.transform(ROWS[4:5]), atol=1e-12)


@pytest.mark.parametrize("name", REDUCERS)
def test_restored_from_json_and_safetensors_it_gives_the_same_bits(name):
    reducer = make_reducer(name).fit(ROWS)

    config = json.loads(json.dumps(reducer.config_json()))
    restored = reducer_from_state(name, config, load(save(reducer.arrays())))

    assert np.array_equal(restored.transform(ROWS), reducer.transform(ROWS))
    assert restored.output_dim == reducer.output_dim


@pytest.mark.parametrize("name", REDUCERS)
def test_as_a_layer_it_gives_the_same_numbers(name):
    reducer = make_reducer(name).fit(ROWS)

    layer = reducer.as_linear()

    out = layer(torch.tensor(ROWS, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(out, reducer.transform(ROWS), atol=1e-4)
    assert not any(each.requires_grad for each in layer.parameters())


def test_no_reduction_changes_nothing():
    assert np.array_equal(make_reducer("none").fit(ROWS).transform(ROWS), ROWS)


@pytest.mark.parametrize("components", [0, 1.5, -0.1, 1.0])
def test_components_are_a_number_or_a_share(components):
    with pytest.raises(UsageError, match="components is"):
        PcaConfig(components=components)


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda: make_reducer("umap"), "no reduction named 'umap'.*none, pca"),
        (lambda: make_reducer("pca", component=3), "component"),
        (lambda: make_reducer("pca", components=13).fit(ROWS), "at most 12"),
        (lambda: make_reducer("pca").transform(ROWS), "not fitted"),
        (lambda: make_reducer("none").transform(ROWS), "not fitted"),
        (lambda: make_reducer("pca").fit(ROWS).transform(ROWS[:, :5]), "12 columns"),
        (lambda: make_reducer("pca").fit(np.full((3, 2), np.nan)), "3 of 3 rows"),
    ],
)
def test_misuse_is_refused_in_one_line(do, message):
    with pytest.raises(UsageError, match=message):
        do()
