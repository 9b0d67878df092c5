"""Small bundles of every kind, not trained: what is tested is what becomes of them on disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csc_matrix

from pefuse.ehr import FeaturePreparation, RawColumn, RawRecord
from pefuse.models import (
    BoostedTrees,
    BoostedTreesConfig,
    BottleneckConfig,
    BottleneckFusion,
    EarlyFusion,
    IntermediateFusion,
    MajorityVote,
    SANet,
    SANetConfig,
    Swin,
    SwinConfig,
    TabNet,
    TabNetConfig,
    VectorFusionConfig,
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
from pefuse.models.late import Combiner, StackedTabNet, StackedTrees, StackingInputs
from pefuse.models.reduction import ReductionConfig
from pefuse.models.scan_normalisation import ScanNormalisation

GRID = 32
STUDIES = tuple(f"S{number}" for number in range(30))
LATE = ("late-average", "late-vote", "late-tabnet", "late-xgboost")
FUSED = ("pca", "bilinear", "early", "mbt", "nmf-xgboost")
KINDS = ("sanet", "swin", "tabnet", "boosted-trees", *LATE, *FUSED)
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
    small_swin = SwinConfig.demo(window=2, depths=(1, 1, 1, 1), hidden_dim=8, embedding_dim=6)
    swin = ScanPart(network=Swin(small_swin).eval(), normalisation=normalisation)
    if kind == "swin":
        return ScanModel(scan=swin, logit_shift=1.5)
    if kind == "tabnet":
        return RecordModel(record=record, logit_shift=-0.5)
    if kind == "boosted-trees":
        values = preparation.transform(make_record(), STUDIES, scale=False, impute=False).values
        trees = BoostedTrees(BoostedTreesConfig(rounds=4, threads=1)).fit(values, np.arange(30) % 3 == 0)
        return TreesModel(trees=trees, preparation=preparation)
    if kind in LATE:
        single = ScanModel(scan=scan, logit_shift=1.0), RecordModel(record=record, logit_shift=2.0)
        return LateModel(scan=single[0], record=single[1], kind=kind, combiner=_combiner(kind))  # type: ignore[arg-type]
    return _fusion_model(kind, scan, swin, record)


def _combiner(kind: str) -> Combiner:
    names, risks = ("sanet", "tabnet"), np.random.default_rng(0).random((30, 2))
    if kind == "late-average":
        average = WeightedAverage(names)
        average.weights = np.array([0.25, 0.75])
        return average
    if kind == "late-vote":
        return MajorityVote(names).fit(risks, np.arange(30) % 3 == 0)
    inputs = StackingInputs.fit("logit", risks, models=2)
    if kind == "late-xgboost":
        trees = BoostedTrees(BoostedTreesConfig(rounds=4, threads=1)).fit(inputs(risks), np.arange(30) % 3 == 0)
        return StackedTrees(names=names, inputs=inputs, trees=trees)
    network = TabNet(TabNetConfig(input_dim=2, n_d=3, n_a=3, n_steps=2)).eval()
    return StackedTabNet(names=names, inputs=inputs, network=network, logit_shift=0.5)


def _fusion_model(kind: str, scan: ScanPart, swin: ScanPart, record: RecordPart) -> FusionModel:
    """Of 20 training cases that are noise."""
    noise = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
    columns = torch.randn(20, record.network.embedder.width, generator=torch.Generator().manual_seed(2))
    fitted = ReductionConfig(components=3)
    small = VectorFusionConfig(
        image_dim=6, ehr_dim=4, training_rows=20, fitted=fitted, image_tokens=2, ehr_tokens=2
    )
    parts = {"scan": scan, "record": record, "end_to_end": kind == "bilinear", "logit_shift": 0.7}
    if kind == "early":
        early = EarlyFusion(replace(small, ehr_dim=columns.shape[1], head="fc")).eval()
        return FusionModel(fusion=early.prepare(noise, columns), **parts)
    if kind == "mbt":
        tokens, channels = 8, swin.network.feature_channels
        config = BottleneckConfig(
            image_dim=channels, image_tokens=tokens, ehr_dim=4, ehr_tokens=2, width=8, heads=2, bottleneck_tokens=2
        )
        mbt = BottleneckFusion(config).eval()
        mbt.prepare(torch.randn(20, tokens, channels), torch.randn(20, 2, 4))
        return FusionModel(fusion=mbt, **{**parts, "scan": swin})
    if kind == "nmf-xgboost":
        grown = IntermediateFusion(replace(small, reduction="nmf", head="xgboost")).eval()
        grown.prepare(noise, noise[:, :4])
        rows = grown.fuse(noise, noise[:, :4])[0].detach().numpy()
        trees = BoostedTrees(BoostedTreesConfig(rounds=4, threads=1)).fit(rows, np.arange(20) % 3 == 0)
        return FusionModel(fusion=grown, trees=trees, **parts)
    fusion = IntermediateFusion(replace(small, reduction=kind)).eval()  # type: ignore[arg-type]
    return FusionModel(fusion=fusion.prepare(noise, noise[:, :4]), **parts)


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
    reads_record = kind not in ("sanet", "swin")
    return Bundle(
        about=About(
            written_by="pefuse 0",
            model=f"test-{kind}",
            grid=None if kind in ("tabnet", "boosted-trees") else GRID,
            field_of_view=None if kind in ("tabnet", "boosted-trees") else "whole",
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
        save_bundle(bundle.about, bundle.members, folder / kind)
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
