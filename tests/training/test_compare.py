"""A whole comparison on a small cohort, and what becomes of it when it is interrupted or the data lie."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from pefuse.cohort import load_cohort
from pefuse.errors import IncompleteRunError, UsageError
from pefuse.evaluation import auroc
from pefuse.models.zoo import TABLE_1, table3_names
from pefuse.training import Run, compare, fit, resolve_config
from pefuse.training.cell_worker import shown_error
from pefuse.types import PREDICTION_COLUMNS

QUICK = [
    "folds=2",
    "scan.grid=32",
    "sanet.network.stem_channels=4",
    "sanet.network.growth=2",
    "sanet.network.blocks=[1, 1, 1]",
    "sanet.network.embedding_dim=8",
    "sanet.loop.epochs=2",
    "swin.network={feature_size: 12, window: 2, depths: [1, 1, 1, 1], hidden_dim: 8, embedding_dim: 8}",
    "swin.loop.epochs=2",
    "late.loop.epochs=3",
    "mbt.network={width: 8, heads: 2}",
    "mbt.loop.epochs=3",
    "tabnet.network.n_d=8",
    "tabnet.loop.epochs=3",
    "fusion.network.fitted={components: 4, neighbours: 8}",
    "fusion.loop.epochs=3",
    "xgboost.rounds=20",
]
MODELS = [*TABLE_1, *table3_names(reduction="pca", head="tabnet")]
EVERY_MODEL = "ablations=true"


def quick(*more: str):
    return resolve_config("demo", overrides=[*QUICK, *more])


@pytest.fixture(scope="module")
def cohort(toy_cohort):
    return load_cohort(toy_cohort)


@pytest.fixture(scope="module")
def run(cohort, tmp_path_factory):
    """One run of every model and ablation, bilinear fusion end to end."""
    end_to_end = "fusion.joint={epochs: 1, batch_size: 8}"
    return compare(cohort, out=tmp_path_factory.mktemp("runs") / "run", config=quick(EVERY_MODEL, end_to_end))


@pytest.mark.slow
def test_every_model_predicts_every_case_of_every_fold_once(run, cohort):
    table = run.predictions.table

    assert list(table.columns) == list(PREDICTION_COLUMNS)
    assert not table.duplicated(["study_id", "model", "seed", "fold"]).any()
    assert table.groupby(["model", "fold"]).size().nunique() == 1
    assert set(table["study_id"]) == set(cohort.studies.index)
    assert table[["logit", "risk"]].notna().all().all()
    assert table["risk"].between(0, 1).all()


@pytest.mark.slow
def test_embeddings_are_gathered_row_by_row_as_they_were_predicted(run):
    """For the models that have them, in the form that any reader of NumPy files opens without pickle."""
    table = run.predictions.table
    names = {path.stem for path in (run.folder / "embeddings").iterdir()}
    without = {"pesi", "spesi", "xgboost", *(name for name in MODELS if name.startswith("late"))}
    widths = {f"{encoder}-dim{dim}" for encoder in ("sanet", "tabnet") for dim in (256, 1024)}
    assert names == {*MODELS, *widths} - without

    for name in names:
        arrays = np.load(run.folder / "embeddings" / f"{name}.npz", allow_pickle=False)
        own = table[table["model"] == name]
        columns = ["study_id", "split", "seed", "fold"]
        assert [tuple(row) for row in zip(*(arrays[c].tolist() for c in columns), strict=True)] == [
            tuple(row) for row in own[columns].itertuples(index=False)
        ]
        assert len(arrays["embedding"]) == len(own)
        assert np.isfinite(arrays["embedding"]).all()
    assert np.load(run.folder / "embeddings" / "tabnet.npz")["embedding"].shape[1] == 8


@pytest.mark.slow
def test_the_log_says_what_was_trained_and_when(run):
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    cells = {path.name for path in (run.folder / "cells").iterdir()}

    assert lines[0]["event"] == "run started"
    assert lines[-1]["event"] == "run finished"
    assert {line["cell"] for line in lines if line["event"] == "cell finished"} >= cells
    assert datetime.fromisoformat(lines[0]["time"]) <= datetime.fromisoformat(lines[-1]["time"])


@pytest.mark.slow
def test_all_models_share_the_folds_and_each_case_is_validated_once(run):
    table = run.predictions.table
    splits = table.groupby(["fold", "study_id"])["split"].nunique()
    validated = table[table["split"] == "validation"].groupby(["model", "study_id"]).size()

    assert (splits == 1).all()
    assert (validated == 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "released"])
def test_the_full_size_presets_train_every_model_at_their_own_batch_sizes(preset, cohort, tmp_path):
    """As shipped, but for the grid, the number of epochs, and the image encoders' width and depth."""
    loops = ("sanet", "swin", "tabnet", "late", "fusion", "mbt")
    short = [f"{part}.loop.epochs=1" for part in loops] + ["fusion.joint.epochs=1"]
    small = ["folds=1", "threads=1", "scan.grid=32", "xgboost.rounds=5", "late.nested_parts=2"]
    small += ["swin.network={feature_size: 12, window: 2, features_stage: 3}"]
    small += ["fusion.network.fitted.components=4"]
    small += ["swin.network.grid=32"] if preset == "released" else []
    small += [f"sanet.network.{part}" for part in ("blocks=[1, 1, 1]", "stem_channels=4", "growth=4")]
    config = resolve_config(preset, overrides=[EVERY_MODEL, *small, *short])
    run = compare(cohort, out=tmp_path / "run", config=config)
    table = run.predictions.table

    # In `released` bilinear attention is the full model's own, and PCA the variant; trees cannot head it.
    network = config.fusion.network
    assert {*TABLE_1, *table3_names(reduction=network.reduction, head=network.head)} <= set(table["model"])
    assert table["risk"].between(0, 1).all()
    assert (table.groupby("model")["risk"].nunique() > 1).all()


@pytest.mark.slow
def test_a_second_run_trains_nothing_and_changes_nothing(run, cohort):
    before = {path: path.stat().st_mtime_ns for path in (run.folder / "cells").rglob("*")}
    table = (run.folder / "predictions.csv").read_bytes()
    config = resolve_config(file=run.folder / "config.yaml")
    compare(cohort, out=run.folder, config=config)

    assert {path: path.stat().st_mtime_ns for path in (run.folder / "cells").rglob("*")} == before
    assert (run.folder / "predictions.csv").read_bytes() == table


@pytest.mark.slow
def test_a_lost_cell_is_trained_again_to_the_same_bits(run, cohort, tmp_path):
    """Also what becomes of a run killed while that cell was at work."""
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    shutil.rmtree(folder / "cells" / "tabnet-seed0-fold1")
    (folder / "cells" / ".partial-tabnet").mkdir()
    compare(cohort, out=folder, config=resolve_config(file=folder / "config.yaml"))

    assert (folder / "predictions.csv").read_bytes() == (run.folder / "predictions.csv").read_bytes()


def test_damaged_cells_are_trained_again_to_the_same_bits(cohort, tmp_path):
    """One lost a file, the others have one that is cut; the undamaged one is left alone."""
    config = quick("models=[tabnet, xgboost]")
    run = compare(cohort, out=tmp_path / "run", config=config)
    files = {
        path: path.read_bytes() for path in sorted(run.folder.glob("cells/*/*")) if "manifest" not in path.name
    }
    untouched = (run.folder / "cells" / "xgboost-seed0-fold1" / "manifest.json").stat().st_mtime_ns
    (run.folder / "cells" / "tabnet-seed0-fold0" / "model.json").unlink()
    for name in ("tabnet-seed0-fold1/embedding.safetensors", "xgboost-seed0-fold0/predictions.csv"):
        path = run.folder / "cells" / name
        path.write_bytes(path.read_bytes()[:-100])
    compare(cohort, out=run.folder, config=config)

    assert {path: path.read_bytes() for path in files} == files
    assert (run.folder / "cells" / "xgboost-seed0-fold1" / "manifest.json").stat().st_mtime_ns == untouched


@pytest.mark.slow
def test_two_runs_with_one_seed_give_the_same_bits_and_another_seed_others(cohort, tmp_path):
    models = "models=[sanet, tabnet, xgboost]"
    first, second = (compare(cohort, out=tmp_path / name, config=quick(models)) for name in ("a", "b"))
    other = compare(cohort, out=tmp_path / "c", config=quick(models, "seeds=[1]"))

    assert (first.folder / "predictions.csv").read_bytes() == (second.folder / "predictions.csv").read_bytes()
    assert not np.array_equal(first.predictions.table["logit"], other.predictions.table["logit"])


@pytest.mark.slow
def test_another_setting_trains_only_what_hangs_on_it(run, cohort, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    stamp = {path.parent.name: path.stat().st_mtime_ns for path in (folder / "cells").glob("*/manifest.json")}
    config = resolve_config(file=folder / "config.yaml", overrides=["fusion.loop.epochs=2"])
    compare(cohort, out=folder, config=config)
    changed = {
        path.parent.name
        for path in (folder / "cells").glob("*/manifest.json")
        if path.stat().st_mtime_ns != stamp[path.parent.name]
    }

    assert changed == {name for name in stamp if name.startswith(("early", "intermediate"))}


def test_a_run_of_other_settings_that_is_stopped_leaves_no_results_of_the_first(cohort, tmp_path):
    """Else the old numbers would stand beside the new settings."""
    compare(cohort, out=tmp_path / "run", config=quick("models=[pesi, xgboost]"))

    def stop(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(cohort, out=tmp_path / "run", config=quick("models=[pesi, spesi]"), progress=stop)
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert not left & {"predictions.csv", "failed.csv", "embeddings", "tables", "figures"}
    assert "bundles" in left  # each says itself what it was made from
    assert "spesi" in (tmp_path / "run" / "config.yaml").read_text()
    compare(cohort, out=tmp_path / "run", config=quick("models=[pesi]"))
    assert set(Run(folder=tmp_path / "run").predictions.table["model"]) == {"pesi"}


@pytest.mark.slow
def test_the_cohorts_scores_are_passed_through_untouched(run):
    table = run.predictions.table
    pesi = table[(table["model"] == "pesi") & (table["split"] == "test")]

    assert (pesi["logit"] == pesi["logit"].round()).all()
    assert auroc(pesi["label"].to_numpy(), pesi["logit"].to_numpy()) > 0.6


@pytest.mark.slow
def test_a_run_of_another_cohort_is_not_mixed_in(run, cohort):
    other = pd.concat([cohort.studies.iloc[:-1]])
    with pytest.raises(UsageError, match="another cohort"):
        compare(
            type(cohort)(**{**vars(cohort), "studies": other}),
            out=run.folder,
            config=resolve_config(file=run.folder / "config.yaml"),
        )


def test_a_folder_that_holds_something_else_is_left_alone(cohort, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="something else"):
        compare(cohort, out=tmp_path, config=quick("models=[pesi]"))

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_nothing_of_the_test_year_reaches_what_is_fitted(cohort, tmp_path):
    """Test labels turned round: every prediction stays, bit for bit."""
    studies = cohort.studies.copy()
    last = studies["year"] == studies["year"].max()
    studies.loc[last, "label"] = 1 - studies.loc[last, "label"]
    turned = type(cohort)(**{**vars(cohort), "studies": studies})
    config = quick("models=[xgboost, tabnet]")
    first = compare(cohort, out=tmp_path / "a", config=config).predictions.table
    second = compare(turned, out=tmp_path / "b", config=config).predictions.table

    assert np.array_equal(first["logit"], second["logit"])
    assert not np.array_equal(first["label"], second["label"])


@pytest.mark.slow
def test_a_failed_cell_is_named_and_the_others_are_kept(cohort, tmp_path):
    """More neighbours than there are training cases: only the fusion fails."""
    config = quick("models=[pesi, intermediate-sanet-mlle]", "fusion.network.fitted.neighbours=1000")
    with pytest.raises(
        IncompleteRunError, match=r"1 of 4 models .*intermediate-sanet-mlle, fold 0: .*neighbours"
    ) as caught:
        compare(cohort, out=tmp_path / "run", config=config)
    assert str(tmp_path) not in str(caught.value)
    assert "Traceback" in str(caught.value.__cause__)
    assert set(Run(folder=tmp_path / "run").predictions.table["model"]) == {"pesi", "sanet", "tabnet"}
    assert {path.name for path in (tmp_path / "run" / "bundles").iterdir()} == {"sanet", "tabnet"}
    kept = {path.name for path in (tmp_path / "run" / "cells").iterdir()}

    assert kept == {f"{model}-seed0-fold{fold}" for model in ("pesi", "sanet", "tabnet") for fold in (0, 1)}


def test_a_model_whose_bundle_would_be_too_large_keeps_its_results(cohort, tmp_path, monkeypatch):
    """The others keep their bundles too, and what was written of the large one is gone."""
    monkeypatch.setattr("pefuse.models.bundle.save.MOST_BYTES", 2_000_000)
    with pytest.raises(
        IncompleteRunError, match=r"A trained model has no bundle.*tabnet: .*fewer folds"
    ) as caught:
        compare(cohort, out=tmp_path / "run", config=quick("models=[xgboost, tabnet]", "tabnet.network.n_d=256"))

    assert str(tmp_path) not in str(caught.value)
    assert set(Run(folder=tmp_path / "run").predictions.table["model"]) == {"xgboost", "tabnet"}
    assert [path.name for path in (tmp_path / "run" / "bundles").iterdir()] == ["xgboost"]


def test_a_training_that_lost_itself_says_so_and_the_others_go_on(cohort, tmp_path):
    settings = ["models=[pesi, sanet, tabnet]", "tabnet.loop.learning_rate=1e9", "sanet.loop.learning_rate=1e30"]
    with pytest.raises(IncompleteRunError, match="2 of 3 models could not be trained"):
        compare(cohort, out=tmp_path / "run", config=quick(*settings))
    failed = pd.read_csv(tmp_path / "run" / "failed.csv")

    assert set(failed["model"]) == {"sanet", "tabnet"}
    assert (
        failed["reason"]
        .str.contains("no finite numbers any more .*set a lower learning_rate or a clip_norm")
        .all()
    )
    assert set(Run(folder=tmp_path / "run").predictions.table["model"]) == {"pesi"}


def test_a_cohort_without_a_record_is_refused_before_scans_are_prepared(cohort, tmp_path):
    folder = tmp_path / "cohort"
    shutil.copytree(cohort.folder, folder, ignore=shutil.ignore_patterns("prepared*", "events*", "features*"))
    with pytest.raises(UsageError, match="no record"):
        compare(load_cohort(folder), out=tmp_path / "run", config=quick("models=[sanet, tabnet]"))

    assert not [path.name for path in folder.iterdir() if path.name.startswith("prepared")]
    assert not (tmp_path / "run").exists()


def test_too_few_usable_scans_cost_the_models_that_take_them_and_nothing_else(cohort, tmp_path):
    """All but three scans are lost: the line says what was found in which fold, and the scores are reported."""
    folder = tmp_path / "cohort"
    shutil.copytree(cohort.folder, folder, ignore=shutil.ignore_patterns("prepared*"))
    studies = pd.read_csv(folder / "studies.csv", dtype=str)
    studies.loc[3:, "ct"] = "scans/nowhere"
    studies.to_csv(folder / "studies.csv", index=False)
    with pytest.raises(IncompleteRunError) as caught:
        compare(load_cohort(folder), out=tmp_path / "run", config=quick("models=[pesi, late-average]"))

    assert re.search(
        r"2 of 4 models .* sanet, fold 0: Of \d+ train studies, \d have a usable scan, \d of them died; "
        r"one death and one survivor at least is needed: quarantine.csv",
        str(caught.value),
    )
    assert set(Run(folder=tmp_path / "run").predictions.table["model"]) == {"pesi", "tabnet"}


def test_the_text_of_an_unforeseen_error_is_not_shown():
    """It may hold a path; our own errors never do."""
    assert shown_error(FileNotFoundError(2, "No such file", "/hospital/doe_john.dcm")) == "FileNotFoundError"
    assert shown_error(UsageError("Too many components.")) == "Too many components."


def test_fit_trains_one_model_and_what_it_starts_from(cohort, tmp_path, monkeypatch):
    """Also where a script was started with a folder as its argument: no path is kept."""
    monkeypatch.setattr("sys.argv", ["script.py", str(tmp_path)])
    run = fit(cohort, "xgboost", out=tmp_path / "run", config=quick())
    environment = json.loads((run.folder / "environment.json").read_text())

    assert set(run.predictions.table["model"]) == {"xgboost"}
    assert environment["packages"]["torch"]
    assert str(tmp_path) not in (run.folder / "environment.json").read_text()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_killed_at_any_moment_and_begun_again_it_ends_with_the_same_bytes(run, cohort, tmp_path):
    """`kill -9` of the command: its workers end too, and at most the cells at work are lost."""
    settings = (run.folder / "config.yaml").resolve()
    command = [sys.executable, "-m", "pefuse", "compare", str(cohort.folder), "--out", str(tmp_path / "run")]
    random = np.random.default_rng(0)
    kills, finished = 0, [0]
    for _ in range(5):
        process = subprocess.Popen(
            [*command, "--config", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + random.uniform(8, 16)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        kills += process.poll() is None
        process.kill()
        process.wait()
        finished.append(len(list((tmp_path / "run" / "cells").glob("*/manifest.json"))))

    whole = compare(cohort, out=tmp_path / "run", config=resolve_config(file=settings))

    assert kills >= 2
    assert finished == sorted(finished)
    assert (whole.folder / "predictions.csv").read_bytes() == (run.folder / "predictions.csv").read_bytes()
    assert not list((tmp_path / "run").rglob(".partial-*"))
