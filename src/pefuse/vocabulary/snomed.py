"""SNOMED CT codes of diagnoses, and which of our comorbidities they mean.

A code counts where its ICD code would (`icd_concepts.csv`). Nothing is inherited along SNOMED's hierarchy, which
does not ship here: each subtype has a row, or means none of them.
"""

from __future__ import annotations

from functools import cache

from pefuse.vocabulary.tables import read_table

__all__ = ["snomed_concepts"]


def snomed_concepts(code: str) -> tuple[str, ...]:
    """Names of the comorbidities that a bare SNOMED CT code means, in the order of the table."""
    return _table().get(code.strip(), ())


@cache
def _table() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in read_table("snomed_concepts.csv"):
        found[row["code"]] = (*found.get(row["code"], ()), row["concept"])
    return found
