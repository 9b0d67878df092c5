"""One new patient: the same risk as in the run, explained in the scanner's geometry, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK

from pefuse.cohort import load_cohort
from pefuse.ct import read_scan
from pefuse.errors import RecordError, ScanReadError, UsageError
from pefuse.evaluation import mean_by_study
from pefuse.explain import PatientFiles, explain_patient
from pefuse.models.bundle import load_bundle


@pytest.fixture(scope="module")
def cohort(toy_cohort):
    return load_cohort(toy_cohort)


@pytest.fixture
def files(cohort, trained, tmp_path):
    """The files of the run's first test study, as a hospital would give them."""
    table = trained.predictions.table
    study = cohort.study(sorted(table.loc[table["split"] == "test", "study_id"])[0])
    events = pd.read_parquet(cohort.events)
    own = events[events["subject_id"] == study.patient_id]
    own.to_parquet(tmp_path / "events.parquet", index=False)
    return study.study_id, PatientFiles(
        ct=study.ct,
        record=tmp_path / "events.parquet",
        index_time=study.index_time.isoformat(),
        age_years=study.age_years,
        sex=study.sex,
        codes=cohort.folder / "codes.csv",
    )


def changed(files, **changes):
    return PatientFiles(**{**vars(files), **changes})


@pytest.mark.slow
@pytest.mark.parametrize("model", ["intermediate-sanet", "xgboost", "tabnet"])
def test_a_patient_has_the_risk_that_the_run_gave(files, trained, tmp_path, model):
    study_id, own = files
    table = trained.predictions.table
    rows = table[(table["model"] == model) & (table["study_id"] == study_id)]

    found = explain_patient(load_bundle(trained.bundle(model)), own, tmp_path / "out")

    assert found["risk"] == pytest.approx(mean_by_study(rows, "risk")["risk"].iloc[0], abs=2e-5)
    assert len(found["member_risks"]) == 2
    assert found["features"]


@pytest.mark.slow
def test_heat_and_scan_lie_in_the_scanner_s_geometry(files, trained, tmp_path):
    _, own = files
    explain_patient(load_bundle(trained.bundle("sanet")), own, tmp_path / "out", occlusion=True)
    scan, _ = read_scan(own.ct)

    images = {
        name: SimpleITK.ReadImage(str(tmp_path / "out" / f"{name}.nii.gz"))
        for name in ("scan", "heat", "occlusion")
    }
    for image in images.values():
        assert image.GetSize() == scan.hu.shape[::-1]
        assert image.GetSpacing() == pytest.approx(scan.spacing_mm[::-1])
        assert image.GetOrigin() == pytest.approx(scan.affine[:3, 3].tolist())
    assert (SimpleITK.GetArrayFromImage(images["scan"]) == scan.hu).all()
    assert SimpleITK.GetArrayFromImage(images["heat"]).max() == 255
    assert (tmp_path / "out" / "slices.png").stat().st_size > 10_000


@pytest.mark.slow
def test_nothing_of_the_patient_s_numbers_dates_or_paths_is_in_the_text(files, trained, tmp_path):
    study_id, own = files
    explain_patient(load_bundle(trained.bundle("intermediate-sanet")), own, tmp_path / "out")
    text = (tmp_path / "out" / "explanation.json").read_text()
    patient = int(pd.read_parquet(own.record)["subject_id"].iloc[0])

    assert str(patient) not in text
    assert study_id not in text
    assert own.index_time[:10] not in text
    assert str(tmp_path) not in text
    assert json.loads(text)["notice"].startswith("Research use only")


@pytest.mark.slow
def test_what_is_recorded_after_the_scan_changes_nothing(files, trained, tmp_path):
    """Every later event is taken away: the same risk."""
    _, own = files
    events = pd.read_parquet(own.record)
    before = events[events["time"].isna() | (events["time"] < pd.Timestamp(own.index_time))]
    assert len(before) < len(events)
    before.to_parquet(tmp_path / "before.parquet", index=False)
    bundle = load_bundle(trained.bundle("tabnet"))

    whole = explain_patient(bundle, own, tmp_path / "a")
    part = explain_patient(bundle, changed(own, record=tmp_path / "before.parquet"), tmp_path / "b")

    assert whole["risk"] == part["risk"]


@pytest.mark.slow
def test_what_is_missing_or_wrong_has_one_line(files, trained, tmp_path):
    _, own = files
    bundle, out = load_bundle(trained.bundle("intermediate-sanet")), tmp_path / "out"
    two = pd.read_parquet(own.record)
    pd.concat([two, two.assign(subject_id=two["subject_id"] + 1)]).to_parquet(tmp_path / "two.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")

    for changes, error, words in (
        ({"ct": None}, UsageError, "reads a scan: give one with --ct"),
        ({"record": None}, UsageError, "reads the record: give it with --ehr"),
        ({"index_time": ""}, UsageError, "give --index-time"),
        ({"index_time": "2018-06-11"}, UsageError, "a time of day"),
        ({"index_time": "soon"}, UsageError, "is no time"),
        ({"index_time": "2018-06-11T10:00+02:00"}, UsageError, "without a time zone"),
        ({"index_time": "1900-01-01T00:00"}, RecordError, "dated events lies before"),
        ({"codes": tmp_path / "none.csv"}, RecordError, "no file at --codes"),
        ({"record": tmp_path / "none.csv"}, RecordError, "no file at --ehr"),
        ({"record": tmp_path / "two.parquet"}, RecordError, "of 2 patients"),
        ({"record": tmp_path / "broken.parquet"}, RecordError, "cannot be read"),
    ):
        with pytest.raises(error, match=words):
            explain_patient(bundle, changed(own, **changes), out)
        assert not out.exists()


@pytest.mark.slow
def test_a_table_of_features_is_not_for_a_model_of_events(files, trained, tmp_path):
    _, own = files
    pd.DataFrame({"lactate": np.ones(1)}).to_csv(tmp_path / "features.csv", index=False)

    with pytest.raises(RecordError, match="reads events, with the columns"):
        explain_patient(
            load_bundle(trained.bundle("tabnet")), changed(own, record=tmp_path / "features.csv"), tmp_path / "out"
        )


@pytest.mark.slow
@pytest.mark.parametrize("written", ["csv", "csv with spaces", "text ids"])
def test_a_csv_and_ids_of_any_kind_give_the_risk_of_the_parquet_file(files, trained, tmp_path, written):
    _, own = files
    bundle = load_bundle(trained.bundle("tabnet"))
    events = pd.read_parquet(own.record)
    path = tmp_path / "events.csv"
    if written == "text ids":
        path = tmp_path / "text.parquet"
        events.assign(subject_id="P-ABC").to_parquet(path)
    else:
        form = "%Y-%m-%d %H:%M:%S" if written == "csv with spaces" else "%Y-%m-%dT%H:%M:%S"
        events.assign(time=events["time"].dt.strftime(form)).to_csv(path, index=False)

    found = explain_patient(bundle, changed(own, record=path), tmp_path / "a")

    assert found["risk"] == pytest.approx(explain_patient(bundle, own, tmp_path / "b")["risk"], abs=1e-6)


@pytest.mark.slow
def test_age_and_sex_are_taken_from_the_events_and_what_counts_is_told(files, trained, tmp_path):
    """The cohort's age is rounded from the same birth."""
    _, own = files
    bundle = load_bundle(trained.bundle("tabnet"))

    whole = explain_patient(bundle, own, tmp_path / "a")
    bare = explain_patient(bundle, changed(own, age_years=None, sex=""), tmp_path / "b")
    unknown = pd.read_parquet(own.record)
    unknown = unknown[~unknown["code"].str.startswith(("MEDS_BIRTH", "SEX//"))]
    unknown.to_parquet(tmp_path / "u.parquet")
    less = explain_patient(
        bundle, changed(own, record=tmp_path / "u.parquet", age_years=None, sex=""), tmp_path / "c"
    )

    assert bare["risk"] == pytest.approx(whole["risk"], abs=0.01)
    assert len(bare["record_notes"]) == 1
    assert "dated events lie before the scan and count" in bare["record_notes"][0]
    assert less["record_notes"][1:] == ["The age is not known: give --age.", "The sex is not known: give --sex."]


@pytest.mark.slow
def test_a_scan_that_is_none_names_the_option(files, trained, tmp_path):
    _, own = files
    (tmp_path / "empty").mkdir()

    with pytest.raises(ScanReadError, match="Give another scan with --ct"):
        explain_patient(
            load_bundle(trained.bundle("sanet")), changed(own, ct=tmp_path / "empty"), tmp_path / "out"
        )
