"""What a network makes of all cases at the start, in the middle and at the end of its training.

Worked out after the training, on copies of the network, so that nothing of it can depend on it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from pefuse.training.cells import Stages
from pefuse.training.data import Batch, CaseSource
from pefuse.training.loop import predict
from pefuse.training.snapshots import Snapshots, Weights

__all__ = ["all_vectors", "stages_of"]

Vectors = Callable[[nn.Module, Batch], Tensor]  # a batch's vectors (B, E)


def stages_of(
    module: nn.Module,
    sources: Mapping[str, CaseSource],
    *,
    vectors: Vectors,
    snapshots: Snapshots,
    best_epoch: int,
    end: NDArray[np.float32],
    start: NDArray[np.float32] | None = None,
    fabric: Fabric,
    batch_size: int,
) -> Stages:
    """Run the weights of the start and the middle over all cases.

    Args:
        end, start: vectors (N, E) that are known; `start` where `snapshots` did not see it.
    """

    def with_weights(weights: Weights) -> NDArray[np.float32]:
        other = copy.deepcopy(module)
        other.load_state_dict(weights)
        return all_vectors(other, sources, vectors=vectors, fabric=fabric, batch_size=batch_size)

    middle = snapshots.middle(best_epoch)
    return Stages(
        start=with_weights(snapshots.start) if start is None else start,
        middle=with_weights(middle[1]) if middle else None,
        end=end,
        middle_epoch=middle[0] if middle else None,
    )


def all_vectors(
    module: nn.Module, sources: Mapping[str, CaseSource], *, vectors: Vectors, fabric: Fabric, batch_size: int
) -> NDArray[np.float32]:
    """The vectors (N, E) of all parts of a fold, one after another."""
    return np.concatenate(
        [predict(module, vectors, source, fabric=fabric, batch_size=batch_size) for source in sources.values()]
    )
