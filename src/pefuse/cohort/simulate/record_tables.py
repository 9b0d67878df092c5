"""What the record can hold: the measurements, panels, medications and diagnoses of the tables beside this file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

from pefuse.vocabulary import concept, read_table

__all__ = [
    "COMORBIDITIES",
    "Diagnosis",
    "Measurement",
    "Medication",
    "Panel",
    "diagnoses",
    "measurements",
    "medications",
    "panels",
]

Shape = Literal["normal", "lognormal", "reflected"]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Measurements that are ordered together: in what share of patients, rising with bad physiology."""

    name: str
    share: float
    physiology: float  # log-odds of being ordered, per SD


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A vital sign or lab value; `physiology` and `frailty` are its correlations with these causes.

    The value is `typical + spread·z` (normal), `typical·exp(spread·z)` (lognormal) or, for a saturation,
    `100 - typical·exp(spread·z)` (reflected), with z standard normal in the source population.
    """

    concept: str
    kind: Literal["vital", "lab"]
    panel: str
    shape: Shape
    typical: float
    spread: float
    lowest: float
    highest: float
    reference_low: float | None
    reference_high: float | None
    decimals: int
    physiology: float
    frailty: float
    lasting: float  # share of its own noise that was the same years ago: 1 for a height

    @property
    def code(self) -> str:
        return f"{self.kind.upper()}//{self.concept}"

    @property
    def unit(self) -> str:
        return concept(self.concept).unit


@dataclass(frozen=True, kw_only=True)
class Medication:
    """A class of drugs, at home or in hospital; effects on the log-odds of having it, per SD."""

    code: str
    description: str
    setting: Literal["out", "in"]
    share: float
    physiology: float
    frailty: float
    acute: bool  # given in the emergency department, before the scan; else in an earlier stay


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """An ICD-9-CM code. With a `group`, `share` is among the patients of that comorbidity only."""

    code: str
    description: str
    share: float
    frailty: float
    group: str


COMORBIDITIES = {"cancer": (0.19, 1.1), "heart_failure": (0.13, 1.1), "chronic_lung_disease": (0.15, 0.8)}
"""The comorbidities that PESI and sPESI count: share of patients, and log-odds per SD of frailty."""


@cache
def panels() -> tuple[Panel, ...]:
    return tuple(
        Panel(name=row["panel"], share=float(row["share"]), physiology=float(row["physiology"]))
        for row in _rows("panels.csv")
    )


@cache
def measurements() -> tuple[Measurement, ...]:
    return tuple(_measurement(row) for row in _rows("measurements.csv"))


@cache
def medications() -> tuple[Medication, ...]:
    return tuple(
        Medication(
            code=row["code"],
            description=row["description"],
            setting=cast(Literal["out", "in"], row["setting"]),
            share=float(row["share"]),
            physiology=float(row["physiology"]),
            frailty=float(row["frailty"]),
            acute=row["acute"] == "1",
        )
        for row in _rows("medications.csv")
    )


@cache
def diagnoses() -> tuple[Diagnosis, ...]:
    return tuple(
        Diagnosis(
            code=f"ICD9CM//{row['code']}",
            description=row["description"],
            share=float(row["share"]),
            frailty=float(row["frailty"]),
            group=row["group"],
        )
        for row in _rows("diagnoses.csv")
    )


def _measurement(row: dict[str, str]) -> Measurement:
    return Measurement(
        concept=row["concept"],
        kind=cast(Literal["vital", "lab"], row["kind"]),
        panel=row["panel"],
        shape=cast(Shape, row["shape"]),
        typical=float(row["typical"]),
        spread=float(row["spread"]),
        lowest=float(row["lowest"]),
        highest=float(row["highest"]),
        reference_low=float(row["reference_low"]) if row["reference_low"] else None,
        reference_high=float(row["reference_high"]) if row["reference_high"] else None,
        decimals=int(row["decimals"]),
        physiology=float(row["physiology"]),
        frailty=float(row["frailty"]),
        lasting=float(row["lasting"]),
    )


def _rows(name: str) -> list[dict[str, str]]:
    return read_table(f"tables/{name}", package="pefuse.cohort.simulate")
