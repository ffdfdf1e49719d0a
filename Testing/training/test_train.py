"""Training: a recipe becomes a bundle; an interrupted run goes on to the same result."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.core import Cancelled, DatasetError, RecipeError
from LandmarkDetectorLib.datasets import Dataset, read_dataset
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.inference.evaluate import evaluate_bundle
from LandmarkDetectorLib.training import read_recipe, train
from LandmarkDetectorLib.training.split import fold_families, split_cases
from Testing.phantoms import recipe_text, write_dataset

pytestmark = pytest.mark.usefixtures("one_thread")


def prepared(folder: Path, dimension: int = 2, steps: int = 60, count: int = 12, **changes: str) -> tuple[Path, Path]:
    data = folder / "data"
    data.mkdir()
    write_dataset(data, count, dimension, side=56 if dimension == 2 else 44)
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe_text(dimension, steps, **changes), encoding="utf-8")
    return recipe, data


@pytest.mark.parametrize(("dimension", "steps"), [(2, 80), pytest.param(3, 40, marks=pytest.mark.slow)])
def test_a_recipe_becomes_a_bundle_that_finds_the_landmarks(tmp_path: Path, dimension: int, steps: int) -> None:
    recipe, data = prepared(tmp_path, dimension, steps)
    seen: list[tuple[str, float]] = []
    bundle = train(recipe, data, tmp_path / "run", device="cpu", progress=lambda *step: seen.append(step))
    assert {stage for stage, _ in seen} == {"coarse", "frame", "patch"} and seen[-1][1] == 1.0
    figures = evaluate_bundle(bundle, data, device="cpu")
    assert figures["summary"]["cases"] == 1  # the sample, which did not train
    everything = evaluate_bundle(bundle, data, subjects="all", device="cpu")
    assert everything["summary"]["missed"] <= 3
    assert everything["summary"]["mean"] < 1.0
    json.dumps(everything, allow_nan=False)
    rows = list(csv.DictReader((bundle.folder / "docs/curve-frame.csv").open()))
    assert float(rows[-1]["maps_loss"]) < float(rows[0]["maps_loss"])
    assert [sample.name.split(".")[0] for sample in bundle.samples()] == ["case00"]


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, steps=30)
    whole = train(recipe, data, tmp_path / "whole", device="cpu").state_dict()
    calls = [0]

    def after_a_while() -> bool:
        calls[0] += 1
        return calls[0] == 47  # in the middle of the second stage, between two checkpoints

    with pytest.raises(Cancelled, match="--resume"):
        train(recipe, data, tmp_path / "parts", device="cpu", cancelled=after_a_while)
    assert not (tmp_path / "parts" / "phantom").exists()
    with pytest.raises(RecipeError, match="--resume"):
        train(recipe, data, tmp_path / "parts", device="cpu")
    parts = train(recipe, data, tmp_path / "parts", device="cpu", resume=True).state_dict()
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


def test_only_the_run_that_began_a_folder_goes_on_in_it(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, steps=20)
    run = tmp_path / "run"
    train(recipe, data, run, device="cpu", fold=0)
    with pytest.raises(RecipeError, match=r"run was begun otherwise \(fold was 0 and is 1\)"):
        train(recipe, data, run, device="cpu", fold=1, resume=True)
    other = tmp_path / "other.yaml"
    other.write_text(recipe.read_text(encoding="utf-8").replace("steps: 20", "steps: 30"), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"coarse_training.steps was 20 and is 30"):
        train(other, data, run, device="cpu", fold=0, resume=True)
    for file in data.glob("*.mrk.json"):
        moved = json.loads(file.read_text(encoding="utf-8"))
        moved["markups"][0]["controlPoints"][0]["position"][0] += 1
        file.write_text(json.dumps(moved), encoding="utf-8")
    with pytest.raises(RecipeError, match="training cases are others"):
        train(recipe, data, run, device="cpu", fold=0, resume=True)
    (run / "run.json").unlink()
    with pytest.raises(RecipeError, match=r"no run\.json says what they were trained by"):
        train(recipe, data, run, device="cpu", fold=0, resume=True)


def test_a_damaged_checkpoint_is_named_and_its_stage_begins_anew_without_it(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, steps=20)
    whole = train(recipe, data, tmp_path / "run", device="cpu").state_dict()
    checkpoint = tmp_path / "run" / "frame.checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(RecipeError, match=r"frame.checkpoint.pt is damaged; delete it, and --resume begins stage"):
        train(recipe, data, tmp_path / "run", device="cpu", resume=True)
    checkpoint.unlink()
    again = train(recipe, data, tmp_path / "run", device="cpu", resume=True).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def test_a_run_that_is_complete_is_only_published_anew(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, steps=30)
    train(recipe, data, tmp_path / "run", device="cpu")
    curves = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "run").glob("*.csv")}
    train(recipe, data, tmp_path / "run", device="cpu", resume=True)
    assert curves and curves == {
        path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "run").glob("*.csv")
    }


def test_a_fold_shares_no_family_with_what_trains(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path)
    content, dataset = read_recipe(recipe), read_dataset(data)
    folds = fold_families(content, dataset)
    assert sorted(f for fold in folds for f in fold) == sorted({case.family for case in dataset.cases})
    for fold in range(len(folds)):
        split = split_cases(content, dataset, fold)
        assert not {c.family for c in split.training} & {c.family for c in split.held_out}
        assert split.held_out
    shipping = split_cases(content, dataset, None)
    assert [c.subject for c in shipping.held_out] == ["case00"]
    assert "case01" not in [c.subject for c in shipping.training]  # of the sample's family
    with pytest.raises(RecipeError, match="no fold 9"):
        split_cases(content, dataset, 9)


@pytest.mark.parametrize("fold", [None, 0, 1, 2])
def test_a_subject_whose_family_one_entry_leaves_out_stands_on_one_side_with_all_its_images(
    tmp_path: Path, fold: int | None
) -> None:
    recipe, data = prepared(tmp_path)
    content, dataset = read_recipe(recipe), read_dataset(data)
    first, second, other, *rest = dataset.cases
    again = replace(second, image_path=other.image_path, family=second.subject)  # the family is not said here
    cases = (first, second, again, *rest, replace(other, subject="elsewhere", family="alone"))
    joined = Dataset(dataset.name, dataset.labels, cases)
    split = split_cases(content, joined, fold)
    for what in ("subject", "family", "image_path"):
        sides = [{getattr(case, what) for case in side} for side in (split.training, split.held_out)]
        assert not sides[0] & sides[1], what
    families = [family for one in fold_families(content, joined) for family in one]
    assert sorted(families) == sorted({case.family for case in cases})
    if fold is None:  # of the sample's family, by its own subject and by its image
        assert not {"case01", "elsewhere"} & {case.subject for case in split.training}


def test_of_what_is_held_out_only_annotations_that_may_judge_are_judged(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path)
    content, dataset = read_recipe(recipe), read_dataset(data)
    drawn = [replace(case, image_path=data / f"{case.subject}-drawn.mha", origin="drawn") for case in dataset.cases]
    both = Dataset(dataset.name, dataset.labels, (*dataset.cases, *drawn))
    split = split_cases(content, both, 0)
    assert {case.origin for case in split.held_out} == {"native"}
    assert {case.origin for case in split.training} == {"native", "drawn"}


def test_a_class_of_several_instances_is_not_for_recipes(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path)
    dataset = read_dataset(data)
    first = dataset.cases[0]
    twice = replace(first.landmarks, landmarks=(*first.landmarks, first.landmarks[dataset.labels[0]]))
    several = Dataset(dataset.name, dataset.labels, (replace(first, landmarks=twice), *dataset.cases[1:]))
    with pytest.raises(DatasetError, match=f"a label has several instances in {first.subject}"):
        split_cases(read_recipe(recipe), several, 0)


def test_a_stage_stops_early_when_validation_no_longer_gains(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, steps=400)
    text = recipe.read_text().replace("validate_every: 20", "validate_every: 5, patience: 1")
    recipe.write_text(text.replace("rate: 0.01", "rate: 0.3"))
    train(recipe, data, tmp_path / "run", device="cpu", fold=0)
    rows = list(csv.DictReader((tmp_path / "run" / "coarse.csv").open()))
    assert int(rows[-1]["step"]) < 400


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("steps: 60", "stepz: 60"),
        ("dimension: 2", "dimension: 4"),
        ("intensity: {window: [0, 200]}", "intensity: {}"),
        ("name: unet", "name: unot"),
    ],
)
def test_a_recipe_that_says_what_cannot_be_is_refused(tmp_path: Path, change: str, words: str) -> None:
    recipe, data = prepared(tmp_path, count=4)
    recipe.write_text(recipe.read_text().replace(change, words))
    with pytest.raises(RecipeError):
        train(recipe, data, tmp_path / "run", device="cpu")
    assert not list((tmp_path / "run").glob("*/manifest.json"))


def test_a_recipe_that_is_no_yaml_or_not_there_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: [")
    with pytest.raises(RecipeError, match="bad.yaml is not YAML"):
        read_recipe(tmp_path / "bad.yaml")
    with pytest.raises(RecipeError, match="no recipe 'gone'; give a YAML file, or one of .*fetal-head-us"):
        train("gone", tmp_path, tmp_path / "run")


@pytest.mark.parametrize("lacking", ["patch", "frame"])
def test_a_recipe_may_leave_out_one_of_the_fine_stages(tmp_path: Path, lacking: str) -> None:
    recipe, data = prepared(tmp_path, steps=80, **{lacking: "", f"{lacking}_training": ""})
    bundle = train(recipe, data, tmp_path / "run", device="cpu")
    figures = evaluate_bundle(bundle, data, subjects="all", device="cpu")
    assert figures["summary"]["mean"] < 2.0 and figures["summary"]["missed"] < 10


def test_a_recipe_of_a_coarse_stage_alone_is_refused(tmp_path: Path) -> None:
    nothing = {name: "" for name in ("frame", "frame_training", "patch", "patch_training")}
    recipe, data = prepared(tmp_path, count=4, **nothing)
    with pytest.raises(RecipeError, match="coarse stage alone"):
        train(recipe, data, tmp_path / "run", device="cpu")


def test_a_missing_licence_text_stops_before_a_bundle_is_written(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, steps=1, count=4)
    (data / "LICENSE").unlink()
    with pytest.raises(DatasetError, match="licence"):
        train(recipe, data, tmp_path / "run", device="cpu")


def test_a_recipe_for_volumes_does_not_train_on_pictures(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, count=4)
    recipe.write_text(recipe_text(3))
    with pytest.raises(RecipeError, match="3D"):
        train(recipe, data, tmp_path / "run", device="cpu")


def test_a_landmark_that_was_not_annotated_does_not_train(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, steps=10, count=6)
    listing = json.loads((data / "case03.mrk.json").read_text())
    listing["markups"][0]["controlPoints"] = listing["markups"][0]["controlPoints"][:-1]
    (data / "case03.mrk.json").write_text(json.dumps(listing))
    state = train(recipe, data, tmp_path / "run", device="cpu").state_dict()
    assert all(torch.isfinite(value).all() for value in state.values())


def test_a_bundle_of_another_shape_does_not_load_silently(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, steps=1, count=4)
    bundle = train(recipe, data, tmp_path / "run", device="cpu")
    settings = json.loads(json.dumps(bundle.settings))
    settings["frame"]["network"]["arguments"]["widths"] = [8, 16, 32]
    object.__setattr__(bundle, "settings", settings)
    with pytest.raises(Exception, match="do not fit"):
        Detector(bundle)
    assert np.isfinite(bundle.settings["prior"]["mean"]).all()
