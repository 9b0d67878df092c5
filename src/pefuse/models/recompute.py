"""Training in less memory: a part forgets its activations and computes them again for the backward pass."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

__all__ = ["recomputed"]


def recomputed(part: nn.Module, x: Tensor) -> Tensor:
    """`part(x)`, its activations not kept. Gradients, dropout and running statistics are as without it."""
    out: Tensor = checkpoint(
        part,
        x,
        use_reentrant=False,
        # The second computation must not count the batch twice in the running statistics.
        context_fn=lambda: (contextlib.nullcontext(), _paused_statistics(part)),
    )
    return out


@contextlib.contextmanager
def _paused_statistics(part: nn.Module) -> Iterator[None]:
    norms = [each for each in part.modules() if isinstance(each, _BatchNorm) and each.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.sub_(1)
