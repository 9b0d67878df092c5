"""A voxel grid on which soft-edged solids are painted in the body's own coordinates.

The body's frame is LPS in mm of a reference person: x to the left, y to the back, z to the head, the carina at 0.
The `Pose` says how the body lies in the scanner. Every solid is a signed distance (negative inside) evaluated only
on the box of voxels around it; its edge is one voxel wide, which stands for the partial volume of real scans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "Canvas", "FloatArray", "Grid", "Point", "Pose"]

FloatArray = NDArray[np.float32]
Point = tuple[float, float, float]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Regular voxel centres in the scanner's LPS mm; every triple is in array order `(Z, Y, X)`."""

    shape: tuple[int, int, int]
    spacing_mm: Point
    origin_mm: Point  # centre of voxel (0, 0, 0)

    def axis_mm(self, axis: int) -> FloatArray:
        """Voxel centres along one array axis, mm."""
        steps = np.arange(self.shape[axis]) * self.spacing_mm[axis] + self.origin_mm[axis]
        return steps.astype(np.float32)

    @property
    def affine(self) -> NDArray[np.float64]:
        """`(4, 4)`: index `(z, y, x, 1)` to LPS millimetres `(x, y, z, 1)`."""
        affine = np.zeros((4, 4))
        for axis in range(3):
            affine[2 - axis, axis] = self.spacing_mm[axis]
            affine[2 - axis, 3] = self.origin_mm[axis]
        affine[3, 3] = 1.0
        return affine

    def slab(self, start: int, stop: int) -> Grid:
        """The slices `start` to `stop` (not included) as a grid of their own."""
        z, y, x = self.origin_mm
        return Grid(
            shape=(stop - start, *self.shape[1:]),
            spacing_mm=self.spacing_mm,
            origin_mm=(z + start * self.spacing_mm[0], y, x),
        )


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How the body lies in the scanner: mm times `scale`, turned about Z, then moved by `shift_mm` (x, y, z)."""

    scale: float
    turn_rad: float
    shift_mm: Point


class Canvas:
    """HU and labels of one grid, painted solid by solid; later paint covers earlier paint.

    Attributes:
        hu: `(Z, Y, X)` float32, starts as air.
        labels: `(Z, Y, X)` uint8, 0 where nothing is labelled.
        x, y: `(Y, X)` body coordinates of the voxel columns, mm.
        z: `(Z, 1, 1)` body height of the slices, mm.
    """

    def __init__(self, grid: Grid, pose: Pose, *, air_hu: float) -> None:
        self.grid = grid
        self.pose = pose
        self.hu: FloatArray = np.full(grid.shape, air_hu, np.float32)
        self.labels: NDArray[np.uint8] = np.zeros(grid.shape, np.uint8)
        cosine, sine = np.cos(pose.turn_rad), np.sin(pose.turn_rad)
        across = (grid.axis_mm(2) - pose.shift_mm[0])[None, :] / pose.scale
        deep = (grid.axis_mm(1) - pose.shift_mm[1])[:, None] / pose.scale
        self.x: FloatArray = (cosine * across + sine * deep).astype(np.float32)
        self.y: FloatArray = (cosine * deep - sine * across).astype(np.float32)
        self.z: FloatArray = ((grid.axis_mm(0) - pose.shift_mm[2]) / pose.scale).astype(np.float32)[:, None, None]
        self.edge_mm = float(grid.spacing_mm[2] / pose.scale)

    def box(self, low: Point, high: Point, *, margin_mm: float = 0.0) -> Box | None:
        """The voxels that may lie between two corners (x, y, z) of the body's frame; None if there are none."""
        margin = margin_mm + self.edge_mm
        middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
        half = [abs(b - a) / 2 + margin for a, b in zip(low, high, strict=True)]
        cosine, sine = np.cos(self.pose.turn_rad), np.sin(self.pose.turn_rad)
        centre = (cosine * middle[0] - sine * middle[1], sine * middle[0] + cosine * middle[1], middle[2])
        reach = (
            abs(cosine) * half[0] + abs(sine) * half[1],
            abs(sine) * half[0] + abs(cosine) * half[1],
            half[2],
        )
        slices = []
        for axis in range(3):
            at = centre[2 - axis] * self.pose.scale + self.pose.shift_mm[2 - axis]
            extent = reach[2 - axis] * self.pose.scale
            spacing, origin = self.grid.spacing_mm[axis], self.grid.origin_mm[axis]
            start = max(int(np.ceil((at - extent - origin) / spacing)), 0)
            stop = min(int(np.floor((at + extent - origin) / spacing)) + 1, self.grid.shape[axis])
            if start >= stop:
                return None
            slices.append(slice(start, stop))
        return slices[0], slices[1], slices[2]

    def coverage(self, distance_mm: FloatArray) -> FloatArray:
        """How much of each voxel lies inside, 0 to 1, from its signed distance. Overwrites `distance_mm`."""
        distance_mm *= np.float32(-1.0 / self.edge_mm)
        distance_mm += np.float32(0.5)
        return np.clip(distance_mm, 0.0, 1.0, out=distance_mm)

    def blend(self, box: Box, coverage: FloatArray, hu: float | FloatArray, *, label: int | None = None) -> None:
        """Mix `hu` into the box by `coverage`; `label` (0 clears) is set where more than half is covered."""
        view = self.hu[box]
        view += coverage * (hu - view)
        if label is not None:
            self.labels[box][coverage > 0.5] = label

    def ellipsoid_mm(self, box: Box, centre: Point, radii: Point, *, turn_rad: float = 0.0) -> FloatArray:
        """Signed distance (near the surface) to an ellipsoid, turned about Z by `turn_rad`."""
        x, y, z = self.local(box, centre)
        if turn_rad:
            cosine, sine = np.float32(np.cos(turn_rad)), np.float32(np.sin(turn_rad))
            x, y = cosine * x + sine * y, cosine * y - sine * x
        plane = (x / np.float32(radii[0])) ** 2 + (y / np.float32(radii[1])) ** 2
        radius: FloatArray = np.sqrt(plane[None] + (z / np.float32(radii[2])) ** 2)
        radius -= np.float32(1.0)
        radius *= np.float32(np.cbrt(radii[0] * radii[1] * radii[2]))
        return radius

    def ellipsoid(
        self,
        centre: Point,
        radii: Point,
        hu: float,
        *,
        turn_rad: float = 0.0,
        grow_mm: float = 0.0,
        label: int | None = None,
    ) -> None:
        """Paint an ellipsoid, grown by `grow_mm` on all sides."""
        radii = (radii[0] + grow_mm, radii[1] + grow_mm, radii[2] + grow_mm)
        wide = max(radii[:2]) if turn_rad else 0.0
        reach = (max(radii[0], wide), max(radii[1], wide), radii[2])
        box = self.box(_minus(centre, reach), _plus(centre, reach))
        if box is not None:
            self.blend(
                box, self.coverage(self.ellipsoid_mm(box, centre, radii, turn_rad=turn_rad)), hu, label=label
            )

    def cone_mm(self, box: Box, start: Point, end: Point, start_mm: float, end_mm: float) -> FloatArray:
        """Signed distance to a rounded cone: the tube between two points with a radius at each."""
        x, y, z = self.local(box, start)
        along = np.subtract(end, start).astype(np.float32)
        length = float(along @ along) or 1e-6
        part: FloatArray = (x * along[0] + y * along[1])[None] + z * along[2]  # times length
        nearest = np.clip(part / np.float32(length), 0.0, 1.0)
        distance: FloatArray = (x * x + y * y)[None] + z * z
        distance -= nearest * (np.float32(2.0) * part - nearest * np.float32(length))
        np.sqrt(np.maximum(distance, 0.0, out=distance), out=distance)
        distance -= np.float32(start_mm) + nearest * np.float32(end_mm - start_mm)
        return distance

    def tube_box(self, start: Point, end: Point, radius_mm: float) -> Box | None:
        """The voxels around a piece of tube."""
        low = (min(start[0], end[0]), min(start[1], end[1]), min(start[2], end[2]))
        high = (max(start[0], end[0]), max(start[1], end[1]), max(start[2], end[2]))
        return self.box(low, high, margin_mm=radius_mm)

    def tube(
        self,
        points: Sequence[Point],
        radii_mm: Sequence[float],
        hu: float,
        *,
        grow_mm: float = 0.0,
        label: int | None = None,
    ) -> None:
        """Paint a tube through `points`; thinner than a voxel, it is painted by the share that it fills."""
        for start, end, start_mm, end_mm in zip(points, points[1:], radii_mm, radii_mm[1:], strict=False):
            box = self.tube_box(start, end, max(start_mm, end_mm) + grow_mm)
            if box is None:
                continue
            inside = self.coverage(self.cone_mm(box, start, end, start_mm + grow_mm, end_mm + grow_mm))
            thickness = (start_mm + end_mm + 2 * grow_mm) / self.edge_mm
            if thickness < 1.0:
                inside *= np.float32(thickness)
            self.blend(box, inside, hu, label=label)

    def local(self, box: Box, origin: Point) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Body coordinates in the box relative to `origin`: x and y `(Y, X)`, z `(Z, 1, 1)`."""
        plane = box[1:]
        return (
            self.x[plane] - np.float32(origin[0]),
            self.y[plane] - np.float32(origin[1]),
            self.z[box[0]] - np.float32(origin[2]),
        )


def _plus(a: Point, b: Point) -> Point:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _minus(a: Point, b: Point) -> Point:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]
