"""Splitting a cohort: patients never straddle, the test studies are the same in every fold.

The test set is the latest year, as in the paper, unless the cohort brings its own `split`. A patient with a study
in the test set gives all other studies up: none of them may be trained on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from pefuse.cohort.studies import name_cases
from pefuse.errors import CohortError, UsageError
from pefuse.types import Cohort, Fold

__all__ = ["make_folds", "nested_folds"]

VALIDATION_SHARE = 44 / 286  # the paper's: 242 to train, 44 to validate


def make_folds(
    cohort: Cohort, *, folds: int = 5, seed: int = 0, studies: Sequence[str] | None = None
) -> tuple[Fold, ...]:
    """Split the labelled studies.

    Args:
        cohort: the cohort; where it has a `split`, that is used, and `folds` counts only if no study of it is
            for validation.
        folds: 1 makes one split with the paper's proportions (44 of 286 to validate).
        seed: of the shuffling; the same seed gives the same folds, whatever the order of the rows.
        studies: the only ones to use (say, those with a usable scan); None = all.

    Raises:
        CohortError: a fold or the test set could not hold both classes, or a patient is in two splits.
        UsageError: `folds` is below 1, or `studies` names one that the cohort does not have.
    """
    if folds < 1:
        raise UsageError(f"folds is {folds}: it must be 1 or more.")
    table = _labelled(cohort, studies)
    test, rest = _given_test(table) if (table["split"] != "").any() else _latest_year(table)
    _need_both_classes(test, "The test set", _OTHER_TEST)
    if (rest["split"] == "validation").any():
        parts = [(rest[rest["split"] == "train"], rest[rest["split"] == "validation"])]
    elif folds == 1:
        parts = [_one_split(rest, seed)]
    else:
        parts = _k_folds(rest, folds, seed)
    order = {study_id: place for place, study_id in enumerate(cohort.studies.index)}
    return tuple(_fold(number, train, validation, test, order) for number, (train, validation) in enumerate(parts))


def nested_folds(
    fold: Fold, labels: pd.Series[float], patients: pd.Series[int], *, parts: int
) -> tuple[Fold, ...]:
    """The fold's training part split again: each part is the test of a nested fold, and trained on in the others.

    Args:
        fold: whose training part is split; its validation part stays, its test part takes no part.
        labels: by study_id.
        patients: by study_id; the studies of one stay together.
        parts: at most; as many as there are patients of the rarer outcome, if those are fewer. None where that is
            a single one: its part could not be left out.
    """
    rest = pd.DataFrame({"label": labels, "patient_id": patients}).loc[sorted(fold.train)]
    rarer = int(rest.groupby("label")["patient_id"].nunique().min())
    if rarer < 2:
        return ()
    order = {study_id: place for place, study_id in enumerate(fold.train)}
    return tuple(
        Fold(
            index=fold.index,
            train=tuple(sorted(train.index, key=order.__getitem__)),
            validation=fold.validation,
            test=tuple(sorted(held_out.index, key=order.__getitem__)),
        )
        for train, held_out in _k_folds(rest, min(parts, rarer), seed=fold.index)
    )


def _labelled(cohort: Cohort, studies: Sequence[str] | None) -> pd.DataFrame:
    """The studies to split, sorted by id so that the file's order has no say."""
    table = cohort.studies
    if studies is not None:
        unknown = sorted(set(studies) - set(table.index))
        if unknown:
            raise UsageError(f"The cohort does not have {name_cases(unknown)}.")
        table = table.loc[sorted(set(studies))]
    table = table[table["label"].notna()].sort_index()
    if table.empty:
        raise CohortError(
            "The outcome of no study is known at the horizon: no patient was followed up for long enough, or "
            "horizon_days in cohort.yaml is too long."
        )
    if table["label"].nunique() < 2:
        raise CohortError(
            f"All {len(table)} studies with a known outcome have the same one: "
            "training and testing need both deaths and survivors."
        )
    return table


def _latest_year(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    latest = table["year"].max()
    if table["year"].nunique() == 1:
        raise CohortError(
            "All studies with a known outcome are of one year, and the test set is the latest year: "
            "give studies.csv a column split with train and test."
        )
    test = table[table["year"] == latest]
    earlier = table[table["year"] < latest]
    return test, earlier[~earlier["patient_id"].isin(test["patient_id"])]


def _given_test(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    bare = table.index[table["split"] == ""]
    if len(bare):
        raise CohortError(f"studies.csv: {name_cases(bare)} with a known outcome but no split; give one to all.")
    straddling = table.groupby("patient_id")["split"].nunique() > 1
    if straddling.any():
        both = table.index[table["patient_id"].isin(straddling.index[straddling])]
        raise CohortError(
            f"studies.csv: a patient is in two splits, see {name_cases(both)}; keep patients together."
        )
    if not (table["split"] == "test").any():
        raise CohortError("studies.csv has a column split, but no study with a known outcome is for test.")
    return table[table["split"] == "test"], table[table["split"] != "test"]


def _k_folds(rest: pd.DataFrame, folds: int, seed: int) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    for label, called in ((1, "deaths"), (0, "survivors")):
        patients = rest.loc[rest["label"] == label, "patient_id"].nunique()
        if patients < 2:
            raise CohortError(
                f"Outside the test set there are {called} of {patients} patients: training and validation need "
                f"one each. {_OTHER_TEST}"
            )
        if patients < folds:
            raise CohortError(
                f"Outside the test set there are {called} of {patients} patients, fewer than the {folds} folds: "
                f"ask for {patients} folds or fewer."
            )
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    parts = splitter.split(rest, rest["label"].astype(int), groups=rest["patient_id"])
    return [(rest.iloc[train], rest.iloc[validation]) for train, validation in parts]


def _one_split(rest: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw patients into validation, those with a death apart from those without, up to the paper's share."""
    generator = np.random.default_rng(seed)
    died = rest.groupby("patient_id")["label"].max() == 1
    chosen: list[int] = []
    for stratum in (True, False):
        sizes = rest[rest["patient_id"].isin(died.index[died == stratum])].groupby("patient_id").size()
        wanted = max(1, round(VALIDATION_SHARE * int(sizes.sum())))
        shuffled = sizes.iloc[generator.permutation(len(sizes))]
        before = shuffled.cumsum() - shuffled
        chosen += [int(patient) for patient in shuffled.index[before < wanted]]
    inside = rest["patient_id"].isin(chosen)
    return rest[~inside], rest[inside]


def _fold(
    number: int, train: pd.DataFrame, validation: pd.DataFrame, test: pd.DataFrame, order: dict[str, int]
) -> Fold:
    _need_both_classes(train, f"The training set of fold {number}")
    _need_both_classes(validation, f"The validation set of fold {number}")

    def ids(part: pd.DataFrame) -> tuple[str, ...]:
        return tuple(sorted(part.index, key=order.__getitem__))

    return Fold(index=number, train=ids(train), validation=ids(validation), test=ids(test))


_OTHER_FOLDS = "Use fewer folds or another seed (`--set fold_seed=1`)."
_OTHER_TEST = "Choose another test set: give studies.csv a column split with train and test."


def _need_both_classes(part: pd.DataFrame, called: str, remedy: str = _OTHER_FOLDS) -> None:
    deaths = int(part["label"].sum())
    if deaths == 0 or deaths == len(part):
        raise CohortError(
            f"{called} has {deaths} deaths among {len(part)} studies: it needs both deaths and survivors. {remedy}"
        )
