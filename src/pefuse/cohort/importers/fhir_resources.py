"""FHIR resources, R4 and R5, as events: when each became known, its code, its value.

Only what is needed is read, and nothing is validated beyond it: a resource that is not as expected is counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from pefuse.vocabulary import read_table

__all__ = ["Context", "FhirEvent", "events_of", "known_time", "reference_id"]

Resource = Mapping[str, Any]
_NEVER_HAPPENED = {
    "entered-in-error",
    "cancelled",
    "not-done",
    "not-taken",
    "refuted",
    "draft",
    "on-hold",
    "aborted",
}
_SETTINGS = {"IMP": "INPATIENT", "ACUTE": "INPATIENT", "NONAC": "INPATIENT", "OBSENC": "INPATIENT", "EMER": "ED"}
_PREFERRED = ("LOINC", "ICD10CM", "ICD10", "ICD9CM", "RXNORM", "ATC", "SNOMED")


@dataclass(frozen=True, kw_only=True)
class FhirEvent:
    """One event; `time` None: not known when. `name` and `kind` describe its code."""

    patient: str
    time: datetime | None
    code: str
    number: float | None = None
    text: str | None = None
    name: str = ""
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What resources refer to: codes of Medications and ends of Encounters, by id; the zone that times become."""

    medications: Mapping[str, Resource]
    encounter_ends: Mapping[str, datetime]
    zone: ZoneInfo | None


def events_of(resource: Resource, context: Context) -> Iterator[FhirEvent]:
    """The events of one resource; none of a kind that is not read."""
    reader = _READERS.get(str(resource.get("resourceType")))
    if reader is not None and not _denied(resource):
        yield from reader(resource, context)


def known_time(text: Any, zone: ZoneInfo | None) -> datetime | None:
    """When something dated so was known, in local time: a mere date, month or year when it is over."""
    if not isinstance(text, str) or len(text) < 4:
        return None
    try:
        if "T" in text:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is not None and zone is not None:
                moment = moment.astimezone(zone)
            return moment.replace(tzinfo=None)
        parts = [int(part) for part in text.split("-")]
        if len(parts) == 3:
            return datetime(parts[0], parts[1], parts[2]) + timedelta(days=1)
        year, month = (parts[0], parts[1] + 1) if len(parts) == 2 else (parts[0] + 1, 1)
        return datetime(year + (month > 12), 1 if month > 12 else month, 1)
    except (ValueError, TypeError, OverflowError):
        return None


def reference_id(reference: Any) -> str:
    """The id that a Reference names: of Patient/7, urn:uuid:7 and a whole address it is 7."""
    text = reference.get("reference", "") if isinstance(reference, Mapping) else ""
    return str(text).split("/_history/")[0].rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def _denied(resource: Resource) -> bool:
    states = [resource.get("status"), *_codes_of(resource.get("verificationStatus"))]
    return bool(_NEVER_HAPPENED & set(map(str, states))) or resource.get("doNotPerform") is True


def _codes_of(concept: Any) -> list[str]:
    return [str(coding.get("code")) for coding in _codings(concept)]


def _codings(concept: Any) -> list[Mapping[str, Any]]:
    found = concept.get("coding", []) if isinstance(concept, Mapping) else []
    return [coding for coding in found if isinstance(coding, Mapping) and coding.get("code")]


def _coded(concept: Any) -> tuple[str, str]:
    """Code, with its system, and name of a CodeableConcept; the system that we know best."""
    known = [(_system(str(coding.get("system", ""))), coding) for coding in _codings(concept)]
    known.sort(key=lambda each: _PREFERRED.index(each[0]) if each[0] in _PREFERRED else len(_PREFERRED))
    text = concept.get("text", "") if isinstance(concept, Mapping) else ""
    if not known:
        return (f"FHIR//{text}", str(text)) if text else ("", "")
    system, coding = known[0]
    return f"{system}//{coding['code']}", str(coding.get("display") or text or "")


@cache
def _system(url: str) -> str:
    systems = {
        row["url"]: row["system"] for row in read_table("fhir_systems.csv", package="pefuse.cohort.importers")
    }
    return systems.get(url.rstrip("/"), "FHIR")


def _patient(resource: Resource) -> str:
    return reference_id(resource.get("subject") or resource.get("patient"))


def _first_time(resource: Resource, names: tuple[str, ...], context: Context) -> datetime | None:
    """The first of these elements that is a time; of a period its start."""
    for name in names:
        value = resource.get(name)
        time = known_time(value.get("start") if isinstance(value, Mapping) else value, context.zone)
        if time is not None:
            return time
    return None


def _observation(resource: Resource, context: Context) -> Iterator[FhirEvent]:
    """Known when it was issued; a panel's components are events of their own."""
    time = _first_time(resource, ("effectiveDateTime", "effectiveInstant", "effectivePeriod"), context)
    issued = known_time(resource.get("issued"), context.zone)
    known = max(filter(None, (time, issued)), default=None)
    for part in (resource, *resource.get("component", [])):
        code, name = _coded(part.get("code"))
        number, unit, text = _value(part)
        if code and (number is not None or text):
            kind = "observation" if number is None else "lab"
            yield FhirEvent(
                patient=_patient(resource),
                time=known,
                code=code + (f"//{unit}" if unit else ""),
                number=number,
                text=text,
                name=name,
                kind=kind,
            )


def _value(part: Resource) -> tuple[float | None, str, str | None]:
    """Number, its unit, text."""
    quantity = part.get("valueQuantity")
    if isinstance(quantity, Mapping) and _is_number(quantity.get("value")):
        return float(quantity["value"]), str(quantity.get("code") or quantity.get("unit") or ""), None
    for name in ("valueInteger", "valueDecimal"):
        if _is_number(part.get(name)):
            return float(part[name]), "", None
    if isinstance(part.get("valueBoolean"), bool):
        return float(part["valueBoolean"]), "", None
    if isinstance(part.get("valueCodeableConcept"), Mapping):
        concept = part["valueCodeableConcept"]
        return None, "", str(concept.get("text") or _coded(concept)[1] or _coded(concept)[0]) or None
    return None, "", part.get("valueString")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _condition(resource: Resource, context: Context) -> Iterator[FhirEvent]:
    """Known when it was recorded; else at its onset, or when its encounter ended, whichever is later."""
    code, name = _coded(resource.get("code"))
    time = known_time(resource.get("recordedDate"), context.zone)
    if time is None:
        onset = _first_time(resource, ("onsetDateTime", "onsetPeriod"), context)
        end = context.encounter_ends.get(reference_id(resource.get("encounter")))
        time = max(filter(None, (onset, end)), default=None)
    if code:
        yield FhirEvent(patient=_patient(resource), time=time, code=code, name=name, kind="diagnosis")


def _medication(resource: Resource, context: Context) -> Iterator[FhirEvent]:
    kind = resource["resourceType"]
    concept: Any = resource.get("medicationCodeableConcept")
    stated: Any = resource.get("medication")  # R5: a concept or a reference
    reference: Any = resource.get("medicationReference")
    if isinstance(stated, Mapping):
        concept, reference = concept or stated.get("concept"), reference or stated.get("reference")
    if concept is None and reference is not None:
        own = {f"{each.get('id')}": each for each in resource.get("contained", [])}
        key = reference_id(reference).lstrip("#")
        concept = (own.get(key) or context.medications.get(key) or {}).get("code")
    code, name = _coded(concept)
    time = _first_time(
        resource,
        (
            "authoredOn",
            "dateAsserted",
            "effectiveDateTime",
            "effectivePeriod",
            "occurenceDateTime",
            "occurencePeriod",
        ),
        context,
    )
    categories = resource.get("category", [])
    stated_places = [
        each for one in (categories if isinstance(categories, list) else [categories]) for each in _codes_of(one)
    ]
    inside = kind == "MedicationAdministration" or "inpatient" in stated_places
    if code:
        system, _, drug = code.partition("//")
        place = "IN" if inside else "OUT"
        yield FhirEvent(
            patient=_patient(resource),
            time=time,
            code=f"{system}//{place}//{drug}",
            name=f"{name} ({'in' if inside else 'out'}patient)" if name else "",
            kind="medication",
        )


def _procedure(resource: Resource, context: Context) -> Iterator[FhirEvent]:
    code, name = _coded(resource.get("code"))
    times = ("performedDateTime", "performedPeriod", "occurrenceDateTime", "occurrencePeriod")
    if code:
        yield FhirEvent(
            patient=_patient(resource),
            time=_first_time(resource, times, context),
            code=f"PROCEDURE//{code}",
            name=name,
            kind="procedure",
        )


def _encounter(resource: Resource, context: Context) -> Iterator[FhirEvent]:
    setting = encounter_setting(resource)
    period = resource.get("period") or resource.get("actualPeriod") or {}
    start, end = (known_time(period.get(edge), context.zone) for edge in ("start", "end"))
    patient = _patient(resource)
    if start is None:
        return
    if setting == "OUTPATIENT":
        yield FhirEvent(patient=patient, time=start, code="VISIT//OUTPATIENT")
        return
    yield FhirEvent(patient=patient, time=start, code=f"VISIT//{setting}//START")
    if end is not None:
        yield FhirEvent(patient=patient, time=end, code=f"VISIT//{setting}//END")


def encounter_setting(resource: Resource) -> str:
    """By its class: a Coding in R4, a list of concepts in R5."""
    stated = resource.get("class") or {}
    codes = (
        [str(stated.get("code"))]
        if isinstance(stated, Mapping)
        else [code for concept in stated for code in _codes_of(concept)]
    )
    return next((_SETTINGS[code] for code in codes if code in _SETTINGS), "OUTPATIENT")


_READERS = {
    "Observation": _observation,
    "Condition": _condition,
    "MedicationRequest": _medication,
    "MedicationStatement": _medication,
    "MedicationUsage": _medication,
    "MedicationAdministration": _medication,
    "Procedure": _procedure,
    "Encounter": _encounter,
}
