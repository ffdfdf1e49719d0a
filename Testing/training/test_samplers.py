"""Training samples: whatever is varied, the landmark stays on its blob."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.bundles.pipeline import ImageStage, Order
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.training.recipe import read_recipe
from LandmarkDetectorLib.training.samplers import Batch, FrameSampler, ImageSampler, PatchSampler, WholeSampler
from LandmarkDetectorLib.training.specimens import load_specimens, shape_symmetries
from LandmarkDetectorLib.training.train import learn_pipeline
from Testing.phantoms import LABELS, recipe_text, write_dataset


def samplers(folder: Path, dimension: int, mirror: str = "[]"):
    write_dataset(folder, 4, dimension, side=56 if dimension == 2 else 44)
    text = recipe_text(dimension).replace("mirror: 0}", "mirror: 0.5, gain: 0, gamma: 0, noise: 0}")
    (folder / "recipe.yaml").write_text(f"mirror: {mirror}\n{text}")
    recipe = read_recipe(folder / "recipe.yaml")
    dataset = read_dataset(folder)
    pipeline = learn_pipeline(recipe, dataset, dataset.cases)
    specimens = load_specimens(dataset.cases, pipeline)
    assert recipe.frame_training is not None and recipe.patch_training is not None
    return (
        WholeSampler(specimens, pipeline, recipe.coarse_training),
        FrameSampler(specimens, pipeline, recipe.frame_training, 4),
        PatchSampler(specimens, pipeline, recipe.patch_training),
    )


def brightness(batch: Batch) -> np.ndarray:
    """The image's highest value within a voxel of each present landmark (B, M), NaN elsewhere."""
    values = np.full(batch.present.shape, np.nan)
    for b, m in torch.nonzero(batch.present):
        place = batch.landmarks[b, m].round().long().tolist()[::-1]
        around = tuple(slice(max(p - 1, 0), p + 2) for p in place)
        values[b, m] = batch.images[b, 0][around].max()
    return values


@pytest.mark.parametrize("dimension", [2, 3])
def test_landmarks_stay_on_their_blobs_in_every_sample(tmp_path: Path, dimension: int) -> None:
    for sampler in samplers(tmp_path, dimension, '[[left, right], ["nose"], [tail], [fin]]'):
        for step in range(6):
            values = brightness(sampler.batch(np.random.default_rng(step)))
            coarse = isinstance(sampler, WholeSampler)
            assert np.nanmin(values) > (0.1 if coarse else 0.45), type(sampler).__name__


def test_a_mirror_image_swaps_the_sides_and_masks_what_has_no_partner(tmp_path: Path) -> None:
    sampler = samplers(tmp_path, 2, "[[left, right], [nose]]")[1]
    left, right, fin = LABELS.index("left"), LABELS.index("right"), LABELS.index("fin")
    swapped = 0
    for step in range(12):
        batch = sampler.batch(np.random.default_rng(step))
        for image in range(len(batch.images)):
            mirrored = not bool(batch.known[image, fin])
            swapped += mirrored
            # In the canonical frame the left landmark lies on the left's side, in a mirror image as well.
            assert batch.landmarks[image, left].isfinite().all()
            plain = sampler.batch(np.random.default_rng(step), vary=False)
            gap = (batch.landmarks[image, left] - plain.landmarks[0, left]).norm()
            across = (batch.landmarks[image, left] - plain.landmarks[0, right]).norm()
            assert gap < across
    assert 5 < swapped < 43


def test_the_same_generator_gives_the_same_sample(tmp_path: Path) -> None:
    for sampler in samplers(tmp_path, 2):
        one, two = (sampler.batch(np.random.default_rng([1, 2, 3])) for _ in range(2))
        torch.testing.assert_close(one.images, two.images, atol=0, rtol=0)
        torch.testing.assert_close(one.landmarks, two.landmarks, atol=0, rtol=0, equal_nan=True)


def test_beyond_a_cut_nothing_is_seen_and_nothing_is_present(tmp_path: Path) -> None:
    sampler = samplers(tmp_path, 2)[1]
    sampler.how = sampler.how.model_copy(update={"cut": 1.0})
    lost = 0
    for step in range(10):
        batch = sampler.batch(np.random.default_rng(step))
        assert np.nanmin(brightness(batch)) > 0.3
        lost += int((~batch.present & batch.known).sum())
    assert lost > 0


def test_a_patch_that_does_not_hold_its_landmark_says_so(tmp_path: Path) -> None:
    sampler = samplers(tmp_path, 2)[2]
    sampler.how = sampler.how.model_copy(update={"absent": 1.0, "cut": 0.0})
    present = torch.cat([sampler.batch(np.random.default_rng(step)).present for step in range(8)])
    assert present.float().mean() < 0.6


def test_a_frame_that_holds_nothing_says_so_of_every_landmark(tmp_path: Path) -> None:
    for dimension in (2, 3):
        (tmp_path / str(dimension)).mkdir()
        sampler = samplers(tmp_path / str(dimension), dimension)[1]
        sampler.how = sampler.how.model_copy(update={"absent": 1.0, "cut": 0.0})
        batch = sampler.batch(np.random.default_rng(0))
        assert not batch.present.any() and batch.known.all()
        assert torch.isfinite(batch.images).all() and (batch.images >= 0).all()


def test_a_shape_that_a_half_turn_repeats_is_learnt_both_ways_round() -> None:
    cross = np.array([[-2.0, 0], [2, 0], [0, -1], [0, 1]])
    labels = ["l", "r", "u", "d"]
    rules = [Order(first="l", second="r", axis="x"), Order(first="u", second="d", axis="y")]
    found = [permutation.tolist() for permutation in shape_symmetries(cross, labels, rules)]
    assert found == [[0, 1, 2, 3], [1, 0, 3, 2]]


@pytest.mark.parametrize("kind", [WholeSampler, ImageSampler])
def test_what_is_known_of_a_landmark_goes_with_its_place_where_the_order_names_it_anew(
    tmp_path: Path, kind: type[WholeSampler] | type[ImageSampler]
) -> None:
    given = samplers(tmp_path, 2)[0]
    left, right = LABELS.index("left"), LABELS.index("right")
    look = ImageStage(spacing=2, network={"name": "unet"}, window=5, size=[32, 32], tolerance=3)
    plain = given.pipeline.model_copy(update={"image": look})
    ordered = plain.model_copy(update={"order": [Order(first="left", second="right", axis="x")]})
    turned = given.how.model_copy(update={"rotation": "full", "mirror": 0.0, "cut": 0.0})
    training = given.training.model_copy(update={"augmentation": turned, "batch": 4})
    seen = np.arange(len(LABELS)) != left  # as of one that lies just beyond the image
    specimens = [replace(one, seen=seen) for one in given.specimens]
    swaps = 0
    for step in range(3):
        before, after = (
            kind(specimens, pipeline, training).batch(np.random.default_rng(step)) for pipeline in (plain, ordered)
        )
        for old, new, was, now in zip(before.landmarks, after.landmarks, before.present, after.present, strict=True):
            swapped = not torch.equal(old[left], new[left])
            swaps += swapped
            assert torch.equal(new[left], old[right if swapped else left])
            assert not was[left] and not now[right if swapped else left]
            assert now[left if swapped else right] == was[right]
    assert 0 < swaps < 12
