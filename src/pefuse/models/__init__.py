"""The networks and their fusion, one architecture a file, and the zoo that names them."""

from pefuse.models.bilinear import BilinearAttention, BilinearConfig
from pefuse.models.boosting import BoostedTrees, BoostedTreesConfig
from pefuse.models.bottleneck import BottleneckConfig, BottleneckFusion
from pefuse.models.fusion import (
    EarlyFusion,
    EndToEndFusion,
    Fusion,
    FusionOutput,
    IntermediateFusion,
    VectorFusionConfig,
)
from pefuse.models.late import MajorityVote, WeightedAverage
from pefuse.models.sanet import SANet, SANetConfig
from pefuse.models.swin import Swin, SwinConfig
from pefuse.models.tabnet import TabNet, TabNetConfig
from pefuse.models.zoo import ZOO, Row, model_row, with_needs

__all__ = [
    "ZOO",
    "BilinearAttention",
    "BilinearConfig",
    "BoostedTrees",
    "BoostedTreesConfig",
    "BottleneckConfig",
    "BottleneckFusion",
    "EarlyFusion",
    "EndToEndFusion",
    "Fusion",
    "FusionOutput",
    "IntermediateFusion",
    "MajorityVote",
    "Row",
    "SANet",
    "SANetConfig",
    "Swin",
    "SwinConfig",
    "TabNet",
    "TabNetConfig",
    "VectorFusionConfig",
    "WeightedAverage",
    "model_row",
    "with_needs",
]
