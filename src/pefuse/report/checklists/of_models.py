"""Answers about the models: what they are, how they were trained, what they give and with what software."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pefuse.report.checklists.answer import Answer, setting
from pefuse.report.names import CLINICAL_SCORES
from pefuse.report.wording import counted

if TYPE_CHECKING:
    from pefuse.report.sections.contract import Material

__all__ = ["ANSWERS"]


def scaling(material: Material) -> Answer | None:
    config = material.run.config
    clip = setting(config, "record.clip_sd")
    if clip is None:
        return None
    logarithm = " (right-skewed ones as logarithms)" if setting(config, "record.log_skewed") else ""
    texts = {"one-hot": "a column a level", "codes": "an embedded code"}.get(
        str(setting(config, "record.categorical")), "columns"
    )
    return Answer(
        text=f"Numbers are standardised{logarithm} and cut at {clip:g} SD, yes-or-no columns stay 0 or 1, texts "
        f"become {texts}; boosted trees see numbers as they are. Scans are windowed and standardised. All of "
        "it is "
        "fitted on each fold's training part.",
        section="facts",
    )


def models(material: Material) -> Answer | None:
    if not material.run.config:
        return None
    listed = ", ".join(model.label for model in material.results.of_table(1) if model.family != "ideal")
    return Answer(
        text=f"{listed}. All settings stand in the run; they were fixed before, none is searched for within "
        "the run. "
        f"Internal validation by {_folds(material)}.",
        section="facts",
    )


def architecture(material: Material) -> Answer | None:
    if not material.run.config:
        return None
    return Answer(
        text="Every layer's width, depth and option is in the settings, the equations are in pefuse's "
        "documentation "
        "(models), and the code is open.",
        section="facts",
    )


def software(material: Material) -> Answer | None:
    environment = material.run.environment
    packages = environment.get("packages") or {}
    if not packages:
        return None
    listed = ", ".join(f"{name} {number}" for name, number in packages.items())
    return Answer(text=f"Python {environment.get('python', '')}, {listed}.", section="facts")


def initialisation(material: Material) -> Answer:
    seeds = f"{counted(material.seeds, 'seed')}"
    pretrained = setting(material.run.config, "swin.pretrained")
    swin = " The Swin encoder starts from pretrained weights, named by their hash in the settings." * bool(
        pretrained
    )
    return Answer(
        text=f"Networks start at random from {seeds}; a fusion starts from the encoders trained in the same "
        f"fold.{swin}",
        section="facts",
    )


def training(material: Material) -> Answer | None:
    if not setting(material.run.config, "sanet.loop"):
        return None
    trained = [cell for cell in material.run.cells if cell.model not in CLINICAL_SCORES]
    return Answer(
        text="Adam with decoupled weight decay on binary cross-entropy. Rates, epochs, batch sizes, "
        "augmentation and "
        "patience of each model are in the settings. Models, folds and seeds make "
        f"{counted(len(trained), 'training')}.",
        section="training" if any(cell.history is not None for cell in trained) else "facts",
    )


def selection(material: Material) -> Answer:
    return Answer(
        text="Of each network the epoch that was best on its validation part. No model was chosen by the "
        "test studies: "
        "the reference is the paper's model, and a model shown by subgroups is chosen on validation.",
        section="table1",
    )


def ensemble(material: Material) -> Answer:
    each = counted(material.folds * material.seeds, "model")
    return Answer(text=f"A test risk is the mean over {each}, one a fold and seed.", section="table1")


def imbalance(material: Material) -> Answer | None:
    if not material.run.config:
        return None
    return Answer(
        text="Training lets deaths count as much as survivors, by weight or by drawing them as often. The "
        "logarithm of "
        "that weight is taken off each logit again, so that risks keep the prevalence of the training part.",
        section="calibration",
    )


def updating(material: Material) -> Answer:
    return Answer(text="No model was changed after it had been evaluated.", section="calibration")


def prediction(material: Material) -> Answer:
    scores = any(model.name in CLINICAL_SCORES for model in material.results.models)
    points = " Clinical scores are ranked by their points." if scores else ""
    return Answer(
        text=f"By pefuse, and saved in predictions.csv; a test risk is the mean over folds and seeds.{points}",
        section="table1",
    )


def output(material: Material) -> Answer:
    return Answer(
        text="A risk between 0 and 1. A case is called positive from Youden's threshold of the validation "
        "studies on; "
        "the threshold is applied to the test studies unchanged.",
        section="table1",
    )


def specification(material: Material) -> Answer | None:
    count = len(list(material.folder.glob("bundles/*/bundle.json")))
    if not count:
        return None
    return Answer(
        text=f"{counted(count, 'bundle')} with weights, preparation, thresholds and hashes, to be opened "
        "with pefuse; "
        "each has a model card.",
        section="facts",
    )


def code_sharing(material: Material) -> Answer | None:
    known = material.run.environment.get("pefuse")
    if not known:
        return None
    return Answer(text=f"pefuse {known} (Apache-2.0); the run holds its whole configuration.", section="facts")


def availability(material: Material) -> Answer | None:
    code, models = code_sharing(material), specification(material)
    if code is None:
        return None
    return Answer(text=" ".join(part.text for part in (code, models) if part), section="facts")


def _folds(material: Material) -> str:
    folds, seeds = material.folds, material.seeds
    split = f"{folds} folds" if folds > 1 else "one split"
    return f"{split} with {counted(seeds, 'seed')}"


ANSWERS: dict[str, Callable[[Material], Answer | None]] = {
    function.__name__: function
    for function in (
        scaling,
        models,
        architecture,
        software,
        initialisation,
        training,
        selection,
        ensemble,
        imbalance,
        updating,
        prediction,
        output,
        specification,
        code_sharing,
        availability,
    )
}
