"""A bundle from its folder: every byte is known to be right before it is parsed, every part checked before use."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as from_safetensors

from pefuse.ehr import FeaturePreparation
from pefuse.errors import BundleError, PefuseError
from pefuse.models.boosting import BoostedTrees
from pefuse.models.bundle.bundle import Bundle
from pefuse.models.bundle.manifest import (
    FORMAT,
    About,
    FusionMember,
    LateMember,
    Manifest,
    MemberEntry,
    RecordEntry,
    RecordMember,
    ScanEntry,
    ScanMember,
    TreesMember,
)
from pefuse.models.bundle.members import (
    FusionModel,
    LateModel,
    Member,
    Model,
    RecordModel,
    RecordPart,
    ScanModel,
    ScanPart,
    TreesModel,
)
from pefuse.models.fusion import VectorFusion
from pefuse.models.late import (
    Combiner,
    MajorityVote,
    StackedTabNet,
    StackedTrees,
    StackingInputs,
    WeightedAverage,
)
from pefuse.models.restore import Arrays, Unfilled, restore_fusion, restore_image_encoder, restore_tabnet
from pefuse.models.scan_normalisation import ScanNormalisation
from pefuse.sealed import REMEDY, read_files, read_manifest, sha256_of

__all__ = ["load_bundle", "read_about"]

MOST_SHIFT = 50  # of a logit


def load_bundle(folder: str | Path, *, sha256: str | None = None) -> Bundle:
    """Open a bundle that `pefuse compare` or `pefuse fit` wrote; it comes back ready to predict, in eval mode.

    Args:
        folder: such as `RUN/bundles/intermediate-sanet`.
        sha256: refuse any other bundle than the one with this `Bundle.sha256`, say one that came by another way.

    Raises:
        UsageError: there is no bundle in the folder.
        BundleError: it is damaged, of another format, or not the one asked for.
    """
    content = read_manifest(Path(folder), sha256=sha256)
    manifest = _manifest(content)
    files = _Files(manifest, read_files(Path(folder), manifest.files))
    with Unfilled():
        members = tuple(_member(entry, files) for entry in manifest.members)
    return Bundle(about=_about(manifest), members=members, sha256=sha256_of(content))


def read_about(folder: Path) -> About:
    """What a bundle says of itself, once every file has been checked; nothing is built.

    Raises:
        UsageError, BundleError: as `load_bundle`.
    """
    manifest = _manifest(read_manifest(folder))
    read_files(folder, manifest.files)
    return _about(manifest)


def _about(manifest: Manifest) -> About:
    """Not checked again: the manifest was."""
    return About.model_construct(**{name: getattr(manifest, name) for name in About.model_fields})


class _Version(BaseModel):
    format: int


def _manifest(content: bytes) -> Manifest:
    try:
        found = _Version.model_validate_json(content).format
        if found != FORMAT:
            raise BundleError(
                f"The bundle is of format {found}, and this pefuse reads format {FORMAT}: use the version of "
                "pefuse that wrote it, or train the model again."
            )
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(re.sub(r"[^\w.-]", "?", str(part))[:60] for part in first["loc"]) or "its content"
        raise BundleError(f"The bundle's bundle.json is not valid at {where}: {first['msg']}. {REMEDY}") from error


class _Files:
    """The checked contents of a bundle's files; what several members share is parsed once."""

    def __init__(self, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
        self.grid = manifest.grid
        self._contents = contents
        self._preparations: dict[str, FeaturePreparation] = {}

    def preparation(self, name: str) -> FeaturePreparation:
        if name not in self._preparations:
            try:
                content = json.loads(self._contents[name])
            except (ValueError, RecursionError) as error:
                raise BundleError(f"it is not JSON, in {name}") from error
            if not isinstance(content, dict):
                raise BundleError(f"it is not a preparation, in {name}")
            self._preparations[name] = FeaturePreparation.from_json(content)
        return self._preparations[name]

    def tensors(self, name: str) -> dict[str, Arrays]:
        """Each network's tensors, by the name of its part."""
        try:
            arrays = from_safetensors(self._contents[name])
        except (SafetensorError, ValueError, KeyError) as error:
            raise BundleError(f"it is not a safetensors file of known kinds of numbers, {name}") from error
        parts: dict[str, dict[str, Any]] = {}
        for full_name, array in arrays.items():
            part, _, own_name = full_name.partition(".")
            parts.setdefault(part, {})[own_name] = array
        return dict(parts)

    def trees(self, name: str) -> BoostedTrees:
        return BoostedTrees.from_bytes(self._contents[name])


def _member(entry: MemberEntry, files: _Files) -> Member:
    try:
        return Member(seed=entry.seed, fold=entry.fold, model=_model(entry, files))
    except PefuseError as error:
        place = f"seed {entry.seed}, fold {entry.fold}"
        raise BundleError(
            f"The bundle's member of {place} cannot be used: {str(error).rstrip('.')}. {REMEDY}"
        ) from error


def _model(entry: MemberEntry, files: _Files) -> Model:
    if isinstance(entry, TreesMember):
        return _trees(entry, files)
    parts = files.tensors(entry.tensors)
    wanted = {name for name in ("scan", "record", "fusion") if hasattr(entry, name)}
    if isinstance(entry, LateMember) and entry.combiner == "late-tabnet":
        wanted.add("late")
    if set(parts) != wanted:
        raise BundleError(
            f"it needs the tensors of {' and '.join(sorted(wanted))}, and has those of {len(parts)} parts"
        )
    match entry:
        case ScanMember():
            return ScanModel(scan=_scan(entry.scan, parts, files), logit_shift=entry.logit_shift)
        case RecordMember():
            return RecordModel(record=_record(entry.record, parts, files), logit_shift=entry.logit_shift)
        case LateMember():
            return _late(entry, parts, files)
        case FusionMember():
            return _fusion(entry, parts, files)


def _trees(entry: TreesMember, files: _Files) -> TreesModel:
    trees, preparation = files.trees(entry.trees), files.preparation(entry.preparation)
    _need_width(trees.columns, len(preparation.columns), "the trees", "the preparation")
    return TreesModel(trees=trees, preparation=preparation)


def _late(entry: LateMember, parts: Mapping[str, Arrays], files: _Files) -> LateModel:
    combiner = _combiner(entry, parts, files)
    _need_width(len(combiner.names), 2, "the late fusion", "two modalities")
    return LateModel(
        scan=ScanModel(scan=_scan(entry.scan, parts, files), logit_shift=entry.scan_shift),
        record=RecordModel(record=_record(entry.record, parts, files), logit_shift=entry.record_shift),
        kind=entry.combiner,
        combiner=combiner,
    )


def _combiner(entry: LateMember, parts: Mapping[str, Arrays], files: _Files) -> Combiner:
    settings: Any = entry.settings
    if (entry.trees is not None) != (entry.combiner == "late-xgboost"):
        raise BundleError("it has trees where none belong, or lacks them")
    if entry.combiner == "late-average":
        return WeightedAverage.from_json(settings)
    if entry.combiner == "late-vote":
        return MajorityVote.from_json(settings)
    inputs = StackingInputs.from_json(settings.get("inputs", {}))
    names = settings.get("names")
    if not isinstance(names, list) or len(names) != len(inputs.mean) or not all(isinstance(n, str) for n in names):
        raise BundleError("the late fusion does not say whose risks it takes")
    if entry.trees is not None:
        trees = files.trees(entry.trees)
        _need_width(trees.columns, len(names), "the trees", "the late fusion")
        return StackedTrees(names=tuple(names), inputs=inputs, trees=trees)
    network = restore_tabnet(settings.get("network", {}), parts["late"])
    _need_width(network.config.input_dim, len(names), "the late fusion's network", "its risks")
    _need_width(network.config.output_dim, 1, "the late fusion's network", "a risk")
    shift = settings.get("logit_shift")
    if not isinstance(shift, int | float) or isinstance(shift, bool) or not abs(shift) <= MOST_SHIFT:
        raise BundleError("the shift of the late fusion's logits is no number that it could be")
    return StackedTabNet(names=tuple(names), inputs=inputs, network=network, logit_shift=float(shift))


def _fusion(entry: FusionMember, parts: Mapping[str, Arrays], files: _Files) -> FusionModel:
    scan, record = _scan(entry.scan, parts, files), _record(entry.record, parts, files)
    fusion = restore_fusion(entry.fusion_kind, entry.fusion, parts["fusion"])
    assert files.grid is not None  # the manifest has seen to it
    taken = fusion.taken_shapes(scan.network, record.network, files.grid)
    if taken != fusion.shapes:
        raise BundleError(f"the fusion takes {fusion.shapes} numbers where its encoders give {taken}")
    grown = isinstance(fusion, VectorFusion) and fusion.head is None
    if grown != (entry.trees is not None):
        raise BundleError("it has trees where none belong, or lacks them")
    trees = files.trees(entry.trees) if entry.trees is not None else None
    if trees is not None:
        _need_width(trees.columns, fusion.config.fused_dim, "the trees", "the fusion")
    return FusionModel(
        scan=scan,
        record=record,
        fusion=fusion,
        end_to_end=entry.end_to_end,
        logit_shift=entry.logit_shift,
        trees=trees,
    )


def _scan(entry: ScanEntry, parts: Mapping[str, Arrays], files: _Files) -> ScanPart:
    network = restore_image_encoder(entry.network_kind, entry.network, parts["scan"])
    _need_width(getattr(network.config, "in_channels", 1), 1, "the scan's network", "a scan")
    assert files.grid is not None  # the manifest has seen to it
    if min(network.feature_grid((files.grid,) * 3)) < 1:
        raise BundleError(f"a grid of {files.grid} is too small for its network")
    normalisation = ScanNormalisation(window_hu=entry.window_hu, mean=entry.mean, sd=entry.sd)
    return ScanPart(network=network, normalisation=normalisation)


def _record(entry: RecordEntry, parts: Mapping[str, Arrays], files: _Files) -> RecordPart:
    network, preparation = restore_tabnet(entry.network, parts["record"]), files.preparation(entry.preparation)
    _need_width(network.config.input_dim, len(preparation.columns), "the record's network", "the preparation")
    _need_width(network.config.output_dim, 1, "the record's network", "a risk")
    return RecordPart(network=network, preparation=preparation)


def _need_width(found: int, needed: int, of: str, against: str) -> None:
    if found != needed:
        raise BundleError(f"{of} has a width of {found} where {against} has {needed}")
