"""Explanations, read back: whole ones, and such that are damaged in one part or another."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
import SimpleITK

from pefuse.errors import RunError
from pefuse.report.explanations import read_explanations, read_heat_truth, read_record_truth


@pytest.fixture(scope="module")
def whole(make_run, add_explanations):
    run = make_run(bare=True, models={"intermediate-sanet": 1.5})
    add_explanations(run)
    return run


@pytest.fixture
def run(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def first_case(run):
    return (
        run
        / "explanations"
        / "cases"
        / json.loads((run / "explanations" / "summary.json").read_text())["cases"][0]
    )


def changed(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_whole_explanations_are_read_in_their_order_without_a_complaint(run):
    explanations = read_explanations(run)

    assert [one.case.kind for one in explanations.cases] == [
        "missed death",
        "false alarm",
        "found death",
        "rightly low",
    ]
    assert explanations.problems == ()
    assert all(one.slices and one.volumes for one in explanations.cases)
    assert explanations.cases[0].case.features[0].text == "lactate 5.1 mmol/L"


def test_a_run_that_was_not_explained_has_none(make_run):
    run = make_run(bare=True, models={"xgboost": 1.5})

    assert read_explanations(run) is None
    assert read_heat_truth(run) is None
    assert read_record_truth(run) is None


def test_volumes_have_the_design_s_axes_whatever_the_file_s_are(run):
    """The fixture's heat lies at the left front: in a file that counts from left to right it still does."""
    before = read_explanations(run).cases[0].volumes[1]
    path = first_case(run) / "heat.nii.gz"
    ct = first_case(run) / "ct.nii.gz"
    for file in (path, ct):
        SimpleITK.WriteImage(SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(file)), "RAI"), str(file))
        SimpleITK.WriteImage(SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(file)), "SAR"), str(file))

    after = read_explanations(run).cases[0].volumes[1]

    assert (after.hu == before.hu).all()
    assert after.affine == pytest.approx(before.affine)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"risk": 1.2}, "risk: input should be less than or equal to"),
        ({"risk": float("nan")}, "risk: input should be"),
        ({"label": 2}, "label: input should be 0 or 1"),
        ({"features": [{"name": "x", "text": "x", "share": "much"}]}, "features.0.share"),
        ({"study_id": "S9999"}, "is of another study"),
    ],
)
def test_a_case_whose_numbers_cannot_be_is_left_out_and_named(run, value, complaint):
    changed(first_case(run) / "case.json", **value)

    explanations = read_explanations(run)

    assert len(explanations.cases) == 3
    assert len(explanations.problems) == 1
    assert f"Case {first_case(run).name} is left out" in explanations.problems[0]
    assert complaint in explanations.problems[0]


def test_a_case_without_its_file_is_left_out_and_named(run):
    (first_case(run) / "case.json").unlink()

    assert "its case.json is missing" in read_explanations(run).problems[0]


def test_a_case_with_a_damaged_scan_or_picture_is_shown_without_it(run):
    place = first_case(run)
    (place / "ct.nii.gz").write_bytes(b"no scan")
    (place / "slices.png").write_bytes((place / "slices.png").read_bytes()[:-40])

    explanations = read_explanations(run)

    assert len(explanations.cases) == 4
    assert explanations.cases[0].slices is None
    assert explanations.cases[0].volumes is None
    assert [problem.split(":")[0] for problem in explanations.problems] == [
        f"Case {place.name} has no still slices",
        f"Case {place.name} cannot be opened in the viewer",
    ]
    assert str(run) not in " ".join(explanations.problems)


def test_a_truncated_scan_is_not_to_be_exported_again(run):
    """It was made by `pefuse explain`, which the page names once: the study itself may be whole."""
    path = first_case(run) / "ct.nii.gz"
    path.write_bytes(path.read_bytes()[:200])

    [problem] = read_explanations(run).problems

    assert problem.startswith(f"Case {path.parent.name} cannot be opened in the viewer: ct.nii.gz: ")
    assert "Leave the study out" not in problem


def test_a_scan_without_its_picture_is_named(run):
    (first_case(run) / "slices.png").unlink()

    explanations = read_explanations(run)

    assert explanations.problems == (f"Case {first_case(run).name} has no still slices: slices.png is missing.",)
    assert explanations.cases[0].volumes


def test_a_case_without_scan_and_picture_is_no_problem(run):
    """A model of the record alone has none."""
    for name in ("ct.nii.gz", "heat.nii.gz", "slices.png"):
        (first_case(run) / name).unlink()

    explanations = read_explanations(run)

    assert explanations.problems == ()
    assert explanations.cases[0].volumes is None


def test_heat_of_another_shape_than_the_scan_is_told(run):
    place = first_case(run)
    half = SimpleITK.Shrink(SimpleITK.ReadImage(str(place / "heat.nii.gz")), [2, 2, 2])
    SimpleITK.WriteImage(half, str(place / "heat.nii.gz"))

    assert "the scan has shape (16, 16, 16), its heat (8, 8, 8)" in read_explanations(run).problems[0]


def test_a_name_that_leads_elsewhere_is_not_followed(run):
    changed(run / "explanations" / "summary.json", cases=["../../secret", first_case(run).name])

    explanations = read_explanations(run)

    assert len(explanations.cases) == 1
    assert "secret" not in explanations.problems[0]


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}'])
def test_a_damaged_summary_says_what_to_do(run, content):
    (run / "explanations" / "summary.json").write_text(content)

    with pytest.raises(RunError, match="Run `pefuse explain` again"):
        read_explanations(run)


def test_a_later_format_is_refused(run):
    changed(run / "explanations" / "summary.json", format=2)

    with pytest.raises(RunError, match="format 2"):
        read_explanations(run)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda table: table.drop(columns="hit"), 'lacks the column "hit"'),
        (lambda table: table.assign(heat_share=1.4), '"heat_share" is not always within 0 and 1'),
        (lambda table: table.assign(volume_share=float("nan")), '"volume_share" is not always within 0 and 1'),
        (lambda table: table.assign(hit="often"), '"hit" is not always within 0 and 1'),
    ],
)
def test_a_table_of_heat_that_cannot_be_is_refused(run, change, complaint):
    path = run / "explanations" / "heat_truth.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)

    with pytest.raises(RunError, match=complaint):
        read_heat_truth(run)


def test_a_table_without_rows_is_as_none(run):
    path = run / "explanations" / "heat_truth.csv"
    pd.read_csv(path).head(0).to_csv(path, index=False)

    assert read_heat_truth(run) is None
