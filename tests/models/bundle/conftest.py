"""Small bundles of every kind, not trained: what is tested is what becomes of them on disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csc_matrix

from pefuse.ehr import FeaturePreparation, RawColumn, RawRecord
from pefuse.models import (
    BoostedTrees,
    BoostedTreesConfig,
    IntermediateConfig,
    IntermediateFusion,
    SANet,
    SANetConfig,
    TabNet,
    TabNetConfig,
    WeightedAverage,
)
from pefuse.models.bundle import (
    About,
    Bundle,
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
    save_bundle,
)
from pefuse.models.bundle.members import Model
from pefuse.models.scan_normalisation import ScanNormalisation

GRID = 16
STUDIES = tuple(f"S{number}" for number in range(30))
KINDS = ("sanet", "tabnet", "boosted-trees", "late-average", "pca", "bilinear")
COLUMNS = (
    RawColumn(key="sodium", name="sodium (mmol/L)", family="lab", kind="continuous", unit="mmol/L"),
    RawColumn(key="lactate", name="lactate (mmol/L)", family="lab", kind="continuous", unit="mmol/L"),
    RawColumn(key="cancer", name="cancer", family="diagnosis", kind="binary"),
    RawColumn(key="wing", name="wing", family="arrival", kind="categorical"),
)


def make_record(study_ids=STUDIES, columns=COLUMNS) -> RawRecord:
    """Two numbers, one of them often missing, a mark and a text."""
    rng = np.random.default_rng(1)
    count = len(study_ids)
    values = np.stack([rng.normal(140, 5, count), rng.lognormal(0, 1, count), np.arange(count) % 3 == 0], axis=1)
    values[::4, 1] = 0  # not stored, so missing
    texts = np.array([["north", "south", ""][row % 3] for row in range(count)], dtype=object)[:, None]
    return RawRecord(
        study_ids=tuple(study_ids),
        columns=columns,
        values=csc_matrix(values),
        texts=texts,
        has_record=np.ones(count, dtype=bool),
    )


def make_scans(count: int = len(STUDIES)) -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.integers(-1000, 1000, (count, GRID, GRID, GRID)).astype(np.int16)


def _model(kind: str, preparation: FeaturePreparation) -> Model:
    sanet = SANetConfig.demo(stem_channels=4, growth=2, blocks=(1, 1), attention_blocks=1, embedding_dim=6)
    normalisation = ScanNormalisation(window_hu=(-200.0, 500.0), mean=0.4, sd=0.3)
    tabnet = TabNetConfig(input_dim=len(preparation.columns), n_d=4, n_a=3, n_steps=2)
    scan = ScanPart(network=SANet(sanet).eval(), normalisation=normalisation)
    record = RecordPart(network=TabNet(tabnet).eval(), preparation=preparation)
    if kind == "sanet":
        return ScanModel(scan=scan, logit_shift=1.5)
    if kind == "tabnet":
        return RecordModel(record=record, logit_shift=-0.5)
    if kind == "boosted-trees":
        values = preparation.transform(make_record(), STUDIES, scale=False, impute=False).values
        trees = BoostedTrees(BoostedTreesConfig(rounds=4, threads=1)).fit(values, np.arange(30) % 3 == 0)
        return TreesModel(trees=trees, preparation=preparation)
    if kind == "late-average":
        average = WeightedAverage(("sanet", "tabnet"))
        average.weights = np.array([0.25, 0.75])
        single = ScanModel(scan=scan, logit_shift=1.0), RecordModel(record=record, logit_shift=2.0)
        return LateModel(scan=single[0], record=single[1], average=average)
    config = IntermediateConfig(image_dim=6, ehr_dim=4, reduction=kind, components=3, image_tokens=2, ehr_tokens=2)  # type: ignore[arg-type]
    fusion = IntermediateFusion(config).eval()
    if kind == "pca":
        fusion.join.weight.normal_()
        fusion.join.bias.zero_()
    return FusionModel(scan=scan, record=record, fusion=fusion, end_to_end=kind == "bilinear", logit_shift=0.7)


def make_bundle(kind: str) -> Bundle:
    """Two folds with two seeds; the preparations of the folds differ, those of the seeds do not."""
    torch.manual_seed(0)
    record = make_record()
    parts = STUDIES[:20], STUDIES[10:]
    members = tuple(
        Member(seed=seed, fold=fold, model=_model(kind, FeaturePreparation.fit(record, parts[fold])))
        for seed in (0, 1)
        for fold in (0, 1)
    )
    reads_record = kind != "sanet"
    return Bundle(
        about=About(
            written_by="pefuse 0",
            model=f"test-{kind}",
            grid=None if kind in ("tabnet", "boosted-trees") else GRID,
            thresholds=(Threshold(name="youden", value=0.25, chosen_on="validation"),),
            calibration=Calibration(fitted=False, method="none"),
            cohort=TrainingCohort(
                simulated=True,
                horizon_days=30,
                studies=30,
                patients=30,
                deaths=10,
                first_year=2015,
                last_year=2018,
                age_mean=60.0,
                age_sd=10.0,
                female_share=0.5,
            ),
            features=tuple(
                Feature(key=one.key, name=one.name, family=one.family, kind=one.kind, unit=one.unit)
                for one in COLUMNS
                if reads_record
            ),
            config={"folds": 2},
            inputs="abc",
        ),
        members=members,
    )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def bundles() -> dict[str, Bundle]:
    return {kind: make_bundle(kind) for kind in KINDS}


@pytest.fixture(scope="session")
def _saved(bundles: dict[str, Bundle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    for kind, bundle in bundles.items():
        save_bundle(bundle, folder / kind)
    return folder


@pytest.fixture
def saved(_saved: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a saved bundle of a kind, to be spoilt."""

    def copy(kind: str) -> Path:
        shutil.copytree(_saved / kind, tmp_path / kind)
        return tmp_path / kind

    return copy


@pytest.fixture(scope="session")
def record() -> RawRecord:
    return make_record()


@pytest.fixture(scope="session")
def scans() -> np.ndarray:
    return make_scans()
