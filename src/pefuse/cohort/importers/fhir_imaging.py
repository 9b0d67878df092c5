"""ImagingStudy, R4 and R5: which CT was made of whom and when, and by which keys its images are found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from pefuse.cohort.importers.fhir_resources import Resource, known_time, reference_id
from pefuse.errors import RecordError

__all__ = ["ImagingStudy", "imaging_study", "studies_table"]

_NONE_MADE = {"entered-in-error", "cancelled", "registered"}
_UID = re.compile(r"^(?:urn:oid:)?([0-9]+(?:\.[0-9]+)+)$")


@dataclass(frozen=True, kw_only=True)
class ImagingStudy:
    """A CT: when it began (text as FHIR has it, "" = not told), its keys, and all words that describe it."""

    patient: str
    started: str
    study_instance_uid: str
    accession_number: str
    words: str


def imaging_study(resource: Resource) -> ImagingStudy | None:
    """The CT that a resource tells of; None for another modality, or one that was not made.

    Raises:
        AttributeError, TypeError: the resource is not as FHIR has it.
    """
    series = [each for each in resource.get("series") or [] if isinstance(each, Mapping)]
    modalities = [
        *_codes(resource.get("modality")),
        *(code for each in series for code in _codes(each.get("modality"))),
    ]
    if "CT" not in modalities or str(resource.get("status")) in _NONE_MADE:
        return None
    identifiers = [each for each in resource.get("identifier") or [] if isinstance(each, Mapping)]
    began = [str(each["started"]) for each in series if each.get("started")]
    return ImagingStudy(
        patient=reference_id(resource.get("subject")),
        started=str(resource.get("started") or min(began, default="")),
        study_instance_uid=next((uid for each in identifiers if (uid := _uid(each))), ""),
        accession_number=next((str(each.get("value", "")) for each in identifiers if _is_accession(each)), ""),
        words=" | ".join(_words(resource, series)),
    )


def studies_table(
    found: Iterable[ImagingStudy], described: str, zone: ZoneInfo | None, notes: Counter[str]
) -> pd.DataFrame:
    """One row a CT whose words match, in the order of patients and times: a table of studies with keys.

    Args:
        described: a regular expression, in any case; "" = any CT.

    Raises:
        RecordError: none is left.
    """
    told = list(found)
    all_found = list(dict.fromkeys(told))
    notes["CT studies told twice"] = len(told) - len(all_found)
    rows = []
    for study in all_found:
        if described and not re.search(described, study.words, re.IGNORECASE):
            notes["left out: CT studies with another description"] += 1
            continue
        # A mere date would be any hour of that day: features of before it are not known to be so.
        began = known_time(study.started, zone) if "T" in study.started else None
        if began is None:
            notes["left out: CT studies without a time"] += 1
            continue
        rows.append((study.patient, began.strftime("%Y-%m-%dT%H:%M:%S"), study))
    if not rows:
        raise RecordError(
            f"The source has {len(all_found)} ImagingStudy resources of a CT, and none with a time"
            f"{' and that description' if described else ''}: name studies in a table (--studies), or others by "
            "--described."
        )
    rows.sort(key=lambda row: (row[0], row[1], row[2].study_instance_uid))
    return pd.DataFrame(
        {
            "study_id": [f"S{place:05d}" for place in range(1, len(rows) + 1)],
            "patient_id": [patient for patient, _, _ in rows],
            "index_time": [began for _, began, _ in rows],
            "ct": "",
            "accession_number": [study.accession_number for _, _, study in rows],
            "study_instance_uid": [study.study_instance_uid for _, _, study in rows],
        }
    )


def _codes(content: Any) -> list[str]:
    """Codes of a Coding (R4), a CodeableConcept (R5), or a list of either."""
    if isinstance(content, list):
        return [code for each in content for code in _codes(each)]
    if not isinstance(content, Mapping):
        return []
    return [str(content["code"])] if "code" in content else _codes(content.get("coding"))


def _uid(identifier: Mapping[str, Any]) -> str:
    stated = identifier.get("system") == "urn:dicom:uid" or str(identifier.get("value", "")).startswith("urn:oid:")
    found = _UID.match(str(identifier.get("value", "")))
    return found[1] if stated and found else ""


def _is_accession(identifier: Mapping[str, Any]) -> bool:
    return "ACSN" in _codes((identifier.get("type") or {}).get("coding"))


def _words(resource: Resource, series: list[Mapping[str, Any]]) -> list[str]:
    words = [resource.get("description"), *(each.get("description") for each in series)]
    for name in ("procedureCode", "procedure", "reasonCode", "reason"):
        words += _texts(resource.get(name))
    return [str(word) for word in words if word]


def _texts(content: Any) -> list[str]:
    """Text, displays and codes of CodeableConcepts, wherever they lie within."""
    if isinstance(content, list):
        return [text for each in content for text in _texts(each)]
    if not isinstance(content, Mapping):
        return []
    own = [str(content[name]) for name in ("text", "display", "code") if isinstance(content.get(name), str)]
    return own + _texts(content.get("coding")) + _texts(content.get("concept"))
