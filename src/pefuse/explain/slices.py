"""The figure of one scan: the slices where the heat is, in two windows, the heat over them with its scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pefuse.ct import windowed
from pefuse.storage import atomic_file

__all__ = ["draw_slices", "hot_slices"]

WINDOWS_HU = {"mediastinal": (-135.0, 215.0), "lung": (-1250.0, 250.0)}
COLOURS = "inferno"
SHOWN = 4
WIDTH_IN = 1.35  # of a slice: small, so that the words are large beside it
LEAST_SHOWN = 0.15  # of the hottest voxel: fainter heat is left out, and what is left is seen through
MOST_OPAQUE = 0.5
DPI = 170
INK, MUTED = "#1b2430", "#5b6675"


def hot_slices(heat: NDArray[np.float32], *, count: int = SHOWN, apart: int | None = None) -> list[int]:
    """Axial slices with the most heat, from the feet up, no two closer than `apart`.

    By default that is a sixteenth of the scan. Without any heat they are spread evenly.
    """
    slices = len(heat)
    gap = max(1, slices // 16) if apart is None else apart
    along = heat.sum(axis=(1, 2))
    if not along.any():
        return [round((place + 0.5) * slices / count) for place in range(count)]
    chosen: list[int] = []
    for place in np.argsort(-along, kind="stable").tolist():
        if len(chosen) < count and along[place] > 0 and all(abs(place - other) >= gap for other in chosen):
            chosen.append(place)
    return sorted(chosen)


def draw_slices(
    path: Path,
    hu: NDArray[np.int16] | NDArray[np.float32],
    heat: NDArray[np.float32],
    slices: list[int],
    *,
    spacing_mm: tuple[float, float, float],
    occlusion: NDArray[np.float32] | None = None,
    note: str = "",
) -> None:
    """Write a PNG: a row a window, a column a slice, and the heat's colour scale; occlusion has a row of its own.

    Slices are shown as a radiologist sees them: from the feet, the patient's right on the left.

    Args:
        hu: `(Z, Y, X)`.
        heat, occlusion: the same shape, not negative; each is shown as a share of its own maximum.
        slices: indices along Z.
        spacing_mm: along `(Z, Y, X)`, for the slices' proportions and heights.
        note: a line below, such as that the scan is simulated.

    Raises:
        StorageError: the disk is full.
    """
    rows = [(name, window, heat) for name, window in WINDOWS_HU.items()]
    if occlusion is not None:
        rows.append(("occlusion", WINDOWS_HU["mediastinal"], occlusion))
    tall = WIDTH_IN * hu.shape[1] * spacing_mm[1] / (hu.shape[2] * spacing_mm[2])
    figure = Figure(
        figsize=(WIDTH_IN * len(slices) + 0.75, len(rows) * (tall + 0.1) + 0.45), layout="constrained", dpi=DPI
    )
    figure.patch.set_facecolor("white")
    grid = figure.subplots(len(rows), len(slices), squeeze=False)
    for line, (name, window, values) in zip(grid, rows, strict=True):
        for axes, place in zip(line, slices, strict=True):
            _draw_slice(axes, windowed(hu[place], window_hu=window), _shares(values)[place], spacing_mm)
        line[0].set_ylabel(name, fontsize=7, color=INK)
    for axes, place in zip(grid[0], slices, strict=True):
        axes.set_title(f"{place * spacing_mm[0]:.0f} mm", fontsize=7, color=INK, pad=3)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), COLOURS),
        ax=grid.ravel().tolist(),
        fraction=0.03,
        pad=0.01,
        ticks=[0, 0.5, 1],
    )
    bar.set_label("heat / hottest voxel", fontsize=7, color=INK)
    bar.ax.tick_params(labelsize=7, colors=MUTED)
    told = ["mm above the lowest slice", *([note] if note else [])]
    figure.supxlabel(". ".join(told), fontsize=7, color=MUTED)
    with atomic_file(path) as partial:
        canvas: Any = FigureCanvasAgg(figure)  # untyped in matplotlib
        canvas.print_png(str(partial), pil_kwargs={"optimize": True})


def _shares(values: NDArray[np.float32]) -> NDArray[np.float32]:
    most = float(values.max())
    return values / np.float32(most) if most > 0 else values


def _draw_slice(
    axes: Axes, grey: NDArray[np.float32], shares: NDArray[np.float32], spacing_mm: tuple[float, float, float]
) -> None:
    """One axial slice `(Y, X)` in grey, 0 to 1, under its heat, 0 to 1."""
    aspect = spacing_mm[1] / spacing_mm[2]
    axes.imshow(grey, cmap="gray", vmin=0, vmax=1, aspect=aspect, interpolation="nearest")
    opacity = np.where(shares >= LEAST_SHOWN, MOST_OPAQUE * np.sqrt(shares), 0.0)
    axes.imshow(shares, cmap=COLOURS, vmin=0, vmax=1, alpha=opacity, aspect=aspect, interpolation="bilinear")
    axes.set_xticks([])
    axes.set_yticks([])
    for edge in axes.spines.values():
        edge.set_visible(False)
    axes.text(0.02, 0.5, "R", color="white", fontsize=7, transform=axes.transAxes, va="center")
