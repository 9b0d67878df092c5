"""The cohort table: groups, shares and differences by hand, what is missing, and what cannot be told."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from pefuse.report import build_report
from pefuse.report.characteristics import cohort_table
from pefuse.report.run_folder import read_run
from pefuse.report.tables import cohort_note, cohort_numbers, cohort_text

KNOWN = [
    {"name": "cancer", "label": "cancer", "unit": "", "group": "History", "kind": "state"},
    {"name": "smoking", "label": "smoking", "unit": "", "group": "History", "kind": "text"},
    {"name": "heart_rate", "label": "heart rate", "unit": "/min", "group": "Vital signs", "kind": "number"},
    {"name": "nt_probnp", "label": "NT-proBNP", "unit": "ng/L", "group": "Laboratory", "kind": "skewed"},
]


@pytest.fixture(scope="module")
def run(make_run):
    """8 to learn from and 4 to test with; S0000 and S0001 died, and S0008 of the test studies."""
    folder = make_run(development=8, test=4, mortality=0.2, folds=2, models={"pesi": 1.2, "xgboost": 1.5})
    pd.DataFrame(
        {
            "study_id": [f"S{number:04d}" for number in range(12)],
            "cancer": [1, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, None],
            "smoking": ["never"] * 5 + ["former"] * 3 + ["never", "former", "former", None],
            "heart_rate": [100, 120, 80, 80, 90, 90, 70, 70, 110, 100, 90, 80],
            "nt_probnp": [9000, 4000, 100, 200, 300, 400, None, None, 5000, 600, 700, 50000],
        }
    ).to_csv(folder / "characteristics.csv", index=False)
    about = json.loads((folder / "cohort.json").read_text())
    (folder / "cohort.json").write_text(json.dumps(about | {"characteristics": KNOWN}))
    build_report(folder)
    return folder


@pytest.fixture(scope="module")
def table(run):
    return cohort_table(read_run(run))


def row(table, name, level=""):
    return next(one for one in table.rows if (one.name, one.level) == (name, level))


def test_every_study_stands_in_one_split_and_has_one_outcome(table):
    assert table.sizes == {
        "development": 8, "test": 4, "survived": 9, "died": 3,
        "development, survived": 6, "development, died": 2, "test, survived": 3, "test, died": 1,
    }  # fmt: skip


def test_a_state_is_a_share_of_those_known(table):
    """3 of 8 against 2 of 3 known; (2/3 - 3/8) / sqrt((2/9 + 15/64) / 2)."""
    cancer = row(table, "cancer")

    assert (cancer.cells["development"].count, cancer.cells["development"].known) == (3, 8)
    assert (cancer.cells["test"].count, cancer.cells["test"].known) == (2, 3)
    assert cancer.missing == 1
    assert cancer.by_split.value == pytest.approx((2 / 3 - 3 / 8) / math.sqrt((2 / 9 + 15 / 64) / 2))


def test_a_number_is_a_mean_and_its_difference_is_in_standard_deviations(table):
    """Died 100, 120, 110; survived 80, 80, 90, 90, 70, 70, 100, 90, 80: variances 100 and 100."""
    rate = row(table, "heart_rate")

    assert (rate.cells["died"].mean, rate.cells["died"].sd) == (110.0, 10.0)
    assert rate.cells["survived"].mean == pytest.approx(750 / 9)
    assert rate.by_outcome.value == pytest.approx((110 - 750 / 9) / 10)
    assert rate.by_outcome.marked


def test_skewed_numbers_are_told_by_quartiles_and_compared_by_ranks(table):
    """Died ranks 9, 7, 8; survived 1 to 6 and 10: means 8 and 31/7, variances 1 and 9.62."""
    level = row(table, "nt_probnp")
    survived = np.array([1, 2, 3, 4, 5, 6, 10])

    assert (level.cells["died"].median, level.cells["died"].low, level.cells["died"].high) == (5000, 4500, 7000)
    assert level.by_outcome.value == pytest.approx(
        (8 - survived.mean()) / math.sqrt((1 + survived.var(ddof=1)) / 2)
    )
    assert level.missing == 2


def test_a_text_has_a_row_a_level_and_one_difference(table):
    assert [one.level for one in table.rows if one.name == "smoking"] == ["", "former", "never"]
    assert row(table, "smoking").by_split is not None
    assert row(table, "smoking", "former").by_split is None
    assert row(table, "smoking", "former").cells["test"].count == 2
    assert (row(table, "smoking").missing, row(table, "smoking", "former").cells["test"].known) == (1, 3)


def test_a_difference_within_chance_is_not_marked(table):
    """Women are 2 of 3 who died and 4 of 9 who survived; with three deaths chance alone makes 1.31."""
    women = row(table, "female").by_outcome

    assert women.value == pytest.approx((2 / 3 - 4 / 9) / math.sqrt((2 / 9 + 20 / 81) / 2))
    assert women.chance == pytest.approx(1.31, abs=0.01)
    assert not women.marked


def test_the_years_of_the_splits_are_told_and_not_compared(table):
    year = row(table, "year")

    assert (year.cells["test"].low, year.cells["test"].high) == (2018, 2018)
    assert year.by_split is year.by_outcome is None


def test_the_points_of_a_clinical_score_are_in_it(run, table):
    predictions = pd.read_csv(run / "predictions.csv")
    died = predictions[(predictions["model"] == "pesi") & (predictions["label"] == 1)]

    assert row(table, "pesi").cells["died"].median == died.drop_duplicates("study_id")["logit"].median()


def test_what_all_have_alike_or_nobody_has_is_left_out(table):
    """The made-up studies have no site."""
    assert "site" not in [one.name for one in table.rows]
    assert "spesi" not in [one.name for one in table.rows]


def test_rare_levels_become_others(make_run):
    """12 sites: the seven most frequent stay, the other five are one level."""
    folder = make_run(development=120, test=40, models={"xgboost": 1.5})
    people = pd.read_csv(folder / "studies.csv")
    people["site"] = [f"site {min(index % 16, 11):02d}" for index in range(len(people))]
    people.to_csv(folder / "studies.csv", index=False)

    levels = [one.level for one in cohort_table(read_run(folder)).rows if one.name == "site"][1:]

    assert len(levels) == 8
    assert levels[-1] == "others"
    assert "site 11" in levels


def test_text_and_numbers_say_the_same(run, table):
    text = cohort_text(table).set_index("Characteristic")
    numbers = pd.read_csv(run / "tables" / "cohort.csv").set_index(["characteristic", "group"])

    assert text.loc["Heart rate, /min", "Died (n = 3)"] == "110.0 ± 10.0"
    assert text.loc["NT-proBNP, ng/L", "Died (n = 3)"] == "5000 [4500–7000]"
    assert text.loc["Cancer", "Test (n = 4)"] == "2 (66.7 %)"
    assert text.loc["Cancer", "Missing"] == "1"
    assert text.loc["… former", "Test (n = 4)"] == "2 (66.7 %)"
    assert text.loc["Year of the scan", "Test (n = 4)"] == "2018"
    assert numbers.loc[("heart_rate", "test, died"), "mean"] == 110
    assert numbers.loc[("cancer", "test"), "share"] == pytest.approx(2 / 3, rel=1e-5)
    assert len(numbers.loc["cancer"]) == 8
    assert len(cohort_numbers(table)) == len(numbers)


def test_the_note_says_how_far_chance_goes(table):
    """1.96 sqrt(1/8 + 1/4) = 1.20, 1.96 sqrt(1/9 + 1/3) = 1.31."""
    assert "up to 1.20 between the splits and up to 1.31 between the outcomes" in cohort_note(table)


def test_the_page_shows_the_table(run):
    page = (run / "report.html").read_text(encoding="utf-8")

    assert "<b>2.67</b>" in page
    assert "Vital signs" in page
    assert "is not in the table" not in page


def test_studies_that_no_model_could_judge_are_told(make_run):
    """The splits of cohort.json hold 4 and 2 studies more than were predicted."""
    folder = make_run(development=20, test=10, models={"sanet": 1.5})
    about = json.loads((folder / "cohort.json").read_text())
    about["by_split"]["development"]["studies"] += 4
    about["by_split"]["test"]["studies"] += 2
    (folder / "cohort.json").write_text(json.dumps(about))

    page = build_report(folder).read_text(encoding="utf-8")

    assert "6 studies of the flow below are not in the table: no model could judge them." in page


def test_a_run_where_nobody_died_is_described_without_differences_of_outcomes(make_run):
    folder = make_run(models={"xgboost": 1.5})
    predictions = pd.read_csv(folder / "predictions.csv")
    predictions.assign(label=0).to_csv(folder / "predictions.csv", index=False)

    table = cohort_table(read_run(folder))

    assert table.sizes["died"] == 0
    assert all(one.by_outcome is None for one in table.rows)
    assert "between the outcomes" not in cohort_note(table)
    assert cohort_text(table)["Died (n = 0)"].isin(["–", "0", ""]).all()


def test_a_run_of_predictions_alone_counts_patients_and_deaths(make_run):
    table = cohort_table(read_run(make_run(bare=True, models={"my-net": 1.5})))

    assert [one.name for one in table.rows] == ["patients", "died"]
