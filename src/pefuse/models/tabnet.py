"""TabNet: for tables; at each of a few steps a sparse mask chooses the columns that the step may look at.

Arik & Pfister, arXiv 1908.07442. With `normalisation="ghost-batch"` it computes what pytorch-tabnet 4.1.0 does.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from entmax import entmax15, sparsemax
from torch import Tensor, nn

from pefuse.errors import UsageError
from pefuse.models.config import ModelConfig
from pefuse.models.normalisation import Normalisation, column_norm, inner_norm

__all__ = ["TabNet", "TabNetConfig", "TabNetOutput", "importance", "with_frozen_statistics"]

INPUT_MOMENTUM = 0.01  # of the running statistics of the input columns; the other layers' is an option


@dataclass(frozen=True, kw_only=True)
class TabNetConfig(ModelConfig):
    """Options of `TabNet`; the defaults are the library's, but for entmax, which the paper's authors use."""

    input_dim: int  # columns
    output_dim: int = 1
    n_d: int = 8  # width of a step's decision, and of the embedding
    n_a: int = 8  # width of what a step hands to the next mask
    n_steps: int = 3
    gamma: float = 1.3  # 1: a column is used by one step; more: columns are used again. Below 1 masks turn odd
    n_independent: int = 2  # GLU layers of each step's own
    n_shared: int = 2  # GLU layers whose weights all steps share
    mask_type: Literal["entmax", "sparsemax"] = "entmax"
    epsilon: float = 1e-15  # inside the masks' logarithm
    momentum: float = 0.02  # of the running statistics
    virtual_batch_size: int = 128
    normalisation: Normalisation = "ghost-batch"
    categorical: tuple[tuple[int, int, int], ...] = ()  # (column, levels, embedding width), by column

    def __post_init__(self) -> None:
        least = {"input_dim": 1, "output_dim": 1, "n_d": 1, "n_a": 1, "n_steps": 1, "virtual_batch_size": 2}
        for name, lowest in {**least, "n_independent": 0, "n_shared": 0}.items():
            if getattr(self, name) < lowest:
                raise UsageError(f"TabNet: {name} is {getattr(self, name)}; it must be at least {lowest}.")
        if self.n_independent + self.n_shared == 0:
            raise UsageError("TabNet: n_independent and n_shared are both 0; at least one must be more.")
        columns = [column for column, _, _ in self.categorical]
        if columns != sorted(set(columns)) or any(not 0 <= column < self.input_dim for column in columns):
            raise UsageError(
                f"TabNet: categorical needs each column once, in order, within 0..{self.input_dim - 1}."
            )
        if any(levels < 1 or width < 1 for _, levels, width in self.categorical):
            raise UsageError("TabNet: each categorical column needs at least one level and a width of at least 1.")

    @classmethod
    def released_encoder(cls, input_dim: int, **changes: Any) -> TabNetConfig:
        """The EHR encoder of the authors' code. Its gamma below 1 is theirs; 1 to 2 is usual."""
        released = cls(input_dim=input_dim, n_d=64, n_a=2, n_steps=3, gamma=0.8, virtual_batch_size=32)
        return replace(released, **changes)

    @classmethod
    def released_final(cls, input_dim: int = 64, **changes: Any) -> TabNetConfig:
        """The classifier after bilinear attention in the authors' code. Late and early fusion swap n_d and n_a."""
        released = cls(input_dim=input_dim, n_d=10, n_a=64, n_steps=6, gamma=1.3, virtual_batch_size=16)
        return replace(released, **changes)


@dataclass(frozen=True, kw_only=True)
class TabNetOutput:
    """What TabNet says of B rows, and how it came to it.

    `logit` is (B,), or (B, output_dim) if that is more than 1. `embedding` (B, n_d) is the sum of the `steps`
    (S, B, n_d), none negative. `masks` (S, B, D): the share of attention that a step gives each input column; a
    row sums to 1. `sparsity_loss` is the masks' mean entropy in nats, at least 0: *add* a small multiple of it to
    the loss to have sparser masks. (pytorch-tabnet returns minus this and subtracts it.) `columns` (B, D') are the
    input's, with categorical ones embedded, before anything was made of them.
    """

    logit: Tensor
    embedding: Tensor
    masks: Tensor
    sparsity_loss: Tensor
    steps: Tensor
    columns: Tensor


class TabNet(nn.Module):
    """Rows of a table to logits."""

    def __init__(self, config: TabNetConfig) -> None:
        super().__init__()
        self.config = config
        self.embedder = ColumnEmbedder(config)
        width = self.embedder.width
        hidden = config.n_d + config.n_a
        self.input_norm = column_norm(config.normalisation, width, momentum=INPUT_MOMENTUM)
        self.shared = nn.ModuleList(
            _glu_linear(width if layer == 0 else hidden, hidden) for layer in range(config.n_shared)
        )
        self.first = FeatureTransformer(config, width)
        self.transformers = nn.ModuleList(FeatureTransformer(config, width) for _ in range(config.n_steps))
        self.attentions = nn.ModuleList(MaskMaker(config) for _ in range(config.n_steps))
        self.head = _plain_linear(config.n_d, config.output_dim)
        self.embedding_dim = config.n_d

    def forward(self, x: Tensor) -> TabNetOutput:
        """Score rows `x` (B, input_dim): standardised numbers without gaps; a categorical column holds its level.

        Raises:
            UsageError: a training batch of one row, where the normalisation needs two.
        """
        n_d = self.config.n_d
        columns = self.embedder(x)  # (B, D'), D' with the embeddings' widths
        x = self.input_norm(columns)
        attended = self.first(x, self.shared)[:, n_d:]  # (B, n_a)
        prior = torch.ones(len(x), self.config.input_dim, dtype=x.dtype, device=x.device)  # (B, D)
        masks, steps = [], []
        for make_mask, transform in zip(self.attentions, self.transformers, strict=True):
            mask = make_mask(attended, prior)  # (B, D)
            prior = prior * (self.config.gamma - mask)
            hidden = transform(self.embedder.spread(mask) * x, self.shared)  # (B, n_d + n_a)
            decision, attended = torch.relu(hidden[:, :n_d]), hidden[:, n_d:]
            masks.append(mask)
            steps.append(decision)
        return self._output(columns, torch.stack(masks), torch.stack(steps))

    def _output(self, columns: Tensor, masks: Tensor, steps: Tensor) -> TabNetOutput:
        embedding = steps.sum(dim=0)  # (B, n_d)
        logit = self.head(embedding)  # (B, output_dim)
        entropy = -(masks * torch.log(masks + self.config.epsilon)).sum(dim=2)  # (S, B)
        return TabNetOutput(
            logit=logit.squeeze(1) if self.config.output_dim == 1 else logit,
            embedding=embedding,
            masks=masks,
            sparsity_loss=entropy.mean(),
            steps=steps,
            columns=columns,
        )


def importance(output: TabNetOutput) -> Tensor:
    """How much each row's answer rests on each column: (B, D), rows sum to 1 (or are 0 where no step spoke).

    A step counts by the sum of its decision (section "interpretability" of Arik & Pfister). For the whole data's
    importance take the mean over rows of many batches.
    """
    weight = output.steps.sum(dim=2, keepdim=True)  # (S, B, 1)
    total = (weight * output.masks).sum(dim=0)  # (B, D)
    shares: Tensor = total / total.sum(dim=1, keepdim=True).clamp_min(torch.finfo(total.dtype).tiny)
    return shares


def with_frozen_statistics(network: TabNet) -> TabNet:
    """A copy that is normalised by its running statistics in training too: for a batch of any size."""
    if network.config.normalisation not in ("batch", "ghost-batch"):
        return copy.deepcopy(network)
    frozen = TabNet(replace(network.config, normalisation="frozen"))
    frozen.load_state_dict(network.state_dict())
    return frozen


class ColumnEmbedder(nn.Module):
    """Categorical columns become learned vectors in place; the others stay as they are."""

    source: Tensor
    share: Tensor

    def __init__(self, config: TabNetConfig) -> None:
        super().__init__()
        self.columns = [column for column, _, _ in config.categorical]
        self.tables = nn.ModuleList(nn.Embedding(levels, width) for _, levels, width in config.categorical)
        # In plain numbers, so that the network can be built without memory too (models/restore.py).
        widths = [1] * config.input_dim
        for column, _, width in config.categorical:
            widths[column] = width
        source = [column for column, width in enumerate(widths) for _ in range(width)]  # D' columns' origins
        self.width = len(source)
        self.register_buffer("source", torch.tensor(source), persistent=False)
        self.register_buffer("share", torch.tensor([1 / widths[column] for column in source]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Rows (B, D) to (B, D')."""
        if not self.columns:
            return x
        parts, start = [], 0
        for column, table in zip(self.columns, self.tables, strict=True):
            parts += [x[:, start:column], table(x[:, column].long())]
            start = column + 1
        return torch.cat([*parts, x[:, start:]], dim=1)

    def spread(self, mask: Tensor) -> Tensor:
        """A mask over columns (B, D) to one over what they became (B, D'); embeddings share a column's part."""
        return mask[:, self.source] * self.share if self.columns else mask


class MaskMaker(nn.Module):
    """From the last step's hand-over to a sparse mask over columns."""

    def __init__(self, config: TabNetConfig) -> None:
        super().__init__()
        self.linear = _plain_linear(config.n_a, config.input_dim)
        self.norm = _norm(config, config.input_dim)
        self.select = entmax15 if config.mask_type == "entmax" else sparsemax

    def forward(self, attended: Tensor, prior: Tensor) -> Tensor:
        scores = prior * self.norm(self.linear(attended))
        if not torch.isfinite(scores).all():  # entmax would stumble over them, with words that help nobody
            raise FloatingPointError("TabNet's scores of columns")
        mask: Tensor = self.select(scores, dim=-1)
        return mask


class FeatureTransformer(nn.Module):
    """Gated layers: first those with shared weights (given from outside), then its own."""

    def __init__(self, config: TabNetConfig, width: int) -> None:
        super().__init__()
        hidden = config.n_d + config.n_a
        self.shared_norms = nn.ModuleList(_norm(config, 2 * hidden) for _ in range(config.n_shared))
        first = width if config.n_shared == 0 else hidden
        self.own = nn.ModuleList(
            _glu_linear(first if layer == 0 else hidden, hidden) for layer in range(config.n_independent)
        )
        self.own_norms = nn.ModuleList(_norm(config, 2 * hidden) for _ in range(config.n_independent))

    def forward(self, x: Tensor, shared: nn.ModuleList) -> Tensor:
        """Masked input (B, D') to (B, n_d + n_a)."""
        linears, norms = [*shared, *self.own], [*self.shared_norms, *self.own_norms]
        x = nn.functional.glu(norms[0](linears[0](x)), dim=1)
        for linear, norm in zip(linears[1:], norms[1:], strict=True):
            x = (x + nn.functional.glu(norm(linear(x)), dim=1)) * math.sqrt(0.5)  # keeps the variance
        return x


def _norm(config: TabNetConfig, width: int) -> nn.Module:
    return inner_norm(
        config.normalisation, width, momentum=config.momentum, virtual_batch_size=config.virtual_batch_size
    )


def _plain_linear(inputs: int, outputs: int) -> nn.Linear:
    linear = nn.Linear(inputs, outputs, bias=False)
    nn.init.xavier_normal_(linear.weight, gain=math.sqrt((inputs + outputs) / math.sqrt(4 * inputs)))
    return linear


def _glu_linear(inputs: int, outputs: int) -> nn.Linear:
    """To twice the outputs: half are values, half are their gates."""
    linear = nn.Linear(inputs, 2 * outputs, bias=False)
    nn.init.xavier_normal_(linear.weight, gain=math.sqrt((inputs + 2 * outputs) / math.sqrt(inputs)))
    return linear
