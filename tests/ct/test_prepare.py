"""Preparing a cohort: in parallel, resumable, one bad case never stops others."""

from __future__ import annotations

import errno
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pefuse import workers
from pefuse.ct import ScanRules, load_prepared, prepare, read_scan, to_grid
from pefuse.ct import prepare as prepare_function
from pefuse.ct.worker import Task, prepare_study
from pefuse.errors import CohortError, RunError, StorageError, UsageError
from pefuse.types import STUDY_COLUMNS, Cohort


def cohort_of(folder: Path, scans: dict[str, str]) -> Cohort:
    rows = {
        study_id: dict(
            zip(STUDY_COLUMNS, (i, pd.Timestamp("2018-01-01"), ct, 60.0, "F", 0.0, 2018, "", ""), strict=True)
        )
        for i, (study_id, ct) in enumerate(scans.items())
    }
    studies = pd.DataFrame.from_dict(rows, orient="index").rename_axis("study_id")
    codes = pd.DataFrame()
    return Cohort(
        folder=folder,
        name="toy",
        horizon_days=30,
        simulated=True,
        studies=studies,
        events=None,
        codes=codes,
        features=None,
    )


@pytest.fixture(scope="module")
def scans_once(synthetic, tmp_path_factory):
    """Two good scans and one with a gap."""
    folder = tmp_path_factory.mktemp("scans") / "ct"
    synthetic.SeriesWriter().write(folder / "good")
    synthetic.SeriesWriter(hu=synthetic.chest_hu(seed=1), row=(-1.0, 0.0, 0.0)).write(folder / "other")
    synthetic.SeriesWriter(skip=(20,)).write(folder / "gap")
    return folder


@pytest.fixture
def cohort(scans_once, tmp_path):
    """The scans, one more that is not there, and one study without a scan."""
    shutil.copytree(scans_once, tmp_path / "ct")
    return cohort_of(
        tmp_path, {"s1": "ct/good", "s2": "ct/gap", "s3": "", "s4": "ct/other", "s5": "ct/smith_is_not_here"}
    )


@pytest.fixture
def in_process(monkeypatch):
    """Do the worker's part here: starting a process takes seconds, and only some tests are about that."""

    def do(self, task, *, limit_seconds):
        prepare_study(task)
        return {}

    monkeypatch.setattr(workers.Worker, "do", do)


def test_good_scans_are_prepared_and_bad_ones_listed_with_the_reason(cohort):
    calls = []
    scans = prepare(cohort, grid=24, jobs=2, progress=lambda *call: calls.append(call))

    assert scans.folder == cohort.folder / "prepared-24"
    assert scans.available == ("s1", "s4")
    assert list(scans.table["status"]) == ["ready", "refused", "no scan", "ready", "refused"]
    assert list(scans.quarantine["study_id"]) == ["s2", "s5"]
    assert list(scans.quarantine["step"]) == ["geometry", "read"]
    assert "1 slice seems to be missing" in scans.quarantine["reason"][0]
    assert calls[0] == ("scans", 0, 4)
    assert calls[-1] == ("scans", 4, 4)
    everything = "".join(p.read_text() for p in scans.folder.rglob("*") if p.suffix in {".csv", ".json"})
    for private in ("smith", "SECRET", "P1", str(cohort.folder)):
        assert private not in everything


def test_volumes_are_those_of_read_scan_and_to_grid(cohort, in_process):
    scans = prepare(cohort, grid=24, jobs=1)
    loaded = scans.load(["s4", "s1"])
    assert loaded.dtype == np.int16
    for volume, name, study_id in zip(loaded, ("other", "good"), ("s4", "s1"), strict=True):
        expected = to_grid(read_scan(cohort.folder / "ct" / name)[0], grid=24)
        np.testing.assert_array_equal(volume, expected.hu)
        np.testing.assert_allclose(scans.affine(study_id), expected.affine)


def test_tables_describe_each_study(cohort, in_process):
    scans = prepare(cohort, grid=24, jobs=1)
    row = scans.table.loc["s1"]
    assert list(row["original_shape"]) == [40, 64, 64]
    np.testing.assert_allclose(row["original_spacing_mm"], [6, 6, 6])
    assert len(row["checksum"]) == 64
    reports = json.loads((scans.folder / "series_report.json").read_text())
    assert set(reports) == {"s1", "s2", "s4", "s5"}
    assert reports["s1"]["entries"][0]["kept"]
    assert "one gap" in reports["s2"]["entries"][0]["reason"]
    assert reports["s1"]["entries"][0]["series"] == row["series"]


def test_a_volume_whose_voxels_changed_is_refused_and_made_again(cohort, in_process):
    scans = prepare(cohort, grid=24, jobs=1)
    victim = scans.folder / "volumes" / "s1.npy"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))

    scans.load(["s4"])
    with pytest.raises(RunError, match=r"Study s1: .* not those that were written: remove volumes/s1\.npy"):
        load_prepared(scans.folder).load(["s4", "s1"])

    victim.unlink()
    prepare(cohort, grid=24, jobs=1)
    assert victim.read_bytes() == whole


def test_a_finished_study_is_not_read_again_unless_its_source_changed(cohort, in_process, synthetic):
    scans = prepare(cohort, grid=24, jobs=1)
    before = {p.name: p.stat().st_mtime_ns for p in (scans.folder / "volumes").iterdir()}
    victim = cohort.folder / "ct" / "other"
    for path in victim.iterdir():
        path.unlink()
    synthetic.SeriesWriter(hu=synthetic.chest_hu(seed=7)).write(victim)
    synthetic.SeriesWriter().write(cohort.folder / "ct" / "smith_is_not_here")

    again = prepare(cohort, grid=24, jobs=1)

    after = {p.name: p.stat().st_mtime_ns for p in (scans.folder / "volumes").iterdir()}
    assert after["s1.npy"] == before["s1.npy"]
    assert after["s4.npy"] != before["s4.npy"]
    assert again.available == ("s1", "s4", "s5")


def test_a_second_run_starts_no_process(cohort, monkeypatch):
    prepare(cohort, grid=24, jobs=1)

    def no_process(self):
        raise AssertionError("a process was started")

    monkeypatch.setattr(workers.Worker, "_started", no_process)
    assert prepare(cohort, grid=24, jobs=1).available == ("s1", "s4")


def test_another_grid_in_the_same_folder_is_prepared_anew(cohort, in_process, tmp_path):
    prepare(cohort, grid=24, jobs=1, out=tmp_path / "out")
    assert prepare(cohort, grid=16, jobs=1, out=tmp_path / "out").load(["s1"]).shape == (1, 16, 16, 16)


def test_a_scan_that_became_bad_loses_its_volume(cohort, in_process):
    scans = prepare(cohort, grid=24, jobs=1)
    for path in (cohort.folder / "ct" / "good").iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    assert prepare(cohort, grid=24, jobs=1).available == ("s4",)
    assert not (scans.folder / "volumes" / "s1.npy").exists()


def test_an_archive_is_unpacked_within_the_prepared_folder_and_leaves_nothing(scans_once, tmp_path, in_process):
    shutil.make_archive(str(tmp_path / "ct"), "zip", scans_once / "good")
    cohort = cohort_of(tmp_path, {"s1": "ct.zip"})
    left = cohort.folder / "prepared-24" / ".unpacked" / "pefuse-killed"
    left.mkdir(parents=True)  # by a run that was killed
    (cohort.folder / "prepared-24" / "records").mkdir()
    assert prepare(cohort, grid=24, jobs=1).available == ("s1",)
    assert not left.parent.exists()


def test_a_worker_that_dies_costs_its_study_alone(cohort, monkeypatch):
    """The process is killed when it is asked for s2, as a codec would end it; a later run tries it again."""
    exchange = workers._exchange

    def crash_on_s2(process, message):
        if b"s2.json" in message:
            process.kill()
            process.wait()
        return exchange(process, message)

    monkeypatch.setattr(workers, "_exchange", crash_on_s2)
    scans = prepare(cohort, grid=24, jobs=1)
    assert scans.available == ("s1", "s4")
    assert dict(zip(scans.quarantine["study_id"], scans.quarantine["step"], strict=True))["s2"] == "crash"
    monkeypatch.undo()
    again = prepare(cohort, grid=24, jobs=1)
    assert dict(zip(again.quarantine["study_id"], again.quarantine["step"], strict=True))["s2"] == "geometry"


def test_ctrl_c_leaves_what_is_finished_and_nothing_half_written(cohort):
    def interrupt(what, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(cohort, grid=24, jobs=1, progress=interrupt)
    folder = cohort.folder / "prepared-24"
    assert not list(folder.rglob(".partial-*"))
    finished = sorted(path.stem for path in (folder / "records").iterdir())
    assert len(finished) >= 2
    with pytest.raises(RunError, match="not finished"):
        load_prepared(folder)
    assert prepare(cohort, grid=24, jobs=1).available == ("s1", "s4")


def test_ctrl_c_ends_all_processes_and_threads(cohort):
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        prepare(cohort, grid=24, jobs=2, progress=interrupt_at_once)
    assert threading.active_count() == before


def interrupt_at_once(what, done, total):
    raise KeyboardInterrupt


def test_a_full_disk_stops_the_run_in_one_line_and_quarantines_nobody(cohort, monkeypatch):
    def full(self, task, *, limit_seconds):
        raise StorageError("The disk is full.")

    monkeypatch.setattr(workers.Worker, "do", full)
    with pytest.raises(StorageError, match="disk is full"):
        prepare(cohort, grid=24, jobs=1)
    assert not (cohort.folder / "prepared-24" / "quarantine.csv").exists()


@pytest.mark.parametrize(
    "told",
    [OSError(errno.ENOSPC, "No space left on device"), OSError("13824 requested and 4096 written")],
    ids=["by the system", "by NumPy, without an error number"],
)
def test_a_disk_that_fills_while_a_volume_is_written_is_no_fault_of_the_scan(cohort, tmp_path, monkeypatch, told):
    def full(*args, **options):
        raise told

    monkeypatch.setattr(np, "save", full)
    task = Task(
        scan=str(cohort.folder / "ct" / "good"),
        scratch=str(tmp_path),
        volume=str(tmp_path / "v.npy"),
        record=str(tmp_path / "r.json"),
        signature="x",
        grid=24,
        field_of_view="whole",
        rules=ScanRules(),
    )
    with pytest.raises(StorageError, match="free some"):
        prepare_study(task)
    assert not list(tmp_path.glob("*.npy"))
    assert not (tmp_path / "r.json").exists()


def test_an_unforeseen_fault_costs_its_study_alone(cohort, tmp_path, monkeypatch):
    def fail(plan, **options):
        raise ZeroDivisionError("/home/smith")

    monkeypatch.setattr("pefuse.ct.worker.read_planned_to_grid", fail)
    (tmp_path / "out").mkdir()
    task = Task(
        scan=str(cohort.folder / "ct" / "good"),
        scratch=str(tmp_path),
        volume=str(tmp_path / "out" / "v.npy"),
        record=str(tmp_path / "out" / "r.json"),
        signature="x",
        grid=24,
        field_of_view="whole",
        rules=ScanRules(),
    )
    record = prepare_study(task)
    assert record.refusal is not None
    assert record.refusal.step == "internal"
    assert "ZeroDivisionError" in record.refusal.reason
    assert "smith" not in (tmp_path / "out" / "r.json").read_text()


def test_study_ids_that_cannot_name_a_file_are_refused(tmp_path):
    with pytest.raises(CohortError, match="1 study_ids"):
        prepare(cohort_of(tmp_path, {"../../etc/passwd": "", "fine": ""}))


@pytest.mark.parametrize("what", ["notes.txt", "studies.csv"])
def test_a_folder_that_holds_something_else_is_refused(cohort, tmp_path, what):
    (tmp_path / "mine" / "records").mkdir(parents=True)
    if what == "notes.txt":
        (tmp_path / "mine" / "records").rmdir()
    (tmp_path / "mine" / what).write_text("x")
    with pytest.raises(UsageError, match=r"something else|a cohort"):
        prepare(cohort, out=tmp_path / "mine", grid=24)
    assert sorted(path.name for path in (tmp_path / "mine").iterdir() if path.is_file()) == [what]


@pytest.mark.parametrize("options", [{"grid": 4}, {"jobs": 0}])
def test_impossible_options_are_refused(tmp_path, options):
    with pytest.raises(UsageError):
        prepare_function(cohort_of(tmp_path, {"s1": ""}), **options)


def test_a_cohort_without_any_scan_is_prepared_to_nothing(tmp_path, in_process):
    scans = prepare(cohort_of(tmp_path, {"s1": "", "s2": ""}))
    assert scans.available == ()
    assert scans.grid == 128
    assert scans.folder == tmp_path / "prepared"


class TestLoading:
    @pytest.fixture
    def prepared(self, cohort, in_process):
        return prepare(cohort, grid=16, jobs=1)

    def test_it_opens_what_was_written(self, prepared):
        again = load_prepared(prepared.folder)
        assert again.available == prepared.available
        assert again.grid == 16
        pd.testing.assert_frame_equal(again.quarantine, prepared.quarantine)

    def test_a_study_without_a_volume_is_refused(self, prepared):
        with pytest.raises(UsageError, match="1 of 2 studies have no prepared volume, s2"):
            prepared.load(["s1", "s2"])

    def test_a_missing_volume_is_found(self, prepared):
        (prepared.folder / "volumes" / "s1.npy").unlink()
        with pytest.raises(RunError, match="s1"):
            load_prepared(prepared.folder)

    def test_a_truncated_volume_is_found(self, prepared):
        path = prepared.folder / "volumes" / "s1.npy"
        path.write_bytes(path.read_bytes()[:-10])
        with pytest.raises(RunError, match="s1"):
            load_prepared(prepared.folder)

    def test_a_volume_of_another_shape_is_found(self, prepared):
        np.save(prepared.folder / "volumes" / "s4.npy", np.zeros((8, 16, 32), np.int16))
        with pytest.raises(RunError, match="shape"):
            load_prepared(prepared.folder)

    def test_damaged_tables_are_found(self, prepared):
        (prepared.folder / "volumes.parquet").write_bytes(b"PAR1 no more")
        with pytest.raises(RunError, match="damaged"):
            load_prepared(prepared.folder)

    def test_an_absent_folder_is_a_user_s_error(self, tmp_path):
        with pytest.raises(UsageError, match="pefuse prepare"):
            load_prepared(tmp_path / "nowhere")
