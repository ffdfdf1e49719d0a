"""Patches: the right voxels and the right landmarks, in 2D and 3D, at borders, and the same whenever drawn alike."""

from __future__ import annotations

from pathlib import Path

import monai.transforms as mt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from LandmarkDetectorLib.core import DatasetError, Image, LandmarkSet
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.datasets.collate import collate_samples
from LandmarkDetectorLib.datasets.landmark_dataset import LandmarkDataset
from LandmarkDetectorLib.datasets.patch_dataset import PatchDataset, cut_patch, grid_patches
from LandmarkDetectorLib.datasets.samples import Sample, inside, make_sample, world
from Testing.datasets.blobs import EVEN, ODD, blob_sample, error
from Testing.phantoms import write_dataset


def numbered(*shape: int) -> Sample:
    """A sample whose voxels are all different, from 1, with landmarks at its corners and in its middle."""
    values = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    ends = [[0.0] * len(shape), [n - 1.0 for n in shape[::-1]], [(n - 1) / 2 for n in shape[::-1]]]
    return make_sample(Image.from_array(values), LandmarkSet.from_positions(["first", "last", "middle"], ends))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([2, 3]), st.lists(st.integers(-6, 8), min_size=3, max_size=3), st.integers(1, 14))
def test_a_patch_holds_the_voxels_of_its_place_and_nothing_beyond(d: int, start: list[int], side: int) -> None:
    sample = numbered(*(9, 10, 11)[:d])
    image = sample["image"].numpy()
    if any(a + side <= 0 for a in start[:d]):
        return
    patch = cut_patch(sample, start[:d], (side,) * d)
    index = np.stack(np.meshgrid(*[np.arange(side)] * d, indexing="ij"), -1) + np.array(start[:d])[::-1]
    there = ((index >= 0) & (index < image.shape[1:])).all(-1)
    expected = np.where(
        there, image[0][tuple(np.clip(index, 0, np.array(image.shape[1:]) - 1).transpose(-1, *range(d)))], 0
    )
    np.testing.assert_array_equal(patch["image"][0], expected)
    torch.testing.assert_close(world(patch), world(sample))
    assert patch["patch_start"].tolist() == start[:d]


@pytest.mark.parametrize("shape", [EVEN[2], ODD[2], EVEN[3], ODD[3]], ids=str)
@pytest.mark.parametrize("side", [20, 23])
def test_a_patch_around_a_landmark_has_it_within_half_a_voxel_of_its_middle(shape: tuple[int, ...], side: int) -> None:
    before = blob_sample(shape, width=1.2)
    patch = PatchDataset([before], (side,) * len(shape), seed=0)[0]
    assert patch["image"].shape == (1, *(side,) * len(shape)) and patch["patch_of"] == 0
    assert (patch["landmarks"][0] - (side - 1) / 2).abs().max() <= 0.5 + 1e-5
    assert error(patch) < 0.002
    torch.testing.assert_close(world(patch), world(before), atol=1e-4, rtol=0, equal_nan=True)


@pytest.mark.parametrize("d", [2, 3])
def test_at_a_border_a_patch_is_padded_not_moved(d: int) -> None:
    sample = numbered(*(9, 10, 11)[:d])
    corner = PatchDataset([sample], (5,) * d, labels=["first"])[0]
    assert corner["landmarks"][0].tolist() == [2.0] * d and inside(corner)[0]
    assert corner["image"][0][(2,) * d] == 1 and (corner["image"] == 0).sum() == 5**d - 3**d
    edge = PatchDataset([sample], (5,) * d, labels=["first"], padding="border")[0]
    assert edge["image"].min() == 1 and edge["image"][0][(0,) * d] == 1
    large = PatchDataset([sample], (21,) * d, at="anywhere")[0]
    assert (large["image"] > 0).sum() == np.prod(sample["image"].shape) and inside(large).all()


def test_a_jitter_moves_the_middle_by_at_most_that_many_voxels() -> None:
    patches = PatchDataset([blob_sample(EVEN[2])], (15, 15), jitter=3.0, per_image=40, seed=2)
    away = torch.stack([patches[n]["landmarks"][0] for n in range(40)]) - 7
    assert away.abs().max() <= 3.5 and away.abs().amax(0).min() > 2


def test_every_landmark_in_the_view_has_its_turn_and_absent_ones_have_none() -> None:
    sample = numbered(12, 12)
    patches = PatchDataset([sample], (5, 5), per_image=40, seed=0)
    assert {patches[n]["patch_of"] for n in range(40)} == {0, 1, 2}
    sample["landmarks"][1] = torch.nan
    sample["landmarks"][0] = -4.0
    sample = {**sample, "present": torch.tensor([True, False, True])}
    patches = PatchDataset([sample], (5, 5), per_image=10, seed=0)
    assert {patches[n]["patch_of"] for n in range(10)} == {2}
    none = PatchDataset([sample], (5, 5), labels=["last"], seed=0)[0]
    assert none["patch_of"] == -1 and (none["image"] > 0).all()


def test_anywhere_is_everywhere_within_the_image() -> None:
    patches = PatchDataset([numbered(9, 11)], (4, 4), at="anywhere", per_image=200, seed=0)
    starts = torch.stack([patches[n]["patch_start"] for n in range(200)])
    assert starts.amin(0).tolist() == [0, 0] and starts.amax(0).tolist() == [7, 5]


def test_the_same_seed_epoch_and_number_give_the_same_patch_in_any_process(tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(tmp_path, 2, 2, side=32))
    turned = LandmarkDataset(dataset, mt.RandRotated("image", 0.5, prob=1.0), seed=1)
    patches = PatchDataset(turned, (12, 12), jitter=4, per_image=2, transform=mt.RandFlipd("image", 0.5), seed=3)
    here = [patches[n] for n in range(4)]
    loader = DataLoader(patches, 4, num_workers=1, collate_fn=collate_samples)
    batch = next(iter(loader))
    for key in ("image", "landmarks", "patch_start"):
        assert batch[key].equal(torch.stack([sample[key] for sample in here]))
    patches.set_epoch(1)
    again = [patches[n] for n in range(4)]
    assert not any(one["image"].equal(other["image"]) for one, other in zip(here, again, strict=True))
    patches.set_epoch(0)
    assert patches[3]["image"].equal(here[3]["image"])


def test_patches_of_several_instances_are_cut_around_each() -> None:
    sample = numbered(20, 20)
    places = torch.tensor([[[3.0, 3.0], [16.0, 4.0]], [[10.0, 15.0], [torch.nan] * 2]])
    sample = {**sample, "landmarks": places, "present": places.isfinite().all(-1), "labels": ("cell", "edge")}
    patches = PatchDataset([sample], (5, 5), per_image=30, seed=0)
    starts = {tuple(patches[n]["patch_start"].tolist()) for n in range(30)}
    assert starts == {(1, 1), (14, 2), (8, 13)}


@pytest.mark.parametrize("shape", [(9, 11), (30, 17), (7, 8, 20)], ids=str)
def test_patches_side_by_side_cover_the_image_with_every_voxel_at_its_place(shape: tuple[int, ...]) -> None:
    sample = numbered(*shape)
    seen = torch.zeros(shape)
    for patch in grid_patches(sample, (8,) * len(shape), 0.25):
        first = patch["patch_start"].flip(0)
        assert patch["image"].shape[1:] == (8,) * len(shape)
        for index in (patch["image"][0] > 0).nonzero():
            place = tuple((index + first).tolist())
            assert patch["image"][0][tuple(index.tolist())] == sample["image"][0][place]
            seen[place] += 1
    assert seen.min() >= 1


def test_a_part_shares_nothing_with_the_whole() -> None:
    sample = numbered(9, 9)
    patch = cut_patch(sample, [2, 2], (4, 4))
    patch["image"][:] = 0
    patch["landmarks"][:] = 0
    assert sample["image"].min() == 1 and sample["landmarks"][1, 0] == 8


@pytest.mark.parametrize("size", [(4, 4, 4), (4,), (4, 0)])
def test_a_patch_of_another_dimension_or_without_a_voxel_is_refused_in_words(size: tuple[int, ...]) -> None:
    for cut in (lambda: cut_patch(numbered(9, 10), (0, 0), size), lambda: list(grid_patches(numbered(9, 10), size))):
        with pytest.raises(DatasetError, match="cannot be cut out of an image in 2D"):
            cut()


def test_settings_that_cannot_be_are_said() -> None:
    sample = numbered(9, 9)
    for call, words in (
        (lambda: PatchDataset([sample], (4,)), "size of a patch"),
        (lambda: PatchDataset([sample], (4, 4), at="nowhere"), "landmarks, anywhere"),
        (lambda: PatchDataset([sample], (4, 4, 4))[0], "image in 2D"),
        (lambda: PatchDataset([sample], (4, 4), labels=["wing"])[0], "'wing'"),
        (lambda: cut_patch(sample, [20, 20], (4, 4)), "beside the image"),
        (lambda: list(grid_patches(sample, (4, 4), 1.0)), "overlap"),
    ):
        with pytest.raises(DatasetError, match=words):
            call()
    with pytest.raises(IndexError):
        PatchDataset([sample], (4, 4))[1]
