"""How TabNet's inner activations are normalised, and what each way needs of a batch.

| name        | training statistics                                 | smallest training batch |
| ----------- | --------------------------------------------------- | ----------------------- |
| ghost-batch | each run of `virtual_batch_size` rows on its own     | 2                       |
| batch       | the whole batch                                     | 2                       |
| renorm      | the batch's, corrected towards the running ones     | 2                       |
| frozen      | the running ones, as in evaluation; never updated   | 1                       |
| layer       | each row on its own; nothing is stored              | 1                       |

At a batch of 2 plain batch statistics make every activation +1 or -1: magnitude is lost in training while
evaluation, on running statistics, has it. That is why the others are here. The first four share parameter names,
so a network trained with one can go on with another.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pefuse.errors import UsageError

__all__ = ["ColumnAffine", "Normalisation", "RowNorm", "column_norm", "inner_norm"]

Normalisation = Literal["ghost-batch", "batch", "renorm", "frozen", "layer"]


def inner_norm(kind: Normalisation, width: int, *, momentum: float, virtual_batch_size: int) -> nn.Module:
    """A normalisation of `(B, width)` activations within the network."""
    if kind == "ghost-batch":
        return GhostBatchNorm(width, momentum=momentum, virtual_batch_size=virtual_batch_size)
    if kind == "layer":
        return RowNorm(width)
    return _STATISTICS[kind](width, momentum=momentum)


def column_norm(kind: Normalisation, width: int, *, momentum: float) -> nn.Module:
    """A normalisation of the `(B, width)` input columns, which mean different things.

    With `layer` it is a learned scale and shift a column: a mean over a patient's sodium and age says nothing, and
    the columns arrive standardised.
    """
    if kind == "layer":
        return ColumnAffine(width)
    return _STATISTICS["batch" if kind == "ghost-batch" else kind](width, momentum=momentum)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that says what is wrong with a training batch of one."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            _refuse_single_row(x)
        return super().forward(x)


class GhostBatchNorm(BatchNorm):
    """Batch normalisation over small parts of the batch (Hoffer et al. 2017, arXiv 1705.08741)."""

    def __init__(self, width: int, *, momentum: float, virtual_batch_size: int) -> None:
        super().__init__(width, momentum=momentum)
        self.virtual_batch_size = virtual_batch_size

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or len(x) <= self.virtual_batch_size:
            return super().forward(x)
        return torch.cat([super(GhostBatchNorm, self).forward(part) for part in self._parts(x)])

    def _parts(self, x: Tensor) -> list[Tensor]:
        """Near-equal parts of at most `virtual_batch_size` rows; a lone last row joins the part before it."""
        parts = list(x.chunk(math.ceil(len(x) / self.virtual_batch_size)))
        if len(parts[-1]) == 1:
            parts[-2:] = [torch.cat(parts[-2:])]
        return parts


class FrozenBatchNorm(nn.BatchNorm1d):
    """The running statistics, in training too: for joint training from an encoder trained with larger batches."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class BatchRenorm(nn.BatchNorm1d):
    """Batch statistics corrected towards the running ones, so that training sees what evaluation will see.

    Ioffe 2017, arXiv 1702.03275: `r` and `d` are constants to the gradient. Their bounds open from 1 and 0 (plain
    batch normalisation) to 3 and 5 over the first `OPENING` batches, while the running statistics settle.
    """

    OPENING = 200
    MOST_R, MOST_D = 3.0, 5.0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        _refuse_single_row(x)
        r, d = self._correction(x)
        self._count(x)
        plain = functional.batch_norm(x, None, None, training=True, eps=self.eps)
        return torch.addcmul(self.bias, plain * r + d, self.weight)

    @torch.no_grad()
    def _correction(self, x: Tensor) -> tuple[Tensor, Tensor]:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        opened = min(1.0, float(self.num_batches_tracked) / self.OPENING)
        most_r, most_d = 1 + (self.MOST_R - 1) * opened, self.MOST_D * opened
        deviation = (self.running_var + self.eps).sqrt()
        r = (x.var(dim=0, unbiased=False) + self.eps).sqrt() / deviation
        d = (x.mean(dim=0) - self.running_mean) / deviation
        return r.clamp(1 / most_r, most_r), d.clamp(-most_d, most_d)

    @torch.no_grad()
    def _count(self, x: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(x.mean(dim=0), self.momentum)
        self.running_var.lerp_(x.var(dim=0, unbiased=True), self.momentum)
        self.num_batches_tracked.add_(1)


class RowNorm(nn.LayerNorm):
    """Layer normalisation of each row."""


class ColumnAffine(nn.Module):
    """A learned scale and shift for each column."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, x, self.weight)


def _refuse_single_row(x: Tensor) -> None:
    if len(x) < 2:
        raise UsageError(
            "A training batch of one row cannot be batch-normalised: drop a last batch of one, "
            "or set normalisation to 'layer' or 'frozen'."
        )


_STATISTICS: dict[str, type[nn.BatchNorm1d]] = {
    "batch": BatchNorm,
    "frozen": FrozenBatchNorm,
    "renorm": BatchRenorm,
}
