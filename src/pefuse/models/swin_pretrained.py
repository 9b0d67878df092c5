"""Weights of self-supervised pretraining for the Swin encoder: MONAI's `model_swinvit.pt`.

The file is nobody's package: the user points at it. It is a torch file of the form {"state_dict": {...}}, whose
names differ from today's in a prefix and in the parts of an MLP. A reader that skips what it does not find would
load nothing without a word, so here every tensor of the encoder must be set, and no tensor of an encoder may be
left over.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pefuse.errors import UsageError
from pefuse.models.swin import Swin, SwinConfig

__all__ = ["PRETRAINED_WINDOW_HU", "check_pretrained", "load_pretrained"]

# What the pretraining saw: HU clipped to this and scaled to 0..1, nothing taken off (MONAI's swin-unetr
# pretraining).
PRETRAINED_WINDOW_HU = (-1000.0, 1000.0)

_PREFIX = "module."
_RENAMED = {"mlp.linear1": "mlp.fc1", "mlp.linear2": "mlp.fc2"}  # today's name: the file's
# Everything else that carries the prefix belongs to the pretraining's own tasks (rotation, contrast,
# reconstruction), which have no use here.
_ENCODER_PARTS = ("patch_embed", "pos_drop", "layers")
_NEEDED = "a pretrained Swin file is MONAI's model_swinvit.pt"


def check_pretrained(path: Path, config: SwinConfig) -> str:
    """The SHA-256 of a file whose weights fit the encoder; call it before anything else is done.

    Raises:
        UsageError: no such file, a damaged one, or weights that are not this encoder's.
    """
    with torch.device("meta"):
        wanted = _encoder_shapes(config)
    _checked(_read(path), wanted)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_pretrained(network: Swin, path: Path, *, sha256: str) -> None:
    """Set every tensor of the network's encoder from the file.

    Raises:
        UsageError: as `check_pretrained`, or the file is no longer the one that was checked.
    """
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise UsageError("The pretrained file changed since the run began: use the one that it began with.")
    wanted = network.encoder.state_dict()
    network.encoder.load_state_dict(_checked(_read(path), wanted), strict=True)


def _encoder_shapes(config: SwinConfig) -> dict[str, Tensor]:
    from pefuse.models.restore import Unfilled

    with Unfilled():
        return Swin(config).encoder.state_dict()


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # torch's doubts about a foreign file: it is refused below in our words
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UsageError(f"There is no pretrained file at that path: {_NEEDED}.") from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise UsageError(
            f"The pretrained file cannot be read (it is cut off, or no torch file of weights alone): {_NEEDED}; "
            "get it again."
        ) from error
    state = content.get("state_dict") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UsageError(f'The pretrained file holds no "state_dict" of tensors: {_NEEDED}.')
    return {str(name): value for name, value in state.items()}


def _checked(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The file's tensors by today's names: all that are wanted, each of its size."""
    found = {name: state.get(_PREFIX + _file_name(name)) for name in wanted}
    if missing := [name for name, value in found.items() if value is None]:
        raise UsageError(
            f"The pretrained file lacks {len(missing)} of the encoder's {len(wanted)} tensors, the first "
            f'"{_PREFIX + _file_name(missing[0])}": {_NEEDED}, for depths (2, 2, 2, 2).'
        )
    known = {_PREFIX + _file_name(name) for name in wanted}
    if foreign := sorted(name for name in set(state) - known if not _of_other_task(name)):
        raise UsageError(
            f'The pretrained file holds {len(foreign)} tensors that the encoder does not have, the first "'
            f'{foreign[0][:80]}": {_NEEDED}.'
        )
    tensors = {name: value for name, value in found.items() if value is not None}
    for name, value in tensors.items():
        if value.shape != wanted[name].shape:
            raise UsageError(
                f'The pretrained file\'s "{_PREFIX + _file_name(name)}" has shape {tuple(value.shape)}, and the '
                f"encoder's is {tuple(wanted[name].shape)}: it is for feature_size 48, window 7 and one channel."
            )
        if value.is_floating_point() and not value.isfinite().all():
            raise UsageError(f'The pretrained file\'s "{name}" holds a number that is not finite: get it again.')
    return tensors


def _file_name(name: str) -> str:
    for ours, theirs in _RENAMED.items():
        name = name.replace(ours, theirs)
    return name


def _of_other_task(name: str) -> bool:
    return name.startswith(_PREFIX) and not name.removeprefix(_PREFIX).startswith(_ENCODER_PARTS)
