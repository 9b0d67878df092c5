"""What the cards of single cases say."""

from __future__ import annotations

import pytest

from pefuse.report.case_wording import (
    case_sentence,
    case_title,
    hottest_structures,
    moved_sentence,
    peak_sentence,
    risk_bars,
    risk_text,
    unlabelled_sentence,
)
from pefuse.report.explanations import Case, Heat, StructureHeat


def case(**values):
    return Case(**({"study_id": "S1", "label": 1, "risk": 0.31} | values))


@pytest.mark.parametrize(
    ("kind", "label", "title"),
    [
        ("missed death", 1, "Missed death"),
        ("false alarm", 0, "False alarm"),
        ("found death", 1, "Death that was found"),
        ("rightly low", 0, "Rightly called low risk"),
        ("", 1, "Died"),
        ("", 0, "Survived"),
    ],
)
def test_the_title_says_what_kind_of_case_it_is(kind, label, title):
    assert case_title(case(kind=kind, label=label)) == title


def test_a_case_is_told_with_its_call():
    missed = case_sentence(case(risk=0.093, called=False), horizon_days=30, threshold=0.12)
    alarm = case_sentence(case(label=0, called=True), horizon_days=7, threshold=0.12)

    assert missed == "Died within 30 days. The risk was 9.3 %, below the threshold of 12 %: called low risk."
    assert alarm == "Survived the 7 days. The risk was 31 %, at or above the threshold of 12 %: called high risk."


def test_without_a_threshold_there_is_no_call():
    assert case_sentence(case(), horizon_days=30, threshold=None) == "Died within 30 days. The risk was 31 %."


def test_what_moved_the_risk_is_told_against_an_average():
    """0.31 - 0.2 = 11 points up through the scan; 0.31 - 0.4 = 9 points down through the record."""
    told = moved_sentence(case(without_scan=0.2, without_record=0.4))

    assert told == (
        "The scan raised the risk by 11.0 points and the record lowered the risk by 9.0 points, "
        "against an average one."
    )


def test_what_did_not_move_the_risk_is_told_too():
    assert moved_sentence(case(without_scan=0.31)) == "The scan left the risk as it was, against an average one."
    assert moved_sentence(case()) == ""


def test_bars_are_of_the_known_risks_and_fill_up_to_the_greatest():
    bars = risk_bars(case(scan_alone=0.62, without_record=0.155), label="Early fusion", threshold=0.1)

    assert [(bar.words, bar.percent, bar.main) for bar in bars] == [
        ("Early fusion", 50, True),
        ("Scan alone (single model)", 100, False),
        ("Without the record", 25, False),
    ]


def test_a_threshold_above_all_risks_is_the_full_bar():
    [bar] = risk_bars(case(risk=0.05), label="x", threshold=0.1)

    assert bar.percent == pytest.approx(50)


def test_risks_of_nothing_make_bars_of_no_length():
    [bar] = risk_bars(case(risk=0.0), label="x", threshold=None)

    assert bar.percent == 0


def test_the_structures_with_most_heat_come_first():
    shares = {"a": 0.1, "b": 0.4, "c": 0.2, "d": 0.05, "e": 0.3}
    heat = Heat(
        structures=[StructureHeat(structure=n, heat_share=s, volume_share=0.01) for n, s in shares.items()]
    )

    assert [one.structure for one in hottest_structures(heat)] == ["b", "e", "c", "a"]
    assert hottest_structures(Heat()) == []


def test_a_structure_without_any_volume_is_not_labelled_and_has_no_bar():
    """Masks of an older version lack the atrium. A scan may have no clot: that is not a lack of the mask."""
    shares = {"right ventricle": 0.01, "right_atrium": 0.0, "clot": 0.0}
    heat = Heat(structures=[StructureHeat(structure=n, heat_share=0.0, volume_share=s) for n, s in shares.items()])

    assert [one.structure for one in hottest_structures(heat)] == ["right ventricle"]
    assert unlabelled_sentence(heat) == "Not labelled in this scan: right atrium."
    assert unlabelled_sentence(Heat()) == ""


def test_the_hottest_point_is_told_and_its_absence_too():
    told = peak_sentence(Heat(peak_mm=[30.0, -41.2, 7.4]))

    assert "(30, −41, 7) mm" in told
    assert "count towards left, back and head; negative ones towards right, front and feet" in told
    assert "nothing in the scan raised the risk" in peak_sentence(Heat())


@pytest.mark.parametrize(
    ("risk", "text"), [(0.0, "0.0 %"), (0.0942, "9.4 %"), (0.0994, "9.9 %"), (0.0996, "10 %"), (1.0, "100 %")]
)
def test_small_risks_keep_a_decimal(risk, text):
    assert risk_text(risk) == text
