"""Late fusion: each modality's model decides on its own, and something makes one risk of theirs."""

from pefuse.models.late.average import WeightedAverage
from pefuse.models.late.combiner import Combiner
from pefuse.models.late.stacking import StackedTabNet, StackedTrees, StackingInputs
from pefuse.models.late.vote import MajorityVote

__all__ = ["Combiner", "MajorityVote", "StackedTabNet", "StackedTrees", "StackingInputs", "WeightedAverage"]
