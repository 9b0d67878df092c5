"""Tables 2 and 3 and the repeats: which rows, which numbers, and as CSV, Markdown and LaTeX."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pefuse.evaluation import auroc, bootstrap_scores, delong_test, holm, mean_by_study, paper_ks_p_value
from pefuse.report import build_report
from pefuse.report.results import load_results
from pefuse.report.tables import ablations, latex, markdown, table3_text

MODELS = {
    "pesi": 1.2,
    "spesi": 1.0,
    "tabnet": 1.6,
    "tabnet-dim256": 1.6,
    "sanet": 1.3,
    "late-average": 2.4,
    "intermediate-sanet": 2.0,
    "intermediate-sanet-fc": 1.4,
    "intermediate-sanet-nmf": 1.9,
    "intermediate-sanet-dim256": 2.1,
}


@pytest.fixture(scope="module")
def run(make_run):
    folder = make_run(models=MODELS, test=300, mortality=0.15, folds=3, seeds=2)
    build_report(folder)
    return folder


@pytest.fixture(scope="module")
def results(run):
    return load_results(run)


def judged(run, model: str) -> pd.DataFrame:
    table = pd.read_csv(run / "predictions.csv")
    rows = table[(table["model"] == model) & (table["split"] == "test")]
    return mean_by_study(rows.assign(score=rows["logit"] if "pesi" in model else rows["risk"]), "score")


def test_each_model_stands_in_one_table(results):
    """Variants of the full model in Table 3; an encoder of another width, which only they start from, in none."""
    one, three = ([model.name for model in results.of_table(number)] for number in (1, 3))

    assert [name for name in one if not name.startswith("ideal")] == [
        "pesi", "spesi", "tabnet", "sanet", "late-average", "intermediate-sanet",
    ]  # fmt: skip
    assert three == ["intermediate-sanet-dim256", "intermediate-sanet-fc", "intermediate-sanet-nmf"]
    assert [model.name for model in results.of_table(0)] == ["tabnet-dim256"]


def test_without_ablations_a_variant_is_a_row_of_table_1(make_run):
    folder = make_run(models={"tabnet": 1.0, "sanet": 1.0, "early-nmf": 1.5})
    build_report(folder)

    assert "early-nmf" in [model.name for model in load_results(folder).of_table(1)]
    assert not (folder / "tables" / "table3.csv").exists()


def test_table_3_has_the_paper_s_parts_in_its_order_and_the_full_model_last(run, results):
    rows = ablations(results)
    assert [(row.section, row.label) for row in rows] == [
        ("Final component", "FC layer"),
        ("Dimensionality reduction", "NMF"),
        ("Embedding dimension", "d = 256"),
        ("Full", "all as in Table 1"),
    ]
    table = pd.read_csv(run / "tables" / "table3.csv").set_index("model")
    assert table["paper_auc"].tolist() == [0.90, 0.94, 0.96, 0.96]
    assert table["auc"]["intermediate-sanet-fc"] == pytest.approx(
        auroc(*columns(run, "intermediate-sanet-fc")), rel=1e-5
    )
    text = table3_text(results)
    assert text["AUC in the paper"].tolist() == ["0.90*", "0.94", "0.96", "0.96"]


def columns(run, model: str):
    table = judged(run, model)
    return table["label"], table["score"]


def test_the_tests_of_table_3_are_adjusted_among_themselves(run, results):
    """Three comparisons: paired DeLong, paired bootstrap, and the paper's own beside."""
    label, full = columns(run, "intermediate-sanet")
    names = ["intermediate-sanet-dim256", "intermediate-sanet-fc", "intermediate-sanet-nmf"]
    scores = [columns(run, name)[1] for name in names]
    of_table = {one.name: one for one in results.comparisons if one.table == 3}

    assert list(of_table) == names
    delong = [delong_test(label, full, score).p_value for score in scores]
    resampled = [bootstrap_scores(label, [full, score]).difference(0, 1).p_value for score in scores]
    assert [of_table[name].p_holm for name in names] == pytest.approx(holm(delong).tolist())
    assert [of_table[name].p_bootstrap_holm for name in names] == pytest.approx(holm(resampled).tolist())
    assert [of_table[name].paper_p for name in names] == pytest.approx(
        [paper_ks_p_value(label, full, score) for score in scores]
    )


def test_without_the_full_model_table_3_is_held_against_no_other(make_run):
    folder = make_run(models={"early": 1.5, "intermediate-sanet-fc": 1.4}, test=60, mortality=0.3)
    build_report(folder)
    results = load_results(folder)

    assert results.reference != "intermediate-sanet"
    assert all(row.against_full is None for row in ablations(results))


def test_table_2_is_of_the_model_that_validation_chose_and_of_the_scores(run, results):
    """late-average is the strongest by far, but fitted on validation: no choice. Test results have no say."""
    people = pd.read_csv(run / "studies.csv").set_index("study_id")
    test = judged(run, "intermediate-sanet")
    women = test[people.loc[test.index, "sex"] == "F"]
    table = pd.read_csv(run / "tables" / "table2.csv").set_index(["model", "group"])

    assert [row.name for row in results.subgroups] == ["intermediate-sanet", "pesi", "spesi"]
    assert results.subgroups[0].chosen_by == "highest validation AUC"
    assert table["auc"]["intermediate-sanet", "female"] == pytest.approx(
        auroc(women["label"], women["score"]), rel=1e-5
    )
    assert table["deaths"]["intermediate-sanet", "female"] == women["label"].sum()
    assert table["paper_auc"]["intermediate-sanet", "male"] == 0.98  # its multimodal model's
    assert table["paper_auc"]["spesi", "70–95"] == 0.60
    text = (run / "tables" / "table2.md").read_text()
    assert "| in the paper | 0.96 | 0.98 |" in text  # over all its patients, then men
    assert "fitted on validation" in text
    groups = table.loc["pesi"]
    assert groups.loc[["0–50", "50–70", "70–95"], "studies"].sum() == len(test)


def test_a_subgroup_with_too_few_deaths_says_so_and_nothing_else(make_run):
    folder = make_run(models={"tabnet": 1.5, "pesi": 1.0}, test=72, mortality=0.06)
    build_report(folder)
    table = pd.read_csv(folder / "tables" / "table2.csv")

    few = table[~table["enough"]]
    assert len(few)
    assert few[["auc", "auc_low", "auc_high"]].isna().all().all()
    assert "too few to say" in (folder / "tables" / "table2.md").read_text()
    assert "too few to say" in (folder / "report.html").read_text()


def test_a_run_that_knows_nothing_of_its_patients_has_no_table_2(make_run):
    folder = make_run(models={"tabnet": 1.5, "pesi": 1.0})
    (folder / "studies.csv").unlink()
    build_report(folder)

    assert not (folder / "tables" / "table2.csv").exists()
    assert "Table 2" not in (folder / "report.html").read_text()


def test_repeats_are_each_trained_model_alone_on_the_test_studies(run, results):
    table = pd.read_csv(run / "predictions.csv")
    rows = table[(table["model"] == "sanet") & (table["split"] == "test")]
    aucs = [auroc(one["label"], one["risk"]) for _, one in rows.groupby(["seed", "fold"])]
    written = pd.read_csv(run / "tables" / "repeats.csv").set_index("model")

    assert set(written.index) == {"tabnet", "sanet", "late-average", "intermediate-sanet"}
    assert written["repeats"].unique().tolist() == [6]
    assert written["auc_mean"]["sanet"] == pytest.approx(np.mean(aucs), rel=1e-5)
    assert written["auc_sd"]["sanet"] == pytest.approx(np.std(aucs, ddof=1), rel=1e-5)
    assert np.isnan(written["to_best"].iloc[0])
    assert (written["to_best"].iloc[1:] < 0).all()


def test_every_table_is_written_three_ways(run):
    for name in ("table1", "table2", "table3", "repeats"):
        numbers = pd.read_csv(run / "tables" / f"{name}.csv")
        lines = (run / "tables" / f"{name}.md").read_text().splitlines()
        tex = (run / "tables" / f"{name}.tex").read_text()

        assert len(numbers)
        assert lines[0].count("|") == lines[2].count("|")
        assert tex.count(r"\toprule") == 1
        assert "Simulated data" in tex
        for sign in "−±–":
            assert sign not in tex.split("\n", 1)[1]


def test_markdown_and_latex_take_signs_that_mean_something_there():
    table = pd.DataFrame({"Model": ["a_b"], "AUC [95 %]": ["0.90* ± 0.1"]})

    assert markdown(table).splitlines()[2] == r"| a_b | 0.90\* ± 0.1 |"
    assert r"a\_b & 0.90* $\pm$ 0.1" in latex(table)
    assert r"AUC [95 \%]" in latex(table)


def test_the_page_shows_all_tables(run):
    page = (run / "report.html").read_text()

    for heading in (
        "Table 1. The models",
        "Table 2. Subgroups",
        "Table 3. The full model taken apart",
        "Over folds",
    ):
        assert heading in page
    table3 = page.split('<section id="table3">')[1].split("</section>")[0]
    assert table3.count('class="part"') == 4
    assert "1D-CNN" not in page  # not in this run
