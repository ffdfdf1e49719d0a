"""The recipes by which networks are compared are read, and their networks can be built."""

from pathlib import Path

import pytest

from LandmarkDetectorLib.training import read_recipe

FOLDER = Path(__file__).parents[2] / "benchmarks" / "recipes"
RECIPES = sorted(path for path in FOLDER.glob("*/*.yaml") if path.name != "base.yaml")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recipe_of_the_benchmarks_can_be_read_and_is_called_by_its_file(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name == f"{path.parent.name}-{path.stem}"


def test_every_row_of_the_paper_s_tables_is_a_recipe() -> None:
    rows = {path.stem for path in RECIPES if path.parent.name == "cephalogram"}
    assert {f"farnet-{b}" for b in ("vgg16", "vgg19", "resnet101", "resnet152", "densenet169")} | {"farnet"} <= rows
    parts = ("unet", "fpn", "msfa-add", "msfa", "fr-unsupervised", "fr", "wing")
    assert {f"farnet-part-{part}" for part in parts} <= rows
