"""Which weights are kept on the way, how many at once, and that the training does not notice."""

from __future__ import annotations

import random

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from pefuse.training.data import CaseSource
from pefuse.training.loop import LoopConfig, Task, predict, train, weighted_bce
from pefuse.training.snapshots import Snapshots

RUNGS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384)
TASK = Task(
    loss=lambda net, batch, weight: weighted_bce(net(batch.ehr).squeeze(1), batch.label, weight),
    logit=lambda net, batch: net(batch.ehr).squeeze(1),
)


class Counting(nn.Module):
    """Its one number says after which epoch it was copied."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("epoch", torch.tensor(-1))


def cases(count: int, *, seed: int) -> CaseSource:
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.arange(count) % 4 == 0).float()
    ehr = torch.randn(count, 6, generator=generator) + labels[:, None]
    return CaseSource(study_ids=tuple(map(str, range(count))), labels=labels.numpy(), ehr=ehr.numpy())


def fitted(config: LoopConfig, snapshots: Snapshots | None):
    """A network whose layers draw random numbers and keep statistics; with it what the next random number is."""
    torch.manual_seed(7)
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))
    history = train(
        net,
        TASK,
        training=cases(40, seed=1),
        validation=cases(20, seed=2),
        config=config,
        seed=3,
        fabric=Fabric(accelerator="cpu", devices=1),
        snapshots=snapshots,
    )
    return net, history, torch.rand(1).item()


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
def test_training_gives_the_same_bits_with_and_without_them(average_decay):
    config = LoopConfig(epochs=14, batch_size=8, average_decay=average_decay)
    net, history, drawn = fitted(config, None)
    followed, *same = fitted(config, Snapshots())

    assert same == [history, drawn]
    for name, value in net.state_dict().items():
        assert torch.equal(value, followed.state_dict()[name])


def test_the_start_is_what_the_network_was_made_with():
    snapshots = Snapshots()
    fitted(LoopConfig(epochs=2, batch_size=8), snapshots)
    torch.manual_seed(7)
    fresh = nn.Linear(6, 8)

    assert torch.equal(snapshots.start["0.weight"], fresh.weight)
    assert snapshots.start["1.num_batches_tracked"] == 0


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
def test_the_middle_is_what_a_training_that_ends_there_gives(average_decay):
    """Of 12 epochs of which the last is kept half are 6: a training of 6 has the same weights to the bit."""
    snapshots = Snapshots()
    long = LoopConfig(epochs=12, min_epochs=12, batch_size=8, average_decay=average_decay)
    _, history, _ = fitted(long, snapshots)
    epoch, weights = snapshots.middle(history.best_epoch)
    short, _, _ = fitted(
        LoopConfig(epochs=6, min_epochs=6, batch_size=8, average_decay=average_decay), Snapshots()
    )

    assert (history.best_epoch, epoch) == (11, 5)
    for name, value in short.state_dict().items():
        assert torch.equal(value, weights[name])


def test_copies_do_not_change_when_the_network_does():
    net = nn.Linear(2, 1)
    snapshots = Snapshots()
    snapshots.begin(net)
    before = net.weight.detach().clone()
    nn.init.zeros_(net.weight)

    assert torch.equal(snapshots.start["weight"], before)


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 60, 400])
@pytest.mark.parametrize("improving", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("first_kept", [0, 10])
def test_the_rung_nearest_half_is_still_there_and_never_more_than_four_are_held(epochs, improving, first_kept):
    """Whenever the best epoch comes: against a search through all rungs, at a tie the earlier."""
    for trial in range(20):
        chance, net, snapshots = random.Random(trial), Counting(), Snapshots()
        best = None
        for epoch in range(epochs):
            net.epoch.fill_(epoch)
            if epoch >= min(first_kept, epochs - 1) and (best is None or chance.random() < improving):
                best = epoch
            snapshots.keep(net, epoch=epoch, best_epoch=best)
            assert len(snapshots._after) <= 4
        if best == 0:
            assert snapshots.middle(best) is None
            continue
        half = (best + 1) / 2
        expected = min((rung for rung in RUNGS if rung <= epochs), key=lambda rung: abs(rung - half)) - 1
        epoch, weights = snapshots.middle(best)
        assert epoch == expected < best
        assert weights["epoch"] == epoch
        assert abs(epoch + 1 - half) <= max(half / 5, 0.5)


def test_a_first_epoch_that_is_the_best_has_no_middle():
    snapshots = Snapshots()
    _, history, _ = fitted(LoopConfig(epochs=1, batch_size=8), snapshots)

    assert history.best_epoch == 0
    assert snapshots.middle(0) is None


def test_the_weights_kept_are_those_that_were_validated_where_they_are_averaged():
    """With an average, its weights are kept and not those of the last step: they give the validation loss told."""
    snapshots = Snapshots()
    config = LoopConfig(epochs=12, min_epochs=12, batch_size=8, average_decay=0.95)
    net, history, _ = fitted(config, snapshots)
    epoch, weights = snapshots.middle(history.best_epoch)
    net.load_state_dict(weights)
    source = cases(20, seed=2)
    logits = predict(net, TASK.logit, source, fabric=Fabric(accelerator="cpu", devices=1), batch_size=8)
    loss = weighted_bce(torch.from_numpy(logits), torch.from_numpy(source.labels), torch.tensor(3.0))

    assert loss.item() == pytest.approx(history.epochs[epoch].validation_loss, rel=1e-6)
