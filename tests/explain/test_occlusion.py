"""Occlusion: hiding what the risk rests on lowers it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pefuse.errors import UsageError
from pefuse.explain.occlusion import occlusion_map


def bright(image, features):
    """The logit is what is bright in one corner of 4³ voxels."""
    return image[:, 0, 2:6, 2:6, 2:6].sum(dim=(1, 2, 3))


def test_the_heat_lies_where_the_logit_comes_from():
    image = torch.zeros(1, 1, 16, 16, 16)
    image[0, 0, 2:6, 2:6, 2:6] = 1.0

    heat = occlusion_map(bright, image, None, cubes=8)[0]

    # Within a step of two voxels: what lies beside the bright corner is hidden along with it.
    assert all(0 <= place < 8 for place in np.unravel_index(heat.argmax(), heat.shape))
    assert heat[2:6, 2:6, 2:6].mean() > 4 * heat.mean()
    assert not heat[12:, 12:, 12:].any()


def test_hiding_what_speaks_against_death_counts_nothing():
    image = torch.zeros(1, 1, 16, 16, 16)
    image[0, 0, 2:6, 2:6, 2:6] = 1.0

    assert not occlusion_map(lambda x, _: -bright(x, _), image, None, cubes=4).any()


def test_a_plain_scan_has_no_heat():
    """Blurring what is the same everywhere hides nothing."""
    image = torch.full((1, 1, 16, 16, 16), 0.5)

    assert occlusion_map(bright, image, None, cubes=4) == pytest.approx(0, abs=1e-4)


def test_each_case_keeps_its_own_features():
    """The second case's features switch its logit off."""
    image = torch.rand(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    features = np.array([[1.0], [0.0]], np.float32)

    heat = occlusion_map(lambda x, f: bright(x, f) * torch.from_numpy(f[:, 0]), image, features, cubes=2)

    assert heat[0].any()
    assert not heat[1].any()


def test_one_cube_alone_is_refused():
    with pytest.raises(UsageError, match="at least 2 cubes"):
        occlusion_map(bright, torch.zeros(1, 1, 16, 16, 16), None, cubes=1)
