"""The whole image in one look: trained by any loss on heatmaps, read by any decoder, refined by patches or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.core import Grid, Image, ImageError, RecipeError
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.datasets.frames import image_frame
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.inference.evaluate import evaluate_bundle
from LandmarkDetectorLib.models.network import HeatmapOutput
from LandmarkDetectorLib.training import read_recipe, train
from LandmarkDetectorLib.training.objective import Objective
from LandmarkDetectorLib.training.recipe import LossSettings
from LandmarkDetectorLib.training.samplers import ImageSampler
from LandmarkDetectorLib.training.specimens import load_specimens
from LandmarkDetectorLib.training.train import learn_pipeline
from Testing.phantoms import recipe_text, write_dataset

pytestmark = pytest.mark.usefixtures("one_thread")

NETWORK = "network: {name: unet, arguments: {widths: [8, 16, 24]}}"


def recipe_of_one_look(dimension: int, steps: int, stage: str = "", training: str = "", patch: bool = False) -> str:
    size = {2: [56, 64], 3: [24, 24, 24]}[dimension]
    changes = {
        "coarse": f"image: {{spacing: {1.0 if dimension == 2 else 2.0}, size: {size}, window: 5.0, tolerance: 3.0, "
        f"{stage}{NETWORK}}}\n",
        "coarse_training": f"image_training: {{sigma: 1.5, steps: {steps}, batch: 4, rate: 0.01, average: 0.9, "
        f"validate_every: 20, {training}augmentation: {{rotation: 5, scale: 0.03, shift: 1.0, cut: 0, mirror: 0}}}}\n",
        "frame": "",
        "frame_training": "",
    }
    if not patch:
        changes |= {"patch": "", "patch_training": ""}
    return recipe_text(dimension, steps, **changes)


def prepared(folder: Path, dimension: int, text: str) -> tuple[Path, Path]:
    data = folder / "data"
    data.mkdir()
    write_dataset(data, 10, dimension, side=56 if dimension == 2 else 44)
    recipe = folder / "recipe.yaml"
    recipe.write_text(text, encoding="utf-8")
    return recipe, data


@pytest.mark.parametrize(("dimension", "steps"), [(2, 60), pytest.param(3, 80, marks=pytest.mark.slow)])
def test_one_look_finds_the_landmarks(tmp_path: Path, dimension: int, steps: int) -> None:
    text = recipe_of_one_look(dimension, steps, training="distance: 0.2, ")
    recipe, data = prepared(tmp_path, dimension, text)
    bundle = train(recipe, data, tmp_path / "run", device="cpu")
    figures = evaluate_bundle(bundle, data, subjects="all", device="cpu")
    assert figures["summary"]["missed"] <= 2
    assert figures["summary"]["mean"] < 1.0


def test_a_network_that_draws_heatmaps_is_read_by_a_decoder(tmp_path: Path) -> None:
    text = recipe_of_one_look(2, 100, "decoder: gaussian_fit, activation: sigmoid, ", "loss: {name: central}, ")
    recipe, data = prepared(tmp_path, 2, text)
    bundle = train(recipe, data, tmp_path / "run", device="cpu")
    figures = evaluate_bundle(bundle, data, subjects="all", device="cpu")
    assert figures["summary"]["missed"] <= 3
    assert figures["summary"]["mean"] < 1.0


def test_patches_refine_what_one_look_has_found(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, 2, recipe_of_one_look(2, 60, patch=True))
    seen: list[str] = []
    bundle = train(recipe, data, tmp_path / "run", device="cpu", progress=lambda stage, _: seen.append(stage))
    assert list(dict.fromkeys(seen)) == ["image", "patch"]
    figures = evaluate_bundle(bundle, data, subjects="all", device="cpu")
    assert figures["summary"]["mean"] < 1.0


def test_an_image_that_is_far_too_large_is_refused(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, 2, recipe_of_one_look(2, 30))
    detector = Detector(train(recipe, data, tmp_path / "run", device="cpu"), "cpu")
    large = Image(np.eye(300, 40, dtype=np.uint8)[None], Grid((40, 300), (1.0, 1.0), (0.0, 0.0), np.eye(2)), "long")
    with pytest.raises(
        ImageError, match="long covers 40 × 300 mm, and the bundle was made for images of about 56 × 64"
    ):
        detector.detect(large)


def test_a_network_that_was_shown_nothing_finds_nothing_in_it(tmp_path: Path) -> None:
    text = recipe_of_one_look(2, 150, training="distance: 0.2, presence: 0.5, ").replace(
        "mirror: 0}", "mirror: 0, absent: 0.3}"
    )
    recipe, data = prepared(tmp_path, 2, text)
    detector = Detector(train(recipe, data, tmp_path / "run", device="cpu"), "cpu")
    case = read_dataset(data).cases[0]
    noise = np.random.default_rng(3).uniform(0, 200, case.image().array.shape).astype(np.float32)
    found = detector.detect(case.image()).landmarks
    assert sum(mark.status == "defined" for mark in found) >= len(found) - 1
    for array, said in ((noise, "nothing was found that looks like"), (np.zeros_like(noise), "values are the same")):
        detection = detector.detect(Image(array, case.image().grid, "nothing"))
        assert all(mark.status == "missing" for mark in detection.landmarks)
        assert any(said in notice for notice in detection.notices)


def test_a_sample_of_nothing_says_that_every_landmark_was_looked_for_and_none_is_there(tmp_path: Path) -> None:
    text = recipe_of_one_look(2, 10).replace("mirror: 0}", "mirror: 0, absent: 1}")
    path, data = prepared(tmp_path, 2, text)
    recipe, dataset = read_recipe(path), read_dataset(data)
    pipeline = learn_pipeline(recipe, dataset, dataset.cases)
    assert recipe.image_training is not None
    sampler = ImageSampler(load_specimens(dataset.cases, pipeline), pipeline, recipe.image_training)
    batch = sampler.batch(np.random.default_rng(0))
    assert not batch.present.any() and batch.known.all()
    assert sampler.batch(np.random.default_rng(0), vary=False).present.any()


def test_the_frame_holds_the_image_in_its_middle() -> None:
    grid = Grid((30, 20), (2.0, 1.0), (10.0, -5.0), np.eye(2))
    matrix, shape = image_frame(grid, 1.0, (80, 64))
    assert shape == (64, 80)
    np.testing.assert_allclose(matrix[:2, 2] + matrix[:2, :2] @ [39.5, 31.5], grid.centre)
    _, larger = image_frame(grid, 1.0, (40, 64), 8)
    assert larger == (64, 64)  # 60 mm in steps of 8 samples


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"frame": "", "frame_training": "", "patch": "", "patch_training": ""}, "a coarse stage alone places nothing"),
        ({"coarse": "", "coarse_training": ""}, "give either a coarse stage"),
        ({"frame_training": ""}, "frame needs both its settings and its training"),
    ],
)
def test_stages_that_make_no_detector_are_refused(tmp_path: Path, changes: dict[str, str], sentence: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(recipe_text(2, **changes), encoding="utf-8")
    with pytest.raises(RecipeError, match=sentence):
        read_recipe(recipe)


def test_an_image_stage_needs_a_size_along_every_axis(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(recipe_of_one_look(2, 10).replace("size: [56, 64]", "size: [56, 64, 8]"), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"size \[56, 64, 8\] is not 2 numbers"):
        read_recipe(recipe)


def objective(tmp_path: Path, stage: str = "", training: str = "") -> Objective:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(recipe_of_one_look(2, 10, stage, training), encoding="utf-8")
    read = read_recipe(recipe)
    assert read.image is not None and read.image_training is not None
    return Objective(read.image_training, read.image)


def test_an_absent_landmark_wants_an_empty_map_and_an_unknown_one_nothing(tmp_path: Path) -> None:
    loss = objective(tmp_path, "decoder: argmax, ", "loss: {name: heatmap_l2}, ")
    maps = torch.zeros(1, 3, 16, 16, requires_grad=True)
    landmarks = torch.tensor([[[5.0, 6.0], [torch.nan, torch.nan], [torch.nan, torch.nan]]])
    known, present = torch.tensor([[True, True, False]]), torch.tensor([[True, False, False]])
    total, _ = loss(HeatmapOutput(maps + 0.5, torch.zeros(1, 3)), landmarks, known, present)
    total.backward()
    assert maps.grad is not None
    assert maps.grad[0, 1].min() > 0  # pushed down everywhere
    assert torch.count_nonzero(maps.grad[0, 2]) == 0


def test_earlier_heads_are_taught_the_same_places_at_their_own_size(tmp_path: Path) -> None:
    loss = objective(tmp_path, "decoder: argmax, ", "loss: {name: heatmap_l2}, supervision: 0.5, ")
    landmarks = torch.tensor([[[20.5, 12.5]]])
    yes = torch.ones(1, 1, dtype=torch.bool)
    from LandmarkDetectorLib.heatmaps import gaussian_heatmaps

    fine, _ = gaussian_heatmaps(landmarks, (32, 40), 1.5)
    half, _ = gaussian_heatmaps(torch.tensor([[[10.0, 6.0]]]), (16, 20), 1.5)
    right, _ = loss(HeatmapOutput(fine, torch.full((1, 1), 50.0), (half,)), landmarks, yes, yes, strides=(2,))
    wrong, parts = loss(
        HeatmapOutput(fine, torch.full((1, 1), 50.0), (half.roll(2, -1),)), landmarks, yes, yes, strides=(2,)
    )
    assert float(right) == pytest.approx(0, abs=1e-12)
    assert float(wrong) == pytest.approx(0.5 * float((half.roll(2, -1) - half).square().mean()))
    assert float(parts.maps) == pytest.approx(float(wrong))
    # 10 voxels at a stride of 4 are those of an image of 37 to 40: the stride counts, not the sizes.
    odd, _ = gaussian_heatmaps(landmarks, (37, 37), 1.5)
    quarter, _ = gaussian_heatmaps((landmarks + 0.5) / 4 - 0.5, (10, 10), 1.5)
    right, _ = loss(HeatmapOutput(odd, torch.full((1, 1), 50.0), (quarter,)), landmarks, yes, yes, strides=(4,))
    assert float(right) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("stage", "training", "sentence"),
    [
        ("", "loss: {name: wing}, ", "not one on heatmaps"),
        ("decoder: gaussian_fit, ", "loss: {name: heatmap_l2, arguments: {reduction: none}}, ", "no one number"),
        ("", "loss: {name: no_such}, ", "There is no loss 'no_such'"),
        ("decoder: argmax, ", "distance: 1.0, ", "distance needs maps that are densities"),
    ],
)
def test_an_objective_that_cannot_be_is_refused(tmp_path: Path, stage: str, training: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        objective(tmp_path, stage, training)


def test_a_loss_is_named_with_its_arguments() -> None:
    assert LossSettings(name="adaptive_wing", arguments={"alpha": 2.1}).arguments == {"alpha": 2.1}
