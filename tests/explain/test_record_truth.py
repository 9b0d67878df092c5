"""Precision at k against what carries signal, with its chance level and its control."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from pefuse.cohort import load_cohort
from pefuse.ehr import FeaturePreparation, extract
from pefuse.errors import UsageError
from pefuse.explain.importance import ColumnImportance, FeatureImportance
from pefuse.explain.record_truth import carrying_features, precision_at, rank_among_numbers, record_truth_table
from pefuse.explain.signal import FeatureSignal
from pefuse.models import BoostedTrees, BoostedTreesConfig, TabNet, TabNetConfig
from pefuse.models.bundle import Feature, RecordModel, RecordPart, TreesModel


def test_precision_is_the_share_of_the_first_k():
    """First three of five: two of them carry signal."""
    importance = np.array([0.4, 0.3, 0.2, 0.1, 0.0])
    carries = np.array([True, False, True, True, False])

    assert precision_at(importance, carries, 3) == pytest.approx(2 / 3)
    assert precision_at(importance, carries, 1) == 1.0


def test_ties_at_the_end_count_as_the_mean_over_their_orders():
    """One place for three alike of which one carries: (1 + 1/3) / 2. All alike: the share of all, 2/4."""
    carries = np.array([True, True, False, False])

    assert precision_at(np.array([0.9, 0.1, 0.1, 0.1]), carries, 2) == pytest.approx(2 / 3)
    assert precision_at(np.zeros(4), carries, 2) == pytest.approx(0.5)


def test_with_fewer_features_than_k_nothing_is_told():
    assert np.isnan(precision_at(np.array([0.5, 0.5]), np.array([True, False]), 5))


def test_importance_that_is_no_number_is_refused():
    with pytest.raises(UsageError, match="not a number"):
        precision_at(np.array([np.nan, 1.0]), np.array([True, False]), 1)


def importance_of(values, *, numeric, features=None) -> FeatureImportance:
    """One member whose columns have these importances; each is a feature of its own unless told otherwise."""
    values = np.asarray(values, dtype=float)
    features = np.arange(len(values)) if features is None else np.asarray(features)
    names = [Feature(key=f"f{n}", name=f"f{n}", family="lab", kind="continuous", unit="") for n in set(features)]
    total = np.bincount(features, values)
    return FeatureImportance(
        method="masks",
        study_ids=("S1",),
        features=tuple(names),
        shares=total[None] / total.sum(),
        by_member=total[None],
        columns=(ColumnImportance(importance=values, features=features, numeric=np.asarray(numeric)),),
    )


def test_the_rank_among_numbers_leaves_marks_out():
    """Three numbers in the order of their signal; the mark, with none and the highest importance, is no number."""
    found = importance_of([0.1, 0.2, 0.3, 0.4], numeric=[True, True, True, False])
    signal = {"f0": FeatureSignal(value=0.2), "f1": FeatureSignal(value=0.4), "f2": FeatureSignal(value=0.6)}

    assert rank_among_numbers(found, signal) == pytest.approx(1.0)
    assert rank_among_numbers(importance_of([0.3, 0.2, 0.1, 0.4], numeric=[True] * 3 + [False]), signal) == -1.0
    assert np.isnan(rank_among_numbers(importance_of([0.3, 0.3], numeric=[True, True]), signal))


def test_gaps_count_where_a_model_sees_them(bundles):
    """A lactate that tells by its absence alone: networks see "lactate missing", trees see it in the number."""
    signal = {"lactate": FeatureSignal(value=0.0, measured=0.4), "sodium": FeatureSignal(value=0.2)}
    network, trees = bundles["tabnet"], bundles["boosted-trees"]
    member = network.members[0]
    part = member.model.record
    kept = [place for place, column in enumerate(part.preparation.columns) if column.role != "missing"]
    numbers_only = replace(part, preparation=part.preparation.only(kept))
    blind = replace(network, members=(replace(member, model=replace(member.model, record=numbers_only)),))
    found = importance_of([1, 1, 1, 1], numeric=[True] * 4)
    keys = ("sodium", "lactate", "cancer", "wing")
    renamed = [one.model_copy(update={"key": key}) for one, key in zip(found.features, keys, strict=True)]
    found = replace(found, features=tuple(renamed))

    def carrying(bundle, level):
        return carrying_features(bundle, found, signal, level=level).tolist()

    assert carrying(network, "clear") == [True, True, False, False]
    assert carrying(blind, "clear") == [True, False, False, False]
    assert carrying(trees, "clear") == [True, True, False, False]
    assert carrying(network, "strong") == [False, True, False, False]


@pytest.fixture(scope="module")
def judged(toy_cohort):
    """Bundles on the record of the simulated toy cohort, and what the truth says of them."""

    def judge(models, bundle):
        cohort = load_cohort(toy_cohort)
        record = extract(cohort)
        truth = json.loads((toy_cohort / "truth.json").read_text(encoding="utf-8"))
        labels = cohort.studies["label"].to_numpy()
        members = tuple(replace(bundle.members[n], model=make(record, labels)) for n, make in enumerate(models))
        about = bundle.about.model_copy(update={"features": ()})
        made = replace(bundle, about=_with_features(about, members), members=members)
        return record_truth_table([made], list(record.study_ids), record, codes=cohort.codes, truth=truth)

    return judge


def _with_features(about, members):
    columns = {column.key: column for member in members for column in member.model.preparation.columns}
    features = tuple(
        Feature(key=one.key, name=one.name, family=one.family, kind=one.kind, unit=one.unit)
        for one in columns.values()
    )
    return about.model_copy(update={"features": features})


def _grown(record, labels):
    preparation = FeaturePreparation.fit(record, record.study_ids)
    values = preparation.transform(record, record.study_ids, scale=False, impute=False).values
    trees = BoostedTrees(BoostedTreesConfig(rounds=60, columns_a_split=0.1, threads=1)).fit(values, labels == 1)
    return TreesModel(trees=trees, preparation=preparation)


def test_trees_find_the_signal_and_have_no_control(judged, bundles):
    """On 50 patients with 12 deaths trees are already better than importance dealt at random."""
    table = judged([_grown], bundles["boosted-trees"])

    assert set(table["method"]) == {"shap"}
    assert list(table["k"]) == [5, 10, 20]
    ten = table.set_index("k").loc[10]
    assert ten["strong_precision"] > ten["strong_share"] + 0.2
    assert ten["strong_share"] < ten["share"] < ten["any_share"]
    for level in ("", "strong_", "any_"):
        assert table[f"{level}precision"].between(0, 1).all()
        assert table[f"{level}p"].between(1 / 201, 1).all()


def _untrained(record, labels):
    torch.manual_seed(1)
    whole = FeaturePreparation.fit(record, record.study_ids)
    preparation = whole.only(range(0, len(whole.columns), 4))
    network = TabNet(TabNetConfig(input_dim=len(preparation.columns), n_d=4, n_a=4, n_steps=2)).eval()
    return RecordModel(record=RecordPart(network=network, preparation=preparation), logit_shift=0.0)


def test_an_untrained_network_is_no_better_than_its_chance(judged, bundles):
    """It has learned nothing, and the control is of its kind: both stand at chance, within what few draws give."""
    table = judged([_untrained, _untrained], bundles["tabnet"]).set_index(["k", "method"])

    for k in (10, 20):
        control = table.loc[(k, "masks randomised")]
        assert abs(control["precision"] - control["chance"]) < 0.15
        assert table.loc[(k, "masks"), "p"] > 0.005
    assert abs(table["rank"][5, "masks randomised"]) < 0.2
