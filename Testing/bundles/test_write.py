from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.bundles import load_bundle, staging, verify_bundle, write_bundle
from LandmarkDetectorLib.core import BundleError


def test_what_is_written_is_a_monai_bundle_that_loads(tmp_path: Path, write, card):
    bundle = write(tmp_path / "made" / "toy", samples={"a.png": b"x"}, files={"docs/curve.png": b"y"})
    assert bundle.folder == tmp_path / "made" / "toy"
    assert load_bundle(bundle.folder).fingerprint == bundle.fingerprint
    assert bundle.card == card
    assert sorted(bundle.manifest.files) == [
        "LICENSE",
        "configs/card.json",
        "configs/inference.json",
        "configs/metadata.json",
        "docs/README.md",
        "docs/curve.png",
        "models/model.pt",
        "samples/a.png",
    ]
    assert (bundle.folder / "docs" / "README.md").read_text(encoding="utf-8").startswith("# Toy head\n")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["toy"]


def test_the_same_content_gives_the_same_fingerprint(tmp_path: Path, write):
    assert write(tmp_path / "a").fingerprint == write(tmp_path / "b").fingerprint


def test_a_file_is_copied_from_where_it_lies(tmp_path: Path, write):
    (tmp_path / "curve.csv").write_bytes(b"1,2\n")
    bundle = write(tmp_path / "toy", files={"docs/curve.csv": tmp_path / "curve.csv"})
    assert bundle.read("docs/curve.csv") == b"1,2\n"


def test_a_bundle_is_replaced_only_when_told(tmp_path: Path, write):
    first = write(tmp_path / "toy")
    with pytest.raises(BundleError, match="is there already"):
        write(tmp_path / "toy", licence_text="Other.")
    assert load_bundle(tmp_path / "toy").fingerprint == first.fingerprint
    second = write(tmp_path / "toy", licence_text="Other.", replace=True)
    assert load_bundle(tmp_path / "toy").fingerprint == second.fingerprint != first.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_what_is_no_bundle_is_never_replaced(tmp_path: Path, write, tree):
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_bytes(b"years of work")
    (home / "manifest.json").write_bytes(b'{"name": "some web page"}')
    before = tree(tmp_path)
    with pytest.raises(BundleError, match="is not a bundle, so it is not replaced"):
        write(home, replace=True)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BundleError, match="is not a bundle"):
        write(tmp_path / "file", replace=True)
    (tmp_path / "file").unlink()
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"licence_text": " \n"}, "licence"),
        ({"settings": {"spacing": np.float32(0.9)}}, "plain numbers"),
        ({"settings": {"spacing": float("nan")}}, "plain numbers"),
        ({"settings": {"path": Path("a")}}, "plain numbers"),
        ({"settings": {"run": "$import os"}}, "as an expression"),
        ({"settings": {"deep": [{"a": ["@detector"]}]}}, "as an expression"),
        ({"settings": {"a": "%/etc/passwd"}}, "as an expression"),
        ({"settings": {"a": {"_target_": "os.system"}}}, "as a command"),
        ({"settings": {"+a": 1}}, "as a command"),
        ({"state_dict": {}}, "0 tensors"),
        ({"state_dict": {"a": 1}}, "dense tensor"),
        ({"files": {"../outside": b""}}, "the file name"),
        ({"files": {"/outside": b""}}, "the file name"),
        ({"samples": {"../../outside": b""}}, "the file name"),
        ({"files": {"LICENSE": b""}}, "written by the library"),
        ({"files": {"manifest.json": b""}}, "written by the library"),
        ({"files": {"license": b""}}, "twice|File exists"),
        ({"files": {"docs/large.bin": bytes(64 * 2**20 + 1)}}, "larger than the 64 MB"),
        ({"files": {"docs/a.csv": Path("/no/such/file")}}, "No such file"),
        ({"metadata_overrides": {"version": "9.9.9"}}, "says version 9.9.9"),
        ({"metadata_overrides": {"task": ""}}, "task"),
        ({"metadata_overrides": {"description": "$print(1)"}}, "as an expression"),
        ({"metadata_overrides": {"network_data_format": {}}}, "network_data_format.inputs"),
    ],
)
def test_a_bundle_that_would_not_load_is_not_written(tmp_path: Path, write, changed: dict, reason: str):
    with pytest.raises(BundleError, match=reason):
        write(tmp_path / "made" / "toy", **changed)
    assert list(tmp_path.iterdir()) == []


def test_the_largest_of_our_networks_fit_into_a_bundle(tmp_path: Path, write):
    weights = torch.zeros(61_200_000, dtype=torch.float16)  # of a FARNet as published
    bundle = write(tmp_path / "made" / "toy", state_dict={"image.weight": weights})
    verify_bundle(bundle.folder)
    assert load_bundle(bundle.folder).state_dict()["image.weight"].shape == weights.shape


@pytest.mark.parametrize("at", range(1, 8))
def test_a_disk_that_is_full_leaves_nothing_and_keeps_the_old_bundle(tmp_path: Path, write, monkeypatch, at: int):
    kept = write(tmp_path / "kept")
    count = 0

    def full(handle):
        nonlocal count
        count += 1
        if count == at:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging.os, "fsync", full)
    with pytest.raises(BundleError, match=r"Writing the bundle kept failed: No space left on device; free some space"):
        write(tmp_path / "kept", licence_text="Other.", replace=True)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert load_bundle(tmp_path / "kept").fingerprint == kept.fingerprint


def test_an_interrupt_leaves_nothing(tmp_path: Path, write, monkeypatch):
    def interrupted(stage, target, *, replace):
        raise KeyboardInterrupt

    monkeypatch.setattr("LandmarkDetectorLib.bundles.write.put_in_place", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "toy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="modes are of POSIX")
def test_others_may_read_a_bundle_as_the_system_is_set(tmp_path: Path, write):
    old = os.umask(0o022)
    try:
        write(tmp_path / "toy")
    finally:
        os.umask(old)
    assert (tmp_path / "toy").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "toy" / "LICENSE").stat().st_mode & 0o777 == 0o644


def test_text_is_utf8_with_plain_line_ends_everywhere(tmp_path: Path, card_values: dict, state_dict: dict, write):
    from LandmarkDetectorLib.bundles import Card

    bundle = write(tmp_path / "toy", card=Card(**{**card_values, "title": "Schädel 头"}), licence_text="a\nb\n")
    for relative in bundle.manifest.files:
        if not relative.endswith(".pt"):
            assert b"\r" not in bundle.read(relative)
            bundle.read(relative).decode("utf-8")
    assert json.loads(bundle.read("configs/card.json"))["title"] == "Schädel 头"


def test_importing_and_reading_bundles_imports_no_torch_and_writes_nothing(folder: Path, tmp_path: Path):
    program = f"""
import sys
import LandmarkDetectorLib.bundles as bundles
bundle = bundles.load_bundle({str(folder)!r})
bundles.list_bundles()
bundles.import_bundle({str(folder)!r})
heavy = {{"torch", "monai", "matplotlib", "SimpleITK"}} & set(sys.modules)
assert not heavy, heavy
"""
    env = {**os.environ, "LANDMARK_DETECTOR_BUNDLES": str(tmp_path / "store")}
    subprocess.run([sys.executable, "-c", program], check=True, env=env)
    subprocess.run(
        [sys.executable, "-c", "import LandmarkDetectorLib.bundles"], check=True, env={**env, "HOME": "/none"}
    )


def test_write_bundle_takes_a_string_for_a_folder(tmp_path: Path, card, state_dict):
    made = write_bundle(
        str(tmp_path / "toy"), card=card, settings={}, state_dict=state_dict, licence_text="Do what you like."
    )
    assert made.settings == {}
