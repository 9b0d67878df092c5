"""What docs/add-a-model.md says, done word by word: its file and its line are added, the new model is trained."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "add-a-model.md"
SMALL = [
    "folds=2",
    "scan.grid=32",
    "sanet.network.stem_channels=4",
    "sanet.network.growth=2",
    "sanet.network.blocks=[1,1,1]",
    "sanet.loop.epochs=1",
    "tabnet.loop.epochs=2",
    "fusion.loop.epochs=5",
    "fusion.network.fitted.components=2",
]


@pytest.fixture
def package(tmp_path) -> Path:
    """A copy of the sources with the document's two changes."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    file, line = re.findall(
        r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    models = tmp_path / "src" / "pefuse" / "models"
    (models / "gated.py").write_text(file, encoding="utf-8")
    zoo = (models / "zoo.py").read_text(encoding="utf-8")
    last = '        Row(name="mbt",'
    assert zoo.count(last) == 1
    zoo = zoo.replace(last, f"        {line.strip()},\n{last}")
    zoo = zoo.replace(
        "from pefuse.models.fusion.vectors",
        "from pefuse.models.gated import GatedFusion\nfrom pefuse.models.fusion.vectors",
    )
    (models / "zoo.py").write_text(zoo, encoding="utf-8")
    return tmp_path / "src"


def run(package: Path, *words: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pefuse", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_new_model_has_its_row_its_options_and_its_bundle(package, toy_cohort, tmp_path):
    settings = [word for setting in SMALL for word in ("--set", setting)]
    common = ("compare", toy_cohort, "--out", tmp_path / "run", "--preset", "demo")
    models = ("--models", "sanet,tabnet,intermediate-sanet,gated")
    done = run(package, *common, *models, *settings)
    assert done.returncode == 0, done.stderr

    table = pd.read_csv(tmp_path / "run" / "tables" / "table1.csv").set_index("model")
    assert table["auc"].between(0, 1)["gated"]
    assert "gated" in pd.read_csv(tmp_path / "run" / "tables" / "repeats.csv")["model"].tolist()
    assert (tmp_path / "run" / "bundles" / "gated" / "bundle.json").is_file()

    # The document's second command: only the new model is trained again.
    cells = {
        path.parent.name: path.stat().st_mtime_ns for path in (tmp_path / "run" / "cells").glob("*/manifest.json")
    }
    done = run(package, *common, *models, *settings, "--set", "options.gated.dim=4")
    assert done.returncode == 0, done.stderr
    changed = {
        name
        for name, time in cells.items()
        if (tmp_path / "run/cells" / name / "manifest.json").stat().st_mtime_ns != time
    }
    assert changed == {"gated-seed0-fold0", "gated-seed0-fold1"}

    done = run(package, *common, *models, *settings, "--set", "options.gated.dimm=4")
    assert done.returncode == 1
    assert "dimm" in done.stderr
