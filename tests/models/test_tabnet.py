"""TabNet against pytorch-tabnet 4.1.0 on copied weights, and what ours adds."""

from __future__ import annotations

import pytest
import torch
from pytorch_tabnet.tab_network import TabNet as LibraryTabNet
from torch import Tensor, nn

from pefuse.errors import UsageError
from pefuse.models.normalisation import Normalisation
from pefuse.models.tabnet import TabNet, TabNetConfig, importance, with_frozen_statistics

CATEGORICAL = ((2, 5, 3), (4, 7, 1))


def library_names(config: TabNetConfig) -> dict[str, str]:
    """Our name of each tensor → the library's. GLU block 0 is `initial_splitter`, then one a step."""
    tensors = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    encoder = "tabnet.encoder"
    names = {"head.weight": "tabnet.final_mapping.weight"}
    names |= {f"input_norm.{each}": f"{encoder}.initial_bn.{each}" for each in tensors}
    names |= {
        f"embedder.tables.{i}.weight": f"embedder.embeddings.{i}.weight" for i in range(len(config.categorical))
    }
    blocks = {"first": f"{encoder}.initial_splitter"}
    for step in range(config.n_steps):
        blocks[f"transformers.{step}"] = f"{encoder}.feat_transformers.{step}"
        ours, theirs = f"attentions.{step}", f"{encoder}.att_transformers.{step}"
        names[f"{ours}.linear.weight"] = f"{theirs}.fc.weight"
        names |= {f"{ours}.norm.{each}": f"{theirs}.bn.bn.{each}" for each in tensors}
    for layer in range(config.n_shared):
        names[f"shared.{layer}.weight"] = f"{encoder}.initial_splitter.shared.shared_layers.{layer}.weight"
    for ours, theirs in blocks.items():
        for layer in range(config.n_shared):
            glu = f"{theirs}.shared.glu_layers.{layer}"
            names |= {f"{ours}.shared_norms.{layer}.{each}": f"{glu}.bn.bn.{each}" for each in tensors}
        for layer in range(config.n_independent):
            glu = f"{theirs}.specifics.glu_layers.{layer}"
            names[f"{ours}.own.{layer}.weight"] = f"{glu}.fc.weight"
            names |= {f"{ours}.own_norms.{layer}.{each}": f"{glu}.bn.bn.{each}" for each in tensors}
    return names


def library_net(config: TabNetConfig) -> LibraryTabNet:
    return LibraryTabNet(
        input_dim=config.input_dim,
        output_dim=config.output_dim,
        n_d=config.n_d,
        n_a=config.n_a,
        n_steps=config.n_steps,
        gamma=config.gamma,
        cat_idxs=[column for column, _, _ in config.categorical],
        cat_dims=[levels for _, levels, _ in config.categorical],
        cat_emb_dim=[width for _, _, width in config.categorical],
        n_independent=config.n_independent,
        n_shared=config.n_shared,
        epsilon=config.epsilon,
        virtual_batch_size=config.virtual_batch_size,
        momentum=config.momentum,
        mask_type=config.mask_type,
        group_attention_matrix=torch.eye(config.input_dim),
    )


def rows(config: TabNetConfig, number: int, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(number, config.input_dim, generator=generator)
    for column, levels, _ in config.categorical:
        x[:, column] = torch.randint(levels, (number,), generator=generator).float()
    return x


def library_masks(library: LibraryTabNet, config: TabNetConfig, x: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (S, B, D) and importance (B, D) of the library, embedded columns summed back into one."""
    embedded = {column: width for column, _, width in config.categorical}
    widths = [embedded.get(column, 1) for column in range(config.input_dim)]
    explained, masks = library.forward_masks(x)
    stacked = torch.stack([masks[step] for step in range(config.n_steps)])

    def merged(wide: Tensor) -> Tensor:
        return torch.stack([part.sum(dim=-1) for part in wide.split(widths, dim=-1)], dim=-1)

    return merged(stacked), merged(explained)


CONFIGS = {
    "entmax": TabNetConfig(input_dim=12, virtual_batch_size=8),
    "sparsemax": TabNetConfig(input_dim=12, mask_type="sparsemax", virtual_batch_size=8),
    "embeddings": TabNetConfig(input_dim=9, categorical=CATEGORICAL, virtual_batch_size=8),
    "two classes": TabNetConfig(input_dim=12, output_dim=2, n_steps=2),
    "shared only": TabNetConfig(input_dim=12, n_independent=0, n_shared=3),
    "own only": TabNetConfig(input_dim=12, n_independent=3, n_shared=0),
    "released encoder": TabNetConfig.released_encoder(40),
    "released final": TabNetConfig.released_final(16),
}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("towards", ["library", "ours"])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_equals_pytorch_tabnet_on_copied_weights(config, towards, training):
    """Logits, masks, sparsity loss and running statistics to 1e-5; gradients too, relative to their size."""
    torch.manual_seed(1)
    ours, library, names = TabNet(config), library_net(config), library_names(config)
    for net in (ours, library):  # statistics and scales other than their start
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d):
                nn.init.uniform_(module.running_mean, -0.5, 0.5)
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.1)
    assert set(names) == set(ours.state_dict())
    if towards == "library":
        missing, unexpected = library.load_state_dict(
            {names[name]: value for name, value in ours.state_dict().items()}, strict=False
        )
        # Left over: an input normalisation that the library never uses, and other names of the shared weights.
        left = [name for name in missing if ".initial_bn." not in name.removeprefix("tabnet.encoder")]
        assert all(".shared.shared_layers." in name or ".shared.glu_layers." in name for name in left)
        assert not unexpected
    else:
        theirs = library.state_dict()
        ours.load_state_dict({name: theirs[names[name]] for name in names})
    x = rows(config, 20, seed=3)
    ours.train(training)
    library.train(training)

    out = ours(x)
    library_logit, library_loss = library(x)
    (out.logit.square().sum() + out.sparsity_loss).backward()
    (library_logit.square().sum() - library_loss).backward()

    near = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(out.logit.view_as(library_logit), library_logit, **near)
    torch.testing.assert_close(out.sparsity_loss, -library_loss, **near)
    state, theirs = ours.state_dict(), library.state_dict()
    for name in names:  # running statistics after a training batch
        torch.testing.assert_close(state[name], theirs[names[name]], **near)
    gradients = {name: each.grad for name, each in library.named_parameters()}
    for name, each in ours.named_parameters():
        largest = gradients[names[name]].abs().max().item()
        torch.testing.assert_close(each.grad, gradients[names[name]], atol=1e-4 * max(largest, 1), rtol=1e-4)
    library_view, explained = library_masks(library, config, x)
    again = ours(x)
    torch.testing.assert_close(again.masks, library_view, **near)
    raw = (again.steps.sum(dim=2, keepdim=True) * again.masks).sum(dim=0)
    torch.testing.assert_close(raw, explained, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("config", "library_parameters"),
    [
        (TabNetConfig.released_encoder(723), 189_700),
        (TabNetConfig.released_final(64), 207_650),
        (TabNetConfig.released_final(64, n_d=64, n_a=10), 186_968),
    ],
    ids=["encoder", "final", "late and early"],
)
def test_presets_have_the_released_parameters(config, library_parameters):
    """The library declares a second input normalisation, 2 D numbers, and never uses it; ours has none."""
    ours = sum(each.numel() for each in TabNet(config).parameters())

    assert ours + 2 * config.input_dim == library_parameters


def test_outputs_have_their_shapes_and_masks_sum_to_one():
    config = TabNetConfig(input_dim=9, n_d=6, n_steps=4, categorical=CATEGORICAL)

    out = TabNet(config)(rows(config, 5))

    assert out.logit.shape == (5,)
    assert out.embedding.shape == (5, 6)
    assert out.masks.shape == (4, 5, 9)
    assert out.steps.shape == (4, 5, 6)
    torch.testing.assert_close(out.masks.sum(dim=2), torch.ones(4, 5))
    torch.testing.assert_close(out.embedding, out.steps.sum(dim=0))


def test_sparsity_loss_is_entropy_so_adding_it_makes_masks_sparser():
    """Even masks over 4 columns have entropy ln 4; a mask on one column has none."""
    config = TabNetConfig(input_dim=4)
    net = TabNet(config)
    with torch.no_grad():
        for attention in net.attentions:
            attention.linear.weight.zero_()

    assert net(rows(config, 6)).sparsity_loss.item() == pytest.approx(torch.tensor(4.0).log().item(), abs=1e-5)
    one = net._output(torch.zeros(4, 4), torch.eye(4)[None], torch.zeros(1, 4, 8))
    assert one.sparsity_loss.item() == pytest.approx(0.0, abs=1e-6)


def test_importance_weighs_masks_by_what_each_step_decided():
    """Step 1 looks at column 0 and says 1, step 2 at column 1 and says 3: shares 1/4 and 3/4."""
    net = TabNet(TabNetConfig(input_dim=2, n_d=1, n_steps=2))
    masks = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
    steps = torch.tensor([[[1.0], [0.0]], [[3.0], [0.0]]])

    shares = importance(net._output(torch.zeros(2, 2), masks, steps))

    torch.testing.assert_close(shares, torch.tensor([[0.25, 0.75], [0.0, 0.0]]))


@pytest.mark.parametrize("normalisation", ["ghost-batch", "batch", "frozen", "layer"])
def test_batch_gives_what_its_rows_give_one_by_one(normalisation):
    config = TabNetConfig(input_dim=10, normalisation=normalisation)
    torch.manual_seed(0)
    net = TabNet(config).train()
    for seed in range(3):
        net(rows(config, 8, seed=seed))
    net.eval()
    x = rows(config, 4, seed=8)

    together, alone = net(x), [net(each[None]) for each in x]

    torch.testing.assert_close(together.logit, torch.cat([each.logit for each in alone]))
    torch.testing.assert_close(together.masks, torch.cat([each.masks for each in alone], dim=1))


@pytest.mark.parametrize("normalisation", ["ghost-batch", "batch"])
def test_training_batch_of_one_is_refused_with_a_way_out(normalisation):
    config = TabNetConfig(input_dim=10, normalisation=normalisation)

    with pytest.raises(UsageError, match="drop a last batch of one, or set normalisation"):
        TabNet(config).train()(rows(config, 1))


@pytest.mark.parametrize("normalisation", ["layer", "frozen"])
def test_training_batch_of_one_works_without_batch_statistics(normalisation):
    config = TabNetConfig(input_dim=10, normalisation=normalisation)
    net = TabNet(config).train()

    net(rows(config, 1)).logit.sum().backward()

    assert net.head.weight.grad is not None


@pytest.mark.parametrize(("normalisation", "batch"), [("ghost-batch", 10), ("layer", 2), ("frozen", 2)])
def test_learns_ten_rows_by_heart(normalisation: Normalisation, batch):
    """Also in batches of 2, where batch statistics let no gradient through."""
    config = TabNetConfig(input_dim=6, n_steps=2, n_independent=1, normalisation=normalisation)
    x = rows(config, 10, seed=4)
    label = (x[:, 0] + x[:, 1] > 0).float()
    torch.manual_seed(0)
    net = TabNet(config)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)

    for _ in range(40 * batch // 2):
        for part in torch.randperm(10).split(batch):
            optimiser.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(net.train()(x[part]).logit, label[part])
            loss.backward()
            optimiser.step()

    with torch.no_grad():
        logit = net(x).logit
    assert nn.functional.binary_cross_entropy_with_logits(logit, label) < 0.05


@pytest.mark.parametrize("normalisation", ["ghost-batch", "batch", "layer"])
def test_a_copy_with_frozen_statistics_predicts_the_same_and_learns_from_a_batch_of_two(normalisation):
    config = TabNetConfig(input_dim=6, normalisation=normalisation)
    torch.manual_seed(0)
    net = TabNet(config).train()
    net(rows(config, 16))  # moves the running statistics
    frozen, x = with_frozen_statistics(net.eval()), rows(config, 2, seed=5)

    torch.testing.assert_close(frozen.eval()(x).logit, net(x).logit)
    torch.testing.assert_close(frozen.train()(x).logit, net(x).logit)  # in training no batch statistics either
    frozen(x).logit[0].backward()
    assert frozen.shared[0].weight.grad.abs().sum() > 0  # the first layer hears the loss
    assert net.shared[0].weight.grad is None  # and the original is left alone


def test_same_seed_gives_the_same_bits():
    config = TabNetConfig(input_dim=10)

    def logits() -> Tensor:
        torch.manual_seed(5)
        net = TabNet(config)
        net(rows(config, 8)).logit.sum().backward()
        return net(rows(config, 8)).logit

    assert torch.equal(logits(), logits())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_steps": 0}, "n_steps is 0"),
        ({"n_shared": 0, "n_independent": 0}, "both 0"),
        ({"virtual_batch_size": 1}, "at least 2"),
        ({"categorical": ((3, 2, 1), (1, 2, 1))}, "in order"),
        ({"categorical": ((9, 2, 1),)}, r"within 0\.\.4"),
        ({"categorical": ((1, 0, 1),)}, "at least one level"),
    ],
)
def test_impossible_options_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        TabNetConfig(input_dim=5, **changes)
