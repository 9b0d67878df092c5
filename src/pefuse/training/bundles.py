"""The bundles of a run: from the finished cells of each trained model to `bundles/<model>/`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.ehr import FeaturePreparation
from pefuse.errors import BundleError, UsageError
from pefuse.evaluation import mean_by_study, validation_threshold
from pefuse.models.boosting import BoostedTreesConfig
from pefuse.models.bundle import (
    About,
    Calibration,
    Feature,
    FusionModel,
    LateModel,
    Member,
    RecordModel,
    RecordPart,
    ScanModel,
    ScanPart,
    Threshold,
    TrainingCohort,
    TreesModel,
    read_about,
    save_bundle,
)
from pefuse.models.bundle.members import Model
from pefuse.models.fusion import VectorFusion
from pefuse.models.late import (
    Combiner,
    MajorityVote,
    StackedTabNet,
    StackedTrees,
    StackingInputs,
    WeightedAverage,
)
from pefuse.models.restore import restore_fusion, restore_image_encoder, restore_tabnet
from pefuse.models.scan_normalisation import ScanNormalisation
from pefuse.models.zoo import Kind, Row, model_row
from pefuse.training.cells import CellKey, CellStore, digest
from pefuse.training.griddata import Digests, GridData, settings_of
from pefuse.training.summary import counts
from pefuse.types import Cohort

__all__ = ["drop_bundles", "write_bundles"]


def write_bundles(
    data: GridData, cohort: Cohort, rows: Sequence[Row], predictions: pd.DataFrame
) -> dict[str, BundleError]:
    """Write the bundle of every trained model; one that is there already and made from the same is left alone.

    Args:
        data: of the finished run.
        rows: the models of the run; clinical scores have no bundle.
        predictions: `predictions.csv`, read as the report reads it, so that thresholds are the same to the bit.

    Returns:
        The models whose bundle cannot be written, with the reason.

    Raises:
        StorageError: the disk is full.
    """
    lost: dict[str, BundleError] = {}
    for row in rows:
        if row.kind != "score":
            try:
                _write(row, data, cohort, predictions[predictions["model"] == row.name])
            except BundleError as error:
                lost[row.name] = error
    return lost


def drop_bundles(run: Path, rows: Sequence[Row]) -> None:
    """Take away the bundles of models that could not be trained: those that are there are of other settings."""
    for row in rows:
        shutil.rmtree(run / "bundles" / row.name, ignore_errors=True)


def _write(row: Row, data: GridData, cohort: Cohort, predictions: pd.DataFrame) -> None:
    store = CellStore(data.run)
    keys = [CellKey(model=row.name, seed=seed, fold=f.index) for seed in data.config.seeds for f in data.folds]
    about = _about(row, keys, store, data, cohort, predictions)
    folder = data.run / "bundles" / row.name
    if _is_there(folder, about.inputs):
        return
    shutil.rmtree(folder, ignore_errors=True)
    save_bundle(about, (_member(row, key, store) for key in keys), folder)


def _is_there(folder: Path, inputs: str) -> bool:
    try:
        return read_about(folder).inputs == inputs
    except (BundleError, UsageError):
        return False  # none yet, or damaged: it is written anew


# --- what a bundle says of itself


def _about(
    row: Row, keys: Sequence[CellKey], store: CellStore, data: GridData, cohort: Cohort, predictions: pd.DataFrame
) -> About:
    about = About(
        written_by=f"pefuse {version('pefuse')}",
        model=row.name,
        grid=data.config.scan.grid if row.scan else None,
        field_of_view=data.config.scan.field_of_view if row.scan else None,
        thresholds=_thresholds(predictions),
        calibration=_calibration(row, data),
        cohort=_training_cohort(row, data, cohort),
        features=_features(row, keys, store, data),
        config=_config(row, data),
        inputs="",
    )
    said = about.model_dump(mode="json", exclude={"inputs", "written_by"})
    cells = Digests(data)
    return about.model_copy(update={"inputs": digest(said, [cells(key) for key in keys])})


def _thresholds(predictions: pd.DataFrame) -> tuple[Threshold, ...]:
    """As in the report's Table 1."""
    rows = predictions[predictions["split"] == "validation"]
    value = validation_threshold(mean_by_study(rows.assign(score=rows["risk"]), "score"))
    chosen_on = (
        "Youden's threshold of the validation studies: each study's risk by the members that did not train on it, "
        "mean over seeds. It is applied to the ensemble's risk, which varies less than a single member's."
    )
    return () if value is None else (Threshold(name="youden", value=value, chosen_on=chosen_on),)


def _calibration(row: Row, data: GridData) -> Calibration:
    """What was really done; nothing is fitted for calibration yet."""
    method = (
        "Deaths count as much as survivors in training. So the logarithm of their weight, by default the "
        "survivors per death of the training fold, is taken off each member's logits: risks are at that fold's "
        "prevalence."
    )
    trees = _trees_config(row, data)
    if trees is not None and not trees.prior_correction:
        method = "None: deaths were weighted in training, and the weight was not taken out of the logits."
    if row.kind == "late" and not row.stacked:
        method += " That is done for each modality; what is made of their risks stays as it is."
    return Calibration(fitted=False, method=method + " Nothing was fitted to the validation studies for it.")


def _trees_config(row: Row, data: GridData) -> BoostedTreesConfig | None:
    """The settings of the trees that give the model's logit; None where no trees do."""
    if row.base == "late-xgboost":
        return data.config.late.trees
    if row.fusion is not None and issubclass(row.fusion, VectorFusion):
        network = data.config.fusion_network(row.name)
        return data.config.fusion.trees if getattr(network, "head", None) == "xgboost" else None
    return data.config.xgboost if row.kind == "trees" else None


def _training_cohort(row: Row, data: GridData, cohort: Cohort) -> TrainingCohort:
    """Train and validation studies of all folds that have what the model takes."""
    ids = {study_id for fold in data.folds for study_id in (*fold.train, *fold.validation)}
    if row.scan and data.scans is not None:
        ids &= set(data.scans.available)
    if row.record and data.record is not None:
        ids &= set(data.record.study_ids)
    studies = cohort.studies[cohort.studies.index.isin(ids)]
    return TrainingCohort(
        simulated=cohort.simulated,
        horizon_days=cohort.horizon_days,
        outcome=cohort.outcome,
        first_year=int(studies["year"].min()) if len(studies) else None,
        last_year=int(studies["year"].max()) if len(studies) else None,
        **counts(studies),
    )


def _features(row: Row, keys: Sequence[CellKey], store: CellStore, data: GridData) -> tuple[Feature, ...]:
    if not row.record or data.record is None:
        return ()
    preparations = [_preparation(_record_key(row, key), store) for key in keys]
    used = {column.key for preparation in preparations for column in preparation.columns}
    return tuple(
        Feature(key=column.key, name=column.name, family=column.family, kind=column.kind, unit=column.unit)
        for column in data.record.columns
        if column.key in used
    )


def _config(row: Row, data: GridData) -> dict[str, Any]:
    """The settings that decided the model and what it starts from."""
    settings = data.config.model_dump(mode="json")
    rows = [row, *(model_row(need) for need in row.needs)]
    names = {name for one in rows for name in settings_of(one)}
    names |= {"preset", "folds", "fold_seed", "seeds"}
    # How a record becomes features was decided before any cell learned, and a new patient's must become the same.
    names |= {"features"} if row.record else set()
    names |= {"options"} if row.base in data.config.options else set()
    return {name: value for name, value in settings.items() if name in names}


# --- its members


def _member(row: Row, key: CellKey, store: CellStore) -> Member:
    return Member(seed=key.seed, fold=key.fold, model=_MODELS[row.kind](row, key, store))


def _trees(row: Row, key: CellKey, store: CellStore) -> TreesModel:
    return TreesModel(trees=store.trees(key), preparation=_preparation(key, store))


def _scan(row: Row, key: CellKey, store: CellStore) -> ScanModel:
    saved = _Saved.of(key, store)
    return ScanModel(scan=_scan_part(saved, saved.arrays), logit_shift=saved.logit_shift)


def _record(row: Row, key: CellKey, store: CellStore) -> RecordModel:
    saved = _Saved.of(key, store)
    record = _record_part(saved, saved.arrays, _preparation(key, store))
    return RecordModel(record=record, logit_shift=saved.logit_shift)


def _late(row: Row, key: CellKey, store: CellStore) -> LateModel:
    scan, record = (replace(key, model=need) for need in row.needs)
    return LateModel(
        scan=_scan(row, scan, store),
        record=_record(row, record, store),
        kind=row.base,  # type: ignore[arg-type]
        combiner=_combiner(row, key, store),
    )


def _combiner(row: Row, key: CellKey, store: CellStore) -> Combiner:
    description = store.description(key)
    if row.base == "late-average":
        return WeightedAverage.from_json(description)
    if row.base == "late-vote":
        return MajorityVote.from_json(description)
    inputs = StackingInputs.from_json(description["inputs"])
    if row.base == "late-xgboost":
        return StackedTrees(names=row.needs, inputs=inputs, trees=store.trees(key))
    saved = _Saved.of(key, store)
    network = restore_tabnet(saved.description["network"], saved.arrays)
    return StackedTabNet(names=row.needs, inputs=inputs, network=network, logit_shift=saved.logit_shift)


def _fusion(row: Row, key: CellKey, store: CellStore) -> FusionModel:
    """The encoders are built as those that it started from; their weights are its own if they went on learning."""
    own = _Saved.of(key, store)
    scan, record = (_Saved.of(replace(key, model=need), store) for need in row.needs)
    end_to_end = bool(own.description["end_to_end"])
    fusion = restore_fusion(
        own.description["fusion"],
        own.description["network"],
        own.part("fusion") if end_to_end else own.arrays,
    )
    grown = isinstance(fusion, VectorFusion) and fusion.head is None
    return FusionModel(
        scan=_scan_part(scan, own.part("image_encoder") if end_to_end else scan.arrays),
        record=_record_part(
            record,
            own.part("ehr_encoder") if end_to_end else record.arrays,
            _preparation(_record_key(row, key), store),
        ),
        fusion=fusion,
        end_to_end=end_to_end,
        logit_shift=own.logit_shift,
        trees=store.trees(key) if grown else None,
    )


_MODELS: dict[Kind, Callable[[Row, CellKey, CellStore], Model]] = {
    "trees": _trees,
    "scan": _scan,
    "record": _record,
    "late": _late,
    "fusion": _fusion,
}


@dataclass(frozen=True)
class _Saved:
    """A cell's network as it was kept."""

    description: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, key: CellKey, store: CellStore) -> _Saved:
        return cls(*store.model(key))

    @property
    def logit_shift(self) -> float:
        return float(self.description["logit_shift"])

    def part(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of one network of several."""
        beginning = f"{name}."
        return {key[len(beginning) :]: value for key, value in self.arrays.items() if key.startswith(beginning)}


def _scan_part(saved: _Saved, arrays: Mapping[str, NDArray[Any]]) -> ScanPart:
    scan = saved.description["scan"]
    low, high = scan["window_hu"]
    normalisation = ScanNormalisation(window_hu=(low, high), mean=scan["mean"], sd=scan["sd"])
    network = restore_image_encoder(saved.description["architecture"], saved.description["network"], arrays)
    return ScanPart(network=network, normalisation=normalisation)


def _record_part(saved: _Saved, arrays: Mapping[str, NDArray[Any]], preparation: FeaturePreparation) -> RecordPart:
    return RecordPart(network=restore_tabnet(saved.description["network"], arrays), preparation=preparation)


def _preparation(key: CellKey, store: CellStore) -> FeaturePreparation:
    """Of a cell that reads the record; of a screened one only the columns that it kept."""
    description = store.description(key)
    preparation = FeaturePreparation.from_json(description["record"])
    return preparation.only(np.array(description["columns"])) if "columns" in description else preparation


def _record_key(row: Row, key: CellKey) -> CellKey:
    """The cell that prepared the record: this one, or the one it starts from."""
    needs = [need for need in row.needs if model_row(need).record]
    return replace(key, model=needs[0]) if needs else key
