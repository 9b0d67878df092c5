"""Training curves: loss and validation AUC over the epochs, one thin line a fold and seed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.lines import Line2D

from pefuse.report.figures.style import DIED, MUTED, SURVIVED, Plot, bare_axes, new_figure, plot_of
from pefuse.report.names import model_name
from pefuse.report.run_folder import Cell

__all__ = ["training_panel"]


def training_panel(model: str, cells: Sequence[Cell]) -> Plot:
    """One model's training in all its cells; a dot marks the epoch whose weights were kept."""
    title = model_name(model).label
    with new_figure(3.2, 3.8, margins_in=(0.52, 0.1, 0.7, 0.28)) as figure:
        above, below = figure.subplots(2, 1, sharex=True)
        for axes in (above, below):
            bare_axes(axes)
        for cell in cells:
            history = cell.history
            if history is None:
                continue
            point = "." if len(history) == 1 else ""  # a line of one epoch would be invisible
            above.plot(history["epoch"], history["train_loss"], point, color=MUTED, linewidth=0.8)
            above.plot(history["epoch"], history["validation_loss"], point, color=DIED, linewidth=0.9)
            below.plot(history["epoch"], history["validation_auc"], color=SURVIVED, linewidth=0.9)
            kept = history[history["epoch"] == cell.best_epoch]
            below.plot(kept["epoch"], kept["validation_auc"], "o", color=SURVIVED, markersize=3.5)
        above.set(title=title, ylabel="loss")
        below.legend(  # under the panel: the curves may be anywhere in it
            handles=[
                Line2D([], [], color=MUTED, label="training"),
                Line2D([], [], color=DIED, label="validation"),
            ],
            loc="upper center",
            bbox_to_anchor=(0.5, -0.3),
            ncols=2,
        )
        below.set(xlabel="epoch", ylabel="validation AUC", ylim=(min(0.45, below.get_ylim()[0]), 1.02))
        below.xaxis.get_major_locator().set_params(integer=True)
        numbers = pd.concat(
            [cell.history.assign(seed=cell.seed, fold=cell.fold) for cell in cells if cell.history is not None],
            ignore_index=True,
        )
        return plot_of(
            figure,
            name=f"training-{model}",
            title=title,
            alt=f"Loss and validation AUC of {title} over the epochs of training, a line a fold.",
            numbers=numbers,
        )
