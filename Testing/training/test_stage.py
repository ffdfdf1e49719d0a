"""One stage's training by itself, on noise: where a run was interrupted shows in nothing that comes of it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from LandmarkDetectorLib.bundles.pipeline import ImageStage
from LandmarkDetectorLib.core import Cancelled
from LandmarkDetectorLib.models.network import HeatmapOutput
from LandmarkDetectorLib.training.distributed import Team
from LandmarkDetectorLib.training.objective import Objective
from LandmarkDetectorLib.training.recipe import StageTraining
from LandmarkDetectorLib.training.samplers import Batch
from LandmarkDetectorLib.training.stage import StageRun, averaged, train_stage

pytestmark = pytest.mark.usefixtures("one_thread")

STAGE: Any = {"spacing": 1, "network": {"name": "any"}, "window": 5, "size": [16, 16], "tolerance": 3}


class Noise:
    """A sampler of images and places that have nothing to do with each other."""

    dimension, count, each = 2, 2, 1

    def batch(self, rng: np.random.Generator, rows: Any = None) -> Batch:
        landmarks, yes = torch.from_numpy(rng.uniform(2, 14, (2, 2, 2))).float(), torch.ones(2, 2, dtype=torch.bool)
        return Batch(torch.from_numpy(rng.random((2, 1, 16, 16))).float(), landmarks, yes, yes)


class Network(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Dropout2d(dropout), nn.Conv2d(8, 2, 3, padding=1))

    def forward(self, images: Tensor) -> HeatmapOutput:
        maps = self.body(images).float()
        return HeatmapOutput(maps, maps.amax((-1, -2)))


def trained(
    folder: Path, dropout: float = 0.0, cancelled: Callable[[], bool] | None = None, resume: bool = False, **more: Any
) -> dict[str, Tensor]:
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    training = StageTraining(sigma=1.5, steps=8, batch=2, rate=0.05, average=0.5, validate_every=3, **more)
    objective, run = (
        Objective(training, ImageStage(**STAGE)),
        StageRun("image", 0, Team(), folder, resume, None, cancelled),
    )
    judged = [Noise().batch(np.random.default_rng(99))]
    return train_stage(Network(dropout), Noise(), judged, training, objective, run)


def interrupted(folder: Path, step: int, **more: Any) -> dict[str, Tensor]:
    """Trained in two runs, of which the first ends after so many steps."""
    asked = iter(range(1, step + 1))
    with pytest.raises(Cancelled, match=f"at step {step}"):
        trained(folder, cancelled=lambda: next(asked) == step, **more)
    return trained(folder, resume=True, **more)


def curve(folder: Path) -> list[tuple[str, str]]:
    with (folder / "image.csv").open(encoding="utf-8") as file:
        return [(row["step"], row["validation_loss"]) for row in csv.DictReader(file)]


def test_a_run_that_goes_on_is_validated_at_the_same_steps(tmp_path: Path) -> None:
    trained(tmp_path / "whole")
    interrupted(tmp_path / "parts", 4)
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")
    assert [step for step, _ in curve(tmp_path / "whole")] == ["3", "6", "8"]


def test_a_run_that_goes_on_leaves_out_by_dropout_what_a_whole_one_does(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", dropout=0.5)
    parts = interrupted(tmp_path / "parts", 4, dropout=0.5)
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


class Asked(TorchDispatchMode):
    """Counts how often a number is taken out of a tensor, for which a GPU would be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_averaging_asks_for_no_number_weight_by_weight_and_forgets_the_beginning_first() -> None:
    asked = []
    for layers in (1, 9):
        network = nn.Sequential(*(nn.Linear(1, 1) for _ in range(layers)))
        average, expected = averaged(network, 0.9), 0.0
        with torch.no_grad(), Asked() as mode:
            for step in range(40):
                for weight in network.parameters():
                    weight.fill_(step)
                average.update_parameters(network)
                # A half of what was there at first, 0.9 of it from the 32nd step on.
                expected += (step - expected) * max(0.1, 1 / (step / 4 + 2)) if step else 0.0
        asked.append(mode.count)
        values = torch.cat([weight.detach().flatten() for weight in average.module.parameters()])
        torch.testing.assert_close(values, torch.full_like(values, expected))
    assert asked[0] == asked[1]
