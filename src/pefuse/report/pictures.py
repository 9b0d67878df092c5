"""Pictures made elsewhere, as they stand in the page: data URIs, smaller where they would take too much."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.image import imread, imsave
from numpy.typing import NDArray

__all__ = ["is_whole_png", "picture_uris"]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_QUALITY = 85  # letters and small vessels stay; a third of a grey PNG with noise


def is_whole_png(content: bytes) -> bool:
    """Whether a PNG can be drawn to its last line."""
    try:
        return content.startswith(_PNG) and _pixels(content).size > 0
    except (OSError, ValueError, SyntaxError):  # Pillow says of a damaged file that its syntax is wrong
        return False


def picture_uris(pictures: Sequence[bytes], *, most_bytes: int) -> list[Markup]:
    """PNGs as data URIs; as JPEG, and then ever smaller, until they take at most `most_bytes` together."""
    if sum(map(len, pictures)) <= most_bytes:
        return [_uri(picture, "png") for picture in pictures]
    pixels = [_pixels(picture) for picture in pictures]
    smaller = [_jpeg(picture) for picture in pixels]
    while sum(map(len, smaller)) > most_bytes and max(min(picture.shape[:2]) for picture in pixels) > 1:
        pixels = [picture[::2, ::2] for picture in pixels]
        smaller = [_jpeg(picture) for picture in pixels]
    return [_uri(picture, "jpeg") for picture in smaller]


def _pixels(png: bytes) -> NDArray[np.float32]:
    pixels: NDArray[np.float32] = imread(io.BytesIO(png), format="png")
    return pixels


def _jpeg(pixels: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    imsave(file, pixels, format="jpeg", cmap="gray", pil_kwargs={"quality": _JPEG_QUALITY, "optimize": True})
    return file.getvalue()


def _uri(picture: bytes, kind: str) -> Markup:
    return Markup(f"data:image/{kind};base64,{base64.b64encode(picture).decode()}")
