"""What a run's explanations are made of: its main model, its test studies' risks, their scans and records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from scipy.special import logit

from pefuse.ct import PreparedScans, prepare
from pefuse.ehr import FeatureOptions, RawRecord, extract
from pefuse.errors import BundleError, RunError, UsageError
from pefuse.evaluation import mean_by_study
from pefuse.explain.branch import image_branch
from pefuse.explain.layers import chosen_layer
from pefuse.models.bundle import Bundle, load_bundle
from pefuse.types import Cohort, Progress

__all__ = ["Material", "gather"]

PREFERRED = ("intermediate-sanet", "intermediate-swin", "early", "mbt", "late-average", "sanet", "swin", "tabnet")
PROBES = 8  # test studies that are predicted again
SAME_LOGIT = 0.05  # the last digits differ between machines
SINGLE = {"ct": ("sanet", "swin"), "ehr": ("tabnet", "xgboost")}  # of each modality, the one to name first


@dataclass(frozen=True, kw_only=True)
class Material:
    """A model of a run and the test studies that it judged.

    `risks` is indexed by study_id, with label (0/1) and risk (the ensemble's). `alone`: by ct and ehr, risks of
    the run's single models. `others`: bundles of the record's single models. `scans` and `record` are None where
    the model reads none. `development`: studies that it learned from or was validated with.
    """

    cohort: Cohort
    bundle: Bundle
    others: tuple[Bundle, ...] = field(repr=False)
    risks: pd.DataFrame = field(repr=False)
    alone: Mapping[str, pd.Series[float]] = field(repr=False)
    scans: PreparedScans | None = field(repr=False)
    record: RawRecord | None = field(repr=False)
    development: tuple[str, ...] = field(repr=False)

    @property
    def threshold(self) -> float | None:
        """Above or at it a risk is called positive; None where validation could not tell."""
        youden = self.bundle.thresholds.get("youden")
        return None if youden is None else youden.value

    @property
    def truth(self) -> dict[str, Any] | None:
        """What a simulated cohort was drawn with; None of a real one."""
        path = self.cohort.folder / "truth.json"
        if not self.cohort.simulated or not path.is_file():
            return None
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def mask(self, study_id: str) -> Path | None:
        """The truth of a simulated scan; None where there is none."""
        path = self.cohort.folder / "truth" / f"{study_id}.nii.gz"
        return path if self.cohort.simulated and path.is_file() else None

    def affine(self, study_id: str) -> NDArray[np.float64]:
        """Of its scan on the model's grid: index (z, y, x, 1) to LPS mm."""
        assert self.scans is not None
        return np.array(self.scans.table.loc[study_id, "affine"], dtype=np.float64).reshape(4, 4)


def gather(
    run: Path, cohort: Cohort, *, model: str, layer: str, studies: Sequence[str], progress: Progress
) -> Material:
    """Read a run's model and bring the scans and records of its cohort to the form that it takes.

    Args:
        model: its name in the run; "" = the paper's full model, or the first of the others that is there.
        layer, studies: what will be asked of it, so that a slip is told before the scans are prepared.

    Raises:
        RunError: the folder is no finished run, is of another cohort, or has no test study to explain.
        UsageError: it has no such bundle, or none at all; or no such layer or test study.
        BundleError: the model's bundle is damaged.
    """
    predictions = _predictions(run)
    _check_cohort(predictions, cohort)
    name = _chosen(run, model)
    bundle = load_bundle(run / "bundles" / name)
    others = tuple(_others(run, name, predictions))
    risks = _risks(predictions, name)
    if unknown := [one for one in studies if one not in risks.index]:
        raise UsageError(f"{unknown[0]} is no test study that {name} judged: name one that is.")
    if bundle.grid is not None:
        chosen_layer(image_branch(bundle.members[0].model).network, (bundle.grid,) * 3, layer)
    scans = None
    if bundle.needs_scan:
        assert bundle.grid is not None
        scans = prepare(cohort, grid=bundle.grid, field_of_view=bundle.field_of_view, progress=progress)
    record = None
    if any(one.needs_record for one in (bundle, *others)):
        record = extract(cohort, options=_feature_options(run))
    if scans is not None:
        risks = risks[risks.index.isin(scans.available)]
    if risks.empty:
        raise RunError(f"The run has no test study of {name} whose scan is at hand: there is nothing to explain.")
    _check_risks(bundle, risks, scans, record)
    learned = predictions[(predictions["model"] == name) & (predictions["split"] != "test")]["study_id"].unique()
    at_hand = set(scans.available) if scans is not None else set(map(str, cohort.studies.index))
    return Material(
        cohort=cohort,
        bundle=bundle,
        others=others,
        risks=risks,
        alone=_alone(predictions),
        scans=scans,
        record=record,
        development=tuple(study_id for study_id in map(str, learned) if study_id in at_hand),
    )


def _predictions(run: Path) -> pd.DataFrame:
    path = run / "predictions.csv"
    if not path.is_file():
        raise RunError("The folder has no predictions.csv: name the folder of a finished run.")
    table = pd.read_csv(path, dtype={"study_id": str, "model": str})
    if missing := {"study_id", "model", "split", "label", "risk"} - set(table.columns):
        raise RunError(
            f'predictions.csv of the run lacks the column "{min(missing)}": run `pefuse compare` again.'
        )
    return table[table["label"].notna()]


def _check_cohort(predictions: pd.DataFrame, cohort: Cohort) -> None:
    known = set(map(str, cohort.studies.index))
    if missing := sorted(set(predictions["study_id"]) - known):
        raise RunError(
            f"The run has {len(missing)} studies that the cohort does not have, {missing[0]} among them: name the "
            "cohort that it was trained on."
        )


def _check_risks(
    bundle: Bundle, risks: pd.DataFrame, scans: PreparedScans | None, record: RawRecord | None
) -> None:
    """The model must say of some test studies what it said in the run: ids alone may be other patients' too."""
    some = [str(study_id) for study_id in risks.index[:: max(1, len(risks) // PROBES)][:PROBES]]
    now = bundle.predict(some, scans=scans, record=record).ensemble["risk"]
    apart = (_logit(now) - _logit(risks.loc[some, "risk"])).abs()
    if apart.max() > SAME_LOGIT:
        raise RunError(
            f"Of study {apart.idxmax()} the model gives another risk than in the run: the cohort, its scans or "
            "its records are not those that the run was made of. Name the right cohort, or compare this one again."
        )


def _logit(risk: pd.Series[float]) -> pd.Series[float]:
    clipped = risk.clip(1e-9, 1 - 1e-9)
    return pd.Series(logit(clipped), index=risk.index)


def _chosen(run: Path, wanted: str) -> str:
    there = [file.parent.name for file in sorted(run.glob("bundles/*/bundle.json"))]
    if wanted and wanted not in there:
        raise UsageError(f"The run has no bundle of {wanted}: there are {', '.join(there) or 'none'}.")
    if not there:
        raise UsageError("The run has no bundles, so there is no model to explain: run `pefuse compare` again.")
    return wanted or next((name for name in PREFERRED if name in there), there[0])


def _others(run: Path, name: str, predictions: pd.DataFrame) -> list[Bundle]:
    """Single models of the record; of one whose bundle is damaged the report tells."""
    found = []
    for single in SINGLE["ehr"]:
        if single != name and single in set(predictions["model"]):
            try:
                found.append(load_bundle(run / "bundles" / single))
            except (BundleError, UsageError):
                continue
    return found


def _feature_options(run: Path) -> FeatureOptions:
    try:
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        return TypeAdapter(FeatureOptions).validate_python(config.get("features") or {})
    except (OSError, yaml.YAMLError, AttributeError, ValidationError) as error:
        raise RunError("config.yaml of the run cannot be read: run `pefuse compare` again.") from error


def _risks(predictions: pd.DataFrame, name: str) -> pd.DataFrame:
    rows = predictions[(predictions["model"] == name) & (predictions["split"] == "test")]
    return mean_by_study(rows, "risk").dropna()


def _alone(predictions: pd.DataFrame) -> dict[str, pd.Series[float]]:
    there = set(predictions["model"])
    return {
        seen: _risks(predictions, next(single for single in singles if single in there))["risk"]
        for seen, singles in SINGLE.items()
        if there & set(singles)
    }
