"""Folds: patients never straddle, the latest year is the test set, both classes everywhere."""

from __future__ import annotations

import pandas as pd
import pytest

from pefuse.cohort import load_cohort, make_folds
from pefuse.errors import CohortError, UsageError
from pefuse.types import Cohort, Fold


@pytest.fixture
def load(write_studies):
    """`load(rows)`: a cohort of rows as dicts; a missing cell is empty."""

    def make(rows: list[dict[str, object]]) -> Cohort:
        frame = pd.DataFrame(rows)
        return load_cohort(write_studies(frame.to_numpy().tolist(), list(frame.columns)))

    return make


def patients(cohort: Cohort, studies: tuple[str, ...]) -> set[int]:
    return set(cohort.studies.loc[list(studies), "patient_id"])


def check_fold(cohort: Cohort, fold: Fold) -> None:
    parts = [fold.train, fold.validation, fold.test]
    for number, part in enumerate(parts):
        assert cohort.studies.loc[list(part), "label"].nunique() == 2
        for other in parts[number + 1 :]:
            assert not patients(cohort, part) & patients(cohort, other)


def test_every_study_before_the_test_year_validates_once(load, many_studies):
    cohort = load(many_studies(120, 24, [2015, 2016, 2017]))

    folds = make_folds(cohort, folds=5, seed=3)

    latest = set(cohort.studies.index[cohort.studies["year"] == 2017])
    assert len(folds) == 5
    assert [fold.index for fold in folds] == list(range(5))
    assert sorted(sum((fold.validation for fold in folds), ())) == sorted(set(cohort.studies.index) - latest)
    for fold in folds:
        assert set(fold.test) == latest
        assert set(fold.train) | set(fold.validation) == set(cohort.studies.index) - latest
        check_fold(cohort, fold)


def test_the_share_of_deaths_is_about_the_same_in_every_validation_set(load, many_studies):
    """16 deaths among 80 studies outside the test year, 5 folds: 3 or 4 in each."""
    cohort = load(many_studies(120, 24, [2015, 2016, 2017]))

    deaths = [int(cohort.studies.loc[list(fold.validation), "label"].sum()) for fold in make_folds(cohort)]

    assert sum(deaths) == 16
    assert set(deaths) <= {3, 4}


def test_a_patient_with_a_study_in_the_test_year_is_not_trained_on(load, many_studies):
    rows = many_studies(60, 20, [2015, 2016, 2017])
    earlier = next(row for row in rows if row["index_time"].startswith("2015"))
    latest = next(row for row in rows if row["index_time"].startswith("2017"))
    earlier["patient_id"] = latest["patient_id"]
    cohort = load(rows)

    for fold in make_folds(cohort, folds=3):
        assert latest["study_id"] in fold.test
        assert earlier["study_id"] not in fold.train + fold.validation + fold.test
        check_fold(cohort, fold)


def test_studies_of_one_patient_stay_together(load, many_studies):
    """Patients of three studies each, in different years before the test year."""
    rows = many_studies(150, 50, [2015, 2016, 2017])
    early = [row for row in rows if not row["index_time"].startswith("2017")]
    for number, row in enumerate(early):
        row["patient_id"] = 5000 + number // 3
    cohort = load(rows)

    for fold in (*make_folds(cohort, folds=4, seed=1), *make_folds(cohort, folds=1, seed=1)):
        check_fold(cohort, fold)


def test_one_fold_has_the_proportions_of_the_paper(load, many_studies):
    """Of 286 studies before the test year 44 validate, as in the paper: 40 of 258 survivors, 4 of 28 deaths."""
    rows = []
    for year, count, deaths in ((2014, 286, 28), (2018, 72, 10)):
        for row in many_studies(count, deaths, [year]):
            rows.append(
                {**row, "study_id": f"{year}-{row['study_id']}", "patient_id": row["patient_id"] + year * 10000}
            )
    cohort = load(rows)

    (fold,) = make_folds(cohort, folds=1)

    assert (len(fold.train), len(fold.validation), len(fold.test)) == (242, 44, 72)
    assert cohort.studies.loc[list(fold.validation), "label"].sum() == 4
    check_fold(cohort, fold)


def test_same_seed_same_folds_whatever_the_order_of_the_rows(load, many_studies):
    rows = many_studies(90, 30, [2015, 2016, 2017])
    first = make_folds(load(rows), folds=3, seed=7)
    other_seed = make_folds(load(rows), folds=3, seed=8)
    backwards = make_folds(load(rows[::-1]), folds=3, seed=7)

    assert first != other_seed
    assert [set(fold.validation) for fold in first] == [set(fold.validation) for fold in backwards]


def test_unlabelled_studies_and_those_not_asked_for_are_left_out(load, many_studies):
    rows = many_studies(90, 30, [2015, 2016, 2017])
    rows[1]["died"] = None
    cohort = load(rows)
    chosen = [study_id for study_id in cohort.studies.index if study_id != "s010"]

    for fold in make_folds(cohort, folds=3, studies=chosen):
        assert not {"s001", "s010"} & set(fold.train + fold.validation + fold.test)


def split_rows(many_studies, splits: list[str]) -> list[dict[str, object]]:
    rows = many_studies(60, 20, [2015])
    return [{**row, "split": splits[(number // 3) % len(splits)]} for number, row in enumerate(rows)]


def test_a_given_split_is_used_as_it_is(load, many_studies):
    cohort = load(split_rows(many_studies, ["train", "train", "validation", "test"]))

    (fold,) = make_folds(cohort, folds=5)

    for name, part in (("train", fold.train), ("validation", fold.validation), ("test", fold.test)):
        assert set(part) == set(cohort.studies.index[cohort.studies["split"] == name])


def test_a_given_test_set_without_validation_is_folded(load, many_studies):
    cohort = load(split_rows(many_studies, ["train", "train", "test"]))

    folds = make_folds(cohort, folds=4)

    assert len(folds) == 4
    assert all(set(fold.test) == set(cohort.studies.index[cohort.studies["split"] == "test"]) for fold in folds)


def test_a_patient_in_two_given_splits_is_refused(load, many_studies):
    rows = split_rows(many_studies, ["train", "test"])
    rows[3]["patient_id"] = rows[0]["patient_id"]
    with pytest.raises(CohortError, match=r"a patient is in two splits, see 2 studies \(s000, s003\)"):
        make_folds(load(rows))


def test_a_split_for_some_only_is_refused(load, many_studies):
    rows = split_rows(many_studies, ["train", "test"])
    rows[0]["split"] = ""
    with pytest.raises(CohortError, match="study s000 with a known outcome but no split"):
        make_folds(load(rows))


@pytest.mark.parametrize(
    ("count", "deaths", "years", "folds", "message"),
    [
        (30, 3, [2015, 2016, 2017], 3, "deaths of 2 patients, fewer than the 3 folds: ask for 2"),
        (30, 10, [2015], 3, "of one year"),
        (40, 2, [2015, 2016], 2, "deaths of 1 patients: training and validation need one each"),
    ],
)
def test_too_few_is_said_before_anything_is_trained(load, many_studies, count, deaths, years, folds, message):
    with pytest.raises(CohortError, match=message):
        make_folds(load(many_studies(count, deaths, years)), folds=folds)


def test_one_class_is_refused(load, many_studies):
    rows = [{**row, "died": 0} for row in many_studies(30, 10, [2015, 2016])]
    with pytest.raises(CohortError, match="All 30 studies with a known outcome have the same one"):
        make_folds(load(rows))


def test_a_test_year_of_one_class_is_refused(load, many_studies):
    rows = many_studies(60, 20, [2015, 2016])
    rows = [{**row, "died": 0 if row["index_time"].startswith("2016") else row["died"]} for row in rows]
    with pytest.raises(CohortError, match=r"The test set has 0 deaths among 30 studies.*Choose another test set"):
        make_folds(load(rows))


def test_wrong_arguments_are_the_users_error(load, many_studies):
    cohort = load(many_studies(60, 20, [2015, 2016]))
    with pytest.raises(UsageError, match="folds is 0"):
        make_folds(cohort, folds=0)
    with pytest.raises(UsageError, match="does not have study nobody"):
        make_folds(cohort, studies=["s000", "nobody"])


def test_follow_up_that_is_too_short_for_all_is_named(load, many_studies):
    rows = [
        {key: value for key, value in row.items() if key != "died"}
        | {"death_time": "", "last_follow_up": row["index_time"]}
        for row in many_studies(8, 2, [2015, 2016])
    ]
    with pytest.raises(CohortError, match="no patient was followed up for long enough"):
        make_folds(load(rows))
