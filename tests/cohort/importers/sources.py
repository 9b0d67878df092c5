"""Small sources of each kind that tell the same of the same patients, written from one list of facts.

A fact is (patient, time or None, what, value). `what` is one of those in WHAT, which says how each source puts it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

__all__ = [
    "PATIENTS",
    "WHAT",
    "Fact",
    "write_csv",
    "write_fhir",
    "write_inspect",
    "write_meds",
    "write_omop",
    "write_studies",
]

PATIENTS = {11: ("1950-02-03", "F", None), -(2**62): ("1971-07-01", "M", "2020-03-09T04:00:00")}


@dataclass(frozen=True)
class Fact:
    """Something known of a patient at a moment; a diagnosis is known when its visit ends."""

    patient: int
    time: str
    what: str
    value: float | None = None


WHAT = {  # MEDS code; OMOP table, concept
    "pulse": ("LOINC//8867-4", "measurement", 3027018),
    "lactate": ("LOINC//2524-7", "measurement", 3047181),
    "heparin": ("RXNORM//IN//5224", "drug_exposure", 1367571),
    "heart failure": ("ICD10CM//I50.9", "condition_occurrence", 316139),
    "angiography": ("PROCEDURE//CPT4//71275", "procedure_occurrence", 2211359),
}
CONCEPTS = [
    (3027018, "Heart rate", "LOINC", "8867-4"),
    (3047181, "Lactate in blood", "LOINC", "2524-7"),
    (1367571, "heparin", "RxNorm", "5224"),
    (316139, "Heart failure", "SNOMED", "84114007"),
    (45567179, "Heart failure, unspecified", "ICD10CM", "I50.9"),
    (2211359, "CT angiography, chest", "CPT4", "71275"),
    (8541, "per minute", "UCUM", "/min"),
    (8753, "millimole per liter", "UCUM", "mmol/L"),
]


def write_studies(path: Path, rows: Sequence[tuple[int, str]]) -> Path:
    frame = pd.DataFrame(rows, columns=["patient_id", "index_time"])
    frame.to_csv(path, index=False)
    return path


def write_meds(folder: Path, facts: Sequence[Fact]) -> Path:
    """Two shards, static facts, births and deaths, codes with descriptions, splits."""
    rows = [(fact.patient, fact.time, WHAT[fact.what][0], fact.value, None) for fact in facts]
    for patient, (born, sex, died) in PATIENTS.items():
        rows += [(patient, born, "MEDS_BIRTH", None, None), (patient, None, f"GENDER//{sex}", None, None)]
        rows += [(patient, died, "MEDS_DEATH", None, None)] if died else []
    frame = pd.DataFrame(rows, columns=["subject_id", "time", "code", "numeric_value", "text_value"])
    frame["time"] = pd.to_datetime(frame["time"], format="ISO8601").astype("datetime64[us]")
    frame = frame.astype({"numeric_value": "float32", "text_value": "string"})
    for split, patient in zip(("train", "held_out"), PATIENTS, strict=True):
        shard = folder / "data" / split / "0.parquet"
        shard.parent.mkdir(parents=True)
        frame[frame["subject_id"] == patient].sort_values("time", na_position="first").to_parquet(shard)
    (folder / "metadata").mkdir()
    splits = pd.DataFrame({"subject_id": list(PATIENTS), "split": ["train", "held_out"]})
    splits.to_parquet(folder / "metadata" / "subject_splits.parquet")
    codes = pd.DataFrame(
        {
            "code": ["PROCEDURE//CPT4//71275", "RXNORM//IN//5224"],
            "description": ["CT angiography, chest", "heparin"],
            "parent_codes": [None, ["ATC/B01AB01"]],
        }
    )
    codes.to_parquet(folder / "metadata" / "codes.parquet")
    return folder


def write_omop(folder: Path, facts: Sequence[Fact], *, suffix: str = ".csv") -> Path:
    """One file a table; each diagnosis has a visit of its own, which ends when the fact says, and began before."""
    tables: dict[str, list[dict[str, object]]] = {name: [] for name in ("visit_occurrence", "death")}
    tables["person"] = [
        {
            "person_id": patient,
            "gender_concept_id": 8532 if sex == "F" else 8507,
            "year_of_birth": born[:4],
            "month_of_birth": int(born[5:7]),
            "day_of_birth": int(born[8:]),
        }
        for patient, (born, sex, _) in PATIENTS.items()
    ]
    for patient, (_, _, died) in PATIENTS.items():
        if died:
            tables["death"].append({"person_id": patient, "death_date": died[:10], "death_datetime": died})
    for number, fact in enumerate(facts):
        _, table, concept = WHAT[fact.what]
        tables.setdefault(table, []).append(_omop_row(fact, table, concept, visit=number))
        if table in ("condition_occurrence", "drug_exposure"):
            began = str(pd.Timestamp(fact.time) - pd.Timedelta(days=3)) if table.startswith("cond") else fact.time
            tables["visit_occurrence"].append(
                {
                    "visit_occurrence_id": number,
                    "person_id": fact.patient,
                    "visit_concept_id": 9201,
                    "visit_start_datetime": began,
                    "visit_end_datetime": fact.time if table.startswith("cond") else "",
                }
            )
    tables["concept"] = [
        dict(zip(("concept_id", "concept_name", "vocabulary_id", "concept_code"), row, strict=True))
        for row in CONCEPTS
    ]
    folder.mkdir(parents=True)
    for name, rows in tables.items():
        frame = pd.DataFrame(rows).astype(str) if suffix == ".csv" else pd.DataFrame(rows)
        if rows and suffix == ".csv":
            frame.to_csv(folder / f"{name}{suffix}", index=False)
        elif rows:
            frame.to_parquet(folder / f"{name.upper()}{suffix}")
    return folder


def _omop_row(fact: Fact, table: str, concept: int, *, visit: int) -> dict[str, object]:
    stem = {
        "measurement": "measurement",
        "drug_exposure": "drug",
        "condition_occurrence": "condition",
        "procedure_occurrence": "procedure",
    }[table]
    when = {
        "measurement": "measurement_datetime",
        "drug_exposure": "drug_exposure_start_datetime",
        "condition_occurrence": "condition_start_datetime",
        "procedure_occurrence": "procedure_datetime",
    }[table]
    moment = pd.Timestamp(fact.time)
    row: dict[str, object] = {"person_id": fact.patient, f"{stem}_concept_id": concept, when: str(moment)}
    if table == "measurement":
        row |= {"value_as_number": fact.value, "unit_concept_id": 8541 if fact.what == "pulse" else 8753}
    if table == "condition_occurrence":  # dated at the visit's start, as billing codes are
        row |= {when: str(moment - pd.Timedelta(days=3)), "condition_source_concept_id": 45567179}
    if table in ("condition_occurrence", "drug_exposure"):
        row["visit_occurrence_id"] = visit
    return row


LOINC, SCT = "http://loinc.org", "http://snomed.info/sct"
CODINGS = {
    "pulse": (LOINC, "8867-4", "Heart rate"),
    "lactate": (LOINC, "2524-7", "Lactate"),
    "heparin": ("http://www.nlm.nih.gov/research/umls/rxnorm", "5224", "heparin"),
    "heart failure": ("http://hl7.org/fhir/sid/icd-10-cm", "I50.9", "Heart failure"),
    "angiography": ("http://www.ama-assn.org/go/cpt", "71275", "CT angiography, chest"),
}


def write_fhir(folder: Path, facts: Sequence[Fact], *, bundle: bool = False) -> Path:
    """A bulk export, a file a kind of resource, or all in one Bundle; diagnoses have no date but an encounter."""
    resources: list[dict[str, object]] = []
    for patient, (born, sex, died) in PATIENTS.items():
        resources.append(
            {
                "resourceType": "Patient",
                "id": str(patient),
                "gender": {"F": "female", "M": "male"}[sex],
                "birthDate": born,
                **({"deceasedDateTime": died} if died else {}),
            }
        )
    for number, fact in enumerate(facts):
        resources += _fhir_of(fact, number)
    folder.mkdir(parents=True)
    if bundle:
        entries = [{"resource": resource} for resource in resources]
        (folder / "bundle.json").write_text(json.dumps({"resourceType": "Bundle", "entry": entries}))
        return folder
    for kind in {str(resource["resourceType"]) for resource in resources}:
        lines = [json.dumps(resource) for resource in resources if resource["resourceType"] == kind]
        (folder / f"{kind}.ndjson").write_text("\n".join(lines) + "\n")
    return folder


def _fhir_of(fact: Fact, number: int) -> list[dict[str, object]]:
    system, code, display = CODINGS[fact.what]
    concept = {"coding": [{"system": system, "code": code, "display": display}]}
    subject = {"reference": f"Patient/{fact.patient}"}
    common: dict[str, object] = {"id": str(number), "subject": subject}
    if fact.what in ("pulse", "lactate"):
        unit = {"pulse": "/min", "lactate": "mmol/L"}[fact.what]
        quantity = {"value": fact.value, "code": unit}
        return [
            {
                **common,
                "resourceType": "Observation",
                "status": "final",
                "code": concept,
                "effectiveDateTime": fact.time,
                "valueQuantity": quantity,
            }
        ]
    if fact.what == "heparin":
        return [
            {
                **common,
                "resourceType": "MedicationAdministration",
                "status": "completed",
                "medicationCodeableConcept": concept,
                "effectiveDateTime": fact.time,
            }
        ]
    if fact.what == "angiography":
        done = {"status": "completed", "code": concept, "performedDateTime": fact.time}
        return [{**common, "resourceType": "Procedure", **done}]
    began = str(pd.Timestamp(fact.time) - pd.Timedelta(days=3)).replace(" ", "T")
    visit = {"class": {"code": "IMP"}, "status": "finished", "period": {"start": began, "end": fact.time}}
    return [
        {**common, "resourceType": "Encounter", **visit},
        {
            **common,
            "resourceType": "Condition",
            "code": concept,
            "onsetDateTime": began,
            "encounter": {"reference": f"Encounter/{number}"},
        },
    ]


def write_csv(folder: Path, facts: Sequence[Fact], *, index: str) -> Path:
    """A mapping beside a table of studies and one long table a system of codes; the mapping's path."""
    folder.mkdir(parents=True)
    studies = [
        (patient, index, born, sex, died or "", "2021-01-01") for patient, (born, sex, died) in PATIENTS.items()
    ]
    names = ("patient_id", "index_time", "birth_date", "sex", "death_time", "last_follow_up")
    pd.DataFrame(studies, columns=list(names)).to_csv(folder / "studies.csv", index=False)
    systems: dict[str, list[dict[str, object]]] = {}
    for fact in facts:
        system, _, code = WHAT[fact.what][0].rpartition("//")
        moment = str(pd.Timestamp(fact.time))
        row = {"who": fact.patient, "when": moment, "what": code, "how much": fact.value}
        systems.setdefault(system, []).append(row)
    events = []
    for number, (system, rows) in enumerate(systems.items()):
        pd.DataFrame(rows).to_csv(folder / f"{number}.csv", index=False)
        columns = {"patient_id": "who", "time": "when", "code": "what", "value": "how much"}
        events.append({"file": f"{number}.csv", "system": system, "columns": columns})
    content = {"studies": {"file": "studies.csv", "columns": {name: name for name in names}}, "events": events}
    mapping = folder / "mapping.yaml"
    mapping.write_text(yaml.safe_dump(content))
    return mapping


def write_inspect(folder: Path, facts: Sequence[Fact], *, index: str) -> Path:
    """One impression a patient, without images; the record as MEDS, its codes with one slash."""
    folder.mkdir(parents=True)
    rows = [(str(100 + place), patient, index) for place, patient in enumerate(PATIENTS)]
    mapping = pd.DataFrame(rows, columns=["impression_id", "person_id", "procedure_DATETIME"]).assign(image_id="")
    mapping.to_csv(folder / "study_mapping_1.tsv", sep="\t", index=False)
    labels = mapping[["impression_id"]].assign(**{"1_month_mortality": ["FALSE", "TRUE"]})
    labels.to_csv(folder / "labels_1.tsv", sep="\t", index=False)
    splits = mapping[["impression_id", "person_id"]].assign(split=["train", "test"])
    splits.to_csv(folder / "splits_1.tsv", sep="\t", index=False)
    write_meds(folder / "meds", facts)
    return folder
