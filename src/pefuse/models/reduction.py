"""Fewer dimensions before the fusion's classifier: every way of it, by name.

A reducer is fitted on the training fold alone and then fixed. To add one: a class with the methods of `Reducer`,
and a line in `REDUCERS`. A reducer that is a linear map has `as_linear` too, and can then stand inside a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import nn

from pefuse.errors import UsageError
from pefuse.models.config import ModelConfig, config_from_json, config_to_json

__all__ = [
    "REDUCERS",
    "LinearReducer",
    "NoReduction",
    "NoReductionConfig",
    "PcaConfig",
    "PcaReduction",
    "Reducer",
    "make_reducer",
    "reducer_from_state",
]

Array = NDArray[np.float64]


class Reducer(Protocol):
    """Something that is fitted on training rows and then maps any row to fewer numbers."""

    name: ClassVar[str]

    @property
    def output_dim(self) -> int:
        """K, known once fitted."""

    def fit(self, values: NDArray[Any]) -> Self:
        """Learn from the training fold's rows (N, D); returns itself."""

    def transform(self, values: NDArray[Any]) -> Array:
        """Rows (N, D) to (N, K)."""

    def config_json(self) -> dict[str, Any]:
        """The options, for JSON."""

    def arrays(self) -> dict[str, Array]:
        """What was learned, for safetensors."""

    @classmethod
    def restore(cls, config: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """The fitted reducer from its `config_json` and `arrays`."""


@runtime_checkable
class LinearReducer(Protocol):
    """A reducer that is one matrix and one shift."""

    def as_linear(self) -> nn.Linear:
        """The same map as a layer (float32), fixed: it asks for no gradient."""


@dataclass(frozen=True, kw_only=True)
class NoReductionConfig(ModelConfig):
    """No options."""


class NoReduction:
    """Everything as it is."""

    name: ClassVar[str] = "none"

    def __init__(self, config: NoReductionConfig | None = None) -> None:
        self.config = config or NoReductionConfig()
        self._width: int | None = None

    @property
    def output_dim(self) -> int:
        if self._width is None:
            raise UsageError("The reduction is not fitted yet: call fit with the training fold's rows first.")
        return self._width

    def fit(self, values: NDArray[Any]) -> Self:
        self._width = _checked(values).shape[1]
        return self

    def transform(self, values: NDArray[Any]) -> Array:
        return _checked(values, width=self.output_dim)

    def as_linear(self) -> nn.Linear:
        return _fixed_linear(np.eye(self.output_dim), np.zeros(self.output_dim))

    def config_json(self) -> dict[str, Any]:
        return config_to_json(self.config)

    def arrays(self) -> dict[str, Array]:
        return {"width": np.array([self.output_dim], dtype=np.float64)}

    @classmethod
    def restore(cls, config: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        reducer = cls(config_from_json(NoReductionConfig, dict(config)))
        reducer._width = int(arrays["width"][0])
        return reducer


@dataclass(frozen=True, kw_only=True)
class PcaConfig(ModelConfig):
    """Keep a number of components, or (below 1) as many as explain that share of the variance.

    The paper does not say how many it keeps. `most` bounds a share's number.
    """

    components: int | float = 0.95
    most: int | None = None

    def __post_init__(self) -> None:
        share = isinstance(self.components, float)
        if not (0 < self.components < 1 if share else self.components >= 1):
            raise UsageError(
                f"PCA: components is {self.components}; give a whole number from 1, or a share of the variance "
                "between 0 and 1."
            )
        if self.most is not None and self.most < 1:
            raise UsageError(f"PCA: most is {self.most}; it must be at least 1.")


class PcaReduction:
    """Principal components of the training fold's rows."""

    name: ClassVar[str] = "pca"

    def __init__(self, config: PcaConfig | None = None) -> None:
        self.config = config or PcaConfig()
        self._fitted: dict[str, Array] | None = None

    @property
    def output_dim(self) -> int:
        return len(self.arrays()["components"])

    def fit(self, values: NDArray[Any]) -> Self:
        """Learn from training rows (N, D).

        Raises:
            UsageError: there are fewer rows or columns than components, or a value is not finite.
        """
        values = _checked(values)
        wanted = self.config.components
        if isinstance(wanted, int) and wanted > min(values.shape):
            raise UsageError(
                f"PCA: {wanted} components are wanted, but {values.shape[0]} training rows of {values.shape[1]} "
                f"columns have at most {min(values.shape)}: set components to that or less."
            )
        pca = PCA(n_components=wanted, svd_solver="full").fit(values)
        kept = min(int(pca.n_components_), self.config.most or int(pca.n_components_))
        self._fitted = {
            "mean": pca.mean_.astype(np.float64),  # (D,)
            # In C order: safetensors writes an array in Fortran order as if it were in C order.
            "components": np.array(pca.components_[:kept], dtype=np.float64, order="C"),  # (K, D)
            "explained_share": pca.explained_variance_ratio_[:kept].astype(np.float64),  # (K,)
        }
        return self

    def transform(self, values: NDArray[Any]) -> Array:
        fitted = self.arrays()
        rows = _checked(values, width=len(fitted["mean"]))
        return (rows - fitted["mean"]) @ fitted["components"].T

    def as_linear(self) -> nn.Linear:
        fitted = self.arrays()
        return _fixed_linear(fitted["components"], -fitted["components"] @ fitted["mean"])

    def config_json(self) -> dict[str, Any]:
        return config_to_json(self.config)

    def arrays(self) -> dict[str, Array]:
        if self._fitted is None:
            raise UsageError("The reduction is not fitted yet: call fit with the training fold's rows first.")
        return dict(self._fitted)

    @classmethod
    def restore(cls, config: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        reducer = cls(config_from_json(PcaConfig, dict(config)))
        reducer._fitted = {name: np.asarray(arrays[name], dtype=np.float64) for name in _PCA_ARRAYS}
        return reducer


_PCA_ARRAYS = ("mean", "components", "explained_share")

REDUCERS: dict[str, tuple[type[Reducer], type[ModelConfig]]] = {
    NoReduction.name: (NoReduction, NoReductionConfig),
    PcaReduction.name: (PcaReduction, PcaConfig),
}


def make_reducer(name: str, **options: Any) -> Reducer:
    """The unfitted reducer of that name, e.g. `make_reducer("pca", components=16)`.

    Raises:
        UsageError: no such reducer, or an option it does not have.
    """
    kind, config = _known(name)
    reducer: Reducer = kind(config_from_json(config, options))  # type: ignore[call-arg]
    return reducer


def reducer_from_state(name: str, config: Mapping[str, Any], arrays: Mapping[str, Array]) -> Reducer:
    """The fitted reducer of that name from what its `config_json` and `arrays` gave."""
    return _known(name)[0].restore(config, arrays)


def _known(name: str) -> tuple[type[Reducer], type[ModelConfig]]:
    if name not in REDUCERS:
        raise UsageError(f"There is no reduction named {name!r}: choose one of {', '.join(REDUCERS)}.")
    return REDUCERS[name]


def _checked(values: NDArray[Any], *, width: int | None = None) -> Array:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or (width is not None and rows.shape[1] != width):
        raise UsageError(
            f"A reduction needs rows of {width or 'any number of'} columns; it was given shape {rows.shape}."
        )
    broken = int((~np.isfinite(rows)).any(axis=1).sum())
    if broken:
        raise UsageError(
            f"{broken} of {len(rows)} rows to reduce hold a value that is not finite: check the encoder."
        )
    return rows


def _fixed_linear(weight: Array, bias: Array) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight))
        linear.bias.copy_(torch.from_numpy(bias))
    return linear.requires_grad_(False)
