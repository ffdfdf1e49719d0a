"""Pictures and volumes that people annotated, through all that training may do to them, and back."""

from __future__ import annotations

from pathlib import Path

import monai.transforms as mt
import numpy as np
import pytest

from LandmarkDetectorLib.datasets import HeatmapDataset, LandmarkDataset, read_dataset, world
from LandmarkDetectorLib.datasets.transforms import Elastic, OrderByPosition, Reorient, Resize, SwapOnMirror
from LandmarkDetectorLib.heatmaps import GaussianHeatmaps, decode

ENDS = [(("OFD left", "OFD right"), "x"), (("BPD upper", "BPD lower"), "y")]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("fetal_head_us", [Elastic(25, 7), OrderByPosition(ENDS), Resize((256, 320), keep_aspect=True)]),
        ("fundus", [Elastic(120, 35), Resize((320, 320), keep_aspect=True)]),
        ("mouse_skull_ct", [Reorient("LPS"), Resize((96, 80, 80), keep_aspect=True), Elastic(6, 2)]),
    ],
)
def test_a_case_goes_through_everything_and_comes_back(data_root: Path, name: str, steps: list[mt.Transform]) -> None:
    dataset = read_dataset(data_root / name)
    d = dataset.cases[0].image().dimension
    turn = mt.RandAffined("image", prob=1.0, rotate_range=0.4, scale_range=0.1, padding_mode="zeros")
    samples = LandmarkDataset(dataset, [SwapOnMirror([mt.RandAxisFlipd("image", 0.7), turn], []), *steps], seed=3)
    drawn = HeatmapDataset(samples, GaussianHeatmaps(len(dataset.labels), d, 2.0), outside="ignore")
    for index in range(0, len(samples), max(1, len(samples) // 3)):
        sample = drawn[index]
        back = samples.inverse(sample)
        np.testing.assert_allclose(world(back), dataset.cases[index].landmarks.positions[:, :d], atol=0.01)
        found = decode(sample["heatmaps"][None]).positions[0]
        size = np.array(sample["image"].shape[:0:-1])
        places = sample["landmarks"].numpy()
        well = np.all((places > 8) & (places < size - 9), axis=1)
        assert well.any()
        np.testing.assert_allclose(found.numpy()[well], places[well], atol=0.03)
