"""Values in words: what a clinician reads beside an importance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from pefuse.ehr import RawColumn, RawRecord
from pefuse.explain.features import FeatureWords, features_of
from pefuse.models.bundle import Feature

from ..models.bundle.conftest import make_record

COLUMNS = (
    RawColumn(key="lactate", name="lactate (mmol/L)", family="lab", kind="continuous", unit="mmol/L"),
    RawColumn(key="nt_probnp", name="NT-proBNP (ng/L)", family="lab", kind="continuous", unit="ng/L"),
    RawColumn(key="heart_rate", name="heart rate (/min)", family="vital", kind="continuous", unit="/min"),
    RawColumn(key="inr", name="INR (ratio)", family="lab", kind="continuous", unit="ratio"),
    RawColumn(key="altered", name="altered mental status", family="vital", kind="continuous"),
    RawColumn(
        key="days", name="days since the last discharge (days)", family="visit", kind="continuous", unit="days"
    ),
    RawColumn(key="medication//out//statins", name="drug: statins (at home)", family="medication", kind="binary"),
    RawColumn(key="complaint", name="complaint", family="arrival", kind="categorical"),
)
IDS = ("S1", "S2", "S3")


def feature(key: str) -> Feature:
    column = next(column for column in COLUMNS if column.key == key)
    return Feature(key=key, name=column.name, family=column.family, kind=column.kind, unit=column.unit)


def words(reference: tuple[str, ...] = ()) -> FeatureWords:
    """S1 has everything; S2 has nothing but zeros where a zero is a value; S3 stands between."""
    rows = np.array([0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2])
    places = np.array([0, 1, 2, 3, 4, 5, 6, 4, 0, 2, 6])
    values = np.array([np.float32(5.1), 12345.6, 112, 1.05, 1, 30, 1, 0, 1.4, 80, 1])
    record = RawRecord(
        study_ids=IDS,
        columns=COLUMNS,
        values=csc_matrix((values, (rows, places)), shape=(3, 7)),
        texts=np.array([["leg_pain_or_swelling"], [""], ["dyspnea"]], dtype=object),
        has_record=np.ones(3, dtype=bool),
    )
    return FeatureWords(record=record, reference=reference)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("lactate", "lactate 5.1 mmol/L"),
        ("nt_probnp", "NT-proBNP 12,346 ng/L"),
        ("heart_rate", "heart rate 112/min"),
        ("inr", "INR 1.05"),
        ("altered", "altered mental status: yes"),
        ("days", "days since the last discharge 30 days"),
        ("medication//out//statins", "statins (at home): recorded"),
        ("complaint", "complaint: leg pain or swelling"),
    ],
)
def test_a_value_is_told_with_its_unit(key: str, text: str):
    assert words().text(feature(key), "S1") == text


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("lactate", "lactate not measured", None),
        ("altered", "altered mental status: no", 0.0),
        ("days", "days since the last discharge not known", None),
        ("medication//out//statins", "statins (at home): not recorded", 0.0),
        ("complaint", "complaint not recorded", None),
    ],
)
def test_what_is_missing_is_said_to_be(key: str, text: str, value: float | None):
    """A missing number is no number; a mark that is not set is a 0, and so is a measured 0."""
    assert words().text(feature(key), "S2") == text
    assert words().value(feature(key), "S2") == value


def test_a_feature_that_the_record_has_never_seen_is_missing():
    """A bundle may read a lab that nobody of this cohort has, or a drug."""
    lab = Feature(key="tsh", name="TSH (mU/L)", family="lab", kind="continuous", unit="mU/L")
    mark = Feature(key="diagnosis//X", name="X", family="diagnosis", kind="binary", unit="")
    text = Feature(key="wing", name="wing", family="arrival", kind="categorical", unit="")

    assert words(IDS).text(lab, "S1") == "TSH not measured"
    assert words(IDS).text(mark, "S1") == "X: not recorded"
    assert words(IDS).text(text, "S1") == "wing not recorded"
    assert [words(IDS).usual(one) for one in (lab, mark, text)] == ["", "", ""]


def test_usual_is_median_and_quartiles_of_those_measured():
    """Lactates 5.1 and 1.4: quartiles at 1/4 and 3/4 of the way, 2.325 and 4.175, median 3.25."""
    assert words(IDS).usual(feature("lactate")) == "3.25 (2.32 to 4.17)"
    assert words(("S2",)).usual(feature("lactate")) == ""
    assert words().usual(feature("lactate")) == ""


def test_usual_of_marks_and_words_are_shares():
    """Two of three have the drug; of the two who told a complaint each has another: the first by name is told."""
    assert words(IDS).usual(feature("medication//out//statins")) == "recorded in 67 %"
    assert words(IDS).usual(feature("altered")) == "yes in 50 %"
    assert words(IDS).usual(feature("complaint")) == "dyspnea (50 %)"


def test_name_and_unit_stand_apart():
    assert words().name(feature("lactate")) == "lactate"
    assert words().unit(feature("lactate")) == "mmol/L"
    assert words().unit(feature("inr")) == ""


def test_a_measurement_that_is_only_known_to_be_there_or_not_says_so(bundles):
    """Without the lactate's value among its columns the model goes by "lactate missing" alone."""
    bundle = bundles["tabnet"]
    part = bundle.members[0].model.record
    kept = [place for place, one in enumerate(part.preparation.columns) if one.name != "lactate (mmol/L)"]
    narrow = replace(part, preparation=part.preparation.only(kept))
    member = replace(bundle.members[0], model=replace(bundle.members[0].model, record=narrow))
    lactate = features_of(replace(bundle, members=(member,)))["lactate"]
    record = make_record()
    told = FeatureWords(record=record, reference=record.study_ids)

    assert told.name(lactate) == "lactate measured or not"
    assert [told.text(lactate, one) for one in ("S0", "S1")] == ["lactate not measured", "lactate measured"]
    assert [told.value(lactate, one) for one in ("S0", "S1")] == [0.0, 1.0]
    assert told.usual(lactate) == "measured in 73 %"  # 8 of 30 are missing
    assert features_of(replace(bundle, members=(member, bundle.members[1])))["lactate"].name == "lactate (mmol/L)"


def test_features_of_a_bundle_are_those_that_it_lists(bundles):
    """Four raw columns; "lactate missing" and the levels of "wing" are parts of theirs."""
    assert list(features_of(bundles["tabnet"])) == ["sodium", "lactate", "cancer", "wing"]
    assert features_of(bundles["sanet"]) == {}
