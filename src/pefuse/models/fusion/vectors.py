"""Two vectors to a logit: each normalised, put side by side, reduced, and classified by a head.

The engine of early and intermediate fusion, which differ only in what the two vectors are. A case may lack
either: see the presence flags.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from pefuse.errors import UsageError
from pefuse.models.bilinear import BilinearAttention, BilinearConfig, VectorTokens
from pefuse.models.cnn1d import Cnn1d, Cnn1dConfig
from pefuse.models.config import ModelConfig
from pefuse.models.fusion.base import EmbeddingNorm, Fusion, FusionOutput, Normalise, no_loss, present_flags
from pefuse.models.reduction import REDUCTIONS, ReductionConfig
from pefuse.models.tabnet import TabNet, TabNetConfig

__all__ = ["VectorFusion", "VectorFusionConfig"]

ReductionName = Literal["none", "pca", "sparse-pca", "nmf", "mlle", "spectral", "bilinear"]
HeadName = Literal["tabnet", "fc", "cnn1d", "xgboost"]


@dataclass(frozen=True, kw_only=True)
class VectorFusionConfig(ModelConfig):
    """Options of `VectorFusion`. Widths and the number of training cases come from the data: see `sized`."""

    image_dim: int = 64
    ehr_dim: int = 64
    training_rows: int = 0
    # `standard` by default: `l2` forgets an embedding's length, and a rectified one may say by it how ill one is.
    normalise: Normalise = "standard"
    reduction: ReductionName = "pca"
    fitted: ReductionConfig = field(default_factory=ReductionConfig)  # options of the reductions that are fitted
    image_tokens: int = 64  # of the bilinear attention; ignored by the others
    ehr_tokens: int = 64
    bilinear: BilinearConfig | None = None  # None: its defaults at these widths
    head: HeadName = "tabnet"  # xgboost: no head here; its trees are grown on `fused`
    tabnet: TabNetConfig | None = None  # None: normalised by layer; its input_dim must be `fused_dim`
    cnn1d: Cnn1dConfig = field(default_factory=Cnn1dConfig)

    def __post_init__(self) -> None:
        for name in ("image_dim", "ehr_dim", "image_tokens", "ehr_tokens"):
            if getattr(self, name) < 1:
                raise UsageError(f"Fusion: {name} is {getattr(self, name)}; it must be at least 1.")
        if self.tabnet is not None and self.tabnet.input_dim != self.fused_dim:
            raise UsageError(
                f"Fusion: the head takes {self.tabnet.input_dim} columns, but {self.reduction!r} gives "
                f"{self.fused_dim}: set its input_dim to that."
            )
        if self.bilinear and (self.bilinear.image_dim, self.bilinear.ehr_dim) != (self.image_dim, self.ehr_dim):
            raise UsageError(
                "Fusion: bilinear.image_dim and bilinear.ehr_dim must be the vectors' "
                f"{self.image_dim} and {self.ehr_dim}."
            )
        if self.head == "xgboost" and self.reduction == "bilinear":
            raise UsageError(
                "Fusion: bilinear attention learns from its head's gradient, and boosted trees have none: choose "
                "another head, or another reduction."
            )

    def check_components(self) -> None:
        """Hold the reduction against the widths, once these are the data's.

        Raises:
            UsageError: more components than numbers.
        """
        both = self.image_dim + self.ehr_dim
        if self.reduction in REDUCTIONS and self.fitted.components > both:
            raise UsageError(
                f"Fusion: {self.fitted.components} components are too many for {both} numbers: "
                "set fusion.network.fitted.components to that or less."
            )

    @property
    def fused_dim(self) -> int:
        """Numbers that the head sees."""
        if self.reduction in REDUCTIONS:
            return self.fitted.components
        return self.ehr_dim if self.reduction == "bilinear" else self.image_dim + self.ehr_dim


class VectorFusion(Fusion):
    """Two vectors to a logit. Call `prepare` with the training cases before training."""

    Config: ClassVar[type[ModelConfig]] = VectorFusionConfig
    config: VectorFusionConfig

    def __init__(self, config: VectorFusionConfig) -> None:
        super().__init__()
        self.config = config
        self.image_norm = EmbeddingNorm(config.normalise, config.image_dim)
        self.ehr_norm = EmbeddingNorm(config.normalise, config.ehr_dim)
        # What stands for an absent modality: at first zero, the mean of standardised vectors; it learns.
        self.no_image = nn.Parameter(torch.zeros(config.image_dim))
        self.no_ehr = nn.Parameter(torch.zeros(config.ehr_dim))
        self.join = _join(config)
        self.head = _head(config)

    @classmethod
    def sized(cls, config: Any, *, image: tuple[int, ...], ehr: tuple[int, ...], rows: int) -> VectorFusionConfig:
        (image_dim,), (ehr_dim,) = image, ehr
        tabnet = config.tabnet
        bilinear = replace(config.bilinear, image_dim=image_dim, ehr_dim=ehr_dim) if config.bilinear else None
        sized: VectorFusionConfig = replace(
            config, image_dim=image_dim, ehr_dim=ehr_dim, training_rows=rows, bilinear=bilinear, tabnet=None
        )
        return replace(sized, tabnet=replace(tabnet, input_dim=sized.fused_dim) if tabnet else None)

    @property
    def passes_gradient(self) -> bool:
        return self.head is not None and self.join.passes_gradient

    @property
    def learned_reduction(self) -> bool:
        return isinstance(self.join, BilinearJoin)

    @torch.no_grad()
    def prepare(self, image: Tensor, ehr: Tensor) -> Self:
        """Fit the scales, then the reduction, to the training cases: (N, image_dim), (N, ehr_dim)."""
        self.image_norm.fit(image)
        self.ehr_norm.fit(ehr)
        if isinstance(self.join, FittedJoin):
            self.join.reduction.fit(torch.cat([self.image_norm(image), self.ehr_norm(ehr)], dim=1).cpu().numpy())
        return self

    def forward(
        self, image: Tensor, ehr: Tensor, has_image: Tensor | None = None, has_ehr: Tensor | None = None
    ) -> FusionOutput:
        fused, attention = self.fuse(image, ehr, has_image, has_ehr)  # (B, K)
        if self.head is None:
            raise UsageError("A fusion with an xgboost head has no logit of its own: grow trees on `fuse`.")
        out = self.head(fused)
        if not isinstance(self.head, TabNet):
            return FusionOutput(logit=out, fused=fused, sparsity_loss=no_loss(fused), attention=attention)
        return FusionOutput(
            logit=out.logit,
            fused=fused,
            sparsity_loss=out.sparsity_loss,
            masks=out.masks,
            attention=attention,
        )

    def fuse(
        self, image: Tensor, ehr: Tensor, has_image: Tensor | None = None, has_ehr: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The vector (B, K) that the head sees, and the bilinear attention's map."""
        has_image, has_ehr = present_flags(has_image, image), present_flags(has_ehr, ehr)
        # Zeros go in before the norm and the stand-in comes after it: a NaN there would spoil the gradient.
        image = self.image_norm(torch.where(has_image[:, None], image, 0.0))
        ehr = self.ehr_norm(torch.where(has_ehr[:, None], ehr, 0.0))
        image = torch.where(has_image[:, None], image, self.no_image)
        ehr = torch.where(has_ehr[:, None], ehr, self.no_ehr)
        fused: tuple[Tensor, Tensor | None] = self.join(image, ehr, has_image)
        return fused


class PlainJoin(nn.Module):
    """Side by side."""

    passes_gradient = True

    def forward(self, image: Tensor, ehr: Tensor, has_image: Tensor) -> tuple[Tensor, None]:
        return torch.cat([image, ehr], dim=1), None


class FittedJoin(nn.Module):
    """Side by side, then through a reduction that was fitted before."""

    def __init__(self, config: VectorFusionConfig) -> None:
        super().__init__()
        config.check_components()
        self.reduction = REDUCTIONS[config.reduction](
            config.fitted, input_dim=config.image_dim + config.ehr_dim, rows=config.training_rows
        )
        self.passes_gradient = self.reduction.passes_gradient

    def forward(self, image: Tensor, ehr: Tensor, has_image: Tensor) -> tuple[Tensor, None]:
        return self.reduction(torch.cat([image, ehr], dim=1)), None


class BilinearJoin(nn.Module):
    """Both vectors to tokens, then bilinear attention."""

    passes_gradient = True

    def __init__(self, config: VectorFusionConfig) -> None:
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


Join = PlainJoin | FittedJoin | BilinearJoin


def _join(config: VectorFusionConfig) -> Join:
    if config.reduction in REDUCTIONS:
        return FittedJoin(config)
    return BilinearJoin(config) if config.reduction == "bilinear" else PlainJoin()


def _head(config: VectorFusionConfig) -> TabNet | nn.Module | None:
    if config.head == "tabnet":
        return TabNet(config.tabnet or TabNetConfig(input_dim=config.fused_dim, normalisation="layer"))
    if config.head == "fc":
        return nn.Sequential(nn.Linear(config.fused_dim, 1), nn.Flatten(0))  # (B, K) to (B,)
    if config.head == "cnn1d":
        return Cnn1d(config.cnn1d, width=config.fused_dim)
    return None
