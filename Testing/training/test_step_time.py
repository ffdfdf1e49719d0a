"""Retraining within a time that a person gave: how long a step takes, by which it is divided."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.training import finetune, read_recipe
from LandmarkDetectorLib.training.distributed import Team
from LandmarkDetectorLib.training.train import learn_pipeline
from Testing.phantoms import recipe_text, write_dataset

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_step_counts_as_done_when_the_device_has_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU takes orders and computes by itself: whoever looks at the clock then sees how long the ordering took."""
    events: list[Any] = []

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            events.append(func)
            return func(*args, **(kwargs or {}))

    def clock() -> float:
        events.append("clock")
        return float(len(events))

    monkeypatch.setattr(finetune, "time", SimpleNamespace(perf_counter=clock))
    (tmp_path / "data").mkdir()
    dataset = read_dataset(write_dataset(tmp_path / "data", 2, side=40))
    (tmp_path / "recipe.yaml").write_text(recipe_text(2, patch="", patch_training=""), encoding="utf-8")
    recipe = read_recipe(tmp_path / "recipe.yaml")
    pipeline = learn_pipeline(recipe, dataset, dataset.cases)
    with Seen():
        seconds = finetune.seconds_a_step(recipe, pipeline, dataset.cases, None, Team(), None)
    assert seconds.keys() == {"coarse", "frame"}
    looked = [place for place, event in enumerate(events) if event == "clock"]
    ends = [events[place - 1] for place in looked[2::3]]
    assert len(ends) == 2 * (1 + finetune.PROBED) and set(ends) == {torch.ops.aten._local_scalar_dense.default}


def test_a_retraining_in_several_processes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    nothing: Any = None
    with pytest.raises(RecipeError, match="retrained by one process; start it without torchrun"):
        finetune.fine_tune(nothing, nothing, [], [], tmp_path / "run", material="", minutes=1.0)
    assert not (tmp_path / "run").exists()
