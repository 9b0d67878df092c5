"""ROC and precision-recall curves on the page: whose bands are shown, and that the files hold what is drawn."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from pefuse.evaluation import mean_by_study, precision_recall_band, roc_band
from pefuse.report.aggregation import collect_scores
from pefuse.report.page import build_page
from pefuse.report.run_folder import read_run
from pefuse.report.sections import SECTIONS, Material
from pefuse.report.summarise import summarise_scores

MODELS = {"pesi": 0.9, "xgboost": 1.6, "tabnet": 0.4, "sanet": 1.0, "late-average": 2.0, "intermediate-sanet": 2.6}


def material_of(folder) -> Material:
    run = read_run(folder)
    results = summarise_scores(run, inputs="")
    return Material(run=run, results=results, scores=tuple(collect_scores(run)), folder=folder)


def curves_of(material: Material):
    """The page with this section alone."""
    return build_page(material, sections=[section for section in SECTIONS if section.name == "curves"])


@pytest.fixture(scope="module")
def material(make_run):
    return material_of(make_run(models=MODELS, bare=True))


@pytest.fixture(scope="module")
def numbers(material):
    """The numbers of each figure by its name."""
    return {plot.name: plot.numbers for plot in curves_of(material).plots}


@pytest.fixture(scope="module")
def test_scores(material):
    rows = material.run.predictions
    rows = rows[(rows["model"] == "sanet") & (rows["split"] == "test")]
    return mean_by_study(rows.assign(score=rows["risk"]), "risk", "score")


def parts(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The curve and the band of a figure's numbers."""
    curve, band = (table[table["part"] == part].dropna(axis="columns") for part in ("curve", "95 % band"))
    return curve, band


def test_bands_are_of_the_reference_and_of_what_validation_preferred(material, numbers):
    """Of the record XGBoost, which is better on validation; of the scan SANet, the only one."""
    validation = {model.name: model.validation_auc.value for model in material.results.models}
    assert validation["xgboost"] > validation["tabnet"]

    assert {name for name in numbers if "-band-" in name} == {
        f"{kind}-band-{name}" for kind in ("roc", "pr") for name in ("intermediate-sanet", "sanet", "xgboost")
    }


def test_the_roc_figure_holds_the_curve_and_its_band(numbers, test_scores):
    curve, band = parts(numbers["roc-band-sanet"])
    label, score = test_scores["label"], test_scores["score"]
    false, true, _ = roc_curve(label, score)
    expected = roc_band(label, score, resamples=1000)

    np.testing.assert_allclose(curve[["false_positive_rate", "true_positive_rate"]], np.stack([false, true], 1))
    np.testing.assert_allclose(band["true_positive_rate_low"], expected.low)
    np.testing.assert_allclose(band["true_positive_rate_high"], expected.high)


def test_the_precision_figure_holds_the_curve_and_its_band(numbers, test_scores):
    curve, band = parts(numbers["pr-band-sanet"])
    label, score = test_scores["label"], test_scores["score"]
    precision, recall, _ = precision_recall_curve(label, score)
    expected = precision_recall_band(label, score, resamples=1000)

    np.testing.assert_allclose(curve["precision"], precision[-2::-1])
    np.testing.assert_allclose(curve["recall"], recall[-2::-1])
    np.testing.assert_allclose(band["precision_low"], expected.low)
    assert (band["precision_low"] <= band["precision_high"]).all()


def test_every_model_has_both_curves_in_a_panel_of_its_family(numbers):
    for kind in ("roc", "pr"):
        shown = pd.concat(
            table for name, table in numbers.items() if name.startswith(f"{kind}-") and "-band-" not in name
        )
        assert set(shown["model"]) == set(MODELS)


def test_without_a_judged_model_there_are_no_curves(make_run):
    page = curves_of(material_of(make_run(models={"xgboost": 1.0}, test=20, mortality=0.0, bare=True)))

    assert page.plots == ()
    assert "No model could be judged on the test studies." in page.html


def test_the_line_of_chance_is_dashed_as_the_page_says(material):
    """Dashes of six line widths; of two they look like dots, which is how the ideal predictor is drawn."""
    for name in ("roc-single", "pr-single"):
        svg = next(plot.svg for plot in curves_of(material).plots if plot.name == name)
        chance = re.search(
            r"stroke-dasharray: ([\d.]+),([\d.]+)[^\"]*stroke: #5b6675; stroke-width: ([\d.]+)", svg
        )

        assert chance is not None
        dash, _, width = map(float, chance.groups())
        assert dash / width > 5
