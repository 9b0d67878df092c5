"""A fusion and both its encoders as one network, so that the loss reaches all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pefuse.models.fusion.base import Fusion, FusionOutput, ImageOutput, present_flags
from pefuse.models.tabnet import TabNetOutput

__all__ = ["EndToEndFusion", "EndToEndOutput"]


@dataclass(frozen=True, kw_only=True)
class EndToEndOutput:
    """The fusion's output, and each modality's own.

    `image_logit` and `ehr_logit` (B,) are NaN where the modality is absent: pick the present rows before a loss.
    `image` and `ehr` are the encoders' outputs for the present rows alone, in order; None where no row has it.
    """

    logit: Tensor
    image_logit: Tensor
    ehr_logit: Tensor
    fusion: FusionOutput
    image: ImageOutput | None
    ehr: TabNetOutput | None


class EndToEndFusion(nn.Module):
    """Scans and records to a logit."""

    def __init__(self, image_encoder: nn.Module, ehr_encoder: nn.Module, fusion: Fusion) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.ehr_encoder = ehr_encoder
        self.fusion = fusion

    def forward(
        self, image: Tensor, ehr: Tensor, has_image: Tensor | None = None, has_ehr: Tensor | None = None
    ) -> EndToEndOutput:
        """Score scans `image` (B, 1, Z, Y, X) with records `ehr` (B, D); flags as in `Fusion.forward`.

        An encoder sees only the rows that have its modality, so absent ones cost nothing and enter no statistics.
        """
        has_image, has_ehr = present_flags(has_image, image), present_flags(has_ehr, ehr)
        image_out: ImageOutput | None = _encode(self.image_encoder, image, has_image)
        ehr_out: TabNetOutput | None = _encode(self.ehr_encoder, ehr, has_ehr)
        fusion = self.fusion(*self._taken(image_out, ehr_out, has_image, has_ehr), has_image, has_ehr)
        return EndToEndOutput(
            logit=fusion.logit,
            image_logit=_placed(image_out.logit if image_out else None, has_image, ()),
            ehr_logit=_placed(ehr_out.logit if ehr_out else None, has_ehr, ()),
            fusion=fusion,
            image=image_out,
            ehr=ehr_out,
        )

    def _taken(
        self, image: ImageOutput | None, ehr: TabNetOutput | None, has_image: Tensor, has_ehr: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the fusion takes of each encoder (B, ...), NaN in the rows that lack the modality."""
        image_shape, ehr_shape = self.fusion.shapes
        return (
            _placed(self.fusion.take_image(image) if image else None, has_image, image_shape),
            _placed(self.fusion.take_ehr(ehr) if ehr else None, has_ehr, ehr_shape),
        )


def _encode(encoder: nn.Module, x: Tensor, present: Tensor) -> Any:
    """The encoder's output for the present rows; a batch where all are is not copied."""
    if not present.any():
        return None
    return encoder(x if present.all() else x[present])


def _placed(values: Tensor | None, present: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`values` of the present rows (P, ...) in their places (B, ...); `shape`: a row's where nobody is present."""
    if values is None:
        return torch.full((len(present), *shape), torch.nan, device=present.device)
    if len(values) == len(present):
        return values
    whole = values.new_full((len(present), *values.shape[1:]), torch.nan)
    return whole.index_copy(0, present.nonzero().squeeze(1), values)
