"""The grid of a run: in which order cells are trained, and what a failed one costs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pefuse import workers
from pefuse.errors import StorageError
from pefuse.models.zoo import with_needs
from pefuse.training import resolve_config
from pefuse.training.cells import CellKey
from pefuse.training.failures import not_trained_error, trained_rows, write_failed
from pefuse.training.grid import FailedCell, run_cells
from pefuse.training.griddata import GridData
from pefuse.types import Fold
from pefuse.workers import WorkerDiedError

MODELS = ("pesi", "late-average", "intermediate-sanet")  # they bring sanet and tabnet with them


def grid(folder: Path, folds: int = 2) -> tuple[list[CellKey], GridData]:
    data = GridData(
        run=folder,
        config=resolve_config("demo"),
        folds=tuple(Fold(index=k, train=("a",), validation=("b",), test=("c",)) for k in range(folds)),
        labels=pd.Series(dtype=float),
        patients=pd.Series(dtype=int),
        record=None,
        scans=None,
        scores=None,
        fingerprint="",
    )
    keys = [CellKey(model=row.name, seed=0, fold=k) for k in range(folds) for row in with_needs(MODELS)]
    return keys, data


@pytest.fixture
def trained(monkeypatch):
    """The cells that were asked for, in order; `answers` says what the workers answer, an exception is raised."""
    asked: list[CellKey] = []
    answers: dict[str, object] = {}

    def do(self, task):
        asked.append(task.key)
        answer = answers.get(task.key.model, {"error": "", "details": ""})
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(workers.Worker, "do", do)
    return asked, answers


def test_a_cell_is_trained_after_all_that_it_starts_from(trained, tmp_path):
    asked, _ = trained
    keys, data = grid(tmp_path)
    calls = []
    assert run_cells(keys, data, progress=lambda *call: calls.append(call)) == ()

    assert sorted(asked) == sorted(keys)
    for fold in (0, 1):
        order = [key.model for key in asked if key.fold == fold]
        for need in ("sanet", "tabnet"):
            assert order.index(need) < min(order.index("late-average"), order.index("intermediate-sanet"))
    assert calls[0] == ("models", 0, len(keys))
    assert calls[-1] == ("models", len(keys), len(keys))


@pytest.mark.parametrize("how", ["an error", "a death"])
def test_what_starts_from_a_failed_cell_is_not_tried_and_the_cause_is_told(trained, tmp_path, how):
    asked, answers = trained
    error = {"error": "Of 9 train studies, 0 have a usable scan.", "details": "Traceback: here"}
    answers["sanet"] = error if how == "an error" else WorkerDiedError()
    keys, data = grid(tmp_path)
    failed = run_cells(keys, data)

    assert {key.model for key in asked} == {"pesi", "sanet", "tabnet"}
    assert [str(failure.key) for failure in sorted(failed, key=lambda f: f.key)] == [
        "sanet-seed0-fold0",
        "sanet-seed0-fold1",
    ]
    expected = "0 have a usable scan" if how == "an error" else "died, most likely for want of memory"
    assert all(expected in failure.error for failure in failed)


def test_a_full_disk_stops_all(trained, tmp_path):
    asked, answers = trained
    answers["tabnet"] = StorageError("The disk is full.")
    keys, data = grid(tmp_path)
    with pytest.raises(StorageError, match="disk is full"):
        run_cells(keys, data)
    assert not {"late-average", "intermediate-sanet"} & {key.model for key in asked}


def test_models_that_start_from_a_failed_one_are_named_as_lost_with_it(tmp_path):
    rows = with_needs(MODELS)
    failed = [FailedCell(key=CellKey(model="sanet", seed=0, fold=1), error="No scans", details="line 7")]
    write_failed(tmp_path, rows, failed)
    error = not_trained_error(RuntimeError, rows, failed)  # type: ignore[type-var]

    assert [row.name for row in trained_rows(rows, failed)] == ["pesi", "tabnet"]
    assert (tmp_path / "failed.csv").read_text().splitlines() == [
        "model,seed,fold,reason",
        "sanet,0,1,No scans",
        "late-average,,,It starts from sanet.",
        "intermediate-sanet,,,It starts from sanet.",
    ]
    assert str(error).startswith("3 of 5 models could not be trained, the others are reported. sanet, fold 1: No")
    assert str(error.__cause__) == "line 7"
