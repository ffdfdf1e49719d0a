"""LabelMe's files, one a picture."""

from __future__ import annotations

import json

import numpy as np
import pytest

from LandmarkDetectorLib.core import LandmarkDetectorWarning, LandmarkFileError
from LandmarkDetectorLib.io import load_landmarks, read_labelme, save_landmarks


def point(label, x, y, **more):
    return {"label": label, "points": [[x, y]], "group_id": None, "shape_type": "point", "flags": {}, **more}


def put(folder, *shapes, name="a.json", **more):
    document = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": "a.png", "imageData": None}
    path = folder / name
    path.write_text(json.dumps({**document, "imageHeight": 40, "imageWidth": 30, **more}), encoding="utf-8")
    return path


def test_the_middle_of_labelmes_first_pixel_is_our_zero(tmp_path):
    marks = load_landmarks(put(tmp_path, point("Größe", 0.5, 0.5), point("b", 12.25, 7)))
    np.testing.assert_array_equal(marks.positions, [[0, 0], [11.75, 6.5]])
    assert marks.labels == ["Größe", "b"] and marks.unit == "px" and marks.name == "a"
    assert marks.info == {"labelme": {"image": "a.png", "width": 30, "height": 40}}


def test_a_spacing_makes_millimetres(tmp_path):
    marks = read_labelme(put(tmp_path, point("a", 10.5, 20.5)), spacing=(0.5, 0.25))
    assert marks.unit == "mm" and marks["a"].position.tolist() == [5, 5]
    with pytest.raises(LandmarkFileError, match=r"a\.json: the spacing 0\.5 given for it must be two positive numbers"):
        read_labelme(tmp_path / "a.json", spacing=0.5)


def test_several_shapes_of_one_label_are_several_instances(tmp_path):
    marks = load_landmarks(put(tmp_path, point("cell", 1, 1), point("cell", 5, 5, description="divides")))
    assert marks.labels == ["cell", "cell"] and marks[1].description == "divides"


def test_shapes_of_other_types_are_left_out_aloud(tmp_path):
    box = {"label": "head", "points": [[0, 0], [9, 9]], "shape_type": "rectangle"}
    early = {"label": "outline", "points": [[0, 0], [9, 9], [0, 9]]}
    with pytest.warns(LandmarkDetectorWarning, match=r"left out \(1 polygon, 1 rectangle\)\.$"):
        assert load_landmarks(put(tmp_path, box, point("a", 1, 1), early)).labels == ["a"]


def test_a_folder_of_another_computer_does_not_travel_along(tmp_path):
    marks = load_landmarks(put(tmp_path, imagePath="..\\Patient Mustermann\\a.png"))
    assert marks.info["labelme"]["image"] == "a.png" and len(marks) == 0


def test_what_was_read_can_be_saved_as_markups(tmp_path):
    marks = load_landmarks(put(tmp_path, point("a", 3, 4)))
    save_landmarks(marks, tmp_path / "b.mrk.json")
    back = load_landmarks(tmp_path / "b.mrk.json")
    assert back.unit == "px" and back.dimension == 2 and back["a"].position.tolist() == [2.5, 3.5]


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ([{"label": "a", "points": [[1, 2], [3, 4]], "shape_type": "point"}], "shape 1 is a point without one pair"),
        ([{"label": "a", "points": [[1]], "shape_type": "point"}], "shape 1 is a point without one pair"),
        ([point("a", "1,5", 2)], "shape 1 has '1,5' where a number should be"),
        ([point("a", True, 2)], "shape 1 has 'True' where a number should be"),
        ([point("a", 1, 1), {"points": [[1, 2]]}], "shape 2 has no label"),
        ([point("a", 1, 1), 7], "shape 2 has no label or no points"),
    ],
)
def test_a_broken_shape_is_refused_in_a_sentence(tmp_path, shapes, words):
    with pytest.raises(LandmarkFileError, match=words) as caught:
        load_landmarks(put(tmp_path, *shapes))
    assert str(caught.value).startswith("a.json: ") and str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"shapes": [', "perhaps truncated"),
        ('{"shapes": [], "shapes": []}', "stands twice"),
        ('{"shapes": [{"label": "a", "points": [[NaN, 1]]}]}', "NaN"),
        ('{"shapes": [{"label": "a", "points": [[1e999, 1]]}]}', "1e999"),
        ("[" * 100_000, "nested too deeply"),
        ('{"shapes": 3}', "not of the schema markups"),
        ("[]", "not of the schema markups"),
    ],
)
def test_a_file_that_is_damaged_or_of_another_kind_is_refused(tmp_path, text, words):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(LandmarkFileError, match=words):
        load_landmarks(tmp_path / "a.json")


def test_landmarkers_own_cases(tmp_path):
    """Three classes, one of which another file lacks; it gives y, x of the corner's count, we x, y of the centre's."""
    shapes = [{"label": f"class{k}", "points": [[2 * k - 1, 2 * k]]} for k in (1, 2, 3)]  # no shape_type in them
    marks = load_landmarks(put(tmp_path, *shapes))
    np.testing.assert_array_equal(
        marks.reordered(["class1", "class2", "class3"]).positions + 0.5, [[1, 2], [3, 4], [5, 6]]
    )
    some = marks.reordered(["class1", "class4"])
    assert some["class4"].status == "missing" and some["class1"].position.tolist() == [0.5, 1.5]
