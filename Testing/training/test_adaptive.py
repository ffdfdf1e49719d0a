"""Targets that adapt in a training: learnt widths and AdaLoss, from the recipe to the bundle."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.bundles.pipeline import ImageStage
from LandmarkDetectorLib.core import Cancelled, RecipeError
from LandmarkDetectorLib.heatmaps import gaussian_heatmaps
from LandmarkDetectorLib.inference.evaluate import evaluate_bundle
from LandmarkDetectorLib.models.network import HeatmapOutput
from LandmarkDetectorLib.training import read_recipe, train
from LandmarkDetectorLib.training.adaptive import AdaptiveTargets
from LandmarkDetectorLib.training.objective import Objective
from LandmarkDetectorLib.training.recipe import AdaLossTargets, LearntTargets, StageTraining
from Testing.phantoms import recipe_text
from Testing.training.test_image_stage import prepared, recipe_of_one_look

pytestmark = pytest.mark.usefixtures("one_thread")

ALONE = lambda thing: [thing]  # noqa: E731  (a team of one)
NETWORK = {"name": "unet", "arguments": {"widths": [8]}}
LOOK = ImageStage(
    spacing=1, network=NETWORK, window=5, size=[32, 32], tolerance=3, decoder="gaussian_fit", activation="none"
)
DRAWS = "decoder: gaussian_fit, "


def places(batch: int = 2, count: int = 3, dimension: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(8, 24, (batch, count, dimension))).float()


def training(adaptive, **more) -> StageTraining:
    return StageTraining(sigma=2.0, steps=1, batch=1, adaptive=adaptive, **more)


@pytest.mark.parametrize("dimension", [2, 3])
def test_targets_begin_as_those_of_the_recipe_and_keep_their_mass(dimension: int) -> None:
    targets = AdaptiveTargets(LearntTargets(), 2.0, 3, dimension)
    landmarks, shape = places(dimension=dimension), (32,) * dimension
    yes = torch.ones(2, 3, dtype=torch.bool)
    maps, covariance = targets(landmarks, shape, yes)
    torch.testing.assert_close(maps, gaussian_heatmaps(landmarks, shape, 2.0)[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(covariance, 4 * torch.eye(dimension).expand(3, -1, -1))
    before = maps.sum((-1, -2)).flatten(2).sum(-1) if dimension == 3 else maps.sum((-1, -2))
    targets.generator.set_sigma(1.2)
    after = targets(landmarks, shape, yes)[0].flatten(2).sum(-1)
    torch.testing.assert_close(after, before.flatten(1) if dimension == 2 else before, rtol=2e-2, atol=1e-3)
    assert targets.sigma == pytest.approx(1.2)


@pytest.mark.parametrize("settings", [LearntTargets(rotation=True), AdaLossTargets()])
def test_a_patch_of_one_landmark_has_that_landmark_s_width(settings) -> None:
    targets = AdaptiveTargets(settings, 2.0, 4, 2)
    widths = torch.tensor([[1.0, 1.5], [2.0, 2.5], [3.0, 1.2], [1.1, 2.2]])
    targets.generator.set_sigma(widths)
    which, landmarks = torch.tensor([2, 0, 3]), places(3, 1)
    yes = torch.tensor([[True], [True], [False]])
    maps, covariance = targets(landmarks, (32, 32), yes, which)
    assert covariance.shape == (3, 1, 2, 2) and maps.shape == (3, 1, 32, 32)
    every, _ = targets(landmarks.expand(3, 4, 2), (32, 32), yes.expand(3, 4))
    torch.testing.assert_close(maps[:, 0], every[torch.arange(3), which], atol=1e-5, rtol=1e-4)
    assert float(maps[2].detach().abs().max()) == 0


def test_learnt_widths_get_a_gradient_from_the_maps_and_from_what_they_cost() -> None:
    objective = Objective(training({"name": "learnable", "alpha": 0.5}), LOOK, 3, 2)
    yes = torch.ones(2, 3, dtype=torch.bool)
    drawn = gaussian_heatmaps(places(), (32, 32), 2.0)[0]
    output = HeatmapOutput(drawn, torch.full((2, 3), 50.0))
    total, _ = objective(output, places(), yes, yes)
    # What was drawn is right, so only the widths cost anything: α σ² over all voxels of the map.
    assert float(total.detach()) == pytest.approx(0.5 * 4 / 32**2, rel=1e-4)
    total.backward()
    (widths,) = (parameter for group in objective.learnt() for parameter in group["params"])
    # Of α σ_x σ_y with respect to log σ_x, as a mean over three landmarks.
    torch.testing.assert_close(widths.grad, torch.full((3, 2), 0.5 * 4 / 32**2 / 3), rtol=1e-3, atol=1e-7)
    assert objective.learnt()[0]["weight_decay"] == 0


def test_learnt_widths_go_where_the_network_knows_its_landmark_and_stay_wide_where_it_does_not() -> None:
    """A network that draws the mean of what it saw: one landmark always at its place, one anywhere near it."""
    objective = Objective(training({"name": "learnable", "alpha": 0.2}), LOOK, 2, 2)
    rng = np.random.default_rng(1)
    maps = torch.zeros(1, 2, 32, 32, requires_grad=True)
    optimiser = torch.optim.Adam([{"params": [maps], "lr": 0.02}, {**objective.learnt()[0], "lr": 0.02}])
    yes = torch.ones(1, 2, dtype=torch.bool)
    for _ in range(250):
        shift = torch.from_numpy(rng.normal(0, [[0.1], [2.0]], (2, 2))).float()
        optimiser.zero_grad()
        loss, _ = objective(HeatmapOutput(maps, torch.zeros(1, 2)), 15.5 + shift[None], yes, yes)
        loss.backward()
        optimiser.step()
    sure, unsure = objective.adaptive.generator.sigma.detach().mean(1).tolist()
    assert sure < 1.8 and unsure > 1.3 * sure


def test_adaloss_takes_the_mean_loss_of_each_landmark_and_shrinks_where_it_is_calm() -> None:
    settings = {"name": "adaloss", "every": 2, "window": 2, "rho": 0.25, "floor": 1.0}
    objective = Objective(training(settings, loss={"name": "heatmap_l2"}), LOOK, 3, 2).train()
    assert objective.learnt() == []
    yes = torch.ones(1, 3, dtype=torch.bool)
    seen = torch.tensor([True, True, False])
    for step in range(1, 7):
        drawn = gaussian_heatmaps(places(1), (32, 32), 2.0)[0].clone()
        drawn[:, 0] += 2.0 if step == 2 else 1.0  # wild at first, then calm
        drawn[:, 1] += 1.0 + step  # ever wilder
        objective(HeatmapOutput(drawn, torch.zeros(1, 3)), places(1), yes, yes & seen)
        objective.after(step, ALONE)
    calm, wild, absent = objective.adaptive.generator.sigma.mean(1).tolist()
    assert calm == pytest.approx(1.75) and wild > 2.1
    assert absent == pytest.approx(2)
    assert float(objective.adaptive.counts.sum()) == 0  # each epoch begins anew


def test_what_is_judged_is_not_noted_and_what_was_noted_is_resumed() -> None:
    settings = training({"name": "adaloss", "every": 4}, loss={"name": "heatmap_l2"})
    one, other = (Objective(settings, LOOK, 3, 2) for _ in range(2))
    yes = torch.ones(2, 3, dtype=torch.bool)
    output = HeatmapOutput(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 3))
    one.eval()(output, places(), yes, yes)
    assert float(one.adaptive.counts.sum()) == 0
    one.train()(output, places(), yes, yes)
    assert one.adaptive.counts.tolist() == [2, 2, 2]
    one.adaptive.generator.set_sigma(1.7)
    other.load_state_dict(one.state_dict())
    for name, value in one.adaptive.named_buffers():
        assert torch.equal(value, dict(other.adaptive.named_buffers())[name]), name
    one.agree(ALONE)
    for each in (one, other):
        each.after(4, ALONE)
    histories = [each.adaptive.schedule.history.nan_to_num() for each in (one, other)]
    assert torch.equal(*histories) and float(histories[0].abs().sum()) > 0


def test_processes_agree_on_the_mean_of_what_they_noted() -> None:
    targets = AdaptiveTargets(AdaLossTargets(), 2.0, 2, 2)
    targets.note(torch.tensor([[1.0, 4.0]]), torch.tensor([[True, False]]))
    other = (torch.tensor([3.0, 8.0], dtype=torch.float64), torch.tensor([1.0, 2.0], dtype=torch.float64))
    targets.agree(lambda mine: [mine, other])
    assert targets.sums.tolist() == [2, 4] and targets.counts.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("stage", "settings", "sentence"),
    [
        ("", "adaptive: learnable, ", "image: learnable widths need maps that are heatmaps"),
        (DRAWS + "activation: sigmoid, ", "adaptive: learnable, ", "give the stage a decoder and no activation"),
        (DRAWS, "adaptive: learnable, loss: {name: heatmap_l2}, ", "learnable widths have a loss of their own"),
        (DRAWS, "adaptive: adaloss, patience: 3, ", "patience picks weights by a loss that adaptive widths change"),
        (DRAWS, "adaptive: {name: adaloss, floor: 3}, ", "must enclose sigma, which is 1.5"),
        (DRAWS, "adaptive: adalost, ", "adaptive: Input tag 'adalost'"),
    ],
)
def test_widths_that_cannot_adapt_are_refused_before_anything_is_trained(
    tmp_path: Path, stage: str, settings: str, sentence: str
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(recipe_of_one_look(2, 10, stage, settings), encoding="utf-8")
    with pytest.raises(RecipeError, match=sentence):
        read_recipe(recipe)


def test_none_is_no_adaptation() -> None:
    assert training("none").adaptive is None
    assert Objective(training("none"), LOOK).sigma is None


LEARNABLE = DRAWS, "adaptive: {name: learnable, rate: 2}, presence: 0.02, "
ADALOSS = (
    DRAWS + "activation: sigmoid, ",
    "adaptive: {name: adaloss, every: 7, window: 2, rho: 0.1, non_increasing: true}, loss: {name: central}, ",
)


def test_a_recipe_with_adaloss_finds_landmarks_and_says_its_last_width(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, 2, recipe_of_one_look(2, 100, *ADALOSS))
    bundle = train(recipe, data, tmp_path / "run", device="cpu")
    rows = list(csv.DictReader((tmp_path / "run" / "image.csv").open()))
    widths = [float(row["sigma"]) for row in rows]
    assert widths == sorted(widths, reverse=True) and 1 <= widths[-1] < 1.4
    assert bundle.settings["image"]["sigma"] == pytest.approx(widths[-1], rel=1e-5)
    figures = evaluate_bundle(bundle, data, subjects="all", device="cpu")
    assert figures["summary"]["missed"] <= 3
    assert figures["summary"]["mean"] < 1.0


@pytest.mark.parametrize("settings", [LEARNABLE, ADALOSS], ids=["learnable", "adaloss"])
def test_an_interrupted_run_goes_on_to_the_same_weights_and_widths(tmp_path: Path, settings: tuple[str, str]) -> None:
    recipe, data = prepared(tmp_path, 2, recipe_of_one_look(2, 30, *settings))
    whole = train(recipe, data, tmp_path / "whole", device="cpu")
    calls = [0]

    def after_a_while() -> bool:
        calls[0] += 1
        return calls[0] == 25  # between two validations, and amid an epoch of AdaLoss

    with pytest.raises(Cancelled):
        train(recipe, data, tmp_path / "parts", device="cpu", cancelled=after_a_while)
    parts = train(recipe, data, tmp_path / "parts", device="cpu", resume=True)
    rows = list(csv.DictReader((tmp_path / "whole" / "image.csv").open()))
    assert float(rows[-1]["maps_loss"]) < 0.5 * float(rows[0]["maps_loss"])
    sigma = whole.settings["image"]["sigma"]
    assert sigma == parts.settings["image"]["sigma"] == pytest.approx(float(rows[-1]["sigma"]), rel=1e-5)
    assert abs(sigma - 1.5) > 0.02
    mine = parts.state_dict()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, mine[name]), name
    states = [
        torch.load(tmp_path / run / "image.checkpoint.pt", weights_only=True)["objective"] for run in ("whole", "parts")
    ]
    assert torch.equal(*(state["adaptive.generator.log_sigma"] for state in states))


def test_patches_learn_a_width_for_each_landmark(tmp_path: Path) -> None:
    text = recipe_text(2, 20, frame="", frame_training="")
    text = text.replace("patch: {spacing: 0.7, ", "patch: {spacing: 0.7, decoder: gaussian_fit, ")
    head, tail = text.split("patch_training: ")
    tail = tail.replace("average: 0.9, distance: 0.2, presence: 0.2, ", f"average: 0.9, {LEARNABLE[1]}")
    recipe, data = prepared(tmp_path, 2, f"{head}patch_training: {tail}")
    bundle = train(recipe, data, tmp_path / "run", device="cpu")
    state = torch.load(tmp_path / "run" / "patch.checkpoint.pt", weights_only=True)["objective"]
    widths = state["adaptive.generator.log_sigma"].exp()
    assert widths.shape == (5, 2) and len(set(widths[:, 0].tolist())) == 5
    assert bundle.settings["patch"]["sigma"] == pytest.approx(math.sqrt(float(widths.double().square().mean())))
