"""Planted faults of a record: each is found, by name, and a clean cohort has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pefuse.audit import RecordAudit, audit_record
from pefuse.cli.door import run
from pefuse.cohort import load_cohort

PATIENTS = 240
random = np.random.default_rng(0)
DIED = random.random(PATIENTS) < 0.15
NORTH = np.arange(PATIENTS) // 4 % 2 == 1
YEARS = 2016 + np.arange(PATIENTS) % 4
Tables = tuple[pd.DataFrame, pd.DataFrame]


def clean() -> Tables:
    """Studies of four years at two sites; each patient with pulse, temperature, creatinine of the day before."""
    studies = pd.DataFrame(
        {
            "study_id": [f"s{i}" for i in range(PATIENTS)],
            "patient_id": np.arange(PATIENTS),
            "index_time": [f"{year}-05-05T12:00:00" for year in YEARS],
            "ct": "",
            "age_years": 60,
            "sex": "F",
            "died": DIED.astype(int).astype(str),
            "split": np.where(YEARS == 2019, "test", "train"),
            "site": np.where(NORTH, "north", "south"),
        }
    )
    facts = {"VITAL//heart_rate": (90, 15), "VITAL//temperature": (37, 0.5), "LAB//creatinine": (1.0, 0.2)}
    generator = np.random.default_rng(1)
    events = pd.concat(
        [
            pd.DataFrame({"code": code, "numeric_value": generator.normal(mean, sd, PATIENTS)}).assign(
                subject_id=np.arange(PATIENTS), time=[f"{year}-05-04T12:00:00" for year in YEARS]
            )
            for code, (mean, sd) in facts.items()
        ]
    )
    return studies, events


def add(
    events: pd.DataFrame, who: np.ndarray, code: str, value: float | None = None, when: str = "05-04"
) -> pd.DataFrame:
    more = pd.DataFrame(
        {
            "subject_id": who,
            "time": [f"{YEARS[i]}-{when}T11:00:00" for i in who],
            "code": code,
            "numeric_value": value,
        }
    )
    return pd.concat([events, more.astype({"numeric_value": "float64"})])


def audited(folder: Path, tables: Tables) -> RecordAudit:
    write(folder, tables)
    return audit_record(load_cohort(folder))


def write(folder: Path, tables: Tables) -> None:
    studies, events = tables
    studies.to_csv(folder / "studies.csv", index=False)
    events = events.assign(text_value="")[["subject_id", "time", "code", "numeric_value", "text_value"]]
    events.to_csv(folder / "events.csv", index=False)


def grave(audit: RecordAudit) -> list[tuple[str, str]]:
    return [(finding.topic, finding.text) for finding in audit.findings if finding.level != "note"]


def test_a_clean_cohort_has_no_warning(tmp_path: Path) -> None:
    audit = audited(tmp_path, clean())
    assert grave(audit) == []
    assert audit.codes is not None
    assert set(audit.codes["concept"]) == {"heart_rate", "temperature", "creatinine"}


def test_a_skewed_marker_whose_median_moves_by_chance_is_no_other_unit(tmp_path: Path) -> None:
    """Procalcitonin spans three powers of ten: its median of a year's patients may triple, but values overlap."""
    studies, events = clean()
    who = np.arange(PATIENTS)
    told = add(events, who, "LAB//procalcitonin")
    values = np.exp(np.random.default_rng(3).normal(np.where(YEARS == 2018, 0.0, -1.2), 1.6))
    told.loc[told["code"] == "LAB//procalcitonin", "numeric_value"] = values
    medians = [float(np.median(values[year == YEARS])) for year in range(2016, 2020)]
    assert max(medians) > 2.5 * min(medians)
    assert grave(audited(tmp_path, (studies, told))) == []


def later(tables: Tables) -> Tables:
    studies, events = tables
    return studies, add(events, np.flatnonzero(DIED), "DIAGNOSIS//autopsy")


def telling(tables: Tables) -> Tables:
    """A score that follows the outcome."""
    studies, events = tables
    who = np.arange(PATIENTS)
    told = add(events, who, "LAB//telling")
    told.loc[told["code"] == "LAB//telling", "numeric_value"] = DIED * 10 + np.linspace(0, 5, PATIENTS)
    return studies, told


def fahrenheit(tables: Tables) -> Tables:
    studies, events = tables
    heat = (events["code"] == "VITAL//temperature") & (events["subject_id"] % 4 == 0)
    return studies, events.assign(
        numeric_value=events["numeric_value"].where(~heat, events["numeric_value"] * 1.8 + 32)
    )


def scaled(tables: Tables, which: np.ndarray) -> Tables:
    studies, events = tables
    changed = (events["code"] == "LAB//creatinine") & events["subject_id"].isin(np.flatnonzero(which))
    return studies, events.assign(
        numeric_value=events["numeric_value"].where(~changed, events["numeric_value"] * 8)
    )


def of_another_year(tables: Tables) -> Tables:
    return scaled(tables, YEARS == 2017)


def of_another_site(tables: Tables) -> Tables:
    return scaled(tables, NORTH)


def without_record(tables: Tables) -> Tables:
    studies, events = tables
    return studies, events[events["subject_id"] % 3 != 0]


def censored(tables: Tables) -> Tables:
    studies, events = tables
    return studies.assign(died=np.where(np.arange(PATIENTS) % 5 == 0, "", studies["died"])), events


def deadly(tables: Tables) -> Tables:
    studies, events = tables
    return studies.assign(died=np.where(np.arange(PATIENTS) % 5 == 0, "0", "1")), events


def told_twice(tables: Tables) -> Tables:
    studies, events = tables
    again = studies.iloc[:3].assign(study_id=["again0", "again1", "again2"])
    return pd.concat([studies, again]), events


def of_1900(tables: Tables) -> Tables:
    studies, events = tables
    early = studies["index_time"].where(studies["study_id"] != "s7", "1900-01-01T00:00:00")
    return studies.assign(index_time=early), events


def drifting(tables: Tables) -> Tables:
    studies, events = tables
    new = (events["code"] == "VITAL//heart_rate") & events["subject_id"].isin(np.flatnonzero(YEARS == 2019))
    return studies, events.assign(numeric_value=events["numeric_value"] + 40 * new)


def vanishing(tables: Tables) -> Tables:
    studies, events = tables
    gone = (events["code"] == "LAB//creatinine") & events["subject_id"].isin(np.flatnonzero(YEARS == 2019))
    return studies, events[~gone]


def deadly_site(tables: Tables) -> Tables:
    """All deaths are of one site."""
    studies, events = tables
    return studies.assign(site=np.where(DIED | (np.arange(PATIENTS) % 3 == 0), "north", "south")), events


def deadly_year(tables: Tables) -> Tables:
    studies, events = tables
    return studies.assign(
        died=np.where((YEARS == 2019) & (np.arange(PATIENTS) % 8 < 4), "1", studies["died"])
    ), events


def coded_otherwise(tables: Tables) -> Tables:
    """From ICD-9 to ICD-10 between training and test; many codes, each of a few, so that no single one drifts."""
    studies, events = tables
    for code in range(9):
        who = np.flatnonzero(np.arange(PATIENTS) // 8 % 9 == code)
        for test, system in ((False, f"ICD9CM//{428 + code}.0"), (True, f"ICD10CM//I5{code}.9")):
            events = add(events, who[(YEARS[who] == 2019) == test], system)
    return studies, events


def new_mark(tables: Tables) -> Tables:
    studies, events = tables
    return studies, add(events, np.flatnonzero(YEARS == 2019), "MEDICATION//IN//new drug")


@pytest.mark.parametrize(
    ("plant", "topic", "text"),
    [
        (later, "leak", "'autopsy' exists for"),
        (telling, "leak", "alone tells death with an AUC of 1.000"),
        (fahrenheit, "units", "Fahrenheit?"),
        (of_another_year, "units", "in year 2017: another unit?"),
        (of_another_site, "units", "in site north: another unit?"),
        (without_record, "joins", "80 of 240 studies have no record before their scan"),
        (censored, "labels", "48 of 240 studies have no outcome"),
        (deadly, "labels", "80.0% of the patients die"),
        (told_twice, "joins", "3 studies are of the same patient at the same time"),
        (of_1900, "times", "1 scans are dated before 1990"),
        (drifting, "drift", "1 features have other values: heart rate (/min)"),
        (deadly_site, "labels", "Death differs between sites: 0.0% of"),
        (deadly_year, "labels", "Death differs between training and test: "),
        (coded_otherwise, "drift", "Of the ICD codes 100% are ICD-9 in training and 0% in test studies"),
        (new_mark, "drift", "are recorded more or less often: drug: new drug (inpatient) (0% to 100%)"),
        (vanishing, "drift", "are recorded more or less often: creatinine (mg/dL) (100% to 0%)"),
    ],
)
def test_a_planted_fault_is_found_and_no_other(
    tmp_path: Path, plant: Callable[[Tables], Tables], topic: str, text: str
) -> None:
    found = grave(audited(tmp_path, plant(clean())))
    assert any(topic == about and text in said for about, said in found), found
    assert {about for about, _ in found} == {topic}, found


def test_a_patient_in_two_splits_is_refused_with_the_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studies, events = clean()
    write(
        tmp_path,
        (studies.assign(patient_id=np.where(studies["patient_id"] == 3, 2, studies["patient_id"])), events),
    )
    assert run(["check", str(tmp_path), "--record-only"]) == 1
    assert "refused, splits: 1 patients have studies in more than one split." in capsys.readouterr().out


def test_statuses_of_clean_and_of_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, clean())
    assert run(["check", str(tmp_path), "--record-only"]) == 0
    write(tmp_path, fahrenheit(clean()))
    assert run(["check", str(tmp_path), "--record-only", "--json"]) == 2
    assert "Fahrenheit" in capsys.readouterr().out


def test_events_after_the_scan_are_noted_with_their_codes(tmp_path: Path) -> None:
    studies, events = clean()
    audit = audited(tmp_path, (studies, add(events, np.arange(40), "LAB//troponin_t", 20.0, when="06-04")))
    (note,) = [finding for finding in audit.findings if finding.topic == "times"]
    assert (note.level, note.count) == ("note", 40)
    assert "troponin T" in note.text


def test_one_outcome_only_is_refused(tmp_path: Path) -> None:
    studies, events = clean()
    audit = audited(tmp_path, (studies.assign(died="0"), events))
    assert audit.count("refused") == 1


@pytest.mark.parametrize("name", ["mimic_iv_demo_meds"])
def test_a_real_record_has_no_invented_fault(tmp_path: Path, test_data: Path, name: str) -> None:
    """MIMIC's demo: 60 patients whose years are shifted one by one, so that each year is one patient's."""
    import duckdb

    from pefuse.cohort.importers import import_meds

    table = duckdb.sql(f"""
        SELECT subject_id AS patient_id, time + INTERVAL 12 HOUR AS index_time
        FROM read_parquet('{test_data / name}/data/**/*.parquet')
        WHERE starts_with(code, 'HOSPITAL_ADMISSION//EW EMER') ORDER BY ALL
    """).df()
    table.to_csv(tmp_path / "s.csv", index=False, date_format="%Y-%m-%dT%H:%M:%S")
    import_meds(test_data / name, tmp_path / "out", studies=tmp_path / "s.csv", followed_days=365)
    assert grave(audit_record(load_cohort(tmp_path / "out"))) == []
