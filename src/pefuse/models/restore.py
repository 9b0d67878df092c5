"""Networks built again from what was saved of them: options as JSON, weights as named arrays.

Sizes are compared before anything is allocated: the network is first built without memory, and only if every
tensor has its name, shape and kind there, for real. So options that do not belong to the weights cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.overrides import TorchFunctionMode

from pefuse.errors import RunError, UsageError
from pefuse.models.config import Config, config_from_json
from pefuse.models.fusion import IntermediateConfig, IntermediateFusion
from pefuse.models.sanet import SANet, SANetConfig
from pefuse.models.tabnet import TabNet, TabNetConfig

__all__ = ["Arrays", "Unfilled", "network_arrays", "restore_fusion", "restore_sanet", "restore_tabnet"]

Arrays = Mapping[str, NDArray[Any]]
Module = TypeVar("Module", bound=nn.Module)

# Far above any use; they bound the time that it takes to see that options do not fit the weights.
MOST_LAYERS = 500
MOST_COLUMNS = 200_000
LARGEST_NUMBER = 1e6  # of any option


def network_arrays(module: nn.Module) -> dict[str, NDArray[Any]]:
    """All weights and statistics of a network by name, for safetensors."""
    return {name: value.detach().cpu().numpy() for name, value in module.state_dict().items()}


def restore_sanet(options: Mapping[str, Any], arrays: Arrays) -> SANet:
    """The SANet of these options and weights, in eval mode.

    Raises:
        RunError: the options cannot be used, or the weights are not theirs.
    """
    config = _config(SANetConfig, options)
    _check_count(sum(config.blocks), MOST_LAYERS, "layers")
    network = _restored(lambda: SANet(config), arrays)
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]


def restore_tabnet(options: Mapping[str, Any], arrays: Arrays) -> TabNet:
    """As `restore_sanet`, for a TabNet."""
    config = _config(TabNetConfig, options)
    _check_tabnet(config)
    return _restored(lambda: TabNet(config), arrays)


def restore_fusion(options: Mapping[str, Any], arrays: Arrays) -> IntermediateFusion:
    """As `restore_sanet`, for the fusion of two embeddings."""
    config = _config(IntermediateConfig, options)
    if config.head is not None:
        _check_tabnet(config.head)
    if config.bilinear is not None:
        _check_count(config.bilinear.glimpses, MOST_LAYERS, "glimpses")
    _check_count(config.fused_dim, MOST_COLUMNS, "columns")
    return _restored(lambda: IntermediateFusion(config), arrays)


def _config(kind: type[Config], options: Mapping[str, Any]) -> Config:
    _check_numbers(options)
    try:
        return config_from_json(kind, dict(options))
    except UsageError as error:
        raise RunError(f"The saved options of a network cannot be used. {error}") from error


def _check_numbers(options: Any) -> None:
    """No option of any network is huge or not a number."""
    if isinstance(options, Mapping):
        options = list(options.values())
    if isinstance(options, list | tuple):
        for option in options:
            _check_numbers(option)
    elif isinstance(options, int | float) and not abs(options) <= LARGEST_NUMBER:
        raise RunError("The saved options of a network hold a number that none can have: train it again.")


def _check_tabnet(config: TabNetConfig) -> None:
    _check_count(config.n_steps * (2 + config.n_shared + config.n_independent), MOST_LAYERS, "layers")
    columns = config.input_dim + sum(width for _, _, width in config.categorical)
    _check_count(columns, MOST_COLUMNS, "columns")


def _check_count(found: int, most: int, what: str) -> None:
    if found > most:
        raise RunError(f"The saved options of a network ask for {found} {what}, more than {most}: train it again.")


def _restored(build: Callable[[], Module], arrays: Arrays) -> Module:
    _check_arrays(_expected(build), arrays)
    module = build()
    module.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    return module.eval()


def _expected(build: Callable[[], nn.Module]) -> dict[str, torch.Tensor]:
    """Names, shapes and kinds of the network's tensors, without memory for their values."""
    try:
        with torch.device("meta"), Unfilled():
            return build().state_dict()
    except (RuntimeError, TypeError, ValueError, OverflowError, ArithmeticError) as error:
        raise RunError("The saved options of a network cannot be used together: train it again.") from error


_FILLS = (
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
    nn.init.kaiming_uniform_,
    nn.init.normal_,
    nn.init.uniform_,
)


class Unfilled(TorchFunctionMode):
    """Networks built in it have no first weights, which saves most of the time where saved ones follow.

    Without memory it must be so: torch would import its compiler, for seconds, to find out that there are no
    values. Random numbers are not drawn either: what is trained afterwards would differ.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FILLS:
            return args[0] if args else kwargs["tensor"]
        if func is torch.norm_except_dim:  # of a weight kept as length and direction
            weight, _, kept = args
            shape = [n if axis == kept else 1 for axis, n in enumerate(weight.shape)]
            return weight.new_empty(shape if kept >= 0 else [])
        return func(*args, **(kwargs or {}))


def _check_arrays(expected: Mapping[str, torch.Tensor], arrays: Arrays) -> None:
    if missing := sorted(set(expected) - set(arrays)):
        raise RunError(f"The saved weights lack '{missing[0]}', which the network has: train it again.")
    if strange := set(arrays) - set(expected):
        raise RunError(f"The saved weights hold {len(strange)} that the network does not have: train it again.")
    for name, wanted in expected.items():
        found = arrays[name]
        # A lone number may have been saved as a row of one; torch takes both.
        if tuple(found.shape) != tuple(wanted.shape) and (found.shape, wanted.ndim) != ((1,), 0):
            raise RunError(
                f"The saved weight '{name}' has shape {tuple(found.shape)}, but the network's has "
                f"{tuple(wanted.shape)}: train it again."
            )
        if str(found.dtype) != str(wanted.dtype).removeprefix("torch."):
            raise RunError(
                f"The saved weight '{name}' is of kind {found.dtype}, not {wanted.dtype}: train it again."
            )
        if not np.isfinite(found).all():
            raise RunError(f"The saved weight '{name}' holds a number that is not finite: train it again.")
