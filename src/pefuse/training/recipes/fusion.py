"""Fusions of trained encoders: on what the fixed encoders give, then, where asked, everything together.

Three stages: the encoders alone (their own cells), the fusion on what it takes of them, and all weights
together, each modality keeping a loss of its own. `FusionTraining.schedule` says which of the last two are done.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pefuse.models.config import config_to_json
from pefuse.models.fusion import EndToEndFusion, Fusion, VectorFusion
from pefuse.models.restore import network_arrays, restore_image_encoder, restore_tabnet
from pefuse.models.scan_normalisation import ScanNormalisation
from pefuse.models.tabnet import TabNet, with_frozen_statistics
from pefuse.models.zoo import Row
from pefuse.training.augmentation import AugmentationConfig
from pefuse.training.cells import CellKey, CellResult
from pefuse.training.config import FusionTraining, Schedule
from pefuse.training.data import Batch, CaseSource
from pefuse.training.folddata import SPLITS
from pefuse.training.loop import History, LoopConfig, Task, positive_weight, predict, weighted_bce
from pefuse.training.recipes.context import CellContext, network_result, predictions_table, train_on
from pefuse.training.recipes.encoders import hide_columns
from pefuse.training.recipes.stages import all_vectors, stages_of
from pefuse.training.recipes.trees import grow_trees, rounds_table
from pefuse.training.snapshots import Snapshots

__all__ = ["train_fusion"]

ROWS_AT_ONCE = 256  # of vectors
SCANS_AT_ONCE = 8

Sources = dict[str, CaseSource]


def train_fusion(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """One fusion on the finished encoders of the same fold and seed."""
    assert row.fusion is not None
    settings = context.config.fusion_training(row.name)
    encoders = Encoders(row, key, context)
    taken = encoders.taken(row.fusion)
    fusion = _prepared(row, context, taken["train"])
    if isinstance(fusion, VectorFusion) and fusion.head is None:
        return _grown(fusion, key, context, taken)
    schedule = _schedule(fusion, settings)
    start = _start(fusion, taken, context)
    snapshots = context.snapshots()
    if schedule != "end-to-end":
        history = train_on(
            fusion, taken, key, context, task=_fusion_task(settings), config=settings.loop, snapshots=snapshots
        )
    if schedule == "stage-wise":
        result = _result(fusion, fusion, taken, history, settings.loop, context)
        return _with_stages(result, fusion, taken, start, snapshots, settings.loop, context)
    snapshots = context.snapshots()
    joint = encoders.joined(fusion, frozen_statistics=settings.joint_statistics == "frozen")
    sources = encoders.sources(augmented=True)
    history = train_on(
        joint, sources, key, context,
        task=_joint_task(settings),
        config=settings.joint,
        learning_rates=_rates(joint, settings),
        snapshots=snapshots,
    )  # fmt: skip
    result = _result(joint, fusion, sources, history, settings.joint, context)
    return _with_stages(result, joint, sources, start, snapshots, settings.joint, context)


def _schedule(fusion: Fusion, settings: FusionTraining) -> Schedule:
    if not fusion.passes_gradient:
        return "stage-wise"
    return settings.learned_schedule if fusion.learned_reduction else settings.schedule


def _prepared(row: Row, context: CellContext, training: CaseSource) -> Fusion:
    """The fusion at the data's widths, its scales and reduction fitted to the training part."""
    assert row.fusion is not None
    batch = training.batch(np.arange(len(training)))
    config = row.fusion.sized(
        context.config.fusion_network(row.name),
        image=tuple(batch.image.shape[1:]),
        ehr=tuple(batch.ehr.shape[1:]),
        rows=len(training),
    )
    return row.fusion(config).prepare(batch.image, batch.ehr)


@dataclass(frozen=True)
class Encoders:
    """The trained encoders of the two modalities, as their cells left them."""

    row: Row
    key: CellKey
    context: CellContext

    def taken(self, fusion: type[Fusion]) -> Sources:
        """What the fusion takes of the fixed encoders, of every case that has both modalities.

        Embeddings were kept by the encoders' own cells; for anything else the encoder runs once.
        """
        image = self._image_vectors if fusion.take_image is Fusion.take_image else self._image_outputs(fusion)
        ehr = self._ehr_vectors if fusion.take_ehr is Fusion.take_ehr else self._ehr_outputs(fusion)
        data = self.context.data
        taken = {}
        for split in SPLITS:
            ids = data.studies(split, scan=True, record=True)
            taken[split] = CaseSource(
                study_ids=ids, labels=data.label_array(ids), image_vectors=image(split, ids), ehr=ehr(split, ids)
            )
        return taken

    def joined(self, fusion: Fusion, *, frozen_statistics: bool) -> EndToEndFusion:
        """Encoders and fusion as one network."""
        ehr = self._ehr_network()
        if frozen_statistics:
            # A batch of scans is small (the paper's is 2): too small for the TabNets' batch statistics.
            ehr = with_frozen_statistics(ehr)
            if isinstance(fusion, VectorFusion) and isinstance(fusion.head, TabNet):
                fusion.head = with_frozen_statistics(fusion.head)
        return EndToEndFusion(self._image_network(), ehr, fusion)

    def sources(self, *, augmented: bool, scan: bool = True, record: bool = True) -> Sources:
        """Cases that have both modalities, the chosen ones as the encoders take them."""
        settings = self.context.config
        augmentation: AugmentationConfig = getattr(settings, str(self._scan[0]["architecture"])).augmentation
        columns, dropout = np.array(self._record[0]["columns"]), settings.tabnet.dropout
        sources = {}
        for split in SPLITS:
            source = self.context.data.source(split, scan=True, record=True, normalisation=self._normalisation)
            source = hide_columns(source, columns, dropout=dropout if augmented else 0.0)
            sources[split] = replace(
                source,
                augmentation=augmentation if augmented else None,
                scans=source.scans if scan else None,
                ehr=source.ehr if record else None,
            )
        return sources

    @cached_property
    def _scan(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return self.context.store.model(replace(self.key, model=self.row.needs[0]))

    @cached_property
    def _record(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return self.context.store.model(replace(self.key, model=self.row.needs[1]))

    @property
    def _normalisation(self) -> ScanNormalisation:
        own = self._scan[0]["scan"]
        low, high = own["window_hu"]
        return ScanNormalisation(window_hu=(low, high), mean=own["mean"], sd=own["sd"])

    def _image_network(self) -> nn.Module:
        description, arrays = self._scan
        return restore_image_encoder(description["architecture"], description["network"], arrays)

    def _ehr_network(self) -> TabNet:
        description, arrays = self._record
        return restore_tabnet(description["network"], arrays)

    def _image_vectors(self, split: str, ids: tuple[str, ...]) -> NDArray[np.float32]:
        kept = self.context.store.embedding(replace(self.key, model=self.row.needs[0]))
        return np.stack([kept[study_id] for study_id in ids])

    def _ehr_vectors(self, split: str, ids: tuple[str, ...]) -> NDArray[np.float32]:
        kept = self.context.store.embedding(replace(self.key, model=self.row.needs[1]))
        return np.stack([kept[study_id] for study_id in ids])

    def _image_outputs(self, fusion: type[Fusion]) -> Callable[[str, tuple[str, ...]], NDArray[np.float32]]:
        network, sources = self._image_network(), self.sources(augmented=False, record=False)

        def run(split: str, ids: tuple[str, ...]) -> NDArray[np.float32]:
            def output(net: nn.Module, batch: Batch) -> Tensor:
                return fusion.take_image(net(batch.image))

            return predict(network, output, sources[split], fabric=self.context.fabric, batch_size=SCANS_AT_ONCE)

        return run

    def _ehr_outputs(self, fusion: type[Fusion]) -> Callable[[str, tuple[str, ...]], NDArray[np.float32]]:
        network, sources = self._ehr_network(), self.sources(augmented=False, scan=False)

        def run(split: str, ids: tuple[str, ...]) -> NDArray[np.float32]:
            def output(net: nn.Module, batch: Batch) -> Tensor:
                return fusion.take_ehr(net(batch.ehr))

            return predict(network, output, sources[split], fabric=self.context.fabric, batch_size=ROWS_AT_ONCE)

        return run


def _fusion_task(settings: FusionTraining) -> Task:
    def loss(net: nn.Module, batch: Batch, weight: Tensor) -> Tensor:
        output = net(batch.image, batch.ehr, batch.has_image, batch.has_ehr)
        task_loss = weighted_bce(output.logit, batch.label, weight)
        return task_loss + settings.sparsity_weight * cast(Tensor, output.sparsity_loss)

    return Task(loss=loss, logit=lambda net, batch: _fused(net, batch)[0])


def _joint_task(settings: FusionTraining) -> Task:
    def loss(net: nn.Module, batch: Batch, weight: Tensor) -> Tensor:
        output = net(batch.image, batch.ehr, batch.has_image, batch.has_ehr)
        fused = weighted_bce(output.logit, batch.label, weight)
        single = _present_bce(output.image_logit, batch.has_image, batch, weight)
        single = single + _present_bce(output.ehr_logit, batch.has_ehr, batch, weight)
        sparse = output.fusion.sparsity_loss + output.ehr.sparsity_loss
        total: Tensor = fused + settings.auxiliary_weight * single + settings.sparsity_weight * sparse
        return total

    return Task(loss=loss, logit=lambda net, batch: _fused(net, batch)[0])


def _rates(joint: EndToEndFusion, settings: FusionTraining) -> list[tuple[list[nn.Parameter], float]]:
    """The encoders know something already: they learn at a share of the fusion's rate, at 0 no weight of them."""
    encoders = [*joint.image_encoder.parameters(), *joint.ehr_encoder.parameters()]
    return [(encoders, settings.encoder_rate), (list(joint.fusion.parameters()), 1.0)]


def _present_bce(logit: Tensor, present: Tensor, batch: Batch, weight: Tensor) -> Tensor:
    """The loss of one modality's own logit, over the cases that have it."""
    return weighted_bce(logit[present], batch.label[present], weight) if present.any() else logit.new_zeros(())


def _fused(net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logit and the vector that the head sees."""
    output = net(batch.image, batch.ehr, batch.has_image, batch.has_ehr)
    return output.logit, (output.fusion.fused if isinstance(net, EndToEndFusion) else output.fused)


def _last_vector(net: nn.Module, fused: Tensor) -> Tensor:
    """Of the fused vectors (B, K), what the decision is read from by a last layer (B, E).

    Only this can be followed: a fitted reduction of fixed encoders gives the same fused vector from start to end.
    """
    head = getattr(net.fusion if isinstance(net, EndToEndFusion) else net, "head", None)
    if not isinstance(head, TabNet):
        return fused
    vector: Tensor = head(fused).embedding
    return vector


def _last_vectors(net: nn.Module, batch: Batch) -> Tensor:
    return _last_vector(net, _fused(net, batch)[1])


def _start(fusion: Fusion, taken: Sources, context: CellContext) -> NDArray[np.float32] | None:
    """The last vectors (N, E) of the fusion before any training; None where it is not followed."""
    if not context.followed:
        return None
    return all_vectors(
        copy.deepcopy(fusion), taken, vectors=_last_vectors, fabric=context.fabric, batch_size=ROWS_AT_ONCE
    )


def _with_stages(
    result: CellResult,
    module: EndToEndFusion | Fusion,
    sources: Sources,
    start: NDArray[np.float32] | None,
    snapshots: Snapshots | None,
    loop: LoopConfig,
    context: CellContext,
) -> CellResult:
    """With what was followed; the middle is that of the last part of the training, which trained `module`."""
    if snapshots is None:
        return result
    assert result.embedding is not None
    assert result.best_epoch is not None
    with torch.inference_mode():
        end = _last_vector(module, torch.from_numpy(result.embedding).to(context.fabric.device))
    stages = stages_of(
        module, sources,
        vectors=_last_vectors,
        snapshots=snapshots,
        best_epoch=result.best_epoch,
        start=start,
        end=end.float().cpu().numpy(),
        fabric=context.fabric,
        batch_size=loop.batch_size,
    )  # fmt: skip
    return replace(result, stages=stages)


def _result(
    module: EndToEndFusion | Fusion,
    fusion: Fusion,
    sources: Sources,
    history: History,
    loop: LoopConfig,
    context: CellContext,
) -> CellResult:
    return network_result(
        module, sources, context,
        embed=_fused,
        shift=math.log(positive_weight(sources["train"].labels)),
        history=history,
        batch_size=loop.batch_size,
        state=network_arrays(module),
        description=_description(fusion, end_to_end=module is not fusion),
    )  # fmt: skip


def _description(fusion: Fusion, *, end_to_end: bool) -> dict[str, object]:
    return {
        "architecture": "fusion",
        "fusion": fusion.name,
        "network": config_to_json(fusion.config),
        "end_to_end": end_to_end,
    }


def _grown(fusion: VectorFusion, key: CellKey, context: CellContext, taken: Sources) -> CellResult:
    """The head is boosted trees, grown on the reduced vectors."""
    fused = {
        split: predict(
            fusion,
            lambda net, batch: cast(VectorFusion, net).fuse(batch.image, batch.ehr)[0],
            source,
            fabric=context.fabric,
            batch_size=ROWS_AT_ONCE,
        )
        for split, source in taken.items()
    }
    trees = grow_trees(
        context.config.fusion.trees,
        key,
        train=(fused["train"], taken["train"].labels),
        validation=(fused["validation"], taken["validation"].labels),
    )
    ids = {split: source.study_ids for split, source in taken.items()}
    return CellResult(
        predictions=predictions_table(ids, {split: trees.predict_logit(rows) for split, rows in fused.items()}),
        history=rounds_table(trees),
        best_epoch=trees.rounds_kept - 1,
        trees=trees,
        embedding=np.concatenate([fused[split] for split in SPLITS]),
        state=network_arrays(fusion),
        # The trees take their own shift off.
        description={**_description(fusion, end_to_end=False), "logit_shift": 0.0},
    )
