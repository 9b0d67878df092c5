"""The explanations of a whole run: what is written, that it agrees with the run, and what stops it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import SimpleITK

from pefuse.cohort.simulate import SimulationConfig, simulate_cohort
from pefuse.errors import BundleError, RunError, UsageError
from pefuse.evaluation import mean_by_study
from pefuse.explain import ExplainOptions, explain_run, is_explained

QUICK = ExplainOptions(cases=3, most_studies=4, occlusion=False)


@pytest.fixture(scope="module")
def explained(trained, toy_cohort, tmp_path_factory):
    run = tmp_path_factory.mktemp("explained") / "run"
    shutil.copytree(trained.folder, run)
    options = ExplainOptions(cases=2, most_studies=5, occlusion=True)
    return explain_run(run, toy_cohort, options=options)


@pytest.fixture
def run(trained, tmp_path):
    """A copy to do harm to."""
    folder = tmp_path / "run"
    shutil.copytree(trained.folder, folder)
    return folder


def cases_of(folder):
    summary = json.loads((folder / "summary.json").read_text())
    return {name: json.loads((folder / "cases" / name / "case.json").read_text()) for name in summary["cases"]}


@pytest.mark.slow
def test_all_parts_are_there(explained):
    found = {str(path.relative_to(explained)) for path in explained.rglob("*") if path.is_file()}
    shown = json.loads((explained / "summary.json").read_text())["cases"]

    tables = {"heat_truth.csv", "modality.csv", "record_importance.csv", "record_truth.csv", "summary.json"}
    files = ("case.json", "ct.nii.gz", "heat.nii.gz", "occlusion.nii.gz", "slices.png")
    assert found == tables | {f"cases/{study_id}/{name}" for study_id in shown for name in files}


@pytest.mark.slow
def test_the_paper_s_full_model_is_explained_unless_another_is_named(explained):
    summary = json.loads((explained / "summary.json").read_text())

    assert (summary["model"], summary["method"], summary["layer"]) == (
        "intermediate-sanet",
        "layer-cam",
        "block-1",
    )
    assert summary["simulated"] is True


@pytest.mark.slow
def test_a_case_has_the_risks_of_the_run(explained, trained):
    table = trained.predictions.table
    for study_id, case in cases_of(explained).items():
        for name, key in {"intermediate-sanet": "risk", "sanet": "scan_alone", "tabnet": "record_alone"}.items():
            rows = table[(table["model"] == name) & (table["study_id"] == study_id)]
            assert case[key] == pytest.approx(mean_by_study(rows, "risk")["risk"].iloc[0], abs=1e-6)
        assert case["label"] == table.loc[table["study_id"] == study_id, "label"].iloc[0]


@pytest.mark.slow
def test_features_have_names_values_and_shares_highest_first(explained):
    for case in cases_of(explained).values():
        shares = [feature["share"] for feature in case["features"]]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1.0001
        assert all(feature["text"] and feature["usual"] for feature in case["features"])
        assert len(case["features"][0]["steps"]) == 3


@pytest.mark.slow
def test_scan_and_heat_lie_on_each_other_where_the_peak_is_said_to_be(explained):
    for study_id, case in cases_of(explained).items():
        folder = explained / "cases" / study_id
        scan, heat = (SimpleITK.ReadImage(str(folder / name)) for name in ("ct.nii.gz", "heat.nii.gz"))
        values = SimpleITK.GetArrayFromImage(heat)
        z, y, x = case["heat"]["peak_index"]

        assert scan.GetOrigin() == pytest.approx(heat.GetOrigin())
        assert scan.GetSize() == heat.GetSize() == (32, 32, 32)
        assert values[z, y, x] == values.max() == 255
        assert heat.TransformIndexToPhysicalPoint((x, y, z)) == pytest.approx(case["heat"]["peak_mm"], abs=0.06)
        assert {"all strained", "right ventricle"} <= {one["structure"] for one in case["heat"]["structures"]}


@pytest.mark.slow
def test_heat_is_held_against_the_truth_beside_a_control_for_every_method(explained):
    table = pd.read_csv(explained / "heat_truth.csv")
    methods = {name + end for name in ("grad-cam", "hires-cam", "layer-cam") for end in ("", " randomised")}

    assert set(table["method"]) == methods
    assert table.groupby("method")["study_id"].nunique().eq(5).all()
    assert table[["heat_share", "volume_share", "hit_chance"]].apply(lambda c: c.between(0, 1)).all().all()
    volumes = table.groupby(["study_id", "structure"])["volume_share"].nunique()
    assert volumes.eq(1).all()


@pytest.mark.slow
def test_the_same_run_has_the_same_explanations(trained, toy_cohort, tmp_path):
    tables = []
    for name in ("a", "b"):
        shutil.copytree(trained.folder, tmp_path / name)
        folder = explain_run(tmp_path / name, toy_cohort, options=QUICK)
        tables.append({path.name: path.read_bytes() for path in folder.glob("*.csv")})

    assert tables[0] == tables[1]


@pytest.mark.slow
def test_a_run_is_explained_as_long_as_its_bundle_is_the_one_that_was(explained, run):
    before = explained.parent
    assert is_explained(before)
    assert not is_explained(run)

    shutil.copytree(explained, run / "explanations")
    assert is_explained(run)
    summary = run / "explanations" / "summary.json"
    summary.write_text(summary.read_text().replace('"bundle_sha256": "', '"bundle_sha256": "0'))
    assert not is_explained(run)
    summary.write_text("{")
    assert not is_explained(run)


@pytest.mark.slow
def test_named_studies_are_shown_in_their_order(run, toy_cohort, trained):
    table = trained.predictions.table
    tested = sorted(table.loc[table["split"] == "test", "study_id"].unique())[:2][::-1]

    folder = explain_run(
        run, toy_cohort, options=ExplainOptions(studies=tuple(tested), most_studies=2, occlusion=False)
    )

    assert json.loads((folder / "summary.json").read_text())["cases"] == tested


@pytest.mark.slow
@pytest.mark.parametrize("model", ["tabnet", "xgboost", "sanet"])
def test_a_model_of_one_modality_has_the_parts_that_it_can_have(run, toy_cohort, model):
    folder = explain_run(
        run, toy_cohort, options=ExplainOptions(model=model, cases=1, most_studies=3, occlusion=False)
    )

    (case,) = cases_of(folder).values()
    assert ("heat" in case) == (model == "sanet")
    assert (folder / "heat_truth.csv").exists() == (model == "sanet")
    assert bool(case["features"]) == (model != "sanet")
    assert not (folder / "modality.csv").exists()
    assert case["without_scan"] is None


@pytest.mark.slow
def test_a_study_that_is_no_test_study_is_refused_and_nothing_is_lost(run, toy_cohort):
    (run / "explanations").mkdir()
    (run / "explanations" / "summary.json").write_text("{}")

    with pytest.raises(UsageError, match="S9999 is no test study"):
        explain_run(run, toy_cohort, options=ExplainOptions(studies=("S9999",)))

    assert (run / "explanations" / "summary.json").read_text() == "{}"
    assert not [path for path in run.iterdir() if "partial" in path.name]


@pytest.mark.slow
def test_a_cohort_of_other_patients_under_the_same_ids_is_refused(run, tmp_path):
    """Every simulated cohort has S0001 and so on: the model's own risks tell that these are others."""
    other = tmp_path / "other"
    simulate_cohort(other, config=SimulationConfig(patients=50, prevalence=0.25, seed=4, matrix=48, slices=40))

    with pytest.raises(RunError, match="gives another risk than in the run"):
        explain_run(run, other, options=QUICK)

    assert not (run / "explanations").exists()


@pytest.mark.slow
def test_a_slip_in_the_layer_is_told_before_any_scan_is_prepared(run, toy_cohort):
    told = []
    with pytest.raises(UsageError, match="no layer 'block-9'"):
        explain_run(run, toy_cohort, options=ExplainOptions(layer="block-9"), progress=lambda *a: told.append(a))

    assert not told


@pytest.mark.slow
def test_bad_runs_have_one_clear_line_each(run, toy_cohort, tmp_path):
    with pytest.raises(UsageError, match="no bundle of swin: there are"):
        explain_run(run, toy_cohort, options=ExplainOptions(model="swin"))
    with pytest.raises(RunError, match=r"no predictions\.csv"):
        explain_run(tmp_path, toy_cohort)

    table = pd.read_csv(run / "predictions.csv", dtype={"study_id": str})
    table.assign(study_id="X" + table["study_id"]).to_csv(run / "predictions.csv", index=False)
    with pytest.raises(RunError, match="the cohort does not have"):
        explain_run(run, toy_cohort)
    table.drop(columns="risk").to_csv(run / "predictions.csv", index=False)
    with pytest.raises(RunError, match='lacks the column "risk"'):
        explain_run(run, toy_cohort)
    table.to_csv(run / "predictions.csv", index=False)
    weights = next((run / "bundles" / "intermediate-sanet").glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(BundleError, match=r"damaged|hash|changed"):
        explain_run(run, toy_cohort)
    shutil.rmtree(run / "bundles")
    with pytest.raises(UsageError, match="has no bundles"):
        explain_run(run, toy_cohort)


def test_options_that_show_nothing_are_refused():
    with pytest.raises(UsageError, match="At least one case"):
        ExplainOptions(cases=0)


def test_a_shortened_table_is_spread_over_all_studies():
    from pefuse.explain.run import _spread

    assert _spread([str(i) for i in range(100)], 3) == ["0", "50", "99"]
    assert np.all(_spread(["a", "b"], 3) == ["a", "b"])
