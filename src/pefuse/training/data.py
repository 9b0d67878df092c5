"""Cases as tensors: what a fold's networks are fed with, one batch at a time.

Every batch carries a presence flag for each modality, so a model may one day do with either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pefuse.machine import available_memory_bytes
from pefuse.models.scan_normalisation import ScanNormalisation
from pefuse.training.augmentation import AugmentationConfig, augment, draw_augmentation

__all__ = ["ArrayScans", "Batch", "CaseSource", "ScanArrays"]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Cases of one step. An absent modality is all zeros and its flag False."""

    image: Tensor  # (B, 1, Z, Y, X), normalised, or an embedding (B, E); (B, 0) where the model takes no scan
    ehr: Tensor  # (B, D), scaled, or an embedding (B, E); (B, 0) where the model takes no record
    has_image: Tensor  # (B,) bool
    has_ehr: Tensor  # (B,) bool
    label: Tensor  # (B,) float 0/1

    def fields(self) -> tuple[Tensor, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def of(cls, values: tuple[Tensor, ...]) -> Batch:
        """The batch whose `fields()` these are."""
        return cls(**{field.name: value for field, value in zip(fields(cls), values, strict=True)})

    def to(self, device: torch.device) -> Batch:
        return Batch.of(tuple(value.to(device, non_blocking=True) for value in self.fields()))

    def smoothed(self, amount: float) -> Batch:
        """Labels moved by `amount` towards one half."""
        return replace(self, label=self.label * (1 - 2 * amount) + amount) if amount else self


class ScanArrays(Protocol):
    """Scans by row, as int16 HU `(n, Z, Y, X)`."""

    def load(self, study_ids: list[str]) -> NDArray[np.int16]: ...


class ArrayScans:
    """Prepared scans, held in memory where they fit in a quarter of what is free, else read for each batch."""

    def __init__(self, scans: ScanArrays, study_ids: list[str], *, bytes_each: int) -> None:
        self._scans = scans
        self._row = {study_id: row for row, study_id in enumerate(study_ids)}
        fits = bytes_each * len(study_ids) < available_memory_bytes() / 4
        self._held = scans.load(study_ids) if fits else None

    def load(self, study_ids: list[str]) -> NDArray[np.int16]:
        if self._held is None:
            return self._scans.load(study_ids)
        return self._held[[self._row[study_id] for study_id in study_ids]]


@dataclass(frozen=True, kw_only=True)
class CaseSource:
    """The cases of one part of a fold, in a fixed order.

    `ehr` is `(N, D)` float32 without NaN; its columns `ehr_categories` hold codes. The image is either read from
    `scans`, normalised and augmented, or it is `image_vectors`. Both `ehr` and `image_vectors` may also be what a
    fusion takes of encoders that are not trained any more: vectors `(N, E)` or tokens `(N, T, E)`.
    """

    study_ids: tuple[str, ...]
    labels: NDArray[np.float32]
    ehr: NDArray[np.float32] | None = None
    image_vectors: NDArray[np.float32] | None = None
    scans: ScanArrays | None = None
    normalisation: ScanNormalisation | None = None
    augmentation: AugmentationConfig | None = None
    ehr_categories: tuple[int, ...] = ()
    ehr_dropout: float = 0.0

    def __len__(self) -> int:
        return len(self.study_ids)

    def batch(self, rows: NDArray[np.int64], *, generator: torch.Generator | None = None) -> Batch:
        """The cases of `rows`; augmented when a generator is given and the source says how."""
        count = len(rows)
        image = self._image(rows, generator)
        return Batch(
            image=image,
            ehr=self._ehr(rows, generator),
            has_image=torch.full((count,), image.shape[1] > 0),
            has_ehr=torch.full((count,), self.ehr is not None),
            label=torch.from_numpy(self.labels[rows]),
        )

    def _image(self, rows: NDArray[np.int64], generator: torch.Generator | None) -> Tensor:
        if self.image_vectors is not None:
            return torch.from_numpy(self.image_vectors[rows])
        if self.scans is None or self.normalisation is None:
            return torch.zeros(len(rows), 0)
        image = self.normalisation(self.scans.load([self.study_ids[row] for row in rows]))[:, None]
        if generator is None or self.augmentation is None:
            return image
        return augment(image, draw_augmentation(len(rows), self.augmentation, generator))

    def _ehr(self, rows: NDArray[np.int64], generator: torch.Generator | None) -> Tensor:
        if self.ehr is None:
            return torch.zeros(len(rows), 0)
        ehr = torch.from_numpy(self.ehr[rows])
        if generator is None or not self.ehr_dropout:
            return ehr
        # A hidden column reads as the mean (a number), as not set (a mark) or as none of its levels (a code).
        shown = ehr * (torch.rand(ehr.shape, generator=generator) >= self.ehr_dropout)
        scaled = shown / (1 - self.ehr_dropout)
        for column in self.ehr_categories:
            scaled[:, column] = shown[:, column]
        return scaled

    def batches(self, size: int) -> Iterator[Batch]:
        """All cases in order, not augmented."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))
