"""tpsDig's files: y upwards from the lower edge, missing landmarks, curves, several specimens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import Image, ImageError, LandmarkDetectorWarning, LandmarkFileError
from LandmarkDetectorLib.io import load_landmarks, read_tps, save_image
from LandmarkDetectorLib.io.pixels import picture_size

TWO = """LM=3
290. 108.
10 1.5
-1.00000 -1.00000
IMAGE=C:\\photos\\fish 1.jpg
ID=0
SCALE=0.025

lm=2
1 2
NA NA
IMAGE=fish 2.jpg
COMMENT=first
COMMENT=second
ID=1
SCALE=0.05
"""
HEIGHTS = {"fish 1.jpg": 200, "fish 2.jpg": 100}


def put(folder, text, name="a.tps"):
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_y_counts_from_the_lower_edge_and_half_a_pixel_from_the_corner(tmp_path):
    sets = read_tps(put(tmp_path, TWO), heights=HEIGHTS)
    assert list(sets) == ["fish 1.jpg", "fish 2.jpg"]
    first = sets["fish 1.jpg"]
    np.testing.assert_array_equal(first.positions, [[289.5, 91.5], [9.5, 198], [np.nan] * 2])
    assert first.labels == ["1", "2", "3"] and first.unit == "px" and first.name == "fish 1"
    assert sets["fish 2.jpg"].positions[0].tolist() == [0.5, 97.5]


def test_the_corners_of_a_picture_are_where_they_belong(tmp_path):
    path = put(
        tmp_path, "LM=2\n0.5 0.5\n3.5 1.5\nIMAGE=a.png\n"
    )  # centres of the last row's first and the first's last
    marks = read_tps(path, heights={"a.png": 2})["a.png"]
    assert marks.positions.tolist() == [[0, 1], [3, 0]]
    path = put(tmp_path, "LM=2\n0 0\n3 1\nIMAGE=a.png\n")
    assert read_tps(path, heights={"a.png": 2}, origin="centre")["a.png"].positions.tolist() == [[0, 1], [3, 0]]


def test_negative_coordinates_and_na_are_missing_landmarks(tmp_path):
    sets = read_tps(put(tmp_path, TWO), heights=HEIGHTS)
    assert [mark.status for mark in sets["fish 1.jpg"]] == ["defined", "defined", "missing"]
    assert sets["fish 2.jpg"]["2"].status == "missing"


def test_the_scale_is_a_length_a_pixel_once_its_unit_is_known(tmp_path):
    marks = read_tps(put(tmp_path, TWO), heights=HEIGHTS, scale_in="cm")
    assert {m.unit for m in marks.values()} == {"mm"}
    np.testing.assert_allclose(marks["fish 1.jpg"].positions[0], [289.5 * 0.25, 91.5 * 0.25])
    np.testing.assert_allclose(marks["fish 2.jpg"].positions[0], [0.5 * 0.5, 97.5 * 0.5])
    assert marks["fish 2.jpg"].info["tps"]["scale"] == "0.05"
    assert marks["fish 2.jpg"].info["tps"]["comment"] == "first\nsecond"
    given = read_tps(tmp_path / "a.tps", heights=HEIGHTS, spacing=(0.1, 0.2))["fish 1.jpg"]
    np.testing.assert_allclose(given.positions[1], [0.95, 39.6])


@pytest.mark.parametrize("alpha", [False, True])
def test_the_height_is_taken_from_the_picture_beside_the_file(tmp_path, alpha):
    from PIL import Image as Pillow

    pixels = np.arange(60, dtype=np.uint8).reshape(12, 5)
    if alpha:
        Pillow.fromarray(np.stack([pixels, pixels], -1), "LA").save(tmp_path / "a.png")
    else:
        save_image(Image.from_array(pixels, unit="px"), tmp_path / "a.png")
    assert picture_size(tmp_path / "a.png") == (5, 12)
    marks = load_landmarks(put(tmp_path, "LM=1\n2 3\nIMAGE=a.png\n"))
    assert marks.unit == "px" and marks.positions.tolist() == [[1.5, 8.5]]
    elsewhere = tmp_path / "files"
    elsewhere.mkdir()
    assert read_tps(put(elsewhere, "LM=1\n2 3\nIMAGE=a.png\n"), images=tmp_path)["a.png"].positions.tolist() == [
        [1.5, 8.5]
    ]


def test_a_size_is_read_of_pictures_only(tmp_path):
    for name, words in (("a.nii", "none of a picture's"), ("a.png", "no such file")):
        with pytest.raises(ImageError, match=words):
            picture_size(tmp_path / name)


CURVED = "LM=1\n1 1\nCURVES=2\nPOINTS=2\n2 2\n3 3\nPOINTS=1\n4 4\nIMAGE=a.png\nID=x\n"


def test_curves_are_read_where_they_are_wanted_and_left_out_aloud(tmp_path):
    path = put(tmp_path, CURVED)
    with pytest.warns(LandmarkDetectorWarning, match=r"a\.tps: 3 semilandmarks of its curves were left out"):
        assert read_tps(path, heights={"a.png": 9})["a.png"].labels == ["1"]
    marks = read_tps(path, heights={"a.png": 9}, curves=True)["a.png"]
    assert marks.labels == ["1", "curve 1.1", "curve 1.2", "curve 2.1"] and marks[3].position.tolist() == [3.5, 4.5]


def test_specimens_of_one_picture_are_instances_of_it(tmp_path):
    marks = read_tps(put(tmp_path, "LM=1\n1 1\nIMAGE=a.png\nLM=1\n2 2\nIMAGE=a.png\n"), heights={"a.png": 9})["a.png"]
    assert marks.labels == ["1", "1"] and marks[1].position.tolist() == [1.5, 6.5]


def test_load_landmarks_reads_files_of_one_picture(tmp_path):
    for name in "ab":
        save_image(Image.from_array(np.eye(4, dtype=np.uint8), unit="px"), tmp_path / f"{name}.png")
    with pytest.raises(LandmarkFileError, match="it holds 2 pictures and one is needed"):
        load_landmarks(put(tmp_path, "LM=1\n1 1\nIMAGE=a.png\nLM=1\n2 2\nIMAGE=b.png\n"))


def test_positions_in_space_need_to_be_told_their_axes(tmp_path):
    path = put(tmp_path, "LM3=2\n1 -2 3\nNA NA NA\nID=skull\nSCALE=2\n")
    with pytest.raises(LandmarkFileError, match=r"a\.tps: line 1: LM3 does not say its axes"):
        read_tps(path)
    marks = read_tps(path, coordinate_system="RAS")["skull"]
    assert marks.unit == "mm" and marks["1"].position.tolist() == [-1, 2, 3] and marks["2"].status == "missing"
    assert read_tps(path, coordinate_system="LPS", scale_in="mm")["skull"]["1"].position.tolist() == [2, -4, 6]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("ID=3\n", "line 1 has ID before any LM"),
        ("LM=2\n1 1\nIMAGE=a.png\n", "line 1 announces 2 lines of coordinates and 1 follow"),
        ("LM=1\n1 1\n2 2\nIMAGE=a.png\n", "line 3 has '2 2', which is neither KEY=value"),
        ("LM=x\n", "line 1 announces 'x' lines"),
        ("LM=99999999\n", "line 1 announces '99999999' lines"),
        ("LM=1\n1 2 3\nIMAGE=a.png\n", "line 2 has 3 coordinates and should have 2"),
        ("LM=1\n1,5 2\nIMAGE=a.png\n", "line 2 has '1,5'.*decimals with a point"),
        ("LM=1\n1 999\nIMAGE=a.png\n", "line 2: y = 999 is above the 50 pixels"),
        ("LM=1\n1 1\nID=3\n", "line 1: the specimen names no IMAGE"),
        ("LM=1\n1 1\nIMAGE=b.png\n", "lower edge of b.png, whose height is unknown .*no such file"),
        ("LM=1\n1 1\nIMAGE=a.png\nID=1\nID=2\n", "line 5 has a second ID"),
        ("LM3=0\nID=x\nLM3=0\nID=x\n", "line 3: 'x' stands there twice"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, words):
    with pytest.raises(LandmarkFileError, match=words) as caught:
        read_tps(put(tmp_path, text), heights={"a.png": 50}, coordinate_system="LPS")
    assert str(caught.value).startswith("a.tps: ") and str(caught.value).endswith(".")


def test_a_scale_is_needed_where_its_unit_is_given(tmp_path):
    path = put(tmp_path, "LM=1\n1 1\nIMAGE=a.png\n")
    for options, words in (
        ({"scale_in": "mm"}, "the specimen has no SCALE"),
        ({"scale_in": "ell"}, "one of mm, cm, m, um, inch"),
        ({"scale_in": "mm", "spacing": (1, 1)}, "either a spacing or the unit of SCALE"),
    ):
        with pytest.raises(LandmarkFileError, match=words):
            read_tps(path, heights={"a.png": 50}, **options)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(text=st.text(alphabet="LMPOINTSIDAGE3=12-. \n", max_size=60))
def test_whatever_stands_in_a_file_it_is_read_or_refused_in_a_sentence(tmp_path, text):
    try:
        read_tps(put(tmp_path, "LM=1\n1 1\n" + text), heights={"": 50}, coordinate_system="LPS", curves=True)
    except LandmarkFileError as error:
        assert str(error).startswith("a.tps: ") and str(error).endswith(".")
