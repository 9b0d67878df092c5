"""What models of the record went by, as the page has it."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from pefuse.errors import RunError
from pefuse.report.aggregation import collect_scores
from pefuse.report.explanations import read_not_explained, read_record_importance
from pefuse.report.importance import agreement_sentence, importance_panels, reasons_sentences, same_sentence
from pefuse.report.page import build_page
from pefuse.report.run_folder import read_run
from pefuse.report.sections import SECTIONS, Material
from pefuse.report.summarise import summarise_scores

NAMES = {"xgboost", "tabnet", "late-average", "early"}


def table_of(**models: dict[str, float]) -> pd.DataFrame:
    """`tabnet={"lactate": 0.5}`: rows of model, method, feature, importance; trees have SHAP values."""
    return pd.DataFrame(
        [
            (model.replace("_", "-"), "shap" if model == "xgboost" else "masks", feature, importance)
            for model, features in models.items()
            for feature, importance in features.items()
        ],
        columns=["model", "method", "feature", "importance"],
    )


NOTHING = table_of().drop(columns="method")


def test_models_with_the_same_network_share_a_panel():
    """The late average has TabNet's masks; a share that differs in the third digit is another network's."""
    masks = {"lactate": 0.6, "age": 0.4}
    panels = importance_panels(table_of(late_average=masks, tabnet=masks, xgboost=masks), NOTHING, NAMES)

    assert [(panel.models, panel.method) for panel in panels] == [
        (("xgboost",), "shap"),
        (("tabnet", "late-average"), "masks"),
    ]
    assert same_sentence(panels[0]) == ""
    assert same_sentence(panels[1]).startswith("Late average has the same as TabNet (record)")
    other = importance_panels(
        table_of(late_average={"lactate": 0.601, "age": 0.399}, tabnet=masks), NOTHING, NAMES
    )
    assert len(other) == 2


def test_what_was_not_explained_is_shown_as_training_kept_it():
    own = pd.DataFrame({"model": ["tabnet", "xgboost"], "feature": ["sodium", "age"], "importance": [1.0, 1.0]})

    panels = importance_panels(table_of(tabnet={"lactate": 1.0}), own, NAMES)

    assert [(panel.models[0], panel.method, panel.table["feature"][0]) for panel in panels] == [
        ("xgboost", "", "age"),
        ("tabnet", "masks", "lactate"),
    ]
    assert [panel.method for panel in importance_panels(None, own, NAMES)] == ["", ""]
    assert importance_panels(None, NOTHING, NAMES) == []


def test_models_that_are_not_in_the_table_have_no_panel():
    assert importance_panels(table_of(tabnet={"lactate": 1.0}), NOTHING, {"xgboost"}) == []


def test_the_features_that_all_have_among_their_first_ten_are_told():
    """Twelve features each; trees turn the order round, so the first two and the last two are in one list only."""
    shares = {f"f{place:02d}": (12 - place) / 78 for place in range(12)}
    turned = dict(zip(shares, reversed(shares.values()), strict=True))
    panels = importance_panels(table_of(tabnet=shares, xgboost=turned), NOTHING, NAMES)

    sentence = agreement_sentence(panels)

    assert sentence.startswith("Among the first 10 of all of them: f09, f08,")
    assert sentence.endswith("f03 and f02.")
    assert agreement_sentence(panels[:1]) == ""


def test_a_feature_without_importance_is_agreed_on_by_nobody():
    """Trees that used one feature have nine others at 0: those are not among their first ten."""
    panels = importance_panels(
        table_of(tabnet={"lactate": 0.5, "age": 0.5}, xgboost={"sodium": 1.0, "lactate": 0.0}), NOTHING, NAMES
    )

    assert agreement_sentence(panels).startswith("No feature is among the first 10 of all of them")


def test_reasons_are_told_once():
    reasons = {"early": "no mask chooses.", "late-average": "no mask chooses.", "mbt": "not asked for."}

    assert reasons_sentences(reasons, NAMES) == ["Late average and Early fusion: no mask chooses."]


@pytest.fixture(scope="module")
def build(make_run):
    """The section of a run with these explanations."""

    def make(table: pd.DataFrame | None, reasons: dict[str, str] | None = None):
        folder = make_run(models={"xgboost": 1.8, "tabnet": 1.6, "late-average": 2.0})
        (folder / "explanations").mkdir()
        if table is not None:
            table.to_csv(folder / "explanations" / "record_importance.csv", index=False)
        if reasons is not None:
            (folder / "explanations" / "not_explained.json").write_text(json.dumps(reasons), encoding="utf-8")
        run = read_run(folder)
        results = summarise_scores(run, inputs="")
        material = Material(run=run, results=results, scores=tuple(collect_scores(run)), folder=folder)
        return folder, build_page(material, sections=[one for one in SECTIONS if one.name == "importance"])

    return make


def test_the_page_has_a_panel_a_measure_and_its_meaning(build):
    masks = {"lactate (mmol/L)": 0.7, "<b>age</b>": 0.3}
    _, page = build(table_of(tabnet=masks, late_average=masks, xgboost=masks), {"early": "not in this run."})
    html = page.html.split("</style>", 1)[1]

    assert [plot.name for plot in page.plots] == ["importance-xgboost", "importance-tabnet"]
    assert "SHAP values are the log-odds" in html
    assert "masks say where each of its steps looked" in html
    assert "Late average has the same as TabNet (record)" in html
    assert "mean over test studies and folds" in html
    assert "<b>age" not in html
    assert "not in this run" not in html


def test_without_explanations_the_page_says_what_training_kept(build):
    _, page = build(None)
    html = page.html.split("</style>", 1)[1]

    assert page.plots != ()
    assert "mean over folds" in html
    assert "SHAP" not in html


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("model,method,feature\na,b,c\n", 'lacks the column "importance"'),
        ("model,method,feature,importance\na,masks,c,nan\n", "not always within 0 and 1"),
        ("model,method,feature,importance\na,masks,c,1.7\n", "not always within 0 and 1"),
        ("", "cannot be read"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, content, words):
    (tmp_path / "explanations").mkdir()
    (tmp_path / "explanations" / "record_importance.csv").write_text(content, encoding="utf-8")

    with pytest.raises(RunError, match=words):
        read_record_importance(tmp_path)


@pytest.mark.parametrize("content", ["{", "[1]", '{"early": 3}'])
def test_damaged_reasons_are_refused(tmp_path, content):
    (tmp_path / "explanations").mkdir()
    (tmp_path / "explanations" / "not_explained.json").write_text(content, encoding="utf-8")

    with pytest.raises(RunError, match=r"not_explained\.json"):
        read_not_explained(tmp_path)


def test_what_is_not_there_is_not_missed(tmp_path):
    assert read_record_importance(tmp_path) is None
    assert read_not_explained(tmp_path) == {}
