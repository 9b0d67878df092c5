"""FHIR resources one by one: when each is known, its code and value, in R4 and R5; and what is no use."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from pefuse.cohort import load_cohort
from pefuse.cohort.importers import import_fhir
from pefuse.cohort.importers.fhir_imaging import imaging_study
from pefuse.cohort.importers.fhir_resources import Context, events_of, known_time
from pefuse.ehr import extract
from pefuse.errors import RecordError, UsageError

from .sources import PATIENTS, Fact, write_fhir, write_studies

LOINC = "http://loinc.org"
CONTEXT = Context(
    medications={"m1": {"code": {"coding": [{"system": "http://www.whocc.no/atc", "code": "B01AB01"}]}}},
    encounter_ends={"e1": datetime(2020, 3, 9, 10)},
    zone=None,
)
PATIENT = {"reference": "Patient/7"}


def told(kind: str, **content: Any) -> list[tuple[Any, ...]]:
    found = events_of({"resourceType": kind, "subject": PATIENT, **content}, CONTEXT)
    return [(event.time and event.time.isoformat(), event.code, event.number, event.text) for event in found]


def coded(code: str, system: str = LOINC) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


@pytest.mark.parametrize(
    ("text", "zone", "known"),
    [
        ("2020-03-05T14:30:00+01:00", None, "2020-03-05T14:30:00"),
        ("2020-03-05T14:30:00Z", "Europe/Berlin", "2020-03-05T15:30:00"),
        ("2020-07-05T14:30:00Z", "Europe/Berlin", "2020-07-05T16:30:00"),
        ("2020-03-05T14:30:00.123Z", None, "2020-03-05T14:30:00.123000"),
        ("2020-03-05", None, "2020-03-06T00:00:00"),
        ("2020-12", None, "2021-01-01T00:00:00"),
        ("2020", None, "2021-01-01T00:00:00"),
        ("2020-02-30", None, None),
        ("yesterday", None, None),
        ("", None, None),
        (None, None, None),
        ({"a": 1}, None, None),
    ],
)
def test_a_time_is_known_when_what_it_names_is_over(text: Any, zone: str | None, known: str | None) -> None:
    found = known_time(text, ZoneInfo(zone) if zone else None)
    assert (found and found.isoformat()) == known


def test_an_observation_is_known_when_it_was_issued() -> None:
    """A blood culture is drawn on one day and read on another."""
    value = {"valueQuantity": {"value": 3.5, "unit": "mmol/L"}, "code": coded("2524-7"), "status": "final"}
    when = {"effectiveDateTime": "2020-03-01T08:00:00", "issued": "2020-03-02T09:00:00+00:00"}
    assert told("Observation", **value, **when) == [("2020-03-02T09:00:00", "LOINC//2524-7//mmol/L", 3.5, None)]


def test_a_panel_is_its_components() -> None:
    components = [
        {"code": coded(code), "valueQuantity": {"value": value, "code": "mm[Hg]"}}
        for code, value in (("8480-6", 127), ("8462-4", 48))
    ]
    found = told(
        "Observation",
        status="final",
        code=coded("85354-9"),
        effectiveDateTime="2020-03-01T08:00:00",
        component=components,
    )
    assert [event[1:3] for event in found] == [("LOINC//8480-6//mm[Hg]", 127.0), ("LOINC//8462-4//mm[Hg]", 48.0)]


@pytest.mark.parametrize(
    ("value", "number", "text"),
    [
        ({"valueInteger": 15}, 15.0, None),
        ({"valueBoolean": True}, 1.0, None),
        ({"valueString": "cloudy"}, None, "cloudy"),
        ({"valueCodeableConcept": {"text": "never smoked"}}, None, "never smoked"),
        ({"valueCodeableConcept": coded("LA18978-9")}, None, "LOINC//LA18978-9"),
    ],
)
def test_values_of_other_kinds(value: dict[str, Any], number: float | None, text: str | None) -> None:
    (found,) = told(
        "Observation", status="final", code=coded("1-1"), effectiveDateTime="2020-03-01T08:00:00", **value
    )
    assert found[2:] == (number, text)


def test_a_diagnosis_without_a_date_of_record_is_known_at_the_end_of_its_encounter() -> None:
    icd = coded("I50.9", "http://hl7.org/fhir/sid/icd-10-cm")
    onset = {"code": icd, "onsetDateTime": "2020-03-05T08:00:00", "encounter": {"reference": "Encounter/e1"}}
    assert told("Condition", **onset)[0][0] == "2020-03-09T10:00:00"
    assert told("Condition", **onset, recordedDate="2020-03-05T09:00:00")[0][0] == "2020-03-05T09:00:00"
    assert told("Condition", code=icd) == [(None, "ICD10CM//I50.9", None, None)]


def test_of_several_codings_the_one_we_know_best_is_taken() -> None:
    both = {
        "coding": [
            *coded("84114007", "http://snomed.info/sct")["coding"],
            *coded("I50.9", "http://hl7.org/fhir/sid/icd-10")["coding"],
        ]
    }
    assert told("Condition", code=both, recordedDate="2020-03-05")[0][1] == "ICD10//I50.9"


@pytest.mark.parametrize(
    "medication",
    [
        {"medicationCodeableConcept": coded("B01AB01", "http://www.whocc.no/atc")},  # R4
        {"medication": {"concept": coded("B01AB01", "http://www.whocc.no/atc")}},  # R5
        {"medicationReference": {"reference": "Medication/m1"}},
        {"medication": {"reference": {"reference": "Medication/m1"}}},
        {
            "medicationReference": {"reference": "#own"},
            "contained": [{"id": "own", "code": coded("B01AB01", "http://www.whocc.no/atc")}],
        },
    ],
)
def test_a_drug_is_found_wherever_it_is_told(medication: dict[str, Any]) -> None:
    (given,) = told(
        "MedicationAdministration", status="completed", effectiveDateTime="2020-03-01T08:00:00", **medication
    )
    assert given[1] == "ATC//IN//B01AB01"
    (asked,) = told("MedicationRequest", status="active", authoredOn="2020-03-01T08:00:00", **medication)
    assert asked[1] == "ATC//OUT//B01AB01"


def test_an_order_within_the_hospital_is_of_the_hospital() -> None:
    drug = {"medicationCodeableConcept": coded("5224"), "authoredOn": "2020-03-01T08:00:00", "status": "active"}
    (found,) = told("MedicationRequest", category=[{"coding": [{"code": "inpatient"}]}], **drug)
    assert found[1] == "LOINC//IN//5224"


@pytest.mark.parametrize(
    ("class_", "codes"),
    [
        ({"code": "IMP"}, ["VISIT//INPATIENT//START", "VISIT//INPATIENT//END"]),
        ([{"coding": [{"code": "EMER"}]}], ["VISIT//ED//START", "VISIT//ED//END"]),  # R5
        ({"code": "AMB"}, ["VISIT//OUTPATIENT"]),
        (None, ["VISIT//OUTPATIENT"]),
    ],
)
@pytest.mark.parametrize("period", ["period", "actualPeriod"])
def test_encounters_become_visits(class_: Any, codes: list[str], period: str) -> None:
    times = {"start": "2020-03-01T08:00:00", "end": "2020-03-04T08:00:00"}
    found = told("Encounter", status="finished", **{"class": class_, period: times})
    assert [event[1] for event in found] == codes


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Observation", "status": "entered-in-error", "valueInteger": 1, "code": coded("1-1")},
        {
            "resourceType": "Condition",
            "verificationStatus": {"coding": [{"code": "refuted"}]},
            "code": coded("1-1"),
        },
        {
            "resourceType": "MedicationAdministration",
            "status": "not-done",
            "medicationCodeableConcept": coded("1"),
        },
        {"resourceType": "MedicationRequest", "doNotPerform": True, "medicationCodeableConcept": coded("1")},
        {"resourceType": "Observation", "status": "final", "code": coded("1-1")},  # no value
        {"resourceType": "Appointment"},
        {},
    ],
)
def test_what_never_happened_is_no_event(resource: dict[str, Any]) -> None:
    assert list(events_of(resource, CONTEXT)) == []


A = next(iter(PATIENTS))
FACTS = [Fact(A, "2020-03-01T08:00:00", what, 80.0) for what in ("pulse", "heparin", "heart failure")]


def test_a_bundle_and_a_bulk_export_give_the_same(tmp_path: Path) -> None:
    studies = write_studies(tmp_path / "s.csv", [(A, "2020-03-05T12:00:00")])
    events = []
    for bundle in (False, True):
        source = write_fhir(tmp_path / str(bundle), FACTS, bundle=bundle)
        import_fhir(source, tmp_path / f"out{bundle}", studies=studies)
        events.append(pd.read_parquet(tmp_path / f"out{bundle}" / "events.parquet"))
    pd.testing.assert_frame_equal(*events)


def test_patients_may_have_any_ids(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "Patient.ndjson").write_text(json.dumps({"resourceType": "Patient", "id": "ab-c", "gender": "male"}))
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "subject": {"reference": "https://server/fhir/Patient/ab-c/_history/2"},
        "code": coded("8867-4"),
        "effectiveDateTime": "2020-03-01T08:00:00",
        "valueQuantity": {"value": 80, "code": "/min"},
    }
    lines = [
        json.dumps(observation),
        "{broken",
        json.dumps({**observation, "subject": {"reference": "Patient/x"}}),
    ]
    odd = [{**observation, "valueQuantity": {"value": "88,5"}}, {**observation, "code": "oops"}]
    lines += ["[1, 2]", '"x"', "{}", *map(json.dumps, odd)]
    (source / "Observation.ndjson").write_text("\n".join([*lines, json.dumps({**observation, "component": 5})]))
    (tmp_path / "s.csv").write_text(
        "patient_id,index_time,age_years,died\nab-c,2020-03-05T12:00,60,0\nzz,2020-03-05T12:00,61,0\n"
    )
    report = import_fhir(source, tmp_path / "out", studies=tmp_path / "s.csv")
    assert report.patients_without_events == 1
    assert report.notes["left out: lines that are no JSON"] == 1
    assert report.notes["left out: events of a patient without a Patient resource"] == 1
    assert report.notes["left out: lines that are no resource"] == 2
    assert report.notes["left out: resources without a type"] == 1
    assert report.notes["left out: observations without a code or value, or that were not made"] == 2
    assert report.notes["left out: resources that are not as FHIR has them"] == 1
    studies = load_cohort(tmp_path / "out").studies
    assert list(studies["patient_id"]) == [1, 2]
    assert "ab-c" not in (tmp_path / "out" / "studies.csv").read_text()


def test_a_source_without_patients_and_an_unknown_zone_are_refused(tmp_path: Path) -> None:
    studies = write_studies(tmp_path / "s.csv", [(A, "2020-03-05T12:00:00")])
    (tmp_path / "source").mkdir()
    with pytest.raises(RecordError, match="no FHIR here"):
        import_fhir(tmp_path / "source", tmp_path / "out", studies=studies)
    (tmp_path / "source" / "a.json").write_text("{}")
    with pytest.raises(RecordError, match="no Patient resource"):
        import_fhir(tmp_path / "source", tmp_path / "out", studies=studies)
    with pytest.raises(UsageError, match="no time zone 'Mars'"):
        import_fhir(tmp_path / "source", tmp_path / "out", studies=studies, time_zone="Mars")


def ct(patient: str, started: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ImagingStudy",
        "status": "available",
        "subject": {"reference": f"Patient/{patient}"},
        "started": started,
        "modality": [{"code": "CT"}],
        **more,
    }


R4 = {
    "identifier": [
        {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3.1"},
        {"type": {"coding": [{"code": "ACSN"}]}, "value": "ACC1"},
    ],
    "description": "CT Pulmonary Angiogram",
}
R5 = {
    "modality": [{"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}]}],
    "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3.2"}],
    "procedure": [{"concept": {"coding": [{"display": "CTPA with contrast"}]}}],
}


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        (ct("7", "2020-03-05T14:30:00Z", **R4), ("1.2.3.1", "ACC1", "CT Pulmonary Angiogram")),
        (ct("7", "2020-03-05T14:30:00Z", **R5), ("1.2.3.2", "", "CTPA with contrast")),
        (ct("7", "2020-03-05T14:30:00Z", modality=[], series=[{"modality": {"code": "CT"}}]), ("", "", "")),
        (ct("7", "2020-03-05T14:30:00Z", modality=[{"code": "MR"}]), None),
        (ct("7", "2020-03-05T14:30:00Z", status="entered-in-error"), None),
        (ct("7", "2020-03-05T14:30:00Z", identifier=[{"value": "1.2.3"}]), ("", "", "")),  # of no stated kind
    ],
)
def test_a_ct_is_read_with_its_keys_in_both_releases(
    resource: dict[str, Any], found: tuple[str, ...] | None
) -> None:
    study = imaging_study(resource)
    assert (study and (study.study_instance_uid, study.accession_number, study.words)) == found


def test_the_time_of_a_study_may_stand_with_its_series_alone() -> None:
    series = [{"started": "2020-03-05T14:35:00Z"}, {"started": "2020-03-05T14:31:00Z"}]
    study = imaging_study(ct("7", "", series=series))
    assert study is not None
    assert study.started == "2020-03-05T14:31:00Z"


def write_ndjson(folder: Path, *resources: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "all.ndjson").write_text("".join(json.dumps(each) + "\n" for each in resources))
    return folder


def patient(key: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": key, "gender": "female", "birthDate": "1950-02-03", **more}


def pulse(key: str, time: str, value: float) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "subject": {"reference": f"Patient/{key}"},
        "code": coded("8867-4"),
        "effectiveDateTime": time,
        "valueQuantity": {"value": value, "code": "/min"},
    }


def test_without_a_table_the_cts_of_the_source_are_the_studies(tmp_path: Path) -> None:
    source = write_ndjson(
        tmp_path / "fhir",
        patient("a", deceasedDateTime="2020-03-20T10:00:00"),
        patient("b"),
        ct("b", "2020-04-01T09:00:00Z", **R5),
        ct("a", "2020-03-05T14:30:00Z", **R4),
        ct("a", "2020-05-05", **R4),  # a mere date
        ct("a", "2019-01-01T08:00:00Z", description="CT head"),
        ct("stranger", "2020-03-05T14:30:00Z", **R4),
        pulse("a", "2020-03-05T14:29:00", 88.0),
        pulse("a", "2020-03-05T14:30:00", 199.0),
        pulse("b", "2021-03-05T14:30:00", 70.0),
    )
    report = import_fhir(source, tmp_path / "out", described="pulm|ctpa")
    cohort = load_cohort(tmp_path / "out")
    assert list(cohort.studies.index) == ["S00001", "S00002"]
    assert list(cohort.studies["label"]) == [1.0, 0.0]
    np.testing.assert_array_equal(extract(cohort).frame()["heart rate (/min)"], [88.0, np.nan])
    assert report.notes["left out: CT studies with another description"] == 1
    assert report.notes["left out: CT studies without a time"] == 1
    assert report.notes["left out: CT studies of a patient without a Patient resource"] == 1
    keys = pd.read_csv(tmp_path / "out" / "scan_keys.csv", dtype=str).fillna("")
    assert keys["study_instance_uid"].tolist() == ["1.2.3.1", "1.2.3.2"]
    assert keys["accession_number"].tolist() == ["ACC1", ""]
    assert "study_instance_uid" not in (tmp_path / "out" / "studies.csv").read_text()


def test_a_zone_moves_the_scan_as_it_moves_events(tmp_path: Path) -> None:
    source = write_ndjson(
        tmp_path / "fhir",
        patient("a"),
        ct("a", "2020-03-05T14:30:00Z", **R4),
        pulse("a", "2020-03-05T15:29:00+01:00", 88.0),
        pulse("a", "2020-03-05T14:31:00Z", 199.0),
        pulse("a", "2022-03-05T14:31:00Z", 60.0),
    )
    import_fhir(source, tmp_path / "out", time_zone="Europe/Berlin")
    cohort = load_cohort(tmp_path / "out")
    assert str(cohort.studies["index_time"].iloc[0]) == "2020-03-05 15:30:00"
    assert extract(cohort).frame()["heart rate (/min)"].tolist() == [88.0]


@pytest.mark.parametrize(
    ("described", "studies", "error", "message"),
    [
        ("nothing", False, RecordError, "1 ImagingStudy resources of a CT, and none with a time and that"),
        ("(", False, UsageError, "no regular expression"),
        ("ctpa", True, UsageError, "leave out --studies"),
    ],
)
def test_studies_that_cannot_be_chosen_are_told(
    tmp_path: Path, described: str, studies: bool, error: type[Exception], message: str
) -> None:
    source = write_ndjson(tmp_path / "fhir", patient("a"), ct("a", "2020-03-05T14:30:00Z", **R4))
    table = write_studies(tmp_path / "studies.csv", [(1, "2020-03-05T14:30")]) if studies else None
    with pytest.raises(error, match=message):
        import_fhir(source, tmp_path / "out", studies=table, described=described)
    assert not (tmp_path / "out").exists()


def test_a_file_that_cannot_be_read_is_told_by_its_place_not_its_name(tmp_path: Path) -> None:
    source = write_ndjson(tmp_path / "fhir", patient("a"))
    (source / "Miller_Anna.json").write_text("{")
    with pytest.raises(RecordError, match="File 1 of 2 of the source") as error:
        import_fhir(source, tmp_path / "out")
    assert "Miller" not in str(error.value)


def test_a_death_without_a_time_is_no_survival(tmp_path: Path) -> None:
    source = write_ndjson(
        tmp_path / "fhir",
        patient("a", deceasedBoolean=True),
        patient("b", deceasedBoolean=False),
        ct("a", "2020-03-05T14:30:00Z", **R4),
        ct("b", "2020-03-05T14:30:00Z", **R5),
        pulse("a", "2020-03-05T14:29:00", 88.0),
        pulse("b", "2020-03-05T14:29:00", 88.0),
    )
    report = import_fhir(source, tmp_path / "out", followed_days=365)
    np.testing.assert_array_equal(load_cohort(tmp_path / "out").studies["label"], [np.nan, 0.0])
    assert report.notes["patients who died at a time that is not told: no outcome"] == 1


def test_a_ct_told_twice_is_one_study_and_unknown_systems_are_counted(tmp_path: Path) -> None:
    own = {**pulse("a", "2020-03-05T14:00:00", 3.0), "code": coded("X1", "http://hospital.example/codes")}
    scan = ct("a", "2020-03-05T14:30:00Z", **R4)
    source = write_ndjson(
        tmp_path / "fhir", patient("a"), scan, scan, own, pulse("a", "2020-03-05T14:29:00", 88.0)
    )
    report = import_fhir(source, tmp_path / "out")
    assert report.studies == 1
    assert report.notes["CT studies told twice"] == 1
    assert report.notes["codes of systems that are not known"] == 1


def test_one_bad_patient_does_not_stop_the_others(tmp_path: Path) -> None:
    source = write_ndjson(
        tmp_path / "fhir",
        patient("a", birthDate="1950-13-45"),
        patient("b", birthDate="1790-01-01", deceasedDateTime="2020-01-01T10:00:00Z"),
        patient("c"),
        *(ct(key, "2020-03-05T14:30:00Z", identifier=[]) for key in "abc"),
        *(pulse(key, "2020-06-05T14:29:00", 88.0) for key in "abc"),
    )
    report = import_fhir(source, tmp_path / "out")
    studies = load_cohort(tmp_path / "out").studies
    np.testing.assert_array_equal(np.isnan(studies["age_years"]), [True, True, False])
    np.testing.assert_array_equal(studies["label"], [0.0, np.nan, 0.0])
    assert report.notes["births that cannot be at the scan, left blank"] == 2
    assert report.notes["deaths before the scan, or at no possible time: no outcome"] == 1
