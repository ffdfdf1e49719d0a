"""The situations of landmarker's own public tests of data sets and landmark transforms, through our interface.

Theirs write coordinates in array order (y, x) and ours as x, y. Where theirs encodes a fault, the test says so and
asserts what is right.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import monai.transforms as mt
import numpy as np
import pytest
import torch
from torch import Tensor

from LandmarkDetectorLib.core import DatasetError, Grid, Image, Landmark, LandmarkSet
from LandmarkDetectorLib.datasets import Dataset, read_dataset
from LandmarkDetectorLib.datasets.heatmap_dataset import HeatmapDataset
from LandmarkDetectorLib.datasets.landmark_dataset import LandmarkDataset
from LandmarkDetectorLib.datasets.mask_dataset import MaskDataset, MaskFileDataset
from LandmarkDetectorLib.datasets.masks import dataset_from_masks
from LandmarkDetectorLib.datasets.patch_dataset import PatchDataset
from LandmarkDetectorLib.datasets.samples import Sample, apply_matrix, make_sample, world
from LandmarkDetectorLib.datasets.transforms import Resize
from LandmarkDetectorLib.heatmaps import GaussianHeatmaps, LaplaceHeatmaps
from LandmarkDetectorLib.io import save_image, save_landmarks

COUNT, CLASSES, SIDE = 3, 8, 64
KEYS = ("image", "mask")
LABELS = [f"class_{n}" for n in range(CLASSES)]


def augmentation(keys: Sequence[str] = ("image",)) -> list[mt.Transform]:
    """Theirs: an affine that often moves the image out of the view by half, and five changes of the values."""
    mode = ["bilinear", "nearest"][: len(keys)]
    turn = np.pi / 12
    return [
        mt.RandAffined(
            keys,
            prob=0.75,
            rotate_range=(-turn, turn),
            translate_range=(-100, 100),
            scale_range=(-0.25, 0.25),
            mode=mode,
        ),
        mt.RandGaussianNoised("image", prob=0.1, mean=0, std=0.005),
        mt.RandStdShiftIntensityd("image", prob=0.1, factors=0.1),
        mt.RandScaleIntensityd("image", factors=0.25, prob=0.1),
        mt.RandAdjustContrastd("image", prob=0.1, gamma=(0.5, 2)),
        mt.RandHistogramShiftd("image", prob=0.1),
    ]


def written(folder: Path, kind: str) -> Dataset:
    """Images of random values with eight random landmarks each, 64 a side."""
    rng = np.random.default_rng(0)
    entries = []
    for number in range(COUNT):
        d = 3 if "3d" in kind else 2
        channels = 3 if kind == "colour" else 1
        dtype = np.uint16 if "uint16" in kind else np.uint8
        values = rng.integers(0, np.iinfo(dtype).max, (channels, *(SIDE if d == 2 else 24,) * d)).astype(dtype)
        if d == 2:
            save_image(Image(values, Grid.regular((SIDE,) * 2, unit="px")), folder / f"{number}.png")
            points = (rng.random((CLASSES, 2)) * (SIDE - 1)).tolist()
            entries.append({"image": f"{number}.png", "subject": str(number), "points": points})
        else:
            save_image(Image(values, Grid.regular((24,) * 3)), folder / f"{number}.nii.gz")
            save_landmarks(
                LandmarkSet.from_positions(LABELS, rng.random((CLASSES, 3)) * 23), folder / f"{number}.mrk.json"
            )
            entries.append({"image": f"{number}.nii.gz", "subject": str(number), "landmarks": f"{number}.mrk.json"})
    listing = {"name": kind, "landmark_labels": LABELS, "training": entries}
    (folder / "dataset.json").write_text(json.dumps(listing))
    return read_dataset(folder)


@pytest.mark.parametrize(("kind", "channels"), [("uint8", 1), ("uint16", 1), ("colour", 3)])
@pytest.mark.parametrize(("shape", "keep"), [(None, False), ((32, 20), True), ((32, 32), False), ((30, 15), True)])
def test_images_of_every_kind_with_and_without_resizing(
    tmp_path: Path, kind: str, channels: int, shape: tuple[int, int] | None, keep: bool
) -> None:
    dataset = written(tmp_path, kind)
    samples = LandmarkDataset(dataset, None if shape is None else Resize(shape, keep_aspect=keep))
    assert len(samples) == COUNT
    for index in (0, COUNT - 1):
        sample = samples[index]
        assert sample["image"].shape == (channels, *(shape or (SIDE, SIDE)))
        assert sample["landmarks"].shape == (CLASSES, 2)
        np.testing.assert_allclose(world(sample), dataset.cases[index].landmarks.positions, atol=1e-4)
    if shape == (30, 15):
        # Theirs reports a padding of 32 pixels of the old image on either side; that is 7.5 of the new one, above.
        assert sample["image"][0, :7].abs().max() == 0 and sample["image"][0, 23:].abs().max() == 0
        assert sample["image"][0, 8:22].min() > 0 or kind != "uint16"


def test_volumes_in_which_theirs_hands_landmarks_out_and_ours_everything(tmp_path: Path) -> None:
    # Heatmaps and patches of theirs fail in 3D.
    dataset = written(tmp_path, "3d uint16")
    samples = LandmarkDataset(dataset, augmentation(), seed=0)
    assert samples[0]["image"].shape == (1, 24, 24, 24) and samples[0]["landmarks"].shape == (CLASSES, 3)
    assert HeatmapDataset(samples, GaussianHeatmaps(CLASSES, 3, 2.0))[1]["heatmaps"].shape == (CLASSES, 24, 24, 24)
    assert PatchDataset(LandmarkDataset(dataset), (8, 10, 12), seed=0)[2]["image"].shape == (1, 8, 10, 12)
    assert MaskDataset(LandmarkDataset(dataset), 2.0)[0]["mask"].shape == (CLASSES, 24, 24, 24)


@pytest.mark.parametrize("shape", [None, (32, 20)])
def test_transforms(tmp_path: Path, shape: tuple[int, int] | None) -> None:
    resize = [] if shape is None else [Resize(shape, keep_aspect=True)]
    dataset = written(tmp_path, "uint8")
    samples = LandmarkDataset(dataset, [*resize, *augmentation()], seed=0)
    for index in range(COUNT):
        assert samples[index]["image"].shape == (1, *(shape or (SIDE, SIDE)))
        assert samples[index]["landmarks"].shape == (CLASSES, 2)
        np.testing.assert_allclose(world(samples[index]), dataset.cases[index].landmarks.positions, atol=2e-3)


@pytest.mark.parametrize("shape", [None, (32, 20)])
def test_masks_of_landmarks_and_landmarks_of_those_masks(tmp_path: Path, shape: tuple[int, int] | None) -> None:
    dataset = written(tmp_path, "uint8")
    resize = None if shape is None else Resize(shape, keep_aspect=True)
    drawn = MaskDataset(LandmarkDataset(dataset, resize), 0.0, "voxel")
    assert len(drawn) == COUNT and drawn[0]["mask"].shape == (CLASSES, *(shape or (SIDE, SIDE)))
    assert drawn[0]["mask"].flatten(1).sum(1).tolist() == [1] * CLASSES
    # The voxel is the nearest one: theirs cuts the decimals off, half a pixel too far up and left on average.
    marked = drawn[0]["mask"].nonzero()[:, 1:].flip(1)
    assert marked.equal(drawn[0]["landmarks"].round().long())

    full = MaskDataset(LandmarkDataset(dataset), 0.0, "voxel")
    files = []
    for index in range(COUNT):
        values = (full[index]["mask"].sum(0).clamp(max=1) * 255).numpy().astype(np.uint8)
        save_image(Image(values[None], Grid.regular((SIDE, SIDE), unit="px")), tmp_path / f"{index}_mask.png")
        files.append(tmp_path / f"{index}_mask.png")
    images = [case.image_path for case in dataset.cases]
    found = dataset_from_masks(images, files, ["landmark"], instances=True)
    resize = None if shape is None else Resize(shape, keys=KEYS, mode=("bilinear", "nearest"))
    sample = MaskFileDataset(found, transform=resize, instances=CLASSES)[COUNT - 1]
    assert sample["image"].shape == sample["mask"].shape == (1, *(shape or (SIDE, SIDE)))
    assert sample["landmarks"].shape == (1, CLASSES, 2)


def test_a_mask_file_of_several_classes_is_read_where_theirs_always_fails(tmp_path: Path) -> None:
    values = np.zeros((1, SIDE, SIDE), np.uint8)
    values[0, 10:13, 20:23], values[0, 40, 50] = 1, 2
    for name in ("image", "mask"):
        save_image(Image(values, Grid.regular((SIDE, SIDE), unit="px")), tmp_path / f"{name}.png")
    found = dataset_from_masks([tmp_path / "image.png"], [tmp_path / "mask.png"], ["a", "b"])
    assert LandmarkDataset(found)[0]["landmarks"].tolist() == [[21, 11], [50, 40]]


def test_masks_with_transforms(tmp_path: Path) -> None:
    drawn = MaskDataset(LandmarkDataset(written(tmp_path, "uint8"), augmentation(), seed=0), 2.0, "voxel")
    for index in range(COUNT):
        assert drawn[index]["mask"].shape == (CLASSES, SIDE, SIDE)


@pytest.mark.parametrize("shape", [None, (20, 32)])
@pytest.mark.parametrize("kind", [GaussianHeatmaps, LaplaceHeatmaps])
@pytest.mark.parametrize("random", [False, True])
def test_heatmaps(tmp_path: Path, shape: tuple[int, int] | None, kind: type, random: bool) -> None:
    # Theirs transforms the maps as images, which blurs them, and holds those of all images; ours makes them afterwards.
    resize = [] if shape is None else [Resize(shape, keep_aspect=True)]
    steps = [*resize, *(augmentation() if random else [])]
    drawn = HeatmapDataset(LandmarkDataset(written(tmp_path, "uint8"), steps, seed=0), kind(CLASSES, 2, 3.0))
    assert len(drawn) == COUNT
    for index in (0, COUNT - 1):
        sample = drawn[index]
        assert sample["heatmaps"].shape == (CLASSES, *(shape or (SIDE, SIDE))) and sample["valid"].all()


def resized(places: Tensor, old: tuple[int, int], new: tuple[int, int], keep: bool = False) -> Tensor:
    """Landmarks (K, 2) or (K, N, 2) after resizing an image; shapes (Y, X)."""
    sample: Sample = make_sample(
        Image(np.zeros((1, *old), np.uint8), Grid.regular(old[::-1])),
        LandmarkSet(tuple(Landmark(str(n)) for n in range(len(places)))),
    )
    return Resize(new, keep_aspect=keep)({**sample, "landmarks": places})["landmarks"]


def test_resizing_landmarks_is_exact_to_the_half_pixel_where_theirs_is_off_by_it() -> None:
    # Theirs expects [2, 4] of [1, 2] in an image twice as large. The middle of pixel 1 of 6 lies at 1.5 pixels from
    # the border, so at 3 of the new ones, which is index 2.5.
    places = torch.tensor([[1.0, 2], [3, 4], [5, 6]])
    assert resized(places, (6, 6), (12, 12)).tolist() == [[2.5, 4.5], [6.5, 8.5], [10.5, 12.5]]
    several = torch.stack([places, places + 6])
    assert resized(several, (6, 6), (12, 12)).equal(2 * several + 0.5)


def test_resizing_with_padding() -> None:
    # 40 x 20 into 10 x 10: a quarter, with 10 of the old pixels on the left and on the right. Theirs makes (y, x)
    # [2.5, 7.5] of [10, 20], without the half pixel: 0.375 pixel too far.
    theirs = torch.tensor([[10.0, 20], [30, 10], [20, 5]])
    expected = (torch.tensor([[2.5, 7.5], [7.5, 5], [5, 3.75]]) - 0.375).flip(1)
    torch.testing.assert_close(resized(theirs.flip(1), (40, 20), (10, 10), keep=True), expected)
    several = torch.stack([theirs, theirs.flip(1)])
    expected = torch.stack([expected, (torch.tensor([[5.0, 5], [2.5, 10], [1.25, 7.5]]) - 0.375).flip(1)])
    torch.testing.assert_close(resized(several.flip(-1), (40, 20), (10, 10), keep=True), expected)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("shape", [(3,), (2, 3)], ids=["single", "several instances"])
def test_affine_of_landmarks(d: int, shape: tuple[int, ...]) -> None:
    places = torch.arange(1.0, 1 + d * np.prod(shape)).reshape(*shape, d)
    matrix = torch.eye(d + 1)
    assert apply_matrix(matrix, places).equal(places)
    matrix[:d, d] = 1
    assert apply_matrix(matrix, places).equal(places + 1)
    matrix = torch.eye(d + 1)
    matrix[:2, :2] = torch.tensor([[0.0, -1], [1, 0]])
    expected = places.clone()
    expected[..., 0], expected[..., 1] = -places[..., 1], places[..., 0]
    assert apply_matrix(matrix, places).equal(expected)


def test_landmarks_of_another_dimension_than_the_image_are_refused() -> None:
    with pytest.raises(DatasetError):
        make_sample(
            Image.from_array(np.zeros((4, 4, 4), np.uint8)), LandmarkSet.from_positions(["a", "b"], [[1, 2], [3, 4]])
        )
