"""Boosted trees: what they learn, when they stop, and that they come back the same."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pefuse.errors import RunError, UsageError
from pefuse.models.boosting import BoostedTrees, BoostedTreesConfig

CONFIG = BoostedTreesConfig(threads=1, rounds=200)


def cohort(number: int = 260, columns: int = 60, *, seed: int = 0):
    """Columns 0 and 1 matter; about one in six dies."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(number, columns))
    labels = (values[:, 0] + values[:, 1] + rng.normal(0, 0.7, number) > 1.6).astype(int)
    return values, labels


def auc(labels, scores):
    positive, negative = scores[labels == 1], scores[labels == 0]
    return np.mean(positive[:, None] > negative[None])


def fitted(config: BoostedTreesConfig = CONFIG) -> BoostedTrees:
    values, labels = cohort()
    return BoostedTrees(config).fit(values[:200], labels[:200], validation=(values[200:], labels[200:]))


def test_finds_what_matters_and_ranks_new_cases():
    model = fitted()
    values, labels = cohort(2000, seed=1)

    assert auc(labels, model.predict_logit(values)) > 0.85
    assert set(np.argsort(-model.gain())[:2]) == {0, 1}
    assert model.gain().sum() == pytest.approx(1)


def test_permuted_labels_teach_nothing():
    values, labels = cohort()
    shuffled = np.random.default_rng(7).permutation(labels)
    model = BoostedTrees(CONFIG).fit(values, shuffled)
    new, truth = cohort(4000, seed=2)

    assert abs(auc(truth, model.predict_logit(new)) - 0.5) < 0.15


def test_stops_early_and_keeps_the_best_round():
    model = fitted(BoostedTreesConfig(threads=1, rounds=2000, patience=10, learning_rate=0.3))

    assert model.rounds_kept < 300
    assert model.rounds_kept == int(np.argmin(model.validation_loss)) + 1


def test_uses_all_rounds_without_a_validation_that_can_tell():
    values, labels = cohort()
    config = BoostedTreesConfig(threads=1, rounds=15, patience=1)

    assert BoostedTrees(config).fit(values, labels).rounds_kept == 15
    alive = labels == 0
    model = BoostedTrees(config).fit(values, labels, validation=(values[alive], labels[alive]))
    assert model.rounds_kept == 15


def test_same_seed_same_bits_whatever_the_threads():
    values, _ = cohort(50, seed=3)

    first = fitted(CONFIG).predict_logit(values)
    again = fitted(CONFIG).predict_logit(values)
    two = fitted(BoostedTreesConfig(threads=2, rounds=200)).predict_logit(values)
    other = fitted(BoostedTreesConfig(threads=1, rounds=200, seed=1)).predict_logit(values)

    assert np.array_equal(first, again)
    assert np.array_equal(first, two)
    assert not np.array_equal(first, other)


def test_prior_correction_takes_the_weighting_out():
    """Logits move by ln(weight), and the mean risk then is near the death rate instead of near one half."""
    values, labels = cohort(3000)
    config = BoostedTreesConfig(threads=1, rounds=300)
    corrected = BoostedTrees(config).fit(values, labels)
    raw = BoostedTrees(BoostedTreesConfig(threads=1, rounds=300, prior_correction=False)).fit(values, labels)

    shift = raw.predict_logit(values) - corrected.predict_logit(values)
    np.testing.assert_allclose(shift, np.log((labels == 0).sum() / labels.sum()))
    assert corrected.predict(values).mean() == pytest.approx(labels.mean(), abs=0.04)
    assert raw.predict(values).mean() > labels.mean() + 0.08


def test_missing_values_are_learned_from():
    """Missing only in the dead: the gap itself tells."""
    rng = np.random.default_rng(0)
    labels = (np.arange(200) % 5 == 0).astype(int)
    values = rng.normal(size=(200, 3))
    values[labels == 1, 1] = np.nan

    model = BoostedTrees(CONFIG).fit(values, labels)

    assert auc(labels, model.predict_logit(values)) == 1.0


def test_saved_trees_come_back_the_same(tmp_path):
    model, (values, _) = fitted(), cohort(50, seed=3)

    model.save(tmp_path / "trees.json")
    restored = BoostedTrees.load(tmp_path / "trees.json")

    assert restored.config == model.config
    assert np.array_equal(restored.predict_logit(values), model.predict_logit(values))
    assert np.array_equal(restored.gain(), model.gain())


def test_changed_trees_are_refused_before_xgboost_sees_them(tmp_path):
    """One leaf's weight altered: XGBoost would take it."""
    path = tmp_path / "trees.json"
    fitted().save(path)
    content = json.loads(path.read_text())
    content["learner"]["gradient_booster"]["model"]["trees"][0]["base_weights"][0] += 0.5
    path.write_text(json.dumps(content))

    with pytest.raises(RunError, match="cannot be read"):
        BoostedTrees.load(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\xfe", b"not json", b'{"learner": 3}'])
def test_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "trees.json").write_bytes(content)

    with pytest.raises(RunError, match="cannot be read"):
        BoostedTrees.load(tmp_path / "trees.json")


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda: BoostedTrees(CONFIG).fit([[1.0], [2.0]], [0, 0]), "All 2 training cases have the same outcome"),
        (lambda: BoostedTrees(CONFIG).fit([[1.0], [2.0]], [0, 3]), "0 or 1"),
        (lambda: BoostedTrees(CONFIG).fit([1.0, 2.0], [0, 1]), "table of rows"),
        (lambda: BoostedTrees(CONFIG).predict([[1.0]]), "not fitted"),
        (lambda: BoostedTreesConfig(max_depth=0), "max_depth is 0"),
        (lambda: BoostedTreesConfig(rows_a_tree=1.5), "rows_a_tree is 1.5"),
        (lambda: BoostedTreesConfig(positive_weight=0.0), "positive_weight"),
    ],
)
def test_misuse_is_refused_in_one_line(do, message):
    with pytest.raises(UsageError, match=message):
        do()
