"""COCO's form: many images a file, and three words for whether a landmark was labelled."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from LandmarkDetectorLib.core import LandmarkFileError
from LandmarkDetectorLib.io import load_landmarks, read_coco

LABELS = ["nose", "left", "right"]


def document(**changes: Any) -> dict[str, Any]:
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 30, "height": 40},
            {"id": 9, "file_name": "sub/b.png"},
            {"id": 10, "file_name": "c.png"},
        ],
        "annotations": [
            {"id": 1, "image_id": 9, "category_id": 1, "keypoints": [1, 2, 2, 0, 0, 0, 5.5, 6, 1]},
            {"id": 2, "image_id": 7, "category_id": 1, "keypoints": [3, 4, 2, 5, 6, 2, 7, 8, 2]},
            {"id": 3, "image_id": 7, "category_id": 1, "keypoints": [0] * 9, "num_keypoints": 0, "iscrowd": 1},
            {"id": 4, "image_id": 7, "category_id": 1, "keypoints": [9, 9, 2, 0, 0, 0, 0, 0, 0]},
            {"id": 5, "image_id": 7, "category_id": 2, "bbox": [0, 0, 3, 3]},
        ],
        "categories": [{"id": 1, "name": "mouse", "keypoints": LABELS, "skeleton": []}, {"id": 2, "name": "box"}],
        **changes,
    }


def put(folder, **changes):
    path = folder / "coco.json"
    path.write_text(json.dumps(document(**changes)), encoding="utf-8")
    return path


def test_unlabelled_hidden_and_visible_landmarks_are_told_apart(tmp_path):
    marks = read_coco(put(tmp_path))["sub/b.png"]
    assert marks.labels == LABELS and marks.unit == "px" and marks.name == "b"
    assert [mark.status for mark in marks] == ["defined", "undefined", "defined"]
    assert [mark.description for mark in marks] == ["", "", "labelled, not visible"]
    np.testing.assert_array_equal(marks.positions, [[1, 2], [np.nan] * 2, [5.5, 6]])


def test_instances_of_an_image_follow_each_other(tmp_path):
    sets = read_coco(put(tmp_path))
    assert list(sets) == ["a.png", "sub/b.png", "c.png"]
    assert sets["a.png"].labels == LABELS * 2 and sets["a.png"].info == {"coco": {"id": 7, "width": 30, "height": 40}}
    assert sets["a.png"][3].position.tolist() == [9, 9]
    assert [mark.status for mark in sets["c.png"]] == ["undefined"] * 3


def test_pixels_are_named_by_their_centres_unless_the_file_counts_from_the_corner(tmp_path):
    assert read_coco(put(tmp_path))["a.png"][0].position.tolist() == [3, 4]
    assert read_coco(put(tmp_path), origin="corner")["a.png"][0].position.tolist() == [2.5, 3.5]
    with pytest.raises(LandmarkFileError, match="the origin 'top' given for it is none of corner, centre"):
        read_coco(tmp_path / "coco.json", origin="top")


def test_a_spacing_makes_millimetres(tmp_path):
    marks = read_coco(put(tmp_path), spacing=(0.5, 0.25), origin="corner")["a.png"]
    assert marks.unit == "mm" and marks[0].position.tolist() == [1.25, 0.875]


def test_of_several_categories_one_is_chosen(tmp_path):
    path = put(
        tmp_path, categories=[{"id": k, "name": n, "keypoints": LABELS[:k]} for k, n in ((3, "mouse"), (1, "x"))]
    )
    with pytest.raises(LandmarkFileError, match=r"several categories have landmarks \(mouse, x\)"):
        read_coco(path)
    with pytest.raises(LandmarkFileError, match="no landmarks of a category 'rat'; choose from mouse, x"):
        read_coco(path, category="rat")
    assert read_coco(path, category="mouse")["a.png"].labels == LABELS


def test_load_landmarks_says_how_to_read_many_images(tmp_path):
    with pytest.raises(LandmarkFileError, match=r"^coco\.json: .*many images; read it with read_coco\.$"):
        load_landmarks(put(tmp_path))


IMAGE = {"id": 1, "file_name": "a.png"}


def annotation(**changes: Any) -> dict[str, Any]:
    return {"annotations": [{"id": 1, "image_id": 7, "category_id": 1, "keypoints": [0] * 9, **changes}]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": 3}, "its images are no list"),
        ({"images": [IMAGE, IMAGE]}, "image 2 has the id 1, which another one has"),
        ({"images": [{"file_name": "a.png"}]}, "image 1 has no id"),
        ({"images": [IMAGE, {**IMAGE, "id": 7}], **annotation()}, "image 7 stands there twice"),
        ({"images": [{"id": 7}], **annotation()}, "image 7 has no file_name"),
        ({"categories": [{"id": 1, "name": "box"}]}, "no category of it names keypoints"),
        ({"categories": [{"id": 1, "name": "x", "keypoints": ["a", "a"]}]}, "two landmarks of its category x"),
        ({"categories": [{"id": 1, "name": "x", "keypoints": "abc"}]}, "no list of names"),
        (annotation(image_id=3), "annotation 1 is of image 3, which is not listed"),
        (annotation(image_id=[7]), "not listed"),
        (annotation(keypoints=[1, 2, 2]), "annotation 1 has 3 values"),
        (annotation(keypoints=None), "annotation 1 has 0 values"),
        (annotation(keypoints=[1, 2, 3] + [0] * 6), "annotation 1 has the visibility 3 for 'nose'"),
        (annotation(keypoints=["1", 2, 2] + [0] * 6), "annotation 1 has '1' where a number should be"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused_in_a_sentence(tmp_path, changes, words):
    with pytest.raises(LandmarkFileError, match=words) as caught:
        read_coco(put(tmp_path, **changes))
    assert str(caught.value).startswith("coco.json: ") and str(caught.value).endswith(".")


def test_another_json_file_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(LandmarkFileError, match=r"^a\.json: it has no images and annotations"):
        read_coco(tmp_path / "a.json")
