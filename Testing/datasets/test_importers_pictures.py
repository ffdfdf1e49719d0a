"""Importers of pictures: cephalograms, hands, spines, endoscopic frames and plants, from small folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from LandmarkDetectorLib.core import DatasetError, LandmarkDetectorWarning, LandmarkFileError
from LandmarkDetectorLib.datasets import LandmarkDataset
from LandmarkDetectorLib.datasets.importers import import_dataset
from LandmarkDetectorLib.datasets.importers.endovis2015 import LABELS as JOINTS
from LandmarkDetectorLib.datasets.importers.spine_ap import LABELS as CORNERS


def picture(path: Path, width: int = 20, height: int = 10) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(np.arange(width * height, dtype=np.uint8).reshape(height, width)).save(path)


def text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# Cephalograms


def isbi(folder: Path, notes: str = "AnnotationsByMD/") -> Path:
    for place, number in (("TrainingData", 1), ("TrainingData", 2), ("Test1Data", 151), ("Test2Data", 400)):
        picture(folder / "RawImage" / place / f"{number:03d}.bmp")
        for observer, shift in (("senior", 0), ("junior", 2)):
            points = [f"{number + k + shift},{10 * k}" for k in range(19)]
            text(folder / f"{notes}400_{observer}" / f"{number:03d}.txt", *points, *"12341212")
    return folder


def test_cephalograms_keep_their_parts_and_both_observers(tmp_path: Path) -> None:
    dataset = import_dataset("isbi2015", isbi(tmp_path / "in"), tmp_path / "out")
    assert len(dataset.labels) == 19 and dataset.labels[0] == "Sella" and dataset.labels[18] == "Articulare"
    parts = {case.subject: case.extra["part"] for case in dataset.cases}
    assert parts == {"001": "training", "002": "training", "151": "test1", "400": "test2"}
    case = dataset.cases[1]
    assert case.spacing == (0.1, 0.1) and case.image().grid.unit == "mm"
    np.testing.assert_allclose(case.landmarks.positions[3], [(2 + 3 + 1) * 0.1, 3.0])  # the mean of both
    raters = case.raters
    np.testing.assert_allclose(raters["junior"].positions[3] - raters["senior"].positions[3], [0.2, 0], atol=1e-12)
    assert case.extra["classes"]["junior"] == [1, 2, 3, 4, 1, 2, 1, 2]


def test_one_observer_may_count_as_true(tmp_path: Path) -> None:
    source = isbi(tmp_path / "in", notes="")
    case = import_dataset("isbi2015", source, tmp_path / "out", truth="junior").cases[0]
    np.testing.assert_allclose(case.landmarks.positions[0], [0.3, 0])
    with pytest.raises(DatasetError, match="nobody called 'chief' annotated it; take one of mean, senior, junior"):
        import_dataset("isbi2015", source, tmp_path / "other", truth="chief")


def test_a_part_that_is_not_there_is_passed_over(tmp_path: Path) -> None:
    source = isbi(tmp_path / "in")
    for path in (source / "RawImage" / "Test1Data").iterdir():
        path.unlink()
    (source / "RawImage" / "Test1Data").rmdir()
    dataset = import_dataset("isbi2015", source, tmp_path / "out")
    assert [case.subject for case in dataset.cases] == ["001", "002", "400"]


@pytest.mark.parametrize(
    ("broken", "error", "words"),
    [
        ("picture", DatasetError, r"TrainingData: the picture 002\.bmp is not there"),
        ("note", LandmarkFileError, r"400_junior/002\.txt: there is no such file"),
        ("short", LandmarkFileError, r"400_junior/002\.txt: 18 of its lines are x,y and the first 19 should be"),
        ("long", LandmarkFileError, r"400_junior/002\.txt: 20 of its lines"),
        ("word", LandmarkFileError, r"400_junior/002\.txt: line 1 has 'a' where a number should be"),
        ("raw", DatasetError, "there is no folder RawImage in it"),
        ("junior", DatasetError, "there is no folder AnnotationsByMD/400_junior in it"),
    ],
)
def test_cephalograms_that_are_incomplete_are_refused(tmp_path: Path, broken: str, error: Any, words: str) -> None:
    source = isbi(tmp_path / "in")
    note = source / "AnnotationsByMD" / "400_junior" / "002.txt"
    lines = note.read_text().split()
    if broken == "picture":
        (source / "RawImage" / "TrainingData" / "002.bmp").unlink()
    elif broken == "note":
        note.unlink()
    elif broken == "raw":
        (source / "RawImage").rename(source / "Raw")
    elif broken == "junior":
        (source / "AnnotationsByMD" / "400_junior").rename(source / "other")
    else:
        text(note, *{"short": lines[1:], "long": ["1,1", *lines], "word": ["a,1", *lines[1:]]}[broken])
    with pytest.raises(error, match=words):
        import_dataset("isbi2015", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Hands


def row(key: str, wrist: float = 100.0) -> str:
    points = np.column_stack([np.arange(37.0), 2 * np.arange(37.0)])
    points[0], points[4] = (10, 20), (10 + wrist, 20)
    return f"{key}," + ",".join(f"{value:g}" for value in points.ravel())


def hands(folder: Path, *rows: str) -> Path:
    rows = rows or (row("3128"), row("3129", 200), row("4000"))
    text(folder / "all.csv", *rows)
    for key in ("3128", "3129", "4000"):
        picture(folder / "jpg" / f"{key}.jpg")
    text(folder / "cv" / "set1" / "test.txt", "3129")
    text(folder / "cv" / "set1" / "train.txt", "3128", "4000")
    text(folder / "cv" / "set2" / "test.txt", "3128")
    return folder


def test_hands_are_scaled_by_their_wrists_and_keep_their_folds(tmp_path: Path) -> None:
    dataset = import_dataset("hand-atlas", hands(tmp_path / "in"), tmp_path / "out")
    assert dataset.labels == tuple(map(str, range(37)))
    assert [case.spacing for case in dataset.cases] == [(0.5, 0.5), (0.25, 0.25), (0.5, 0.5)]
    assert [case.extra.get("fold") for case in dataset.cases] == [2, 1, None]
    for case in dataset.cases:
        wrist = case.landmarks["0"].position - case.landmarks["4"].position
        assert np.linalg.norm(wrist) == pytest.approx(50)
        assert case.landmarks.unit == case.image().grid.unit == "mm"
    np.testing.assert_allclose(dataset.cases[0].landmarks["7"].position, [3.5, 7])


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ((row("3128"), row("3128")), DatasetError, r"all\.csv: row 2 has the id '3128' again"),
        ((row("3128"), row("5")), DatasetError, "the image 5 is not there"),
        ((row("3128") + ",7",), LandmarkFileError, r"all\.csv: row 1 has 75 values and should have 74"),
        ((row("3128").replace(",1,", ",x,"),), LandmarkFileError, "row 1 has 'x' where a number"),
        ((row("3128", 0),), LandmarkFileError, "the wrist of 3128 has no width"),
        ((row("3128"),), DatasetError, r"cv/set1/test\.txt names '3129', which is not in all\.csv"),
    ],
)
def test_a_table_of_hands_that_is_wrong_is_refused(tmp_path: Path, rows: Sequence[str], error: Any, words: str) -> None:
    source = hands(tmp_path / "in", *rows)
    if "cv/" not in words:
        (source / "cv" / "set1" / "test.txt").unlink()
    with pytest.raises(error, match=words):
        import_dataset("hand-atlas", source, tmp_path / "out")


def test_a_hand_is_tested_in_one_fold_only(tmp_path: Path) -> None:
    source = hands(tmp_path / "in")
    text(source / "cv" / "set3" / "test.txt", "3129")
    with pytest.raises(DatasetError, match=r"cv/set3/test\.txt names '3129', which is trained on or tested"):
        import_dataset("hand-atlas", source, tmp_path / "out")


def test_of_several_versions_of_an_image_one_folder_is_chosen(tmp_path: Path) -> None:
    source = hands(tmp_path / "in")
    picture(source / "png" / "3128.png")
    with pytest.raises(DatasetError, match=r"jpg/3128\.jpg and png/3128\.png are two images of one name"):
        import_dataset("hand-atlas", source, tmp_path / "out")
    assert import_dataset("hand-atlas", source, tmp_path / "out", images="jpg").cases[0].image_path.suffix == ".jpg"
    (source / "all.csv").unlink()
    with pytest.raises(DatasetError, match=r"there is no all\.csv in it"):
        import_dataset("hand-atlas", source, tmp_path / "other")


# Spines


def fractions(upside_down: bool = False) -> str:
    x = np.tile([0.25, 0.5, 0.25, 0.5], 17)
    y = (np.repeat(np.arange(17), 4) + np.tile([0.25, 0.25, 0.75, 0.75], 17)) / 17
    if upside_down:
        y[-4:] = 0.001
    return ",".join(f"{value:.17g}" for value in [*x, *y])


def spines(folder: Path, **tables: Sequence[str]) -> Path:
    for part in ("training", "test"):
        names = ["s 1 AP.jpg", "s 2 AP.jpg"] if part == "training" else ["s 1 AP.jpg"]
        for name in names:
            picture(folder / "boostnet_labeldata" / "data" / part / name, 40, 100)
        labels = folder / "boostnet_labeldata" / "labels" / part
        text(labels / "filenames.csv", *names)
        text(labels / "landmarks.csv", *[fractions()] * len(names))
        text(labels / "angles.csv", *["30.5,20,10"] * len(names))
        if part == "training":
            for table, lines in tables.items():
                text(labels / f"{table}.csv", *lines)
    return folder


def test_fractions_of_a_spine_become_pixels(tmp_path: Path) -> None:
    dataset = import_dataset("spine-ap", spines(tmp_path / "in"), tmp_path / "out")
    assert dataset.labels == CORNERS and CORNERS[4] == "T2 upper left" and CORNERS[67] == "L5 lower right"
    assert [case.subject for case in dataset.cases] == ["training-s 1 AP", "training-s 2 AP", "test-s 1 AP"]
    assert [case.extra["part"] for case in dataset.cases] == ["training", "training", "test"]
    case = dataset.cases[0]
    assert case.landmarks.unit == "px" == case.image().grid.unit and case.extra["cobb_angles_deg"] == [30.5, 20, 10]
    np.testing.assert_allclose(case.landmarks["T1 upper left"].position, [0.25 * 40 - 0.5, 0.25 / 17 * 100 - 0.5])
    np.testing.assert_allclose(case.landmarks["L5 lower right"].position, [0.5 * 40 - 0.5, 16.75 / 17 * 100 - 0.5])
    assert "suspect" not in case.extra


def test_a_spine_out_of_order_is_marked(tmp_path: Path) -> None:
    source = spines(tmp_path / "in", landmarks=[fractions(), fractions(upside_down=True)])
    with pytest.warns(LandmarkDetectorWarning, match="in 1 pictures the vertebrae do not follow each other downwards"):
        dataset = import_dataset("spine-ap", source / "boostnet_labeldata", tmp_path / "out")
    assert [case.extra.get("suspect") for case in dataset.cases] == [None, True, None]


@pytest.mark.parametrize(
    ("tables", "error", "words"),
    [
        (
            {"filenames": ["s 1 AP.jpg"]},
            DatasetError,
            r"labels/training: landmarks\.csv has 2 rows and filenames\.csv 1",
        ),
        ({"angles": ["1,2,3"]}, DatasetError, r"angles\.csv has 1 rows"),
        ({"angles": ["1,2", "1,2,3"]}, LandmarkFileError, r"angles\.csv: row 1 has 2 values and should have 3"),
        ({"filenames": ["s 1 AP.jpg"] * 2}, DatasetError, r"filenames\.csv: row 2 has 's 1 AP\.jpg' again"),
        ({"filenames": ["s 1 AP.jpg", "x.jpg"]}, DatasetError, r"data/training: the picture x\.jpg is not there"),
        (
            {"landmarks": [fractions(), "1,2"]},
            LandmarkFileError,
            r"landmarks\.csv: row 2 has 2 values and should have 136",
        ),
        (
            {"landmarks": [fractions().replace("0.5,", "50,", 1), fractions()]},
            LandmarkFileError,
            "50, which is no fraction",
        ),
    ],
)
def test_tables_of_spines_that_contradict_each_other_are_refused(tmp_path: Path, tables, error, words: str) -> None:
    with pytest.raises(error, match=words):
        import_dataset("spine-ap", spines(tmp_path / "in", **tables), tmp_path / "out")


# Endoscopic frames


def joint(kind: str, x: float, y: float, tool: str | None = "tool1") -> dict[str, Any]:
    return {"class": kind, "x": x, "y": y, **({"id": tool} if tool else {})}


def frame(name: str, *joints: Any) -> dict[str, Any]:
    return {"annotations": list(joints), "class": "image", "filename": f"/elsewhere/Training/Dataset1/Raw/{name}"}


def frames(folder: Path, *annotated: dict[str, Any]) -> Path:
    head, tail = joint("HeadPoint", 5.5, 6), joint("EndPoint", 8, 9, "tool3")
    annotated = annotated or (frame("img_000001_raw.png"), frame("img_000060_raw.png", head, tail))
    training = folder / "Tracking_Robotic_Training" / "Training" / "Dataset1" / "raw"
    for number in (1, 60):
        picture(training / f"img_{number:06d}.png")
    picture(folder / "Tracking_Robotic_Testing" / "Tracking" / "Dataset1" / "Raw" / "img_0400.png")
    text(folder / "train_labels" / "train1_labels.json", json.dumps(annotated))
    text(folder / "test_labels" / "test1_labels.json", json.dumps([frame("img_0400.png", joint("HeadPoint", 1, 2))]))
    return folder


def test_every_joint_of_every_instrument_is_a_landmark(tmp_path: Path) -> None:
    dataset = import_dataset("endovis2015", frames(tmp_path / "in"), tmp_path / "out")
    assert dataset.labels == JOINTS and len(JOINTS) == 24
    cases = {case.subject: case for case in dataset.cases}
    assert {name: case.extra["part"] for name, case in cases.items()} == {
        "test1-img_0400": "test",
        "train1-img_000060": "training",
    }
    assert {case.family for case in dataset.cases} == {"sequence 1"}  # one operation on both sides of the parts
    marks = cases["train1-img_000060"].landmarks
    assert marks.unit == "px" and marks["tool1 HeadPoint"].position.tolist() == [5, 5.5]
    assert marks["tool3 EndPoint"].position.tolist() == [7.5, 8.5]
    assert marks["tool1 EndPoint"].status == "undefined" and marks["tool2 HeadPoint"].status == "missing"
    content = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert content["landmark_classes"]["tool3 EndPoint"] == "EndPoint"
    assert cases["train1-img_000060"].image_path.name == "img_000060.png"


def test_a_joint_without_an_instrument_goes_to_the_one_that_lacks_it(tmp_path: Path) -> None:
    first = [joint("HeadPoint", 1, 1), joint("EndPoint", 3, 3, None)]
    both = [joint("HeadPoint", 2, 2, "tool2"), joint("EndPoint", 4, 4, "tool2")]
    source = frames(tmp_path / "in", frame("img_000060_raw.png", *first, *both))
    marks = import_dataset("endovis2015", source, tmp_path / "out").cases[1].landmarks
    assert marks["tool1 EndPoint"].position.tolist() == [2.5, 2.5] and marks["tool3 HeadPoint"].status == "missing"
    source = frames(tmp_path / "in", frame("img_000060_raw.png", *first, both[0]))
    with pytest.warns(LandmarkDetectorWarning, match="1 joints were left out, as whose they are, or where, is unclear"):
        marks = import_dataset("endovis2015", source, tmp_path / "unclear").cases[1].landmarks
    assert {marks[f"{tool} EndPoint"].status for tool in ("tool1", "tool2", "tool3")} == {"undefined"}


def test_a_joint_with_two_places_has_none(tmp_path: Path) -> None:
    twice = [joint("HeadPoint", 1, 1), joint("HeadPoint", 4, 4), joint("EndPoint", 2, 2)]
    source = frames(tmp_path / "in", frame("img_000060_raw.png", *twice))
    with pytest.warns(LandmarkDetectorWarning, match="1 joints were left out"):
        marks = import_dataset("endovis2015", source, tmp_path / "out").cases[1].landmarks
    assert marks["tool1 HeadPoint"].status == "undefined" and marks["tool1 EndPoint"].status == "defined"


def test_frames_of_the_other_challenge_are_not_taken(tmp_path: Path) -> None:
    source = frames(tmp_path / "in")
    picture(source / "Segmentation_Robotic_Training" / "Training" / "Dataset1" / "Raw" / "img_000060.png")
    case = import_dataset("endovis2015", source, tmp_path / "out").cases[1]
    assert "Tracking_Robotic_Training" in case.image_path.resolve().parts


@pytest.mark.parametrize(
    ("annotated", "error", "words"),
    [
        (frame("img_000077_raw.png", joint("HeadPoint", 1, 1)), DatasetError, "the image img_000077 is not there"),
        (frame("img_000060.png", joint("Nose", 1, 1)), LandmarkFileError, "'Nose'.* is no joint of an instrument"),
        (frame("img_000060.png", joint("HeadPoint", 1, 1, "tool9")), LandmarkFileError, "'tool9'.* is no joint"),
        (frame("img_000060.png", {"class": "HeadPoint", "x": 1}), LandmarkFileError, "img_000060 has 'None' where"),
        ({"annotations": []}, LandmarkFileError, r"train1_labels\.json: a frame has no filename"),
        (7, LandmarkFileError, r"train1_labels\.json: it is no list of frames"),
    ],
)
def test_frames_that_are_wrong_are_refused(tmp_path: Path, annotated: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        import_dataset("endovis2015", frames(tmp_path / "in", annotated), tmp_path / "out")


def test_labels_without_frames_and_frames_without_labels_are_refused(tmp_path: Path) -> None:
    source = frames(tmp_path / "in")
    (source / "Tracking_Robotic_Testing").rename(source / "elsewhere")
    with pytest.raises(DatasetError, match="there is no Dataset1 in a folder called after test; unpack the videos"):
        import_dataset("endovis2015", source, tmp_path / "out")
    with pytest.raises(DatasetError, match=r"there is no train1_labels\.json or test1_labels\.json in it"):
        import_dataset("endovis2015", source / "elsewhere", tmp_path / "out")


# Plants


def plants(folder: Path, session: str = "A_W4", names: Sequence[str] = ("f1", "f2"), label: str = "{}") -> Path:
    """Pictures of a session; the first has two stems, the other none."""
    for number, name in enumerate(names):
        picture(folder / session / "rgb_undistorted" / f"{name}.png")
        picture(folder / session / "nir" / f"{name}.png")
        marked = np.zeros((10, 20), np.uint8)
        if number == 0:
            marked[2:5, 3:6] = 1
            marked[6:8, 10:12] = 255
        path = folder / session / "label_sparse" / f"{label.format(name)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(marked).save(path)
    return folder


def test_every_stem_of_a_picture_is_an_instance_of_one_class(tmp_path: Path) -> None:
    source = plants(plants(tmp_path / "in"), "G_W5", label="label_{}")
    dataset = import_dataset("plant-centroids", source, tmp_path / "out")
    assert dataset.labels == ("stem",) and [case.subject for case in dataset.cases] == [
        f"{session}-f{number}" for session in ("A_W4", "G_W5") for number in (1, 2)
    ]
    for some, none in (dataset.cases[:2], dataset.cases[2:]):
        np.testing.assert_allclose(some.landmarks.positions, [[4, 3], [10.5, 6.5]])
        assert [mark.status for mark in none.landmarks] == ["missing"]
    assert [case.extra["part"] for case in dataset.cases] == ["test", "test", "training", "training"]
    assert {case.family for case in dataset.cases} == {"field A", "field G"}
    assert LandmarkDataset(dataset)[0]["landmarks"].shape == (1, 2, 2)
    infrared = import_dataset("plant-centroids", source, tmp_path / "nir", light="nir")
    assert infrared.cases[0].image_path.parent.name == "nir"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("light", "There are no pictures in the light 'uv'; choose rgb or nir"),
        ("folder", "A_W4: there is no folder rgb_undistorted beside label_sparse"),
        ("count", "A_W4: 3 labels and 2 pictures differ in their names and do not pair"),
        ("size", r"A_W4: f1\.png and f1\.png differ in size"),
    ],
)
def test_plants_that_do_not_pair_are_refused(tmp_path: Path, broken: str, words: str) -> None:
    session = plants(tmp_path / "in") / "A_W4"
    if broken == "folder":
        (session / "rgb_undistorted").rename(session / "rgb")
    elif broken == "count":
        picture(session / "label_sparse" / "f3.png")
    elif broken == "size":
        picture(session / "rgb_undistorted" / "f1.png", width=21)
    options = {"light": "uv"} if broken == "light" else {}
    with pytest.raises(DatasetError, match=words):
        import_dataset("plant-centroids", tmp_path / "in", tmp_path / "out", **options)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("spine-ap", "there is no folder labels/training or labels/test in it"),
        ("plant-centroids", "no folder label_sparse lies in it or below"),
    ],
)
def test_a_folder_of_something_else_is_told_what_was_looked_for_and_where(
    tmp_path: Path, form: str, words: str
) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DatasetError, match=words) as caught:
        import_dataset(form, tmp_path / "in", tmp_path / "out")
    assert str(caught.value).startswith(f"{tmp_path / 'in'}: ")
