"""Between a result and a review store: volumes as images that the store knows, and cases as results."""

from __future__ import annotations

import numpy as np
import pytest

from LandmarkDetector.Scene.case_result import proposals_of, result_of_case, what_is_said
from LandmarkDetector.Scene.halo import Halo
from LandmarkDetector.Scene.image_volume import image_for_store, volume_of_image
from LandmarkDetector.Scene.record import read_state
from LandmarkDetector.Scene.result import create_result, landmark_set_of
from LandmarkDetector.Scene.review import Review
from LandmarkDetectorLib.core import Grid, Image, Landmark, LandmarkError, LandmarkSet
from LandmarkDetectorLib.io import load_image, save_image
from LandmarkDetectorLib.review import Correction, ReviewStore
from LandmarkDetectorLib.review.images import digest
from Testing.scene.nodes import add_linear, marks_of

RNG = np.random.default_rng(4)
TURN = np.linalg.qr(RNG.normal(size=(3, 3)))[0]


def images() -> dict[str, Image]:
    """One of each kind that the panel may meet."""
    flat = Grid((7, 5), (0.5, 0.7), (3.0, -4.0), np.eye(2))
    solid = Grid((5, 6, 4), (1.0, 0.5, 2.0), (3.0, -4.0, 9.0), TURN)
    return {
        "volume": Image(RNG.integers(0, 99, (1, 4, 6, 5)).astype(np.int16), solid),
        "picture": Image(RNG.integers(0, 99, (1, 5, 7)).astype(np.uint8), flat),
        "pixels": Image(RNG.integers(0, 99, (1, 5, 7)).astype(np.uint8), Grid.regular((7, 5), 1.0, "px")),
        "colour": Image(RNG.integers(0, 99, (3, 5, 7)).astype(np.uint8), Grid.regular((7, 5), 1.0, "px")),
    }


@pytest.mark.parametrize("kind", images())
def test_an_image_of_a_store_is_the_same_image_when_it_comes_from_the_scene(scene, kind):
    image = images()[kind]
    volume = volume_of_image(scene, image, "again")
    again, path = image_for_store(volume)
    assert path is None and digest(again) == digest(image)


@pytest.mark.parametrize(("kind", "suffix"), [("volume", ".nrrd"), ("picture", ".mha"), ("colour", ".png")])
def test_a_volume_with_a_file_is_the_case_that_the_file_is(scene, tmp_path, kind, suffix):
    path = tmp_path / f"image{suffix}"
    save_image(images()[kind], path)
    read = load_image(path)
    volume = volume_of_image(scene, read, "image")
    volume.AddDefaultStorageNode(str(path))
    volume.GetStorageNode().SetFileName(str(path))
    again, found = image_for_store(volume)
    assert found == path and digest(again) == digest(read)


def test_a_picture_whose_size_somebody_set_in_the_scene_is_another_image_than_its_file(scene, tmp_path):
    path = tmp_path / "image.png"
    save_image(images()["pixels"], path)
    volume = volume_of_image(scene, load_image(path), "image")
    volume.AddDefaultStorageNode(str(path))
    volume.GetStorageNode().SetFileName(str(path))
    volume.SetSpacing(0.2, 0.2, 1)
    image, found = image_for_store(volume)
    assert found is None and image.grid.unit == "mm" and np.allclose(image.grid.spacing, 0.2)


def test_proposals_are_in_the_coordinates_of_the_image_wherever_it_was_moved(scene, ct, marks):
    transform = add_linear(scene)
    ct.SetAndObserveTransformNodeID(transform.GetID())
    node = create_result(scene, marks, ct)
    review = Review(node)
    review.confirm([row.point_id for row in review.rows() if row.label == "a"])
    (proposed,) = proposals_of(node, read_state(node)).values()
    assert proposed.info["fingerprint"] == "f" * 64
    for mark in proposed:
        assert mark.position is None or np.allclose(mark.position, marks[mark.label].position)
        assert mark.covariance is None or np.allclose(mark.covariance, marks[mark.label].covariance)
    node.HardenTransform()
    review.settled()
    (again,) = proposals_of(node, read_state(node)).values()
    assert np.allclose(again["c"].position, marks["c"].position)
    node.SetNthControlPointPosition(3, 1.0, 2.0, 3.0)
    said = what_is_said(node, review.settled())["d"]
    local = np.array(transform.GetTransformFromParent().TransformPoint(1.0, 2.0, 3.0)) * [-1, -1, 1]
    assert said.status == "corrected" and np.allclose(said.position, local)


def test_what_is_said_leaves_out_where_nobody_has_looked(scene, ct, marks):
    node = create_result(scene, marks, ct)
    review = Review(node)
    review.mark_absent([row.point_id for row in review.rows() if row.label == "d"])
    said = what_is_said(node, review.settled())
    assert {label: (each.status, each.position) for label, each in said.items()} == {
        "a": ("unreviewed", None),
        "b": ("unreviewed", None),
        "c": ("unreviewed", None),
        "d": ("absent", None),
    }


def test_two_landmarks_of_one_label_are_refused_with_a_sentence(scene, ct, marks):
    node = create_result(scene, marks, ct)
    node.SetNthControlPointLabel(2, "a")
    review = Review(node)
    with pytest.raises(LandmarkError, match="Two landmarks are called 'a'"):
        what_is_said(node, review.settled())


def test_a_case_becomes_a_result_that_says_the_same(scene, tmp_path):
    store = ReviewStore.create(tmp_path / "reviews")
    image = images()["volume"]
    case = store.add_image(image, copy=True)
    old = LandmarkSet((Landmark("a", (1, 2, 3), None, 0.4), Landmark("d", (4, 4, 4))), info={"fingerprint": "e" * 64})
    store.add_proposal(case, old)
    store.record(case, "Anna", Correction("a", "confirmed"))
    store.add_proposal(case, marks_of())
    store.record(
        case,
        "Anna",
        Correction("b", "corrected", (7.0, 8.0, 9.0)),
        Correction("c", "absent"),
        Correction("own", "corrected", (1.0, 1.0, 1.0), None, None),
    )
    volume = volume_of_image(scene, store.image(case), "case")
    node = result_of_case(scene, volume, store.state(case, "Anna"), store.case(case).proposals())
    review = Review(node)
    rows = {row.label: row for row in review.rows()}
    assert {label: row.status for label, row in rows.items()} == {
        "a": "confirmed",
        "b": "corrected",
        "c": "absent",
        "d": "unreviewed",
        "own": "corrected",
    }
    assert np.allclose(rows["a"].position, (1, 2, 3)), "what was confirmed stays, whatever is proposed later"
    assert np.allclose(rows["b"].position, (7, 8, 9)) and rows["a"].confidence == 0.4
    assert np.allclose(landmark_set_of(node)["d"].covariance, marks_of()["d"].covariance)
    said = what_is_said(node, review.settled())
    assert said["a"].source == 0 and said["b"].source == 1 and said["own"].source is None
    review.reset([rows["c"].point_id])
    assert np.allclose(landmark_set_of(node)["c"].position, marks_of()["c"].position)
    review.history.undo()
    assert landmark_set_of(node)["c"].position is None
    assert not review.history.can_undo(), "opening a case is no step to take back"


def test_a_case_keeps_the_regions_that_its_proposals_stated(scene, tmp_path):
    store = ReviewStore.create(tmp_path / "reviews")
    case = store.add_image(images()["volume"], copy=True)
    radii = {"a": 4.0, "b": None, "c": 5.0, "d": 6.0}
    said = {"level": 0.9, "method": "ellipsoidal", "radii": radii, "cases": 77, "subjects": 64}
    store.add_proposal(case, marks_of())
    store.add_proposal(case, LandmarkSet(marks_of().landmarks, info={**marks_of().info, "regions": said}))
    first, second = store.case(case).proposals()
    assert second.landmarks.info["regions"] == said and "regions" not in first.landmarks.info
    node = result_of_case(scene, volume_of_image(scene, store.image(case), "case"), store.state(case, "Anna"), [first])
    assert not any(region.calibrated for _, region in Halo(Review(node)).drawn)
    state = store.state(case, "Anna")
    node = result_of_case(scene, volume_of_image(scene, store.image(case), "case"), state, [first, second])
    drawn = dict(Halo(Review(node)).drawn)
    assert {label: region.radius for label, region in drawn.items()} == {"a": 4.0, "c": 5.0, "d": 6.0}
    assert drawn["a"].cases == 77 and proposals_of(node, read_state(node))[1].info["regions"] == said
