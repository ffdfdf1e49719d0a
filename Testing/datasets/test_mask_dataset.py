"""Masks: discs and balls whose middle is the landmark, and landmarks from masks that somebody drew."""

from __future__ import annotations

import warnings
from pathlib import Path

import monai.transforms as mt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import DatasetError, Grid, Image, Landmark, LandmarkSet
from LandmarkDetectorLib.datasets.landmark_dataset import LandmarkDataset
from LandmarkDetectorLib.datasets.mask_dataset import MaskDataset, MaskFileDataset
from LandmarkDetectorLib.datasets.masks import dataset_from_masks, discs, landmarks_of_mask
from LandmarkDetectorLib.datasets.patch_dataset import PatchDataset
from LandmarkDetectorLib.datasets.samples import make_sample, world
from LandmarkDetectorLib.io import save_image
from Testing.datasets.blobs import EVEN, ODD, blob_sample, middle, oblique_grid

KEYS = ["image", "mask"]


def voxels(d: int) -> torch.Tensor:
    return torch.eye(d, dtype=torch.float64)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("radius", [0.0, 1.0, 3.0, 5.5])
def test_the_middle_of_a_disc_is_its_landmark_and_nothing_is_cut_off(d: int, radius: float) -> None:
    places = 12 + torch.rand((300, d), generator=torch.Generator().manual_seed(d)) * 3
    masks = discs(places, (26,) * d, radius, voxels(d))
    away = np.array([middle(mask[None] * 1000) for mask in masks]) - places.numpy()
    assert np.abs(away.mean(0)).max() < 0.05  # cutting decimals off would be -0.5
    if radius >= 3:
        assert np.abs(away).mean() < 0.08
        soft = discs(places, (26,) * d, radius, voxels(d), soft=True)
        assert np.abs([middle(m[None] * 1000) - p.numpy() for m, p in zip(soft, places, strict=True)]).max() < 0.06
    volume = np.pi * radius**2 if d == 2 else 4 / 3 * np.pi * radius**3
    assert float(masks.flatten(1).sum(1).mean()) == pytest.approx(max(volume, 1), rel=0.4 if radius < 3 else 0.05)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([2, 3]), st.floats(0, 6), st.integers(0, 2**31))
def test_a_voxel_is_in_the_disc_exactly_when_its_centre_is_near_enough(d: int, radius: float, seed: int) -> None:
    grid = oblique_grid((11, 12, 13)[:d])
    place = np.random.default_rng(seed).uniform(-3, 15, d)
    mask = discs(torch.tensor(place)[None], grid.shape, radius, torch.from_numpy(grid.matrix[:-1, :-1]))[0].numpy()
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)[..., ::-1]
    expected = np.linalg.norm(grid.to_world(index) - grid.to_world(place), axis=-1) <= radius
    nearest = np.round(place).astype(int)
    if np.all((nearest >= 0) & (nearest < grid.size)):
        expected[tuple(nearest[::-1])] = True
    assert np.array_equal(mask > 0, expected)


@pytest.mark.parametrize("d", [2, 3])
def test_classes_have_masks_of_their_own_and_instances_share_one(d: int) -> None:
    image = Image.from_array(np.zeros((20,) * d, np.uint8))
    at = np.array([[4.0] * d, [14.0] * d, [9.0] * d])
    marks = LandmarkSet(
        (
            Landmark("cell", at[0]),
            Landmark("cell", at[1]),
            Landmark("edge", at[2]),
            Landmark("none", status="missing"),
        )
    )
    mask = MaskDataset([make_sample(image, marks)], [2.0, 1.0, 3.0])[0]["mask"]
    ball, small = (13, 5) if d == 2 else (33, 7)
    assert mask.shape == (3, *(20,) * d) and mask.flatten(1).sum(1).tolist() == [2 * ball, small, 0]


def test_a_radius_in_mm_and_one_in_voxels() -> None:
    sample = blob_sample(EVEN[2], [20.0, 20.0])  # voxels of 0.8 x 1.3 mm
    in_mm = MaskDataset([sample], 4.0)[0]["mask"][0]
    assert in_mm[20].sum() == 11 and in_mm[:, 20].sum() == 7
    in_voxels = MaskDataset([sample], 4.0, "voxel")[0]["mask"][0]
    assert in_voxels[20].sum() == in_voxels[:, 20].sum() == 9
    picture = make_sample(
        Image.from_array(np.zeros((9, 9), np.uint8), unit="px"), LandmarkSet.from_positions(["a"], [[4.0, 4.0]], "px")
    )
    with pytest.raises(DatasetError, match="give unit='voxel'"):
        MaskDataset([picture], 2.0)[0]
    assert MaskDataset([picture], 2.0, "voxel")[0]["mask"].sum() == 13


def test_masks_are_made_after_the_transforms_and_of_patches_too() -> None:
    patches = PatchDataset([blob_sample(ODD[3])], (15, 16, 17), transform=mt.Flipd("image", 0), seed=1)
    sample = MaskDataset(patches, 3.0, "voxel", soft=True)[0]
    assert sample["mask"].shape == (2, 15, 16, 17)
    assert np.abs(middle(sample["mask"][:1] * 1000) - sample["landmarks"][0].numpy()).max() < 0.06


@pytest.mark.parametrize("d", [2, 3])
def test_files_with_several_classes_give_their_landmarks_in_the_world(d: int, tmp_path: Path) -> None:
    grid = oblique_grid((24, 26, 28)[:d])
    truth = np.array([[6.2, 7.1, 8.4], [17.6, 16.3, 15.2]])[:, :d]
    for number in range(2):
        place = torch.from_numpy(truth + number)
        solid = discs(place, grid.shape, 4.0, voxels(d)).numpy()
        values = (solid[0] * 10 + solid[1] * 20).astype(np.uint8)
        save_image(Image(values[None], grid), tmp_path / f"mask{number}.mha")
        save_image(Image(values[None], grid), tmp_path / f"image.{number}.mha")
    images = [tmp_path / f"image.{n}.mha" for n in range(2)]
    masks = [str(tmp_path / f"mask{n}.mha") for n in range(2)]
    given = (list(images), list(masks))
    found = dataset_from_masks(images, masks, {"left": 10, "right": 20, "none": 30})
    assert (images, masks) == given
    assert found.labels == ("left", "right", "none")
    assert [case.subject for case in found.cases] == ["image.0", "image.1"]
    for number, case in enumerate(found.cases):
        expected = grid.to_world(truth + number)
        np.testing.assert_allclose(case.landmarks.positions[:2], expected, atol=0.25)
        assert case.landmarks["none"].status == "missing"

    plain = MaskFileDataset(found, {"left": 10, "right": 20, "none": 30})[1]
    assert plain["mask"].shape == (3, *grid.shape) and plain["mask"].sum((1, 2) if d == 2 else (1, 2, 3))[2] == 0
    turn = mt.RandAffined(KEYS, prob=1.0, rotate_range=0.3, mode=["bilinear", "nearest"], padding_mode="zeros")
    sample = MaskFileDataset(found, {"left": 10, "right": 20, "none": 30}, turn, seed=0)[1]
    for row in range(2):
        away = middle(sample["mask"][row : row + 1] * 1000) - sample["landmarks"][row].numpy()
        assert np.abs(away).max() < 0.25  # voxels of a small ball, picked one by one
    np.testing.assert_allclose(world(sample)[:2], found.cases[1].landmarks.positions[:2], atol=1e-3)
    with pytest.raises(DatasetError, match="keys="):
        MaskFileDataset(found, {"left": 10, "right": 20, "none": 30}, mt.Flipd("image", 0))[0]


def test_every_connected_part_of_a_class_is_an_instance() -> None:
    grid = Grid.regular((30, 20), 0.5)
    at = torch.tensor([[[5.0, 5.0], [20.0, 6.0], [12.0, 15.0]]])
    mask = Image(discs(at, grid.shape, 2.0, voxels(2)).numpy(), grid)
    found = landmarks_of_mask(mask, ["cell"], instances=True)
    assert found.labels == ["cell"] * 3
    assert sorted(map(tuple, found.positions)) == sorted(map(tuple, at[0].numpy() * 0.5))
    together = landmarks_of_mask(mask, ["cell"])
    np.testing.assert_allclose(together.positions, at[0].numpy().mean(0, keepdims=True) * 0.5)
    channels = Image(np.stack([mask.array[0], 1 - mask.array[0]]), grid)
    assert landmarks_of_mask(channels, ["cell", "rest"]).labels == ["cell", "rest"]


def test_what_does_not_pair_is_said(tmp_path: Path) -> None:
    sample = blob_sample(EVEN[2])
    for call, words in (
        (lambda: MaskDataset([sample], [1.0])[0], "2 of them"),
        (lambda: MaskDataset([sample], -1.0)[0], "at least 0"),
        (lambda: MaskDataset([sample], 1.0, "inch"), "mm or voxel"),
        (lambda: dataset_from_masks([tmp_path / "a.png"], [], ["a"]), "1 images, 0 masks"),
        (lambda: landmarks_of_mask(Image(np.zeros((2, 4, 4), np.uint8), Grid.regular((4, 4))), ["a"]), "2 channels"),
    ):
        with pytest.raises(DatasetError, match=words):
            call()


def test_a_mask_on_another_grid_is_refused(tmp_path: Path) -> None:
    save_image(Image.from_array(np.arange(64, dtype=np.uint8).reshape(8, 8)), tmp_path / "image.mha")
    save_image(Image.from_array(np.eye(8, dtype=np.uint8), 2.0), tmp_path / "mask.mha")
    found = dataset_from_masks([tmp_path / "image.mha"], [tmp_path / "mask.mha"], ["a"])
    with pytest.raises(DatasetError, match="not on the image's grid"):
        MaskFileDataset(found)[0]
    LandmarkDataset(found)[0]


def test_a_mask_without_a_class_is_an_absent_landmark_and_no_notice(tmp_path: Path) -> None:
    save_image(Image(np.arange(80, dtype=np.uint8).reshape(1, 8, 10), Grid.regular((10, 8))), tmp_path / "a.nii.gz")
    save_image(Image(np.zeros((1, 8, 10), np.uint8), Grid.regular((10, 8))), tmp_path / "a_mask.nii.gz")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sample = MaskFileDataset(dataset_from_masks([tmp_path / "a.nii.gz"], [tmp_path / "a_mask.nii.gz"], ["disc"]))[0]
    assert sample["labelled"].tolist() == [True] and sample["present"].tolist() == [False]
    assert sample["mask"].abs().max() == 0
