"""The image branch of a model that reads scans: its network, and the way from an image to the model's logit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pefuse.errors import UsageError
from pefuse.models.bundle import FusionModel, LateModel, RecordModel, ScanModel, ScanPart, TreesModel
from pefuse.models.bundle.members import Model
from pefuse.models.fusion import EndToEndFusion
from pefuse.models.sanet import SANet
from pefuse.models.swin import Swin

__all__ = ["ImageBranch", "image_branch", "unlearned"]


@dataclass(frozen=True, kw_only=True)
class ImageBranch:
    """`to_logit` takes images `(B, 1, Z, Y, X)` and these cases' features to logits `(B,)`.

    `through` says whose logit it is: the model's, or, where no gradient passes what follows (boosted trees, a
    reduction without a formula, a vote), that of the scan's own network.
    """

    scan: ScanPart
    to_logit: Callable[[Tensor, NDArray[np.float32] | None], Tensor]
    through: str

    @property
    def network(self) -> SANet | Swin:
        return self.scan.network


def image_branch(model: Model) -> ImageBranch:
    """The branch of a member's model.

    Raises:
        UsageError: the model reads no scan.
    """
    if isinstance(model, RecordModel | TreesModel):
        raise UsageError("The model reads no scan, so there is none to explain: choose one that does.")
    if isinstance(model, FusionModel) and model.trees is None and model.fusion.passes_gradient:
        return _through_fusion(model)
    scan = model.scan.scan if isinstance(model, LateModel) else model.scan
    alone = "the model's risk" if isinstance(model, ScanModel) else "the risk by the scan's own network"
    return ImageBranch(scan=scan, to_logit=lambda image, _: scan.network(image).logit, through=alone)


def unlearned(branch: ImageBranch, model: Model, *, seed: int) -> ImageBranch:
    """The same branch with an image network that has learned nothing: the control of Adebayo et al. 2018.

    Its weights are drawn anew as training draws them; all that follows it stays. Heat that looks the same from
    such a network shows the scan, not what was learned.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = type(branch.network)(branch.network.config).eval()  # type: ignore[arg-type]
    if isinstance(model, LateModel):
        scan = replace(model.scan, scan=replace(model.scan.scan, network=network))
        return image_branch(replace(model, scan=scan))
    assert isinstance(model, ScanModel | FusionModel)
    return image_branch(replace(model, scan=replace(model.scan, network=network)))


def _through_fusion(model: FusionModel) -> ImageBranch:
    whole = EndToEndFusion(model.scan.network, model.record.network, model.fusion).eval()

    def to_logit(image: Tensor, features: NDArray[np.float32] | None) -> Tensor:
        assert features is not None
        logit: Tensor = whole(image, torch.from_numpy(np.ascontiguousarray(features))).logit
        return logit

    return ImageBranch(scan=model.scan, to_logit=to_logit, through="the model's risk")
