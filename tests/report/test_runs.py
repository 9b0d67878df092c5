"""Runs beside each other: paired on the same test studies, unpaired on others, and never two runs that are one."""

from __future__ import annotations

import json
import math
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
import yaml

from pefuse.errors import RunError, UsageError
from pefuse.evaluation import auroc, delong_interval, delong_test, difference_interval, holm, mean_by_study
from pefuse.report.runs import compare_runs, load_runs, pair_numbers, pair_text, report_runs

MODELS = {"pesi": 1.2, "xgboost": 1.5, "sanet": 1.0, "early": 2.0}


def with_digest(folder, digest):
    about = json.loads((folder / "cohort.json").read_text())
    (folder / "cohort.json").write_text(json.dumps(about | {"studies_digest": digest}))
    return folder


def changed(folder, tmp_path, change, name="changed"):
    """A copy of the run whose predictions went through `change`."""
    copy = shutil.copytree(folder, tmp_path / name)
    change(pd.read_csv(copy / "predictions.csv")).to_csv(copy / "predictions.csv", index=False)
    return copy


def other_risks(table, models=("xgboost", "sanet"), seed=5):
    noise = np.random.default_rng(seed).normal(size=len(table))
    logit = table["logit"] + np.where(table["model"].isin(models), noise, 0)
    return table.assign(
        logit=logit, risk=np.where(table["model"] == "pesi", table["risk"], 1 / (1 + np.exp(-logit)))
    )


def compared(*folders):
    return compare_runs(load_runs(folders))


@pytest.fixture(scope="module")
def first(make_run):
    return with_digest(make_run(models=MODELS, test=200, mortality=0.15, folds=2), "one")


@pytest.fixture(scope="module")
def second(first, tmp_path_factory):
    """The same cohort: two models judge otherwise, one is gone, another came."""

    def change(table):
        return other_risks(table).replace({"model": {"early": "mbt"}})

    folder = changed(first, tmp_path_factory.mktemp("second"), change)
    settings = yaml.safe_load((folder / "config.yaml").read_text()) | {
        "folds": 6,
        "tabnet": {"loop": {"epochs": 9}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    environment = json.loads((folder / "environment.json").read_text())
    environment["packages"]["numpy"] = "9.9"
    (folder / "environment.json").write_text(json.dumps(environment))
    return folder


@pytest.fixture(scope="module")
def pair(first, second):
    return compared(first, second)[0]


def scores_of(folder, model):
    table = pd.read_csv(folder / "predictions.csv")
    rows = table[(table["model"] == model) & (table["split"] == "test")]
    return mean_by_study(rows, "risk")


def model_of(pair, name):
    return next(one for one in pair.models if one.name == name)


def test_models_of_both_are_compared_by_the_paired_delong_test(first, second, pair):
    a, b = (scores_of(folder, "sanet") for folder in (first, second))
    expected = delong_test(a["label"], b["risk"], a["risk"])
    found = model_of(pair, "sanet")

    assert pair.relation == "paired"
    assert found.difference.value == pytest.approx(auroc(b["label"], b["risk"]) - auroc(a["label"], a["risk"]))
    assert found.difference.low == pytest.approx(expected.interval.low)
    assert found.p_value == pytest.approx(expected.p_value)
    assert (found.first.studies, found.second.studies) == (200, 200)


def test_the_spread_of_single_folds_stands_beside(second, pair):
    """The AUC of each fold's model alone; a clinical score has no folds."""
    table = pd.read_csv(second / "predictions.csv")
    rows = table[(table["model"] == "sanet") & (table["split"] == "test")]
    aucs = [auroc(each["label"], each["risk"]) for _, each in rows.groupby("fold")]
    side = model_of(pair, "sanet").second

    assert (side.fold_auc_mean, side.fold_auc_sd) == pytest.approx((np.mean(aucs), np.std(aucs, ddof=1)))
    assert model_of(pair, "pesi").first.fold_auc_mean is None


def test_a_difference_is_sure_if_0_lies_outside_its_interval(first, make_run):
    better = with_digest(make_run(models={"sanet": 4.0, "xgboost": 1.5}, test=300, folds=2, seed=2), "two")
    (found,) = compared(first, better)

    assert model_of(found, "sanet").sure
    assert not model_of(found, "xgboost").sure


def test_holm_counts_the_models_that_were_tested(pair):
    """Two of three: the clinical score is the same in both, so it is no test."""
    found = [model_of(pair, name) for name in ("xgboost", "sanet")]

    assert [one.p_holm for one in found] == pytest.approx(holm([one.p_value for one in found]).tolist())
    assert model_of(pair, "pesi").same
    assert model_of(pair, "pesi").p_holm is None


def test_models_of_one_run_alone_are_listed(pair):
    assert [one.name for one in pair.models] == ["pesi", "xgboost", "sanet"]
    assert (pair.only_first, pair.only_second) == (("Early fusion",), ("MBT",))


def test_only_settings_and_versions_that_differ_are_told(pair):
    assert [(one.name, one.first, one.second) for one in pair.settings] == [
        ("folds", "2", "6"),
        ("tabnet.loop.epochs", "–", "9"),
    ]
    assert [(one.name, one.first, one.second) for one in pair.versions] == [("numpy", "2.4.6", "9.9")]


def test_other_cohorts_are_compared_unpaired_and_it_is_said(first, make_run):
    """Study ids are alike in both, but the digests say that the patients are others."""
    other = with_digest(make_run(models=MODELS, test=100, folds=2, seed=9), "two")
    (pair,) = compared(first, other)
    found = model_of(pair, "xgboost")
    a, b = (scores_of(folder, "xgboost") for folder in (first, other))
    aucs = [(auroc(one["label"], one["risk"]), delong_interval(one["label"], one["risk"])) for one in (a, b)]
    expected = difference_interval(*aucs[1], *aucs[0])

    assert pair.relation == "unpaired"
    assert "of different cohorts" in pair.statement
    assert found.difference.value == pytest.approx(aucs[1][0] - aucs[0][0])
    assert (found.difference.low, found.difference.high) == pytest.approx((expected.low, expected.high))
    assert found.p_value is None
    assert {"ideal-ct", "ideal-ehr", "ideal-both"} < {one.name for one in pair.models}
    assert "p" not in pair_text(pair).columns


def test_only_test_studies_of_both_count(first, tmp_path):
    """The second run lacks the first 20 test studies."""
    lacking = {f"S{number:04d}" for number in range(286, 306)}
    other = changed(first, tmp_path, lambda table: other_risks(table[~table["study_id"].isin(lacking)]))
    (pair,) = compared(first, other)
    a, b = (scores_of(folder, "sanet") for folder in (first, other))

    assert "compared on 180 test studies of 200 and 180 that both have" in pair.statement
    assert model_of(pair, "sanet").first.studies == 180
    assert model_of(pair, "sanet").first.auc.value == pytest.approx(
        auroc(a.loc[b.index, "label"], a.loc[b.index, "risk"])
    )


def test_outcomes_that_changed_forbid_a_difference(first, tmp_path):
    other = changed(first, tmp_path, lambda table: other_risks(table).assign(
        label=table["label"].where(table["study_id"] != "S0400", 1)))  # fmt: skip
    (pair,) = compared(first, other)

    assert pair.relation == "apart"
    assert "1 test study of 200 changed the outcome" in pair.statement
    assert model_of(pair, "sanet").difference.value is None
    assert model_of(pair, "sanet").second.auc.value is not None


def test_another_horizon_forbids_a_difference(first, tmp_path):
    other = changed(first, tmp_path, other_risks)
    about = json.loads((other / "cohort.json").read_text())
    (other / "cohort.json").write_text(json.dumps(about | {"horizon_days": 90}))
    (pair,) = compared(first, other)

    assert pair.relation == "apart"
    assert "death within 30 days; death within 90 days" in pair.statement


def test_runs_without_a_digest_are_of_one_cohort_if_their_test_studies_are_the_very_same(make_run, tmp_path):
    bare = make_run(bare=True, models={"xgboost": 1.5})
    same = changed(bare, tmp_path, other_risks)
    other = make_run(bare=True, models={"xgboost": 1.5}, test=80, seed=3)

    assert compared(bare, same)[0].relation == "paired"
    assert compared(bare, other)[0].relation == "unpaired"


def test_a_model_without_numbers_is_not_judged_and_the_rest_is(first, tmp_path):
    def change(table):
        changed = other_risks(table)
        test = (changed["model"] == "sanet") & (changed["split"] == "test")
        return changed.assign(risk=changed["risk"].mask(test))

    (pair,) = compared(first, changed(first, tmp_path, change))

    assert "are not numbers" in model_of(pair, "sanet").second.problem
    assert model_of(pair, "sanet").difference.value is None
    assert model_of(pair, "xgboost").p_value is not None
    assert math.isfinite(model_of(pair, "xgboost").p_holm)


def test_studies_of_one_outcome_are_not_judged(first, tmp_path):
    other = changed(
        first,
        tmp_path,
        lambda table: other_risks(table[(table["split"] != "test") | (table["label"] == 0)]),
    )
    (pair,) = compared(first, other)

    assert all(one.difference.value is None for one in pair.models)
    assert model_of(pair, "sanet").second.problem == "all its test studies survived, so nothing can be ranked"
    assert model_of(pair, "sanet").first.problem == "the test studies that are compared do not have both outcomes"


def test_each_later_run_is_held_against_the_first(first, second, tmp_path):
    third = changed(first, tmp_path, lambda table: other_risks(table, seed=8))
    pairs = compared(first, second, third)

    assert [(one.first.letter, one.second.letter) for one in pairs] == [("A", "B"), ("A", "C")]


@pytest.fixture(scope="module")
def out(first, second, make_run, tmp_path_factory):
    other = with_digest(make_run(models=MODELS, test=100, folds=2, seed=9), "two")
    page = tmp_path_factory.mktemp("page") / "comparison.html"
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    report_runs([first, second, other], page)
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before
    return page


def test_it_is_offline_names_no_path_and_no_patient(out, first):
    page = out.read_text(encoding="utf-8")

    assert "//" not in page.split("</style>")[1].replace('xmlns="http://www.w3.org', "")
    assert "<script" not in page
    assert str(first.parent) not in page
    assert "73000000" not in page
    assert page.startswith("<!DOCTYPE html>")


def test_it_says_what_was_compared_with_what(out):
    page = out.read_text(encoding="utf-8")

    assert "are of one cohort and are compared on 200 test studies" in page
    assert "are of different cohorts" in page
    assert "tabnet.loop.epochs" in page
    assert "Only in A: Early fusion." in page
    assert "Simulated data" in page


def test_numbers_and_figures_lie_beside(out, pair):
    numbers = pd.read_csv(out.with_suffix(".csv"))
    of_pair = numbers[numbers["second"] == "B"].set_index("model")

    assert of_pair.loc["sanet", "difference"] == pytest.approx(model_of(pair, "sanet").difference.value, rel=1e-5)
    assert of_pair.loc["sanet", "sensitivity_second"] == pytest.approx(
        model_of(pair, "sanet").second.rates["sensitivity"].value, rel=1e-5
    )
    assert sorted(path.name for path in out.parent.glob("*.svg")) == [
        "comparison-B-against-A.svg",
        "comparison-C-against-A.svg",
    ]
    for path in out.parent.glob("*.svg"):
        ElementTree.parse(path)
        assert len(pd.read_csv(path.with_suffix(".csv"))) > 0


def test_an_older_comparison_is_replaced(out, first, second, tmp_path):
    for path in out.parent.iterdir():
        shutil.copy(path, tmp_path)

    report_runs([first, second], tmp_path / out.name)

    assert "2 runs compared" in (tmp_path / out.name).read_text(encoding="utf-8")


def test_numbers_are_nan_where_nothing_can_be_told(first, make_run):
    other = with_digest(make_run(models=MODELS, test=100, folds=2, seed=9), "two")

    assert pair_numbers(compared(first, other)[0])["p_delong"].isna().all()


def test_the_same_run_twice_is_refused(first, tmp_path):
    copy = shutil.copytree(first, tmp_path / "copy")

    for other in (first, copy):
        with pytest.raises(UsageError, match=r"Runs A and B, .*, are the same run"):
            load_runs([first, other])


def test_a_folder_that_is_no_run_is_told_by_its_letter(first, tmp_path):
    (tmp_path / "holidays").mkdir()

    with pytest.raises(RunError, match=r"Run B, .*: The folder has no predictions\.csv") as raised:
        load_runs([first, tmp_path / "holidays"])
    assert "holidays" not in str(raised.value)


def test_runs_without_a_common_model_are_refused(first, make_run):
    other = make_run(bare=True, models={"mbt": 1.5})

    with pytest.raises(UsageError, match=r"A and B have no model in common: A has pesi, .*; B has mbt"):
        compared(first, other)


def test_too_many_runs_are_refused(first):
    with pytest.raises(UsageError, match="27 runs are too many"):
        load_runs([first] * 27)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notes.txt", "does not end in .html"),
        ("folder.html", "that of a folder"),
        ("mine.html", "no comparison of"),
    ],
)
def test_a_page_that_would_replace_something_else_is_refused(first, second, tmp_path, name, message):
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "mine.html").write_text("<p>My own page")

    with pytest.raises(UsageError, match=message):
        report_runs([first, second], tmp_path / name)
    assert (tmp_path / "mine.html").read_text() == "<p>My own page"


def test_a_table_of_the_user_is_not_replaced(first, second, tmp_path):
    (tmp_path / "comparison.csv").write_text("mine")

    with pytest.raises(UsageError, match=r"comparison\.csv is there"):
        report_runs([first, second], tmp_path / "comparison.html")
    assert (tmp_path / "comparison.csv").read_text() == "mine"
