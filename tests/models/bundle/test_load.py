"""What is saved comes back the same, and whatever was done to the folder is found before anything is parsed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from pefuse.ehr import RawRecord
from pefuse.errors import BundleError, StorageError, UsageError
from pefuse.models.bundle import Bundle, load_bundle, save_bundle
from pefuse.models.bundle import load as load_module

KINDS = ("sanet", "tabnet", "boosted-trees", "late-average", "pca", "bilinear")
Saved = Callable[[str], Path]


def reseal(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change bundle.json as someone who knows the format would: with right hashes all the way up."""
    manifest = json.loads((folder / "bundle.json").read_text())
    for name in manifest["files"]:
        if (folder / name).is_file():
            content = (folder / name).read_bytes()
            manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    change(manifest)
    content = json.dumps(manifest).encode()
    (folder / "bundle.json").write_bytes(content)
    (folder / "bundle.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  bundle.json\n")


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_read_again_predicts_the_same(kind, bundles, saved, record, scans):
    before, after = bundles[kind], load_bundle(saved(kind))
    ids = record.study_ids[:6]
    told = [each.predict(ids, scans=scans[:6], record=record) for each in (before, after)]

    for part in ("members", "ensemble"):  # the memory's layout may differ, and with it the order of sums
        pd.testing.assert_frame_equal(getattr(told[0], part), getattr(told[1], part), rtol=1e-4, atol=1e-5)
    assert after.about == before.about
    assert (after.architecture, len(after.members)) == (before.architecture, 4)


def test_saving_again_gives_the_same_bytes_and_the_hash_stands_for_them(bundles, saved, tmp_path):
    first = saved("pca")
    digest = save_bundle(bundles["pca"].about, bundles["pca"].members, tmp_path / "again")

    assert digest == load_bundle(first, sha256=digest.upper()).sha256
    for path in first.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_full_folder_is_not_written_over(bundles, saved):
    with pytest.raises(StorageError, match="not empty"):
        save_bundle(bundles["sanet"].about, bundles["sanet"].members, saved("sanet"))


@pytest.mark.parametrize("kind", KINDS)
def test_one_changed_bit_in_any_file_is_found_before_it_is_parsed(kind, saved, monkeypatch):
    folder = saved(kind)

    def parsed(*arguments: object) -> None:
        raise AssertionError("a file was parsed")

    monkeypatch.setattr(load_module, "_member", parsed)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        with pytest.raises(BundleError, match=r"not the (file|one) that was written"):
            load_bundle(folder)
        path.write_bytes(whole)


def test_another_bundle_than_the_one_asked_for_is_refused(saved):
    with pytest.raises(BundleError, match="not the one asked for"):
        load_bundle(saved("sanet"), sha256="0" * 64)


def test_no_bundle_and_a_missing_file_are_told_apart(saved, tmp_path):
    with pytest.raises(UsageError, match="no bundle in that folder"):
        load_bundle(tmp_path)
    folder = saved("tabnet")
    (folder / "seed0-fold1.safetensors").unlink()
    with pytest.raises(BundleError, match=r"lacks its file seed0-fold1\.safetensors"):
        load_bundle(folder)
    (folder / "bundle.sha256").unlink()
    with pytest.raises(BundleError, match=r"lacks its file bundle\.sha256"):
        load_bundle(folder)


def test_other_files_in_the_folder_are_never_opened(saved):
    folder = saved("tabnet")
    (folder / "notes.txt").write_text("mine")
    (folder / "evil.pkl").symlink_to("/dev/zero")
    load_bundle(folder)


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_a_link_or_a_pipe_in_place_of_a_file_is_refused(saved, tmp_path):
    folder = saved("sanet")
    victim = folder / "seed0-fold0.safetensors"
    shutil.copy(victim, tmp_path / "same")
    victim.unlink()
    victim.symlink_to(tmp_path / "same")
    with pytest.raises(BundleError, match="is a link or cannot be read"):
        load_bundle(folder)
    victim.unlink()
    os.mkfifo(victim)
    with pytest.raises(BundleError, match="not a plain file"):
        load_bundle(folder)


def test_a_file_larger_than_it_may_be_is_not_read(saved):
    folder = saved("sanet")
    with (folder / "seed0-fold0.safetensors").open("r+b") as file:
        file.truncate(2**40)  # sparse: reading it would end the process
    with pytest.raises(BundleError, match="larger than"):
        load_bundle(folder)


def drop(*names: str) -> Callable[[dict[str, Any]], object]:
    def change(manifest: dict[str, Any]) -> None:
        for name in names:
            manifest.pop(name)

    return change


def put(path: str, value: object) -> Callable[[dict[str, Any]], object]:
    *outer, last = path.split(".")

    def change(manifest: dict[str, Any]) -> None:
        place: Any = manifest
        for part in outer:
            place = place[int(part) if part.isdigit() else part]
        place[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("format", 1), "of format 1, and this pefuse reads format 2"),
        (drop("format"), "not valid at format"),
        (drop("thresholds"), "not valid at thresholds"),
        (put("password", 1), "not valid at password"),
        (put("grid", 4), "not valid at grid"),
        (put("grid", None), "has a grid"),
        (put("members", []), "not valid at members"),
        (put("members.0.logit_shift", float("nan")), "not valid at"),
        (put("members.0.logit_shift", "1"), "not valid at members.0"),
        (put("members.1.fold", 0), "same seed and fold"),
        (put("architecture", "record"), "another architecture"),
        (put("members.0.tensors", "../../etc/passwd"), "not valid at members.0"),
        (put("members.0.tensors", "model.pkl"), "not valid at members.0"),
        (put("members.0.tensors", "seed9-fold9.safetensors"), "not those that the members name"),
        (put("members.0.scan.sd", 0.0), "not valid at members.0"),
        (put("members.0.scan.window_hu", [500.0, -200.0]), "lower end must be below"),
        (put("members.0.scan.network.growth", 3), "seed 0, fold 0 cannot be used: The saved weight"),
        (put("members.0.scan.network.growth", 0), "seed 0, fold 0 cannot be used"),
        (put("members.0.scan.network.growth", 10**9), "seed 0, fold 0 cannot be used"),
        (put("members.0.scan.network.blocks", [10**7]), "seed 0, fold 0 cannot be used"),
        (put("members.0.scan.network.colour", "red"), "seed 0, fold 0 cannot be used"),
    ],
)
def test_a_false_manifest_with_right_hashes_is_refused_in_one_line(change, message, saved):
    folder = saved("sanet")
    reseal(folder, change)
    with pytest.raises(BundleError) as caught:
        load_bundle(folder)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(folder) not in str(caught.value)


def spoil(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    path = folder / "seed0-fold0.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    reseal(folder, lambda manifest: None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("record.head.weight"), "lack 'head.weight'"),
        (lambda t: t.update({"record.extra": np.zeros(3, np.float32)}), "hold 1 that the network does not have"),
        (lambda t: t.update({"other.extra": np.zeros(3, np.float32)}), "needs the tensors of record"),
        (lambda t: t.update({"record.head.weight": t["record.head.weight"][:, :-1].copy()}), "has shape"),
        (
            lambda t: t.update({"record.head.weight": t["record.head.weight"].astype(np.float64)}),
            "of kind float64",
        ),
        (lambda t: t.update({"record.head.weight": np.full((1, 4), np.nan, np.float32)}), "not finite"),
    ],
)
def test_weights_that_are_not_the_networks_are_refused(change, message, saved):
    folder = saved("tabnet")
    spoil(folder, change)
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_are_not_what_their_names_say_are_refused(kind, saved):
    """Cut short, empty but for a byte, or something else, under right hashes: a member's file, a preparation."""
    folder = saved(kind)
    names = json.loads((folder / "bundle.json").read_text())["files"]
    for name in [name for name in names if name.endswith(".json") or name.startswith("seed0-fold0")][:2]:
        whole = (folder / name).read_bytes()
        for wrong in (whole[: len(whole) // 2], b"\x80", b"[[[[" * 50_000, b"{}", b"\xff" * 64):
            (folder / name).write_bytes(wrong)
            reseal(folder, lambda manifest: None)
            with pytest.raises(BundleError):
                load_bundle(folder)
        (folder / name).write_bytes(whole)


def test_a_bundle_predicts_the_mean_of_its_members_risks(bundles: dict[str, Bundle], record: RawRecord, scans):
    told = bundles["pca"].predict(record.study_ids[:6], scans=scans[:6], record=record)
    risks = told.members.pivot(index="study_id", columns=["seed", "fold"], values="risk")

    assert risks.shape == (6, 4)
    expected = risks.mean(axis=1).loc[list(told.ensemble.index)]
    np.testing.assert_allclose(told.ensemble["risk"], expected, rtol=1e-12)
