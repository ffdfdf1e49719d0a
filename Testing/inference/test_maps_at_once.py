"""However many landmarks there are: the full heatmaps of all of them never stand in memory together."""

from __future__ import annotations

import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.inference import Detector, networks
from LandmarkDetectorLib.inference.networks import Networks
from LandmarkDetectorLib.inference.stopwatch import Stopwatch
from LandmarkDetectorLib.io import load_image
from LandmarkDetectorLib.models import build_model

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from memory import with_more_landmarks

LANDMARKS = 200
AT_ONCE = 1 << 20


class Alive(TorchDispatchMode):
    """Counts the bytes of the tensors that operators have made and that somebody still holds."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = self.largest = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        place = storage.data_ptr()
        if not place or place in self._known:
            return
        size = storage.nbytes()
        self._known.add(place)
        self.now += size
        self.peak, self.largest = max(self.peak, self.now), max(self.largest, size)
        weakref.finalize(storage, self._gone, place, size)

    def _gone(self, place: int, size: int) -> None:
        self._known.discard(place)
        self.now -= size


def peak(landmarks: int) -> tuple[int, int]:
    """Peak of all tensors and the largest one, in bytes, of a detection of so many landmarks without the patches."""
    bundle = with_more_landmarks(load_bundle("mouse-skull-ct"), landmarks)
    bundle.settings["patch"] = None  # one map a patch, whatever the number of landmarks
    detector = Detector(bundle, "cpu")
    image = load_image(bundle.samples()[0])
    with Alive() as alive:
        detection = detector.detect(image)
    assert len(detection.landmarks) == landmarks
    return alive.peak, alive.largest


def test_two_hundred_landmarks_take_hardly_more_memory_than_forty_five(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "MAPS_AT_ONCE", AT_ONCE)
    few, _ = peak(45)
    many, largest = peak(LANDMARKS)
    all_maps = LANDMARKS * 48**3 * 4  # of one tile of the coarse pass; the frame's are as many
    assert many < few + 0.1 * all_maps
    assert largest < 0.3 * all_maps


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_network_of_all_landmarks_draws_one_map_a_patch(dimension: int) -> None:
    torch.manual_seed(0)
    network = build_model("local_appearance", dimension=dimension, in_channels=1, landmarks=40, width=4, levels=2)
    images, which = torch.randn(3, 1, *[16] * dimension), torch.tensor([39, 0, 7])
    with torch.inference_mode():
        expected = network.eval()(images, which)
    with Alive() as alive:
        maps, presence = Networks({"patch": network}).maps("patch", images, Stopwatch(), which)
    torch.testing.assert_close(maps, expected.heatmaps)
    torch.testing.assert_close(presence, expected.presence)
    assert alive.largest < 40 * maps.numel() * 4 / 3
