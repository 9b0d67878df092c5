"""One config a run: a preset, a YAML file over it, single settings over that; unknown names are refused.

Presets: `paper` is what the text of Cahan et al. 2023 says, `released` what its authors' code does where the two
differ (docs/reproduction.md lists each), `demo` the same architectures, narrow and on a small grid, for two cores.
What neither the text nor the code fixes is ours; the reason stands beside the value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
)

from pefuse.ehr import FeatureOptions, MissingParts, PreparationConfig
from pefuse.errors import UsageError
from pefuse.models.boosting import BoostedTreesConfig
from pefuse.models.bottleneck import BottleneckConfig
from pefuse.models.config import ModelConfig, config_from_json
from pefuse.models.fusion import Fusion, VectorFusionConfig
from pefuse.models.sanet import SANetConfig
from pefuse.models.swin import SwinConfig
from pefuse.models.tabnet import TabNetConfig
from pefuse.models.zoo import REFERENCE, TABLE_1, Row, model_row, table3_names, with_needs
from pefuse.training.augmentation import AugmentationConfig
from pefuse.training.loop import LoopConfig
from pefuse.training.provenance import commented_yaml, leaves, merged
from pefuse.types import FieldOfView

__all__ = ["PRESETS", "RunConfig", "resolve_config"]

PRESETS = ("paper", "released", "demo")  # each a YAML file in presets/


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _with_width(given: Any) -> Any:
    """A TabNet's input width comes from the data: nobody has to write it."""
    return {"input_dim": 1, **given} if isinstance(given, Mapping) else given


_TabNet = Annotated[TabNetConfig, BeforeValidator(_with_width)]


class ScanOptions(_Part):
    """What the networks see of a scan."""

    grid: int = Field(default=128, ge=16, le=512)
    field_of_view: FieldOfView = "whole"  # the paper's; `lungs`: only the box around them
    # Unspecified in the paper. From lung to dense contrast, so that reflux into the liver's veins and the
    # bright trunk are not clipped away.
    window_hu: tuple[float, float] = (-200.0, 500.0)

    @field_validator("window_hu")
    @classmethod
    def _ordered(cls, window: tuple[float, float]) -> tuple[float, float]:
        if window[0] >= window[1]:
            raise ValueError("the lower end must be below the upper end")
        return window


class SanetSettings(_Part):
    """SANet and its training."""

    network: SANetConfig = SANetConfig.paper()
    loop: LoopConfig = LoopConfig()
    augmentation: AugmentationConfig = AugmentationConfig()


class SwinSettings(_Part):
    """The Swin encoder and its training. `pretrained`: SHA-256 of the file it starts from, "" = from scratch."""

    network: SwinConfig = SwinConfig.paper()
    loop: LoopConfig = LoopConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    pretrained: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")


class TabnetSettings(_Part):
    """TabNet as the encoder of the record, and its training. Its input width comes from the data."""

    network: _TabNet = TabNetConfig(input_dim=1)
    loop: LoopConfig = LoopConfig()
    sparsity_weight: float = Field(default=1e-3, ge=0)
    category_dim: int = Field(
        default=1, ge=1
    )  # of a categorical column's embedding, with record.categorical: codes
    screen: int = Field(default=0, ge=0)  # columns kept by models/screening.py; 0: all
    dropout: float = Field(default=0.0, ge=0, lt=1)  # share of a case's columns hidden at each training step


class LateSettings(_Part):
    """The late fusions that learn: a TabNet or trees on the single modalities' risks."""

    inputs: Literal["logit", "risk"] = "risk"
    tabnet: _TabNet = TabNetConfig(input_dim=1)
    loop: LoopConfig = LoopConfig()
    sparsity_weight: float = Field(default=1e-3, ge=0)
    trees: BoostedTreesConfig = BoostedTreesConfig(columns_a_split=1.0)
    # Out-of-fold predictions come from the other folds' models where every training study is validated by one of
    # them; else (or always, if `nested`) the training part is split again into this many parts.
    nested: bool = False
    nested_parts: int = Field(default=5, ge=2, le=20)


Schedule = Literal["stage-wise", "end-to-end", "fine-tune"]


class FusionTraining(_Part):
    """How a fusion is trained.

    stage-wise: on the fixed encoders' outputs. end-to-end: fusion and encoders together, from the encoders' own
    weights. fine-tune: stage-wise, then everything together. What passes no gradient is trained stage-wise.
    """

    loop: LoopConfig = LoopConfig()  # on the fixed encoders' outputs
    schedule: Schedule = "stage-wise"
    learned_schedule: Schedule = "fine-tune"  # where the reduction learns with its head: bilinear attention
    joint: LoopConfig = LoopConfig()  # of everything together
    encoder_rate: float = Field(default=0.1, ge=0, le=1)  # the encoders' share of the joint learning rate
    auxiliary_weight: float = Field(default=0.3, ge=0)  # of the single modalities' losses in joint training
    # Batch statistics of a table over the few scans of a batch carry no gradient: TabNets keep those they have.
    joint_statistics: Literal["frozen", "batch"] = "frozen"
    sparsity_weight: float = Field(default=1e-3, ge=0)


class FusionSettings(FusionTraining):
    """Early and intermediate fusion, and any other that has no part of its own."""

    network: VectorFusionConfig = (
        VectorFusionConfig()
    )  # its widths and TabNet head are set from the data and `tabnet`
    tabnet: _TabNet = TabNetConfig(input_dim=1)  # the head
    trees: BoostedTreesConfig = BoostedTreesConfig(columns_a_split=1.0)  # the head


class BottleneckSettings(FusionTraining):
    """The bottleneck transformer."""

    network: BottleneckConfig = BottleneckConfig()


class RunConfig(_Part):
    """Everything that decides a run's numbers, and nothing else; written to the run as `config.yaml`."""

    preset: str
    models: tuple[str, ...] = TABLE_1
    ablations: bool = False  # the rows of Table 3 too
    folds: int = Field(default=5, ge=1, le=20)
    fold_seed: int = Field(default=0, ge=0)  # of the split, apart from `seeds`: all seeds share the folds
    seeds: tuple[int, ...] = (0,)  # of the training
    score_missing: MissingParts = "normal"
    scan: ScanOptions = ScanOptions()
    features: FeatureOptions = FeatureOptions()
    record: PreparationConfig = PreparationConfig()
    xgboost: BoostedTreesConfig = BoostedTreesConfig()
    tabnet: TabnetSettings = TabnetSettings()
    sanet: SanetSettings = SanetSettings()
    swin: SwinSettings = SwinSettings()
    late: LateSettings = LateSettings()
    fusion: FusionSettings = FusionSettings()
    mbt: BottleneckSettings = BottleneckSettings()
    options: dict[str, dict[str, Any]] = {}  # of fusions that have no part of their own, by the model's name
    threads: int = Field(default=0, ge=0)  # a cell; 0: all allowed cores, one cell after another
    _sources: dict[str, str] = PrivateAttr(default_factory=dict)  # where each setting came from

    @field_validator("models")
    @classmethod
    def _known(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        for name in models:
            model_row(name)
        if not models:
            raise ValueError("at least one model is needed")
        return tuple(dict.fromkeys(models))

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or len(set(seeds)) != len(seeds):
            raise ValueError("at least one seed is needed, and each only once")
        return seeds

    def __eq__(self, other: object) -> bool:
        """Of two configs with the same settings, wherever these came from."""
        return isinstance(other, RunConfig) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]

    @field_validator("options")
    @classmethod
    def _of_known_models(cls, options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, given in options.items():
            fusion = model_row(name).fusion
            if fusion is None or fusion.settings != "fusion" or fusion.Config is VectorFusionConfig:
                raise ValueError(f"{name} has a part of its own in the settings, or no options")
            config_from_json(fusion.Config, given)
        return options

    def check_models(self) -> None:
        """Tell of a model that cannot run with these settings before anything is trained.

        Raises:
            UsageError: which, and what to do.
        """
        rows = with_needs(self.all_models)
        if any(row.base == "swin" for row in rows):
            self.swin.network.check_scan_grid(self.scan.grid)
        for row in rows:
            if row.fusion is not None:
                self._check_widths(row.fusion, self.fusion_network(row.name), row.needs)

    def _check_widths(self, fusion: type[Fusion], network: ModelConfig, needs: Sequence[str]) -> None:
        """Of two embeddings whose widths the settings tell; others are known once the encoders are built."""
        if not isinstance(network, VectorFusionConfig) or fusion.take_ehr is not Fusion.take_ehr:
            return
        image, ehr = (self._embedding_dim(model_row(need)) for need in needs)
        if image and ehr:
            fusion.sized(network, image=(image,), ehr=(ehr,), rows=0).check_components()

    def _embedding_dim(self, encoder: Row) -> int | None:
        if encoder.base == "tabnet":
            return encoder.variant.embedding_dim or self.tabnet.network.n_d
        network = self.sanet.network if encoder.base == "sanet" else self.swin.network
        return encoder.variant.embedding_dim or network.embedding_dim

    @property
    def all_models(self) -> tuple[str, ...]:
        """The models, and with `ablations` the rows of Table 3 and the model that they are held against."""
        if not self.ablations:
            return self.models
        network = self.fusion.network
        return tuple(
            dict.fromkeys((*self.models, REFERENCE, *table3_names(reduction=network.reduction, head=network.head)))
        )

    def fusion_training(self, name: str) -> FusionTraining:
        """The settings by which a fusion is trained."""
        fusion = model_row(name).fusion
        assert fusion is not None
        part: FusionTraining = getattr(self, fusion.settings)
        return part

    def fusion_network(self, name: str) -> ModelConfig:
        """A fusion's options, its variant's included; widths are those of the settings still."""
        row = model_row(name)
        assert row.fusion is not None
        if row.fusion.Config is BottleneckConfig:
            return self.mbt.network
        if row.fusion.Config is not VectorFusionConfig:
            return config_from_json(row.fusion.Config, self.options.get(row.base, {}))
        config = replace(
            self.fusion.network,
            reduction=row.variant.reduction or self.fusion.network.reduction,
            head=row.variant.head or self.fusion.network.head,
            tabnet=None,
        )
        head = replace(self.fusion.tabnet, input_dim=config.fused_dim) if config.head == "tabnet" else None
        return replace(config, tabnet=head)

    def with_pretrained_swin(self, sha256: str) -> RunConfig:
        """With that file's weights in Swin, and the patch merging that goes with them if none is chosen."""
        chosen = self._sources.get("swin.network.merging")
        network = self.swin.network if chosen else replace(self.swin.network, merging="legacy")
        swin = self.swin.model_copy(update={"pretrained": sha256, "network": network})
        config = self.model_copy(update={"swin": swin})
        own = ("swin.pretrained",) if chosen else ("swin.pretrained", "swin.network.merging")
        config._sources = {**self._sources, **dict.fromkeys(own, "weights")}
        return config

    def to_yaml(self) -> str:
        """The resolved config, each value with where it came from, to be read by `resolve_config` again."""
        return commented_yaml(_plain(self.model_dump(mode="python")), self._sources)


def resolve_config(preset: str = "paper", *, file: Path | None = None, overrides: Sequence[str] = ()) -> RunConfig:
    """The config of a run.

    Args:
        preset: a name in `PRESETS`; a `preset` in the file wins over it.
        file: YAML with any part of the config.
        overrides: settings such as `sanet.loop.epochs=20`; the value is read as YAML.

    Raises:
        UsageError: unknown preset or setting, or a value outside its range.
    """
    given = _read_yaml(file.read_text) if file else {}
    preset = str(given.pop("preset", preset))
    if preset not in PRESETS:
        raise UsageError(f'There is no preset "{preset}". Presets: {", ".join(PRESETS)}.')
    layers = [*_preset_layers(preset), ("file", given), *(("set", _one_setting(one)) for one in overrides)]
    settings: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in layers:
        settings = merged(settings, layer)
        sources |= dict.fromkeys(leaves(layer), source)
    try:
        config = RunConfig.model_validate({**settings, "preset": preset})
    except ValidationError as error:
        raise UsageError(_explained(error)) from error
    config._sources = sources
    return config


def _preset_layers(preset: str) -> list[tuple[str, dict[str, Any]]]:
    """What a preset says, by source: ours first, so that the text or the code has the last word."""
    shipped = _read_yaml((resources.files("pefuse.training") / "presets" / f"{preset}.yaml").read_text)
    return [(source, shipped[source]) for source in ("ours", "text", "code") if source in shipped]


_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def _explained(error: ValidationError) -> str:
    """The first fault in our words: an unknown name and the nearest one, else what was given."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] in _UNKNOWN:
        known = _names_at(first["loc"][:-1])
        near = get_close_matches(str(first["loc"][-1]), known, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        return f"There is no setting {where}. {meant}Known there: {', '.join(known)}."
    reason = first["msg"].removeprefix("Value error, ").rstrip(".")
    given = f" (given: {first['input']!r})" if isinstance(first["input"], str | int | float) else ""
    return f"Setting {where or 'as a whole'}: {reason[:1].lower()}{reason[1:]}{given}."


def _names_at(path: Sequence[int | str]) -> list[str]:
    """The names of the settings that stand in a part of the config."""
    part: Any = RunConfig(preset="paper").model_dump()
    for name in path:
        part = part.get(name, {}) if isinstance(part, Mapping) else {}
    return sorted(str(name) for name in part) if isinstance(part, Mapping) else []


def _read_yaml(read_text: Callable[[str], str]) -> dict[str, Any]:
    try:
        content = yaml.safe_load(read_text("utf-8"))
    except FileNotFoundError as error:
        raise UsageError("There is no such config file.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError("The config file cannot be read as YAML.") from error
    if not isinstance(content, dict):
        raise UsageError("The config file must be a YAML mapping, such as `folds: 5`.")
    return content


def _one_setting(override: str) -> dict[str, Any]:
    name, equals, value = override.partition("=")
    if not equals or not name:
        raise UsageError(f'"{override}" is not a setting: write NAME=VALUE, such as sanet.loop.epochs=20.')
    try:
        parsed: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f'The value of "{name}" cannot be read as YAML.') from error
    for part in reversed(name.split(".")):
        parsed = {part: parsed}
    return dict(parsed)


def _plain(value: Any) -> Any:
    """Only what YAML's safe dumper knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
