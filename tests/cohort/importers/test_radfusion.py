"""RadFusion as its tables are published, with the traps that its users' code tells of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pefuse.cohort import load_cohort
from pefuse.cohort.importers import import_radfusion
from pefuse.ct import read_scan
from pefuse.ct.rules import rules_of
from pefuse.ehr import clinical_scores, extract
from pefuse.errors import RecordError, UsageError
from pefuse.report import build_report
from pefuse.training import compare, resolve_config

from ...ct.synthetic import chest_hu

IDX = [1, 2, 3, 4, 5, 6]
LABELS = [  # idx, label, pe_type, split
    (1, 1, "central", "train"),
    (2, 0, "", "train"),
    (3, 1, "segmental", "val"),
    (4, 0, "", "test"),
    (4, 0, "", "test"),  # told twice, in agreement
    (5, 0, "", "test"),
    (5, 1, "central", "test"),  # told twice, in contradiction
    (6, "", "", "test"),
    (7, 0, "", "both"),  # of no known split
]
LEAK = "DISEASES OF PULMONARY CIRCULATION:presence"


def write_release(folder: Path, *, labels: str = "Labels.csv", stored: bool = False) -> Path:
    folder.mkdir()
    frame = pd.DataFrame(LABELS, columns=["idx", "label", "pe_type", "split"])
    frame.to_csv(folder / labels)  # with pandas' unnamed column of row numbers
    of_each = {"idx": [float(each) for each in IDX], "split": "train"}  # a split that contradicts the labels'
    ages = [50, 61, 72, 83, 44, 55]
    tables = {
        "Demographics": {"Male": [1, 0, 1, 0, 1, 0], "White": 1, "SMOKER_Y": 0, "current_age_yrs": ages},
        "ICD": {LEAK: [1, 0, 1, 0, 1, 0], "DISEASES OF VEINS AND LYMPHATICS, AND OTHER:frequency": 0,
                "NEOPLASMS:presence": [0, 1, 0, 1, 0, 1]},
        "INP_MED": {"HEPARIN AND RELATED PREPARATIONS": [1, 0, 1, 0, 0, 0]},
        "OUT_MED": {"HEPARIN AND RELATED PREPARATIONS": [0, 1, 0, 0, 0, 0]},
        "LABS": {"TROPONIN I:Binary": [1, 0, 1, 1, 0, 0], "TROPONIN I:Value": [0.4, 0, 0.1, 0, 0, 0]},
        "Vitals": {"pulse": [3, -4, 0, 12, 1, 2]},
    }  # fmt: skip
    for name, columns in tables.items():
        pd.DataFrame({**of_each, **columns}).to_csv(folder / f"{name}.csv")
    chest = chest_hu() if not stored else (chest_hu().astype(np.int32) + 1024).clip(0).astype(np.uint16)
    for idx, place in ((1, "0"), (2, "0"), (3, "1"), (4, "1"), (4, "2"), (99, "2")):
        (folder / place).mkdir(exist_ok=True)
        np.save(folder / place / f"{idx}.npy", chest)
    return folder


def test_every_trap_is_handled_and_counted(tmp_path: Path) -> None:
    report = import_radfusion(write_release(tmp_path / "radfusion"), tmp_path / "out")
    cohort = load_cohort(tmp_path / "out")
    assert list(cohort.studies.index) == ["R1", "R2", "R3", "R4", "R6"]
    np.testing.assert_array_equal(cohort.studies["label"], [1, 0, 1, 0, np.nan])
    assert list(cohort.studies["split"]) == ["train", "train", "validation", "test", "test"]
    assert list(cohort.studies["sex"]) == ["M", "F", "M", "F", "F"]
    assert list(cohort.studies["age_years"]) == [50, 61, 72, 83, 55]
    assert cohort.outcome == "pulmonary embolism on the CT (RadFusion's label)"
    assert report.notes == {
        "left out: rows of one idx contradict each other": 1,
        "left out: no split": 1,
        "without a label": 1,
        "arrays of no study": 1,
        "studies without a scan: several arrays of one idx": 1,
        "studies without a scan": 2,
        "columns left out: they hold the codes of embolism and thrombosis": 2,
    }


def test_features_are_the_tables_without_label_prediction_or_split(tmp_path: Path) -> None:
    import_radfusion(write_release(tmp_path / "radfusion"), tmp_path / "out")
    frame = extract(load_cohort(tmp_path / "out")).frame()
    assert set(frame.columns) == {
        "demographic: Male",
        "demographic: White",
        "demographic: SMOKER_Y",
        "demographic: current_age_yrs",
        "diagnosis: NEOPLASMS",
        "inpatient drug: HEPARIN AND RELATED PREPARATIONS",
        "outpatient drug: HEPARIN AND RELATED PREPARATIONS",
        "lab: TROPONIN I",
        "vital sign, change: pulse",
    }
    np.testing.assert_allclose(frame["lab: TROPONIN I"], [0.4, np.nan, 0.1, 0.0, np.nan], rtol=1e-6)
    np.testing.assert_array_equal(frame["inpatient drug: HEPARIN AND RELATED PREPARATIONS"], [1, 0, 1, 0, 0])


def test_the_groups_of_codes_that_hold_the_label_are_kept_only_if_asked_for(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "radfusion")
    import_radfusion(folder, tmp_path / "out", keep_embolism_codes=True)
    features = load_cohort(tmp_path / "out").features
    assert features is not None
    assert "diagnosis: DISEASES OF PULMONARY CIRCULATION" in features
    assert "diagnosis: DISEASES OF VEINS AND LYMPHATICS, AND OTHER (frequency)" in features


def test_the_older_name_of_the_labels_is_read_and_its_prediction_is_no_feature(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "radfusion", labels="Vision.csv")
    table = pd.read_csv(folder / "Vision.csv", index_col=0)
    table.assign(pred=table["label"]).to_csv(folder / "Vision.csv")
    import_radfusion(folder, tmp_path / "out")
    assert not any("pred" in name for name in extract(load_cohort(tmp_path / "out")).frame().columns)


@pytest.mark.parametrize("stored", [False, True])
def test_scans_are_read_in_hounsfield_units_whichever_way_they_are_stored(tmp_path: Path, stored: bool) -> None:
    import_radfusion(write_release(tmp_path / "radfusion", stored=stored), tmp_path / "out")
    rules = rules_of(tmp_path / "out")
    assert rules.arrays is not None
    wide = rules.arrays.model_copy(update={"spacing_mm": (6.0, 6.0, 6.0)})  # of the synthetic chest
    path = load_cohort(tmp_path / "out").study("R1").ct
    assert path is not None
    volume, report = read_scan(path, rules=rules.model_copy(update={"arrays": wide}))
    np.testing.assert_array_equal(volume.hu, chest_hu()[::-1].clip(-1024))
    assert report.source == "image file"


def test_rules_that_a_user_mended_are_kept(tmp_path: Path) -> None:
    folder, out = write_release(tmp_path / "radfusion"), tmp_path / "out"
    import_radfusion(folder, out)
    rules = yaml.safe_load((out / "scan_rules.yaml").read_text())
    assert rules == {"arrays": {"spacing_mm": [1.25, 0.7, 0.7], "first_slice": "head", "intercept": 0}}
    rules["arrays"]["first_slice"] = "feet"
    (out / "scan_rules.yaml").write_text(yaml.safe_dump(rules))
    import_radfusion(folder, out)
    assert yaml.safe_load((out / "scan_rules.yaml").read_text()) == rules


def write_many(folder: Path) -> Path:
    """Enough studies to train on; embolism goes with a high value of one laboratory test."""
    folder.mkdir()
    idx = np.arange(120)
    label, split = idx % 2, np.array(["train", "train", "train", "val", "test", "test"])[idx // 2 % 6]
    pd.DataFrame({"idx": idx, "label": label, "split": split}).to_csv(folder / "Labels.csv")
    noise = np.random.default_rng(0).normal(size=(len(idx), 4))
    labs = {f"TEST {place}:Value": noise[:, place] + 3 + (place == 0) * label for place in range(4)}
    pd.DataFrame({"idx": idx, **labs}).to_csv(folder / "LABS.csv")
    return folder


def test_scores_are_refused_with_the_reason(tmp_path: Path) -> None:
    import_radfusion(write_many(tmp_path / "radfusion"), tmp_path / "out")
    cohort = load_cohort(tmp_path / "out")
    with pytest.raises(RecordError, match="vital signs look like changes, not values"):
        clinical_scores(cohort)
    config = resolve_config("demo").model_copy(update={"models": ("pesi", "xgboost")})
    with pytest.raises(UsageError, match=r"look like changes, not values.*--models xgboost"):
        compare(cohort, out=tmp_path / "run", config=config)


def test_a_report_on_it_says_what_is_predicted(tmp_path: Path) -> None:
    import_radfusion(write_many(tmp_path / "radfusion"), tmp_path / "out")
    config = resolve_config("demo").model_copy(update={"models": ("xgboost",), "folds": 2})
    compare(load_cohort(tmp_path / "out"), out=tmp_path / "run", config=config)
    build_report(tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<strong>Outcome: pulmonary embolism on the CT (RadFusion&#39;s label)</strong>" in page
    assert "within 30 days of pulmonary embolism" not in page.split("<main>")[0]


def test_tables_that_are_missing_are_told_and_lived_with(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "radfusion")
    (folder / "Vitals.csv").unlink()
    (folder / "Demographics.csv").unlink()
    report = import_radfusion(folder, tmp_path / "out")
    assert report.notes["no table vitals"] == report.notes["no table demographics"] == 1
    assert set(load_cohort(tmp_path / "out").studies["sex"]) == {""}
    saved = json.loads((tmp_path / "out" / "import_report.json").read_text())
    assert saved["notes"] == report.notes


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "Labels.csv").unlink(), "needs Labels.csv"),
        (lambda folder: (folder / "Labels.csv").write_text("idx,label\n1,0\n"), "lacks split"),
        (lambda folder: (folder / "Labels.csv").write_text("idx,label,split\n1,0,x\n"), "no study with a split"),
        (lambda folder: (folder / "ICD.csv").write_text("a,b\n1,2\n"), "ICD.csv has no column idx"),
        (lambda folder: (folder / "ICD.csv").write_bytes(b"\xff\xfe\x00"), "ICD.csv cannot be read"),
        (lambda folder: (folder / "ICD.csv").write_text(""), "ICD.csv cannot be read"),
        (lambda folder: (folder / "LABS.csv").write_text("idx,a\n1,2\nMiller,3\n"), "LABS.csv, row 3: idx"),
        (
            lambda folder: [path.unlink() for path in folder.glob("*.csv") if path.name != "Labels.csv"],
            "RadFusion's tables are not there",
        ),
    ],
)
def test_a_release_that_is_not_whole_is_refused(tmp_path: Path, damage: object, message: str) -> None:
    folder = write_release(tmp_path / "radfusion")
    damage(folder)  # type: ignore[operator]
    with pytest.raises(RecordError, match=message):
        import_radfusion(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "tells"),
    [
        ("Pulmonary embolism and infarction", True),
        ("OTHER VENOUS EMBOLISM AND THROMBOSIS", True),
        ("Phlebitis and thrombophlebitis", True),
        ("415.1", True),
        ("ICD9_415", True),
        ("I26-I28:presence", True),
        ("415-417", True),
        ("451-459", True),
        ("I80-I89", True),
        ("DVT", True),
        ("PE", True),
        ("DISEASES OF ARTERIES, ARTERIOLES, AND CAPILLARIES:presence", False),
        ("ISCHEMIC HEART DISEASE:frequency", False),
        ("NEOPLASMS", False),
        ("Personal history of penicillin allergy", False),
        ("410-414", False),
    ],
)
def test_whatever_names_embolism_tells_the_label(tmp_path: Path, name: str, tells: bool) -> None:
    folder = write_release(tmp_path / "radfusion")
    codes = pd.read_csv(folder / "ICD.csv", index_col=0).assign(**{name: 1})
    codes.to_csv(folder / "ICD.csv")
    report = import_radfusion(folder, tmp_path / "out")
    assert report.notes["columns left out: they hold the codes of embolism and thrombosis"] == 2 + tells


def test_words_among_numbers_are_blank_and_counted(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "radfusion")
    labs = pd.read_csv(folder / "LABS.csv", index_col=0).astype(str)
    labs.loc[0, "TROPONIN I:Value"] = ">500"
    labs.to_csv(folder / "LABS.csv")
    people = (
        pd.read_csv(folder / "Demographics.csv", index_col=0).drop(columns="Male").assign(GENDER=list("MFMFMF"))
    )
    people.to_csv(folder / "Demographics.csv")
    report = import_radfusion(folder, tmp_path / "out")
    assert report.notes["lab: TROPONIN I: left blank, cells that are no number"] == 1
    cohort = load_cohort(tmp_path / "out")
    assert list(cohort.studies["sex"]) == ["M", "F", "M", "F", "F"]
    assert extract(cohort).frame()["lab: TROPONIN I"].dtype == float
