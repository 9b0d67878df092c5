"""What the cells of a wide feature are: a number, a state, or a word; what is not as it should be is counted."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pandas as pd

from pefuse.cohort.importers.csv_mapping import WideFeature
from pefuse.errors import UsageError
from pefuse.vocabulary import concepts

__all__ = ["numbers_or_words", "settled"]

STATES = {
    **dict.fromkeys(("1", "1.0", "y", "yes", "true", "ja", "j", "present", "positive"), "1"),
    **dict.fromkeys(("0", "0.0", "n", "no", "false", "nein", "absent", "negative"), "0"),
}
NUMBERS_SHARE = 0.5  # of the filled cells; a column with more numbers than words is one of numbers


def settled(feature: WideFeature, cells: pd.Series, notes: MutableMapping[str, Any]) -> pd.Series:
    """The cells of a feature as its concept needs them: 1 and 0 of a state, else numbers or words.

    Raises:
        UsageError: a state has cells that say neither yes nor no.
    """
    known = concepts().get(feature.concept)
    if known is None or known.kind != "diagnosis":
        measured = known is not None and known.kind in ("vital", "lab")
        return numbers_or_words(feature.column, cells, notes, measured=measured)
    told = cells.str.lower().map(STATES)
    unknown = int((told.isna() & (cells != "")).sum())
    if unknown:
        raise UsageError(
            f"The mapping, '{feature.column}': {unknown} cells say neither yes nor no (1, 0, yes, no, true, "
            f"false, ja, nein), so {feature.concept} is not told: change the cells, or leave the concept out."
        )
    return told.fillna("")


def numbers_or_words(
    name: str, cells: pd.Series, notes: MutableMapping[str, Any], *, measured: bool = False
) -> pd.Series:
    """Of a column of numbers the cells that are none (`<3`, `hemolysed`) become blank, and are counted.

    Args:
        cells: text; numbers with a point.
        measured: it is one of numbers whatever stands in it.
    """
    filled = cells != ""
    is_number = pd.to_numeric(cells.where(filled), errors="coerce").notna()
    wrong = int((filled & ~is_number).sum())
    if not wrong or not (measured or is_number.sum() > NUMBERS_SHARE * filled.sum()):
        return cells
    notes[f"{name}: left blank, cells that are no number"] = wrong
    return cells.where(is_number, "")
