"""A whole archive in one flat folder: every good study right, every bad one listed, whatever interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pefuse.cli.door import run
from pefuse.cohort import load_cohort
from pefuse.ct import load_prepared, prepare, read_scan

STUDIES = int(os.environ.get("PEFUSE_ARCHIVE_STUDIES", "12"))  # 200 in docs/results.md
FAULTY_EVERY = 10
GRID = 16


@dataclass(frozen=True)
class Archive:
    """A cohort imported from one flat folder; `truth` has the volume of each good study."""

    cohort: Path
    truth: dict[str, np.ndarray]
    faulty: set[str]


def lose_slices(i, dataset):
    if 10 <= i < 16:
        dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]


def leap(i, dataset):
    position = list(dataset.ImagePositionPatient)
    dataset.ImagePositionPatient = [*position[:2], position[2] + (3 if i > 20 else 0)]


def lose_intercept(i, dataset):
    del dataset.RescaleIntercept


def mix_patients(i, dataset):
    if i == 7:
        dataset.PatientBirthDate = "19700707"


def cut_pixels(i, dataset):
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // (2 if i == 3 else 1)]


FAULTS: tuple[Callable[..., None], ...] = (lose_slices, leap, lose_intercept, mix_patients, cut_pixels)


def localizer(i, dataset):
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def coronal(i, dataset):
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    dataset.ImagePositionPatient = [-190, -200 + 6 * i, 100]


def write_study(synthetic, folder: Path, number: int, fault: Callable[..., None] | None) -> np.ndarray:
    """Two reconstructions, a localizer, bolus tracking and a reformat, their files among those of all others."""
    hu = synthetic.chest_hu(seed=number)
    first = synthetic.SeriesWriter()
    series = [
        {"hu": hu, "number": 3, "kernel": "Br40", "edit": fault},
        {"hu": hu, "number": 2, "kernel": "Bl64", "edit": fault},
        {"hu": hu[:2], "number": 1, "edit": localizer},
        {"hu": hu[:3], "number": 4, "description": "PreMonitoring"},
        {"hu": hu[:35], "number": 5, "edit": coronal},
    ]
    for options in series:
        given = {name: value for name, value in options.items() if value is not None}
        writer = synthetic.SeriesWriter(
            **given, patient=f"ID{number}", study_uid=first.study_uid, frame_uid=first.frame_uid, seed=number
        )
        common = writer.edit

        def edit(i, dataset, common=common, number=number):
            dataset.AccessionNumber = f"ACC{number}"
            common(i, dataset)

        writer.edit = edit
        writer.write(folder, prefix=f"{np.random.default_rng(number).integers(1 << 30)}-{options['number']}-")
    return hu


@pytest.fixture(scope="module")
def archive(synthetic, tmp_path_factory) -> Archive:
    folder = tmp_path_factory.mktemp("archive")
    truth, faulty, rows = {}, set(), []
    for number in range(STUDIES):
        study_id = f"A{number:03d}"
        bad = number % FAULTY_EVERY == 3
        fault = FAULTS[(number // FAULTY_EVERY) % len(FAULTS)] if bad else None
        hu = write_study(synthetic, folder / "flat", number, fault)
        if bad:
            faulty.add(study_id)
        else:
            truth[study_id] = hu
        rows.append(f"{study_id},{number},2020-01-01T10:00:00,ACC{number},60,F,{number % 2}")
    (folder / "flat" / "DICOMDIR").write_bytes(b"not to be opened")
    (folder / "flat" / "readme.txt").write_text("not a scan")
    header = "study_id,patient_id,index_time,accession_number,age_years,sex,died"
    (folder / "studies.csv").write_text("\n".join([header, *rows]) + "\n")
    arguments = ["import", "dicom", str(folder / "flat"), str(folder / "cohort")]
    assert run([*arguments, "--studies", str(folder / "studies.csv")]) == 0
    return Archive(cohort=folder / "cohort", truth=truth, faulty=faulty)


@pytest.mark.slow
def test_every_good_study_is_right_and_every_bad_one_is_listed(archive, tmp_path):
    scans = prepare(load_cohort(archive.cohort), out=tmp_path / "prepared", grid=GRID)
    assert set(scans.quarantine["study_id"]) == archive.faulty
    assert set(scans.available) == set(archive.truth)
    for study_id, hu in archive.truth.items():
        volume, report = read_scan(archive.cohort / "scans" / f"{study_id}.files")
        np.testing.assert_array_equal(volume.hu, hu)
        assert report.chosen is not None
        assert report.chosen.kernel == "soft"
        assert len(report.entries) == 5


@pytest.mark.slow
def test_killed_half_way_and_started_again_it_ends_the_same(archive, tmp_path):
    undisturbed = prepare(load_cohort(archive.cohort), out=tmp_path / "whole", grid=GRID)
    command = [sys.executable, "-m", "pefuse", "prepare", str(archive.cohort), "--grid", str(GRID)]
    process = subprocess.Popen([*command, "--out", str(tmp_path / "killed")], stderr=subprocess.DEVNULL)
    records = tmp_path / "killed" / "records"
    while len(list(records.glob("*.json"))) < STUDIES // 2 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "volumes.parquet").exists()
    assert subprocess.run([*command, "--out", str(tmp_path / "killed")], capture_output=True).returncode == 0
    again = load_prepared(tmp_path / "killed")
    pd.testing.assert_frame_equal(again.table, undisturbed.table)
    pd.testing.assert_frame_equal(again.quarantine, undisturbed.quarantine)
    np.testing.assert_array_equal(again.load(again.available), undisturbed.load(undisturbed.available))
