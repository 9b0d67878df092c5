"""The resolved config: presets, files, single settings, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pefuse.errors import UsageError
from pefuse.training.config import PRESETS, resolve_config
from pefuse.training.pretrained import with_pretrained


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_written_and_read_again_is_the_same(preset, tmp_path):
    config = resolve_config(preset)
    file = tmp_path / "config.yaml"
    file.write_text(config.to_yaml())

    assert resolve_config("paper", file=file) == config
    assert config.preset == preset


def test_presets_differ_where_text_and_code_differ():
    """Text: embedding 64, dropout 0.2; code: the pooled 1024-vector, 0.8 (docs/reproduction.md)."""
    paper, released = resolve_config("paper").sanet.network, resolve_config("released").sanet.network

    assert (paper.embedding_dim, paper.dropout) == (64, 0.2)
    assert (released.embedding_dim, released.dropout, released.head_dropout) == (None, 0.0, 0.8)
    assert resolve_config("released").tabnet.network.gamma == 0.8


def test_a_setting_wins_over_the_file_and_the_file_over_the_preset(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"preset": "demo", "folds": 3, "sanet": {"loop": {"epochs": 7}}}))
    config = resolve_config(file=file, overrides=["folds=4", "sanet.network.growth=4"])

    assert (config.preset, config.folds) == ("demo", 4)
    assert (config.sanet.loop.epochs, config.sanet.network.growth) == (7, 4)
    assert config.sanet.network.stem_channels == resolve_config("demo").sanet.network.stem_channels


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("folds=zero", "folds"),
        ("folds=0", "folds"),
        ("sanet.loop.epoch=3", "epoch"),
        ("sanet.network.growht=3", "growht"),
        ("nothing=1", "nothing"),
        ("folds", "NAME=VALUE"),
        ("models=[sanet, sanett]", "sanett"),
        ("scan.window_hu=[500, -200]", "window"),
        ("seeds=[]", "seed"),
        ("tabnet.dropout=1.5", "dropout"),
        ("xgboost.max_depth=0", "max_depth"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(override, named):
    with pytest.raises(UsageError) as caught:
        resolve_config("demo", overrides=[override])

    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(UsageError, match="paper, released, demo"):
        resolve_config("papr")


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(content, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(UsageError, match="YAML"):
        resolve_config(file=file)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sanet.loop.epoch=3", "There is no setting sanet.loop.epoch. Did you mean epochs? Known there: "),
        (
            "fusion.joint.epoch=3",
            "There is no setting fusion.joint.epoch. Did you mean epochs?",
        ),
        ("presett=demo", "There is no setting presett. Did you mean preset?"),
        ("folds=0", "Setting folds: input should be greater than or equal to 1 (given: 0)."),
        ("scan.window_hu=[500, -200]", "Setting scan.window_hu: the lower end must be below the upper end."),
    ],
)
def test_a_slip_is_answered_with_what_is_meant_or_needed(override, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        resolve_config("demo", overrides=[override])


@pytest.mark.parametrize("head", ["tabnet", "xgboost"])
def test_ablations_are_held_against_the_full_model_and_can_all_be_built(head):
    config = resolve_config("demo", overrides=["models=[pesi]", "ablations=true", f"fusion.network.head={head}"])

    config.check_models()
    assert config.all_models[:2] == ("pesi", "intermediate-sanet")


def test_too_many_components_are_told_before_anything_is_trained():
    """Where the settings tell the embeddings' widths; 1024 and 1024 numbers have 200."""
    given = ["fusion.network.fitted.components=200", "sanet.network.embedding_dim=64", "tabnet.network.n_d=64"]
    with pytest.raises(UsageError, match="200 components are too many for 128 numbers"):
        resolve_config("demo", overrides=["models=[intermediate-sanet]", *given]).check_models()

    resolve_config("demo", overrides=["models=[intermediate-sanet-dim1024]", *given]).check_models()


def test_a_residual_block_of_a_single_point_is_refused():
    given = ["models=[swin]", "swin.network.residual_block=true", "scan.grid=32", "swin.network.features_stage=4"]
    with pytest.raises(UsageError, match=r"residual block .* single point"):
        resolve_config("demo", overrides=given).check_models()


@pytest.mark.parametrize(
    ("settings", "merging", "source"),
    [([], "legacy", "the pretrained weights"), (["swin.network.merging=corrected"], "corrected", "your option")],
)
def test_pretrained_weights_bring_the_merging_that_they_were_trained_with(settings, merging, source, monkeypatch):
    monkeypatch.setattr("pefuse.training.pretrained.check_pretrained", lambda path, network: "a" * 64)
    config = with_pretrained(resolve_config("demo", overrides=["models=[swin]", *settings]), Path("weights.pt"))

    assert config.swin.pretrained == "a" * 64
    assert config.swin.network.merging == merging
    assert f"merging: {merging} # {source}" in config.to_yaml()


def test_the_hash_of_a_pretrained_swin_is_asked_for_only_where_swin_is_trained():
    given = f"swin.pretrained={'a' * 64}"
    without = resolve_config("demo", overrides=["models=[tabnet]", given])

    assert with_pretrained(without, None) == without
    with pytest.raises(UsageError, match="--pretrained"):
        with_pretrained(resolve_config("demo", overrides=["models=[swin]", given]), None)
