"""The networks and their fusion, one architecture a file, and the zoo that names them."""

from pefuse.models.bilinear import BilinearAttention, BilinearConfig
from pefuse.models.boosting import BoostedTrees, BoostedTreesConfig
from pefuse.models.fusion import EndToEndFusion, IntermediateConfig, IntermediateFusion
from pefuse.models.late import WeightedAverage
from pefuse.models.sanet import SANet, SANetConfig
from pefuse.models.tabnet import TabNet, TabNetConfig
from pefuse.models.zoo import ZOO, Row, model_row, with_needs

__all__ = [
    "ZOO",
    "BilinearAttention",
    "BilinearConfig",
    "BoostedTrees",
    "BoostedTreesConfig",
    "EndToEndFusion",
    "IntermediateConfig",
    "IntermediateFusion",
    "Row",
    "SANet",
    "SANetConfig",
    "TabNet",
    "TabNetConfig",
    "WeightedAverage",
    "model_row",
    "with_needs",
]
