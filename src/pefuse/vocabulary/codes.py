"""What a code of the record means: its kind, its concept, its unit and a name that a clinician can read.

The cohort's own `codes.csv` speaks first; then the tables that ship here: ICD codes and their comorbidities,
LOINC and MIMIC items, and, for anything else, the first part of the code (`LAB//…`, `MEDICATION//…`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import pandas as pd

from pefuse.vocabulary.concepts import concepts
from pefuse.vocabulary.drugs import drug_concepts
from pefuse.vocabulary.icd import icd_concepts, parse_icd
from pefuse.vocabulary.snomed import snomed_concepts
from pefuse.vocabulary.tables import read_table

__all__ = ["CODE_KINDS", "CodeMeaning", "CodeRow", "code_rows", "meaning"]

CODE_KINDS = (
    "vital", "lab", "medication", "diagnosis", "procedure", "observation", "demographic", "visit", "arrival",
    "score",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CodeRow:
    """A row of a cohort's `codes.csv`; "" where it says nothing."""

    concept: str = ""
    kind: str = ""
    unit: str = ""
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class CodeMeaning:
    """What one code means.

    `key` names the feature the code goes to and is the same in every cohort: codes of one key are one feature.
    `concepts` are ours (for a diagnosis there may be several); `unit` is the one of the recorded value, "" = not
    stated. `tail` is the code without its system. `kind` "" means that nothing is known: not a feature.
    """

    code: str
    key: str
    kind: str
    concepts: tuple[str, ...] = ()
    unit: str = ""
    name: str = ""
    tail: str = ""


def code_rows(codes: pd.DataFrame) -> dict[str, CodeRow]:
    """The frame of `codes.csv` as a dict by code."""
    fields = [field for field in ("concept", "kind", "unit", "description") if field in codes.columns]
    return {
        str(row["code"]): CodeRow(**{field: str(row[field]).strip() for field in fields})
        for row in codes[["code", *fields]].fillna("").to_dict("records")
    }


def meaning(code: str, declared: Mapping[str, CodeRow]) -> CodeMeaning:
    """What `code` means, by the cohort's `declared` codes first and by the shipped tables after."""
    row = declared.get(code, CodeRow())
    if code in _NEVER:
        return CodeMeaning(code=code, key=code, kind="", name=code)
    kind = row.kind or _kind_of_concept(row.concept) or _shipped_kind(code)
    if kind == "medication":
        return _medication(code, row)
    if kind == "diagnosis":
        return _diagnosis(code, row)
    if kind in ("vital", "lab", "score"):
        return _measurement(code, row, kind)
    if kind in ("procedure", "observation"):
        return _done_or_seen(code, row, kind)
    return _fact(code, row, kind)


def _measurement(code: str, row: CodeRow, kind: str) -> CodeMeaning:
    shipped_concept, shipped_unit = _shipped_concept(code)
    concept = row.concept or shipped_concept or _concept_by_tail(code)
    known = concepts().get(concept)
    unit = row.unit or _stated_unit(code) or shipped_unit
    if known is not None and known.kind in ("vital", "lab"):
        return CodeMeaning(
            code=code, key=known.name, kind=known.kind, concepts=(known.name,), unit=unit, name=known.label
        )
    if known is not None:  # a state told by a number, such as altered mental status as 0 or 1
        return CodeMeaning(code=code, key=known.name, kind=kind, concepts=(known.name,), name=known.label)
    system, tail = _system(code)
    name = row.description or concept.replace("_", " ") or f"{system} {tail.split('//')[0]}".strip()
    return CodeMeaning(code=code, key=concept or code, kind=kind, unit=unit, name=name, tail=_tail(code))


def _medication(code: str, row: CodeRow) -> CodeMeaning:
    tail = _tail(code)
    parts = [part for part in tail.split("//") if part]
    setting = next((_SETTINGS[part.upper()] for part in parts if part.upper() in _SETTINGS), "")
    if any(part.upper() in _NOT_TAKEN for part in parts):
        return CodeMeaning(code=code, key=code, kind="", name=tail)
    drug = "//".join(part for part in parts if part.upper() not in _SETTINGS) or tail
    name = row.description or row.concept.replace("_", " ")
    if not name:
        name = drug.replace("//", " ") + (f" ({setting}patient)" if setting else "")
    system = _system(code)[0]
    plain = drug.lower() if system in ("MEDICATION", "DRUG") else f"{system}//{drug}"
    key = f"{setting}//{plain}" if setting else plain
    named = tuple(name for name in re.split(r"[;| ]+", row.concept) if name in concepts())
    told = drug_concepts(system, drug, row.description, setting)
    meant = tuple(dict.fromkeys([*named, *told]))
    return CodeMeaning(code=code, key=key, kind="medication", concepts=meant, name=name, tail=setting)


def _diagnosis(code: str, row: CodeRow) -> CodeMeaning:
    icd = parse_icd(code)
    system, tail = _system(code)
    snomed = snomed_concepts(tail.split("//")[0]) if system == "SNOMED" else ()
    shipped = icd_concepts(icd) if icd else snomed
    named = tuple(name for name in re.split(r"[;| ]+", row.concept) if name)
    meant = tuple(dict.fromkeys([*named, *shipped]))
    if icd is not None:
        key, name = icd.name, " ".join(part for part in (icd.name, row.description) if part)
    else:
        key = code
        name = row.description or " ".join(item.replace("_", " ") for item in named) or _tail(code)
    return CodeMeaning(code=code, key=key, kind="diagnosis", concepts=meant, name=name, tail=_tail(code))


def _done_or_seen(code: str, row: CodeRow, kind: str) -> CodeMeaning:
    """A procedure, or something observed that is no measurement: each code is a feature of its own."""
    named = (row.concept,) if row.concept in concepts() else ()
    name = row.description or row.concept.replace("_", " ") or " ".join(_tail(code).split("//"))
    return CodeMeaning(code=code, key=code, kind=kind, concepts=named, name=name, tail=_tail(code))


def _fact(code: str, row: CodeRow, kind: str) -> CodeMeaning:
    """A demographic, arrival or visit code: `SMOKING//current`, `ARRIVAL//escort`, `VISIT//ED//START`."""
    system, tail = _system(code)[0], _tail(code)
    if kind == "arrival":
        topic, _, tail = tail.partition("//")
        topic = row.concept or topic.lower()
    else:
        topic = row.concept or _shipped_concept(code)[0] or system.lower()
    named = (topic,) if topic in concepts() else ()
    label = concepts()[topic].label if named else topic.replace("_", " ")
    return CodeMeaning(code=code, key=topic, kind=kind, concepts=named, name=label, tail=tail)


_NEVER = ("MEDS_BIRTH", "MEDS_DEATH")  # told by studies.csv, and a death is what we predict

_SETTINGS = {
    "IN": "in",
    "INPATIENT": "in",
    "OUT": "out",
    "OUTPATIENT": "out",
    # MIMIC-IV writes what was ordered and given in hospital
    "START": "in",
    "STOP": "in",
    "ADMINISTERED": "in",
    "DELAYED ADMINISTERED": "in",
    "STARTED": "in",
    "RESTARTED": "in",
    "STOPPED": "in",
    "CONFIRMED": "in",
    "APPLIED": "in",
}
_NOT_TAKEN = {
    "NOT GIVEN",
    "NOT STARTED",
    "NOT CONFIRMED",
    "NOT APPLIED",
    "NOT ASSESSED",
    "HOLD DOSE",
    "NOT FLUSHED",
}


def _system(code: str) -> tuple[str, str]:
    """The coding system and the rest: `LAB//50971//mEq/L` is ("LAB", "50971//mEq/L"), `LOINC/8867-4` likewise."""
    found = re.match(r"^([A-Za-z][A-Za-z0-9_ -]*?)(?://|/)(.+)$", code)
    return (found[1].upper(), found[2]) if found else (code.upper(), "")


def _tail(code: str) -> str:
    return _system(code)[1] or code


def _stated_unit(code: str) -> str:
    """The unit at the end of a MEDS code such as `LAB//50971//mEq/L`."""
    parts = code.split("//")
    return parts[2] if len(parts) == 3 and parts[2] != "UNK" else ""


def _kind_of_concept(name: str) -> str:
    known = concepts().get(name)
    return known.kind if known else ""


def _shipped_kind(code: str) -> str:
    concept, _ = _shipped_concept(code)
    if concept:
        return _kind_of_concept(concept)
    if parse_icd(code) is not None:
        return "diagnosis"
    return _kinds().get(_system(code)[0], "")


def _shipped_concept(code: str) -> tuple[str, str]:
    """Concept and unit by the shipped table, for the code itself or its first two or one parts."""
    system, rest = _system(code)
    head = rest.split("//")[0]
    return _concepts_by_code().get(f"{system}//{head}") or _concepts_by_code().get(system) or ("", "")


def _concept_by_tail(code: str) -> str:
    """`LAB//lactate` and `VITAL//heart_rate` name the concept itself."""
    name = _tail(code).split("//")[0].strip().lower().replace(" ", "_").replace("-", "_")
    return name if name in concepts() else ""


@cache
def _kinds() -> dict[str, str]:
    return {row["system"]: row["kind"] for row in read_table("code_systems.csv")}


@cache
def _concepts_by_code() -> dict[str, tuple[str, str]]:
    return {row["code"]: (row["concept"], row["unit"]) for row in read_table("code_concepts.csv")}
