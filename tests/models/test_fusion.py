"""Fusions of two vectors: parts in order, absent modalities, and the loss reaching both encoders."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from safetensors.torch import load, save
from sklearn.decomposition import PCA
from torch import Tensor, nn

from pefuse.errors import UsageError
from pefuse.models.bilinear import BilinearConfig
from pefuse.models.cnn1d import Cnn1d, Cnn1dConfig
from pefuse.models.fusion import EarlyFusion, EndToEndFusion, IntermediateFusion, VectorFusionConfig
from pefuse.models.reduction import REDUCTIONS as FITTED
from pefuse.models.reduction import ReductionConfig
from pefuse.models.sanet import SANet, SANetConfig
from pefuse.models.tabnet import TabNet, TabNetConfig

SMALL = VectorFusionConfig(
    image_dim=8,
    ehr_dim=6,
    training_rows=30,
    fitted=ReductionConfig(components=4, neighbours=8),
    image_tokens=5,
    ehr_tokens=3,
)
REDUCTIONS = ("none", "pca", "bilinear")  # those that a gradient passes, each of its kind
ALL_REDUCTIONS = ("none", "bilinear", *FITTED)


def embeddings(number: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(number, 8, generator=generator) + 1, torch.randn(number, 6, generator=generator)


def fitted(**changes: str) -> IntermediateFusion:
    torch.manual_seed(0)
    fusion = IntermediateFusion(dataclasses.replace(SMALL, **changes)).eval()
    image, ehr = embeddings(30, seed=1)
    return fusion.prepare(image, ehr)


def end_to_end(reduction: str = "bilinear") -> EndToEndFusion:
    torch.manual_seed(0)
    narrow = SANetConfig.demo(
        stem_channels=8, growth=4, embedding_dim=8, embedding_activation="none", head_dropout=0.0
    )
    return EndToEndFusion(
        SANet(narrow),
        TabNet(TabNetConfig(input_dim=10, n_d=6, normalisation="layer")),
        fitted(reduction=reduction),
    )


@pytest.mark.parametrize("reduction", ALL_REDUCTIONS)
def test_outputs_have_their_shapes(reduction):
    fusion = fitted(reduction=reduction)

    out = fusion(*embeddings(5))

    width = {"none": 14, "bilinear": 6}.get(reduction, 4)
    assert fusion.config.fused_dim == width
    assert out.logit.shape == (5,)
    assert out.fused.shape == (5, width)
    assert out.masks.shape == (3, 5, width)
    assert out.sparsity_loss.shape == ()
    assert (out.attention is None) == (reduction != "bilinear")
    if out.attention is not None:
        assert out.attention.shape == (5, 1, 5, 3)


def test_pca_row_is_normalise_concatenate_project():
    """The paper's order, written with scikit-learn."""
    fusion = fitted(reduction="pca")
    train_image, train_ehr = embeddings(30, seed=1)
    image, ehr = embeddings(4)

    def scaled(x: Tensor, like: Tensor) -> Tensor:
        return (x - like.mean(dim=0)) / like.std(dim=0, unbiased=False)

    train = torch.cat([scaled(train_image, train_image), scaled(train_ehr, train_ehr)], dim=1)
    rows = torch.cat([scaled(image, train_image), scaled(ehr, train_ehr)], dim=1)
    expected = PCA(n_components=4, svd_solver="full").fit(train.double().numpy()).transform(rows.double().numpy())
    torch.testing.assert_close(fusion(image, ehr).fused.double(), torch.tensor(expected), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("normalise", "length"), [("l2", 1.0), ("layer", 8**0.5)])
def test_row_wise_normalisation(normalise, length):
    """To length 1; or to mean 0 and deviation 1 over 8 numbers, which is length √8."""
    both = fitted(normalise=normalise, reduction="none")(*embeddings(5)).fused

    torch.testing.assert_close(both[:, :8].norm(dim=1), torch.full((5,), length), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("normalise", ["standard", "l2", "layer"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_what_an_absent_modality_holds_does_not_matter(reduction, normalise):
    """Garbage and NaN give the same answer, and every gradient stays finite."""
    fusion = fitted(reduction=reduction, normalise=normalise)
    image, ehr = embeddings(4)
    has_image, has_ehr = torch.tensor([True, False, True, False]), torch.tensor([True, True, False, False])
    other_image, other_ehr = image.clone(), ehr.clone()
    other_image[~has_image], other_ehr[~has_ehr] = torch.nan, 1e6
    other_image.requires_grad_()

    out, other = fusion(image, ehr, has_image, has_ehr), fusion(other_image, other_ehr, has_image, has_ehr)
    other.logit.sum().backward()

    torch.testing.assert_close(other.logit, out.logit)
    torch.testing.assert_close(out.logit[0], fusion(image, ehr).logit[0])
    assert other_image.grad[~has_image].eq(0).all()
    assert all(each.grad is None or each.grad.isfinite().all() for each in fusion.parameters())
    assert fusion.no_image.grad.abs().sum() > 0 or reduction == "bilinear"


def test_absent_image_takes_no_attention():
    fusion = fitted(reduction="bilinear")

    out = fusion(*embeddings(2), torch.tensor([True, False]))

    torch.testing.assert_close(out.attention.sum(dim=(2, 3)), torch.tensor([[1.0], [0.0]]))


@pytest.mark.parametrize("reduction", ALL_REDUCTIONS)
def test_batch_gives_what_its_cases_give_one_by_one(reduction):
    fusion, (image, ehr) = fitted(reduction=reduction), embeddings(4)

    together = fusion(image, ehr).logit
    alone = torch.cat([fusion(image[i : i + 1], ehr[i : i + 1]).logit for i in range(4)])

    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("reduction", ALL_REDUCTIONS)
def test_weights_come_back_through_safetensors_with_what_was_fitted(reduction):
    fusion, fresh = (
        fitted(reduction=reduction),
        IntermediateFusion(dataclasses.replace(SMALL, reduction=reduction)),
    )

    fresh.load_state_dict(load(save(fusion.state_dict())))

    assert torch.equal(fresh.eval()(*embeddings(3)).logit, fusion(*embeddings(3)).logit)


@pytest.mark.parametrize("reduction", FITTED)
def test_a_forgotten_fit_is_told(reduction):
    with pytest.raises(UsageError, match="not fitted"):
        IntermediateFusion(dataclasses.replace(SMALL, reduction=reduction))(*embeddings(3))


@pytest.mark.parametrize("reduction", ALL_REDUCTIONS)
def test_it_says_truly_whether_a_gradient_passes(reduction):
    """What a training schedule is chosen by."""
    fusion = fitted(reduction=reduction)
    image, ehr = (each.requires_grad_() for each in embeddings(3))

    fusion(image, ehr).logit.sum().backward()

    reached = image.grad is not None and ehr.grad is not None and bool(image.grad.abs().sum() > 0)
    assert fusion.passes_gradient == reached
    assert fusion.learned_reduction == (reduction == "bilinear")


@pytest.mark.parametrize("head", ["fc", "cnn1d"])
def test_other_heads_give_a_logit_and_pass_a_gradient(head):
    fusion, (image, ehr) = fitted(head=head), embeddings(5)
    out = fusion(image.requires_grad_(), ehr)

    assert out.logit.shape == (5,)
    assert out.masks is None
    assert out.sparsity_loss == 0
    out.logit.sum().backward()
    assert image.grad.abs().sum() > 0


def test_the_linear_head_is_one_weighted_sum():
    fusion = fitted(head="fc")
    out = fusion(*embeddings(5))
    weight, bias = fusion.head[0].weight[0], fusion.head[0].bias[0]

    torch.testing.assert_close(out.logit, out.fused @ weight + bias)


def test_the_1d_cnn_is_convolutions_over_the_vector():
    """One channel and one layer, by hand: each number with its two neighbours, rectified, then weighed."""
    network = Cnn1d(Cnn1dConfig(channels=1, layers=1, dropout=0.0), width=4).eval()
    x = torch.randn(3, 4)
    (a, b, c), shift = network.convolutions[0].weight[0, 0], network.convolutions[0].bias[0]
    padded = nn.functional.pad(x, (1, 1))
    maps = torch.relu(a * padded[:, :-2] + b * padded[:, 1:-1] + c * padded[:, 2:] + shift)

    torch.testing.assert_close(network(x), maps @ network.classifier.weight[0] + network.classifier.bias[0])


def test_with_trees_as_a_head_it_fuses_but_has_no_logit():
    fusion = fitted(head="xgboost")

    assert fusion.fuse(*embeddings(5))[0].shape == (5, 4)
    assert not fusion.passes_gradient
    with pytest.raises(UsageError, match="no logit of its own"):
        fusion(*embeddings(5))


def test_early_fusion_takes_the_records_columns_and_intermediate_its_embedding():
    """A categorical column comes as its learned vector, a number as it is, before any normalisation."""
    record = TabNet(TabNetConfig(input_dim=3, n_d=6, categorical=((1, 4, 2),))).eval()
    x = torch.tensor([[0.5, 3.0, -1.0]])
    out = record(x)

    vector = record.embedder.tables[0].weight[3]
    torch.testing.assert_close(EarlyFusion.take_ehr(out)[0], torch.tensor([0.5, *vector.tolist(), -1.0]))
    assert IntermediateFusion.take_ehr(out) is out.embedding
    image = SANet(SANetConfig.demo(stem_channels=8, growth=4, embedding_dim=8))
    assert EarlyFusion.taken_shapes(image, record, 32) == ((8,), (4,))
    assert IntermediateFusion.taken_shapes(image, record, 32) == ((8,), (6,))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradient_reaches_both_encoders_at_batch_two(reduction):
    """From the fused logit alone, to the first layer of each."""
    model = end_to_end(reduction).train()

    model(torch.randn(2, 1, 32, 32, 32), torch.randn(2, 10)).logit.sum().backward()

    for first in (model.image_encoder.stem[0].weight, model.ehr_encoder.shared[0].weight):
        assert first.grad.abs().max() > 1e-8


def test_end_to_end_equals_its_parts():
    model = end_to_end().eval()
    scan, record = torch.randn(2, 1, 32, 32, 32), torch.randn(2, 10)

    out = model(scan, record)

    image, ehr = model.image_encoder(scan), model.ehr_encoder(record)
    torch.testing.assert_close(out.logit, model.fusion(image.embedding, ehr.embedding).logit)
    torch.testing.assert_close(out.image_logit, image.logit)
    torch.testing.assert_close(out.ehr_logit, ehr.logit)


def test_encoders_see_only_the_rows_that_have_their_modality():
    """Each row as it would be alone; a logit that nobody gave is NaN; a NaN scan does no harm."""
    model = end_to_end().eval()
    scan, record = torch.randn(3, 1, 32, 32, 32), torch.randn(3, 10)
    has_image, has_ehr = torch.tensor([True, False, True]), torch.tensor([False, True, True])
    scan[1], record[0] = torch.nan, torch.nan

    out = model(scan, record, has_image, has_ehr)
    (out.logit.sum() + out.image_logit[has_image].sum() + out.ehr_logit[has_ehr].sum()).backward()

    assert out.image_logit.isnan().tolist() == [False, True, False]
    assert out.ehr_logit.isnan().tolist() == [True, False, False]
    assert out.image.logit.shape == out.ehr.logit.shape == (2,)
    for row in range(3):
        alone = model(
            scan[row : row + 1], record[row : row + 1], has_image[row : row + 1], has_ehr[row : row + 1]
        ).logit
        torch.testing.assert_close(out.logit[row : row + 1], alone)
    assert all(each.grad is None or each.grad.isfinite().all() for each in model.parameters())


def test_learns_ten_pairs_that_need_both():
    """Dies if image and record agree in sign: neither alone says anything."""
    image, ehr = embeddings(10, seed=5)
    image = (image - 1) / 3
    label = (image[:, 0] * ehr[:, 0] > 0).float()
    torch.manual_seed(0)
    head = TabNetConfig(input_dim=6, n_steps=1, n_independent=1, normalisation="layer")
    fusion = IntermediateFusion(dataclasses.replace(SMALL, reduction="bilinear", tabnet=head)).eval()  # no dropout
    optimiser = torch.optim.Adam(fusion.parameters(), lr=0.02)

    for _ in range(120):
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(fusion(image, ehr).logit, label)
        loss.backward()
        optimiser.step()

    assert loss < 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_dim": 0}, "image_dim is 0"),
        ({"tabnet": TabNetConfig(input_dim=5)}, "takes 5 columns, but 'pca' gives 4"),
        ({"reduction": "bilinear", "head": "xgboost"}, "boosted trees have none"),
    ],
)
def test_options_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_components_are_held_against_the_widths_of_the_data():
    """Those of the settings say nothing: 200 components are many for 64 and 64 numbers, not for 1024 and 64."""
    wide = VectorFusionConfig(fitted=ReductionConfig(components=200))

    IntermediateFusion(IntermediateFusion.sized(wide, image=(1024,), ehr=(64,), rows=300))
    with pytest.raises(UsageError, match="200 components are too many for 128"):
        IntermediateFusion(IntermediateFusion.sized(wide, image=(64,), ehr=(64,), rows=300))


def test_bilinear_options_are_at_the_widths_of_the_data():
    options = VectorFusionConfig(reduction="bilinear", bilinear=BilinearConfig(glimpses=3))
    sized = IntermediateFusion.sized(options, image=(1024,), ehr=(64,), rows=300)

    assert (sized.bilinear.image_dim, sized.bilinear.ehr_dim, sized.bilinear.glimpses) == (1024, 64, 3)
