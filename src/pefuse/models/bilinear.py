"""Bilinear attention: which part of the image goes with which part of the record, and what the pairs say.

Kim et al. 2018 (arXiv 1805.07932), in the form that the code released with the fusion paper uses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from pefuse.errors import UsageError
from pefuse.models.config import ModelConfig

__all__ = ["BilinearAttention", "BilinearConfig", "BilinearOutput", "VectorTokens"]


@dataclass(frozen=True, kw_only=True)
class BilinearConfig(ModelConfig):
    """Options of `BilinearAttention`; the defaults are the released code's main model."""

    image_dim: int = 64  # width of an image token
    ehr_dim: int = 64  # width of an EHR token, and of the joint vector
    hidden: int = 64
    k_attention: int = 1  # the attention's maps have hidden * k_attention channels
    k_joint: int = 3  # the joint vector's have hidden * k_joint, summed in groups of k_joint
    glimpses: int = 1
    dropout: float = 0.2  # before every linear map
    attention_dropout: float = 0.5  # on the image side of the attention

    def __post_init__(self) -> None:
        for name in ("image_dim", "ehr_dim", "hidden", "k_attention", "k_joint", "glimpses"):
            if getattr(self, name) < 1:
                raise UsageError(f"Bilinear attention: {name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"Bilinear attention: {name} is {getattr(self, name)}; it must lie in [0, 1).")

    @classmethod
    def released(cls, **changes: Any) -> BilinearConfig:
        """Image tokens of 1024, EHR tokens of 64: 283,271 parameters."""
        return replace(cls(image_dim=1024, ehr_dim=64), **changes)


@dataclass(frozen=True, kw_only=True)
class BilinearOutput:
    """`joint` (B, ehr_dim) and `attention` (B, G, N, M): for each glimpse the weight of each pair, together 1."""

    joint: Tensor
    attention: Tensor


class BilinearAttention(nn.Module):
    """Two sets of tokens to one joint vector."""

    def __init__(self, config: BilinearConfig) -> None:
        super().__init__()
        self.config = config
        self.attention = PairAttention(config)
        self.glimpses = nn.ModuleList(Glimpse(config) for _ in range(config.glimpses))

    def forward(self, image: Tensor, ehr: Tensor) -> BilinearOutput:
        """Join image tokens (B, N, image_dim) and EHR tokens (B, M, ehr_dim).

        An image token of zeros is absent and gets no attention. A case with only such tokens has a map of zeros,
        and its joint vector comes from the record alone.
        """
        attention = self.attention(image, ehr)  # (B, G, N, M)
        for index, glimpse in enumerate(self.glimpses):
            ehr = ehr + glimpse(image, ehr, attention[:, index]).unsqueeze(1)  # (B, M, ehr_dim)
        return BilinearOutput(joint=ehr.sum(dim=1), attention=attention)


class PairAttention(nn.Module):
    """Softmax over all pairs of tokens, one map a glimpse: `A_g(i, j) = Σ_r h_g(r) v'_i(r) q'_j(r) + c_g`."""

    def __init__(self, config: BilinearConfig) -> None:
        super().__init__()
        width = config.hidden * config.k_attention
        self.image = _projection(config.image_dim, width, dropout=config.dropout)
        self.ehr = _projection(config.ehr_dim, width, dropout=config.dropout)
        self.dropout = nn.Dropout(config.attention_dropout)
        self.pairing = _wholly_normalised(Pairing(config.glimpses, width))

    def forward(self, image: Tensor, ehr: Tensor) -> Tensor:
        scores = self.pairing(self.dropout(self.image(image)), self.ehr(ehr))  # (B, G, N, M)
        absent = (image == 0).all(dim=2)[:, None, :, None]  # (B, 1, N, 1)
        scores = scores.masked_fill(absent, torch.finfo(scores.dtype).min)
        weights = torch.softmax(scores.flatten(2), dim=2).view_as(scores)
        return weights.masked_fill(absent, 0.0)  # for the case whose tokens are all absent


class Pairing(nn.Module):
    """The trilinear score of each pair, one a glimpse."""

    def __init__(self, glimpses: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(glimpses, width))
        self.bias = nn.Parameter(torch.randn(glimpses))

    def forward(self, image: Tensor, ehr: Tensor) -> Tensor:
        """(B, N, R) and (B, M, R) to (B, G, N, M)."""
        weighted = image.unsqueeze(1) * self.weight[None, :, None, :]  # (B, G, N, R)
        return weighted @ ehr.transpose(1, 2).unsqueeze(1) + self.bias[:, None, None]


class Glimpse(nn.Module):
    """What the attended pairs say: `b(r) = Σ_ij A(i, j) v'_i(r) q'_j(r)`, summed in groups, then a linear map."""

    def __init__(self, config: BilinearConfig) -> None:
        super().__init__()
        self.groups = (config.hidden, config.k_joint)
        width = config.hidden * config.k_joint
        self.image = _projection(config.image_dim, width, dropout=config.dropout)
        self.ehr = _projection(config.ehr_dim, width, dropout=config.dropout)
        self.out = _projection(config.hidden, config.ehr_dim, dropout=config.dropout, relu=False)

    def forward(self, image: Tensor, ehr: Tensor, attention: Tensor) -> Tensor:
        """`attention` (B, N, M) to (B, ehr_dim)."""
        seen = attention.transpose(1, 2) @ self.image(image)  # (B, M, R)
        pooled = (seen * self.ehr(ehr)).sum(dim=1)  # (B, R)
        out: Tensor = self.out(pooled.unflatten(1, self.groups).sum(dim=2))
        return out


class VectorTokens(nn.Module):
    """Two vectors to two sets of tokens, each vector by filters of three that slide along it, ReLU.

    A token is one filter's response along the whole vector, so it is as wide as the vector. `normalisation`:
    `batch` is the released form, one mean and one deviation for both vectors over the whole batch; `layer`
    normalises each vector on its own and so works the same at any batch size.
    """

    def __init__(
        self, *, image_tokens: int, ehr_tokens: int, normalisation: Literal["batch", "layer"] = "layer"
    ) -> None:
        super().__init__()
        self.norm: nn.Module = nn.BatchNorm1d(1) if normalisation == "batch" else nn.GroupNorm(1, 1)
        self.image = weight_norm(nn.Conv1d(1, image_tokens, 3, padding=1, bias=False))
        self.ehr = weight_norm(nn.Conv1d(1, ehr_tokens, 3, padding=1, bias=False))

    def forward(self, image: Tensor, ehr: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C) and (B, E) to (B, image_tokens, C) and (B, ehr_tokens, E)."""
        image_tokens = torch.relu(self.image(self.norm(image.unsqueeze(1))))
        ehr_tokens = torch.relu(self.ehr(self.norm(ehr.unsqueeze(1))))
        return image_tokens, ehr_tokens


def _projection(inputs: int, outputs: int, *, dropout: float, relu: bool = True) -> nn.Sequential:
    """Dropout, then a linear map whose weight is normalised as one whole, then ReLU."""
    layers = [nn.Dropout(dropout), _wholly_normalised(nn.Linear(inputs, outputs))]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


def _wholly_normalised(layer: nn.Module) -> nn.Module:
    """`layer` with its weight as one length and one direction, not one a row."""
    # torch's annotation forgets the None that its documentation gives.
    normalised: nn.Module = weight_norm(layer, dim=None)  # type: ignore[arg-type]
    return normalised
