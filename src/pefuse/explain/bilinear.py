"""The bilinear attention's map: which part of the scan went with which part of the record, where parts have names.

The attention weighs pairs of tokens. In `intermediate … bilinear` a token is one learned filter's response along a
whole embedding (models/bilinear.py, `VectorTokens`): token 7 of the image is no place in it, and token 3 of the
record no feature. A map of such pairs would look like an explanation and be none, so there is none. A fusion whose
tokens do mean something says so by `token_names`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from pefuse.ct import PreparedScans
from pefuse.ehr import RawRecord
from pefuse.errors import BundleError
from pefuse.explain.importance import NotExplained, named
from pefuse.models.bilinear import BilinearAttention
from pefuse.models.bundle import Bundle, FusionModel
from pefuse.models.bundle.members import Features, Scans
from pefuse.models.fusion import FusionOutput

__all__ = ["AttentionMap", "NamedTokens", "attention_map"]

STUDIES_AT_ONCE = 4

NO_ATTENTION = NotExplained(reason="The model has no bilinear attention.")
NO_NAMES = NotExplained(
    reason="The bilinear attention pairs learned filters over whole embeddings: its tokens are no places of the "
    "scan and no features of the record, so its map cannot be read."
)


@runtime_checkable
class NamedTokens(Protocol):
    """A fusion whose attention's tokens mean something."""

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        """Of the N image tokens and of the M record tokens, in the order of the attention's axes."""


@dataclass(frozen=True, kw_only=True)
class AttentionMap:
    """`weights` (K, N, M) of K studies: of each pair of image token and record token, together 1 a study.

    Mean over glimpses and members. `image` (N,) and `record` (M,) name the axes. A study without a scan has zeros.
    """

    study_ids: tuple[str, ...]
    image: tuple[str, ...]
    record: tuple[str, ...]
    weights: NDArray[np.float64] = field(repr=False)


def attention_map(
    bundle: Bundle, study_ids: Sequence[str], *, scans: Scans | PreparedScans, record: RawRecord
) -> AttentionMap | NotExplained:
    """The map of these studies, or why there is none.

    Raises:
        UsageError: no study, or scans that do not fit the model.
        RecordError: the record is in another form than the model was trained on.
        BundleError: the attention is not a number, or its names do not fit it.
    """
    fusions = [member.model.fusion for member in bundle.members if isinstance(member.model, FusionModel)]
    if not fusions or not any(isinstance(part, BilinearAttention) for part in fusions[0].modules()):
        return NO_ATTENTION
    if not isinstance(fusions[0], NamedTokens):
        return NO_NAMES
    ids = named(study_ids)
    bundle.check_scans(ids, scans)
    features = bundle.prepared_features(ids, record)
    image, ehr = fusions[0].token_names()
    total = np.zeros((len(ids), len(image), len(ehr)))
    for start in range(0, len(ids), STUDIES_AT_ONCE):
        part = slice(start, start + STUDIES_AT_ONCE)
        hu = scans.load(list(ids[part])) if isinstance(scans, PreparedScans) else scans[part]
        for member in bundle.members:
            assert isinstance(member.model, FusionModel)
            total[part] += _map(member.model, hu, features[id(member.model.preparation)][part], total.shape[1:])
    return AttentionMap(
        study_ids=tuple(ids), image=tuple(image), record=tuple(ehr), weights=total / len(bundle.members)
    )


@torch.inference_mode()
def _map(model: FusionModel, hu: Scans, rows: Features, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Of one member, (B, N, M), the mean of its glimpses."""
    fusion = model.fusion.eval()
    image = fusion.take_image(model.scan.network.eval()(model.scan.input(hu)))
    ehr = fusion.take_ehr(model.record.network.eval()(torch.from_numpy(np.ascontiguousarray(rows))))
    output: FusionOutput = fusion(image, ehr)
    if output.attention is None or tuple(output.attention.shape[2:]) != shape:
        raise BundleError("The fusion names its tokens, but its attention has no map of that many pairs.")
    weights: NDArray[np.float64] = output.attention.double().mean(dim=1).numpy()
    if not np.isfinite(weights).all():
        raise BundleError("The bilinear attention is not a number: check the model's weights.")
    return weights
