"""Importing: what is written, that it is whole or not at all, and what every importer shares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from LandmarkDetectorLib.core import DatasetError, Image, LandmarkDetectorWarning, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.datasets import load_sample, read_dataset
from LandmarkDetectorLib.datasets.importers import (
    ImportedCase,
    ImportedDataset,
    import_dataset,
    importer_names,
    register_importer,
)
from LandmarkDetectorLib.datasets.importers import registry as importers_registry
from LandmarkDetectorLib.io import save_image, save_landmarks


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(Image.from_array(np.arange(48, dtype=np.uint8).reshape(8, 6), unit="px"), path)
    return path


def volume(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(Image.from_array(np.arange(60, dtype=np.int16).reshape(3, 4, 5), spacing=(0.5, 0.6, 0.7)), path)
    return path


def marks(*labels: str, unit: str = "mm", dimension: int = 3) -> LandmarkSet:
    positions = np.arange(1.0, len(labels) * dimension + 1).reshape(-1, dimension) / 4
    return LandmarkSet.from_positions(labels, positions, unit)


def slicer_folder(folder: Path, second: str = "ab") -> Path:
    """Two volumes, in two of Slicer's formats, the first with the landmarks a and b."""
    for name, suffix, labels in (("one", ".mrk.json", "ab"), ("two", ".fcsv", second)):
        volume(folder / "images" / f"{name}.nii.gz")
        (folder / "points").mkdir(exist_ok=True)
        save_landmarks(marks(*labels), folder / "points" / f"{name}{suffix}")
    return folder


def test_a_folder_of_slicer_is_imported_as_it_is(tmp_path: Path) -> None:
    source = slicer_folder(tmp_path / "skulls", "bc")
    with pytest.warns(LandmarkDetectorWarning, match="skulls: labels .* lacking in 2 files, and count as not labelled"):
        dataset = import_dataset("markups", source, tmp_path / "out" / "set")
    assert dataset.name == "skulls" and dataset.labels == ("a", "b", "c")
    one, two = read_dataset(tmp_path / "out" / "set").cases
    np.testing.assert_array_equal(one.landmarks.positions, [[0.25, 0.5, 0.75], [1, 1.25, 1.5], [np.nan] * 3])
    assert two.landmarks["a"].status == "undefined" and two.landmarks["b"].position.tolist() == [0.25, 0.5, 0.75]
    assert one.image_path.resolve() == (source / "images" / "one.nii.gz").resolve()
    assert one.image().grid.contains(one.landmarks["a"].position) and one.spacing is None
    entry = json.loads((tmp_path / "out" / "set" / "dataset.json").read_text())["training"][0]
    assert entry["image"] == "../../skulls/images/one.nii.gz"


def test_what_it_means_that_a_file_lacks_a_label_can_be_said(tmp_path: Path) -> None:
    source = slicer_folder(tmp_path / "skulls", "bc")
    with pytest.warns(LandmarkDetectorWarning, match="labels .* lacking in 2 files, and count as absent there"):
        one, two = import_dataset("markups", source, tmp_path / "out", lacking="missing").cases
    assert [mark.status for mark in one.landmarks] == ["defined", "defined", "missing"]
    assert two.landmarks["a"].status == "missing"
    assert one.absent == {one.landmarks.labels[2]} and two.absent == {"a"}  # from which training learns absence
    with pytest.raises(DatasetError, match="A label that a file lacks cannot be 'lost'"):
        import_dataset("markups", source, tmp_path / "other", lacking="lost")


def test_images_are_copied_where_that_is_asked(tmp_path: Path) -> None:
    source = slicer_folder(tmp_path / "skulls")
    import_dataset("markups", source, tmp_path / "out", copy_images=True)
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == ["one.nii.gz", "two.nii.gz"]
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    assert read_dataset(tmp_path / "elsewhere").cases[1].image().array.shape == (1, 3, 4, 5)


def test_nothing_is_left_of_an_import_that_ends_early(tmp_path: Path) -> None:
    source = slicer_folder(tmp_path / "skulls")

    def interrupt(stage: str, fraction: float) -> None:
        if stage == "writing two":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_dataset("markups", source, tmp_path / "new" / "folders" / "out", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["skulls"]
    (tmp_path / "out").mkdir()
    stages: list[tuple[str, float]] = []
    import_dataset("markups", source, tmp_path / "out", progress=lambda *told: stages.append(told))
    assert stages[0] == ("reading annotations", 0.0) and stages[-1] == ("done", 1.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "skulls"]


def test_a_folder_that_holds_something_is_not_written_to(tmp_path: Path) -> None:
    source = slicer_folder(tmp_path / "skulls")
    with pytest.raises(DatasetError, match=r"skulls is there already and not empty; give another folder"):
        import_dataset("markups", source, source)


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no importer 'ceph'; choose one of afids, endovis2015, hand-atlas"):
        import_dataset("ceph", tmp_path, tmp_path / "out")
    with pytest.raises(DatasetError, match=r"no option 'truth'; it knows ending, spacing, lacking, instances\.$"):
        import_dataset("markups", tmp_path, tmp_path / "out", truth="mean")
    with pytest.raises(DatasetError, match=r"'spine-ap' has no option 'truth'; it has none\.$"):
        import_dataset("spine-ap", tmp_path, tmp_path / "out", truth="mean")
    with pytest.raises(DatasetError, match="there is no such folder"):
        import_dataset("markups", tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(DatasetError, match="holds no annotated image of this form"):
        import_dataset("markups", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_importer_of_ones_own_is_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = importers_registry._IMPORTERS
    monkeypatch.setattr(known, "_entries", dict(known._entries))
    raters = {"ann": marks("a", dimension=2), "bob": marks("a", dimension=2)}

    @register_importer("mine")
    def mine(folder: Path, *, part: str = "test") -> ImportedDataset:
        case = ImportedCase("x", folder / "x.png", marks("a", dimension=2), (0.5, 0.25), raters, {"part": part})
        return ImportedDataset("mine", ("a",), (case,), {"modality": "drawing"})

    picture(tmp_path / "mine" / "x.png")
    case = import_dataset("mine", tmp_path / "mine", tmp_path / "out", part="training").cases[0]
    assert "mine" in importer_names() and case.extra["part"] == "training" and case.spacing == (0.5, 0.25)
    assert case.image().grid.unit == case.landmarks.unit == "mm"
    found = case.raters
    assert list(found) == ["ann", "bob"] and found["bob"]["a"].position.tolist() == [0.25, 0.5]
    with pytest.raises(ValueError, match="the importer 'mine' is there already"):
        register_importer("mine")(mine)
    (tmp_path / "mine" / "x.png").unlink()
    with pytest.raises(DatasetError, match=r"The image x\.png of subject x is not there"):
        import_dataset("mine", tmp_path / "mine", tmp_path / "other")


@pytest.mark.parametrize(
    ("labels", "subjects", "words"),
    [
        ("", "x", "its files hold no landmark"),
        ("aa", "x", "two landmarks have the same label"),
        ("ab", "xX", "the subject 'X' stands there twice"),
        ("ab", ["a/b"], "no file can be called 'a/b'"),
        ("ab", [""], "no file can be called ''"),
    ],
)
def test_a_set_that_contradicts_itself_cannot_be_made(labels: str, subjects: str, words: str) -> None:
    cases = tuple(ImportedCase(subject, Path("x.png"), marks(*"ab")) for subject in subjects)
    with pytest.raises(DatasetError, match=words):
        ImportedDataset("set", tuple(labels), cases)


def test_pictures_come_with_landmarks_of_labelme_in_pixels_or_millimetres(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "train" / "a.png")
    shapes = [{"label": "tip", "points": [[2.5, 4.5]], "shape_type": "point"}]
    document = {"shapes": shapes, "imagePath": "a.png", "imageWidth": 6, "imageHeight": 8}
    (tmp_path / "in" / "train" / "a.json").write_text(json.dumps(document))
    case = import_dataset("markups", tmp_path / "in", tmp_path / "px").cases[0]
    assert case.landmarks.unit == "px" == case.image().grid.unit and case.landmarks["tip"].position.tolist() == [2, 4]
    assert case.extra == {"part": "training"}
    case = import_dataset("markups", tmp_path / "in", tmp_path / "mm", spacing=(0.5, 0.25)).cases[0]
    assert case.landmarks.unit == "mm" and case.landmarks["tip"].position.tolist() == [1, 1]
    document["imageWidth"], document["imageHeight"] = 8, 6
    (tmp_path / "in" / "train" / "a.json").write_text(json.dumps(document))
    with pytest.raises(LandmarkFileError, match=r"^a\.json: LabelMe saw 8×6 pixels and a\.png has 6×8; turn"):
        import_dataset("markups", tmp_path / "in", tmp_path / "turned")


def test_what_slicer_saves_on_a_picture_is_taken_for_pixels(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    flat = LandmarkSet.from_positions("ab", [[1, 2, 0], [3, 4, 0]], "mm")
    save_landmarks(flat, tmp_path / "in" / "a.mrk.json")
    with pytest.warns(LandmarkDetectorWarning, match="Slicer showed a pixel as 1 mm"):
        case = import_dataset("markups", tmp_path / "in", tmp_path / "px").cases[0]
    assert case.landmarks.unit == "px" and case.landmarks.positions.tolist() == [[1, 2], [3, 4]]
    case = import_dataset("markups", tmp_path / "in", tmp_path / "mm", spacing=(0.5, 0.5)).cases[0]
    assert case.landmarks.unit == "mm" and case.landmarks.positions.tolist() == [[0.5, 1], [1.5, 2]]


def test_what_slicer_saves_on_a_picture_that_claims_a_resolution_for_printing_comes_to_its_pixels(
    tmp_path: Path,
) -> None:
    (tmp_path / "in").mkdir()
    Pillow.fromarray(np.zeros((8, 6), np.uint8)).save(tmp_path / "in" / "a.jpg", dpi=(72, 72))
    pixel = 25.4 / 72  # so large ITK takes a pixel of it for, and Slicer with it
    save_landmarks(LandmarkSet.from_positions("a", [[3 * pixel, 4 * pixel, 0]], "mm"), tmp_path / "in" / "a.mrk.json")
    with pytest.warns(LandmarkDetectorWarning, match="Slicer showed a pixel as 0.3528 mm"):
        case = import_dataset("markups", tmp_path / "in", tmp_path / "px").cases[0]
    assert case.landmarks.unit == "px" and case.landmarks.positions.tolist() == [pytest.approx([3, 4])]
    case = import_dataset("markups", tmp_path / "in", tmp_path / "mm", spacing=(0.5, 0.5)).cases[0]
    assert case.landmarks.unit == "mm" and case.landmarks.positions.tolist() == [pytest.approx([1.5, 2])]
    save_landmarks(LandmarkSet.from_positions("a", [[3, 4, 0]], "mm"), tmp_path / "in" / "a.mrk.json")
    with pytest.warns(LandmarkDetectorWarning, match="Slicer showed a pixel as 1 mm"):  # somebody set that there
        case = import_dataset("markups", tmp_path / "in", tmp_path / "one").cases[0]
    assert case.landmarks.positions.tolist() == [[3, 4]]


def test_what_slicer_saves_on_a_picture_in_a_file_of_volumes_comes_into_its_plane(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    plane = np.arange(48, dtype=np.uint8).reshape(8, 6)
    save_image(Image.from_array(plane, spacing=(0.5, 0.5)), tmp_path / "in" / "a.mha")
    save_landmarks(LandmarkSet.from_positions("ab", [[1, 2, 0], [2, 3, 0]], "mm"), tmp_path / "in" / "a.mrk.json")
    case = import_dataset("markups", tmp_path / "in", tmp_path / "out").cases[0]
    assert case.landmarks.positions.tolist() == [[1, 2], [2, 3]] and case.landmarks.unit == "mm"
    assert case.image().grid.contains(case.landmarks.positions).all()
    volume(tmp_path / "deep" / "a.nrrd")
    save_landmarks(LandmarkSet.from_positions("ab", [[1, 2, 0], [2, 1, 0]], "mm"), tmp_path / "deep" / "a.mrk.json")
    assert import_dataset("markups", tmp_path / "deep", tmp_path / "out3").cases[0].landmarks.dimension == 3


def test_true_millimetres_on_a_picture_need_its_pixels_size(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    save_landmarks(marks("a", dimension=2), tmp_path / "in" / "a.mrk.json")
    with pytest.raises(LandmarkFileError, match="it is in mm and nobody says how large a pixel is"):
        import_dataset("markups", tmp_path / "in", tmp_path / "out")
    case = import_dataset("markups", tmp_path / "in", tmp_path / "out", spacing=(0.1, 0.1)).cases[0]
    assert case.landmarks["a"].position.tolist() == [0.25, 0.5]


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (float("nan"),) * 2])
def test_a_spacing_for_a_folder_without_pictures_is_not_passed_over(tmp_path: Path, spacing: tuple[float, ...]) -> None:
    source = slicer_folder(tmp_path / "skulls")
    with pytest.raises(DatasetError, match="skulls: the spacing is of pictures, and there is none; leave it out"):
        import_dataset("markups", source, tmp_path / "out", spacing=spacing)


def test_names_of_landmark_files_may_have_an_ending(tmp_path: Path) -> None:
    volume(tmp_path / "in" / "a.nrrd")
    volume(tmp_path / "in" / "unseen.nrrd")
    save_landmarks(marks("a"), tmp_path / "in" / "a_points.fcsv")
    (tmp_path / "in" / "a.json").write_text('{"EchoTime": 3}')  # how it was acquired, as in a BIDS tree
    with pytest.raises(DatasetError, match=r"in: a_points\.fcsv has no image of its name; add one, or give the ending"):
        import_dataset("markups", tmp_path / "in", tmp_path / "out")
    with pytest.warns(LandmarkDetectorWarning, match="in: left out, without landmarks of their name: 1 image"):
        assert len(import_dataset("markups", tmp_path / "in", tmp_path / "out", ending="_points").cases) == 1


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        (("a.mrk.json", "a.fcsv"), DatasetError, r"a\.fcsv and a\.mrk\.json are of one image"),
        (("b/a.nrrd", "a.fcsv"), DatasetError, r"a\.nrrd and b/a\.nrrd are two images of one name"),
        (("twice",), DatasetError, r"a\.mrk\.json: .*two landmarks are called 'a'"),
        (("px",), LandmarkFileError, r"a\.mrk\.json: it is in px and its image in mm"),
    ],
)
def test_a_folder_that_is_not_clear_is_refused(tmp_path: Path, files, error, words: str) -> None:
    volume(tmp_path / "in" / "a.nrrd")
    for file in files:
        if file.endswith(".nrrd"):
            volume(tmp_path / "in" / file)
        elif file == "twice":
            save_landmarks(marks("a", "a"), tmp_path / "in" / "a.mrk.json")
        elif file == "px":
            save_landmarks(marks("a", unit="px"), tmp_path / "in" / "a.mrk.json")
        else:
            save_landmarks(marks("a"), tmp_path / "in" / file)
    with pytest.raises(error, match=words):
        import_dataset("markups", tmp_path / "in", tmp_path / "out")


def test_a_class_of_several_instances_is_imported_where_that_is_said(tmp_path: Path) -> None:
    for name, labels in (("a", "aba"), ("b", "b")):
        volume(tmp_path / "in" / f"{name}.nrrd")
        save_landmarks(marks(*labels), tmp_path / "in" / f"{name}.mrk.json")
    with pytest.warns(LandmarkDetectorWarning, match="labels that others have are lacking in 1 file,"):
        dataset = import_dataset("markups", tmp_path / "in", tmp_path / "out", instances=True)
    assert dataset.labels == ("a", "b")
    first, second = dataset.cases
    assert first.landmarks.labels == ["a", "a", "b"]
    np.testing.assert_array_equal(first.landmarks.positions, marks(*"aba").positions[[0, 2, 1]])
    assert [mark.status for mark in second.landmarks] == ["undefined", "defined"]
    sample = load_sample(first, dataset.labels)
    assert sample["landmarks"].shape == (2, 2, 3) and sample["present"].tolist() == [[True, True], [True, False]]


@pytest.mark.data
def test_the_mouse_skulls_come_back_the_same(tmp_path: Path, data_root: Path) -> None:
    ours = read_dataset(data_root / "mouse_skull_ct")
    theirs = {
        case.subject: case for case in import_dataset("markups", data_root / "mouse_skull_ct", tmp_path / "out").cases
    }
    for case in ours.cases:
        back = theirs[case.subject].landmarks.reordered(ours.labels)
        np.testing.assert_array_equal(back.positions, case.landmarks.positions)
        assert theirs[case.subject].image_path.samefile(case.image_path)
