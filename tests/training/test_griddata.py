"""What a cell starts from, and that out-of-fold risks come from models that did not see the case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from pefuse.errors import RunError
from pefuse.models.zoo import model_row
from pefuse.training import resolve_config
from pefuse.training.cells import CellKey
from pefuse.training.griddata import Digests, GridData, cell_needs, with_cell_needs
from pefuse.training.recipes.late import _out_of_fold
from pefuse.types import Fold

STUDIES = [f"S{number:02d}" for number in range(24)]
LATE = CellKey(model="late-tabnet", seed=0, fold=0)


def grid(folds: int, *settings: str) -> GridData:
    """24 studies of 12 patients, every third of whom dies; the last six studies are the test."""
    patients = pd.Series([number // 2 for number in range(24)], index=STUDIES)
    labels = (patients % 3 == 0).astype(float)
    rest = STUDIES[:18]
    size = 18 // max(folds, 3)
    split = [
        Fold(
            index=k,
            train=tuple(s for s in rest if s not in rest[k * size : (k + 1) * size]),
            validation=tuple(rest[k * size : (k + 1) * size]),
            test=tuple(STUDIES[18:]),
        )
        for k in range(folds)
    ]
    return GridData(
        run=Path("run"),
        config=resolve_config("demo", overrides=settings),
        folds=tuple(split),
        labels=labels,
        patients=patients,
        record=None,
        scans=None,
        scores=None,
        fingerprint="",
    )


@pytest.mark.parametrize(
    ("data", "nested"), [(grid(3), False), (grid(1), True), (grid(3, "late.nested=true"), True)]
)
def test_out_of_fold_risks_cover_the_training_part_and_no_model_saw_its_case(data, nested):
    cells = data.out_of_fold(LATE, "sanet")
    judged: list[str] = []
    for cell in cells:
        fold = data.fold(cell)
        held_out = fold.validation if cell.part < 0 else fold.test
        assert cell.model == "sanet"
        assert (cell.part >= 0) == nested
        assert not set(held_out) & set(fold.train)
        # Nor another study of the same patient.
        assert not set(data.patients[list(held_out)]) & set(data.patients[list(fold.train)])
        judged += [study for study in held_out if study in data.fold(LATE).train]

    assert sorted(judged) == sorted(data.fold(LATE).train)


def test_a_nested_part_sees_nothing_but_its_own_fold_s_training_part():
    """And is stopped by the fold's own validation part, which the late fusion is not trained on."""
    data = grid(3, "late.nested=true")
    own = data.fold(LATE)
    for cell in data.out_of_fold(LATE, "sanet"):
        part = data.fold(cell)
        assert set(part.train) | set(part.test) == set(own.train)
        assert part.validation == own.validation


def test_where_the_training_part_cannot_be_split_again_only_the_late_fusion_is_lost():
    """One patient to train on died: the plan stands, with no cell to learn from out of fold."""
    data = grid(1)
    data = replace(data, labels=(data.patients == 3).astype(float))

    assert data.out_of_fold(LATE, "sanet") == ()
    assert cell_needs(LATE, data) == {replace(LATE, model="sanet"), replace(LATE, model="tabnet")}
    assert Digests(data)(LATE)
    with pytest.raises(RunError, match="single training patient has the rarer outcome"):
        _out_of_fold(model_row("late-tabnet"), SimpleNamespace(out_of_fold={"sanet": (), "tabnet": ()}), ())


def test_there_are_no_more_nested_parts_than_patients_who_died():
    """Of the six patients to train on two die, so each of two parts has one."""
    data = grid(1)
    assert [cell.part for cell in data.out_of_fold(LATE, "tabnet")] == [0, 1]
    for cell in data.out_of_fold(LATE, "tabnet"):
        assert data.patients[list(data.fold(cell).test)][data.labels == 1].nunique() == 1


def test_needs_come_first_and_each_once():
    data = grid(3)
    keys = with_cell_needs([LATE, replace(LATE, model="mbt")], data)

    assert len(keys) == len(set(keys))
    for place, key in enumerate(keys):
        assert cell_needs(key, data) <= set(keys[:place])
    assert {key.model for key in keys} == {"sanet", "tabnet", "swin", "late-tabnet", "mbt"}


def test_only_stacked_models_need_other_folds():
    data = grid(3)
    assert {key.fold for key in cell_needs(LATE, data)} == {0, 1, 2}
    assert {key.fold for key in cell_needs(replace(LATE, model="late-average"), data)} == {0}


@pytest.mark.parametrize(
    ("setting", "changed"),
    [
        ("sanet.loop.epochs=3", {"sanet", "late-tabnet", "intermediate-sanet", "intermediate-sanet-fc"}),
        ("swin.loop.epochs=3", {"swin", "mbt"}),
        ("mbt.loop.epochs=3", {"mbt"}),
        ("late.loop.epochs=3", {"late-tabnet"}),
        ("fusion.encoder_rate=0.5", {"intermediate-sanet", "intermediate-sanet-fc"}),
        (
            "scan.window_hu=[-100, 400]",
            {"sanet", "swin", "late-tabnet", "mbt", "intermediate-sanet", "intermediate-sanet-fc"},
        ),
        ("score_missing=refuse", {"pesi"}),
    ],
)
def test_a_setting_changes_the_digests_of_what_hangs_on_it(setting, changed):
    models = [
        "pesi",
        "tabnet",
        "sanet",
        "swin",
        "late-tabnet",
        "mbt",
        "intermediate-sanet",
        "intermediate-sanet-fc",
    ]
    before, after = Digests(grid(3)), Digests(grid(3, setting))
    keys = [replace(LATE, model=model) for model in models]

    assert {key.model for key in keys if before(key) != after(key)} == changed
    assert len({before(key) for key in keys}) == len(keys)
