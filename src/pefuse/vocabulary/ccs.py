"""Clinical Classifications Software (single level): some 280 clinical groups that ICD-9-CM and ICD-10-CM share.

By the Agency for Healthcare Research and Quality, which put it into the public domain: of ICD-9-CM the last
release (2015), of ICD-10-CM that of 2019. `ccs.csv` has its groups by how codes begin: the longest beginning
decides, so that a code of another country's ICD-10, which it does not list, goes with its neighbours.
"""

from __future__ import annotations

from functools import cache

from pefuse.vocabulary.icd import IcdCode
from pefuse.vocabulary.tables import read_table

__all__ = ["ccs_group"]


@cache
def ccs_group(icd: IcdCode) -> tuple[int, str]:
    """Number and name of the group that the code belongs to; 0 and "" where it is in none."""
    code = icd.code.replace(".", "")
    begins = _beginnings()
    for length in range(len(code), 2, -1):
        number = begins.get((icd.version, code[:length]))
        if number is not None:
            return number, _names()[number]
    return 0, ""


@cache
def _beginnings() -> dict[tuple[int, str], int]:
    return {(int(row["version"]), row["begins"]): int(row["category"]) for row in read_table("ccs.csv")}


@cache
def _names() -> dict[int, str]:
    return {int(row["category"]): row["label"] for row in read_table("ccs_categories.csv")}
