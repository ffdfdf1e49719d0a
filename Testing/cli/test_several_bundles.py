"""landmark-detector detect with several bundles, and with several looks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def joins(monkeypatch: pytest.MonkeyPatch, detectors) -> dict[str, Any]:
    """What the ensemble and the augmentation were made of; both are doubles that find what the detector finds."""
    seen: dict[str, Any] = {}

    def ensemble(bundles: list, device: str, engine: str) -> Any:
        seen.update(bundles=[bundle.name for bundle in bundles], device=device, engine=engine)
        return detectors

    def augmented(detector: Any, looks: int) -> Any:
        seen.update(looks=looks, around=detector)

        def detect(image, progress=None, cancelled=None):
            found = detectors.detect(image, progress, cancelled)
            info = {"bundle": "toy-skull, other-skull", "version": "1.2.3", "fingerprint": "f" * 64, "looks": looks}
            object.__setattr__(found.landmarks, "info", info)
            return found

        return SimpleNamespace(detect=detect)

    monkeypatch.setattr("LandmarkDetectorLib.inference.augmented.Ensemble", ensemble)
    monkeypatch.setattr("LandmarkDetectorLib.inference.augmented.Augmented", augmented)
    return seen


def test_several_bundles_become_one_detector(run, joins, volume, toy_bundle: Path, tmp_path: Path) -> None:
    other = shutil.copytree(toy_bundle, tmp_path / "other-skull")
    image = volume(tmp_path / "a.nii.gz")
    line = ("--bundle", toy_bundle, "--bundle", other, "--augment", 4, "--device", "cpu", "--json")
    result = run("detect", image, *line, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert joins["bundles"] == ["toy-skull", "toy-skull"] and joins["looks"] == 4
    assert joins["device"] == "cpu" and joins["engine"] == "torch"
    document = json.loads(result.stdout)
    assert len(document["bundles"]) == 2 and "bundle" not in document
    page = (tmp_path / "out" / "a.html").read_text("utf-8")
    assert "toy-skull, other-skull" in page


def test_one_bundle_named_twice_is_one(run, joins, detectors, volume, toy_bundle: Path, tmp_path: Path) -> None:
    image = volume(tmp_path / "a.nii.gz")
    line = ("--bundle", toy_bundle, "--bundle", toy_bundle, "--output", tmp_path / "a.csv", "--json")
    result = run("detect", image, *line)
    assert result.exit_code == 0, result.output
    assert joins == {} and detectors.devices == ["auto"]
    assert json.loads(result.stdout)["bundle"]["name"] == "toy-skull"


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_a_number_of_looks_that_cannot_be_is_refused(run, refused, joins, toy_bundle: Path, tmp_path, number) -> None:
    result = run("detect", "a.nii", "--bundle", toy_bundle, "--output", tmp_path, "--augment", number)
    assert "--augment" in refused(result) and joins == {}
