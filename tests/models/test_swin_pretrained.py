"""Pretrained Swin weights, on a synthetic file of the published one's form: all set, or refused by name."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from monai.networks.nets import SwinUNETR

from pefuse.errors import UsageError
from pefuse.models.swin import Swin, SwinConfig
from pefuse.models.swin_pretrained import check_pretrained, load_pretrained

CONFIG = SwinConfig(merging="legacy", hidden_dim=16)  # of feature size 48, as the published file


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    """Every tensor of the encoder by the file's names, with values of its own, and a pretraining task's head."""
    generator = torch.Generator().manual_seed(0)
    state = Swin(CONFIG).encoder.state_dict()
    renamed = {}
    for name, value in state.items():
        filled = value if not value.is_floating_point() else torch.randn(value.shape, generator=generator)
        renamed["module." + name.replace("mlp.linear1", "mlp.fc1").replace("mlp.linear2", "mlp.fc2")] = filled
    return {**renamed, "module.rotation_head.weight": torch.zeros(4, 768)}


@pytest.fixture
def write(tmp_path):
    def to_file(content: object) -> Path:
        torch.save(content, tmp_path / "model_swinvit.pt")
        return tmp_path / "model_swinvit.pt"

    return to_file


def test_every_tensor_is_set(tensors, write):
    path, network = write({"state_dict": tensors, "epoch": 5}), Swin(CONFIG)
    before = {name: value.clone() for name, value in network.encoder.state_dict().items()}

    load_pretrained(network, path, sha256=check_pretrained(path, CONFIG))

    after = network.encoder.state_dict()
    changed = [name for name in after if not torch.equal(after[name], before[name])]
    floating = [name for name, value in after.items() if value.is_floating_point()]
    assert len(floating) == 118
    assert set(changed) == set(floating)


def test_it_sets_what_monai_s_own_loader_sets(tensors, write):
    path, network = write({"state_dict": tensors}), Swin(CONFIG)
    load_pretrained(network, path, sha256=check_pretrained(path, CONFIG))
    theirs = SwinUNETR(in_channels=1, out_channels=2, feature_size=48)

    theirs.load_from({"state_dict": tensors})

    for name, value in theirs.swinViT.state_dict().items():
        torch.testing.assert_close(network.encoder.state_dict()[name], value, msg=name)


def test_another_file_than_the_one_that_was_checked_is_refused(tensors, write):
    path = write({"state_dict": tensors})
    checked = check_pretrained(path, CONFIG)
    write({"state_dict": {**tensors, "module.conv.bias": torch.ones(1)}})

    with pytest.raises(UsageError, match="changed since the run began"):
        load_pretrained(Swin(CONFIG), path, sha256=checked)


def without(name):
    return lambda tensors: {"state_dict": {key: value for key, value in tensors.items() if key != name}}


def with_(name, value):
    return lambda tensors: {"state_dict": {**tensors, name: value}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (without("module.layers1.0.blocks.0.mlp.fc1.weight"), r"lacks 1 of the encoder's 126.*mlp\.fc1\.weight"),
        (lambda tensors: {"state_dict": {"backbone.conv1.weight": torch.zeros(3)}}, "lacks 126"),
        (with_("module.layers5.0.weight", torch.zeros(2)), r'1 tensors that .*"module\.layers5\.0\.weight"'),
        (with_("swinViT.extra", torch.zeros(2)), r'"swinViT\.extra"'),
        (with_("module.patch_embed.proj.weight", torch.zeros(24, 1, 2, 2, 2)), r"shape \(24, 1, 2, 2, 2\)"),
        (with_("module.patch_embed.proj.bias", torch.full((48,), torch.nan)), "not finite"),
        (lambda tensors: tensors, 'no "state_dict"'),
        (lambda tensors: [1, 2], 'no "state_dict"'),
    ],
)
def test_a_foreign_file_is_refused_and_what_is_wrong_is_named(content, message, tensors, write):
    with pytest.raises(UsageError, match=message):
        check_pretrained(write(content(tensors)), CONFIG)


def test_a_truncated_file_is_refused(tensors, write):
    path = write({"state_dict": tensors})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(UsageError, match="cannot be read"):
        check_pretrained(path, CONFIG)


def test_no_file_is_told_without_its_path(tmp_path):
    with pytest.raises(UsageError, match="no pretrained file") as refusal:
        check_pretrained(tmp_path / "smith.pt", CONFIG)
    assert "smith" not in str(refusal.value)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Harm:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "harm",))

    (tmp_path / "model.pt").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(UsageError, match="cannot be read"):
        check_pretrained(tmp_path / "model.pt", CONFIG)
    assert not (tmp_path / "harm").exists()


def test_an_encoder_of_another_size_is_told_of_the_file_s(tensors, write):
    path = write({"state_dict": tensors})
    with pytest.raises(UsageError, match="it is for feature_size 48, window 7"):
        check_pretrained(path, SwinConfig(feature_size=24, hidden_dim=16))
