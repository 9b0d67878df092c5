"""What codes mean: the cohort's own word first, then the shipped tables."""

from __future__ import annotations

import pandas as pd
import pytest

from pefuse.vocabulary import CodeRow, code_rows, concepts, conversion, meaning, read_table, visit_mark


@pytest.mark.parametrize(
    ("code", "kind", "key", "unit"),
    [
        ("LAB//lactate", "lab", "lactate", ""),
        ("VITAL//heart_rate", "vital", "heart_rate", ""),
        ("LOINC//8867-4", "vital", "heart_rate", "/min"),
        ("LOINC/2345-7", "lab", "glucose", "mg/dL"),
        ("LAB//220210//insp/min", "vital", "respiratory_rate", "insp/min"),
        ("LAB//223761//°F", "vital", "temperature", "°F"),
        ("LAB//51003//ng/mL", "lab", "troponin_t", "ng/mL"),
        ("LAB//99999//mg/dL", "lab", "LAB//99999//mg/dL", "mg/dL"),
        ("MEDICATION//IN//Beta Blockers", "medication", "in//beta blockers", ""),
        ("MEDICATION//OUTPATIENT//ace_inhibitors", "medication", "out//ace_inhibitors", ""),
        ("MEDICATION//START//Heparin", "medication", "in//heparin", ""),
        ("MEDICATION//Heparin//Administered", "medication", "in//heparin", ""),
        ("MEDICATION//Heparin//Not Given", "", "MEDICATION//Heparin//Not Given", ""),
        ("RXNORM//5224", "medication", "RXNORM//5224", ""),
        ("ICD9//428.0", "diagnosis", "ICD-9 428.0", ""),
        ("ICD9CM//428.0", "diagnosis", "ICD-9 428.0", ""),
        ("DIAGNOSIS//ICD//9//4280", "diagnosis", "ICD-9 428.0", ""),
        ("DIAGNOSIS//ICD//10//I5021", "diagnosis", "ICD-10 I50.21", ""),
        ("SMOKING//current", "demographic", "smoking", ""),
        ("ARRIVAL//escort//family", "arrival", "escort", ""),
        ("ARRIVAL//escort", "arrival", "escort", ""),
        ("VISIT//ED//START", "visit", "visit", ""),
        ("PROCEDURE//ICD//9//8854", "procedure", "PROCEDURE//ICD//9//8854", ""),
        ("MEDS_BIRTH", "", "MEDS_BIRTH", ""),
        ("MEDS_DEATH", "", "MEDS_DEATH", ""),
    ],
)
def test_a_code_says_what_it_is_by_its_form(code, kind, key, unit):
    known = meaning(code, {})

    assert (known.kind, known.key, known.unit) == (kind, key, unit)


def test_the_cohorts_own_codes_speak_first():
    declared = {
        "K-17": CodeRow(concept="lactate", unit="mg/dL"),
        "LAB//lactate": CodeRow(concept="crp", kind="lab", unit="mg/dL"),
        "X9": CodeRow(kind="medication", description="beta blocking agents"),
        "D-3": CodeRow(concept="heart_failure", kind="diagnosis", description="weak heart"),
        "ICD9//401.9": CodeRow(kind="diagnosis", description="hypertension, unspecified"),
        "MEDS_DEATH": CodeRow(kind="demographic"),
    }

    assert meaning("K-17", declared).concepts == ("lactate",)
    assert meaning("K-17", declared).unit == "mg/dL"
    assert meaning("LAB//lactate", declared).concepts == ("crp",)
    assert meaning("X9", declared).name == "beta blocking agents"
    assert meaning("D-3", declared).concepts == ("heart_failure",)
    assert meaning("ICD9//401.9", declared).name == "ICD-9 401.9 hypertension, unspecified"
    assert meaning("ICD9//401.9", declared).concepts == ("hypertension",)
    assert meaning("MEDS_DEATH", declared).kind == ""


def test_a_state_told_by_a_number_is_a_measurement_of_that_state():
    known = meaning("VITAL//altered_mental_status", {})

    assert (known.kind, known.concepts) == ("vital", ("altered_mental_status",))


def test_a_frame_of_codes_becomes_rows():
    frame = pd.DataFrame({"code": ["A", "B"], "kind": ["lab", None], "unit": [" mg/dL", ""]})

    assert code_rows(frame) == {"A": CodeRow(kind="lab", unit="mg/dL"), "B": CodeRow()}


def test_every_shipped_code_names_a_concept_and_a_unit_that_converts():
    for row in read_table("code_concepts.csv"):
        known = concepts()[row["concept"]]
        if known.unit:
            assert conversion(known.name, row["unit"], known.unit) is not None, row


@pytest.mark.parametrize(
    ("code", "setting", "edge"),
    [
        ("VISIT//ED//START", "emergency", "start"),
        ("VISIT//ED//END", "emergency", "end"),
        ("VISIT//INPATIENT//START", "inpatient", "start"),
        ("VISIT//INPATIENT//DAYS", "inpatient", "days"),
        ("VISIT//INPATIENT", "inpatient", "whole"),
        ("VISIT//OUTPATIENT", "outpatient", "whole"),
        ("ED_REGISTRATION", "emergency", "start"),
        ("ED_OUT", "emergency", "end"),
        ("HOSPITAL_ADMISSION//EW EMER.//EMERGENCY ROOM", "inpatient", "start"),
        ("HOSPITAL_DISCHARGE//HOME", "inpatient", "end"),
        ("ICU_ADMISSION//MICU", "intensive care", "start"),
        ("ICU_DISCHARGE//MICU", "intensive care", "end"),
    ],
)
def test_a_visit_code_says_which_visit_and_which_end_of_it(code, setting, edge):
    mark = visit_mark(code)

    assert (mark.setting, mark.edge) == (setting, edge)
