"""Sizes of test sets in words."""

from __future__ import annotations

import pytest

from pefuse.report.comparisons import Comparison, TestSize
from pefuse.report.estimates import Estimate
from pefuse.report.power_wording import size_in_words, size_sentence
from pefuse.report.tables import two_digits


def comparison(
    difference: float | None, p_value: float | None, size: TestSize, p_holm: float = 0.01
) -> Comparison:
    return Comparison(
        name="x",
        label="Late vote",
        studies=72,
        difference=Estimate(value=difference),
        p_value=p_value,
        p_holm=p_holm,
        test_size=size,
    )


@pytest.mark.parametrize(
    ("count", "shown"), [(47, 47), (100, 100), (101, 110), (342, 350), (340, 340), (99_001, 100_000)]
)
def test_sizes_have_two_digits_and_are_never_too_small(count, shown):
    assert two_digits(count) == shown


def test_a_difference_that_was_not_shown():
    sentence = size_sentence(comparison(0.021, 0.3, TestSize(studies=342, deaths=47, power_now=0.183)))

    assert sentence == (
        "Late vote: a difference of 0.021 was not shown. About 350 test studies with 47 deaths would be needed to "
        "show it with 80 % power; the 72 of this run had 18 %."
    )


def test_a_difference_in_the_other_models_favour():
    assert "a difference of 0.021 in its favour was not shown" in size_sentence(
        comparison(-0.021, 0.3, TestSize(studies=342, deaths=47, power_now=0.18))
    )


def test_a_difference_that_was_shown():
    size = TestSize(studies=51, deaths=8, power_now=0.9)

    assert size_sentence(comparison(0.2, 0.0008, size)) == (
        "Late vote: a difference of 0.200 was shown (p < 0.001) with the 72 test studies of this run."
    )


@pytest.mark.parametrize("p_holm", [0.05, 0.177])
def test_a_difference_that_holms_correction_takes_back_was_not_shown(p_holm):
    """p = 0.020 alone, but one of several comparisons."""
    size = TestSize(studies=51, deaths=8, power_now=0.64)

    assert size_sentence(comparison(0.2, 0.02, size, p_holm=p_holm)) == (
        "Late vote: a difference of 0.200 was not shown with the 72 test studies of this run: p = 0.020 alone, "
        f"but {p_holm:.3f} with Holm's correction for the number of comparisons."
    )


def test_a_size_that_nobody_has():
    size = TestSize(studies=283_604, deaths=39_390, power_now=0.0502)

    assert size_in_words(size) == "> 100\u202f000"
    assert "so small that more than 100\u202f000 test studies" in size_sentence(comparison(0.0008, 0.96, size))


def test_what_cannot_be_told():
    assert size_in_words(TestSize()) == "–"
    assert "no number of studies would show a difference of zero" in size_sentence(
        comparison(0.0, 1.0, TestSize())
    )
    assert "cannot be judged" in size_sentence(comparison(None, None, TestSize()))
    assert "cannot be judged" in size_sentence(comparison(0.3, None, TestSize()))


def test_a_size_that_is_only_known_to_be_small():
    size = TestSize(studies=72, deaths=10, power_now=0.31, at_most=True)

    assert size_in_words(size) == "≤ 72 (10)"
    assert "At most 72 test studies with 10 deaths would be needed" in size_sentence(comparison(0.2, 0.3, size))


def test_sizes_as_a_cell():
    assert size_in_words(TestSize(studies=12_115, deaths=1683, power_now=0.06)) == "13\u202f000 (1\u202f700)"
