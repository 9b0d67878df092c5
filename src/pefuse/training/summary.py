"""A cohort in counts: what the report and a bundle say of it. Nothing of a single patient."""

from __future__ import annotations

from typing import Any

import pandas as pd

__all__ = ["counts", "flow_step"]


def counts(table: pd.DataFrame) -> dict[str, Any]:
    """Studies, patients, deaths, age and share of women of some rows of `Cohort.studies`; None = not known."""
    age = table["age_years"].dropna()
    known_sex = table["sex"].ne("")
    return {
        "studies": len(table),
        "patients": int(table["patient_id"].nunique()),
        "deaths": int(table["label"].sum()),
        "age_mean": round(float(age.mean()), 1) if len(age) else None,
        "age_sd": round(float(age.std()), 1) if len(age) > 1 else None,
        "female_share": round(float(table.loc[known_sex, "sex"].eq("F").mean()), 3) if known_sex.any() else None,
    }


def flow_step(
    name: str, table: pd.DataFrame, *, before: pd.DataFrame | None = None, reason: str = ""
) -> dict[str, Any]:
    """A step of the flow of studies: those that are left, how many of `before` were left out, and why."""
    left_out = 0 if before is None else len(before) - len(table)
    step = {"step": name, "studies": len(table), "deaths": int(table["label"].sum()), "left_out": left_out}
    return step | ({"reason": reason} if left_out else {})
