"""Landmarks that do not fit their image, or that no image has, are said before anything trains on them."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.core import DatasetError, LandmarkDetectorWarning, LandmarkSet, RecipeError
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.io import load_landmarks, save_landmarks
from LandmarkDetectorLib.training import read_recipe, train
from LandmarkDetectorLib.training.derive import measure
from LandmarkDetectorLib.training.specimens import load_specimens
from LandmarkDetectorLib.training.train import learn_pipeline
from Testing.phantoms import LABELS, recipe_text, write_dataset

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[Path, Path]:
    """A recipe and a data set of six phantoms."""
    (tmp_path / "data").mkdir()
    data = write_dataset(tmp_path / "data", 6)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(recipe_text(2, 10), encoding="utf-8")
    return recipe, data


def keep(file: Path, *labels: str) -> None:
    """Only these landmarks stay in a file."""
    marks = load_landmarks(file)
    save_landmarks(replace(marks, landmarks=tuple(mark for mark in marks if mark.label in labels)), file)


def move(file: Path, label: str, by: float) -> None:
    """A landmark of a file goes along x."""
    marks = load_landmarks(file)
    moved = (replace(m, position=m.position + [by, 0.0]) if m.label == label else m for m in marks)
    save_landmarks(replace(marks, landmarks=tuple(moved)), file)


def test_landmarks_in_px_do_not_train_on_an_image_in_mm(prepared) -> None:
    recipe, data = prepared
    file = data / "case03.mrk.json"
    save_landmarks(replace(load_landmarks(file), unit="px"), file)
    content, dataset = read_recipe(recipe), read_dataset(data)
    says = "case03: its landmarks are in px and its image in mm; save them in mm"
    with pytest.raises(DatasetError, match=says):
        learn_pipeline(content, dataset, dataset.cases)
    with pytest.raises(DatasetError, match=says):
        measure(dataset.cases)
    sound = dataset.cases[:3]
    pipeline = learn_pipeline(content, dataset, sound)
    with pytest.raises(DatasetError, match=says):
        load_specimens(dataset.cases, pipeline)


def test_landmarks_in_space_do_not_train_on_a_picture(prepared) -> None:
    recipe, data = prepared
    dataset = read_dataset(data)
    deep = LandmarkSet.from_positions(LABELS, np.ones((5, 3)))
    cases = (*dataset.cases[:-1], replace(dataset.cases[-1], subject="7", landmarks=deep))
    with pytest.raises(DatasetError, match=r"7 \(case05.mha\): landmarks in 3D do not fit an image in 2D") as refused:
        learn_pipeline(read_recipe(recipe), dataset, cases)
    with pytest.raises(DatasetError, match="7 .*do not fit") as again:
        measure(cases)
    assert str(refused.value) == str(again.value)


def test_a_recipe_for_volumes_learns_no_shape_of_pictures(prepared) -> None:
    recipe, data = prepared
    recipe.write_text(recipe_text(3), encoding="utf-8")
    dataset = read_dataset(data)
    with pytest.raises(RecipeError, match="phantom: the recipe is for images in 3D, and case00 is in 2D; choose"):
        learn_pipeline(read_recipe(recipe), dataset, dataset.cases)


def test_a_landmark_that_is_placed_on_no_image_is_named_with_its_data_set(prepared, tmp_path: Path) -> None:
    recipe, data = prepared
    for file in data.glob("*.mrk.json"):
        keep(file, *LABELS[:-1])
    with pytest.raises(DatasetError, match="phantoms: the landmark 'fin' is placed in none of the 4 images that train"):
        train(recipe, data, tmp_path / "run", device="cpu")
    with pytest.raises(DatasetError, match="fish: the landmark 'fin' is placed in none of the 6 images"):
        measure(read_dataset(data).cases, "fish")


def test_a_landmark_that_one_image_has_can_be_learnt(prepared) -> None:
    recipe, data = prepared
    for file in sorted(data.glob("*.mrk.json"))[1:]:
        keep(file, *LABELS[:-1])
    dataset = read_dataset(data)
    assert np.isfinite(learn_pipeline(read_recipe(recipe), dataset, dataset.cases).prior.mean).all()
    assert measure(dataset.cases).dimension == 2


def test_an_image_on_which_nothing_is_placed_teaches_what_is_absent(prepared, tmp_path: Path) -> None:
    recipe, data = prepared
    listing = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
    listing["training"][3]["absent"] = LABELS
    (data / "dataset.json").write_text(json.dumps(listing), encoding="utf-8")
    keep(data / "case03.mrk.json")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        state = train(recipe, data, tmp_path / "run", device="cpu").state_dict()
    assert all(torch.isfinite(value).all() for value in state.values())


def test_a_landmark_a_whole_image_away_from_its_image_is_said(prepared) -> None:
    recipe, data = prepared
    content, dataset = read_recipe(recipe), read_dataset(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error", LandmarkDetectorWarning)
        learn_pipeline(content, dataset, dataset.cases)
    move(data / "case02.mrk.json", "left", 56)  # just outside
    move(data / "case02.mrk.json", "tail", -300)
    dataset = read_dataset(data)
    with pytest.warns(LandmarkDetectorWarning, match=r"than it is long \('tail' of case02\); look whether"):
        learn_pipeline(content, dataset, dataset.cases)


def test_an_image_that_is_to_be_seen_more_often_is_read_and_kept_once(prepared) -> None:
    recipe, data = prepared
    content, dataset = read_recipe(recipe), read_dataset(data)
    pipeline = learn_pipeline(content, dataset, dataset.cases)
    new, *known = load_specimens([*dataset.cases[:1] * 3, dataset.cases[1]], pipeline)
    assert [one is new for one in known] == [True, True, False]
