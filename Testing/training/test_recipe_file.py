"""Recipes that stand on another."""

from pathlib import Path

import pytest
import yaml

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.training.recipe import RECIPES, read_recipe
from LandmarkDetectorLib.training.recipe_file import recipe_content, recipe_text

BASE = """
name: base
seed: 1
image: {spacing: 2, network: {name: unet, arguments: {widths: [8, 16]}}}
calibration: {trust: 4, tolerance: 2}
"""


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / f"{next(reversed(files))}.yaml"


def test_what_is_not_said_is_taken_from_the_base(tmp_path: Path) -> None:
    path = written(tmp_path, base=BASE, own="base: base.yaml\nname: own\nimage: {spacing: 3}\n")
    content = recipe_content(path)
    assert content["name"] == "own" and content["seed"] == 1
    assert content["image"] == {"spacing": 3, "network": {"name": "unet", "arguments": {"widths": [8, 16]}}}


def test_another_network_does_not_inherit_the_arguments_of_the_one_before(tmp_path: Path) -> None:
    path = written(tmp_path, base=BASE, own="base: base.yaml\nimage: {network: {name: scn}}\n")
    assert recipe_content(path)["image"] == {"spacing": 2, "network": {"name": "scn"}}


def test_null_takes_away(tmp_path: Path) -> None:
    path = written(tmp_path, base=BASE, own="base: base.yaml\nimage: null\ncalibration: {trust: null}\n")
    assert recipe_content(path) == {"name": "base", "seed": 1, "calibration": {"tolerance": 2}}


def test_a_base_may_stand_on_another(tmp_path: Path) -> None:
    path = written(tmp_path, base=BASE, middle="base: base.yaml\nseed: 2\n", own="base: middle.yaml\nname: own\n")
    assert recipe_content(path)["seed"] == 2
    assert recipe_content(path)["calibration"]["trust"] == 4


def test_the_text_of_a_recipe_needs_no_other_file(tmp_path: Path) -> None:
    path = written(tmp_path, base=BASE, own="base: base.yaml\nname: own\n")
    assert yaml.safe_load(recipe_text(path)) == recipe_content(path)
    assert recipe_text(tmp_path / "base.yaml") == BASE.encode()
    (tmp_path / "base.yaml").write_text(BASE.replace("seed: 1", "seed: 9"))
    assert b"seed: 9" in recipe_text(path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"own": "base: gone.yaml\n"}, "no recipe 'gone.yaml'"),
        ({"other": "base: own.yaml\n", "own": "base: other.yaml\n"}, "own.yaml stands on itself by way of other.yaml"),
        ({"base": "- 1\n", "own": "base: base.yaml\n"}, "base.yaml is no recipe, and own.yaml stands on it"),
    ],
)
def test_a_base_that_cannot_be_is_one_sentence(tmp_path: Path, files: dict[str, str], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        recipe_content(written(tmp_path, **files))


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        ("image_training: {stepz: 9}", "a recipe has no word 'image_training.stepz'; 'steps' is the nearest."),
        ("image: {netwrok: {name: unet}}", "a recipe has no word 'image.netwrok'; 'network' is the nearest."),
        ("qqq: 1", "a recipe has no word 'qqq'; training/recipe.py and bundles/pipeline.py have all of them."),
    ],
)
def test_a_word_that_a_recipe_does_not_know_is_answered_with_the_nearest(
    stage: str, sentence: str, tmp_path: Path
) -> None:
    path = written(tmp_path, own=f"base: {RECIPES / 'hippocampus-mr.yaml'}\n{stage}\n")
    with pytest.raises(RecipeError) as refused:
        read_recipe(path)
    assert str(refused.value) == f"own.yaml: {sentence}"
