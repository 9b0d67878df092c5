"""The loop on problems whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from pefuse.errors import RunError
from pefuse.training.data import CaseSource
from pefuse.training.loop import LoopConfig, Task, positive_weight, predict, train, weighted_bce

TASK = Task(
    loss=lambda net, batch, weight: weighted_bce(net(batch.ehr).squeeze(1), batch.label, weight),
    logit=lambda net, batch: net(batch.ehr).squeeze(1),
)


def cases(count: int, *, seed: int = 0, signal: float = 2.0) -> CaseSource:
    """A fifth die; the first of three features tells them apart."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 5 == 0).astype(np.float32)
    ehr = rng.normal(size=(count, 3)).astype(np.float32)
    ehr[:, 0] += signal * labels
    return CaseSource(study_ids=tuple(f"S{i}" for i in range(count)), labels=labels, ehr=ehr)


def fitted(config: LoopConfig, *, seed: int = 0, source: CaseSource | None = None):
    torch.manual_seed(seed)
    net = nn.Linear(3, 1)
    history = train(
        net,
        TASK,
        training=source or cases(100),
        validation=cases(50, seed=1),
        config=config,
        seed=seed,
        fabric=Fabric(accelerator="cpu", devices=1),
    )
    return net, history


def test_it_learns_what_can_be_learned():
    net, history = fitted(LoopConfig(epochs=30, batch_size=10, learning_rate=0.05))

    assert history.epochs[history.best_epoch].validation_auc > 0.9
    assert net.weight[0, 0] > abs(net.weight[0, 1:]).max()


def test_the_weights_of_the_best_epoch_are_kept_and_later_ones_are_not():
    net, history = fitted(LoopConfig(epochs=40, batch_size=10, learning_rate=0.5, patience=40))
    losses = [epoch.validation_loss for epoch in history.epochs]
    source = cases(50, seed=1)
    logits = predict(net, TASK.logit, source, fabric=Fabric(accelerator="cpu", devices=1), batch_size=10)
    weight = torch.tensor(positive_weight(cases(100).labels))

    assert history.best_epoch == int(np.argmin(losses)) != len(losses) - 1
    again = weighted_bce(torch.from_numpy(logits), torch.from_numpy(source.labels), weight)
    assert float(again) == pytest.approx(min(losses), rel=1e-5)


def test_it_stops_when_patience_is_at_an_end():
    _, history = fitted(LoopConfig(epochs=200, batch_size=10, learning_rate=0.5, patience=3))

    assert len(history.epochs) == history.best_epoch + 1 + 3


def test_an_epoch_before_min_epochs_is_never_kept():
    _, history = fitted(LoopConfig(epochs=12, batch_size=10, learning_rate=2.0, patience=20, min_epochs=10))

    assert history.best_epoch >= 9


def test_fewer_epochs_than_min_epochs_keep_the_last():
    _, history = fitted(LoopConfig(epochs=3, batch_size=10, min_epochs=10))

    assert history.best_epoch == 2


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
@pytest.mark.parametrize("balanced_batches", [False, True])
def test_the_same_seed_gives_the_same_bits(average_decay, balanced_batches):
    config = LoopConfig(epochs=4, batch_size=10, average_decay=average_decay, balanced_batches=balanced_batches)
    first, second, other = fitted(config)[0], fitted(config)[0], fitted(config, seed=1)[0]

    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, other.weight)


@pytest.mark.parametrize("rate", [math.nan, math.inf, 0.0, -1.0])
def test_a_learning_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match="learning_rate must be a number above 0"):
        LoopConfig(learning_rate=rate)


def test_a_loss_that_is_not_a_number_stops_it_with_advice():
    source = cases(100)
    source.ehr[7, 1] = np.inf
    with pytest.raises(
        RunError, match=r"no finite numbers any more \(Its training loss\): set a lower learning_rate"
    ):
        fitted(LoopConfig(epochs=2, batch_size=10), source=source)


def test_a_remainder_of_one_case_is_dropped():
    """11 cases in batches of 5 leave one over, with which batch norm could do nothing."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))
    train(
        net,
        TASK,
        training=cases(11),
        validation=cases(10, seed=1),
        config=LoopConfig(epochs=3, batch_size=5),
        seed=0,
        fabric=Fabric(accelerator="cpu", devices=1),
    )
    assert torch.isfinite(net[1].weight).all()


def test_weighted_bce_by_hand():
    """Logit 0 costs ln 2 for each case, whatever the weight, when both classes weigh the same in sum.

    One death of weight 3 and three survivors: (3 + 1 + 1 + 1) ln 2 / (1 + 3) * 2 / 4 = 6/8 ln 2.
    """
    labels = torch.tensor([1.0, 0.0, 0.0, 0.0])
    loss = weighted_bce(torch.zeros(4), labels, torch.tensor(3.0))

    assert float(loss) == pytest.approx(0.75 * math.log(2))
    assert positive_weight(labels.numpy()) == 3.0


def test_balanced_batches_hold_as_many_deaths_as_survivors():
    seen = []
    source = cases(40)

    def loss(net, batch, weight):
        seen.append(batch.label.sum().item() / len(batch.label))
        return weighted_bce(net(batch.ehr).squeeze(1), batch.label, weight)

    train(
        nn.Linear(3, 1),
        Task(loss=loss, logit=TASK.logit),
        training=source,
        validation=cases(20, seed=1),
        config=LoopConfig(epochs=1, batch_size=8, balanced_batches=True),
        seed=0,
        fabric=Fabric(accelerator="cpu", devices=1),
    )
    assert seen == [0.5] * 5
