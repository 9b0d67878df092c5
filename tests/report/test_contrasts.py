"""Comparisons in a run's results against the statistics computed here from the same predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from pefuse.evaluation import (
    bootstrap_scores,
    integrated_discrimination,
    mcnemar_tests,
    mean_by_study,
    net_reclassification,
    permutation_test,
    required_size,
    validation_threshold,
)
from pefuse.report import summarise
from pefuse.report.aggregation import collect_scores
from pefuse.report.page import build_page
from pefuse.report.results import load_results
from pefuse.report.run_folder import read_run
from pefuse.report.sections import SECTIONS, Material


@pytest.fixture(scope="module")
def run(make_run):
    folder = make_run(models={"pesi": 0.9, "xgboost": 1.2, "sanet": 1.0, "intermediate-sanet": 2.2})
    summarise(folder)
    return folder


@pytest.fixture(scope="module")
def results(run):
    return load_results(run)


def page_of(run) -> str:
    """The page with the sections of comparisons and curves alone."""
    content = read_run(run)
    material = Material(run=content, results=load_results(run), scores=tuple(collect_scores(content)), folder=run)
    return build_page(material, sections=[one for one in SECTIONS if one.name in ("comparison", "curves")]).html


def of(run, model: str, split: str) -> pd.DataFrame:
    rows = pd.read_csv(run / "predictions.csv")
    rows = rows[(rows["model"] == model) & (rows["split"] == split)]
    return mean_by_study(rows.assign(score=rows["logit"] if model == "pesi" else rows["risk"]), "risk", "score")


def comparison(results, name: str):
    return next(one for one in results.comparisons if one.name == name)


@pytest.mark.parametrize("name", ["pesi", "xgboost"])
def test_the_tests_are_those_of_the_paired_scores(run, results, name):
    ours, theirs = of(run, "intermediate-sanet", "test"), of(run, name, "test")
    label, a, b = ours["label"], ours["score"], theirs["score"]
    found = comparison(results, name)

    assert found.p_permutation == pytest.approx(permutation_test(label, a, b).p_value)
    size = required_size(label, a, b)
    assert (found.test_size.studies, found.test_size.deaths) == (size.studies, size.deaths)
    assert found.test_size.at_most == size.at_most
    assert found.test_size.power_now == pytest.approx(size.power_now)
    resampled = bootstrap_scores(label, [a, b]).difference(0, 1)
    assert found.p_bootstrap == pytest.approx(resampled.p_value)
    assert found.bootstrap_difference.low == pytest.approx(resampled.interval.low)
    assert found.bootstrap_difference.method == "bca"
    precision = average_precision_score(label, a) - average_precision_score(label, b)
    assert found.precision_difference.value == pytest.approx(precision)


def test_mcnemar_and_nri_are_at_the_thresholds_of_validation(run, results):
    called = {
        name: of(run, name, "test")["score"] >= validation_threshold(of(run, name, "validation"))
        for name in ("intermediate-sanet", "pesi")
    }
    label = of(run, "pesi", "test")["label"]
    found = comparison(results, "pesi")

    tests = mcnemar_tests(label, called["intermediate-sanet"], called["pesi"])
    assert {
        name: (one.only_reference, one.only_other, one.p_value) for name, one in found.discordance.items()
    } == {name: (one.only_a, one.only_b, pytest.approx(one.p_value)) for name, one in tests.items()}
    nri = net_reclassification(label, called["pesi"], called["intermediate-sanet"], resamples=2000)
    assert found.net_reclassification.of_survivors.value == pytest.approx(nri.of_survivors)
    assert found.net_reclassification.total.low == pytest.approx(nri.total_interval.low)


def test_gains_are_from_the_other_model_to_the_reference(run, results):
    ours, theirs = of(run, "intermediate-sanet", "test"), of(run, "xgboost", "test")
    found = comparison(results, "xgboost")

    idi = integrated_discrimination(ours["label"], theirs["risk"], ours["risk"], resamples=2000)
    assert found.integrated_discrimination.total.value == pytest.approx(idi.total)
    assert idi.total > 0
    continuous = net_reclassification(ours["label"], theirs["risk"], ours["risk"], resamples=100)
    assert found.continuous_reclassification.of_deaths.value == pytest.approx(continuous.of_deaths)


def test_permutation_p_values_are_adjusted_within_the_table(results):
    """Three comparisons: the smallest p counts three times."""
    raw = [one.p_permutation for one in results.comparisons]
    smallest = min(range(3), key=raw.__getitem__)

    assert results.comparisons[smallest].p_permutation_holm == pytest.approx(min(1, 3 * raw[smallest]))


def test_average_precision_has_a_bootstrap_interval(run, results):
    test = of(run, "sanet", "test")
    found = next(model for model in results.models if model.name == "sanet").test.average_precision
    interval = bootstrap_scores(test["label"], test["score"], statistic="average_precision").interval()

    assert found.value == pytest.approx(average_precision_score(test["label"], test["score"]))
    assert (found.low, found.high, found.method) == pytest.approx((interval.low, interval.high, "bca"))


def test_studies_of_one_patient_are_drawn_together(make_run):
    """Two models on 60 test studies, of 60 patients or of 30: less is known of 30, and only the intervals tell."""
    runs = [make_run(models={"xgboost": 1.0, "early": 2.0}, test=60, mortality=0.3) for _ in range(2)]
    predictions = pd.read_csv(runs[1] / "predictions.csv")
    test_studies = np.sort(predictions.loc[predictions["split"] == "test", "study_id"].unique())
    # Neighbours are alike in outcome: each pair of studies becomes one patient's, and the same study twice over.
    twin = dict(zip(test_studies[1::2], test_studies[::2], strict=True))
    source = predictions.set_index(["study_id", "model", "fold", "split"])[
        ["logit", "risk", "label", "patient_id"]
    ]
    keys = predictions["study_id"].map(twin).fillna(predictions["study_id"])
    index = pd.MultiIndex.from_arrays([keys, predictions["model"], predictions["fold"], predictions["split"]])
    predictions[["logit", "risk", "label", "patient_id"]] = source.loc[index].to_numpy()
    predictions.astype({"label": int, "patient_id": int}).to_csv(runs[1] / "predictions.csv", index=False)
    for folder in runs:
        summarise(folder)

    alone, twins = (load_results(folder).comparisons[0] for folder in runs)
    label = of(runs[1], "early", "test")
    as_if_independent = bootstrap_scores(
        label["label"], [label["score"], of(runs[1], "xgboost", "test")["score"]]
    ).difference(0, 1)
    width = twins.bootstrap_difference.high - twins.bootstrap_difference.low
    assert width > 1.2 * (as_if_independent.interval.high - as_if_independent.interval.low)
    assert alone.studies == twins.studies == 60


def test_scores_that_rank_alike_leave_the_size_open(make_run):
    """Two names, one model: no difference, so no number of studies, and no intervals without a width."""
    run = make_run(models={"early": 1.5, "intermediate-sanet": 1.5}, test=40, mortality=0.3)
    rows = pd.read_csv(run / "predictions.csv")
    first = rows[rows["model"] == "early"]
    pd.concat([first, first.assign(model="intermediate-sanet")]).to_csv(run / "predictions.csv", index=False)
    summarise(run)
    found = load_results(run).comparisons[0]

    assert (found.p_value, found.p_permutation) == (1.0, 1.0)
    assert found.test_size.studies is None
    assert found.bootstrap_difference.low is None
    assert found.net_reclassification.total.low is None
    assert "no number of studies would show a difference of zero" in page_of(run)


def test_perfect_scores_have_no_interval_of_average_precision(make_run):
    run = make_run(models={"xgboost": 1.0, "early": 60.0}, test=40, mortality=0.3)
    summarise(run)
    perfect = next(model for model in load_results(run).models if model.name == "early").test

    assert perfect.average_precision.value == 1.0
    assert perfect.average_precision.low is None
    assert perfect.auc.method == "exact"


def test_a_single_death_is_compared_as_far_as_it_goes(make_run):
    run = make_run(models={"xgboost": 1.0, "early": 2.0}, test=30, mortality=0.03)
    summarise(run)
    found = load_results(run).comparisons[0]

    assert load_results(run).test_deaths == 1
    assert found.p_value is None
    assert found.p_permutation is not None
    assert found.p_bootstrap is None
    assert found.test_size.studies is None
    page = page_of(run)
    assert "the difference cannot be judged" in page
    assert "ROC curve" in page
    assert "95 % band" not in page
