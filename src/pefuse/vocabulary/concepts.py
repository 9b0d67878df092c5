"""Concepts: what can be measured or known of a patient, with the one unit in which we keep it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from pefuse.errors import UsageError
from pefuse.vocabulary.tables import read_table

__all__ = ["Concept", "concept", "concepts"]


@dataclass(frozen=True, kw_only=True)
class Concept:
    """A thing known of a patient, as `concepts.csv` lists it.

    `low` and `high` bound what a living person can have, in `unit` (infinite where nothing is said): a value
    outside them is a slip of the pen or of the unit, and counts as missing.
    """

    name: str
    label: str  # what a clinician calls it
    kind: str  # vital, lab, diagnosis or demographic
    unit: str = ""
    low: float = float("-inf")
    high: float = float("inf")


@cache
def concepts() -> MappingProxyType[str, Concept]:
    """Every concept, by name."""
    return MappingProxyType({row["name"]: _concept(row) for row in read_table("concepts.csv")})


def concept(name: str) -> Concept:
    """The concept of that name.

    Raises:
        UsageError: there is no such concept.
    """
    try:
        return concepts()[name]
    except KeyError:
        raise UsageError(f"'{name}' is not a concept: see concepts.csv in pefuse.vocabulary for all.") from None


def _concept(row: dict[str, str]) -> Concept:
    return Concept(
        name=row["name"],
        label=row["label"],
        kind=row["kind"],
        unit=row["unit"],
        low=float(row["low"] or "-inf"),
        high=float(row["high"] or "inf"),
    )
