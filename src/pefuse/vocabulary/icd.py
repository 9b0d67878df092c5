"""ICD codes: one spelling for all, and which of our comorbidities a code means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from pefuse.vocabulary.tables import read_table

__all__ = ["IcdCode", "icd_chapter", "icd_concepts", "parse_icd"]


@dataclass(frozen=True)
class IcdCode:
    """A diagnosis code: version 9 or 10 and the code with its dot ("428.0", "I50.9")."""

    version: int
    code: str

    @property
    def name(self) -> str:
        return f"ICD-{self.version} {self.code}"


_SPELLED = re.compile(
    r"^(?:DIAGNOSIS/{1,2})?ICD[-_ ]?/{0,2}(9|10)(?:[-_ ]?CM)?/{1,2}([A-Z0-9][A-Z0-9.]*)$", re.IGNORECASE
)


@cache
def parse_icd(code: str) -> IcdCode | None:
    """Read `ICD9//428.0`, `ICD10CM/I50.9`, `DIAGNOSIS//ICD//9//4280`; None if it is no such code."""
    found = _SPELLED.match(code.strip())
    if found is None:
        return None
    version = int(found[1])
    return IcdCode(version, _dotted(version, found[2].upper()))


@cache
def icd_concepts(icd: IcdCode) -> tuple[str, ...]:
    """Names of the comorbidities that the code belongs to, in the order of `icd_concepts.csv`."""
    return tuple(
        dict.fromkeys(
            concept
            for version, first, last, concept in _ranges()
            if version == icd.version and _within(icd.code, first, last)
        )
    )


@cache
def icd_chapter(icd: IcdCode) -> str:
    """The chapter that the code stands in, by names that both versions share; "" where it is in none."""
    rows = read_table("icd_chapters.csv")
    return next(
        (
            row["chapter"]
            for row in rows
            if int(row["version"]) == icd.version and _within(icd.code, row["first"], row["last"])
        ),
        "",
    )


def _dotted(version: int, code: str) -> str:
    if "." in code:
        return code.rstrip(".")
    stem = 4 if version == 9 and code.startswith("E") else 3
    return f"{code[:stem]}.{code[stem:]}" if len(code) > stem else code


def _within(code: str, first: str, last: str) -> bool:
    """Whether the code lies in the range; a bound takes in all its subdivisions ("I50" takes in "I50.21")."""
    return code[: len(first)] >= first and code[: len(last)] <= last


@cache
def _ranges() -> tuple[tuple[int, str, str, str], ...]:
    return tuple(
        (int(row["version"]), row["first"], row["last"], row["concept"]) for row in read_table("icd_concepts.csv")
    )
