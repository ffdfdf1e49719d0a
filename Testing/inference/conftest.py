"""A bundle trained on phantoms, once for all tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.training import train
from Testing.phantoms import recipe_text, write_dataset


def _trained(folder: Path, dimension: int, steps: int) -> Bundle:
    data = folder / "data"
    data.mkdir()
    write_dataset(data, 14, dimension, side=56 if dimension == 2 else 44)
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe_text(dimension, steps), encoding="utf-8")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train(recipe, data, folder / "run", device="cpu")
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="session")
def flat_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Finds the phantoms' landmarks in 2D."""
    return _trained(tmp_path_factory.mktemp("flat"), 2, 80)


@pytest.fixture(scope="session")
def solid_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Finds the phantoms' landmarks in 3D."""
    return _trained(tmp_path_factory.mktemp("solid"), 3, 80)


@pytest.fixture(params=[2, 3], ids=["2D", "3D"])
def detector(request: pytest.FixtureRequest) -> Detector:
    """A detector of each dimension."""
    return Detector(request.getfixturevalue("flat_bundle" if request.param == 2 else "solid_bundle"), "cpu")
