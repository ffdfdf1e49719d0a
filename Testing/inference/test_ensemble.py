"""Ensembles and test-time augmentation through the one door: same landmarks, same world, fewer outliers."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import chdtr

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.core import BundleError, Cancelled, Grid, Image, Landmark, LandmarkSet
from LandmarkDetectorLib.inference import Augmented, Detection, Detector, Ensemble
from LandmarkDetectorLib.io import load_image
from Testing.phantoms import LABELS, phantom


def example(dimension: int, seed: int = 99) -> tuple[Image, LandmarkSet]:
    return phantom(np.random.default_rng(seed), dimension, 56 if dimension == 2 else 44)


def distances(found: LandmarkSet, truth: LandmarkSet) -> np.ndarray:
    return np.linalg.norm(found.positions - truth.positions, axis=1)


class Knows:
    """Stands for a detector: it knows at which voxels the landmarks lie, and so finds them wherever the grid is."""

    def __init__(self, detector: Detector, image: Image, truth: LandmarkSet, error: float = 0.0) -> None:
        self.bundle, self.pipeline, self.truth = detector.bundle, detector.pipeline, truth
        self.index = image.grid.to_index(truth.positions)
        self.array, self.error, self.seen = image.array, error, []

    def detect(self, image: Image, progress=None, cancelled=None) -> Detection:
        self.seen.append(image)
        d = image.dimension
        view, whole = image.array, self.array
        assert np.shares_memory(view, whole)
        offset = (view.__array_interface__["data"][0] - whole.__array_interface__["data"][0]) // view.itemsize
        first = np.array(np.unravel_index(offset, whole.shape))[1:][::-1]
        world = image.grid.to_world(self.index - first)
        world = world + self.error * np.random.default_rng(len(self.seen)).normal(size=world.shape)
        step = image.grid.spacing[0] / 1.0
        marks = tuple(
            Landmark(label, place, "defined", 0.9, step**2 * np.diag([0.04, 0.01, 0.02][:d]))
            for label, place in zip(self.pipeline.labels, world, strict=True)
        )
        return Detection(LandmarkSet(marks, image.grid.unit, image.name, {}), {"networks": 1.0}, [])


def partners(detector: Detector, mirror: dict[str, str]) -> Detector:
    """The detector of a bundle that names mirror partners."""
    return SimpleNamespace(bundle=detector.bundle, pipeline=detector.pipeline.model_copy(update={"mirror": mirror}))


MIDLINE = {label: label for label in LABELS} | {"left": "right", "right": "left"}


def test_every_view_is_undone_exactly(detector: Detector) -> None:
    image, truth = example(detector.pipeline.dimension)
    knows = Knows(detector, image, truth)
    found = Augmented(knows, 8, rotation=20, scale=0.1, shift=0.1).detect(image).landmarks
    np.testing.assert_allclose(found.positions, truth.positions, atol=1e-6)
    assert len({seen.grid.size for seen in knows.seen}) > 1
    first, *others = knows.seen
    assert first.grid.same_as(image.grid) and not any(seen.grid.same_as(image.grid) for seen in others)
    assert len({round(float(seen.grid.spacing[0]), 9) for seen in knows.seen}) == 8
    assert found.info["looks"] == 8


def test_a_mirrored_view_exchanges_left_and_right_and_who_has_no_partner_has_no_say(detector: Detector) -> None:
    image, truth = example(detector.pipeline.dimension)
    knows = Knows(partners(detector, {k: v for k, v in MIDLINE.items() if k != "fin"}), image, truth)
    rows = [LABELS.index(label) for label in ("nose", "right", "left", "tail", "fin")]
    unmirrored = knows.index

    def detect(image: Image, progress=None, cancelled=None) -> Detection:
        mirrored = np.linalg.det(image.grid.direction) < 0
        knows.index = unmirrored[rows] if mirrored else unmirrored  # it calls left what looks like left
        if mirrored:
            knows.index = np.where(np.arange(5)[:, None] == 4, 0.0, knows.index)  # a fin where none is
        return Knows.detect(knows, image)

    knows.detect = detect
    found = Augmented(knows, 6).detect(image).landmarks
    np.testing.assert_allclose(found.positions, truth.positions, atol=1e-6)
    assert [float(np.linalg.det(seen.grid.direction)) < 0 for seen in knows.seen] == [False, True] * 3


def test_covariances_come_back_with_their_directions(detector: Detector) -> None:
    image, truth = example(detector.pipeline.dimension)
    d = image.dimension
    augmented = Augmented(Knows(detector, image, truth), 3, rotation=40, scale=0.2)
    view = augmented.view(image.grid, 2)
    form = view.linear @ np.diag([4.0, 1.0, 2.0][:d]) @ view.linear.T
    back = view.back(Landmark("a", view.linear @ np.arange(d), covariance=form))
    np.testing.assert_allclose(back.covariance, np.diag([4.0, 1.0, 2.0][:d]), atol=1e-9)
    np.testing.assert_allclose(back.position, np.arange(d), atol=1e-9)


def test_looking_often_averages_what_differs_from_look_to_look(detector: Detector) -> None:
    image, truth = example(detector.pipeline.dimension)
    once = np.linalg.norm(
        Knows(detector, image, truth, 0.5).detect(image).landmarks.positions - truth.positions, axis=1
    )
    found = Augmented(Knows(detector, image, truth, 0.5), 16).detect(image).landmarks
    assert distances(found, truth).mean() < 0.5 * once.mean()
    # The spread between the looks stands in the covariance.
    assert np.mean([np.trace(mark.covariance) for mark in found]) > 0.5 * 0.25 * image.dimension


def test_the_same_image_gives_the_same_landmarks(flat_bundle: Bundle) -> None:
    image, truth = example(2)
    augmented = Augmented(Detector(flat_bundle, "cpu"), 4)
    one, two = augmented.detect(image), augmented.detect(image)
    np.testing.assert_array_equal(one.landmarks.positions, two.landmarks.positions)
    assert np.nanmean(distances(one.landmarks, truth)) < 0.8
    assert one.landmarks.labels == LABELS


def test_an_ensemble_of_one_bundle_twice_says_what_the_bundle_says(flat_bundle: Bundle) -> None:
    image, _ = example(2)
    alone = Detector(flat_bundle, "cpu").detect(image)
    twice = Ensemble([flat_bundle, flat_bundle], "cpu").detect(image)
    np.testing.assert_allclose(twice.landmarks.positions, alone.landmarks.positions, atol=1e-6)
    for mark, other in zip(twice.landmarks, alone.landmarks, strict=True):
        np.testing.assert_allclose(mark.covariance, other.covariance, rtol=1e-4)
        assert mark.confidence == pytest.approx(other.confidence, abs=1e-4)
    assert twice.landmarks.info["bundle"] == "phantom"
    assert twice.landmarks.info["fingerprint"].count(flat_bundle.fingerprint) == 2


def test_an_ensemble_finds_landmarks_and_augmentation_goes_around_it(flat_bundle: Bundle) -> None:
    image, truth = example(2)
    detector = Augmented(Ensemble([flat_bundle, flat_bundle], "cpu"), 2)
    steps: list[tuple[str, float]] = []
    detection = detector.detect(image, progress=lambda *step: steps.append(step))
    assert np.nanmean(distances(detection.landmarks, truth)) < 0.8
    fractions = [fraction for _, fraction in steps]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert steps[0][0] == "coarse, 1 of 2, 1 of 2" and steps[-1][0].startswith("done")
    for stop_at in (1, len(steps) // 2, len(steps) - 1):
        asked = iter(range(1000))
        with pytest.raises(Cancelled):
            detector.detect(image, cancelled=lambda asked=asked, stop_at=stop_at: next(asked) >= stop_at)


def test_a_slice_of_a_volume_is_turned_in_its_own_plane(flat_bundle: Bundle) -> None:
    image, truth = example(2)
    tilt = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float)
    direction = tilt @ np.block([[np.eye(2), np.zeros((2, 1))], [np.zeros((1, 2)), 1]])
    grid = Grid((*image.grid.size, 1), (*image.grid.spacing, 1.0), (5.0, 6.0, 7.0), direction)
    volume = Image(image.array[:, None], grid, "slice")
    alone = Detector(flat_bundle, "cpu").detect(volume).landmarks
    for detector in (Ensemble([flat_bundle] * 2, "cpu"), Augmented(Detector(flat_bundle, "cpu"), 3)):
        found = detector.detect(volume).landmarks
        assert found.positions.shape == (5, 3)
        assert np.nanmax(distances(found, alone)) < 1.0


def test_an_empty_image_has_nothing_for_an_ensemble_and_it_says_so_once(flat_bundle: Bundle) -> None:
    image, _ = example(2)
    empty = replace(image, array=np.zeros_like(image.array))
    detection = Ensemble([flat_bundle] * 2, "cpu").detect(empty)
    assert all(mark.status == "missing" for mark in detection.landmarks)
    assert sum("nothing was found" in notice for notice in detection.notices) == 1


def test_looks_that_found_nothing_are_counted_for_the_person(flat_bundle: Bundle, monkeypatch) -> None:
    image, _ = example(2)
    ensemble = Ensemble([flat_bundle] * 2, "cpu")
    first = ensemble.members[0]
    original = first.detect
    monkeypatch.setattr(
        first, "detect", lambda image, *rest: original(replace(image, array=np.zeros_like(image.array)), *rest)
    )
    detection = ensemble.detect(image)
    assert any(mark.status == "defined" for mark in detection.landmarks)
    assert "1 of 2 looks found nothing at all: review every landmark with care." in detection.notices
    assert max(mark.confidence for mark in detection.landmarks if mark.confidence is not None) <= 0.5


def test_confidences_that_speak_of_different_tolerances_are_joined_for_that_of_the_first() -> None:
    def member(tolerance: float) -> SimpleNamespace:
        said = 0.5 * float(chdtr(2, tolerance**2))  # it is there with a probability of 0.5, with a deviation of 1
        info = {"bundle": "x", "version": "1.0.0", "fingerprint": "0"}
        marks = LandmarkSet((Landmark("a", (3.0, 4.0), "defined", said, np.eye(2)),), "mm", "image", info)
        pipeline = SimpleNamespace(dimension=2, channels=1, labels=["a"], unit=lambda grid: 1.0)
        pipeline.arrangement, pipeline.calibration = lambda places: [0], SimpleNamespace(tolerance=tolerance)
        return SimpleNamespace(pipeline=pipeline, detect=lambda *asked: Detection(marks))

    ensemble = Ensemble.__new__(Ensemble)
    ensemble.members = [member(0.5), member(3.0)]
    ensemble.bundle, ensemble.pipeline = SimpleNamespace(name="x"), ensemble.members[0].pipeline
    found = ensemble.detect(Image(np.zeros((1, 8, 8)), Grid.regular((8, 8)), "image")).landmarks["a"]
    assert found.confidence == pytest.approx(0.5 * chdtr(2, 0.5**2), rel=1e-4)


def test_bundles_of_other_landmarks_or_images_make_no_ensemble(flat_bundle: Bundle, solid_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="images of different dimension"):
        Ensemble([flat_bundle, solid_bundle], "cpu")
    with pytest.raises(BundleError, match="'BPD lower' is in one of them"):
        Ensemble([flat_bundle, "fetal-head-us"], "cpu")
    with pytest.raises(BundleError, match="no bundles"):
        Ensemble([])


@pytest.mark.parametrize("wrong", [{"looks": 0}, {"rotation": -1.0}, {"shift": 0.5}])
def test_an_augmentation_that_cannot_be_is_refused(flat_bundle: Bundle, wrong: dict) -> None:
    with pytest.raises(ValueError, match="give one look or more"):
        Augmented(Detector(flat_bundle, "cpu"), **wrong)


@pytest.mark.parametrize("several", ["looks", "bundles"])
def test_a_calibration_that_is_laid_aside_is_said_to_be(several: str) -> None:
    detector = Detector("fetal-head-us", "cpu")
    image = load_image(detector.bundle.samples()[0])
    assert detector.sheet is not None and not detector.detect(image).notices
    joined = Augmented(detector, 2) if several == "looks" else Ensemble(["fetal-head-us"] * 2, "cpu")
    assert [n for n in joined.detect(image).notices if "calibration" in n] == [
        "The calibration of fetal-head-us holds for one look by one bundle; the confidences of several are what the "
        "networks believe, and their rings promise nothing."
    ]
