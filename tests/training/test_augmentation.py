"""Random contrast and flips."""

from __future__ import annotations

import pytest
import torch

from pefuse.training.augmentation import Augmentation, AugmentationConfig, augment, draw_augmentation

IMAGE = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 1, 3, 4, 5)


def test_a_flip_twice_is_no_flip():
    draw = Augmentation(
        axes="zx", flips=torch.tensor([[True, True], [False, True]]), gain=torch.ones(2), shift=torch.zeros(2)
    )
    once = augment(IMAGE, draw)

    assert torch.allclose(once[0], IMAGE[0].flip([1, 3]))
    assert torch.allclose(once[1], IMAGE[1].flip([3]))
    assert torch.allclose(augment(once, draw), IMAGE)


def test_contrast_scales_about_the_mean_and_brightness_moves_it():
    draw = Augmentation(
        axes="",
        flips=torch.zeros(2, 0, dtype=torch.bool),
        gain=torch.tensor([2.0, 1.0]),
        shift=torch.tensor([0.0, 3.0]),
    )
    changed = augment(IMAGE, draw)

    assert changed[0].mean() == pytest.approx(IMAGE[0].mean())
    assert changed[0].std() == pytest.approx(2 * IMAGE[0].std().item())
    assert torch.allclose(changed[1], IMAGE[1] + 3)


def test_draws_stay_in_their_ranges_and_differ_between_cases():
    draw = draw_augmentation(
        500, AugmentationConfig(contrast=0.2, brightness=0.1), torch.Generator().manual_seed(0)
    )

    assert 0.8 <= draw.gain.min() < 0.82
    assert 1.18 < draw.gain.max() <= 1.2
    assert draw.shift.abs().max() <= 0.1
    assert 0.4 < draw.flips.float().mean() < 0.6


def test_the_input_is_left_as_it_was():
    before = IMAGE.clone()
    augment(IMAGE, draw_augmentation(2, AugmentationConfig(), torch.Generator().manual_seed(1)))

    assert torch.equal(IMAGE, before)
