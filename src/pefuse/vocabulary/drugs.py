"""Drugs that tell of a state which scores ask for: anticoagulants at home, thrombolysis, vasopressors in hospital.

By ATC code, by RxNorm ingredient, or by the drug's name in a code or in its
description, since exports often code the product and not the ingredient.
"""

from __future__ import annotations

import re
from functools import cache

from pefuse.vocabulary.tables import read_table

__all__ = ["drug_concepts"]

# Given into a line or a machine, not to the patient.
_NOT_FOR_THE_PATIENT = re.compile(r"\b(?:clearance|flush|lock|priming|catheter|ophthalmic|nasal)", re.IGNORECASE)


@cache
def drug_concepts(system: str, drug: str, name: str, setting: str) -> tuple[str, ...]:
    """States that a drug tells of.

    Args:
        system: of its code, such as ATC or RXNORM.
        drug: the code in it.
        name: what else is said of it.
        setting: `in` hospital or `out`; a drug without one tells of nothing, since either may be meant.
    """
    if not setting or _NOT_FOR_THE_PATIENT.search(f"{drug} {name}"):
        return ()
    code = drug.split("//")[0].strip().upper()
    words = set(re.findall(r"[a-z]+", f"{drug} {name}".lower()))
    return tuple(
        dict.fromkeys(
            row["concept"]
            for row in read_table("drug_concepts.csv")
            if row["setting"] == setting
            and (
                (system == "ATC" and code == row["atc"])
                or (system == "RXNORM" and code == row["rxnorm"])
                or row["drug"] in words
            )
        )
    )
