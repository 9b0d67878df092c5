"""Weights kept while a network trains: those of its start, and those of about half-way to the epoch it will keep.

Which epoch is kept is known at the end only, so half-way cannot be aimed at. Weights are copied after the first 1,
2, 3, 4, 6, 8, 12, 16, 24 … epochs, two copies a doubling, and dropped once they can be half-way to nothing any
more. So at most four copies are held however long the training (the weights of the widest preset are 250 MB), and
the one chosen lies within a fifth of half-way, or half an epoch.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Snapshots", "Weights"]

Weights = dict[str, Tensor]


class Snapshots:
    """Copies on the CPU of one network's weights and statistics. Nothing of the network is changed."""

    def __init__(self) -> None:
        self.start: Weights = {}
        self._after: dict[int, Weights] = {}  # by the number of epochs that were trained

    def begin(self, module: nn.Module) -> None:
        """Keep the weights before the first step."""
        self.start = _copied(module)

    def keep(self, module: nn.Module, *, epoch: int, best_epoch: int | None) -> None:
        """Keep the weights after an epoch, if they may turn out to be half-way.

        Args:
            epoch: from 0 on.
            best_epoch: the best one so far; None: none may be kept yet.
        """
        trained = epoch + 1
        if _is_rung(trained):
            self._after[trained] = _copied(module)
        # Half of any epoch to come. Of the copies below it only the last can ever be the nearest.
        coming = [count for count in self._after if count <= (trained + 1) / 2]
        wanted = {count for count in self._after if count >= max(coming, default=0)}
        if best_epoch is not None:
            wanted.add(self._nearest(best_epoch))
        self._after = {count: weights for count, weights in self._after.items() if count in wanted}

    def middle(self, best_epoch: int) -> tuple[int, Weights] | None:
        """The epoch nearest half-way to the best one, and its weights; None where that is the first epoch."""
        if best_epoch < 1:
            return None
        trained = self._nearest(best_epoch)
        return trained - 1, self._after[trained]

    def _nearest(self, best_epoch: int) -> int:
        half = (best_epoch + 1) / 2
        return min(self._after, key=lambda count: (abs(count - half), count))


def _is_rung(trained: int) -> bool:
    """Whether it is a power of two, or one and a half times one."""
    power = trained & -trained  # the largest one that divides it
    return trained // power in (1, 3)


def _copied(module: nn.Module) -> Weights:
    return {name: value.detach().to("cpu", copy=True) for name, value in module.state_dict().items()}
