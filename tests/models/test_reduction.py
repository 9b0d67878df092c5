"""Reductions: fitted on training rows, then a function of each row; like scikit-learn's, where it has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import NMF, PCA, SparsePCA
from sklearn.manifold import LocallyLinearEmbedding

from pefuse.errors import UsageError
from pefuse.models.reduction import REDUCTIONS, Reduction, ReductionConfig

ROWS = np.random.default_rng(0).normal(size=(60, 12)) @ np.random.default_rng(1).normal(size=(12, 12)) + 3
NEW = ROWS[:7] + np.random.default_rng(2).normal(size=(7, 12))


def fitted(name: str, rows=ROWS, **options) -> Reduction:
    config = ReductionConfig(**{"components": 4, "neighbours": 10, **options})
    return REDUCTIONS[name](config, input_dim=rows.shape[1], rows=len(rows)).fit(rows)


def reduced(reduction: Reduction, rows) -> np.ndarray:
    return reduction(torch.tensor(rows, dtype=torch.float32)).numpy()


def test_pca_equals_scikit_learn():
    other = PCA(n_components=4, svd_solver="full").fit(ROWS)
    np.testing.assert_allclose(reduced(fitted("pca"), NEW), other.transform(NEW), atol=1e-4)


def test_sparse_pca_equals_scikit_learn_and_is_sparse():
    other = SparsePCA(n_components=4, alpha=3.0, method="cd", random_state=0).fit(ROWS)

    np.testing.assert_allclose(reduced(fitted("sparse-pca", sparsity=3.0), NEW), other.transform(NEW), atol=1e-4)
    assert (other.components_ == 0).any()


def test_nmf_equals_scikit_learn_up_to_each_part_s_scale():
    """Its transform stops early, ours solves exactly: so ours explains new rows at least as well."""
    lowest = ROWS.min(axis=0)
    other = NMF(n_components=4, init="nndsvda", max_iter=2000, random_state=0, tol=1e-4).fit(ROWS - lowest)
    reduction = fitted("nmf")
    above = (NEW - lowest).clip(min=0)

    ours = reduced(reduction, NEW) @ reduction.parts.numpy()
    theirs = other.transform(above) @ other.components_
    np.testing.assert_allclose(ours, theirs, atol=0.05 * above.std())
    assert np.square(above - ours).sum() <= np.square(above - theirs).sum() * (1 + 1e-6)
    assert (reduced(reduction, NEW) >= 0).all()


def test_nmf_counts_a_new_number_below_the_training_minimum_as_at_it():
    reduction = fitted("nmf")
    low, lower = NEW.copy(), NEW.copy()
    low[:, 3], lower[:, 3] = ROWS[:, 3].min(), ROWS[:, 3].min() - 100

    np.testing.assert_array_equal(reduced(reduction, low), reduced(reduction, lower))


def test_nmf_without_its_shift_refuses_a_negative_number_in_training_and_later():
    positive = np.abs(ROWS)
    positive[5, 2] = -1
    with pytest.raises(UsageError, match=r"1 of 60 rows hold a negative number.*shift"):
        fitted("nmf", positive, shift=False)
    with pytest.raises(UsageError, match="7 of 7 rows"):
        reduced(fitted("nmf", np.abs(ROWS), shift=False), -np.abs(NEW))


def test_mlle_places_new_rows_as_scikit_learn_does():
    other = LocallyLinearEmbedding(n_neighbors=10, n_components=4, method="modified", eigen_solver="dense").fit(
        ROWS
    )
    expected = other.transform(NEW) / other.embedding_.std(axis=0)

    ours = reduced(fitted("mlle"), NEW)

    signs = np.sign((ours * expected).sum(axis=0))  # an eigenvector's sign is chance
    np.testing.assert_allclose(ours * signs, expected, atol=1e-3)


def test_spectral_extension_gives_fitted_rows_the_coordinates_they_were_fitted_with():
    reduction = fitted("spectral")

    np.testing.assert_allclose(reduced(reduction, ROWS), reduction.coordinates.numpy(), atol=1e-4)


def test_spectral_coordinates_solve_the_random_walk_s_eigenproblem():
    """D⁻¹W f = μ f, written out; and the first of them tells two separate clouds apart."""
    clouds = np.concatenate([ROWS[:20], ROWS[20:40] + 20])
    reduction = fitted("spectral", clouds)
    squared = ((clouds[:, None] - clouds[None]) ** 2).sum(axis=2)
    similarity = np.exp(-squared / np.median(squared[np.triu_indices(40, 1)]))
    walk = similarity / similarity.sum(axis=1, keepdims=True)
    f = reduction.coordinates.numpy()

    np.testing.assert_allclose(walk @ f, f * reduction.eigenvalues.numpy(), atol=1e-5)
    assert len(np.unique(np.sign(f[:20, 0]))) == 1
    assert np.sign(f[0, 0]) != np.sign(f[-1, 0])


def test_spectral_places_a_row_between_its_neighbours():
    reduction = fitted("spectral")
    near = ROWS[:5] + 1e-3

    np.testing.assert_allclose(reduced(reduction, near), reduced(reduction, ROWS[:5]), atol=1e-2)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_row_s_answer_is_its_own(name):
    """What else is in the batch does not matter, and fitting twice gives the same bits."""
    reduction = fitted(name)

    np.testing.assert_allclose(reduced(reduction, NEW)[4:5], reduced(reduction, NEW[4:5]), atol=1e-5)
    np.testing.assert_array_equal(reduced(reduction, NEW), reduced(fitted(name), NEW))
    assert reduced(reduction, NEW[:0]).shape == (0, 4)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_only_linear_ones_pass_a_gradient_and_none_has_weights_to_train(name):
    reduction = fitted(name)
    x = torch.tensor(NEW, dtype=torch.float32, requires_grad=True)

    assert reduction.passes_gradient == (name in ("pca", "sparse-pca"))
    assert reduction(x).requires_grad == reduction.passes_gradient
    assert not list(reduction.parameters())


@pytest.mark.parametrize("name", REDUCTIONS)
def test_its_state_is_all_of_it(name):
    reduction = fitted(name)
    restored = REDUCTIONS[name](reduction.config, input_dim=12, rows=60)
    restored.load_state_dict(reduction.state_dict())

    np.testing.assert_array_equal(reduced(restored, NEW), reduced(reduction, NEW))


@pytest.mark.parametrize("name", REDUCTIONS)
def test_forgetting_to_fit_is_told(name):
    with pytest.raises(UsageError, match="is not fitted"):
        reduced(REDUCTIONS[name](ReductionConfig(components=2), input_dim=12, rows=60), NEW)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("rows", [ROWS[:3], ROWS[:, :3]])
def test_more_components_than_cases_or_columns_are_refused(name, rows):
    with pytest.raises(UsageError, match=r"4 components are wanted.*at most 3: set components"):
        fitted(name, rows)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_number_that_is_not_finite_is_refused(name):
    broken = ROWS.copy()
    broken[3, 3] = np.nan
    with pytest.raises(UsageError, match="1 of 60 rows to reduce hold a value that is not finite"):
        fitted(name, broken)


def test_mlle_needs_more_rows_than_neighbours():
    with pytest.raises(UsageError, match="set neighbours from 4 to 59"):
        fitted("mlle", neighbours=60)
    with pytest.raises(UsageError, match="set neighbours from 4 to 59"):
        fitted("mlle", neighbours=3)


def test_sparse_pca_without_a_loading_left_is_refused():
    with pytest.raises(UsageError, match="lower it"):
        fitted("sparse-pca", sparsity=1e6)


def test_all_rows_the_same_is_told_and_no_crash():
    with pytest.raises(UsageError, match="fewer than 4 ways"):
        fitted("spectral", np.ones((60, 12)))


def test_a_large_training_fold_is_thinned_evenly():
    from pefuse.models.reduction.base import MOST_ROWS, spread_rows

    rows = np.arange(3 * MOST_ROWS, dtype=np.float64)[:, None]
    kept = spread_rows(rows, MOST_ROWS)
    assert len(kept) == MOST_ROWS
    assert (kept[0, 0], kept[-1, 0]) == (0, 3 * MOST_ROWS - 1)
    assert set(np.diff(kept[:, 0])) <= {2.0, 3.0, 4.0}


@pytest.mark.parametrize("options", [{"components": 0}, {"neighbours": 0}, {"sparsity": 0.0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        ReductionConfig(**options)
