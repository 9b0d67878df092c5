"""Configs of models as JSON: `asdict` out, checked dataclasses back in."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from pefuse.errors import UsageError

__all__ = ["ModelConfig", "config_from_json", "config_to_json"]


class ModelConfig:
    """Base of every config of a model: a frozen dataclass of plain numbers, strings, flags and tuples.

    It holds nothing; it only makes reading strict, so that a misspelt option is an error and not a default.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


Config = TypeVar("Config", bound=ModelConfig)


def config_to_json(config: ModelConfig) -> dict[str, Any]:
    """What JSON can hold of `config`: tuples become lists."""
    content: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), allow_nan=False))  # type: ignore[call-overload]
    return content


def config_from_json(kind: type[Config], content: dict[str, Any]) -> Config:
    """The config of class `kind` from what `config_to_json` gave, or from a user's YAML.

    Raises:
        UsageError: an option is unknown, has the wrong type or is outside its range.
    """
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise UsageError(f"Options of {kind.__name__} cannot be used: {found}. Correct or remove them.") from error
