"""Worry: each reason is found, weights add up, and a study unlike its cohort stands out."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pefuse.audit.findings import LeftOut, StudyFindings
from pefuse.audit.measures import Measures
from pefuse.audit.row import Row
from pefuse.audit.worry import KINDS, find_worries, score, usual_ranges

SEEN = Measures(planes=(1, 1, 1), lungs_found=True, tissue_hu=20.0)


def study(**changes: Any) -> StudyFindings:
    """Nothing to worry about: 300 mm in slices of 1 mm, soft kernel, contrast."""
    good: dict[str, Any] = {
        "study_id": "s1",
        "status": "ready",
        "kernel": "soft",
        "contrast": True,
        "shape": (300, 512, 512),
        "spacing_mm": (1.0, 0.7, 0.7),
    }
    return StudyFindings(**(good | changes))


def names(found: StudyFindings, seen: Measures = SEEN) -> list[str]:
    return [worry.kind.label for worry in find_worries(found, seen)]


def test_a_good_scan_has_no_worry() -> None:
    assert names(study()) == []
    assert Row(study=study(), measures=SEEN).group == "fine"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"contrast": False}, "no contrast"),
        ({"contrast": None}, "contrast unknown"),
        ({"warnings": ("little contrast",)}, "warning"),
        ({"repairs": ("2 identical duplicate slices removed",)}, "repair"),
        ({"repairs": ("missing-slices: 1 of 300",)}, "moving repair"),
        ({"spacing_mm": (6.0, 0.7, 0.7)}, "thick slices"),
        ({"shape": (180, 512, 512)}, "short coverage"),
        ({"kernel": "sharp"}, "sharp kernel"),
        ({"left_out": (LeftOut(what="series", reason="usable, but thicker"),)}, "other series"),
    ],
)
def test_each_reason_is_found_alone(changes: dict[str, Any], kind: str) -> None:
    assert names(study(**changes)) == [KINDS[kind].label]


def test_a_series_that_is_not_usable_is_no_reason() -> None:
    assert names(study(left_out=(LeftOut(what="series", reason="It is a localizer."),))) == []


def test_lungs_that_are_not_found_are_a_reason() -> None:
    seen = Measures(planes=(1, 1, 1), lungs_found=False, tissue_hu=20.0)

    assert names(study(), seen) == ["lungs not found"]


def test_weights_add_up_and_the_heaviest_stands_first() -> None:
    """No contrast 4 + thick slices 2 + one repair 1 = 7."""
    worries = find_worries(study(contrast=False, spacing_mm=(6.0, 1, 1), repairs=("padding: 9 %",)), SEEN)

    assert score(worries) == 7
    assert [worry.kind.weight for worry in worries] == [4, 2, 1]


@pytest.mark.parametrize(("contrast", "group"), [(None, "fine"), (False, "worrying")])
def test_a_light_reason_alone_does_not_make_a_study_worrying(contrast: bool | None, group: str) -> None:
    found = study(contrast=contrast)

    assert Row(study=found, measures=SEEN, worries=tuple(find_worries(found, SEEN))).group == group


def test_rows_are_ranked_by_group_then_worry_then_name() -> None:
    def row(study_id: str, **changes: Any) -> Row:
        found = study(study_id=study_id, **changes)
        return Row(study=found, worries=tuple(find_worries(found, SEEN)) if found.status == "ready" else ())

    rows = [
        row("f", status="no scan"),
        row("e"),
        row("d", contrast=None),
        row("c", kernel="sharp"),
        row("b", contrast=False),
        row("a2", status="refused"),
        row("a1", status="refused"),
    ]

    assert [one.study.study_id for one in sorted(rows, key=lambda one: one.rank)] == [
        *("a1", "a2", "b", "c", "d", "e", "f")
    ]


def test_a_study_unlike_its_cohort_stands_out() -> None:
    """Ten of 1.0 mm and 300 mm at 19 to 21 HU; the odd one has 2.5 mm, 450 mm and 80 HU."""
    usual = [
        (study(), Measures(planes=(1, 1, 1), lungs_found=True, tissue_hu=20 + difference))
        for difference in (-1, -1, -1, 0, 0, 0, 0, 1, 1, 1)
    ]
    odd = (
        study(shape=(180, 512, 512), spacing_mm=(2.5, 1, 1)),
        Measures(planes=(1, 1, 1), lungs_found=True, tissue_hu=80.0),
    )
    ranges = usual_ranges([*usual, odd])

    assert [worry.kind.label for worry in find_worries(*odd, ranges)] == [
        *("unusual slice spacing", "unusual coverage", "unusual tissue HU")
    ]
    assert [find_worries(*one, ranges) for one in usual] == [[]] * 10
    assert ranges["unusual tissue"].low == 5
    assert ranges["unusual tissue"].high == 35


def test_few_studies_have_no_usual_range() -> None:
    assert usual_ranges([(study(), SEEN)] * 9) == {}


def test_an_unknown_number_is_not_unusual() -> None:
    unknown = Measures(planes=(1, 1, 1), lungs_found=True, tissue_hu=math.nan)

    assert find_worries(study(), unknown, usual_ranges([(study(), unknown)] * 10)) == []
