"""How each kind of model of the zoo is trained on one fold: one file a kind, read top-down."""

from pefuse.training.recipes.context import CellContext
from pefuse.training.recipes.train import RECIPES, train_cell

__all__ = ["RECIPES", "CellContext", "train_cell"]
