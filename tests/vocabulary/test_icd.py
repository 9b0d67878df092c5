"""ICD codes: one spelling, and which comorbidity they mean, at the edges of each range."""

from __future__ import annotations

import pytest

from pefuse.vocabulary import IcdCode, concepts, icd_concepts, parse_icd, read_table


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ICD9//428.0", IcdCode(9, "428.0")),
        ("icd9cm//4280", IcdCode(9, "428.0")),
        ("ICD9CM/428.0", IcdCode(9, "428.0")),
        ("ICD-9-CM//428", IcdCode(9, "428")),
        ("ICD9//E8809", IcdCode(9, "E880.9")),
        ("ICD9//V1582", IcdCode(9, "V15.82")),
        ("ICD10CM//I5021", IcdCode(10, "I50.21")),
        ("DIAGNOSIS//ICD//10//I2699", IcdCode(10, "I26.99")),
        ("DIAGNOSIS//ICD//9//4280", IcdCode(9, "428.0")),
        ("PROCEDURE//ICD//9//8854", None),
        ("ICD9PROC//88.54", None),
        ("LAB//50971//mEq/L", None),
        ("ICD11//BD10", None),
    ],
)
def test_every_usual_spelling_is_read_and_nothing_else(text, code):
    assert parse_icd(text) == code


@pytest.mark.parametrize(
    ("version", "code", "concept", "belongs"),
    [
        (9, "428.0", "heart_failure", True),
        (9, "428", "heart_failure", True),
        (9, "427.9", "heart_failure", False),
        (9, "429.0", "heart_failure", False),
        (9, "402.01", "heart_failure", True),
        (9, "402.00", "heart_failure", False),
        (10, "I50.21", "heart_failure", True),
        (10, "I51.9", "heart_failure", False),
        (10, "I42.4", "heart_failure", False),
        (10, "I42.5", "heart_failure", True),
        (9, "140.0", "cancer", True),
        (9, "172.9", "cancer", True),
        (9, "173.3", "cancer", False),  # skin
        (9, "208.91", "cancer", True),
        (9, "209.0", "cancer", False),
        (9, "V10.3", "cancer", False),
        (10, "C34.90", "cancer", True),
        (10, "C44.9", "cancer", False),  # skin
        (10, "D12.6", "cancer", False),  # benign
        (9, "162.9", "metastatic_cancer", False),
        (10, "C78.00", "metastatic_cancer", True),
        (9, "491.21", "chronic_lung_disease", True),
        (9, "496", "chronic_lung_disease", True),
        (9, "486", "chronic_lung_disease", False),  # pneumonia
        (9, "416.8", "chronic_lung_disease", False),  # vascular
        (10, "J44.9", "chronic_lung_disease", True),
        (10, "J18.9", "chronic_lung_disease", False),
        (9, "780.97", "altered_mental_status", True),
        (9, "780.01", "altered_mental_status", True),
        (9, "780.1", "altered_mental_status", False),  # hallucinations
        (10, "R41.82", "altered_mental_status", True),
        (10, "R41.3", "altered_mental_status", False),
    ],
)
def test_comorbidities_at_the_edges_of_their_ranges(version, code, concept, belongs):
    assert (concept in icd_concepts(IcdCode(version, code))) is belongs


def test_every_range_names_a_known_diagnosis_and_is_in_order():
    for row in read_table("icd_concepts.csv"):
        assert concepts()[row["concept"]].kind == "diagnosis"
        assert row["first"] <= row["last"], row
        assert row["source"]
