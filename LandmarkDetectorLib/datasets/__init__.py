"""Annotated images: cases on disk, samples for torch and MONAI, transforms that take the landmarks along.

What needs torch is fetched from its file when it is first asked for, so that a program that only lists cases does not
wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from LandmarkDetectorLib.datasets.cases import Case, Dataset, read_dataset

if TYPE_CHECKING:
    from LandmarkDetectorLib.datasets.collate import collate_samples
    from LandmarkDetectorLib.datasets.heatmap_dataset import HeatmapDataset
    from LandmarkDetectorLib.datasets.landmark_dataset import LandmarkDataset, LoadSample
    from LandmarkDetectorLib.datasets.mask_dataset import MaskDataset, MaskFileDataset
    from LandmarkDetectorLib.datasets.masks import dataset_from_masks
    from LandmarkDetectorLib.datasets.patch_dataset import PatchDataset, grid_patches
    from LandmarkDetectorLib.datasets.samples import inside, linear_part, load_sample, make_sample, world

_FILES = {
    "HeatmapDataset": "heatmap_dataset",
    "LandmarkDataset": "landmark_dataset",
    "LoadSample": "landmark_dataset",
    "MaskDataset": "mask_dataset",
    "MaskFileDataset": "mask_dataset",
    "PatchDataset": "patch_dataset",
    "collate_samples": "collate",
    "dataset_from_masks": "masks",
    "grid_patches": "patch_dataset",
    "inside": "samples",
    "linear_part": "samples",
    "load_sample": "samples",
    "make_sample": "samples",
    "world": "samples",
}

__all__ = [
    "Case",
    "Dataset",
    "HeatmapDataset",
    "LandmarkDataset",
    "LoadSample",
    "MaskDataset",
    "MaskFileDataset",
    "PatchDataset",
    "collate_samples",
    "dataset_from_masks",
    "grid_patches",
    "inside",
    "linear_part",
    "load_sample",
    "make_sample",
    "read_dataset",
    "world",
]


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
    globals()[name] = value  # the next look finds it without this function
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_FILES))
