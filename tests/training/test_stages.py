"""What networks make of the cases at the start, in the middle and at the end: kept, gathered, free of effect."""

from __future__ import annotations

import json
import shutil
from functools import cache, partial

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from pefuse.cohort import load_cohort
from pefuse.ct import prepare
from pefuse.training import compare, resolve_config
from pefuse.training.cell_worker import _CellTrainer
from pefuse.training.cells import CellKey, CellStore
from pefuse.training.embeddings import write_embeddings
from pefuse.training.gather import gather
from pefuse.training.recipes import CellContext, train_cell

pytestmark = pytest.mark.slow

SMALL = [
    "folds=2",
    "threads=1",
    "scan.grid=32",
    "sanet.network={stem_channels: 4, growth: 2, blocks: [1, 1, 1], embedding_dim: 8}",
    "sanet.loop={epochs: 2, min_epochs: 2}",
    "tabnet.network.n_d=8",
    "tabnet.loop={epochs: 8, min_epochs: 8, cosine: false}",
    "fusion.network.fitted={components: 4}",
    "fusion.tabnet={n_d: 6, normalisation: layer}",
    "fusion.loop={epochs: 6, min_epochs: 6, cosine: false}",
    "fusion.joint={epochs: 2, min_epochs: 2, batch_size: 8}",
    "xgboost.rounds=5",
    "fusion.trees.rounds=5",
]
FUSIONS = ["intermediate-sanet", "intermediate-sanet-fc", "intermediate-sanet-bilinear", "early"]
TREES = "intermediate-sanet-xgboost"


def settings(*more: str):
    return resolve_config("demo", overrides=[*SMALL, *more])


@pytest.fixture(scope="module")
def cohort(toy_cohort):
    return load_cohort(toy_cohort)


@pytest.fixture(scope="module")
def trained(cohort, tmp_path_factory):
    """`trained(model, followed=...)`: the result of the first fold's cell, trained in this process."""
    run, held = tmp_path_factory.mktemp("cells"), torch.get_num_threads()
    torch.set_num_threads(1)
    store = CellStore(run)

    @cache
    def train(model: str, *more: str, followed: bool = True):
        config = settings(f"models=[{model}]", *more)
        view = config.scan
        scans = partial(prepare, cohort, grid=view.grid, field_of_view=view.field_of_view)
        data = gather(cohort, out=run, config=config, pretrained=None, prepared=scans)
        key = CellKey(model=model, seed=0, fold=0)
        context = CellContext(
            config=config,
            data=_CellTrainer(data)._fold_data(key),
            scores=None,
            store=store,
            fabric=Fabric(accelerator="cpu", devices=1),
            out_of_fold={},
            followed=followed,
        )
        return train_cell(key, context)

    for encoder in ("sanet", "tabnet"):
        store.save(CellKey(model=encoder, seed=0, fold=0), train(encoder), cell_digest="", seconds=0)
    yield train
    torch.set_num_threads(held)


@pytest.mark.parametrize("model", ["sanet", "tabnet", *FUSIONS])
def test_a_cell_has_the_same_bits_whether_it_is_followed_or_not(trained, model):
    followed, plain = trained(model), trained(model, followed=False)

    assert plain.stages is None
    assert followed.stages is not None
    assert followed.predictions.equals(plain.predictions)
    assert followed.history.equals(plain.history)
    assert followed.embedding.tobytes() == plain.embedding.tobytes()
    assert {name: value.tobytes() for name, value in followed.state.items()} == {
        name: value.tobytes() for name, value in plain.state.items()
    }


def test_all_stages_have_the_cases_in_the_order_of_the_predictions(trained):
    """The end is the cell's own embedding, and half of 8 epochs are 4: epoch 3, counted from 0."""
    result = trained("tabnet")
    stages = result.stages

    assert stages.start.shape == stages.middle.shape == stages.end.shape == (len(result.predictions), 8)
    assert stages.end.tobytes() == result.embedding.tobytes()
    assert (result.best_epoch, stages.middle_epoch) == (7, 3)
    assert not np.array_equal(stages.start, stages.middle)
    assert not np.array_equal(stages.middle, stages.end)


def test_the_middle_is_the_end_of_a_training_half_as_long(trained):
    """4 of 8 epochs at the same rate, trained by themselves and kept at their last: the same bits."""
    half = trained("tabnet", "tabnet.loop.epochs=4", "tabnet.loop.min_epochs=4")

    assert trained("tabnet").stages.middle.tobytes() == half.embedding.tobytes()


@pytest.mark.parametrize("model", ["sanet", "tabnet"])
def test_the_start_is_what_the_network_gives_before_it_learns(trained, model):
    """Whatever the training does afterwards: here it is one epoch at another rate, so there is no middle."""
    other = trained(model, f"{model}.loop.learning_rate=1.0e-5", f"{model}.loop.epochs=1").stages

    np.testing.assert_array_equal(other.start, trained(model).stages.start)
    assert not np.array_equal(other.end, trained(model).stages.end)
    assert other.middle is None
    assert other.middle_epoch is None


@pytest.mark.parametrize("model", FUSIONS)
def test_a_fusion_starts_from_the_trained_encoders_and_a_fresh_head(trained, model):
    """With a rate that moves nothing its start is its end: nothing in this fusion keeps batch statistics."""
    still = ["fusion.loop.learning_rate=1.0e-20", "fusion.loop.weight_decay=0", "fusion.schedule=stage-wise"]
    stages = trained(model, *still, "fusion.learned_schedule=stage-wise").stages

    np.testing.assert_allclose(stages.start, stages.end, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(stages.start, trained(model).stages.start)


def test_a_fusion_is_followed_at_the_vector_before_its_last_layer(trained):
    """A TabNet head's own (6 numbers); a head that is one layer has none but the fused vector (4), which stays."""
    tabnet, layer = trained("intermediate-sanet"), trained("intermediate-sanet-fc")

    assert (tabnet.stages.end.shape[1], tabnet.embedding.shape[1]) == (6, 4)
    for stage in (layer.stages.start, layer.stages.middle, layer.stages.end):
        np.testing.assert_allclose(stage, layer.embedding, rtol=1e-5, atol=1e-6)


def test_what_is_trained_end_to_end_at_last_has_its_middle_there(trained):
    """Bilinear attention: 6 epochs on the fixed encoders, then 2 of everything, of which the first is half."""
    result = trained("intermediate-sanet-bilinear")

    assert (result.best_epoch, result.stages.middle_epoch) == (1, 0)
    assert not np.array_equal(result.stages.middle, result.stages.end)


@pytest.mark.parametrize("model", ["xgboost", TREES])
def test_trees_have_no_stages(trained, model):
    assert trained(model).stages is None


@pytest.fixture(scope="module")
def run(cohort, tmp_path_factory):
    config = settings("models=[tabnet]", "seeds=[1, 0]")
    return compare(cohort, out=tmp_path_factory.mktemp("runs") / "run", config=config).folder


def test_one_cell_a_model_is_followed_and_gathered(run):
    """That of the first seed as it is given, here 1, and of the first fold."""
    arrays = np.load(run / "embeddings" / "tabnet.npz", allow_pickle=False)
    own = (arrays["seed"] == 1) & (arrays["fold"] == 0)

    assert [path.parent.name for path in run.glob("cells/*/stages.safetensors")] == ["tabnet-seed1-fold0"]
    assert (arrays["seed"][0], arrays["fold"][0]) == (1, 0)
    for stage in ("start", "middle", "end"):
        assert arrays[f"{stage}_study_id"].tolist() == arrays["study_id"][own].tolist()
        assert arrays[f"{stage}_embedding"].shape == (own.sum(), 8)
    np.testing.assert_array_equal(arrays["end_embedding"], arrays["embedding"][own])
    assert arrays["middle_epoch"] == 3


def test_a_cell_of_before_that_lacks_them_is_not_trained_again(run, cohort, tmp_path):
    """Such a cell has no such file, nor does it list one. Only its embeddings are then gathered."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    for path in folder.glob("cells/*/stages.safetensors"):
        path.unlink()
        manifest = path.with_name("manifest.json")
        content = json.loads(manifest.read_text())
        del content["files"]["stages.safetensors"]
        manifest.write_text(json.dumps(content))
    before = {path: path.stat().st_mtime_ns for path in folder.glob("cells/*/*")}
    compare(cohort, out=folder, config=resolve_config(file=folder / "config.yaml"))

    assert {path: path.stat().st_mtime_ns for path in folder.glob("cells/*/*")} == before
    names = np.load(folder / "embeddings" / "tabnet.npz", allow_pickle=False).files
    assert sorted(names) == ["embedding", "fold", "seed", "split", "study_id"]


def test_a_cell_without_a_middle_is_gathered_without_one(trained, tmp_path):
    result = trained("tabnet", "tabnet.loop.learning_rate=1.0e-5", "tabnet.loop.epochs=1")
    key, store = CellKey(model="tabnet", seed=0, fold=0), CellStore(tmp_path)
    store.save(key, result, cell_digest="", seconds=0)
    write_embeddings(tmp_path, [key])
    names = np.load(tmp_path / "embeddings" / "tabnet.npz", allow_pickle=False).files

    assert {"start_embedding", "end_embedding"} <= set(names)
    assert not {"middle_embedding", "middle_study_id", "middle_epoch"} & set(names)
