"""The training loop: weighted BCE, Adam, early stopping on the validation fold. Nothing hidden.

A network is trained through a `Task`: how a batch becomes a loss and how it becomes a logit. Everything else
(order of cases, augmentation, stopping, averaging of weights) is the same for every model, so that differences
between rows of a table are differences between models.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from pefuse.errors import RunError
from pefuse.evaluation import auroc
from pefuse.training.data import Batch, CaseSource
from pefuse.training.snapshots import Snapshots

__all__ = ["Epoch", "History", "LoopConfig", "Task", "positive_weight", "predict", "train", "weighted_bce"]


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How one network is trained."""

    epochs: int = 60
    batch_size: int = 2  # the paper's
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    warmup_epochs: int = 0  # the rate grows linearly from zero, then falls along a cosine if `cosine`
    cosine: bool = False
    clip_norm: float = 0.0  # 0: gradients are not clipped
    patience: int = 15  # epochs without a better validation score before it stops
    min_epochs: int = 1  # earlier epochs are never kept, unless it is the last: a lucky untrained net is no model
    monitor: Literal["loss", "auc"] = "loss"
    average_decay: float = 0.0  # > 0: an exponential moving average of the weights is validated and kept
    label_smoothing: float = 0.0
    balanced_batches: bool = False  # draw each class equally often instead of weighting the loss

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or self.patience < 1:
            raise ValueError("epochs, batch_size and patience must be at least 1")
        if not 0 <= self.average_decay < 1 or not 0 <= self.label_smoothing < 0.5:
            raise ValueError("average_decay must be in [0, 1) and label_smoothing in [0, 0.5)")
        if not 0 < self.learning_rate < math.inf or not 0 <= self.weight_decay < math.inf:
            raise ValueError("learning_rate must be a number above 0 and weight_decay one not below 0")


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one pass over the training fold gave."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_auc: float


@dataclass(frozen=True, kw_only=True)
class History:
    """All epochs, and the one whose weights were kept."""

    epochs: tuple[Epoch, ...]
    best_epoch: int


@dataclass(frozen=True, kw_only=True)
class Task:
    """How a batch becomes a training loss, and how it becomes logits `(B,)`."""

    loss: Callable[[nn.Module, Batch, Tensor], Tensor]  # (module, batch, positive weight) -> scalar
    logit: Callable[[nn.Module, Batch], Tensor]


def positive_weight(labels: NDArray[np.float32]) -> float:
    """Weight of a death in the loss: survivors per death, so that both classes weigh the same in sum."""
    deaths = float(labels.sum())
    return (len(labels) - deaths) / deaths if deaths else 1.0


def weighted_bce(logit: Tensor, label: Tensor, positive_weight: Tensor) -> Tensor:
    """Binary cross-entropy of logits `(B,)` with deaths weighted; mean over the batch's total weight."""
    weight = torch.where(label > 0.5, positive_weight, torch.ones_like(positive_weight))
    loss = nn.functional.binary_cross_entropy_with_logits(logit, label, reduction="none")
    return (weight * loss).sum() / (1 + positive_weight) * 2 / len(label)


def train(
    module: nn.Module,
    task: Task,
    *,
    training: CaseSource,
    validation: CaseSource,
    config: LoopConfig,
    seed: int,
    fabric: Fabric,
    learning_rates: Sequence[tuple[list[nn.Parameter], float]] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    snapshots: Snapshots | None = None,
) -> History:
    """Fit `module` in place and leave it in eval mode with the weights of its best epoch.

    Args:
        learning_rates: parameter groups with a factor on the learning rate each; default: all with 1.
        on_epoch: called after each epoch, for a progress bar.
        snapshots: given weights of the start and of half-way to keep.

    Raises:
        RunError: a loss is not a number: the training lost itself.
        ValueError: a fold of one case cannot be trained on.
    """
    generator = torch.Generator().manual_seed(seed)
    groups = learning_rates or [([p for p in module.parameters() if p.requires_grad], 1.0)]
    optimiser = torch.optim.AdamW(
        [{"params": params, "lr": config.learning_rate * factor} for params, factor in groups],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda epoch: _rate(epoch, config))
    step, optimiser = fabric.setup(_Step(module, task), optimiser)
    weight = torch.tensor(
        1.0 if config.balanced_batches else positive_weight(training.labels), device=fabric.device
    )
    average = _Average(module, config.average_decay)
    first_kept = min(config.min_epochs, config.epochs)
    epochs: list[Epoch] = []
    best: tuple[float, int, dict[str, Tensor]] | None = None
    if snapshots:
        snapshots.begin(module)
    for number in range(config.epochs):
        with _told_when_lost():
            train_loss = _one_epoch(step, module, training, config, generator, optimiser, fabric, weight, average)
        schedule.step()
        with average.applied(module):
            with _told_when_lost():
                logits = predict(module, task.logit, validation, fabric=fabric, batch_size=config.batch_size)
                epoch = _score(number, train_loss, logits, validation.labels, weight)
            score = epoch.validation_auc if config.monitor == "auc" else -epoch.validation_loss
            if number + 1 >= first_kept and (best is None or score > best[0]):
                best = (score, number, copy.deepcopy(module.state_dict()))
            if snapshots:
                snapshots.keep(module, epoch=number, best_epoch=best[1] if best else None)
        epochs.append(epoch)
        if on_epoch:
            on_epoch(epoch)
        if best is not None and number - best[1] >= config.patience:
            break
    assert best is not None  # the last epoch may always be kept
    module.load_state_dict(best[2])
    module.eval()
    return History(epochs=tuple(epochs), best_epoch=best[1])


def predict(
    module: nn.Module,
    output: Callable[[nn.Module, Batch], Tensor],
    source: CaseSource,
    *,
    fabric: Fabric,
    batch_size: int,
) -> NDArray[np.float32]:
    """What `output` gives, `(N, …)`, for all cases in their order, in eval mode."""
    module.eval().to(fabric.device)
    with torch.inference_mode(), fabric.autocast():
        batches = source.batches(4 * batch_size)  # larger than in training: no activations are kept
        parts = [output(module, batch.to(fabric.device)).float().cpu() for batch in batches]
    values: NDArray[np.float32] = torch.cat(parts).numpy()
    return values


class _Step(nn.Module):
    """A batch to its loss, as one forward of plain tensors: what Fabric wraps for precision and for DDP."""

    def __init__(self, module: nn.Module, task: Task) -> None:
        super().__init__()
        self.module, self.task = module, task

    def forward(self, weight: Tensor, *fields: Tensor) -> Tensor:
        return self.task.loss(self.module, Batch.of(fields), weight)


def _one_epoch(
    step: nn.Module,
    module: nn.Module,
    source: CaseSource,
    config: LoopConfig,
    generator: torch.Generator,
    optimiser: torch.optim.Optimizer,
    fabric: Fabric,
    weight: Tensor,
    average: _Average,
) -> float:
    module.train()
    total, count = 0.0, 0
    for rows in _training_rows(source.labels, config, generator):
        batch = source.batch(rows, generator=generator).to(fabric.device)
        loss = step(weight, *batch.smoothed(config.label_smoothing).fields())
        value = float(loss.detach())
        _check_finite("training loss", value)
        optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        if config.clip_norm:
            fabric.clip_gradients(step, optimiser, max_norm=config.clip_norm)
        optimiser.step()
        average.update(module)
        total += value * len(rows)
        count += len(rows)
    return total / count


def _training_rows(
    labels: NDArray[np.float32], config: LoopConfig, generator: torch.Generator
) -> Iterator[NDArray[np.int64]]:
    """Rows of each batch of one epoch; a remainder of one case is dropped (batch norm cannot take it)."""
    if config.balanced_batches:
        order = _balanced_order(labels, generator)
    else:
        order = torch.randperm(len(labels), generator=generator).numpy()
    size = min(config.batch_size, len(order))
    if len(order) < 2:
        raise ValueError("a training fold needs at least two cases")
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        if len(rows) > 1 or size == 1:
            yield rows


def _balanced_order(labels: NDArray[np.float32], generator: torch.Generator) -> NDArray[np.int64]:
    """As many cases as the fold has, deaths and survivors in turn; each class goes round before it repeats."""
    half = (len(labels) + 1) // 2
    picks = []
    for value in (1, 0):
        members = np.flatnonzero(labels == value)
        rounds = math.ceil(half / len(members))
        shuffled = [members[torch.randperm(len(members), generator=generator).numpy()] for _ in range(rounds)]
        picks.append(np.concatenate(shuffled)[:half])
    return np.stack(picks, axis=1).ravel()


def _rate(epoch: int, config: LoopConfig) -> float:
    if epoch < config.warmup_epochs:
        return (epoch + 1) / (config.warmup_epochs + 1)
    if not config.cosine:
        return 1.0
    done = (epoch - config.warmup_epochs) / max(1, config.epochs - config.warmup_epochs)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _score(
    number: int, train_loss: float, logits: NDArray[np.float32], labels: NDArray[np.float32], weight: Tensor
) -> Epoch:
    loss = float(weighted_bce(torch.from_numpy(logits), torch.from_numpy(labels), weight.cpu()))
    _check_finite("validation loss", loss)
    return Epoch(
        epoch=number,
        train_loss=train_loss,
        validation_loss=loss,
        validation_auc=auroc(labels, logits),
    )


def _check_finite(what: str, value: float) -> None:
    if not math.isfinite(value):
        raise FloatingPointError(f"Its {what}")


@contextlib.contextmanager
def _told_when_lost() -> Iterator[None]:
    """Advice for a training whose numbers have left the finite, wherever that was noticed."""
    try:
        yield
    except FloatingPointError as error:
        raise RunError(
            f"Training lost itself, no finite numbers any more ({error}): set a lower learning_rate or a clip_norm"
            " in the model's loop."
        ) from error


class _Average:
    """Exponential moving average of weights and running statistics; with decay 0 it does nothing."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.state = {k: v.detach().clone() for k, v in module.state_dict().items()} if decay else {}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        if not self.decay:
            return
        self.updates += 1
        # Early on a long memory would hold on to the random start: shorten it while there are few updates.
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        now = module.state_dict()
        floating = [name for name, value in now.items() if value.dtype.is_floating_point]
        # One call for all: a network has hundreds of small tensors.
        torch._foreach_lerp_([self.state[name] for name in floating], [now[name] for name in floating], 1 - decay)
        for name in now.keys() - floating:
            self.state[name].copy_(now[name])

    def applied(self, module: nn.Module) -> _Applied:
        return _Applied(self, module)


class _Applied:
    """Put the average in place of the weights for a while, then the weights back."""

    def __init__(self, average: _Average, module: nn.Module) -> None:
        self.average, self.module = average, module
        self.kept: dict[str, Tensor] = {}

    def __enter__(self) -> None:
        if self.average.decay:
            self.kept = copy.deepcopy(self.module.state_dict())
            self.module.load_state_dict(self.average.state)

    def __exit__(self, *_: object) -> None:
        if self.average.decay:
            self.module.load_state_dict(self.kept)
