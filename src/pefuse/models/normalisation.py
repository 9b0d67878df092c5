"""How TabNet's inner activations are normalised, and what each way needs of a batch.

| name        | training statistics                                 | smallest training batch |
| ----------- | --------------------------------------------------- | ----------------------- |
| ghost-batch | each run of `virtual_batch_size` rows on its own     | 2                       |
| batch       | the whole batch                                     | 2                       |
| frozen      | the running ones, as in evaluation; never updated   | 1                       |
| layer       | each row on its own; nothing is stored              | 1                       |

Two rows normalised by their own statistics are +1 and -1 whatever they were: their size is lost, and the gradient
to all that lies before is exactly zero. At the paper's batch of 2 use `frozen` or `layer`. (Batch renormalisation,
Ioffe 2017, arXiv 1702.03275, does not help: its correction is a constant to the gradient, which stays zero.) The
first three share parameter names, so a network trained with one can go on with another.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pefuse.errors import UsageError

__all__ = ["ColumnAffine", "Normalisation", "RowNorm", "column_norm", "inner_norm"]

Normalisation = Literal["ghost-batch", "batch", "frozen", "layer"]


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
        if self.training and len(x) < 2:
            raise UsageError(
                "A training batch of one row cannot be batch-normalised: drop a last batch of one, "
                "or set normalisation to 'layer' or 'frozen'."
            )
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


_STATISTICS: dict[str, type[nn.BatchNorm1d]] = {
    "batch": BatchNorm,
    "frozen": FrozenBatchNorm,
}
