"""The whole folder: its contract, its truth, the same bytes again, and nothing left of a run that was stopped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pefuse.cohort.folder import load_cohort
from pefuse.cohort.simulate import OUTCOME, SimulationConfig, calibration, simulate_cohort
from pefuse.cohort.simulate.calibration import SOURCE_PREVALENCE
from pefuse.cohort.simulate.cohort import _draw_parts
from pefuse.cohort.simulate.population import Latents, ideal_risks, shift_risk
from pefuse.cohort.simulate.worker import ScanTask
from pefuse.ehr import clinical_scores
from pefuse.errors import StorageError, UsageError
from pefuse.workers import Worker

SMALL = SimulationConfig(patients=12, prevalence=0.4, matrix=32, slices=16)


def _note_request(self: Worker, task: ScanTask) -> None:
    """In the place of a worker's scan: a small file that depends on all that the scan would."""
    folder = task.folder / "scans" / task.request.study_id
    folder.mkdir(parents=True)
    (folder / "scan").write_text(repr(task.request), encoding="utf-8")


@pytest.fixture
def without_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "do", _note_request)


@pytest.fixture(scope="module")
def default_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "cohort"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Worker, "do", _note_request)
        simulate_cohort(folder, config=SimulationConfig(seed=1), jobs=1)
    return folder


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_default_cohort_has_the_counts_of_the_paper(default_folder: Path):
    cohort = load_cohort(default_folder)
    in_test_year = cohort.studies["year"] == 2018
    labels = cohort.studies["label"]

    assert cohort.simulated
    assert cohort.horizon_days == 30
    assert (len(labels), labels.sum()) == (358, 38)
    assert (in_test_year.sum(), labels[in_test_year].sum()) == (72, 10)
    assert sorted(cohort.studies["year"].unique()) == list(range(2012, 2019))
    assert cohort.studies["patient_id"].is_unique
    assert cohort.studies["split"].eq("").all()


def test_ages_are_those_of_adults_and_ids_say_nothing_of_the_outcome(default_folder: Path):
    studies = load_cohort(default_folder).studies
    order = np.argsort(studies["patient_id"].to_numpy())

    assert studies["age_years"].between(18, 103).all()
    assert abs(np.corrcoef(order, studies["label"])[0, 1]) < 0.2
    assert studies["index_time"].is_monotonic_increasing


def test_the_truth_names_each_study_with_its_ideal_risks(default_folder: Path):
    truth = pd.read_csv(default_folder / "truth.csv").set_index("study_id")
    studies = load_cohort(default_folder).studies
    test_year = truth[studies["year"] == 2018]
    latents = Latents(
        **{name: test_year[name].to_numpy() for name in ("strain", "physiology", "frailty", "clot_burden")}
    )

    expected = shift_risk(
        ideal_risks(OUTCOME, latents).both, source_prevalence=SOURCE_PREVALENCE, prevalence=10 / 72
    )

    assert (truth["label"] == studies["label"]).all()
    assert test_year["ideal_risk_both"].to_numpy() == pytest.approx(expected)
    assert test_year["ideal_risk_both"].mean() == pytest.approx(10 / 72, abs=0.05)


def test_the_summary_of_the_truth_holds_aucs_counts_and_signal(default_folder: Path):
    summary = json.loads((default_folder / "truth.json").read_text(encoding="utf-8"))
    signal = {row["feature"]: row for row in summary["signal"]}

    assert summary["simulated"] is True
    assert summary["ideal_auc"]["both"] == pytest.approx(0.98, abs=0.01)
    assert summary["score_auc"]["pesi"] == pytest.approx(0.80, abs=0.03)
    assert summary["counts"]["test_year"] == {"studies": 72, "deaths": 10}
    assert summary["sample_ideal_auc"]["all"]["both"] > 0.94
    assert signal["LAB//lactate"]["physiology"] > 0.7
    assert "LAB//chloride" not in signal


def test_the_scores_of_the_written_record_are_those_of_the_calibration(default_folder: Path):
    """All but the few who differ by a birthday's day or by a value from an earlier visit."""
    (earlier, test) = _draw_parts(SimulationConfig(seed=1))
    scores = clinical_scores(load_cohort(default_folder))
    for name, rule in (("pesi", calibration.pesi_points), ("spesi", calibration.spesi_points)):
        expected = np.concatenate([rule(part.record.state) for part in (earlier, test)])
        assert (scores[f"{name}_points"].to_numpy() == expected).mean() > 0.98


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path, without_scans: None):
    simulate_cohort(tmp_path / "one", config=SMALL, jobs=1)
    simulate_cohort(tmp_path / "two", config=SMALL, jobs=1)
    simulate_cohort(tmp_path / "three", config=SimulationConfig(**{**vars(SMALL), "seed": 1}), jobs=1)

    assert _hashes(tmp_path / "one") == _hashes(tmp_path / "two")
    assert _hashes(tmp_path / "one")["events.parquet"] != _hashes(tmp_path / "three")["events.parquet"]


def test_a_larger_test_year_leaves_the_earlier_patients_as_they_are(tmp_path: Path, without_scans: None):
    larger = SimulationConfig(**{**vars(SMALL), "test_patients": 30})
    simulate_cohort(tmp_path / "small", config=SMALL, jobs=1)
    simulate_cohort(tmp_path / "large", config=larger, jobs=1)
    earlier = SMALL.earlier.patients

    for name in ("studies.csv", "truth.csv"):
        small, large = (pd.read_csv(tmp_path / size / name).head(earlier) for size in ("small", "large"))
        pd.testing.assert_frame_equal(small, large)
    assert (tmp_path / "small/scans/S0001/scan").read_text() == (tmp_path / "large/scans/S0001/scan").read_text()


@pytest.mark.parametrize(("shortcut", "linked"), [("site", True), ("", False)])
def test_the_shortcut_goes_with_death_before_the_test_year_only(
    tmp_path: Path, without_scans: None, shortcut: str, linked: bool
):
    config = SimulationConfig(patients=500, prevalence=0.4, shortcut=shortcut, seed=4)
    simulate_cohort(tmp_path / "cohort", config=config, jobs=1)
    studies = load_cohort(tmp_path / "cohort").studies
    share_b = studies["site"].eq("B").groupby([studies["year"] == 2018, studies["label"]]).mean()

    if linked:
        assert share_b[False, 1.0] == pytest.approx(0.9, abs=0.08)
        assert share_b[False, 0.0] == pytest.approx(0.1, abs=0.08)
    else:
        assert share_b[False, 1.0] == pytest.approx(0.5, abs=0.13)
    assert share_b[True, 1.0] == pytest.approx(share_b[True, 0.0], abs=0.3)
    marked = {
        path.parent.name: "shortcut_mark=True" in path.read_text()
        for path in (tmp_path / "cohort/scans").glob("*/scan")
    }
    assert all(marked[study] == (linked and site == "B") for study, site in studies["site"].items())


def test_a_stopped_run_leaves_nothing(tmp_path: Path):
    def stop(what: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_cohort(tmp_path / "cohort", config=SMALL, jobs=2, progress=stop)

    assert list(tmp_path.iterdir()) == []


def test_progress_counts_every_scan(tmp_path: Path, without_scans: None):
    calls: list[tuple[str, int, int]] = []

    simulate_cohort(tmp_path / "cohort", config=SMALL, jobs=1, progress=lambda *call: calls.append(call))

    assert [done for _, done, _ in calls] == list(range(1, 13))
    assert {total for _, _, total in calls} == {12}


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, without_scans: None):
    (tmp_path / "kept.txt").write_text("mine", encoding="utf-8")

    with pytest.raises(StorageError, match="not empty"):
        simulate_cohort(tmp_path, config=SMALL)

    assert (tmp_path / "kept.txt").read_text() == "mine"


def test_no_workers_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="--jobs is 0"):
        simulate_cohort(tmp_path / "cohort", config=SMALL, jobs=0)


@pytest.mark.slow
def test_real_scans_are_the_same_whatever_the_number_of_workers(tmp_path: Path):
    simulate_cohort(tmp_path / "one", config=SMALL, jobs=1)
    simulate_cohort(tmp_path / "two", config=SMALL, jobs=2)
    studies = load_cohort(tmp_path / "one").studies

    assert _hashes(tmp_path / "one") == _hashes(tmp_path / "two")
    for study_id, path in studies["ct"].items():
        assert any((tmp_path / "one" / path).iterdir())
        assert (tmp_path / "one" / "truth" / f"{study_id}.nii.gz").exists()
