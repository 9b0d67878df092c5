"""Pictures in the page: whole, and within their share of it."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from matplotlib.image import imread, imsave

from pefuse.report.pictures import is_whole_png, picture_uris


def png(height, width, *, seed=0):
    file = io.BytesIO()
    imsave(file, np.random.default_rng(seed).random((height, width)), cmap="gray", format="png")
    return file.getvalue()


def drawn(uri):
    kind, data = str(uri).removeprefix("data:image/").split(";base64,")
    return kind, imread(io.BytesIO(base64.b64decode(data)), format=kind)


def test_pictures_that_fit_stay_as_they_are():
    pictures = [png(20, 30), png(20, 30, seed=1)]

    uris = picture_uris(pictures, most_bytes=sum(map(len, pictures)))

    assert [base64.b64decode(uri.split(",")[1]) for uri in uris] == pictures


def test_pictures_that_do_not_fit_become_jpegs_of_the_same_size():
    picture = png(200, 300)

    [(kind, pixels)] = map(drawn, picture_uris([picture], most_bytes=len(picture) - 1))

    assert kind == "jpeg"
    assert pixels.shape[:2] == (200, 300)


@pytest.mark.parametrize("share", [4, 16, 100])
def test_then_they_become_smaller_until_they_fit(share):
    pictures = [png(200, 300), png(400, 100, seed=1)]
    most = sum(map(len, pictures)) // share

    uris = picture_uris(pictures, most_bytes=most)

    assert sum(len(base64.b64decode(uri.split(",")[1])) for uri in uris) <= most
    assert len(uris) == 2


def test_what_cannot_become_small_enough_is_still_a_picture():
    """A JPEG's header alone takes hundreds of bytes."""
    [(_, pixels)] = map(drawn, picture_uris([png(9, 9)], most_bytes=10))

    assert pixels.size > 0


def test_no_pictures_are_no_work():
    assert picture_uris([], most_bytes=0) == []


@pytest.mark.parametrize("content", [b"", b"GIF89a", png(20, 30)[:8], png(20, 30)[:200], b"x" + png(20, 30)])
def test_what_is_no_whole_png_is_known(content):
    assert not is_whole_png(content)


def test_a_whole_png_is_known():
    assert is_whole_png(png(20, 30))
