"""A site's own rules: which series, which kernels, which repairs; and what is wrong with a rule."""

from __future__ import annotations

import pytest

from pefuse.cohort import load_cohort
from pefuse.ct import ScanRules, load_rules, prepare, read_scan
from pefuse.errors import GeometryError, SeriesError, UsageError


@pytest.fixture
def two_series(synthetic, tmp_path):
    """One study: 40 slices with a soft kernel, 38 with a sharp one."""
    first = synthetic.SeriesWriter(description="CTPA thin", kernel="Br40")
    first.write(tmp_path / "scan" / "a")
    synthetic.SeriesWriter(
        hu=synthetic.chest_hu()[:38],
        study_uid=first.study_uid,
        frame_uid=first.frame_uid,
        description="CTPA lung",
        kernel="Bl60",
    ).write(tmp_path / "scan" / "b")
    return tmp_path / "scan"


def slices(folder, **rules):
    chosen = read_scan(folder, rules=ScanRules(**rules))[1].chosen
    return chosen.slices if chosen else 0


def test_without_rules_the_soft_kernel_is_taken(two_series):
    assert slices(two_series) == 40


@pytest.mark.parametrize(
    "rules",
    [
        {"prefer_described": ["lung$"]},
        {"never_described": ["THIN"]},
        {"soft_kernels": ["bl*"], "sharp_kernels": ["Br4?"]},
    ],
)
def test_a_site_can_prefer_the_other(two_series, rules):
    assert slices(two_series, **rules) == 38


def test_what_decides_can_be_put_in_another_order(synthetic, two_series):
    """With `original` first, a derived soft series loses to an original sharp one."""

    def derived(i, dataset):
        dataset.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]

    for path in (two_series / "a").iterdir():
        path.unlink()
    study = read_header_study(two_series / "b")
    synthetic.SeriesWriter(edit=derived, study_uid=study).write(two_series / "a")
    assert slices(two_series) == 40
    assert slices(two_series, prefer=["original", "kernel"]) == 38


def read_header_study(folder):
    import pydicom

    return pydicom.dcmread(next(folder.iterdir())).StudyInstanceUID


def test_all_series_forbidden_is_a_refusal_with_the_reason(two_series):
    with pytest.raises(SeriesError, match="rules never take"):
        slices(two_series, never_described=["CTPA"])


def test_a_forbidden_repair_refuses_the_series_and_names_it(synthetic, tmp_path):
    folder = synthetic.SeriesWriter(row=(-1.0, 0.0, 0.0), column=(0.0, -1.0, 0.0)).write(tmp_path / "scan")
    assert "turned-axes: rows run to the right, columns run to the front" in read_scan(folder)[1].repairs
    with pytest.raises(GeometryError, match="needs the repair turned-axes"):
        read_scan(folder, rules=ScanRules(forbid_repairs=("turned-axes",)))


def test_a_repair_that_shows_only_in_the_pixels_can_be_forbidden_too(synthetic, tmp_path):
    writer = synthetic.SeriesWriter(intercept=-3024.0)

    def edit(i, dataset):
        padded = writer.hu[i].astype(float)
        padded[:4, :4] = -3000
        writer.set_pixels(dataset, padded)

    writer.edit = edit
    folder = writer.write(tmp_path / "scan")
    assert any(repair.startswith("padding: ") for repair in read_scan(folder)[1].repairs)
    with pytest.raises(GeometryError, match="needs the repair padding"):
        read_scan(folder, rules=ScanRules(forbid_repairs=("padding",)))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("forbid_repairs: [tilts]", "no repair 'tilts'"),
        ("prefer: [thickness]", "prefer"),
        ("never_described: ['(']", "no regular expression"),
        ("thin_mm: -1", "thin_mm"),
        ("slices: 3", "slices"),
        ("[1, 2", "not readable"),
    ],
)
def test_a_slip_in_a_rule_is_told_with_its_place(tmp_path, content, reason):
    (tmp_path / "rules.yaml").write_text(content)
    with pytest.raises(UsageError, match=reason):
        load_rules(tmp_path / "rules.yaml")


def test_rules_in_the_cohort_folder_count_and_a_change_reads_again(two_series, tmp_path):
    (tmp_path / "studies.csv").write_text(
        "study_id,patient_id,index_time,ct,age_years,sex,died\nA,1,2020-01-01T10:00:00,scan,60,F,0\n"
    )
    rows = []
    for content in ("", "prefer_described: [lung]\n"):
        (tmp_path / "scan_rules.yaml").write_text(content)
        rows.append(prepare(load_cohort(tmp_path), grid=16, jobs=1).table.loc["A"])
    assert [row["status"] for row in rows] == ["ready", "ready"]
    assert [row["original_shape"][0] for row in rows] == [40, 38]
