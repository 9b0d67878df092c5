"""SHAP values of trees as importance of features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xgboost

from pefuse.errors import BundleError, UsageError
from pefuse.explain.importance import FeatureImportance, NotExplained
from pefuse.explain.trees import tree_importance
from pefuse.models import BoostedTrees, BoostedTreesConfig

from ..models.bundle.conftest import COLUMNS, STUDIES, make_record


def explained(bundle, ids=STUDIES) -> FeatureImportance:
    found = tree_importance(bundle, ids, make_record())
    assert isinstance(found, FeatureImportance)
    return found


def test_contributions_and_base_are_the_logit(bundles):
    """Over columns, over features, and over members: the mean of what the members say."""
    bundle = bundles["boosted-trees"]
    members = bundle.predict(STUDIES, record=make_record()).members
    logits = members.pivot_table(index="study_id", values="logit", aggfunc="mean").loc[list(STUDIES), "logit"]

    found = explained(bundle)

    np.testing.assert_allclose(found.effects.sum(axis=1) + found.base, logits, atol=1e-5)


def test_contributions_take_the_weight_of_deaths_out_of_the_base():
    """10 deaths in 30: a death counts twice, and ln 2 is in the logits unless it is taken out again."""
    rows = np.random.default_rng(0).normal(size=(30, 3))
    died = np.arange(30) % 3 == 0
    corrected = BoostedTrees(BoostedTreesConfig(rounds=5, threads=1)).fit(rows, died)
    plain = BoostedTrees(BoostedTreesConfig(rounds=5, threads=1, prior_correction=False)).fit(rows, died)

    np.testing.assert_allclose(plain.contributions(rows).base - corrected.contributions(rows).base, np.log(2))
    for trees in (corrected, plain):
        found = trees.contributions(rows)
        np.testing.assert_allclose(found.columns.sum(axis=1) + found.base, trees.predict_logit(rows), atol=1e-5)


def test_a_stump_gives_all_to_the_column_that_it_splits():
    """One split: the column's contribution is the leaf minus the mean leaf of the training rows."""
    rows = np.array([[0.0, 5.0], [0.0, 6.0], [1.0, 5.0], [1.0, 6.0]] * 5)
    died = rows[:, 0] == 1
    config = BoostedTreesConfig(
        rounds=1, max_depth=1, columns_a_split=1.0, rows_a_tree=1.0, min_child_weight=0.1, threads=1
    )
    found = BoostedTrees(config).fit(rows, died).contributions(rows)

    assert (found.columns[:, 1] == 0).all()
    assert (found.columns[died, 0] > 0).all()
    np.testing.assert_allclose(found.columns[:, 0].sum(), 0, atol=1e-5)


def test_the_columns_of_a_feature_are_added_with_their_signs(bundles):
    """The levels of "wing" and the missing lactate are features' columns, and their contributions add up."""
    bundle, record = bundles["boosted-trees"], make_record()
    model = bundle.members[0].model
    one = replace(bundle, members=bundle.members[:1])
    values = model.preparation.transform(record, STUDIES, scale=False, impute=False).values
    booster = model.trees._fitted()
    whole = booster.predict(xgboost.DMatrix(values), pred_contribs=True)

    found = explained(one)

    for place, column in enumerate(COLUMNS):
        mine = [i for i, prepared in enumerate(model.preparation.columns) if prepared.key == column.key]
        np.testing.assert_allclose(found.effects[:, place], whole[:, mine].sum(axis=1), atol=1e-6)


def test_shares_are_parts_of_the_absolute_values(bundles):
    found = explained(bundles["boosted-trees"])
    size = np.abs(found.effects)

    assert found.method == "shap"
    assert found.steps is None
    np.testing.assert_allclose(found.shares, size / size.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found.overall.sum(), 1)


def test_trees_that_never_split_give_nothing_to_anything(bundles):
    """Their logit is the base alone: shares of 0, not NaN."""
    bundle = bundles["boosted-trees"]
    config = BoostedTreesConfig(rounds=1, min_child_weight=1e6, threads=1)
    member = bundle.members[0]
    values = member.model.preparation.transform(make_record(), STUDIES, scale=False, impute=False).values
    bare = replace(member.model, trees=BoostedTrees(config).fit(values, np.arange(30) % 3 == 0))

    found = explained(replace(bundle, members=(replace(member, model=bare),)))

    assert (found.shares == 0).all()
    assert (found.overall == 0).all()


def test_contributions_that_miss_the_logit_are_refused(bundles, monkeypatch):
    """A sum that does not add up explains another model."""
    real = BoostedTrees.predict_logit
    monkeypatch.setattr(BoostedTrees, "predict_logit", lambda self, values: real(self, values) + 0.01)

    with pytest.raises(BundleError, match=r"miss their logit by 0\.01"):
        tree_importance(bundles["boosted-trees"], STUDIES, make_record())


def test_networks_have_no_trees_and_no_study_is_refused(bundles):
    assert isinstance(tree_importance(bundles["tabnet"], STUDIES, make_record()), NotExplained)
    assert isinstance(tree_importance(bundles["nmf-xgboost"], STUDIES, make_record()), NotExplained)
    with pytest.raises(UsageError, match="no study to explain"):
        tree_importance(bundles["boosted-trees"], [], make_record())
