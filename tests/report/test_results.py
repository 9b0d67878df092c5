"""Results against numbers computed here the slow way from the same predictions."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pauc
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score

from pefuse.report import build_report, summarise, table1, table1_readable
from pefuse.report.results import load_results


@pytest.fixture(scope="module")
def run(make_run):
    folder = make_run(seeds=2)
    summarise(folder)
    return folder


@pytest.fixture(scope="module")
def predictions(run):
    return pd.read_csv(run / "predictions.csv")


def mean_by_study(predictions: pd.DataFrame, model: str, split: str, column: str = "risk") -> pd.DataFrame:
    rows = predictions[(predictions["model"] == model) & (predictions["split"] == split)]
    return rows.pivot_table(index="study_id", values=["label", column], aggfunc="mean")


def row(run, model: str) -> pd.Series:
    return table1(run).set_index("model").loc[model]


def test_auc_is_that_of_the_mean_risk_over_folds_and_seeds(run, predictions):
    test = mean_by_study(predictions, "sanet", "test")

    assert len(test) == 72
    assert row(run, "sanet")["auc"] == pytest.approx(roc_auc_score(test["label"], test["risk"]))


def test_interval_is_delongs_on_the_logit_scale(run, predictions):
    test = mean_by_study(predictions, "sanet", "test")
    curve = pauc.ROC(test["label"].to_numpy(), test["risk"].to_numpy(), direction="<")
    reach = 1.959964 * np.sqrt(pauc.var(curve)) / (curve.auc * (1 - curve.auc))
    bounds = 1 / (1 + np.exp(-(np.log(curve.auc / (1 - curve.auc)) + np.array([-reach, reach]))))

    assert row(run, "sanet")[["auc_low", "auc_high"]].tolist() == pytest.approx(bounds.tolist())


@pytest.mark.parametrize(("model", "column"), [("sanet", "risk"), ("xgboost", "risk"), ("pesi", "logit")])
def test_rates_are_those_at_the_validation_youden_point(run, predictions, model, column):
    """The lowest positive is searched among all validation values; half-way to the next lower one decides."""
    validation = mean_by_study(predictions, model, "validation", column)
    test = mean_by_study(predictions, model, "test", column)
    died = validation["label"] == 1

    def youden(threshold: float) -> float:
        called = validation[column] >= threshold
        return round(float(called[died].mean() - called[~died].mean()), 12)

    lowest = max(validation[column].unique(), key=lambda value: (youden(value), value))
    threshold = (lowest + validation.loc[validation[column] < lowest, column].max()) / 2
    tn, fp, fn, tp = confusion_matrix(test["label"], test[column] >= threshold).ravel().tolist()
    found = row(run, model)

    assert len(validation) == 286
    assert found["threshold"] == pytest.approx(threshold)
    assert found[["tp", "fn", "fp", "tn"]].tolist() == [tp, fn, fp, tn]
    assert found["sensitivity"] == pytest.approx(tp / (tp + fn))
    assert found["specificity"] == pytest.approx(tn / (tn + fp))
    assert found["accuracy"] == pytest.approx((tp + tn) / 72)


def test_validation_auc_pools_the_folds(run, predictions):
    validation = mean_by_study(predictions, "tabnet", "validation")

    expected = roc_auc_score(validation["label"], validation["risk"])
    assert row(run, "tabnet")["validation_auc"] == pytest.approx(expected)


def test_single_folds_are_summarised_as_mean_and_sd(run, predictions):
    rows = predictions[(predictions["model"] == "tabnet") & (predictions["split"] == "test")]
    aucs = [roc_auc_score(part["label"], part["risk"]) for _, part in rows.groupby(["seed", "fold"])]

    assert len(aucs) == 10
    assert row(run, "tabnet")["fold_auc_mean"] == pytest.approx(np.mean(aucs))
    assert row(run, "tabnet")["fold_auc_sd"] == pytest.approx(np.std(aucs, ddof=1))


def test_a_clinical_score_is_ranked_by_its_points_and_has_no_folds(run, predictions):
    test = mean_by_study(predictions, "pesi", "test", "logit")

    assert row(run, "pesi")["auc"] == pytest.approx(roc_auc_score(test["label"], test["logit"]))
    assert np.isnan(row(run, "pesi")["fold_auc_mean"])


def test_ideal_rows_and_regret_come_from_the_ideal_risks(run, predictions):
    test = mean_by_study(predictions, "sanet", "test")
    ideal = pd.read_csv(run / "ideal.csv").set_index("study_id").loc[test.index]
    of_scan = roc_auc_score(test["label"], ideal["ideal_risk_ct"])
    of_both = roc_auc_score(test["label"], ideal["ideal_risk_both"])

    assert row(run, "ideal-ct")["auc"] == pytest.approx(of_scan)
    assert row(run, "sanet")["regret"] == pytest.approx(of_scan - row(run, "sanet")["auc"])
    assert row(run, "late-average")["regret"] == pytest.approx(of_both - row(run, "late-average")["auc"])
    assert np.isnan(row(run, "ideal-ct")["regret"])


def test_rows_stand_in_the_papers_order_with_ideals_last(run):
    assert table1(run)["model"].tolist() == [
        *("pesi", "spesi", "xgboost", "tabnet", "sanet", "late-average", "intermediate-sanet"),
        *("ideal-ct", "ideal-ehr", "ideal-both"),
    ]


def test_the_papers_figures_stand_beside(run):
    assert row(run, "intermediate-sanet")["paper_auc"] == 0.96
    assert row(run, "tabnet")["paper_sensitivity"] == 0.9
    assert np.isnan(row(run, "xgboost")["paper_auc"])  # the paper has no such row


def test_comparisons_are_paired_with_the_papers_model(run, predictions):
    results = load_results(run)
    ours, theirs = (mean_by_study(predictions, model, "test") for model in ("intermediate-sanet", "sanet"))
    label = ours["label"].to_numpy()
    expected = pauc.compare(
        *(pauc.ROC(label, table["risk"].to_numpy(), direction="<") for table in (ours, theirs)), method="delong"
    )
    against_sanet = next(one for one in results.comparisons if one.name == "sanet")

    assert results.reference == "intermediate-sanet"
    assert len(results.comparisons) == 6
    assert against_sanet.p_value == pytest.approx(expected.p_value)
    assert against_sanet.difference.value == pytest.approx(
        row(run, "intermediate-sanet")["auc"] - row(run, "sanet")["auc"]
    )
    assert all(one.p_holm >= one.p_value for one in results.comparisons)


def test_a_model_that_fails_on_the_test_year_is_marked(make_run):
    run = make_run(test=400, shortcut="sanet")
    found = table1(run).set_index("model")
    marked = {model.name for model in load_results(run).models if model.dropped}

    assert "sanet" in marked
    assert found.loc["sanet", "drop"] > 0.3
    assert found.loc["sanet", "drop_low"] > 0
    assert "intermediate-sanet" not in marked


def test_files_hold_what_the_tables_say(run):
    saved = pd.read_csv(run / "tables" / "table1.csv")
    shown = table1_readable(run)
    markdown = (run / "tables" / "table1.md").read_text(encoding="utf-8")

    np.testing.assert_allclose(saved["auc"], table1(run)["auc"], rtol=1e-5)
    assert shown["Model"].tolist()[4] == "SANet (scan)"
    assert all(cell in markdown for cell in shown["AUC [95 % CI]"])
    assert "Research use only" in markdown
    assert "Simulated data" in markdown
    assert json.loads((run / "results.json").read_text())["test_studies"] == 72


def test_results_are_computed_again_when_the_predictions_change(make_run):
    run = make_run(bare=True, models={"xgboost": 1.5})
    before = table1(run)["auc"][0]
    predictions = pd.read_csv(run / "predictions.csv")
    predictions["risk"] = 1 - predictions["risk"]
    predictions.to_csv(run / "predictions.csv", index=False)

    assert load_results(run) is None
    assert table1(run)["auc"][0] == pytest.approx(1 - before)


def test_page_and_tables_never_speak_of_different_results(make_run):
    """Results that another version wrote are not used for the page while the tables are made anew."""
    run = make_run(models={"tabnet": 1.5, "pesi": 1.0})
    build_report(run)
    page, stale = (run / "report.html").read_text(), run / "results.json"
    stale.write_text(stale.read_text().replace("TabNet", "Old name"))
    build_report(run)

    assert (run / "report.html").read_text() == page
    assert "Old name" not in stale.read_text()


def test_damaged_results_are_computed_again(make_run):
    run = make_run(bare=True, models={"xgboost": 1.5})
    before = table1(run)["auc"][0]
    (run / "results.json").write_text('{"format": 1, "inputs"')

    assert table1(run)["auc"][0] == before


def test_a_test_year_without_deaths_is_reported_as_such(make_run):
    run = make_run(models={"xgboost": 1.5})
    predictions = pd.read_csv(run / "predictions.csv")
    predictions.loc[predictions["split"] == "test", "label"] = 0
    predictions.to_csv(run / "predictions.csv", index=False)

    found = table1(run).set_index("model").loc["xgboost"]

    assert found["problem"] == "all its test studies survived, so nothing can be ranked"
    assert np.isnan(found["auc"])
    assert found["validation_auc"] > 0.5


def test_a_model_with_unknown_risks_is_left_unjudged_and_the_rest_goes_on(make_run):
    run = make_run(bare=True, models={"xgboost": 1.5, "sanet": 1.0})
    predictions = pd.read_csv(run / "predictions.csv")
    first = predictions.index[(predictions["model"] == "sanet") & (predictions["split"] == "test")][0]
    predictions.loc[first, "risk"] = np.nan
    predictions.to_csv(run / "predictions.csv", index=False)

    found = table1(run).set_index("model")

    assert found.loc["sanet", "problem"] == "1 of its test predictions are not numbers"
    assert found.loc["xgboost", "auc"] > 0.5


def test_no_threshold_is_taken_from_the_test_studies(make_run):
    run = make_run(bare=True, models={"xgboost": 1.5})
    predictions = pd.read_csv(run / "predictions.csv")
    predictions[predictions["split"] == "test"].to_csv(run / "predictions.csv", index=False)

    found = table1(run).set_index("model").loc["xgboost"]

    assert found["auc"] > 0.5
    assert np.isnan(found["threshold"])
    assert np.isnan(found["sensitivity"])


def test_studies_without_a_known_outcome_are_left_out(make_run):
    run = make_run(bare=True, models={"xgboost": 1.5})
    predictions = pd.read_csv(run / "predictions.csv")
    predictions["label"] = predictions["label"].where(predictions["study_id"] != "S0357")
    predictions.to_csv(run / "predictions.csv", index=False)

    assert table1(run)["studies"][0] == 71


class TestStudiesThatNotAllModelsJudged:
    """The last ten test studies have no usable scan; PESI is known for 34 of 72 test studies only."""

    @pytest.fixture(scope="class")
    @staticmethod
    def gaps(make_run):
        run = make_run(models={"pesi": 1.2, "xgboost": 1.8, "sanet": 1.3, "intermediate-sanet": 2.6})
        table = pd.read_csv(run / "predictions.csv")
        test = table["split"] == "test"
        names = sorted(table.loc[test, "study_id"].unique())
        unseen = test & table["model"].isin(["sanet", "intermediate-sanet"]) & table["study_id"].isin(names[-10:])
        unknown = test & (table["model"] == "pesi") & ~table["study_id"].isin(names[:34])
        table[~unseen & ~unknown].to_csv(run / "predictions.csv", index=False)
        build_report(run)
        return run, names

    def test_all_rows_are_about_the_same_studies(self, gaps):
        run, _ = gaps
        results = load_results(run)
        assert results is not None
        studies = {model.name: model.studies for model in results.models}

        assert (results.test_studies, results.all_test_studies) == (62, 72)
        assert {name: count for name, count in studies.items() if name != "pesi"} == dict.fromkeys(
            ["xgboost", "sanet", "intermediate-sanet", "ideal-ct", "ideal-ehr", "ideal-both"], 62
        )
        assert studies["pesi"] == 34

    def test_auc_is_that_of_the_common_studies_and_that_of_all_stands_apart(self, gaps):
        run, names = gaps
        table = pd.read_csv(run / "predictions.csv")
        risks = (
            table[(table["model"] == "xgboost") & (table["split"] == "test")]
            .groupby("study_id")[["label", "risk"]]
            .mean()
        )
        row = table1(run).set_index("model").loc["xgboost"]

        common = risks.loc[names[:-10]]
        assert row["auc"] == pytest.approx(roc_auc_score(common["label"], common["risk"]))
        assert row["own_auc"] == pytest.approx(roc_auc_score(risks["label"], risks["risk"]))
        assert row["own_studies"] == 72

    def test_page_and_table_say_so(self, gaps):
        run, _ = gaps
        page = (run / "report.html").read_text(encoding="utf-8")

        assert "10 test studies of 72 had no usable scan or no record for some model" in page
        assert "PESI (34 of 62)" in page
        assert "62 test studies of 72" in (run / "tables" / "table1.md").read_text(encoding="utf-8")


def test_models_that_were_not_trained_are_named_with_the_reason(make_run):
    run = make_run(models={"xgboost": 1.8})
    (run / "failed.csv").write_text(
        "model,seed,fold,reason\nsanet,0,0,No scan\nsanet,0,1,No scan\nlate-average,,,It starts from sanet.\n"
    )
    build_report(run)
    results = load_results(run)
    assert results is not None

    assert [(one.name, one.reason) for one in results.not_trained] == [
        ("sanet", "No scan"),
        ("late-average", "It starts from sanet."),
    ]
    assert "2 models could not be trained" in (run / "report.html").read_text(encoding="utf-8")
