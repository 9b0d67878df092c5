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
from pefuse.models.fusion import Fusion, VectorFusionConfig
from pefuse.models.sanet import SANet, SANetConfig
from pefuse.models.swin import Swin, SwinConfig
from pefuse.models.tabnet import TabNet, TabNetConfig
from pefuse.models.zoo import ZOO

__all__ = [
    "Arrays",
    "Unfilled",
    "network_arrays",
    "restore_fusion",
    "restore_image_encoder",
    "restore_sanet",
    "restore_swin",
    "restore_tabnet",
]

Arrays = Mapping[str, NDArray[Any]]
Module = TypeVar("Module", bound=nn.Module)

# Far above any use; they bound the time that it takes to see that options do not fit the weights.
MOST_LAYERS = 500
MOST_COLUMNS = 200_000
MOST_PATCHES = 4096  # in a window of attention, whose tables grow with the square
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


def restore_swin(options: Mapping[str, Any], arrays: Arrays) -> Swin:
    """As `restore_sanet`, for the Swin encoder."""
    config = _config(SwinConfig, options)
    _check_count(sum(config.depths), MOST_LAYERS, "layers")
    _check_count(config.window**3, MOST_PATCHES, "patches in a window")
    return _restored(lambda: Swin(config), arrays)


def restore_image_encoder(architecture: str, options: Mapping[str, Any], arrays: Arrays) -> SANet | Swin:
    """The image encoder of that architecture.

    Raises:
        RunError: as `restore_sanet`, or there is no such architecture.
    """
    if architecture not in ("sanet", "swin"):
        raise RunError("The saved network of the scans is of an unknown kind: train it again.")
    return restore_sanet(options, arrays) if architecture == "sanet" else restore_swin(options, arrays)


def restore_fusion(name: str, options: Mapping[str, Any], arrays: Arrays) -> Fusion:
    """As `restore_sanet`, for the fusion whose class has that name."""
    kinds = {row.fusion.name: row.fusion for row in ZOO.values() if row.fusion is not None}
    if name not in kinds:
        raise RunError(
            "The saved fusion is of a kind that this pefuse does not have: use the one that trained it."
        )
    config = _config(kinds[name].Config, options)
    if isinstance(config, VectorFusionConfig):
        _check_vector_fusion(config)
    _check_count(getattr(config, "layers", 0), MOST_LAYERS, "layers")
    return _restored(lambda: kinds[name](config), arrays)


def _check_vector_fusion(config: VectorFusionConfig) -> None:
    if config.tabnet is not None:
        _check_tabnet(config.tabnet)
    if config.bilinear is not None:
        _check_count(config.bilinear.glimpses, MOST_LAYERS, "glimpses")
    _check_count(config.cnn1d.layers, MOST_LAYERS, "layers")
    _check_count(config.fused_dim, MOST_COLUMNS, "columns")


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
        if (
            func is torch.linspace
        ):  # an option that is worked out while building, not a weight: MONAI reads its values
            return func(*args, **{**(kwargs or {}), "device": "cpu"})
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
