"""Heat of a bundle: its members' maps of evidence in the scan, each of the same weight, as one map a study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pefuse.ct import PreparedScans
from pefuse.ehr import RawRecord
from pefuse.errors import BundleError
from pefuse.explain.branch import ImageBranch, image_branch, unlearned
from pefuse.explain.gradcam import HeatMethod, activation_map
from pefuse.explain.importance import named
from pefuse.explain.layers import chosen_layer
from pefuse.explain.occlusion import CUBES, occlusion_map
from pefuse.models.bundle import Bundle

__all__ = ["Heat", "find_heat", "find_occlusion"]

VOXELS_AT_ONCE = 2 * 128**3  # at 128³ two scans: the activations behind a layer are kept for the gradient
MOST_AT_ONCE = 32

Maps = NDArray[np.float32]
OfBranch = Callable[[ImageBranch, Tensor, NDArray[np.float32] | None], Maps]


@dataclass(frozen=True, kw_only=True)
class Heat:
    """Where the evidence for death lies in N scans.

    `values` `(N, Z, Y, X)` float32 on the model's grid: shares of a scan's heat, together 1; all 0 where no member
    found any. `members` (N,) counts those that did. `layer` is that of the maps; `through` says whose logit they
    speak of.
    """

    study_ids: tuple[str, ...]
    values: Maps = field(repr=False)
    members: NDArray[np.int64]
    method: str
    layer: str
    through: str

    def of(self, study_id: str) -> Maps:
        """One study's map `(Z, Y, X)`."""
        one: Maps = self.values[self.study_ids.index(study_id)]
        return one


def find_heat(
    bundle: Bundle,
    study_ids: Sequence[str],
    *,
    scans: NDArray[np.int16] | PreparedScans,
    record: RawRecord | None = None,
    method: HeatMethod = "grad-cam",
    layer: str = "",
    control_seed: int | None = None,
) -> Heat:
    """Class activation maps, see `explain/gradcam.py`.

    Args:
        scans: prepared scans, or HU `(N, Z, Y, X)` int16 in the order of `study_ids`.
        record: of these studies, where the model reads one.
        layer: of `image_layers`; "" = the deepest that is fine enough to point at a heart.
        control_seed: draw the image networks' weights anew first: the control that has learned nothing.

    Raises:
        UsageError: the model reads no scan, or the scans, record or layer do not fit it.
        RecordError: the record is in another form than the model was trained on.
        BundleError: the gradient is not a number.
    """
    branch = image_branch(bundle.members[0].model)
    assert bundle.grid is not None
    place = chosen_layer(branch.network, (bundle.grid,) * 3, layer)

    def of_branch(one: ImageBranch, image: Tensor, features: NDArray[np.float32] | None) -> Maps:
        own = chosen_layer(one.network, tuple(image.shape[2:]), place.name)
        return activation_map(
            lambda each: one.to_logit(each, features), image, own, network=one.network, method=method
        )

    maps = _over_members(bundle, study_ids, scans, record, of_branch, control_seed)
    return _joined(study_ids, maps, method=method, layer=place.name, through=branch.through)


def find_occlusion(
    bundle: Bundle,
    study_ids: Sequence[str],
    *,
    scans: NDArray[np.int16] | PreparedScans,
    record: RawRecord | None = None,
    cubes: int = CUBES,
) -> Heat:
    """How much the logit falls where a cube of the scan is hidden, see `explain/occlusion.py`.

    Args:
        cubes: positions along each axis; the cube is two steps wide. The time grows with its third power.

    Raises:
        As `find_heat`.
    """

    def of_branch(one: ImageBranch, image: Tensor, features: NDArray[np.float32] | None) -> Maps:
        return occlusion_map(one.to_logit, image, features, cubes=cubes)

    branch = image_branch(bundle.members[0].model)
    maps = _over_members(bundle, study_ids, scans, record, of_branch, None)
    return _joined(study_ids, maps, method="occlusion", layer="", through=branch.through)


def _over_members(
    bundle: Bundle,
    study_ids: Sequence[str],
    scans: NDArray[np.int16] | PreparedScans,
    record: RawRecord | None,
    of_branch: OfBranch,
    control_seed: int | None,
) -> list[Maps]:
    ids = named(study_ids)
    bundle.check_scans(ids, scans)
    prepared = bundle.prepared_features(ids, record) if bundle.needs_record else {}
    branches = [image_branch(member.model) for member in bundle.members]
    if control_seed is not None:
        branches = [
            unlearned(branch, member.model, seed=control_seed + place)
            for place, (branch, member) in enumerate(zip(branches, bundle.members, strict=True))
        ]
    maps: list[list[Maps]] = [[] for _ in branches]
    assert bundle.grid is not None
    step = max(1, min(MOST_AT_ONCE, VOXELS_AT_ONCE // bundle.grid**3))
    for start in range(0, len(ids), step):
        part = slice(start, start + step)
        hu = scans.load(ids[part]) if isinstance(scans, PreparedScans) else scans[part]
        for own, branch, member in zip(maps, branches, bundle.members, strict=True):
            features = prepared.get(id(member.model.preparation))
            image = branch.scan.input(hu)
            own.append(of_branch(branch, image, features[part] if features is not None else None))
    return [np.concatenate(own) for own in maps]


def _joined(study_ids: Sequence[str], maps: Sequence[Maps], *, method: str, layer: str, through: str) -> Heat:
    """Each member's map as shares of its own sum, then their mean: no member speaks louder than another."""
    if not all(np.isfinite(one).all() for one in maps):
        raise BundleError("The heat of a scan is not a number: check the model's weights.")
    shares = [_as_shares(one) for one in maps]
    found = np.sum([one.any(axis=(1, 2, 3)) for one in shares], axis=0)
    return Heat(
        study_ids=tuple(study_ids),
        values=_as_shares(np.sum(shares, axis=0, dtype=np.float32)),
        members=found.astype(np.int64),
        method=method,
        layer=layer,
        through=through,
    )


def _as_shares(maps: Maps) -> Maps:
    total = maps.sum(axis=(1, 2, 3), keepdims=True, dtype=np.float64)
    shares: Maps = np.divide(maps, total, out=np.zeros_like(maps, dtype=np.float64), where=total > 0).astype(
        np.float32
    )
    return shares
