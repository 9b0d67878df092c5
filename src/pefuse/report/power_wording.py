"""In words, how large a test set would be needed to show a difference of two models."""

from __future__ import annotations

from pefuse.report.comparisons import Comparison, TestSize
from pefuse.report.tables import format_number, format_p, two_digits
from pefuse.report.wording import grouped

__all__ = ["size_in_words", "size_sentence"]

SHOWN = 0.05
BEYOND = 100_000
"""So many test studies nobody will have: the number behind it would only look exact."""


def size_in_words(size: TestSize) -> str:
    """`340 (47)`: studies and deaths to two digits; `≤ 72 (10)`; `> 100 000`; a dash where it cannot be told."""
    if size.studies is None or size.deaths is None:
        return "–"
    if size.studies > BEYOND:
        return f"> {grouped(BEYOND)}"
    return (
        f"{'≤ ' if size.at_most else ''}{grouped(two_digits(size.studies))} ({grouped(two_digits(size.deaths))})"
    )


def size_sentence(one: Comparison) -> str:
    """What this run could show of one comparison, and what it would take."""
    if one.difference.value is None or one.p_value is None:
        return f"{one.label}: the difference cannot be judged."
    size = one.test_size
    if size.studies is None or size.deaths is None or size.power_now is None:
        return f"{one.label}: no difference was seen, and no number of studies would show a difference of zero."
    value = format_number(abs(one.difference.value), decimals=3)
    seen = f"{one.label}: a difference of {value}{' in its favour' if one.difference.value < 0 else ''}"
    if one.p_value < SHOWN:
        return f"{seen} {_how_surely(one)}."
    if size.studies > BEYOND:
        return f"{seen} is so small that more than {grouped(BEYOND)} test studies would be needed to show it."
    return (
        f"{seen} was not shown. "
        f"{'At most' if size.at_most else 'About'} {grouped(two_digits(size.studies))} test studies with "
        f"{grouped(two_digits(size.deaths))} deaths would be needed to show it with 80 % power; "
        f"the {one.studies} of this run had {100 * size.power_now:.0f} %."
    )


def _how_surely(one: Comparison) -> str:
    """What a p-value below 0.05 is worth: not enough where Holm's, of all comparisons, is not too."""
    of_one = format_p(one.p_value)
    of_one = of_one if of_one.startswith("<") else f"= {of_one}"
    where = f"with the {one.studies} test studies of this run"
    if one.p_holm is None or one.p_holm < SHOWN:
        return f"was shown (p {of_one}) {where}"
    return (
        f"was not shown {where}: p {of_one} alone, but {format_p(one.p_holm)} with Holm's correction for the "
        "number of comparisons"
    )
