"""`RUN/explanations/`: what one model of a finished run goes by, on its test studies. Nothing is trained.

    summary.json            the model, its layer and method, the cases in the order to be shown
    cases/<study_id>/       case.json, ct.nii.gz, heat.nii.gz, occlusion.nii.gz, slices.png
    record_importance.csv   of the models of the record: how much each feature counted
    not_explained.json      models of which that cannot be told, with the reason
    modality.csv            risks with the scan or the record replaced by its average
    heat_truth.csv          of a simulated cohort: how much heat lies in which structure, and a control's
    record_truth.csv        of a simulated cohort: how many important features carry signal, and a control's

The folder is made anew, whole or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pefuse.cohort import load_cohort
from pefuse.errors import PefuseError, UsageError
from pefuse.explain.case_files import CaseFacts, write_case
from pefuse.explain.cases import choose_cases, kind_of
from pefuse.explain.gradcam import HeatMethod
from pefuse.explain.heat import Heat, find_heat, find_occlusion
from pefuse.explain.heat_truth import heat_truth_table
from pefuse.explain.importance import NotExplained
from pefuse.explain.material import Material, gather
from pefuse.explain.modality import modality_table
from pefuse.explain.record_truth import record_truth_table
from pefuse.explain.shares import FeatureShare, feature_shares, record_importance_table
from pefuse.explain.structures import structures_on_grid
from pefuse.sealed import read_manifest, sha256_of
from pefuse.storage import atomic_folder, write_json, write_text
from pefuse.types import Progress

__all__ = ["ExplainOptions", "explain_run", "is_explained"]

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """What to explain, and how.

    `model`: its name in the run; "" = the paper's full model, or the first of the others that is there. `layer`:
    see `chosen_layer`. `cases`: how many studies are shown, mistakes first, unless `studies` names them.
    `most_studies` bounds the tables over test studies, each of which takes a pass of the model.
    """

    model: str = ""
    method: HeatMethod = "layer-cam"
    layer: str = ""
    cases: int = 8
    studies: tuple[str, ...] = ()
    occlusion: bool = True
    most_studies: int = 200

    def __post_init__(self) -> None:
        if self.cases < 1 or self.most_studies < 1:
            raise UsageError("At least one case and one study are needed.")


def explain_run(
    run: Path, cohort: Path, *, options: ExplainOptions | None = None, progress: Progress | None = None
) -> Path:
    """Explain a run's main model on its test studies and write `RUN/explanations/`.

    Args:
        run: folder of a finished run, with its bundles.
        cohort: the folder of the cohort that it was trained on; scans are prepared if they are not yet.

    Returns:
        The folder of the explanations.

    Raises:
        RunError: the folder is no finished run, is of another cohort, or has no test study to explain.
        UsageError: no such model, layer or study.
        BundleError: the model's bundle is damaged.
        StorageError: the disk is full.
    """
    options, tell = options or ExplainOptions(), progress or _silent
    material = gather(
        run,
        load_cohort(cohort),
        model=options.model,
        layer=options.layer,
        studies=options.studies,
        progress=tell,
    )
    shown = _shown(material, options)
    folder, staged = run / "explanations", run / ".explanations"
    shutil.rmtree(staged, ignore_errors=True)
    with atomic_folder(staged) as partial:
        _explain_into(partial, material, shown, options, tell)
    shutil.rmtree(folder, ignore_errors=True)
    staged.rename(folder)
    return folder


def is_explained(run: Path) -> bool:
    """Whether the explanations of a run are there and are of the bundle that it has now."""
    try:
        summary = json.loads((run / "explanations" / "summary.json").read_text(encoding="utf-8"))
        known, model = summary["bundle_sha256"], summary["model"]
        return bool(known == sha256_of(read_manifest(run / "bundles" / model)))
    except (OSError, ValueError, KeyError, TypeError, PefuseError):
        return False  # none, or damaged: they are made anew


def _shown(material: Material, options: ExplainOptions) -> list[str]:
    if not options.studies:
        return choose_cases(material.risks, threshold=material.threshold, count=options.cases)
    if unknown := [one for one in options.studies if one not in material.risks.index]:
        raise UsageError(f"{unknown[0]} has no usable scan: see quarantine.csv of the run, or name another study.")
    return list(dict.fromkeys(options.studies))


def _explain_into(
    folder: Path, material: Material, shown: list[str], options: ExplainOptions, tell: Progress
) -> None:
    tested = _spread(list(material.risks.index), options.most_studies)
    _write_record(folder, material, tested)
    modality = _write_modality(folder, material, sorted({*tested, *shown}))
    truth = heat_truth_table(material, tested, layer=options.layer, progress=tell)
    if truth is not None:
        _write(folder / "heat_truth.csv", truth)
    heat = _heat(material, shown, options)
    features = _features(material, shown)
    for done, study_id in enumerate(shown):
        tell("cases", done, len(shown))
        facts = _facts(material, study_id, modality, features.get(study_id, []))
        _write_case(folder / "cases" / study_id, material, facts, heat, options)
    tell("cases", len(shown), len(shown))
    write_json(folder / "summary.json", _summary(material, shown, len(tested), heat))


def _spread(ids: list[str], most: int) -> list[str]:
    """At most so many, evenly over all: the latest test studies may not be like the first."""
    if len(ids) <= most:
        return ids
    return [ids[place] for place in np.linspace(0, len(ids) - 1, most).round().astype(int)]


def _write_record(folder: Path, material: Material, tested: Sequence[str]) -> None:
    if material.record is None:
        return
    bundles = [one for one in (material.bundle, *material.others) if one.needs_record]
    table, reasons = record_importance_table(bundles, tested, material.record)
    _write(folder / "record_importance.csv", table)
    if reasons:
        write_json(folder / "not_explained.json", reasons)
    if (truth := material.truth) is not None:
        compared = record_truth_table(bundles, tested, material.record, codes=material.cohort.codes, truth=truth)
        _write(folder / "record_truth.csv", compared)


def _write_modality(folder: Path, material: Material, tested: Sequence[str]) -> pd.DataFrame | None:
    """Indexed by study_id; None where the model reads one modality alone."""
    if material.scans is None or material.record is None:
        return None
    table = modality_table(
        material.bundle,
        tested,
        scans=material.scans,
        record=material.record,
        labels={str(study_id): int(label) for study_id, label in material.risks["label"].items()},
        reference_ids=material.development,
    )
    if isinstance(table, NotExplained):
        return None
    _write(folder / "modality.csv", table)
    return table.set_index("study_id")


def _heat(material: Material, shown: Sequence[str], options: ExplainOptions) -> Heat | None:
    if material.scans is None:
        return None
    return find_heat(
        material.bundle,
        shown,
        scans=material.scans,
        record=material.record,
        method=options.method,
        layer=options.layer,
    )


def _features(material: Material, shown: Sequence[str]) -> Mapping[str, list[FeatureShare]]:
    if material.record is None or not material.bundle.needs_record:
        return {}
    found = feature_shares(material.bundle, shown, material.record, reference=material.development)
    return {} if isinstance(found, NotExplained) else found


def _facts(
    material: Material, study_id: str, modality: pd.DataFrame | None, features: Sequence[FeatureShare]
) -> CaseFacts:
    label, risk = (float(material.risks[column][study_id]) for column in ("label", "risk"))
    called = None if material.threshold is None else risk >= material.threshold

    def known(risks: pd.Series[float] | None) -> float | None:
        return float(risks[study_id]) if risks is not None and study_id in risks.index else None

    return CaseFacts(
        study_id=study_id,
        label=int(label),
        risk=risk,
        called=called,
        kind=kind_of(label, called),
        scan_alone=known(material.alone.get("ct")),
        record_alone=known(material.alone.get("ehr")),
        without_scan=known(modality["without_scan"] if modality is not None else None),
        without_record=known(modality["without_record"] if modality is not None else None),
        features=tuple(features),
    )


def _write_case(
    folder: Path, material: Material, facts: CaseFacts, heat: Heat | None, options: ExplainOptions
) -> None:
    study_id = facts.study_id
    if heat is None or material.scans is None:
        write_case(folder, facts, hu=None, affine=None, heat=None)
        return
    hidden = None
    if options.occlusion:
        hidden = find_occlusion(material.bundle, [study_id], scans=material.scans, record=material.record)
    mask, affine = material.mask(study_id), material.affine(study_id)
    write_case(
        folder,
        facts,
        hu=material.scans.load([study_id])[0],
        affine=affine,
        heat=heat.of(study_id),
        occlusion=hidden.of(study_id) if hidden is not None else None,
        structures=structures_on_grid(mask, affine, material.scans.grid) if mask is not None else None,
        simulated=material.cohort.simulated,
    )


def _summary(material: Material, shown: list[str], in_tables: int, heat: Heat | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "model": material.bundle.model,
        "bundle_sha256": material.bundle.sha256,
        "threshold": material.threshold,
        "layer": heat.layer if heat is not None else "",
        "method": heat.method if heat is not None else "",
        "through": heat.through if heat is not None else "",
        "simulated": material.cohort.simulated,
        "test_studies": len(material.risks),
        "in_tables": in_tables,
        "cases": shown,
    }


def _write(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def _silent(what: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""
