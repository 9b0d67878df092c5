"""What the networks made of the studies in the course of training (Figure 3 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pefuse.errors import RunError
from pefuse.evaluation import Silhouette, outcome_silhouette
from pefuse.report.embedding import FollowedModel, Stage, followed_models, has_networks, read_followed
from pefuse.report.figures import EmbeddingPanel, embedding_figure
from pefuse.report.names import model_name
from pefuse.report.sections.contract import Content, Material, Section
from pefuse.report.tsne import FEWEST, perplexity_of, place, shown_cases
from pefuse.report.wording import counted

__all__ = ["SECTION"]

MOST_TESTED = 1000  # test studies of a silhouette: it needs all distances between them
ENOUGH_DEATHS = 20  # with fewer, a few studies decide the silhouette


def build(material: Material) -> Content | None:
    names = [one.name for one in material.in_table1]
    if not has_networks(names):
        return None
    followed, problems = _read(material, followed_models(names, reference=material.results.reference))
    panels = [_panel(one, stage) for one in followed for stage in one.stages]
    plot = embedding_figure(panels)
    return Content(
        context={
            "problems": problems,
            "rows": [_row(panel) for panel in panels],
            "apart": [model_name(one.model).label for one in followed if _above_chance(one, panels)],
            "judged": any(panel.stage == "end" and panel.silhouette for panel in panels),
            "drawn": _drawn(panels),
            "perplexity": _perplexities(panels),
            "unusable": _unusable(followed),
            "end_only": [model_name(one.model).label for one in followed if one.stage("start") is None],
            "no_middle": [model_name(one.model).label for one in followed if _lacks_middle(one)],
            "seed_and_fold": f"seed {followed[0].seed}, fold {followed[0].fold}" if followed else "",
            "deaths": max((_test_deaths(one) for one in followed), default=0),
            "enough_deaths": ENOUGH_DEATHS,
            "fused": next((model_name(one.model).label for one in followed if _fuses(one)), ""),
        },
        plots=(plot,) if plot is not None else (),
    )


def _read(material: Material, names: Sequence[str]) -> tuple[list[FollowedModel], list[str]]:
    """The models whose embeddings can be read, and what is wrong with the others'."""
    found, problems = [], []
    for name in names:
        try:
            followed = read_followed(material.run, material.folder, name)
        except RunError as error:
            problems.append(str(error))
            continue
        if followed is None:
            problems.append(f"The run holds no embeddings of {model_name(name).label}.")
        else:
            found.append(followed)
    return found, problems


def _panel(followed: FollowedModel, stage: Stage) -> EmbeddingPanel:
    shown = shown_cases(stage.cases["split"].tolist())
    points = place(stage.vectors[shown])
    few = len(shown) < FEWEST
    problem = f"fewer than {FEWEST} studies" if few else "all studies\nhave the same\nembedding"
    return EmbeddingPanel(
        model=followed.model,
        stage=stage.name,
        when=_when(followed, stage),
        cases=stage.cases.iloc[shown],
        points=points,
        silhouette=_silhouette(stage),
        problem="" if points is not None else problem,
    )


def _when(followed: FollowedModel, stage: Stage) -> str:
    if stage.name == "start":
        return "fresh, on trained encoders" if _fuses(followed) else "before training"
    return "when kept" if stage.epochs is None else f"after {counted(stage.epochs, 'epoch')}"


def _fuses(followed: FollowedModel) -> bool:
    return model_name(followed.model).family == "joint"


def _silhouette(stage: Stage) -> Silhouette | None:
    """Of the test studies, in the embedding's own space; None where it cannot be told."""
    tested = np.flatnonzero(stage.cases["split"] == "test")
    if len(tested) > MOST_TESTED:
        tested = np.sort(np.random.default_rng(0).choice(tested, MOST_TESTED, replace=False))
    labels = stage.cases["label"].to_numpy()[tested]
    if len(tested) < 3 or len(set(labels)) < 2:
        return None
    return outcome_silhouette(labels, stage.vectors[tested])


def _above_chance(followed: FollowedModel, panels: Sequence[EmbeddingPanel]) -> bool:
    """Whether the test studies' outcomes lie apart at the end by more than chance gives."""
    own = (panel.silhouette for panel in panels if (panel.model, panel.stage) == (followed.model, "end"))
    found = next(own, None)
    return found is not None and found.value > found.chance_high


def _row(panel: EmbeddingPanel) -> dict[str, object]:
    return {
        "model": model_name(panel.model).label,
        "stage": panel.stage,
        "when": panel.when,
        "silhouette": panel.silhouette,
    }


def _drawn(panels: Sequence[EmbeddingPanel]) -> str:
    """How many studies a panel shows, as `358` or `200 to 358`."""
    return _range([len(panel.cases) for panel in panels if panel.points is not None])


def _perplexities(panels: Sequence[EmbeddingPanel]) -> str:
    return _range([perplexity_of(len(panel.cases)) for panel in panels if panel.points is not None])


def _range(values: Sequence[int]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _unusable(followed: Sequence[FollowedModel]) -> list[str]:
    return [
        f"{model_name(one.model).label}, {stage.name}: {counted(stage.unusable, 'study', 'studies')}"
        for one in followed
        for stage in one.stages
        if stage.unusable
    ]


def _lacks_middle(followed: FollowedModel) -> bool:
    return followed.stage("start") is not None and followed.stage("middle") is None


def _test_deaths(followed: FollowedModel) -> int:
    tested = pd.concat([stage.cases for stage in followed.stages]).drop_duplicates("study_id")
    return int(((tested["split"] == "test") & (tested["label"] == 1)).sum())


SECTION = Section(name="embedding", title="Embeddings", group="Explanation", build=build)
