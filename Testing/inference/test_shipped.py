"""The bundles that ship: whole, within their size, honest about what trained, and right on their own samples."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.bundles import load_bundle, verify_bundle
from LandmarkDetectorLib.core import Grid, Image, LandmarkSet
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.evaluation import head_biometry
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.inference.evaluate import HEAD
from LandmarkDetectorLib.io import load_image, load_landmarks
from LandmarkDetectorLib.training.recipe import find_recipe, read_recipe
from LandmarkDetectorLib.training.split import fold_families, split_cases

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from robustness import copies

SHIPPED = ["mouse-skull-ct", "fetal-head-us", "fundus", "hippocampus-mr"]


def sample(name: str) -> tuple[Path, LandmarkSet]:
    path = load_bundle(name).samples()[0]
    return path, load_landmarks(path.parent / f"{path.name.split('.')[0]}.mrk.json")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_bundle_is_whole_small_and_credited(name: str) -> None:
    verify_bundle(name)
    bundle = load_bundle(name)
    size = sum(file.stat().st_size for file in bundle.folder.rglob("*") if file.is_file())
    assert size <= 16 * 2**20
    assert bundle.card.credit and bundle.card.licence and (bundle.folder / "LICENSE").stat().st_size > 200
    assert bundle.card.errors is not None and set(bundle.card.errors.per_landmark) == set(bundle.labels)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_samples_did_not_train(name: str) -> None:
    bundle = load_bundle(name)
    split = json.loads(bundle.read("docs/split.json"))
    for path in bundle.samples():
        subject = path.name.split(".")[0]
        assert not any(subject.startswith(f"{trained}_") or subject == trained for trained in split["trained"])


@pytest.mark.parametrize("name", SHIPPED)
def test_the_recipe_in_the_bundle_is_the_one_in_the_library(name: str) -> None:
    bundle = load_bundle(name)
    assert bundle.read("docs/recipe.yaml") == find_recipe(name).read_bytes()
    assert read_recipe(find_recipe(name)).version == bundle.version


def test_the_sample_skull_is_found_and_stays_found_when_it_is_turned() -> None:
    path, truth = sample("mouse-skull-ct")
    detector = Detector("mouse-skull-ct", "cpu")
    image = load_image(path)
    detection = detector.detect(image)
    assert detection.notices == []
    errors = np.linalg.norm(detection.landmarks.positions - truth.reordered(detector.pipeline.labels).positions, axis=1)
    assert np.isfinite(errors).all()
    assert errors.mean() < 0.3
    # One of many copies; benchmarks/robustness.py goes through all of them.
    make, back = next((make, back) for name, make, back in copies(image) if name == "turned in the world, 2")
    found = detector.detect(make()).landmarks.positions @ back[:3, :3].T + back[:3, 3]
    assert np.linalg.norm(found - detection.landmarks.positions, axis=1).mean() < 0.1


def test_the_sample_head_is_measured() -> None:
    path, truth = sample("fetal-head-us")
    detector = Detector("fetal-head-us", "cpu")
    found = detector.detect(load_image(path)).landmarks
    mine, theirs = (head_biometry(*s.reordered(HEAD).to_plane().positions) for s in (found, truth))
    assert abs(float(mine.hc - theirs.hc)) < 8
    assert found.unit == "mm"


@pytest.mark.parametrize(("name", "most"), [("fundus", 25.0), ("hippocampus-mr", 4.0)])
def test_the_samples_of_the_other_bundles_are_found_near_their_annotation(name: str, most: float) -> None:
    path, truth = sample(name)
    detector = Detector(name, "cpu")
    found = detector.detect(load_image(path)).landmarks
    errors = np.linalg.norm(found.positions - truth.reordered(detector.pipeline.labels).positions, axis=1)
    assert np.isfinite(errors).all() and errors.max() < most
    assert found.unit == truth.unit == detector.bundle.card.unit


@pytest.mark.parametrize("name", SHIPPED)
def test_noise_holds_nothing(name: str) -> None:
    detector = Detector(name, "cpu")
    image = load_image(sample(name)[0])
    noise = np.random.default_rng(0).integers(0, 255, image.array.shape).astype(image.array.dtype)
    for array in (noise, np.zeros_like(image.array)):
        detection = detector.detect(type(image)(array, image.grid, "noise"))
        assert all(mark.status == "missing" for mark in detection.landmarks)


def test_monai_builds_the_detector_from_the_bundle() -> None:
    from monai.bundle import ConfigParser

    bundle = load_bundle("fetal-head-us")
    parser = ConfigParser()
    parser.read_config(str(bundle.folder / "configs" / "inference.json"))
    parser["bundle_root"] = str(bundle.folder)
    parser["device"] = "cpu"
    detector = parser.get_parsed_content("detector")
    assert isinstance(detector, Detector) and detector.bundle.fingerprint == bundle.fingerprint


@pytest.mark.data
@pytest.mark.parametrize("name", SHIPPED)
def test_recipes_split_the_data_by_family(name: str, data_root: Path) -> None:
    recipe = read_recipe(find_recipe(name))
    dataset = read_dataset(data_root / name.replace("-", "_"))
    judged = []
    for fold in range(len(fold_families(recipe, dataset))):
        split = split_cases(recipe, dataset, fold)
        assert not {c.family for c in split.training} & {c.family for c in split.held_out}
        judged += [case.image_path.name for case in split.held_out]
    assert len(judged) == len(set(judged)) == sum(case.origin == "native" for case in dataset.cases)


def test_of_a_picture_without_a_head_it_is_said_that_nothing_was_found() -> None:
    ramp = np.broadcast_to(np.arange(600, dtype=np.float32), (1, 400, 600))
    detection = Detector("fetal-head-us", "cpu").detect(
        Image(ramp, Grid((600, 400), (0.2, 0.2), (0, 0), np.eye(2)), "ramp")
    )
    assert all(mark.status == "missing" for mark in detection.landmarks)
    assert any(notice.startswith("ramp: no landmark is sure enough to be shown") for notice in detection.notices)
