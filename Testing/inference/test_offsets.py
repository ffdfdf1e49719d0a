"""What detections are systematically off by is learnt from the annotations that trained, and taken off."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from LandmarkDetectorLib.bundles import load_bundle, verify_bundle
from LandmarkDetectorLib.bundles.pipeline import read_pipeline
from LandmarkDetectorLib.core import BundleError, Cancelled, Landmark, LandmarkSet, RecipeError
from LandmarkDetectorLib.core.similarity import fit_similarity
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.inference.offsets import cautious_mean, learn_offsets, settle, with_offsets
from LandmarkDetectorLib.training import read_recipe, train
from Testing.phantoms import LABELS
from Testing.review.small_model import RECIPE, small_bundle

pytestmark = pytest.mark.usefixtures("one_thread")

AWAY = np.array([[0.9, 0.0], [0.0, 0.7], [0.5, 0.5], [0.0, 0.0], [-0.8, 0.2]])
"""Where the annotator of these tests places landmarks, beside the truth, in the frame of the mean shape."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    return small_bundle(tmp_path_factory.mktemp("model"))


def beside(case, found, mean):
    """The case as if all had been annotated so far beside what was found, in the frame of the shape."""
    turn = fit_similarity(mean, found.positions)[:-1, :-1]
    marks = [replace(mark, position=mark.position + turn @ away) for mark, away in zip(found, AWAY, strict=True)]
    return replace(case, landmarks=replace(case.landmarks, landmarks=tuple(marks)))


def test_the_mean_is_as_if_one_case_more_were_off_by_nothing_and_few_teach_nothing() -> None:
    residuals = np.full((7, 3, 2), 2.0)
    residuals[5:, 1] = np.nan
    residuals[4:, 2] = np.nan
    learnt = cautious_mean(residuals)
    np.testing.assert_allclose(learnt, [[2 * 7 / 8] * 2, [2 * 5 / 6] * 2, [0, 0]])
    assert (cautious_mean(np.full((0, 2, 3), np.nan)) == 0).all()


def test_what_the_annotator_does_otherwise_is_learnt_in_the_frame_of_the_shape(model) -> None:
    bundle, data = model
    detector = Detector(bundle, "cpu")
    mean = np.asarray(detector.pipeline.prior.mean)
    cases = [beside(case, detector.detect(case.image()).landmarks, mean) for case in read_dataset(data).cases]
    steps: list[tuple[str, float]] = []
    learnt = learn_offsets(detector, cases, progress=lambda *step: steps.append(step))
    caution = len(cases) / (len(cases) + 1)
    np.testing.assert_allclose(learnt, caution * AWAY, atol=1e-6)
    assert steps[0] == ("offsets", 0.0) and steps[-1] == ("offsets", 1.0)
    # What lies beyond the tolerance tells of another place, not of a habit.
    far = [replace(mark, position=mark.position + 50.0) for mark in cases[0].landmarks]
    lost = replace(cases[0], landmarks=replace(cases[0].landmarks, landmarks=tuple(far)))
    np.testing.assert_allclose(learn_offsets(detector, [*cases, lost]), caution * AWAY, atol=1e-6)


def test_images_in_which_nothing_is_found_or_annotated_teach_nothing_and_stop_nothing() -> None:
    places = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    there = LandmarkSet.from_positions(["a", "b", "c"], places)
    nothing = LandmarkSet(tuple(Landmark(label) for label in there.labels))
    beside_it = LandmarkSet.from_positions(there.labels, places + 0.5)

    def case(found: LandmarkSet, truth: LandmarkSet) -> SimpleNamespace:
        return SimpleNamespace(image=lambda: SimpleNamespace(grid=None, found=found), landmarks=truth)

    pipeline = SimpleNamespace(labels=there.labels, offset_array=np.zeros((3, 2)), unit=lambda grid: 1.0)
    pipeline.prior, pipeline.calibration = SimpleNamespace(mean=places), SimpleNamespace(tolerance=2.0)
    detector = SimpleNamespace(
        pipeline=pipeline, detect=lambda image, cancelled=None: SimpleNamespace(landmarks=image.found)
    )
    cases = [case(nothing, beside_it), case(there, nothing), *[case(there, beside_it)] * 5]
    np.testing.assert_allclose(learn_offsets(detector, cases), np.full((3, 2), 0.5 * 5 / 6))


def test_a_detection_takes_them_off_in_any_pose(model, tmp_path: Path) -> None:
    bundle, data = model
    before = Detector(bundle, "cpu")
    settled = with_offsets(load_bundle(shutil.copytree(bundle.folder, tmp_path / "copy")), AWAY)
    verify_bundle(settled.folder)
    after = Detector(settled, "cpu")
    mean = np.asarray(before.pipeline.prior.mean)
    for case in read_dataset(data).cases[:4]:
        first, second = (one.detect(case.image()).landmarks for one in (before, after))
        turn = fit_similarity(mean, first.positions)[:-1, :-1]
        np.testing.assert_allclose(second.positions, first.positions + AWAY @ turn.T, atol=1e-4)
    # What was learnt stays where it is learnt again, and is not taken off twice.
    cases = [beside(case, before.detect(case.image()).landmarks, mean) for case in read_dataset(data).cases]
    np.testing.assert_allclose(learn_offsets(after, cases), AWAY, atol=1e-4)


def test_a_recipe_with_offsets_trains_a_bundle_that_has_them(tmp_path: Path) -> None:
    data = small_bundle(tmp_path / "model")[1]
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE + "offsets: true\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="has offsets, which detections teach; give settle"):
        train(recipe, data, tmp_path / "run", device="cpu")
    bundle = train(recipe, data, tmp_path / "run", device="cpu", settle=partial(settle, data=data, device="cpu"))
    offsets = read_pipeline(bundle.settings, bundle.name).offset_array
    assert offsets.shape == (len(LABELS), 2) and (offsets != 0).any()
    cases = [case for case in read_dataset(data).cases if case.subject in bundle.split()["trained"]]
    again = learn_offsets(Detector(bundle, "cpu"), cases)
    assert np.abs(again - offsets).max() < 0.1, "nothing is left to be taken off"


def test_a_settling_that_is_cancelled_leaves_the_bundle_as_it_was(model) -> None:
    bundle, data = model
    before = {path: path.read_bytes() for path in bundle.folder.rglob("*") if path.is_file()}
    with pytest.raises(Cancelled):
        settle(bundle, data, device="cpu", cancelled=lambda: True)
    assert before == {path: path.read_bytes() for path in bundle.folder.rglob("*") if path.is_file()}


def test_offsets_that_cannot_be_are_refused(tmp_path: Path) -> None:
    fetal = load_bundle("fetal-head-us")
    with pytest.raises(BundleError, match="only their order tells apart have no offsets"):
        read_pipeline({**fetal.settings, "offsets": [[0.0, 0.0]] * 4}, "x")
    hippocampus = load_bundle("hippocampus-mr")
    with pytest.raises(BundleError, match="the offsets are not"):
        read_pipeline({**hippocampus.settings, "offsets": [[0.0, 0.0]] * 4}, "x")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE + "offsets: true\norder: [{first: nose, second: left, axis: x}]\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="only their order tells apart have no offsets"):
        read_recipe(recipe)
