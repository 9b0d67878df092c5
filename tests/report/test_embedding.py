"""The section of embeddings: what is read, what is drawn, and what is said where something is missing or odd."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from pefuse.errors import RunError
from pefuse.models.zoo import ZOO, model_row
from pefuse.report.aggregation import collect_scores
from pefuse.report.embedding import STAGES, encoder_names, followed_models, read_followed
from pefuse.report.page import build_page
from pefuse.report.run_folder import read_run
from pefuse.report.sections import Material, embedding
from pefuse.report.summarise import summarise_scores

NETWORKS = {"tabnet": 1.6, "sanet": 1.3, "intermediate-sanet": 2.6}
WIDTH = 4


def write_embeddings(folder, models=NETWORKS, *, stages=STAGES, apart=0.0, spoil=None):
    """Noise for every study, plus `apart` in each number of those who died; more of it at each stage."""
    table = pd.read_csv(folder / "predictions.csv", dtype={"study_id": str})
    for model in models:
        own = table[table["model"] == model]
        random = np.random.default_rng(len(model))
        first = ((own["seed"] == own["seed"].iloc[0]) & (own["fold"] == own["fold"].iloc[0])).to_numpy()
        noise = random.normal(size=(len(own), WIDTH)).astype(np.float32)
        arrays = {name: own[name].to_numpy(str) for name in ("study_id", "split")}
        arrays |= {name: own[name].to_numpy(np.int64) for name in ("seed", "fold")}
        arrays["embedding"] = noise + np.float32(apart) * own["label"].to_numpy(np.float32)[:, None]
        for part, stage in enumerate(STAGES):
            if stage in stages:
                grown = np.float32(apart * part / 2) * own["label"].to_numpy(np.float32)[first, None]
                arrays[f"{stage}_study_id"] = arrays["study_id"][first]
                arrays[f"{stage}_embedding"] = noise[first] + grown
        if "middle" in stages:
            arrays["middle_epoch"] = np.array(3)
        if spoil:
            spoil(arrays)
        (folder / "embeddings").mkdir(exist_ok=True)
        np.savez_compressed(folder / "embeddings" / f"{model}.npz", **arrays)


def material_of(folder):
    run = read_run(folder)
    results = summarise_scores(run, inputs="")
    return Material(run=run, results=results, scores=tuple(collect_scores(run)), folder=folder)


def shown(folder):
    """The section's content, and its text as it is read."""
    material = material_of(folder)
    html = build_page(material, sections=[embedding.SECTION]).html
    body = html.split("<main>")[1].split("<footer>")[0] if "<main>" in html else ""
    words = re.sub(r"<svg.*?</svg>", " ", body, flags=re.DOTALL)
    return embedding.SECTION.build(material), re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", words))


@pytest.fixture(scope="module")
def apart(make_run):
    folder = make_run(models=NETWORKS, development=60, test=40, folds=2)
    write_embeddings(folder, apart=8.0)
    return folder


@pytest.fixture(scope="module")
def told(apart):
    return shown(apart)


def test_three_networks_and_three_stages_are_drawn_with_every_point_in_the_csv(told):
    """40 test and 60 other studies, 3 networks, 3 stages: 900 points, training first in no panel."""
    content, _ = told
    (plot,) = content.plots
    numbers = plot.numbers

    assert list(numbers.columns) == ["model", "stage", "study_id", "split", "label", "x", "y"]
    assert numbers.groupby(["model", "stage"]).size().to_dict() == {
        (model, stage): 100 for model in NETWORKS for stage in STAGES
    }
    assert (numbers["split"] == "test").sum() == 9 * 40
    assert numbers[["x", "y"]].notna().all().all()
    for words in ("SANet (scan)", "TabNet (record)", "Intermediate SANet", "Start", "Middle", "End", "died, test"):
        assert words in plot.svg


def test_the_silhouette_of_the_test_studies_stands_beside_what_chance_gives(told):
    """No distance at the start, a large one at the end: 8 in each of 4 numbers against noise of 1."""
    content, words = told
    rows = {(row["model"], row["stage"]): row["silhouette"] for row in content.context["rows"]}

    assert abs(rows["SANet (scan)", "start"].value) < 0.2
    assert rows["SANet (scan)", "end"].value > 0.7 > rows["SANet (scan)", "end"].chance_high
    assert content.context["apart"] == ["SANet (scan)", "TabNet (record)", "Intermediate SANet"]
    assert "lie further apart than chance gives in SANet (scan), TabNet (record), Intermediate SANet" in words
    assert "With 5 test studies of patients who died this is weak" in words


def test_it_says_what_cannot_be_read_from_it_and_how_it_was_made(told):
    _, words = told

    for part in ("perplexity 30", "100 studies a panel", "seed 0, fold 0", "pure noise", "axes mean nothing"):
        assert part in words
    assert "not between the points of the figure, and on test studies alone" in words
    assert "before training" in words
    assert "after 4 epochs" in words
    assert "fresh, on trained encoders" in words


def test_the_end_is_the_epoch_that_was_kept(apart):
    """`best_epoch` counts from 0."""
    best = json.loads((apart / "cells" / "sanet-seed0-fold0" / "manifest.json").read_text())["best_epoch"]
    followed = read_followed(read_run(apart), apart, "sanet")

    assert [stage.epochs for stage in followed.stages] == [0, 4, best + 1]


def test_the_same_run_gives_the_same_bytes(told, apart):
    assert shown(apart)[0].plots[0].svg == told[0].plots[0].svg


def test_outcomes_that_are_not_apart_are_said_not_to_be(make_run):
    folder = make_run(models={"sanet": 1.3}, development=60, test=60, mortality=0.3)
    write_embeddings(folder, ["sanet"])
    content, words = shown(folder)

    assert content.context["apart"] == []
    assert "no further apart than chance gives, in any of these networks" in words
    assert "this is weak" not in words  # 60 x 0.3 x 1.3 = 23 deaths


def test_an_old_run_shows_the_end_only_and_says_so(make_run):
    folder = make_run(models={"sanet": 1.3}, development=40, test=20)
    write_embeddings(folder, ["sanet"], stages=())
    content, words = shown(folder)

    assert set(content.plots[0].numbers["stage"]) == {"end"}
    assert "SANet (scan): only the end is known" in words
    assert "Start" not in content.plots[0].svg


def test_a_training_whose_first_epoch_was_the_best_has_no_middle(make_run):
    folder = make_run(models={"sanet": 1.3}, development=40, test=20)
    write_embeddings(folder, ["sanet"], stages=("start", "end"))
    content, words = shown(folder)

    assert set(content.plots[0].numbers["stage"]) == {"start", "end"}
    assert "the first epoch was the best one, so there is no middle" in words


def test_a_run_without_networks_has_no_such_section(make_run):
    material = material_of(make_run(bare=True, models={"xgboost": 1.8, "late-average": 2.0}))

    assert embedding.SECTION.build(material) is None


def test_embeddings_that_are_missing_are_told_and_the_others_are_shown(make_run):
    folder = make_run(models=NETWORKS, development=40, test=20)
    write_embeddings(folder, ["tabnet"])
    content, words = shown(folder)

    assert set(content.plots[0].numbers["model"]) == {"tabnet"}
    assert "The run holds no embeddings of SANet (scan)." in words
    assert "The run holds no embeddings of Intermediate SANet." in words


def test_without_any_embeddings_only_that_is_said(make_run):
    content, words = shown(make_run(bare=True, models={"sanet": 1.3}))

    assert content.plots == ()
    assert "The run holds no embeddings of SANet (scan)." in words
    assert "Silhouette" not in words


@pytest.mark.parametrize("count", [7, 2000])
def test_a_damaged_file_is_told_without_a_path(apart, tmp_path, count):
    """Cut at its head, and in its midst."""
    run = read_run(apart)
    (tmp_path / "embeddings").mkdir()
    whole = (apart / "embeddings" / "sanet.npz").read_bytes()
    (tmp_path / "embeddings" / "sanet.npz").write_bytes(whole[:count])

    with pytest.raises(RunError, match=r"^The embeddings of SANet \(scan\) are damaged: run `compare` again\.$"):
        read_followed(run, tmp_path, "sanet")


def drop(name):
    return lambda arrays: arrays.pop(name)


def change(name, to):
    return lambda arrays: arrays.update({name: to(arrays[name])})


@pytest.mark.parametrize(
    "spoil",
    [
        drop("seed"),
        drop("split"),
        change("seed", lambda values: values[:0]),
        change("start_embedding", lambda values: values[:-1]),
        change("end_embedding", lambda values: values.ravel()),
        change("end_embedding", lambda values: values[:, :0]),
        change("end_embedding", lambda values: values.astype(str) + "x"),
        change("start_study_id", lambda values: values.astype(object)),
        change("split", lambda values: values[:-1]),
        change("middle_epoch", lambda _: np.array("three")),
    ],
)
def test_arrays_that_do_not_fit_are_told_and_the_rest_is_shown(make_run, spoil):
    folder = make_run(models={"sanet": 1.3, "tabnet": 1.6}, development=40, test=20)
    write_embeddings(folder, ["tabnet"])
    write_embeddings(folder, ["sanet"], spoil=spoil)
    content, words = shown(folder)

    assert set(content.plots[0].numbers["model"]) == {"tabnet"}
    assert "The embeddings of SANet (scan) are damaged" in words


def test_vectors_that_are_no_numbers_are_left_out_and_counted(make_run):
    def spoil(arrays):
        arrays["end_embedding"][3, 1] = np.nan
        arrays["end_embedding"][5] = np.inf

    folder = make_run(models={"sanet": 1.3}, development=40, test=20)
    write_embeddings(folder, ["sanet"], spoil=spoil)
    content, words = shown(folder)
    counts = content.plots[0].numbers.groupby("stage").size()

    assert counts.to_dict() == {"start": 60, "middle": 60, "end": 58}
    assert "SANet (scan), end: 2 studies" in words
    assert "58 to 60 studies a panel" in words


def test_all_of_them_no_numbers_leaves_nothing_to_draw(make_run):
    def spoil(arrays):
        for stage in STAGES:
            arrays[f"{stage}_embedding"][:] = np.nan

    folder = make_run(models={"sanet": 1.3}, development=40, test=20)
    write_embeddings(folder, ["sanet"], spoil=spoil)
    content, words = shown(folder)

    assert content.plots == ()
    assert "cannot be told" in words


def test_studies_that_the_predictions_do_not_know_are_left_out(make_run):
    folder = make_run(models={"sanet": 1.3}, development=40, test=20)
    renamed = change("start_study_id", lambda ids: np.where(ids == ids[0], "X", ids))
    write_embeddings(folder, ["sanet"], spoil=renamed)
    content, _ = shown(folder)

    assert "X" not in set(content.plots[0].numbers["study_id"])
    assert content.plots[0].numbers.groupby("stage").size()["start"] == 59


def test_embeddings_that_are_all_the_same_are_told_in_their_panel(make_run):
    """A network that has collapsed."""
    folder = make_run(models={"sanet": 1.3}, development=40, test=20)
    write_embeddings(folder, ["sanet"], spoil=change("end_embedding", np.ones_like))
    content, _ = shown(folder)
    end = next(row for row in content.context["rows"] if row["stage"] == "end")

    assert set(content.plots[0].numbers["stage"]) == {"start", "middle"}
    assert "have the same" in content.plots[0].svg
    assert (end["silhouette"].value, end["silhouette"].p_value) == (0, 1)


def test_one_outcome_in_the_test_has_a_picture_and_no_silhouette(make_run):
    folder = make_run(models={"sanet": 1.3}, development=40, test=20)
    table = pd.read_csv(folder / "predictions.csv", dtype={"study_id": str})
    table.loc[table["split"] == "test", "label"] = 0
    table.to_csv(folder / "predictions.csv", index=False)
    write_embeddings(folder, ["sanet"])
    content, words = shown(folder)

    assert len(content.plots) == 1
    assert "silhouette cannot be told" in content.plots[0].svg
    assert "cannot be told: the test studies shown are too few or of one outcome" in words
    assert "At the end" not in words


def test_two_studies_are_too_few_to_draw_or_to_judge(make_run):
    def spoil(arrays):
        for stage in STAGES:
            test = np.flatnonzero(np.isin(arrays[f"{stage}_study_id"], ["S0040", "S0059"]))
            for part in ("study_id", "embedding"):
                arrays[f"{stage}_{part}"] = arrays[f"{stage}_{part}"][test]

    folder = make_run(models={"sanet": 1.3}, development=40, test=20)
    write_embeddings(folder, ["sanet"], spoil=spoil)
    content, words = shown(folder)

    assert content.plots == ()
    assert words.count("cannot be told") == 3


FUSIONS = [name for name, row in ZOO.items() if row.kind == "fusion"]
VARIANTS = [
    f"{name}{suffix}" for name in FUSIONS if name != "mbt" for suffix in ("-nmf", "-fc-dim256", "-dim1024")
]


@pytest.mark.parametrize("fusion", [*FUSIONS, *VARIANTS])
def test_encoders_are_those_that_a_fusion_starts_from(fusion):
    """As training has it; the report may not ask it."""
    assert encoder_names(fusion) == model_row(fusion).needs


@pytest.mark.parametrize(
    ("models", "reference", "expected"),
    [
        (["tabnet", "sanet", "swin", "early", "mbt"], "mbt", ["swin", "tabnet", "mbt"]),
        (["tabnet", "sanet", "early", "intermediate-sanet"], "xgboost", ["sanet", "tabnet", "intermediate-sanet"]),
        (["tabnet", "sanet", "swin", "early", "mbt"], None, ["sanet", "tabnet", "early"]),
        (["tabnet", "sanet", "late-average"], "late-average", ["sanet", "tabnet"]),
        (["tabnet", "swin", "sanet"], "tabnet", ["sanet", "tabnet"]),
        (["intermediate-sanet-xgboost", "sanet"], "intermediate-sanet-xgboost", ["sanet"]),
        (["xgboost", "pesi"], "xgboost", []),
    ],
)
def test_the_reference_and_its_encoders_are_chosen(models, reference, expected):
    assert followed_models(models, reference=reference) == expected
