"""Model cards: what a bundle says of itself and what the run found, and nothing where the bundle is damaged."""

from __future__ import annotations

import json
import shutil

import pytest

from pefuse.report import summarise
from pefuse.report.page import build_page
from pefuse.report.results import load_results
from pefuse.report.run_folder import read_run
from pefuse.report.sections import SECTIONS, Material
from pefuse.sealed import MANIFEST, SEAL, seal_text, sha256_of

WEIGHTS = b"weights of a network"


def manifest(model: str = "intermediate-sanet", **other: object) -> dict[str, object]:
    """`bundle.json` as training writes it, short."""
    return {
        "notice": "Research use only: not a medical device.",
        "written_by": "pefuse 0.1.0",
        "model": model,
        "grid": 48,
        "field_of_view": "lungs",
        "ensemble": "mean of the members' risks",
        "thresholds": [{"name": "youden", "value": 0.1234, "chosen_on": "The validation studies."}],
        "calibration": {"fitted": False, "method": "Nothing was fitted."},
        "cohort": {
            "simulated": True,
            "horizon_days": 30,
            "outcome": "death",
            "studies": 286,
            "patients": 280,
            "deaths": 29,
            "first_year": 2012,
            "last_year": 2017,
            "age_mean": 62.6,
            "age_sd": 15.1,
            "female_share": 0.535,
        },
        "features": [
            {"key": "a", "name": "lactate (mmol/L)", "family": "lab", "kind": "continuous", "unit": "mmol/L"},
            {"key": "b", "name": "ward|A_*", "family": "arrival", "kind": "binary", "unit": ""},
        ],
        "config": {},
        "inputs": "",
        "format": 2,
        "architecture": "fusion",
        "members": [{"seed": 0, "fold": 0, "scan": {"network_kind": "sanet"}}, {"seed": 0, "fold": 1}],
        "files": {"seed0-fold0.safetensors": {"bytes": len(WEIGHTS), "sha256": sha256_of(WEIGHTS)}},
    } | other


def write_bundle(run, content: dict[str, object], *, folder: str = "intermediate-sanet"):
    bundle = run / "bundles" / folder
    bundle.mkdir(parents=True)
    text = json.dumps(content).encode()
    (bundle / MANIFEST).write_bytes(text)
    (bundle / SEAL).write_bytes(seal_text(text))
    (bundle / "seed0-fold0.safetensors").write_bytes(WEIGHTS)
    return bundle


def page_of(run) -> str:
    """The page with the section of the bundles alone."""
    results = load_results(run)
    material = Material(run=read_run(run), results=results, scores=(), folder=run)
    return build_page(material, sections=[section for section in SECTIONS if section.name == "bundles"]).html


@pytest.fixture(scope="module")
def summarised(make_run):
    folder = make_run(models={"xgboost": 1.5, "intermediate-sanet": 2.0})
    summarise(folder)
    return folder


@pytest.fixture
def run(summarised, tmp_path):
    return shutil.copytree(summarised, tmp_path / "run")


def test_a_card_tells_what_the_bundle_says_and_what_the_run_found(run):
    bundle = write_bundle(run, manifest())
    page = page_of(run)
    card = (run / "model_cards" / "intermediate-sanet.md").read_text()
    model = next(one for one in load_results(run).models if one.name == "intermediate-sanet")

    for told in (
        "not a medical device",
        "simulated patients alone",
        "286 of 280 patients",
        "2012 to 2017",
        "48×48×48",
        "positive from a risk of 0.1234 on",
        "2 members: 2 folds, 1 seed",
        "| lab | lactate (mmol/L) | mmol/L | continuous |",
        f"| AUC | {model.test.auc.value:.2f} [",
        "| Deaths seen for each expected (1 is right) | ",
        "| Sex | female | ",
        sha256_of((bundle / MANIFEST).read_bytes()),
    ):
        assert told in card
    assert 'href="model_cards/intermediate-sanet.md"' in page


def test_a_name_cannot_break_a_row_of_the_table(run):
    write_bundle(run, manifest())
    page_of(run)

    assert r"| arrival | ward\|A\_\* |  | binary |" in (run / "model_cards" / "intermediate-sanet.md").read_text()


def test_the_copy_beside_the_bundle_is_the_same_and_its_hash_stays(run):
    bundle = write_bundle(run, manifest())
    before = (bundle / MANIFEST).read_bytes(), (bundle / SEAL).read_bytes()
    page_of(run)

    assert (bundle / "MODEL_CARD.md").read_text() == (run / "model_cards" / "intermediate-sanet.md").read_text()
    assert ((bundle / MANIFEST).read_bytes(), (bundle / SEAL).read_bytes()) == before


def damage_weights(bundle):
    (bundle / "seed0-fold0.safetensors").write_bytes(WEIGHTS[:-1] + b"X")


def damage_manifest(bundle):
    (bundle / MANIFEST).write_bytes((bundle / MANIFEST).read_bytes().replace(b"0.1234", b"0.9999"))


def lose_seal(bundle):
    (bundle / SEAL).unlink()


def lose_weights(bundle):
    (bundle / "seed0-fold0.safetensors").unlink()


def seal_nonsense(bundle):
    (bundle / MANIFEST).write_bytes(b"{not json")
    (bundle / SEAL).write_bytes(seal_text(b"{not json"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_weights, "seed0-fold0.safetensors is not the file that was written"),
        (damage_manifest, "bundle.json is not the one that was written"),
        (lose_seal, "lacks its file bundle.sha256"),
        (lose_weights, "lacks its file seed0-fold0.safetensors"),
        (seal_nonsense, "bundle.json is not valid"),
    ],
)
def test_a_damaged_bundle_has_one_line_and_no_card_and_the_rest_is_shown(run, damage, said):
    bundle = write_bundle(run, manifest())
    write_bundle(run, manifest("xgboost"), folder="xgboost")
    page_of(run)  # a card is there from before
    damage(bundle)
    page = page_of(run)

    assert page.count(said) == 1
    assert str(run) not in page
    assert not (run / "model_cards" / "intermediate-sanet.md").exists()
    assert not (bundle / "MODEL_CARD.md").exists()
    assert "XGBoost (record)" in page  # its bundle is whole


def test_a_missing_entry_is_named(run):
    content = manifest()
    del content["calibration"]
    write_bundle(run, content)

    assert "bundle.json is not valid at calibration" in page_of(run)


def test_a_bundle_that_names_files_elsewhere_is_refused(run):
    write_bundle(run, manifest(files={"../../results.json": {"bytes": 1, "sha256": "0" * 64}}))

    assert "names a file outside its folder" in page_of(run)


def test_a_renamed_bundle_is_not_taken_for_another_model(run):
    write_bundle(run, manifest("sanet"))

    assert "it is of sanet" in page_of(run)


def test_cards_of_models_that_left_the_run_are_taken_away(run):
    (run / "model_cards").mkdir()
    (run / "model_cards" / "swin.md").write_text("of another run")
    write_bundle(run, manifest())
    page_of(run)

    assert [path.name for path in (run / "model_cards").iterdir()] == ["intermediate-sanet.md"]


def test_a_model_that_could_not_be_judged_has_a_card_that_says_so(make_run):
    run = make_run(models={"xgboost": 1.5, "intermediate-sanet": 2.0}, mortality=0.0)
    summarise(run)
    write_bundle(run, manifest(thresholds=[]))
    page_of(run)
    card = (run / "model_cards" / "intermediate-sanet.md").read_text()

    assert "Not judged: all its test studies survived" in card
    assert "None: the validation studies had a single outcome." in card


def test_without_bundles_there_is_no_such_section(run):
    assert 'id="bundles"' not in page_of(run)
