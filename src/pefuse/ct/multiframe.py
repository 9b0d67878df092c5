"""Enhanced CT: one file holds many slices, and what a plain file says of its one stands in functional groups.

A group is given for each frame, or once for all of them (PS3.3 C.7.6.16); what a legacy converter found no group
for lies in groups of its own, under the plain names (PS3.3 C.7.6.16.2.25).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pydicom

from pefuse.ct.slices import PixelPlace, SliceHeader
from pefuse.ct.values import integer, number, numbers, text, texts

__all__ = ["frame_headers"]

_Value = TypeVar("_Value")
_UNASSIGNED = ("UnassignedPerFrameConvertedAttributesSequence", "UnassignedSharedConvertedAttributesSequence")
MAX_FRAMES = 20_000  # 2 m at 0.1 mm; a crafted header could ask for any number


def frame_headers(dataset: pydicom.Dataset, whole: SliceHeader) -> list[SliceHeader]:
    """One header a frame, in the file's order; `whole` alone where there is no group for each frame.

    Args:
        dataset: the file without its pixels.
        whole: what the file says outside of the groups.
    """
    frames = _items(dataset, "PerFrameFunctionalGroupsSequence")
    if len(frames) != whole.frames or whole.frames > MAX_FRAMES:
        return [whole]
    shared = _items(dataset, "SharedFunctionalGroupsSequence")[:1]
    return [_frame_header([frame, *shared], dataset, whole, index) for index, frame in enumerate(frames)]


def _frame_header(
    groups: Sequence[pydicom.Dataset], dataset: pydicom.Dataset, whole: SliceHeader, index: int
) -> SliceHeader:
    def found(sequences: Sequence[str], keyword: str, read: Callable[[pydicom.Dataset, str], _Value]) -> _Value:
        """From the frame's own group, else from all frames', else from where a converter left it."""
        items = (item for name in (*sequences, *_UNASSIGNED) for group in groups for item in _items(group, name))
        held = next((item for item in items if keyword in item), dataset)
        return read(held, keyword)

    image_type = found(("CTImageFrameTypeSequence",), "FrameType", texts) or list(whole.image_type)
    return replace(
        whole,
        frame=index,
        acquisition=found(("FrameContentSequence",), "FrameAcquisitionNumber", integer)
        or found((), "AcquisitionNumber", integer),
        image_type=tuple(word.upper() for word in image_type),
        kernel=found(("CTReconstructionSequence",), "ConvolutionKernel", text),
        contrast_agent=found((), "ContrastBolusAgent", text) or _agent(dataset),
        position_mm=found(("PlanePositionSequence",), "ImagePositionPatient", _three),
        orientation=found(("PlaneOrientationSequence",), "ImageOrientationPatient", _six),
        pixel_spacing_mm=found(("PixelMeasuresSequence",), "PixelSpacing", _two),
        gantry_tilt_degrees=found(("CTAcquisitionDetailsSequence",), "GantryDetectorTilt", number),
        slope=found(("PixelValueTransformationSequence",), "RescaleSlope", number),
        intercept=found(("PixelValueTransformationSequence",), "RescaleIntercept", number),
        rescale_type=found(("PixelValueTransformationSequence",), "RescaleType", text).upper(),
        pixels=_frame_place(whole, index),
    )


def _two(dataset: pydicom.Dataset, keyword: str) -> tuple[float, ...] | None:
    return numbers(dataset, keyword, 2)


def _three(dataset: pydicom.Dataset, keyword: str) -> tuple[float, ...] | None:
    return numbers(dataset, keyword, 3)


def _six(dataset: pydicom.Dataset, keyword: str) -> tuple[float, ...] | None:
    return numbers(dataset, keyword, 6)


def _items(dataset: pydicom.Dataset, keyword: str) -> Sequence[pydicom.Dataset]:
    if keyword not in dataset:
        return []
    held: Any = dataset[keyword].value
    return list(held or [])


def _agent(dataset: pydicom.Dataset) -> str:
    return next((text(item, "CodeMeaning") for item in _items(dataset, "ContrastBolusAgentSequence")), "")


def _frame_place(whole: SliceHeader, index: int) -> PixelPlace | None:
    """Of uncompressed frames, which lie one after another; compressed ones are found by the decoder."""
    place = whole.pixels
    if place is None or place.length == 0:
        return place
    frame_bytes = whole.rows * whole.columns * whole.samples * whole.bits_allocated // 8
    held = place.whole and (index + 1) * frame_bytes <= place.length
    return PixelPlace(offset=place.offset + index * frame_bytes, length=frame_bytes, whole=held)
