"""Normalisations at small batches: what they compute, and whether a gradient gets through."""

from __future__ import annotations

import pytest
import torch

from pefuse.models.normalisation import FrozenBatchNorm, GhostBatchNorm, column_norm, inner_norm


def test_ghost_batches_are_normalised_on_their_own():
    """Rows 0, 2 and rows 10, 20 in parts of two: each becomes -1, +1."""
    norm = GhostBatchNorm(1, momentum=0.1, virtual_batch_size=2).train()

    out = norm(torch.tensor([[0.0], [2.0], [10.0], [20.0]]))

    torch.testing.assert_close(out, torch.tensor([[-1.0], [1.0], [-1.0], [1.0]]), atol=1e-4, rtol=0)


def test_a_lone_last_row_joins_the_part_before_it():
    """Five rows in parts of two would leave one alone; the last three go together."""
    norm = GhostBatchNorm(1, momentum=0.1, virtual_batch_size=2).train()
    x = torch.tensor([[0.0], [2.0], [1.0], [4.0], [7.0]])

    out = norm(x)

    last = (x[2:] - x[2:].mean()) / x[2:].std(unbiased=False)
    torch.testing.assert_close(out[2:], last, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("kind", "reaches"), [("batch", False), ("frozen", True), ("layer", True)])
def test_two_rows_leave_batch_statistics_no_gradient(kind, reaches):
    """Why joint training at the paper's batch of 2 needs `frozen` or `layer`."""
    norm = inner_norm(kind, 3, momentum=0.1, virtual_batch_size=4).train()
    x = torch.tensor([[3.0, -1.0, 8.0], [5.0, 4.0, -2.0]], requires_grad=True)

    (norm(x) * torch.tensor([[1.0, 2.0, 3.0], [-4.0, 5.0, 6.0]])).sum().backward()

    assert (x.grad.abs().max() > 1e-2) == reaches


def test_frozen_statistics_stay_in_training():
    norm = FrozenBatchNorm(2).train()
    x = torch.tensor([[3.0, 4.0], [5.0, 6.0]])

    torch.testing.assert_close(norm(x), norm.eval()(x))
    assert norm.running_mean.eq(0).all()


@pytest.mark.parametrize("kind", ["batch", "frozen"])
def test_a_network_can_go_on_with_another_normalisation(kind):
    ghost = inner_norm("ghost-batch", 3, momentum=0.1, virtual_batch_size=4)

    inner_norm(kind, 3, momentum=0.1, virtual_batch_size=4).load_state_dict(ghost.state_dict(), strict=True)
    column_norm(kind, 3, momentum=0.1).load_state_dict(ghost.state_dict(), strict=True)


def test_columns_are_never_averaged_over_each_other():
    """With `layer` a patient's values stay as they came until the column's own scale and shift are learned."""
    norm = column_norm("layer", 3, momentum=0.1)
    x = torch.tensor([[100.0, 1.0, -5.0]])

    torch.testing.assert_close(norm(x), x)
