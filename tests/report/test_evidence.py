"""The evidence behind Table 1: its numbers from the predictions, its sections, subgroups by name, edges."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from pefuse.errors import RunError
from pefuse.evaluation import (
    auroc,
    brier_score,
    delong_test,
    fit_platt,
    likelihood_ratios,
    mean_by_study,
    net_benefit,
    operating_point,
    sensitivity_threshold,
)
from pefuse.report import build_report, summarise
from pefuse.report.evidence import Evidence
from pefuse.report.evidence.grouping import groupings_of
from pefuse.report.results import load_results
from pefuse.report.run_folder import read_run
from pefuse.report.tables.evidence import evidence_tables


@pytest.fixture(scope="module")
def run(make_run):
    """300 test studies, 58 deaths, 3 folds, 2 seeds; and a file of the user's with a scanner and a number."""
    folder = make_run(
        models={"pesi": 1.2, "tabnet": 1.6, "sanet": 1.3, "late-average": 2.0, "intermediate-sanet": 2.2},
        test=300,
        mortality=0.15,
        folds=3,
        seeds=2,
    )
    studies = pd.read_csv(folder / "studies.csv")["study_id"]
    random = np.random.default_rng(0)
    scanner = np.where(np.arange(len(studies)) % 3 == 0, "Maker <A>", "Maker B")
    pd.DataFrame(
        {"study_id": studies, "scanner": scanner, "weight_kg": random.normal(80, 9, len(studies))}
    ).to_csv(folder / "subgroups.csv", index=False)
    build_report(folder, subgroups=["scanner", "weight_kg"], prevalence=0.03)
    return folder


@pytest.fixture(scope="module")
def evidence(run) -> Evidence:
    return load_results(run).evidence


@pytest.fixture(scope="module")
def page(run) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


def means(run, model: str, split: str) -> pd.DataFrame:
    table = pd.read_csv(run / "predictions.csv")
    rows = table[(table["model"] == model) & (table["split"] == split)]
    return mean_by_study(rows, "risk")


def of(rows, name):
    return next(row for row in rows if row.name == name)


def test_operating_points_are_chosen_on_validation_and_counted_on_test(run, evidence):
    validation, test = means(run, "sanet", "validation"), means(run, "sanet", "test")
    threshold = sensitivity_threshold(validation["label"], validation["risk"], 0.95)
    point = operating_point(test["label"], test["risk"], threshold)
    row = next(p for p in of(evidence.operating_points, "sanet").points if p.rule == "sensitivity-0.95")

    assert (row.threshold, row.tp, row.fp) == (pytest.approx(threshold), point.tp, point.fp)
    assert row.ratio_positive.low == pytest.approx(likelihood_ratios(point)["positive"].interval.low)
    assert row.validation_sensitivity >= 0.95
    sensitivity, alarm = point.sensitivity, 1 - point.specificity
    assert row.ppv_elsewhere.value == pytest.approx(0.03 * sensitivity / (0.03 * sensitivity + 0.97 * alarm))


def test_recalibration_is_fitted_on_validation(run, evidence):
    validation, test = means(run, "tabnet", "validation"), means(run, "tabnet", "test")
    platt = fit_platt(validation["label"], validation["risk"]).apply(test["risk"])
    row = of(evidence.calibration, "tabnet")

    assert row.measures.brier == pytest.approx(brier_score(test["label"], test["risk"]))
    after = next(one for one in row.recalibrated if one.method == "platt")
    assert after.measures.brier == pytest.approx(brier_score(test["label"], platt))


def test_the_class_weight_put_back_is_that_of_each_folds_training(run, evidence):
    """Odds of each member times survivors / deaths of its training studies, then the mean over members."""
    table = pd.read_csv(run / "predictions.csv")
    rows = table[table["model"] == "tabnet"]
    risks = []
    for _, member in rows.groupby(["seed", "fold"]):
        train = member.loc[member["split"] == "train", "label"]
        test = member[member["split"] == "test"].sort_values("study_id")
        odds = test["risk"] / (1 - test["risk"]) * (1 - train.mean()) / train.mean()
        risks.append((odds / (1 + odds)).to_numpy())
    label = means(run, "tabnet", "test")["label"]
    row = of(evidence.calibration, "tabnet")
    weighted = next(one for one in row.recalibrated if one.method == "weighted")

    assert weighted.measures.brier == pytest.approx(brier_score(label, np.mean(risks, axis=0)))
    # a mean and a clinical score were trained with no weight
    for name in ("pesi", "late-average"):
        assert "weighted" not in [one.method for one in of(evidence.calibration, name).recalibrated]


def test_net_benefit_is_that_of_the_test_risks(run, evidence):
    test = means(run, "intermediate-sanet", "test")
    row = of(evidence.benefit, "intermediate-sanet")

    found = [at.model.value for at in row.at]
    np.testing.assert_allclose(found, net_benefit(test["label"], test["risk"], [0.05, 0.10, 0.20]))
    assert all(at.model.low <= at.model.value <= at.model.high for at in row.at)
    assert row.better_from < row.better_to


def test_regret_is_to_the_ideal_of_what_the_model_sees(run, evidence):
    ideal = pd.read_csv(run / "ideal.csv").set_index("study_id")["ideal_risk_ct"]
    test = means(run, "sanet", "test")
    best = ideal.reindex(test.index)
    row = of(evidence.regrets, "sanet")

    assert row.ideal == "ideal-ct"
    assert row.squared == pytest.approx(((test["risk"] - best) ** 2).mean())
    assert row.auc.value == pytest.approx(delong_test(test["label"], best, test["risk"]).difference)


def test_ensembles_are_held_against_their_members(run, evidence):
    table = pd.read_csv(run / "predictions.csv")
    rows = table[(table["model"] == "sanet") & (table["split"] == "test")]
    single = np.mean([auroc(member["label"], member["risk"]) for _, member in rows.groupby(["seed", "fold"])])
    test = means(run, "sanet", "test")
    row = of(evidence.ensembles, "sanet")

    assert row.members == 6
    assert row.auc.value == pytest.approx(auroc(test["label"], test["risk"]) - single)
    assert "pesi" not in [one.name for one in evidence.ensembles]
    assert of(evidence.spreads, "sanet").of_rest is not None


def test_conformal_sets_add_up_to_all_test_studies(evidence):
    row = next(one for one in evidence.conformal if (one.name, one.stated) == ("sanet", 0.9))

    assert row.only_death + row.only_survival + row.both + row.neither == 300
    assert row.fewest_deaths == 9


def test_subgroups_that_the_user_names_stand_beside_ours(evidence, page):
    rows = [row for row in evidence.fairness if row.name == "intermediate-sanet"]
    scanner = next(row for row in rows if row.grouping == "scanner")

    assert [row.grouping for row in rows] == ["sex", "age", "scanner", "weight_kg"]
    assert [(group.group, group.studies) for group in scanner.groups] == [("Maker <A>", 100), ("Maker B", 200)]
    assert scanner.asked
    thirds = next(row for row in rows if row.grouping == "weight_kg")
    assert [group.studies for group in thirds.groups] == [100, 100, 100]
    assert "Maker &lt;A&gt;" in page
    assert "Maker <A>" not in page


def test_the_page_has_all_sections_and_their_figures(run, page):
    for name in ("operating-points", "calibration", "benefit", "fairness", "uncertainty", "regret"):
        assert f'<section id="{name}">' in page
    for name in ("benefit-sanet", "subgroups-sensitivity", "conformal-sets", "regret-sanet", "calibration-sanet"):
        assert (run / "figures" / f"{name}.svg").is_file()
        assert len(pd.read_csv(run / "figures" / f"{name}.csv"))
    assert "PPV, 3 % die" in page


def test_the_calibration_figure_tells_its_curve_and_band(run):
    table = pd.read_csv(run / "figures" / "calibration-sanet.csv")
    curve = table[table["kind"] == "spline"]

    assert len(curve) == 100
    assert (curve["low"] <= curve["share"]).all()
    assert (curve["share"] <= curve["high"]).all()


def test_tables_are_written_flat(run, evidence):
    points = pd.read_csv(run / "tables" / "operating-points.csv")
    calibration = pd.read_csv(run / "tables" / "calibration.csv", keep_default_na=False)

    assert len(points) == 5 * 6
    assert {"label", "rule_label", "sensitivity", "sensitivity_low", "ratio_positive_high"} <= set(points.columns)
    assert set(calibration["recalibrated"]) == {"", "platt", "isotonic", "weighted"}
    assert not any(name.endswith("method") for table in evidence_tables(evidence).values() for name in table)


def test_a_table_without_rows_is_taken_away(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "ideal.csv").unlink()
    summarise(tmp_path / "run")

    assert load_results(tmp_path / "run").evidence.regrets == ()
    assert not (tmp_path / "run" / "tables" / "regret.csv").exists()


def test_a_column_that_is_nowhere_is_refused_with_those_there_are(run):
    with pytest.raises(RunError, match=r"no column 'scaner'.*age_years, scanner, sex"):
        groupings_of(read_run(run), asked=["scaner"])


def test_a_column_of_too_many_names_is_refused(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "subgroups.csv")
    table.assign(ward=[f"ward {number}" for number in range(len(table))]).to_csv(
        tmp_path / "run" / "subgroups.csv", index=False
    )

    with pytest.raises(RunError, match="'ward' has 300 different values"):
        groupings_of(read_run(tmp_path / "run"), asked=["ward"])


def test_a_column_that_is_empty_for_test_studies_is_refused(make_run):
    """A run of predictions alone knows nobody's sex."""
    with pytest.raises(RunError, match="'sex' is empty for every test study"):
        groupings_of(read_run(make_run(bare=True, models={"tabnet": 1.5}, test=40, folds=2)), asked=["sex"])


def test_a_group_named_like_a_path_does_not_show_it(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "subgroups.csv")
    table.assign(source="/home/someone/export/a").to_csv(tmp_path / "run" / "subgroups.csv", index=False)

    (*_, asked) = groupings_of(read_run(tmp_path / "run"), asked=["source"])
    assert asked.order == ("(path)",)


def test_a_few_numbers_are_groups_as_they_are(run):
    """Year 2018 of all test studies, read as a number."""
    (*_, asked) = groupings_of(read_run(run), asked=["year"])

    assert asked.order == ("2018",)


EDGES = {
    "one death": {"label": lambda label, number: (number == 0).astype(int)},
    "constant risk": {"risk": lambda risk, number: np.full(len(risk), 0.2), "logit": lambda one, _: one * 0},
    "risks of 0 and 1": {"risk": lambda risk, number: (risk > 0.3).astype(float)},
    "perfect": {"risk": lambda risk, number: np.nan},
}


@pytest.mark.parametrize("edge", EDGES)
def test_edges_of_the_test_studies_still_make_a_page(make_run, edge):
    folder = make_run(models={"pesi": 1.0, "tabnet": 1.5, "intermediate-sanet": 2.0}, test=40, folds=2)
    table = pd.read_csv(folder / "predictions.csv")
    test = (table["split"] == "test").to_numpy()
    if edge == "perfect":
        table.loc[test, "risk"] = np.where(table.loc[test, "label"] == 1, 0.9, 0.1)
    else:
        number = table.loc[test, "study_id"].rank(method="dense").to_numpy() - 1
        for column, change in EDGES[edge].items():
            table.loc[test, column] = change(table.loc[test, column].to_numpy(), number)
    table.to_csv(folder / "predictions.csv", index=False)

    page = build_report(folder).read_text(encoding="utf-8")

    for name in ("operating-points", "calibration", "benefit", "uncertainty"):
        assert f'<section id="{name}">' in page
    json.loads((folder / "results.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_without_validation_studies_nothing_is_chosen_and_the_rest_is_shown(make_run):
    folder = make_run(models={"tabnet": 1.5, "intermediate-sanet": 2.0}, test=60, folds=2)
    table = pd.read_csv(folder / "predictions.csv")
    table[table["split"] != "validation"].to_csv(folder / "predictions.csv", index=False)
    summarise(folder)
    evidence = load_results(folder).evidence

    assert all(not row.points for row in evidence.operating_points)
    assert evidence.conformal == ()
    assert all(row.validation_deaths == 0 for row in evidence.calibration)
    assert {one.method for row in evidence.calibration for one in row.recalibrated} == {"weighted"}


def test_a_model_with_unknown_test_risks_is_left_out(make_run):
    folder = make_run(models={"tabnet": 1.5, "intermediate-sanet": 2.0}, test=60, folds=2)
    table = pd.read_csv(folder / "predictions.csv")
    table.loc[(table["model"] == "tabnet") & (table["split"] == "test"), ["logit", "risk"]] = np.nan
    table.to_csv(folder / "predictions.csv", index=False)
    summarise(folder)

    assert [row.name for row in load_results(folder).evidence.benefit] == ["intermediate-sanet"]
