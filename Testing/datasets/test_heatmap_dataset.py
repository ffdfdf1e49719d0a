"""Heatmaps of samples: of the landmarks after the transforms, and what may be learnt from them."""

from __future__ import annotations

import functools

import monai.transforms as mt
import numpy as np
import pytest
import torch

from LandmarkDetectorLib.core import DatasetError, Image, Landmark, LandmarkSet
from LandmarkDetectorLib.datasets.collate import collate_samples
from LandmarkDetectorLib.datasets.heatmap_dataset import HeatmapDataset
from LandmarkDetectorLib.datasets.patch_dataset import PatchDataset
from LandmarkDetectorLib.datasets.samples import Sample, make_sample
from LandmarkDetectorLib.datasets.transforms import carry
from LandmarkDetectorLib.heatmaps import GaussianHeatmaps, decode, gaussian_heatmaps
from Testing.datasets.blobs import EVEN, blob_sample

IMAGE = "image"
IN_VOXELS = functools.partial(gaussian_heatmaps, sigma=2.0)


def sample_of(*landmarks: Landmark, side: int = 24) -> Sample:
    return make_sample(Image.from_array(np.zeros((side, side), np.uint8)), LandmarkSet(landmarks))


@pytest.mark.parametrize("d", [2, 3])
def test_a_map_decodes_to_the_landmark_after_any_transform(d: int) -> None:
    turn = carry(mt.RandAffined(IMAGE, prob=1.0, rotate_range=0.4, translate_range=2, scale_range=0.1))
    turn.set_random_state(1)
    samples = [turn(blob_sample(EVEN[d])) for _ in range(3)]
    drawn = HeatmapDataset(samples, GaussianHeatmaps(2, d, 2.0))
    for index in range(3):
        sample = drawn[index]
        assert sample["heatmaps"].shape == (2, *EVEN[d]) and sample["heatmaps"].dtype == torch.float32
        found = decode(sample["heatmaps"][None])
        torch.testing.assert_close(found.positions[0, :1].float(), sample["landmarks"][:1], atol=0.03, rtol=0)
        assert sample["heatmaps"][1].max() == 0 and sample["valid"].tolist() == [True, True]


def test_a_width_in_mm_is_that_many_mm_along_each_axis() -> None:
    sample = blob_sample(EVEN[2], [20.0, 20.0])  # voxels of 0.8 x 1.3 mm
    maps = HeatmapDataset([sample], IN_VOXELS, unit="mm")[0]["heatmaps"][0]
    assert maps[20, 20] == pytest.approx(1)
    assert maps[20, 25] == pytest.approx(np.exp(-0.5 * (5 * 0.8 / 2) ** 2), rel=1e-4)
    assert maps[23, 20] == pytest.approx(np.exp(-0.5 * (3 * 1.3 / 2) ** 2), rel=1e-4)


def test_a_width_in_mm_is_refused_for_a_picture_without_a_scale() -> None:
    marks = LandmarkSet.from_positions(["a"], [[10.0, 12.0]], unit="px")
    picture = make_sample(Image.from_array(np.zeros((24, 24)), unit="px", name="scan"), marks)
    with pytest.raises(DatasetError, match="scan: the image has no scale for a width in mm"):
        HeatmapDataset([picture], GaussianHeatmaps(1, 2, 2.0, unit="mm"))[0]


def test_the_covariance_follows_the_image_where_asked() -> None:
    stretched = carry(mt.Zoomd(IMAGE, (1.0, 2.0), mode="bilinear"))(
        sample_of(Landmark("a", [6.0, 12.0]))  # to 24 x 24 again, the middle of 48
    )
    x, y = (round(float(n)) for n in stretched["landmarks"][0])
    still = HeatmapDataset([stretched], GaussianHeatmaps(1, 2, 2.0))[0]["heatmaps"][0]
    along = HeatmapDataset([stretched], GaussianHeatmaps(1, 2, 2.0), deform=True)[0]["heatmaps"][0]

    def width(maps: torch.Tensor, axis: int) -> float:
        line = maps[y if axis == 0 else slice(None), slice(None) if axis == 0 else x].double()
        steps = torch.arange(len(line))
        mean = (steps * line).sum() / line.sum()
        return float(((steps - mean) ** 2 * line).sum() / line.sum()) ** 0.5

    assert width(along, 1) == pytest.approx(2, abs=0.05) and width(still, 1) == pytest.approx(2, abs=0.05)
    assert width(along, 0) > 1.3 * width(still, 0)


def test_a_width_in_mm_follows_the_image_once_whichever_way() -> None:
    # Twice as many voxels for a mm: a width in mm covers twice as many, and so does one that follows the image.
    finer = carry(mt.Spacingd(IMAGE, (0.5, 0.5)))(sample_of(Landmark("a", [12.0, 12.0])))
    kept = [HeatmapDataset([finer], GaussianHeatmaps(1, 2, 2.0, unit="mm"), deform=deform)[0] for deform in (0, 1)]
    torch.testing.assert_close(kept[0]["heatmaps"], kept[1]["heatmaps"], atol=1e-4, rtol=0)
    assert kept[0]["heatmaps"][0].sum() == pytest.approx(2 * np.pi * 4.0**2, rel=0.02)


def test_valid_is_not_the_same_as_labelled() -> None:
    away = carry(mt.SpatialCropd(IMAGE, roi_start=(0, 8), roi_end=(24, 24)))
    sample = away(
        sample_of(
            Landmark("seen", [12.0, 12.0]),
            Landmark("outside", [1.0, 12.0]),
            Landmark("absent", status="missing"),
            Landmark("unlabelled", status="undefined"),
        )
    )
    for absent, outside, expected in (
        ("empty", "empty", [True, True, True, False]),
        ("ignore", "empty", [True, True, False, False]),
        ("empty", "ignore", [True, False, True, False]),
        ("ignore", "ignore", [True, False, False, False]),
    ):
        out = HeatmapDataset([sample], IN_VOXELS, absent=absent, outside=outside)[0]
        assert out["valid"].tolist() == expected
        assert out["labelled"].tolist() == [True, True, True, False]
        assert out["heatmaps"].amax((1, 2))[2:].tolist() == [0, 0] and out["heatmaps"][1].max() < 0.01


def test_several_instances_of_a_class_share_a_map() -> None:
    sample = sample_of(Landmark("cell", [5.0, 6.0]), Landmark("cell", [15.0, 16.0]), Landmark("edge", [9.0, 3.0]))
    out = HeatmapDataset([sample], GaussianHeatmaps(2, 2, 1.5))[0]
    assert out["heatmaps"].shape == (2, 24, 24) and out["valid"].tolist() == [True, True]
    assert out["heatmaps"][0, 6, 5] == out["heatmaps"][0, 16, 15] == out["heatmaps"][1, 3, 9] == 1


@pytest.mark.parametrize("d", [2, 3])
def test_patches_have_heatmaps_too_and_go_into_batches(d: int) -> None:
    patches = PatchDataset([blob_sample(EVEN[d])] * 2, (16,) * d, jitter=4, per_image=2, seed=0)
    drawn = HeatmapDataset(patches, IN_VOXELS, dtype=torch.float16)
    assert len(drawn) == 4
    batch = collate_samples([drawn[index] for index in range(4)])
    assert batch["heatmaps"].shape == (4, 2, *(16,) * d) and batch["heatmaps"].dtype == torch.float16
    found = decode(batch["heatmaps"].float()).positions[:, 0].float()
    torch.testing.assert_close(found, batch["landmarks"][:, 0], atol=0.05, rtol=0)


def test_a_word_that_is_none_is_said() -> None:
    with pytest.raises(DatasetError, match="'maybe'"):
        HeatmapDataset([blob_sample(EVEN[2])], IN_VOXELS, absent="maybe")
    with pytest.raises(DatasetError, match="'inch'"):
        HeatmapDataset([blob_sample(EVEN[2])], IN_VOXELS, unit="inch")
    with pytest.raises(DatasetError, match="no sample"):
        HeatmapDataset([], IN_VOXELS)
