"""Heat against the truth: sums by hand, and sentences that say plainly where the heat does not find the heart."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from pefuse.evaluation import wilson_interval
from pefuse.report.explanations import read_heat_truth
from pefuse.report.figures import heat_hits_panel, heat_share_panel, signal_panel
from pefuse.report.heat_truth import (
    RIGHT_HEART,
    heat_by_structure,
    heat_verdicts,
    labelled_only,
    left_ventricle_sentence,
    record_verdicts,
    strained_parts,
)
from pefuse.report.page import build_page
from pefuse.report.run_folder import read_run
from pefuse.report.sections import Material
from pefuse.report.sections.heat_truth import SECTION
from pefuse.report.summarise import summarise_scores


def heat_table(rows):
    columns = ["study_id", "method", "structure", "heat_share", "volume_share", "hit"]
    return pd.DataFrame(rows, columns=columns).assign(model="intermediate-sanet")


TWO_SCANS = heat_table(
    [
        ("S1", "layer-cam", "right_ventricle", 0.3, 0.01, 1),
        ("S1", "layer-cam", "right_atrium", 0.1, 0.01, 0),
        ("S1", "layer-cam", "left_ventricle", 0.1, 0.02, 0),
        ("S2", "layer-cam", "right_ventricle", 0.1, 0.03, 0),
        ("S2", "layer-cam", "right_atrium", 0.1, 0.01, 0),
        ("S2", "layer-cam", "left_ventricle", 0.0, 0.02, 0),
    ]
)


def row(table, structure):
    return table[table["structure"] == structure].iloc[0]


def test_the_ratio_is_that_of_the_mean_shares():
    """Right ventricle: heat (0.3 + 0.1) / 2, volume (0.01 + 0.03) / 2: 0.2 / 0.02 = 10. Hit in 1 of 2."""
    ventricle = row(heat_by_structure(TWO_SCANS), "right ventricle")

    assert ventricle["ratio"] == pytest.approx(10)
    assert ventricle["hit_rate"] == 0.5
    wilson = wilson_interval(1, 2)
    assert [ventricle["hit_rate_low"], ventricle["hit_rate_high"]] == pytest.approx([wilson.low, wilson.high])


def test_the_right_heart_is_the_sum_of_its_parts_without_the_left_ventricle():
    """Heat (0.4 + 0.2) / 2 = 0.3, volume (0.02 + 0.04) / 2 = 0.03; S1 is hit through its ventricle."""
    together = heat_by_structure(TWO_SCANS).iloc[0]

    assert together["structure"] == RIGHT_HEART
    assert together["heat_share"] == pytest.approx(0.3)
    assert together["volume_share"] == pytest.approx(0.03)
    assert together["hits"] == 1


def test_a_sum_that_the_table_brings_is_taken_as_it_is():
    """Parts may overlap within a voxel: the table's own sum knows."""
    given = heat_table(
        [("S1", "layer-cam", "all strained", 0.35, 0.02, 1), ("S2", "layer-cam", "all strained", 0.2, 0.04, 0)]
    )

    together = row(heat_by_structure(pd.concat([TWO_SCANS, given])), RIGHT_HEART)

    assert together["heat_share"] == pytest.approx(0.275)
    assert together["cases"] == 2


def test_a_structure_that_no_scan_has_can_not_be_told():
    table = heat_by_structure(
        heat_table([("S1", "layer-cam", "clot", 0.0, 0.0, 0), ("S2", "layer-cam", "clot", 0.0, 0.0, 0)])
    )

    assert np.isnan(table["ratio"].iloc[0])
    assert heat_share_panel("intermediate-sanet", table).svg
    assert heat_hits_panel("intermediate-sanet", table).svg


def many_scans(*, grasp, control, count=40):
    """Heat of `grasp` times the volume's share in the right ventricle, and of a network that learnt nothing."""
    random = np.random.default_rng(0)
    rows = []
    for number in range(count):
        for method, times in (("layer-cam", grasp), ("layer-cam randomised", control)):
            heat = 0.02 * times * random.uniform(0.5, 1.5)
            rows.append((f"S{number}", method, "right_ventricle", heat, 0.02, int(number % 4 == 0)))
    return heat_table(rows)


def test_heat_that_finds_the_heart_and_beats_the_control_is_trusted():
    [verdict] = heat_verdicts(many_scans(grasp=5, control=0.9))

    assert verdict.found is True
    assert verdict.sentence.startswith("Intermediate SANet, LayerCAM: ")
    assert "which fill 2.0 % of the volume" in verdict.sentence
    assert "The hottest point lies there in 10 of 40 scans" in verdict.sentence
    assert "the hottest point in 10 of 40: the map owes its place to what the network learnt" in verdict.sentence


def test_heat_that_owes_its_place_to_the_picture_in_part_is_told():
    [verdict] = heat_verdicts(many_scans(grasp=5, control=2))

    assert verdict.found is True
    assert "partly to what the network learnt, partly to shapes of the picture" in verdict.sentence


def test_heat_that_does_not_find_the_heart_is_told_plainly():
    [verdict] = heat_verdicts(many_scans(grasp=1, control=1))

    assert verdict.found is False
    assert "The heat does not find the heart" in verdict.sentence


def test_heat_of_a_network_that_learnt_nothing_and_does_as_well_is_told_plainly():
    [verdict] = heat_verdicts(many_scans(grasp=5, control=5))

    assert verdict.found is False
    assert "shows shapes of the picture and not what the network learnt" in verdict.sentence
    assert "does not find the heart" not in verdict.sentence


def test_one_scan_is_too_few_to_say():
    [verdict] = heat_verdicts(TWO_SCANS[TWO_SCANS["study_id"] == "S1"])

    assert verdict.found is None
    assert "too few to rule out chance" in verdict.sentence


def test_the_method_of_the_cases_comes_first():
    other = many_scans(grasp=5, control=1).assign(
        method=lambda table: table["method"].str.replace("layer", "grad")
    )
    both = pd.concat([many_scans(grasp=5, control=1), other])

    assert ["LayerCAM" in one.sentence for one in heat_verdicts(both)] == [True, False]
    assert ["Grad-CAM" in one.sentence for one in heat_verdicts(both, first="grad-cam")] == [True, False]


def test_chance_of_a_hit_is_told_where_it_is_known():
    [verdict] = heat_verdicts(many_scans(grasp=5, control=1).assign(structure="all strained", hit_chance=0.04))

    assert "in 10 of 40 scans (by chance in 4.0 %)" in verdict.sentence


def pointed(*, ours, control, both=0, count=40):
    """Maps that find the heart, hottest points apart: `ours` scans hit by the network alone, and so on."""
    table = many_scans(grasp=5, control=1, count=count).assign(hit=0)
    number, drawn = table["study_id"].str[1:].astype(int), table["method"].str.endswith("randomised")
    hit_by_both, alone = number < both, both + ours
    by_ours = ~drawn & (number >= both) & (number < alone)
    by_control = drawn & (number >= alone) & (number < alone + control)
    return table.assign(hit=(hit_by_both | by_ours | by_control).astype(int))


def test_hottest_points_that_do_not_beat_the_control_are_not_to_be_believed():
    """5 against 3: p = 2 P(X <= 3) for X of 8 fair coins = 2 (1 + 8 + 28 + 56) / 256 = 0.727."""
    [verdict] = heat_verdicts(pointed(ours=5, control=3, both=7))

    assert verdict.found is True
    assert verdict.sentence.endswith(
        "The hottest point lies there in 5 scans with the trained network alone, in 3 with randomised weights "
        "alone (exact McNemar test, p = 0.727): no clear difference, so do not believe the hottest point "
        "by itself."
    )


def test_hottest_points_that_beat_the_control_are_told_so():
    """10 against 0: 2 / 2^10 = 0.002."""
    [verdict] = heat_verdicts(pointed(ours=10, control=0))

    assert verdict.sentence.endswith("p = 0.002): more often than with randomised weights.")


def test_hottest_points_worse_than_the_control_are_not_to_be_believed():
    [verdict] = heat_verdicts(pointed(ours=0, control=10))

    assert (
        "less often than with randomised weights, so do not believe the hottest point by itself"
        in verdict.sentence
    )


def test_points_are_paired_by_scan_whatever_the_order_of_rows():
    table = pointed(ours=5, control=3, both=7)

    [verdict] = heat_verdicts(table.sample(frac=1, random_state=1))

    assert "p = 0.727" in verdict.sentence


def test_heat_in_the_left_ventricle_is_explained_where_it_exceeds_chance():
    """Twice the volume times numbers drawn about 1: 2.1. The control's 5 times do not count, nor a ratio of 1."""
    table = many_scans(grasp=2, control=5).assign(structure="left ventricle")

    told = left_ventricle_sentence(heat_by_structure(table))

    assert "holds 2.1 times the heat that chance would give" in told
    assert "no proof of a fault" in told
    assert told.count(". ") == 0
    assert left_ventricle_sentence(heat_by_structure(table.assign(heat_share=0.02))) == ""
    assert left_ventricle_sentence(heat_by_structure(TWO_SCANS)) == ""


def test_what_no_mask_labels_has_no_row_and_is_named():
    """The atrium has no volume in any scan; the left ventricle lacks in one only, and stays."""
    table = TWO_SCANS.copy()
    table.loc[table["structure"] == "right_atrium", ["heat_share", "volume_share"]] = 0.0
    table.loc[(table["structure"] == "left_ventricle") & (table["study_id"] == "S1"), "volume_share"] = 0.0

    labelled, lacking = labelled_only(table)

    assert lacking == ["right atrium"]
    assert set(labelled["structure"]) == {"right_ventricle", "left_ventricle"}
    assert strained_parts(lacking) == "right ventricle, pulmonary trunk, inferior vena cava"
    assert strained_parts([]) == "right ventricle, right atrium, pulmonary trunk, inferior vena cava"


def ranking(precision, *, chance=0.2, control=0.2):
    rows = [
        ("tabnet", method, k, one, chance)
        for k in (5, 10, 20)
        for method, one in (("masks", precision), ("masks randomised", control))
    ]
    return pd.DataFrame(rows, columns=["model", "method", "k", "precision", "chance"])


def test_a_ranking_that_finds_the_signal_is_told_by_its_first_ten_features():
    [verdict] = record_verdicts(ranking(0.8))

    assert verdict.found
    assert verdict.sentence.startswith(
        "TabNet (record), TabNet's masks: of its first 10 features 80 % carry signal"
    )


@pytest.mark.parametrize("table", [ranking(0.2), ranking(0.5, control=0.7)])
def test_a_ranking_no_better_than_chance_or_control_is_told_plainly(table):
    [verdict] = record_verdicts(table)

    assert not verdict.found
    assert "The ranking does not find the signal" in verdict.sentence


def test_figures_hold_all_numbers_and_draw_every_method():
    table = heat_by_structure(many_scans(grasp=5, control=1).assign(hit_chance=0.04))

    share, hits, signal = (
        heat_share_panel("intermediate-sanet", table),
        heat_hits_panel("intermediate-sanet", table),
        signal_panel("tabnet", ranking(0.8)),
    )

    assert len(share.numbers) == len(table)
    assert "hit_rate" in hits.numbers
    for plot in (share, hits):
        assert "LayerCAM, randomised weights" in plot.svg
    assert "chance" in hits.svg
    assert "Masks" in signal.svg or "masks" in signal.svg


@pytest.fixture(scope="module")
def explained(make_run, add_explanations):
    run = make_run(bare=True, models={"intermediate-sanet": 1.5})
    add_explanations(run)
    return run


def page_of(folder):
    run = read_run(folder)
    material = Material(run=run, results=summarise_scores(run, inputs=""), scores=(), folder=folder)
    return build_page(material, sections=[SECTION])


def test_the_section_shows_heat_and_features(explained):
    page = page_of(explained)

    assert [plot.name for plot in page.plots] == [
        "heat-share-intermediate-sanet",
        "heat-hits-intermediate-sanet",
        "signal-tabnet",
    ]
    assert "the map owes its place" in page.html
    assert '<div class="callout warn">' not in page.html
    assert "<script" not in page.html


def test_the_section_warns_where_the_heat_misses(explained, tmp_path, add_explanations):
    run = shutil.copytree(explained, tmp_path / "run", ignore=shutil.ignore_patterns("explanations"))
    add_explanations(run, grasp=0.9)

    assert '<div class="callout warn"><p>Intermediate SANet, LayerCAM' in page_of(run).html


def test_the_section_claims_no_structure_that_is_not_labelled(explained, tmp_path):
    run = shutil.copytree(explained, tmp_path / "run")
    path = run / "explanations" / "heat_truth.csv"
    table = pd.read_csv(path)
    lacking = table[table["structure"] == table["structure"].iloc[0]].assign(
        structure="right atrium", heat_share=0.0, volume_share=0.0, hit=0
    )
    kept = table[table["structure"].str.replace("_", " ") != "right atrium"]
    pd.concat([kept, lacking]).to_csv(path, index=False)

    page = page_of(run)

    assert "a strained right heart (right ventricle, pulmonary trunk, inferior vena cava)" in page.html
    assert "Not labelled in these scans: right atrium." in page.html
    assert all("right atrium" not in plot.svg for plot in page.plots)


def test_there_is_no_section_without_any_labelled_structure(explained, tmp_path):
    run = shutil.copytree(explained, tmp_path / "run")
    (run / "explanations" / "record_truth.csv").unlink()
    path = run / "explanations" / "heat_truth.csv"
    pd.read_csv(path).assign(volume_share=0.0, heat_share=0.0).to_csv(path, index=False)

    assert 'id="heat-truth"' not in page_of(run).html


def test_panels_are_named_and_not_placed(explained):
    """On a narrow page, and as Markdown, they lie one below the other."""
    html = page_of(explained).html

    assert "Left:" not in html
    assert "“Heat in each structure”" in html
    assert "“Hottest point”" in html


def test_there_is_no_section_without_the_truth(explained, tmp_path):
    run = shutil.copytree(explained, tmp_path / "run")
    for path in (run / "explanations").glob("*_truth.csv"):
        path.unlink()

    assert read_heat_truth(run) is None
    assert 'id="heat-truth"' not in page_of(run).html


def test_a_damaged_table_leaves_a_line(explained, tmp_path):
    run = shutil.copytree(explained, tmp_path / "run")
    (run / "explanations" / "heat_truth.csv").write_text("model\n")

    assert "This cannot be shown. heat_truth.csv of the explanations" in page_of(run).html
