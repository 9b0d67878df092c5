"""The bundles of a run say what the run said: same risks, same threshold, and nothing of a single patient."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import pefuse
from pefuse.cohort import load_cohort
from pefuse.ct import load_prepared, prepared_folder
from pefuse.ehr import extract
from pefuse.models.bundle import load_bundle
from pefuse.report.aggregation import collect_scores
from pefuse.report.run_folder import read_run
from pefuse.report.summarise import summarise_scores
from pefuse.training import compare, resolve_config

DOCUMENT = Path(__file__).parents[2] / "docs" / "bundles.md"
TRAINED = (
    "xgboost",
    "tabnet",
    "sanet",
    "swin",
    "late-average",
    "late-vote",
    "late-tabnet",
    "late-xgboost",
    "early",
    "intermediate-sanet",
    "intermediate-sanet-bilinear",
    "intermediate-sanet-mlle-fc",
    "intermediate-swin-spectral-xgboost",
    "mbt",
)
QUICK = [
    f"models=[pesi, {', '.join(TRAINED)}]",
    "folds=2",
    "seeds=[0, 1]",
    "scan.grid=32",
    "sanet.network.stem_channels=4",
    "sanet.network.growth=2",
    "sanet.network.blocks=[1, 1]",
    "sanet.network.attention_blocks=1",
    "sanet.network.embedding_dim=8",
    "sanet.loop.epochs=1",
    "swin.network={feature_size: 12, window: 2, depths: [1, 1, 1, 1], hidden_dim: 8, embedding_dim: 8}",
    "swin.loop.epochs=1",
    "late.loop.epochs=2",
    "mbt.network={width: 8, heads: 2}",
    "mbt.loop.epochs=2",
    "tabnet.network.n_d=8",
    "tabnet.network.n_steps=2",
    "tabnet.screen=32",
    "tabnet.loop.epochs=2",
    "fusion.network.fitted={components: 4, neighbours: 8}",
    "fusion.network.image_tokens=4",
    "fusion.network.ehr_tokens=4",
    "fusion.loop.epochs=2",
    "fusion.joint={epochs: 1, batch_size: 8}",
    "xgboost.rounds=10",
]


@pytest.fixture(scope="module")
def cohort(toy_cohort):
    return load_cohort(toy_cohort)


@pytest.fixture(scope="module")
def run(cohort, tmp_path_factory):
    """Every kind of model on two folds with two seeds; fusions without PCA end to end."""
    out = tmp_path_factory.mktemp("bundles") / "run"
    return compare(cohort, out=out, config=resolve_config("demo", overrides=QUICK))


@pytest.fixture(scope="module")
def cases(cohort):
    """What a prediction takes."""
    return {
        "scans": load_prepared(prepared_folder(cohort, grid=32, field_of_view="lungs")),
        "record": extract(cohort),
    }


@pytest.fixture
def one_thread():
    """As in the run's workers: the number of threads decides the order of sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rows_of(run, model: str) -> pd.DataFrame:
    table = run.predictions.table
    return table[table["model"] == model]


def collect_test_risks(run, model: str) -> pd.Series:
    """As the report ranks the test studies."""
    return next(one.test["risk"] for one in collect_scores(read_run(run.folder)) if one.name == model)


# Where a last digit of what they start from may take a case over a threshold or a tree's split.
STEPPED = ("late-vote", "late-xgboost", "intermediate-swin-spectral-xgboost")
SMOOTH = tuple(model for model in TRAINED if model not in STEPPED)


@pytest.mark.slow
@pytest.mark.parametrize("model", SMOOTH)
def test_a_bundle_gives_the_risks_of_its_run(model, run, one_thread, cases):
    """Of every study by every member. Each part of a fold is one batch, as it was in the run."""
    bundle = load_bundle(run.bundle(model))
    table = rows_of(run, model)
    if model == "late-tabnet":  # in the run it learned from, and judges, training cases by others' risks
        table = table[table["split"] != "train"]
    for (seed, fold, _), rows in table.groupby(["seed", "fold", "split"]):
        members = bundle.predict(list(rows["study_id"]), **cases, batch_size=len(rows)).members
        told = members[(members["seed"] == seed) & (members["fold"] == fold)]

        assert list(told["study_id"]) == list(rows["study_id"])
        np.testing.assert_allclose(told["risk"], rows["risk"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(told["logit"], rows["logit"], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["late-vote", "late-xgboost"])
def test_a_late_bundle_joins_the_run_s_own_risks_as_the_run_did(model, run):
    singles = {
        name: rows_of(run, name).set_index(["seed", "fold", "study_id"])["risk"] for name in ("sanet", "tabnet")
    }
    for member in load_bundle(run.bundle(model)).members:
        rows = rows_of(run, model).query(f"seed == {member.seed} and fold == {member.fold} and split != 'train'")
        risks = [
            singles[name].loc[member.seed, member.fold].loc[rows["study_id"]]
            for name in member.model.combiner.names
        ]

        np.testing.assert_allclose(
            member.model.combiner.predict_logit(np.stack(risks, axis=1)), rows["logit"], rtol=1e-6
        )


@pytest.mark.slow
def test_a_bundle_with_trees_as_head_judges_the_run_s_own_vectors_as_the_run_did(run):
    model = "intermediate-swin-spectral-xgboost"
    kept = np.load(run.folder / "embeddings" / f"{model}.npz")
    for member in load_bundle(run.bundle(model)).members:
        own = (kept["seed"] == member.seed) & (kept["fold"] == member.fold)
        rows = rows_of(run, model).query(f"seed == {member.seed} and fold == {member.fold}")

        assert list(rows["study_id"]) == kept["study_id"][own].tolist()
        np.testing.assert_allclose(
            member.model.trees.predict_logit(kept["embedding"][own]), rows["logit"], rtol=1e-6
        )


@pytest.mark.slow
@pytest.mark.parametrize("model", SMOOTH)
def test_its_ensemble_is_that_of_the_report(model, run, one_thread, cases):
    test = collect_test_risks(run, model)
    ids = list(rows_of(run, model).query("split == 'test'")["study_id"].unique())
    told = load_bundle(run.bundle(model)).predict(ids, **cases, batch_size=len(ids)).ensemble

    assert list(told.index) == ids
    np.testing.assert_allclose(told["risk"], test.loc[ids], rtol=0, atol=1e-6)
    np.testing.assert_allclose(1 / (1 + np.exp(-told["logit"])), told["risk"], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["xgboost", "tabnet", "sanet", "late-average"])
def test_order_and_company_do_not_matter(model, run, cohort, cases):
    ids = list(cohort.studies.index)
    bundle = load_bundle(run.bundle(model))
    together = bundle.predict(ids, **cases).ensemble
    alone = bundle.predict(ids[::-1][:5], **cases, batch_size=1).ensemble

    np.testing.assert_allclose(alone["risk"], together.loc[alone.index, "risk"], rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["xgboost", "intermediate-sanet"])
def test_the_threshold_is_that_of_the_reports_table(model, run):
    results = summarise_scores(read_run(run.folder), inputs="")
    judged = next(one.test for one in results.models if one.name == model)
    threshold = load_bundle(run.bundle(model)).thresholds["youden"]

    assert judged is not None
    assert threshold.value == judged.threshold


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_bits(run, one_thread, cohort, cases, tmp_path):
    ids = list(cohort.studies.index[:3])
    here = load_bundle(run.bundle("intermediate-sanet-bilinear")).predict(ids, **cases).ensemble
    script = (
        "import pefuse, sys\n"
        "from pefuse.ct import load_prepared\n"
        "from pefuse.ehr import extract\n"
        "bundle = pefuse.load_bundle(sys.argv[1])\n"
        "assert 'torch._dynamo' not in sys.modules  # torch's compiler: seconds to import, and no use of it\n"
        "cohort = pefuse.load_cohort(sys.argv[2])\n"
        "scans = load_prepared(cohort.folder / 'prepared-32-lungs')\n"
        "told = bundle.predict(sys.argv[3:], scans=scans, record=extract(cohort, sys.argv[3:]))\n"
        "print(*told.ensemble['risk'])\n"
    )
    words = [
        sys.executable,
        "-c",
        script,
        str(run.bundle("intermediate-sanet-bilinear")),
        str(cohort.folder),
        *ids,
    ]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )

    assert done.returncode == 0, done.stderr
    assert [float(risk) for risk in done.stdout.split()] == list(here["risk"])


@pytest.mark.slow
def test_clinical_scores_have_no_bundle_and_all_other_models_do(run):
    assert {path.name for path in (run.folder / "bundles").iterdir()} == set(TRAINED)


@pytest.mark.slow
def test_a_bundle_tells_what_it_needs_and_whom_it_learned_from(run, cohort):
    bundle = load_bundle(run.bundle("intermediate-sanet-bilinear"))
    members = pd.read_csv(run.folder / "folds.csv", dtype={"study_id": str})
    ids = members.loc[members["split"] != "test", "study_id"].unique()
    learned = cohort.studies.loc[ids]
    about = bundle.about.cohort

    assert (bundle.needs_scan, bundle.needs_record, bundle.grid) == (True, True, 32)
    assert (about.studies, about.deaths) == (len(learned), int(learned["label"].sum()))
    assert (about.first_year, about.last_year) == (learned["year"].min(), learned["year"].max())
    assert about.simulated
    assert about.horizon_days == 30
    assert about.female_share == pytest.approx(learned["sex"].eq("F").mean(), abs=1e-3)
    assert not bundle.about.calibration.fitted
    assert "Research use only" in bundle.about.notice
    assert bundle.features
    assert {"scan", "record", "sanet", "tabnet", "fusion", "seeds"} <= set(bundle.about.config)
    alone = load_bundle(run.bundle("sanet"))
    assert (alone.needs_scan, alone.needs_record, alone.features) == (True, False, ())
    trees = load_bundle(run.bundle("xgboost"))
    assert (trees.needs_scan, trees.needs_record, trees.grid) == (False, True, None)
    units = {column.name: column.unit for column in trees.features}
    assert units["age (years)"] == "years"


@pytest.mark.slow
@pytest.mark.parametrize("model", TRAINED)
def test_nothing_of_a_patient_is_in_a_bundle(model, run, cohort):
    """No study id, no patient id, no path; of dates only years."""
    text = b"".join(path.read_bytes() for path in sorted(run.bundle(model).glob("*.json"))).decode()

    assert not [study_id for study_id in cohort.studies.index if study_id in text]
    assert not [patient for patient in cohort.studies["patient_id"] if re.search(rf"\b{patient}\b", text)]
    assert str(cohort.folder) not in text
    assert "/tmp" not in text
    assert not re.search(r"\b(19|20)\d\d-\d\d", text)


@pytest.mark.slow
def test_a_run_that_goes_on_mends_and_replaces_only_what_must_be(run, cohort, tmp_path):
    """One file of one bundle damaged: that bundle is written again. One seed less: all have fewer members."""
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    stamp = {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("bundles/*/bundle.json")}
    damaged = folder / "bundles" / "sanet" / "seed0-fold0.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    again = compare(cohort, out=folder, config=resolve_config(file=folder / "config.yaml"))
    mended = {
        path.parent.name
        for path in folder.glob("bundles/*/bundle.json")
        if path.stat().st_mtime_ns != stamp[path.parent.name]
    }

    assert mended == {"sanet"}
    assert load_bundle(again.bundle("sanet")).sha256 == load_bundle(run.bundle("sanet")).sha256

    compare(cohort, out=folder, config=resolve_config(file=folder / "config.yaml", overrides=["seeds=[1]"]))

    for model in TRAINED:
        bundle = load_bundle(again.bundle(model))
        assert [(member.seed, member.fold) for member in bundle.members] == [(1, 0), (1, 1)]


@pytest.mark.slow
def test_the_documents_python_runs_as_it_stands(run, cohort, tmp_path, monkeypatch, capsys):
    """With a cohort and a run of the names that it uses."""
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "COHORT").symlink_to(cohort.folder)
    (tmp_path / "RUN").symlink_to(run.folder)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(DOCUMENT), "exec"), names)

    assert "risk" in capsys.readouterr().out
    assert isinstance(names["bundle"], pefuse.models.bundle.Bundle)


@pytest.mark.slow
def test_the_manifest_lists_every_file_but_itself_and_its_seal(run):
    for model in TRAINED:
        listed = json.loads((run.bundle(model) / "bundle.json").read_text())["files"]
        there = {path.name for path in run.bundle(model).iterdir()}

        assert there == {*listed, "bundle.json", "bundle.sha256"}
