"""ESC 2019, Bova, modified FAST, CPES, Hestia, NEWS2 and shock index against cases worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pefuse.ehr import SCORES, clinical_scores, score_parts
from pefuse.errors import UsageError

NOW = "2018-03-05T11:00"
NORMAL = {"heart_rate": 80, "systolic_bp": 120, "respiratory_rate": 16, "temperature": 37, "spo2": 97}


def told(values: dict[str, float], states: dict[str, str] | None = None) -> list[tuple[Any, ...]]:
    """Measurements an hour before the scan, and states by an ICD code or a code of the cohort's own."""
    measured = [(1, NOW, f"VITAL//{name}", value) for name, value in values.items() if value is not None]
    return [*measured, *((1, NOW, code) for code in (states or {}).values())]


def row(
    make_cohort, score: str, values: dict[str, float], states: dict[str, str] | None = None, **study
) -> pd.Series:
    codes = [
        {"code": f"LOCAL//{name}", "concept": name, "kind": "diagnosis", "unit": "", "description": ""}
        for name in ("rv_dysfunction", "iv_analgesia", "social_reason", "reperfusion", "anticoagulated")
    ]
    cohort = make_cohort(told({**NORMAL, **values}, states), studies=[study], codes=codes)
    return clinical_scores(cohort, scores=[score]).loc["s1"]


# Each band of the Royal College's chart at both of its ends (2017).
NEWS2 = [
    ("respiratory_rate", [(8, 3), (9, 1), (11, 1), (12, 0), (20, 0), (21, 2), (24, 2), (25, 3)]),
    ("spo2", [(91, 3), (92, 2), (93, 2), (94, 1), (95, 1), (96, 0)]),
    ("systolic_bp", [(90, 3), (91, 2), (100, 2), (101, 1), (110, 1), (111, 0), (219, 0), (220, 3)]),
    ("heart_rate", [(40, 3), (41, 1), (50, 1), (51, 0), (90, 0), (91, 1), (110, 1), (111, 2), (130, 2), (131, 3)]),
    ("temperature", [(35.0, 3), (35.1, 1), (36.0, 1), (36.1, 0), (38.0, 0), (38.1, 1), (39.0, 1), (39.1, 2)]),
    ("gcs", [(15, 0), (14, 3)]),
    ("oxygen_flow", [(0, 0), (2, 2)]),
    ("fio2", [(21, 0), (28, 2)]),
]


@pytest.mark.parametrize(
    ("name", "value", "points"), [(name, value, points) for name, band in NEWS2 for value, points in band]
)
def test_news2_at_both_ends_of_each_band(make_cohort, name, value, points):
    found = row(make_cohort, "news2", {name: value})
    assert found["news2_points"] == points


@pytest.mark.parametrize(
    ("values", "states", "points", "name"),
    [
        ({}, {}, 0, "low"),
        ({"respiratory_rate": 22, "heart_rate": 112}, {}, 4, "low"),
        ({"respiratory_rate": 22, "heart_rate": 112, "spo2": 95}, {}, 5, "medium"),
        ({"respiratory_rate": 25, "heart_rate": 112, "spo2": 95}, {}, 6, "medium"),
        ({"respiratory_rate": 25, "heart_rate": 112, "spo2": 93}, {}, 7, "high"),
        # A patient in shock: 3 + 3 + 2 (oxygen) + 3 + 3 + 3 (coma) + 3 (cold) = 20, the most there is.
        (
            {
                "respiratory_rate": 30,
                "spo2": 80,
                "oxygen_flow": 15,
                "systolic_bp": 70,
                "heart_rate": 140,
                "temperature": 34,
            },
            {"coma": "ICD10CM//R40.20"},
            20,
            "high",
        ),
    ],
)
def test_news2_classes(make_cohort, values, states, points, name):
    found = row(make_cohort, "news2", values, states)
    assert (found["news2_points"], found["news2_class"]) == (points, name)


def test_news2_takes_no_value_of_the_day_before(make_cohort):
    cohort = make_cohort(
        [(1, "2018-03-04T11:59", "VITAL//respiratory_rate", 30), (1, NOW, "VITAL//heart_rate", 80)]
    )
    found = clinical_scores(cohort, scores=["news2"]).loc["s1"]
    assert found["news2_points"] == 0
    assert np.isnan(found["news2_part_respiratory_rate"])


@pytest.mark.parametrize(
    ("values", "states", "points", "name"),
    [
        ({"systolic_bp": 101, "heart_rate": 109}, {}, 0, "I"),
        ({"heart_rate": 110}, {}, 1, "I"),
        ({"systolic_bp": 100}, {}, 2, "I"),
        ({"systolic_bp": 90}, {}, 2, "I"),
        ({"systolic_bp": 90, "heart_rate": 110}, {}, 3, "II"),
        ({"troponin_t": 14}, {}, 2, "I"),
        ({"troponin_t": 13.9}, {}, 0, "I"),
        ({"troponin_i": 26, "troponin_t": 5}, {}, 2, "I"),
        ({"rv_lv_ratio": 1.1}, {}, 2, "I"),
        ({"rv_lv_ratio": 1.0}, {}, 0, "I"),
        ({"troponin_t": 50}, {"rv": "LOCAL//rv_dysfunction"}, 4, "II"),
        ({"troponin_t": 50, "heart_rate": 120}, {"rv": "LOCAL//rv_dysfunction"}, 5, "III"),
        ({"troponin_t": 50, "heart_rate": 120, "systolic_bp": 95}, {"rv": "LOCAL//rv_dysfunction"}, 7, "III"),
    ],
)
def test_bova(make_cohort, values, states, points, name):
    found = row(make_cohort, "bova", values, states)
    assert (found["bova_points"], found["bova_class"]) == (points, name)


@pytest.mark.parametrize("score", ["bova", "fast"])
def test_scores_of_normotensive_patients_do_not_apply_below_90(make_cohort, score):
    found = row(make_cohort, score, {"systolic_bp": 89, "heart_rate": 130})
    assert np.isnan(found[f"{score}_points"])
    assert found[f"{score}_class"] == ""


@pytest.mark.parametrize(
    ("values", "states", "points", "name"),
    [
        ({"heart_rate": 99}, {}, 0, "low"),
        ({"heart_rate": 100}, {}, 2, "low"),
        ({"heart_rate": 100, "troponin_t": 14}, {}, 3.5, "intermediate-high"),
        ({"troponin_t": 20}, {"syncope": "ICD10CM//R55"}, 3.0, "intermediate-high"),
        ({}, {"syncope": "ICD10CM//R55"}, 1.5, "low"),
    ],
)
def test_modified_fast(make_cohort, values, states, points, name):
    found = row(make_cohort, "fast", values, states)
    assert (found["fast_points"], found["fast_class"]) == (points, name)


@pytest.mark.parametrize(
    ("values", "states", "points", "name"),
    [
        ({"heart_rate": 100, "nt_probnp": 599, "bnp": 99}, {}, 0, "low"),
        ({"heart_rate": 101, "nt_probnp": 600}, {}, 2, "low"),
        ({"bnp": 100, "troponin_i": 26}, {"saddle": "ICD10CM//I26.92"}, 3, "high"),
        (
            {"heart_rate": 120, "bnp": 500, "troponin_t": 60},
            {"saddle": "ICD10CM//I26.92", "rv": "LOCAL//rv_dysfunction", "dvt": "ICD10CM//I82.40"},
            6,
            "high",
        ),
    ],
)
def test_cpes(make_cohort, values, states, points, name):
    found = row(make_cohort, "cpes", values, states)
    assert (found["cpes_points"], found["cpes_class"]) == (points, name)


@pytest.mark.parametrize(
    ("values", "states", "item"),
    [
        ({"systolic_bp": 99, "heart_rate": 101}, {}, "unstable"),
        ({"platelets": 74}, {}, "bleeding"),
        ({"systolic_bp": 181}, {}, "bleeding"),
        ({"diastolic_bp": 111}, {}, "bleeding"),
        ({}, {"ulcer": "ICD10CM//K92.2"}, "bleeding"),
        ({"spo2": 90}, {}, "oxygen"),
        ({"oxygen_flow": 2}, {}, "oxygen"),
        ({"egfr": 29}, {}, "renal"),
        ({}, {"warfarin": "ICD10CM//Z79.01"}, "anticoagulated"),
        ({}, {"lysis": "LOCAL//reperfusion"}, "reperfusion"),
        ({}, {"morphine": "LOCAL//iv_analgesia"}, "analgesia"),
        ({}, {"alone": "LOCAL//social_reason"}, "other_reason"),
        ({}, {"varices": "ICD10CM//K76.6"}, "liver"),
        ({}, {"pregnant": "ICD10CM//O09.90"}, "pregnancy"),
        ({}, {"hit": "ICD10CM//D75.82"}, "heparin_thrombocytopenia"),
    ],
)
def test_any_item_of_hestia_keeps_the_patient_in(make_cohort, values, states, item):
    found = row(make_cohort, "hestia", values, states)
    assert found["hestia_points"] == 1
    assert found["hestia_class"] == "inpatient"
    assert found[f"hestia_part_{item}"] == 1


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"systolic_bp": 99, "heart_rate": 100},
        {"systolic_bp": 100, "heart_rate": 140},
        {"platelets": 75, "egfr": 30},
    ],
)
def test_no_item_of_hestia_lets_the_patient_go(make_cohort, values):
    found = row(make_cohort, "hestia", values)
    assert (found["hestia_points"], found["hestia_class"]) == (0, "outpatient")


SEVERE, VENTRICLE, TROPONIN = {"heart_rate": 110}, {"rv": "LOCAL//rv_dysfunction"}, {"troponin_t": 14}


@pytest.mark.parametrize(
    ("values", "states", "name"),
    [
        ({}, {}, "low"),
        (SEVERE, {}, "intermediate-low"),
        (TROPONIN, {}, "intermediate-low"),
        ({}, VENTRICLE, "intermediate-low"),
        ({**SEVERE, **TROPONIN}, {}, "intermediate-low"),
        (TROPONIN, VENTRICLE, "intermediate-low"),  # both markers, sPESI 0: the clinical sign is lacking
        ({**SEVERE, **TROPONIN}, VENTRICLE, "intermediate-high"),
        ({"systolic_bp": 89}, {}, "high"),
        ({"systolic_bp": 90}, {}, "intermediate-low"),  # below 100: sPESI 1
        ({}, {"arrest": "ICD10CM//I46.9"}, "high"),
    ],
)
def test_esc_2019(make_cohort, values, states, name):
    assert row(make_cohort, "esc2019", values, states)["esc2019_class"] == name


def test_an_old_woman_is_severe_by_pesi_alone(make_cohort):
    """80 years: 80 points, class II; 86: class III, while sPESI counts from 81 on."""
    assert row(make_cohort, "esc2019", {}, age_years=80)["esc2019_class"] == "low"
    assert row(make_cohort, "esc2019", {}, age_years=81)["esc2019_class"] == "intermediate-low"


@pytest.mark.parametrize(
    ("pulse", "pressure", "name"), [(80, 120, "usual"), (100, 100, "high"), (99, 100, "usual")]
)
def test_shock_index(make_cohort, pulse, pressure, name):
    found = row(make_cohort, "shock_index", {"heart_rate": pulse, "systolic_bp": pressure})
    assert found["shock_index_points"] == pytest.approx(pulse / pressure)
    assert found["shock_index_class"] == name


def test_a_shock_index_without_a_pulse_is_none(make_cohort):
    found = row(make_cohort, "shock_index", {"heart_rate": None})
    assert np.isnan(found["shock_index_points"])
    assert (found["shock_index_class"], found["shock_index_missing"]) == ("", 1)


def test_missing_parts_may_refuse_every_score(make_cohort):
    cohort = make_cohort([(1, NOW, "VITAL//heart_rate", 80)])
    table = clinical_scores(cohort, scores=SCORES, missing="refuse")
    assert all(np.isnan(table.loc["s1", f"{score}_points"]) for score in SCORES)


def test_every_score_has_a_source_for_each_line():
    assert {part.score for part in score_parts()} == set(SCORES)
    assert all(part.source for part in score_parts())


def test_an_unknown_score_is_refused(make_cohort):
    with pytest.raises(UsageError, match="no score 'apache'"):
        clinical_scores(make_cohort([]), scores=["apache"])
