"""Windows of HU to 0..1."""

from __future__ import annotations

import numpy as np
import pytest

from pefuse.ct import windowed
from pefuse.errors import UsageError


def test_a_window_maps_its_ends_to_0_and_1():
    hu = np.array([-1000, 100, 250, 400, 700, 3000], np.int16)
    result = windowed(hu, window_hu=(100, 700))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [0, 0, 0.25, 0.5, 1, 1], atol=1e-6)


def test_the_input_is_left_alone():
    hu = np.array([0.0, 500.0], np.float32)
    windowed(hu, window_hu=(0, 100))
    np.testing.assert_array_equal(hu, [0, 500])


@pytest.mark.parametrize("window", [(100, 100), (200, 100), (0, float("nan"))])
def test_an_empty_window_is_refused(window):
    with pytest.raises(UsageError):
        windowed(np.zeros(3, np.int16), window_hu=window)
