"""Intermediate fusion: image and record meet as embeddings, before the decision.

The paper's best model: both embeddings normalised, put side by side, reduced (PCA in its Table 1, bilinear
attention in its abstract), and classified by a TabNet. A case may lack either: see the presence flags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from pefuse.errors import UsageError
from pefuse.models.bilinear import BilinearAttention, BilinearConfig, VectorTokens
from pefuse.models.config import ModelConfig
from pefuse.models.reduction import LinearReducer
from pefuse.models.tabnet import TabNet, TabNetConfig, TabNetOutput

__all__ = [
    "EndToEndFusion",
    "EndToEndOutput",
    "FusionOutput",
    "IntermediateConfig",
    "IntermediateFusion",
]


@dataclass(frozen=True, kw_only=True)
class IntermediateConfig(ModelConfig):
    """Options of `IntermediateFusion`."""

    image_dim: int = 64
    ehr_dim: int = 64
    # `standard` by default: `l2` forgets an embedding's length, and a rectified one may say by it how ill one is.
    normalise: Literal["standard", "l2", "layer"] = "standard"
    reduction: Literal["none", "pca", "bilinear"] = "pca"
    components: int = 16  # of a PCA; ignored by the others
    image_tokens: int = 64  # of the bilinear attention; ignored by the others
    ehr_tokens: int = 64
    bilinear: BilinearConfig | None = None  # None: its defaults at these widths
    head: TabNetConfig | None = None  # None: TabNet, normalised by layer; its input_dim must be `fused_dim`

    def __post_init__(self) -> None:
        for name in ("image_dim", "ehr_dim", "components", "image_tokens", "ehr_tokens"):
            if getattr(self, name) < 1:
                raise UsageError(f"Intermediate fusion: {name} is {getattr(self, name)}; it must be at least 1.")
        if self.reduction == "pca" and self.components > self.image_dim + self.ehr_dim:
            raise UsageError(
                f"Intermediate fusion: {self.components} PCA components are too many for "
                f"{self.image_dim + self.ehr_dim} numbers: set components to that or less."
            )
        if self.head is not None and self.head.input_dim != self.fused_dim:
            raise UsageError(
                f"Intermediate fusion: the head takes {self.head.input_dim} columns, but {self.reduction!r} gives "
                f"{self.fused_dim}: set head.input_dim to that."
            )
        if self.bilinear and (self.bilinear.image_dim, self.bilinear.ehr_dim) != (self.image_dim, self.ehr_dim):
            raise UsageError(
                "Intermediate fusion: bilinear.image_dim and bilinear.ehr_dim must be the embeddings' "
                f"{self.image_dim} and {self.ehr_dim}."
            )

    @property
    def fused_dim(self) -> int:
        """Columns that the head sees."""
        widths = {"none": self.image_dim + self.ehr_dim, "pca": self.components, "bilinear": self.ehr_dim}
        return widths[self.reduction]


@dataclass(frozen=True, kw_only=True)
class FusionOutput:
    """Of B cases: `logit` (B,), `fused` (B, K) as the head saw it, and the head's masks (S, B, K) over it.

    `attention` (B, G, N, M) is the bilinear attention's map, None with another reduction. `sparsity_loss` is the
    head's, at least 0, to be added.
    """

    logit: Tensor
    fused: Tensor
    attention: Tensor | None
    masks: Tensor
    sparsity_loss: Tensor


class IntermediateFusion(nn.Module):
    """Two embeddings to a logit.

    Before training: with `normalise="standard"` call `fit_normalisation`; with `reduction="pca"` then fit the
    reducer on `normalised` of the training fold and call `set_reduction`. Both are stored with the weights.
    """

    def __init__(self, config: IntermediateConfig) -> None:
        super().__init__()
        self.config = config
        self.image_norm = EmbeddingNorm(config.normalise, config.image_dim)
        self.ehr_norm = EmbeddingNorm(config.normalise, config.ehr_dim)
        # What stands for an absent modality: at first zero, the mean of standardised embeddings; it learns.
        self.no_image = nn.Parameter(torch.zeros(config.image_dim))
        self.no_ehr = nn.Parameter(torch.zeros(config.ehr_dim))
        self.join = _JOINS[config.reduction](config)
        self.head = TabNet(config.head or TabNetConfig(input_dim=config.fused_dim, normalisation="layer"))

    def forward(
        self, image: Tensor, ehr: Tensor, has_image: Tensor | None = None, has_ehr: Tensor | None = None
    ) -> FusionOutput:
        """Fuse `image` (B, image_dim) and `ehr` (B, ehr_dim).

        `has_image` and `has_ehr` (B,) bool say which rows have each; None: all. What an absent row holds does not
        matter; it may be NaN.
        """
        image, ehr, has_image, has_ehr = self._present(image, ehr, has_image, has_ehr)
        fused, attention = self.join(image, ehr, has_image)  # (B, K)
        head: TabNetOutput = self.head(fused)
        return FusionOutput(
            logit=head.logit, fused=fused, attention=attention, masks=head.masks, sparsity_loss=head.sparsity_loss
        )

    def normalised(
        self, image: Tensor, ehr: Tensor, has_image: Tensor | None = None, has_ehr: Tensor | None = None
    ) -> Tensor:
        """Both embeddings, normalised, side by side (B, image_dim + ehr_dim): what a reducer is fitted on."""
        return torch.cat(self._present(image, ehr, has_image, has_ehr)[:2], dim=1)

    @torch.no_grad()
    def fit_normalisation(self, image: Tensor, ehr: Tensor) -> None:
        """Learn mean and deviation from the training fold's rows that have each: (N, image_dim), (N', ehr_dim)."""
        self.image_norm.fit(image)
        self.ehr_norm.fit(ehr)

    @torch.no_grad()
    def set_reduction(self, reducer: LinearReducer) -> None:
        """Take over a fitted linear reduction, PCA for one, as a fixed layer.

        Raises:
            UsageError: the config has no PCA, or the reducer's sizes are not the config's.
        """
        if not isinstance(self.join, ProjectedJoin):
            raise UsageError(f"A fusion with reduction {self.config.reduction!r} takes no fitted reduction.")
        linear, own = reducer.as_linear(), self.join
        if linear.weight.shape != own.weight.shape:
            raise UsageError(
                f"The fitted reduction maps {linear.in_features} numbers to {linear.out_features}; this fusion "
                f"needs {own.weight.shape[1]} to {own.weight.shape[0]}: set components to {linear.out_features}."
            )
        own.weight.copy_(linear.weight)
        own.bias.copy_(linear.bias)

    def _present(
        self, image: Tensor, ehr: Tensor, has_image: Tensor | None, has_ehr: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        has_image = _flags(has_image, image)
        has_ehr = _flags(has_ehr, ehr)
        # Zeros go in before the norm and the stand-in comes after it: a NaN there would spoil the gradient.
        image = self.image_norm(torch.where(has_image[:, None], image, 0.0))
        ehr = self.ehr_norm(torch.where(has_ehr[:, None], ehr, 0.0))
        image = torch.where(has_image[:, None], image, self.no_image)
        ehr = torch.where(has_ehr[:, None], ehr, self.no_ehr)
        return image, ehr, has_image, has_ehr


class EmbeddingNorm(nn.Module):
    """One embedding to a common scale: by the training fold's mean and deviation, to length 1, or row by row."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, kind: Literal["standard", "l2", "layer"], width: int) -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "l2":
            return functional.normalize(x, dim=1)
        if self.kind == "layer":
            return functional.layer_norm(x, x.shape[1:])
        return (x - self.mean) / self.deviation

    def fit(self, x: Tensor) -> None:
        """Learn from rows (N, D). A number that never changes is only centred."""
        deviation = x.std(dim=0, unbiased=False)
        self.mean = x.mean(dim=0)
        self.deviation = torch.where(deviation > 1e-6, deviation, 1.0)


class PlainJoin(nn.Module):
    """Side by side."""

    def __init__(self, config: IntermediateConfig) -> None:
        super().__init__()

    def forward(self, image: Tensor, ehr: Tensor, has_image: Tensor) -> tuple[Tensor, None]:
        return torch.cat([image, ehr], dim=1), None


class ProjectedJoin(nn.Module):
    """Side by side, then through a fixed linear map that was fitted before."""

    weight: Tensor
    bias: Tensor

    def __init__(self, config: IntermediateConfig) -> None:
        super().__init__()
        # NaN until set: a reduction that was forgotten must not pass for one.
        both = config.image_dim + config.ehr_dim
        self.register_buffer("weight", torch.full((config.components, both), torch.nan))
        self.register_buffer("bias", torch.full((config.components,), torch.nan))

    def forward(self, image: Tensor, ehr: Tensor, has_image: Tensor) -> tuple[Tensor, None]:
        if self.bias[0].isnan():
            raise UsageError("The fusion's reduction is not fitted: fit a PCA and call set_reduction first.")
        return functional.linear(torch.cat([image, ehr], dim=1), self.weight, self.bias), None


class BilinearJoin(nn.Module):
    """Both vectors to tokens, then bilinear attention."""

    def __init__(self, config: IntermediateConfig) -> None:
        super().__init__()
        self.tokens = VectorTokens(image_tokens=config.image_tokens, ehr_tokens=config.ehr_tokens)
        self.attention = BilinearAttention(
            config.bilinear or BilinearConfig(image_dim=config.image_dim, ehr_dim=config.ehr_dim)
        )

    def forward(self, image: Tensor, ehr: Tensor, has_image: Tensor) -> tuple[Tensor, Tensor]:
        image_tokens, ehr_tokens = self.tokens(image, ehr)  # (B, N, image_dim), (B, M, ehr_dim)
        image_tokens = image_tokens * has_image[:, None, None]  # the attention leaves out tokens of zeros
        out = self.attention(image_tokens, ehr_tokens)
        return out.joint, out.attention  # (B, ehr_dim), (B, G, N, M)


_JOINS: dict[str, type[PlainJoin] | type[ProjectedJoin] | type[BilinearJoin]] = {
    "none": PlainJoin,
    "pca": ProjectedJoin,
    "bilinear": BilinearJoin,
}


class EncoderOutput(Protocol):
    """What the fusion takes of an encoder's output."""

    @property
    def logit(self) -> Tensor:
        """(B,)"""

    @property
    def embedding(self) -> Tensor:
        """(B, E)"""


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
    image: EncoderOutput | None
    ehr: EncoderOutput | None


class EndToEndFusion(nn.Module):
    """Both encoders and the fusion as one network, so that the loss reaches all of it."""

    def __init__(self, image_encoder: nn.Module, ehr_encoder: nn.Module, fusion: IntermediateFusion) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.ehr_encoder = ehr_encoder
        self.fusion = fusion

    def forward(
        self, image: Tensor, ehr: Tensor, has_image: Tensor | None = None, has_ehr: Tensor | None = None
    ) -> EndToEndOutput:
        """Score scans `image` (B, 1, Z, Y, X) with records `ehr` (B, D); flags as in `IntermediateFusion.forward`.

        An encoder sees only the rows that have its modality, so absent ones cost nothing and enter no statistics.
        """
        has_image, has_ehr = _flags(has_image, image), _flags(has_ehr, ehr)
        image_out, image_embedding, image_logit = _encode(
            self.image_encoder, image, has_image, self.fusion.config.image_dim
        )
        ehr_out, ehr_embedding, ehr_logit = _encode(self.ehr_encoder, ehr, has_ehr, self.fusion.config.ehr_dim)
        fusion = self.fusion(image_embedding, ehr_embedding, has_image, has_ehr)
        return EndToEndOutput(
            logit=fusion.logit,
            image_logit=image_logit,
            ehr_logit=ehr_logit,
            fusion=fusion,
            image=image_out,
            ehr=ehr_out,
        )


def _encode(
    encoder: nn.Module, x: Tensor, present: Tensor, width: int
) -> tuple[EncoderOutput | None, Tensor, Tensor]:
    """The encoder's output for the present rows; its embedding (B, E) and logit (B,), NaN in the other rows."""
    embedding, logit = x.new_full((len(x), width), torch.nan), x.new_full((len(x),), torch.nan)
    if not present.any():
        return None, embedding, logit
    if present.all():
        whole: EncoderOutput = encoder(x)
        return whole, whole.embedding, whole.logit
    out: EncoderOutput = encoder(x[present])
    rows = present.nonzero().squeeze(1)
    return out, embedding.index_copy(0, rows, out.embedding), logit.index_copy(0, rows, out.logit)


def _flags(present: Tensor | None, x: Tensor) -> Tensor:
    return torch.ones(len(x), dtype=torch.bool, device=x.device) if present is None else present
