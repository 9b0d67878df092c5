"""Embeddings in the plane: a row a network, a column a stage of its training, a point a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from pefuse.evaluation import Silhouette
from pefuse.report.figures.style import DIED, GRID, MUTED, SURVIVED, Plot, new_figure, plot_of
from pefuse.report.names import model_name

__all__ = ["EmbeddingPanel", "embedding_figure"]

COLUMNS = {"start": "Start", "middle": "Middle", "end": "End"}
FEWEST_WIDE = 3  # panels: in less the legend has no room
# Survivors first, so that the fewer deaths are not hidden by them; the test studies over all others.
LAYERS = ((False, 0), (False, 1), (True, 0), (True, 1))


@dataclass(frozen=True, kw_only=True)
class EmbeddingPanel:
    """One network at one stage. `cases` (study_id, split, label) go with `points` `(N, 2)`; None = not drawn.

    `when` says how far the training was. `problem` says why there is no picture, "" = there is one; `silhouette`
    is that of the test studies, None = cannot be told.
    """

    model: str
    stage: str
    when: str
    cases: pd.DataFrame = field(repr=False)
    points: NDArray[np.float64] | None = field(repr=False)
    silhouette: Silhouette | None
    problem: str = ""


def embedding_figure(panels: Sequence[EmbeddingPanel]) -> Plot | None:
    """All panels side by side; None where none can be drawn. The CSV has every point."""
    drawn = [panel for panel in panels if panel.points is not None]
    if not drawn:
        return None
    rows = list(dict.fromkeys(panel.model for panel in panels))
    columns = [stage for stage in COLUMNS if any(panel.stage == stage for panel in panels)]
    down, across = [model_name(model).label for model in rows], [COLUMNS[stage] for stage in columns]
    lying = len(columns) == 1  # one stage alone: its networks stand side by side, or the page would be all figure
    if lying:
        down, across = across, down
    width, height = 0.4 + 1.8 * max(len(across), FEWEST_WIDE), 0.75 + 2.25 * len(down)
    with new_figure(width, height, margins_in=(0.32, 0.08, 0.98, 0.3)) as figure:
        grid = figure.subplots(len(down), len(across), squeeze=False)
        figure.subplots_adjust(wspace=0.08, hspace=0.38)
        for axes in grid.flat:
            axes.set_axis_off()
        for panel in panels:
            row, column = rows.index(panel.model), columns.index(panel.stage)
            _draw(grid[column, row] if lying else grid[row, column], panel)
        for axes, name in zip(grid[0], across, strict=True):
            axes.set_title(name, fontweight="bold", pad=5)
        for axes, name in zip(grid[:, 0], down, strict=True):
            axes.text(-0.06, 0.5, name, rotation=90, va="center", ha="right", transform=axes.transAxes)
        _legend(figure)
        names = ", ".join(model_name(model).label for model in rows)
        return plot_of(
            figure,
            name="embedding",
            title="Embeddings in the course of training",
            alt=f"t-SNE of the embeddings of {names}: {', '.join(COLUMNS[stage].lower() for stage in columns)} "
            "of training, studies coloured by outcome.",
            numbers=pd.concat([_numbers(panel) for panel in drawn], ignore_index=True),
        )


def _draw(axes: Axes, panel: EmbeddingPanel) -> None:
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])  # the axes of t-SNE mean nothing
    axes.spines[:].set_color(GRID)
    axes.set_xlabel(f"{panel.when}\n{_told(panel.silhouette)}", labelpad=3, fontsize=7.5)
    if panel.points is None:
        axes.text(0.5, 0.5, panel.problem, ha="center", va="center", color=MUTED, wrap=True)
        return
    is_test, died = (panel.cases["split"] == "test").to_numpy(), (panel.cases["label"] == 1).to_numpy()
    for test, outcome in LAYERS:
        shown = panel.points[(is_test == test) & (died == bool(outcome))]
        axes.plot(shown[:, 0], shown[:, 1], **_style(died=bool(outcome), test=test))
    axes.margins(0.06)


def _style(*, died: bool, test: bool) -> dict[str, Any]:
    """Deaths are diamonds, so that they are found in print without colour."""
    return {
        "linestyle": "",
        "marker": "D" if died else "o",
        "color": DIED if died else SURVIVED,
        "markersize": (3.6 if died else 3.4) if test else 2.6,
        "markeredgewidth": 0.35 if test else 0.0,
        "markeredgecolor": "white",
        "alpha": 1.0 if test else 0.3,
    }


def _told(silhouette: Silhouette | None) -> str:
    if silhouette is None:
        return "silhouette cannot be told"
    low, value, high = (
        f"{number:.2f}".replace("-", "−")
        for number in (silhouette.chance_low, silhouette.value, silhouette.chance_high)
    )
    return f"silhouette {value}\n(by chance {low} to {high})"


def _legend(figure: Figure) -> None:
    names = {0: "survived", 1: "died"}
    handles = [
        Line2D([], [], label=f"{names[outcome]}, {'test' if test else 'training or validation'}",
               **_style(died=bool(outcome), test=test))
        for test, outcome in reversed(LAYERS)
    ]  # fmt: skip
    figure.legend(handles=handles, loc="lower center", ncols=2, handlelength=1, columnspacing=2)


def _numbers(panel: EmbeddingPanel) -> pd.DataFrame:
    assert panel.points is not None
    return panel.cases.assign(model=panel.model, stage=panel.stage, x=panel.points[:, 0], y=panel.points[:, 1])[
        ["model", "stage", "study_id", "split", "label", "x", "y"]
    ]
