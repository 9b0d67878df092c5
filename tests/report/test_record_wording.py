"""What the page says of the cohort's record, from its counts."""

from __future__ import annotations

from pefuse.report.record_wording import record_sentence, record_warnings

SPACE = "\u202f"  # narrow, and no line may break at it


def test_both_numbers_of_a_share_are_written_alike():
    known = record_sentence({"studies": 1598, "with_record": 1596})
    [warning] = record_warnings({"studies": 12000, "with_record": 10500})

    assert known == f"There is a row of features for 1{SPACE}596 of 1{SPACE}598 studies."
    assert f"1{SPACE}500 of 12{SPACE}000 studies" in warning
