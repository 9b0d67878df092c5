"""SNOMED CT codes of diagnoses: what they mean, and that each is a code at all."""

from __future__ import annotations

import pytest

from pefuse.vocabulary import concepts, meaning, read_table, snomed_concepts

# Verhoeff's check digit: the group of a regular pentagon, and a permutation that repeats after eight places.
TIMES = [
    [(a + b) % 5 if a < 5 and b < 5 else 5 + (a + b) % 5 if a < 5 else 5 + (a - b) % 5 if b < 5 else (a - b) % 5
     for b in range(10)]
    for a in range(10)
]  # fmt: skip
PERMUTED = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
while len(PERMUTED) < 8:
    PERMUTED.append([PERMUTED[-1][digit] for digit in PERMUTED[1]])


def is_code(text: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(text)):
        check = TIMES[check][PERMUTED[place % 8][int(digit)]]
    return check == 0


def test_the_check_digit_tells_a_code_from_one_with_a_slip() -> None:
    assert is_code("84114007")
    assert not is_code("84114008")
    assert not is_code("48114007")


def test_every_row_is_a_code_of_a_diagnosis_that_we_know() -> None:
    rows = read_table("snomed_concepts.csv")
    assert len(rows) > 500
    for row in rows:
        assert is_code(row["code"]), row
        assert concepts()[row["concept"]].kind == "diagnosis", row
        assert row["description"], row
    assert len({(row["code"], row["concept"]) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("code", "concept"),
    [
        ("84114007", "heart_failure"),
        ("13645005", "chronic_lung_disease"),
        ("363346000", "cancer"),
        ("419284004", "altered_mental_status"),
        ("271594007", "syncope"),
        ("410429000", "shock"),  # cardiac arrest
        ("59282003", "pulmonary_embolism"),
    ],
)
def test_common_codes_mean_their_disease(code: str, concept: str) -> None:
    assert concept in snomed_concepts(code)
    for code_text in (f"SNOMED//{code}", f"SNOMED/{code}"):
        assert concept in meaning(code_text, {}).concepts


def test_others_mean_none_of_them() -> None:
    assert snomed_concepts("38341003") != ()  # hypertension
    assert snomed_concepts("1") == ()
    assert meaning("LOINC//84114007", {}).concepts == ()
