"""Which patients are shown."""

from __future__ import annotations

import pandas as pd
import pytest

from pefuse.explain.cases import choose_cases, kind_of


def risks(**by_study):
    rows = {study_id: {"label": label, "risk": risk} for study_id, (label, risk) in by_study.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("study_id")


COHORT = risks(
    a=(1, 0.9), b=(1, 0.8), c=(1, 0.1), d=(1, 0.2), e=(0, 0.95), f=(0, 0.6), g=(0, 0.05), h=(0, 0.01), i=(0, 0.3)
)  # fmt: skip


@pytest.mark.parametrize(
    ("label", "called", "kind"),
    [
        (1, True, "found death"),
        (1, False, "missed death"),
        (0, True, "false alarm"),
        (0, False, "rightly low"),
        (1, None, ""),
    ],
)
def test_a_call_has_a_name(label, called, kind):
    assert kind_of(label, called) == kind


def test_one_of_each_kind_comes_first_the_worst_mistake_of_its_kind():
    assert choose_cases(COHORT, threshold=0.5, count=4) == ["c", "e", "a", "h"]


def test_then_mistakes_fill_the_number():
    assert choose_cases(COHORT, threshold=0.5, count=6) == ["c", "d", "e", "f", "a", "h"]


def test_then_right_calls():
    assert choose_cases(COHORT, threshold=0.5, count=9) == ["c", "d", "e", "f", "a", "b", "h", "g", "i"]


def test_there_are_never_more_than_there_are():
    assert sorted(choose_cases(COHORT, threshold=0.5, count=50)) == sorted(COHORT.index)


def test_without_a_threshold_it_is_who_was_misjudged_most():
    assert choose_cases(COHORT, threshold=None, count=3) == ["c", "d", "e"]


def test_without_any_mistake_right_calls_are_shown():
    assert choose_cases(risks(x=(1, 0.9), y=(0, 0.1)), threshold=0.5, count=8) == ["x", "y"]
