"""What every fitted reduction is: a layer without weights to train, whose numbers come from the training fold.

It is fitted once on the training rows and then maps any row, new cases included, by that row alone. What it
learned are buffers, so it is saved and restored with the network it stands in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pefuse.errors import UsageError
from pefuse.models.config import ModelConfig

__all__ = ["MOST_ROWS", "Array", "Reduction", "ReductionConfig", "spread_rows"]

Array = NDArray[np.float64]

# MLLE and spectral embedding solve an eigenproblem of rows × rows and keep the rows: more would cost minutes and
# gigabytes, and the shape of a cloud in so few dimensions is known from fewer.
MOST_ROWS = 2000


@dataclass(frozen=True, kw_only=True)
class ReductionConfig(ModelConfig):
    """Options of all reductions; each reads its own. The paper names the methods without any setting."""

    components: int = 16  # numbers that are kept
    sparsity: float = 1.0  # sparse PCA: weight of the loadings' absolute values against the rows' squared error
    shift: bool = True  # NMF: take each column's training minimum off, so that nothing is negative
    neighbours: int = 20  # MLLE: rows that a row is put together from

    def __post_init__(self) -> None:
        for name in ("components", "neighbours"):
            if getattr(self, name) < 1:
                raise UsageError(f"Reduction: {name} is {getattr(self, name)}; it must be at least 1.")
        if not self.sparsity > 0:
            raise UsageError(f"Reduction: sparsity is {self.sparsity:g}; it must be above 0.")


class Reduction(nn.Module):
    """Rows of `input_dim` numbers to rows of `config.components`.

    `rows` is how many training rows it will be fitted on: some keep them.
    """

    passes_gradient: ClassVar[bool] = False  # whether a loss behind it reaches what lies before
    title: ClassVar[str]

    def __init__(self, config: ReductionConfig, *, input_dim: int, rows: int) -> None:
        super().__init__()
        self.config = config
        self.input_dim = input_dim
        self.rows = min(rows, MOST_ROWS)

    def fit(self, values: NDArray[Any]) -> Self:
        """Learn from the training fold's rows (N, D); returns itself.

        Raises:
            UsageError: more components than rows or columns, or rows that the method cannot take.
        """
        values = self._checked(values)
        for name, learned in self._fit(values, self.config.components).items():
            self.get_buffer(name).copy_(torch.from_numpy(np.array(learned, dtype=np.float64, order="C")))
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Rows (B, D) to (B, K), each by itself."""
        if next(self.buffers()).isnan().any():
            raise UsageError(
                f"The fusion's {self.title} is not fitted: call fit with the training fold's rows first."
            )
        return self._map(x)

    def _fit(self, values: Array, components: int) -> dict[str, Array]:
        """What was learned from rows (N, D), by buffer."""
        raise NotImplementedError

    def _map(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _keep(self, **shapes: tuple[int, ...]) -> None:
        """Room for what will be learned: NaN until then, so that a fit that was forgotten cannot pass for one."""
        for name, shape in shapes.items():
            self.register_buffer(name, torch.full(shape, torch.nan))

    def _checked(self, values: NDArray[Any]) -> Array:
        rows = np.asarray(values, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.input_dim:
            raise UsageError(
                f"{self.title} needs rows of {self.input_dim} columns; it was given shape {rows.shape}."
            )
        if broken := int((~np.isfinite(rows)).any(axis=1).sum()):
            raise UsageError(
                f"{broken} of {len(rows)} rows to reduce hold a value that is not finite: check the encoder."
            )
        most = min(rows.shape)
        if self.config.components > most:
            raise UsageError(
                f"{self.title}: {self.config.components} components are wanted, but {rows.shape[0]} training rows "
                f"of {rows.shape[1]} columns have at most {most}: set components to that or less."
            )
        return rows


def spread_rows(values: Array, count: int) -> Array:
    """`count` of the rows (all, if there are no more), evenly over the training fold's order."""
    chosen: Array = values[np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int)]
    return chosen
