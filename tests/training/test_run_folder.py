"""What a run says of its cohort: where studies fell out and why, and what was known of each before its scan."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pefuse.cohort import load_cohort
from pefuse.training import resolve_config
from pefuse.training.gather import gather
from pefuse.training.run_folder import write_cohort


@pytest.fixture(scope="module")
def cohort(toy_cohort):
    return load_cohort(toy_cohort)


def written(cohort, out: Path):
    config = resolve_config("demo", overrides=["folds=2", "models=[pesi, xgboost]"])
    data = gather(cohort, out=out, config=config, pretrained=None, prepared=lambda: None)
    out.mkdir(exist_ok=True)
    write_cohort(data, cohort)
    return data


def test_what_was_known_of_each_study_is_written_by_our_id_alone(cohort, tmp_path):
    """The latest heart rate of the record, a row for each study, no patient and no time."""
    data = written(cohort, tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "characteristics.csv", dtype={"study_id": str}).set_index("study_id")
    about = json.loads((tmp_path / "run" / "cohort.json").read_text())["characteristics"]
    rate = pd.Series(data.record.numbers(data.record.place("heart_rate")), index=data.record.study_ids)

    assert sorted(table.index) == sorted(cohort.studies.index)
    assert list(table.columns) == [one["name"] for one in about]
    assert {"cancer", "heart_rate", "systolic_bp"} <= set(table.columns)
    assert np.allclose(table["heart_rate"], rate.reindex(table.index), rtol=1e-5, equal_nan=True)
    assert next(one for one in about if one["name"] == "heart_rate") == {
        "name": "heart_rate",
        "label": "heart rate",
        "unit": "/min",
        "group": "Vital signs",
        "kind": "number",
    }


def test_the_flow_says_why_studies_fell_out(cohort, tmp_path):
    """Three studies without an outcome."""
    labels = cohort.studies["label"].copy()
    labels[cohort.studies.index[cohort.studies["year"] == cohort.studies["year"].min()][:3]] = np.nan
    censored = replace(cohort, studies=cohort.studies.assign(label=labels))

    written(censored, tmp_path / "run")
    flow = json.loads((tmp_path / "run" / "cohort.json").read_text())["flow"]

    assert flow[1]["left_out"] == 3
    assert flow[1]["reason"] == "neither dead nor followed to the horizon"
    assert "reason" not in flow[0]
    assert "reason" not in flow[2]
