"""The folder of a landmark set: an image with what was placed on it goes in as if it had been added and saved."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.core import Grid, Image, Landmark, LandmarkSet
from LandmarkDetectorLib.io import load_image, load_landmarks, save_landmarks
from LandmarkDetectorLib.io.markups import KEPT
from LandmarkDetectorLib.io.markups_review import STATUSES
from LandmarkDetectorLib.review import ReviewError, set_folder
from LandmarkDetectorLib.review.new_set import collect
from LandmarkDetectorLib.review.runs import next_run
from LandmarkDetectorLib.review.set_folder import (
    IMAGES,
    LandmarkList,
    add_annotated,
    annotated,
    create_set,
    newest_bundle,
    parse_labels,
    parse_mirror,
    training_was_interrupted,
)
from Testing.phantoms import LABELS, phantom


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return create_set(tmp_path / "blobs", LandmarkList("blobs", tuple(LABELS), {"nose": "The largest blob."}))


def without(marks: LandmarkSet, **status: str) -> LandmarkSet:
    """The landmarks with some that are ``missing`` or ``undefined``."""
    changed = (Landmark(m.label, None, status[m.label]) if m.label in status else m for m in marks)
    return LandmarkSet(tuple(changed), marks.unit, marks.name)


@pytest.mark.parametrize("dimension", [2, 3])
def test_what_was_placed_on_an_image_teaches_as_if_it_had_been_saved_beside_it(folder: Path, dimension: int) -> None:
    image, truth = phantom(np.random.default_rng(0), dimension, 20)
    file = add_annotated(folder, image, without(truth, fin="missing", left="undefined"), "scan 1")
    assert file == folder / IMAGES / "scan 1.mrk.json" and annotated(folder) == ["scan 1"]
    kept = load_landmarks(file)
    assert [mark.label for mark in kept] == LABELS and kept["fin"].status == "missing"
    dataset, left_out = collect(folder, folder / "data")
    (case,) = dataset.cases
    assert not left_out and case.absent == {"fin"} and case.landmarks["left"].status == "undefined"
    assert np.allclose(case.landmarks["nose"].position, truth["nose"].position, atol=1e-3)
    assert np.array_equal(case.image().array, image.array) and case.image().grid.same_as(image.grid, 1e-3)


def test_landmarks_of_the_same_image_are_replaced_only_when_that_is_said(folder: Path) -> None:
    image, truth = phantom(np.random.default_rng(0), 2, 20)
    file = add_annotated(folder, image, without(truth, fin="undefined"), "scan")
    with pytest.raises(ReviewError, match="may be replaced"):
        add_annotated(folder, image, truth, "scan")
    add_annotated(folder, image, truth, "scan", replace=True)
    assert load_landmarks(file)["fin"].position is not None
    other, marks = phantom(np.random.default_rng(1), 2, 20)
    with pytest.raises(ReviewError, match="Another image called scan"):
        add_annotated(folder, other, marks, "scan", replace=True)
    picture = next(path for path in (folder / IMAGES).iterdir() if not path.name.endswith(".json"))
    assert np.array_equal(load_image(picture).array, image.array)


def test_what_does_not_belong_to_the_set_is_refused_and_nothing_is_written(folder: Path) -> None:
    image, truth = phantom(np.random.default_rng(0), 2, 20)
    fewer = LandmarkSet(truth.landmarks[:-1])
    more = LandmarkSet((*truth.landmarks, Landmark("ear", (1.0, 2.0))))
    nothing = without(truth, **dict.fromkeys(LABELS, "undefined"))
    proposed = LandmarkSet(truth.landmarks, info={"fingerprint": "f" * 64})
    cases = ((fewer, "lacks 'fin'"), (more, "does not know 'ear'"), (nothing, "nothing is placed"), (proposed, "a det"))
    for marks, says in cases:
        with pytest.raises(ReviewError, match=says):
            add_annotated(folder, image, marks, "scan")
    assert list((folder / IMAGES).iterdir()) == []


def test_a_picture_without_a_scale_is_refused_by_a_set_in_mm(tmp_path: Path) -> None:
    folder = create_set(tmp_path / "mm", LandmarkList("mm", ("a",), spacing=(0.5, 0.5)))
    picture = Image(np.zeros((1, 4, 4), np.uint8), Grid.regular((4, 4), 1.0, "px"))
    with pytest.raises(ReviewError, match="has no scale"):
        add_annotated(folder, picture, LandmarkSet((Landmark("a", (1.0, 2.0)),), "px"), "scan")


def full(*arguments, **options) -> None:
    """What a full disk says."""
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("file", ["save_landmarks", "atomic_write"])
@pytest.mark.parametrize("chosen", [True, False])
def test_a_set_that_a_full_disk_ended_leaves_nothing_and_can_be_made_again(
    tmp_path: Path, file: str, chosen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "sets" / "blobs"
    if chosen:  # an empty folder, as the panel asks for one
        target.mkdir(parents=True)
    with monkeypatch.context() as disk, pytest.raises(ReviewError, match="cannot be made"):
        disk.setattr(set_folder, file, full)
        create_set(target, LandmarkList("blobs", ("a",)))
    assert target.exists() == chosen and (tmp_path / "sets").exists() == chosen
    assert create_set(target, LandmarkList("blobs", ("a",))) == target


def test_an_image_whose_landmarks_cannot_be_written_is_not_left_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, truth = phantom(np.random.default_rng(0), 2, 20)
    monkeypatch.setattr(set_folder, "save_landmarks", full)
    with pytest.raises(ReviewError, match="scan cannot be added"):
        add_annotated(folder, image, truth, "scan")
    assert list((folder / IMAGES).iterdir()) == []


def test_only_images_that_teach_are_counted(folder: Path) -> None:
    _, truth = phantom(np.random.default_rng(0), 2, 20)
    save_landmarks(truth, folder / IMAGES / "placed.mrk.json")
    save_landmarks(replace(truth, info={"fingerprint": "f" * 64}), folder / IMAGES / "proposed.mrk.json")
    save_landmarks(without(truth, **dict.fromkeys(LABELS, "undefined")), folder / IMAGES / "empty.mrk.json")
    assert annotated(folder) == ["placed"]


def reviewed(marks: LandmarkSet, *codes: int) -> LandmarkSet:
    """The landmarks as the panel saves them, with a code of their status each."""
    ids = [str(number) for number in range(len(marks))]
    points = list(zip(ids, marks.labels, strict=True))
    text = json.dumps({"statuses": STATUSES, "points": points, "proposals": {}, "sources": []})
    measurement = {"name": "review", "enabled": False, "description": text, "controlPointValues": codes}
    kept = {"controlPoints": [{"id": key, "label": label} for key, label in points]}
    return replace(marks, info={"fingerprint": "f" * 64, KEPT: {**kept, "markup": {"measurements": [measurement]}}})


def test_what_the_panel_saved_as_unreviewed_is_not_taken_for_what_a_person_placed(folder: Path) -> None:
    image, truth = phantom(np.random.default_rng(0), 2, 20)
    waiting, corrected = STATUSES.index("unreviewed"), STATUSES.index("corrected")
    one = [corrected] + [waiting] * (len(LABELS) - 1)
    for name, codes in (("one", one), ("all", [corrected] * len(LABELS)), ("none", [waiting] * len(LABELS))):
        file = add_annotated(folder, image, truth, name)
        save_landmarks(reviewed(load_landmarks(file).reordered(LABELS), *codes), file)
    assert annotated(folder) == ["all", "one"]
    dataset, left_out = collect(folder, folder / "data")
    placed = [[mark.label for mark in case.landmarks if mark.position is not None] for case in dataset.cases]
    assert sorted(placed, key=len) == [LABELS[:1], LABELS]
    assert not any(case.absent for case in dataset.cases)
    assert left_out == [
        "none: none of its landmarks was confirmed or corrected in the panel yet.",
        f"one: {len(LABELS) - 1} landmarks that nobody has confirmed or corrected.",
    ]


def test_an_interrupted_training_is_known_until_it_has_its_bundle(folder: Path) -> None:
    assert not training_was_interrupted(folder)
    run = folder / "training" / "run-001"
    (run / "blobs").mkdir(parents=True)
    assert not training_was_interrupted(folder)  # nothing was learnt yet
    (run / "recipe.yaml").write_text("name: blobs\n", encoding="utf-8")
    assert training_was_interrupted(folder)
    (run / "blobs" / "manifest.json").write_text("{}", encoding="utf-8")
    assert not training_was_interrupted(folder)


def test_runs_are_numbered_behind_the_highest_and_the_newest_is_the_last_by_number(folder: Path) -> None:
    runs = folder / "training"
    assert next_run(folder) == runs / "run-001" and newest_bundle(folder) is None
    for number in ("998", "1000", "999"):
        (runs / f"run-{number}" / "blobs").mkdir(parents=True)
        (runs / f"run-{number}" / "blobs" / "manifest.json").write_text("{}", encoding="utf-8")
    (runs / "run-of-mine").mkdir()
    assert next_run(folder) == runs / "run-1001"
    assert newest_bundle(folder) == runs / "run-1000" / "blobs"


@pytest.mark.parametrize("step", [0.0, -0.2, float("nan"), float("inf")])
def test_a_pixel_that_has_no_size_is_refused_when_its_set_is_made(step: float) -> None:
    with pytest.raises(ReviewError, match="give a positive number"):
        LandmarkList("head", ("nose",), spacing=(step, step))


def test_labels_and_pairs_are_read_from_lines() -> None:
    labels, definitions = parse_labels(["nose: The largest: blob", "", "# by Anna", "  left  ", "right"])
    assert labels == ("nose", "left", "right") and definitions == {"nose": "The largest: blob"}
    assert parse_mirror(["left, right", " ", "nose"]) == (("left", "right"), ("nose",))


def test_a_pair_that_is_written_otherwise_is_refused_with_how_it_is_written() -> None:
    with pytest.raises(ReviewError, match="'left - right' is not one of the labels; .* comma between"):
        LandmarkList("head", ("left", "right"), mirror=parse_mirror(["left - right"]))


@pytest.mark.parametrize("mirror", [(("left", "right"), ("right", "nose")), (("left", "left"),)])
def test_a_landmark_with_two_partners_is_refused_when_its_set_is_made(mirror: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(ReviewError, match="stands twice among the mirror groups"):
        LandmarkList("blobs", tuple(LABELS), mirror=mirror)
