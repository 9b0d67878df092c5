"""The comparisons with the reference, one row a model: every test as numbers, the tests to believe as text."""

from __future__ import annotations

import pandas as pd

from pefuse.report.comparisons import Comparison, Gain, TestSize
from pefuse.report.results import Results
from pefuse.report.tables.formatting import UNKNOWN, format_estimate, format_p, number, two_digits, with_bounds

__all__ = ["comparison_numbers", "comparison_text"]

P_VALUES = (
    "p_value",
    "p_holm",
    "p_permutation",
    "p_permutation_holm",
    "p_bootstrap",
    "p_bootstrap_holm",
    "paper_p",
)
GAINS = ("net_reclassification", "continuous_reclassification", "integrated_discrimination")


def comparison_numbers(results: Results) -> pd.DataFrame:
    """All comparisons, those of Table 3 after those of Table 1; what cannot be told is NaN."""
    return pd.DataFrame([_numbers(one, results.reference) for one in results.comparisons])


def comparison_text(results: Results) -> pd.DataFrame:
    """The comparisons of Table 1 as people read them."""
    rows = [
        {
            "Against": one.label,
            "AUC difference [95 % CI]": format_estimate(one.difference),
            "p, DeLong": format_p(one.p_value),
            "Holm": format_p(one.p_holm),
            "p, permutation": format_p(one.p_permutation),
            "Holm ": format_p(one.p_permutation_holm),
            "p, bootstrap": format_p(one.p_bootstrap),
            "Studies needed (deaths)": _size(one.test_size),
        }
        for one in results.comparisons
        if one.table == 1
    ]
    return pd.DataFrame(rows)


def _numbers(one: Comparison, reference: str | None) -> dict[str, object]:
    size = one.test_size
    row: dict[str, object] = {
        "reference": reference,
        "model": one.name,
        "table": one.table,
        "studies": one.studies,
    }
    row |= with_bounds("difference", one.difference)
    row |= {name: number(getattr(one, name)) for name in P_VALUES}
    row |= with_bounds("bootstrap_difference", one.bootstrap_difference)
    row |= with_bounds("precision_difference", one.precision_difference)
    row |= {
        "studies_needed": number(size.studies),
        "deaths_needed": number(size.deaths),
        "needed_at_most": size.at_most,
        "power_now": number(size.power_now),
    }
    for rate in ("sensitivity", "specificity", "accuracy"):
        found = one.discordance.get(rate)
        row |= {
            f"{rate}_only_reference": number(found.only_reference if found else None),
            f"{rate}_only_other": number(found.only_other if found else None),
            f"{rate}_mcnemar_p": number(found.p_value if found else None),
        }
    for name in GAINS:
        gain: Gain | None = getattr(one, name)
        for part in ("of_deaths", "of_survivors", "total"):
            row |= with_bounds(f"{name}_{part}", getattr(gain, part) if gain else None)
    return row


def _size(size: TestSize) -> str:
    if size.studies is None or size.deaths is None:
        return UNKNOWN
    return f"{'≤ ' if size.at_most else ''}{two_digits(size.studies)} ({two_digits(size.deaths)})"
