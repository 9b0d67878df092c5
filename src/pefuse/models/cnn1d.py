"""A small 1D convolutional network over a vector: the "1DCNN" of the paper's Table 3, without detail there."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from pefuse.errors import UsageError
from pefuse.models.config import ModelConfig

__all__ = ["Cnn1d", "Cnn1dConfig"]


@dataclass(frozen=True, kw_only=True)
class Cnn1dConfig(ModelConfig):
    """Options of `Cnn1d`, all ours."""

    channels: int = 16
    layers: int = 2
    kernel: int = 3
    dropout: float = 0.2

    def __post_init__(self) -> None:
        for name in ("channels", "layers", "kernel"):
            if getattr(self, name) < 1:
                raise UsageError(f"1D-CNN: {name} is {getattr(self, name)}; it must be at least 1.")
        if self.kernel % 2 == 0:
            raise UsageError(f"1D-CNN: kernel is {self.kernel}; it must be odd, so that the length stays.")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"1D-CNN: dropout is {self.dropout}; it must lie in [0, 1).")


class Cnn1d(nn.Module):
    """Neighbouring numbers of a vector to a logit. After a PCA neighbours are components of similar variance."""

    def __init__(self, config: Cnn1dConfig, *, width: int) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        for index in range(config.layers):
            inputs = 1 if index == 0 else config.channels
            layers += [nn.Conv1d(inputs, config.channels, config.kernel, padding=config.kernel // 2), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.dropout = nn.Dropout(config.dropout)
        # Not averaged over the length: which component it is matters.
        self.classifier = nn.Linear(config.channels * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (B, width) to logits (B,)."""
        maps = self.convolutions(x[:, None])  # (B, channels, width)
        logit: Tensor = self.classifier(self.dropout(maps.flatten(1))).squeeze(1)
        return logit
