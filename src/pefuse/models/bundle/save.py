"""A bundle to its folder: tensors as safetensors, trees and preparations as JSON, and the hash of each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as to_safetensors

from pefuse.ehr import FeaturePreparation
from pefuse.errors import BundleError
from pefuse.models.boosting import BoostedTrees
from pefuse.models.bundle.manifest import (
    MOST_BYTES,
    About,
    FileEntry,
    FusionMember,
    LateMember,
    Manifest,
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
    RecordModel,
    RecordPart,
    ScanModel,
    ScanPart,
    TreesModel,
)
from pefuse.models.config import config_to_json
from pefuse.models.late import MajorityVote, StackedTabNet, StackedTrees, WeightedAverage
from pefuse.models.restore import network_arrays
from pefuse.sealed import MANIFEST, SEAL, seal_text, sha256_of
from pefuse.storage import atomic_folder

__all__ = ["save_bundle"]


def save_bundle(about: About, members: Iterable[Member], folder: Path) -> str:
    """Write a bundle, whole or not at all; returns the hash that stands for it.

    Args:
        members: taken one by one, so that no more than one need be in memory.

    Raises:
        BundleError: its files are larger than a reader would take.
        StorageError: the folder exists and holds something, or the disk is full.
    """
    with atomic_folder(folder) as partial:
        files = _Files(partial)
        entries = tuple(_entry(member, files) for member in members)
        manifest = Manifest(
            **dict(about), architecture=entries[0].architecture, members=entries, files=files.entries
        )
        content = manifest.model_dump_json(indent=1).encode() + b"\n"
        (partial / MANIFEST).write_bytes(content)
        (partial / SEAL).write_bytes(seal_text(content))
    return sha256_of(content)


class _Files:
    """The files of a bundle as they are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: dict[str, FileEntry] = {}
        self.bytes = 0
        self._preparations: dict[bytes, str] = {}

    def write(self, name: str, content: bytes) -> str:
        self.bytes += len(content)
        if self.bytes > MOST_BYTES:
            raise BundleError(
                f"Its files are larger than the {MOST_BYTES / 2**30:.0f} GiB of a bundle: train fewer folds or "
                "seeds, or a narrower model."
            )
        (self.folder / name).write_bytes(content)
        self.entries[name] = FileEntry(bytes=len(content), sha256=sha256_of(content))
        return name

    def preparation(self, preparation: FeaturePreparation) -> str:
        """Its file; seeds of a fold share one."""
        content = json.dumps(preparation.to_json(), ensure_ascii=False, allow_nan=False).encode() + b"\n"
        if content not in self._preparations:
            self._preparations[content] = self.write(f"record-{len(self._preparations)}.json", content)
        return self._preparations[content]

    def tensors(self, member: Member, **networks: Any) -> str:
        """All networks of a member, their tensors named `part.…`."""
        arrays = {
            f"{part}.{name}": np.asarray(value, order="C")
            for part, network in networks.items()
            for name, value in network_arrays(network).items()
        }
        return self.write(f"seed{member.seed}-fold{member.fold}.safetensors", to_safetensors(arrays))

    def trees(self, member: Member, trees: BoostedTrees) -> str:
        return self.write(f"seed{member.seed}-fold{member.fold}.json", trees.to_bytes())


def _entry(member: Member, files: _Files) -> Any:
    """What bundle.json says of a member; its files are written on the way."""
    place: dict[str, Any] = {"seed": member.seed, "fold": member.fold}
    match member.model:
        case ScanModel() as model:
            place["tensors"] = files.tensors(member, scan=model.scan.network)
            return ScanMember(**place, scan=_scan(model.scan), logit_shift=model.logit_shift)
        case RecordModel() as model:
            place["tensors"] = files.tensors(member, record=model.record.network)
            return RecordMember(**place, record=_record(model.record, files), logit_shift=model.logit_shift)
        case TreesModel() as model:
            trees, preparation = files.trees(member, model.trees), files.preparation(model.preparation)
            return TreesMember(**place, trees=trees, preparation=preparation)
        case LateModel() as model:
            return LateMember(**place, **_late(member, model, files))
        case FusionModel() as model:
            networks = {"scan": model.scan.network, "record": model.record.network, "fusion": model.fusion}
            place["tensors"] = files.tensors(member, **networks)
            return FusionMember(
                **place,
                scan=_scan(model.scan),
                record=_record(model.record, files),
                fusion_kind=model.fusion.name,
                fusion=config_to_json(model.fusion.config),
                end_to_end=model.end_to_end,
                logit_shift=model.logit_shift,
                trees=files.trees(member, model.trees) if model.trees else None,
            )


def _late(member: Member, model: LateModel, files: _Files) -> dict[str, Any]:
    scan, record, combiner = model.scan, model.record, model.combiner
    networks: dict[str, Any] = {"scan": scan.scan.network, "record": record.record.network}
    settings: dict[str, Any]
    match combiner:
        case StackedTabNet():
            networks["late"] = combiner.network
            settings = {
                "names": list(combiner.names),
                "inputs": combiner.inputs.to_json(),
                "network": config_to_json(combiner.network.config),
                "logit_shift": combiner.logit_shift,
            }
        case StackedTrees():
            settings = {"names": list(combiner.names), "inputs": combiner.inputs.to_json()}
        case WeightedAverage() | MajorityVote():
            settings = combiner.to_json()
        case _:
            raise TypeError(f"{type(combiner).__name__} is no late fusion that a bundle can hold")
    return {
        "tensors": files.tensors(member, **networks),
        "scan": _scan(scan.scan),
        "scan_shift": scan.logit_shift,
        "record": _record(record.record, files),
        "record_shift": record.logit_shift,
        "combiner": model.kind,
        "settings": settings,
        "trees": files.trees(member, combiner.trees) if isinstance(combiner, StackedTrees) else None,
    }


def _scan(part: ScanPart) -> ScanEntry:
    own = part.normalisation
    return ScanEntry(
        network_kind=part.architecture,
        network=config_to_json(part.network.config),
        window_hu=(float(own.window_hu[0]), float(own.window_hu[1])),
        mean=own.mean,
        sd=own.sd,
    )


def _record(part: RecordPart, files: _Files) -> RecordEntry:
    return RecordEntry(
        network=config_to_json(part.network.config), preparation=files.preparation(part.preparation)
    )
