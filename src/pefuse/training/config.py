"""One config a run: a preset, a YAML file over it, single settings over that; unknown names are refused.

Presets: `paper` is what the text of Cahan et al. 2023 says, `released` what its authors' code does where the two
differ (docs/reproduction.md lists each), `demo` the same architectures, narrow and on a small grid, for two cores.
What neither the text nor the code fixes is ours; the reason stands beside the value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from pefuse.ehr import PreparationConfig
from pefuse.errors import UsageError
from pefuse.models.boosting import BoostedTreesConfig
from pefuse.models.fusion import IntermediateConfig
from pefuse.models.sanet import SANetConfig
from pefuse.models.tabnet import TabNetConfig
from pefuse.models.zoo import model_row
from pefuse.training.augmentation import AugmentationConfig
from pefuse.training.loop import LoopConfig

__all__ = ["PRESETS", "RunConfig", "resolve_config"]

PRESETS = ("paper", "released", "demo")  # each a YAML file in presets/

TABLE_1 = ("pesi", "spesi", "xgboost", "tabnet", "sanet", "late-average", "intermediate-sanet")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _with_width(given: Any) -> Any:
    """A TabNet's input width comes from the data: nobody has to write it."""
    return {"input_dim": 1, **given} if isinstance(given, Mapping) else given


_TabNet = Annotated[TabNetConfig, BeforeValidator(_with_width)]


class ScanOptions(_Part):
    """What the networks see of a scan."""

    grid: int = Field(default=128, ge=16, le=512)
    # Unspecified in the paper. From lung to dense contrast, so that reflux into the liver's veins and the
    # bright trunk are not clipped away.
    window_hu: tuple[float, float] = (-200.0, 500.0)

    @field_validator("window_hu")
    @classmethod
    def _ordered(cls, window: tuple[float, float]) -> tuple[float, float]:
        if window[0] >= window[1]:
            raise ValueError("the lower end must be below the upper end")
        return window


class ScanModel(_Part):
    """SANet and its training."""

    network: SANetConfig = SANetConfig.paper()
    loop: LoopConfig = LoopConfig()
    augmentation: AugmentationConfig = AugmentationConfig()


class RecordModel(_Part):
    """TabNet as the encoder of the record, and its training. Its input width comes from the data."""

    network: _TabNet = TabNetConfig(input_dim=1)
    loop: LoopConfig = LoopConfig()
    sparsity_weight: float = Field(default=1e-3, ge=0)
    screen: int = Field(default=0, ge=0)  # columns kept by models/screening.py; 0: all
    dropout: float = Field(default=0.0, ge=0, lt=1)  # share of a case's columns hidden at each training step


class Intermediate(_Part):
    """Intermediate fusion and its training."""

    network: IntermediateConfig = IntermediateConfig()  # its widths and head are set from the embeddings
    head: _TabNet = TabNetConfig(input_dim=1)
    loop: LoopConfig = LoopConfig()
    sparsity_weight: float = Field(default=1e-3, ge=0)
    # Trained end to end only where the reduction passes gradients (bilinear, none); PCA is fitted, then fixed.
    end_to_end: LoopConfig | None = None
    encoder_rate: float = Field(default=0.1, ge=0, le=1)  # the encoders' share of the learning rate
    auxiliary_weight: float = Field(default=0.3, ge=0)  # of the single modalities' losses


class RunConfig(_Part):
    """Everything that decides a run's numbers, and nothing else; written to the run as `config.yaml`."""

    preset: str
    models: tuple[str, ...] = TABLE_1
    folds: int = Field(default=5, ge=1, le=20)
    fold_seed: int = Field(default=0, ge=0)  # of the split, apart from `seeds`: all seeds share the folds
    seeds: tuple[int, ...] = (0,)  # of the training
    score_missing: Literal["normal", "refuse"] = "normal"
    scan: ScanOptions = ScanOptions()
    record: PreparationConfig = PreparationConfig()
    xgboost: BoostedTreesConfig = BoostedTreesConfig()
    tabnet: RecordModel = RecordModel()
    sanet: ScanModel = ScanModel()
    intermediate: Intermediate = Intermediate()
    threads: int = Field(default=0, ge=0)  # a cell; 0: all allowed cores, one cell after another

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

    def to_yaml(self) -> str:
        """The resolved config, to be read by `resolve_config` again."""
        return yaml.safe_dump(_plain(self.model_dump(mode="python")), sort_keys=False, width=100)


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
    shipped = resources.files("pefuse.training") / "presets" / f"{preset}.yaml"
    settings = _merged(_read_yaml(shipped.read_text), given)
    for override in overrides:
        settings = _merged(settings, _one_setting(override))
    try:
        return RunConfig.model_validate({**settings, "preset": preset})
    except ValidationError as error:
        raise UsageError(_explained(error)) from error


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
    part: Any = RunConfig(preset="paper", intermediate=Intermediate(end_to_end=LoopConfig())).model_dump()
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


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, mapping by mapping."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def _plain(value: Any) -> Any:
    """Only what YAML's safe dumper knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
