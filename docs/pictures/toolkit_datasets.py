"""Draws a sample on its way, for ``docs/toolkit/datasets.md``: ``python docs/pictures/toolkit_datasets.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import monai.transforms as mt
import numpy as np
import torch
from matplotlib.colors import to_rgba

from LandmarkDetectorLib.datasets import HeatmapDataset, LandmarkDataset, MaskDataset, PatchDataset, inside
from LandmarkDetectorLib.datasets.cases import Case, Dataset
from LandmarkDetectorLib.datasets.samples import Sample
from LandmarkDetectorLib.datasets.transforms import Elastic, Resize, SwapOnMirror
from LandmarkDetectorLib.heatmaps import GaussianHeatmaps
from LandmarkDetectorLib.io import load_landmarks

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

PICTURE = Path(__file__).resolve().with_suffix(".png")
SAMPLES = PICTURE.parents[2] / "LandmarkDetectorLib" / "bundles" / "shipped" / "fetal-head-us" / "samples"
COLOURS = ("#56b4e9", "#e69f00", "#f0e442", "#cc79a7")
LAYER = "#d55e00"


def dataset() -> Dataset:
    """The picture that comes with the shipped bundle."""
    marks = load_landmarks(SAMPLES / "050_HC.mrk.json")
    case = Case(subject="050", image_path=SAMPLES / "050_HC.mha", landmarks=marks, family="050")
    return Dataset("fetal head", tuple(marks.labels), (case,))


def panels() -> list[tuple[str, str, Sample, torch.Tensor | None]]:
    """Title, what made it, the sample, and a layer to lay over."""
    data, resize = dataset(), Resize((160, 224), keep_aspect=True)
    labels = data.labels
    mirror = SwapOnMirror(mt.RandFlipd("image", prob=1, spatial_axis=1), [(labels[0], labels[1])])
    turn = mt.RandAffined("image", prob=1, rotate_range=0.5, scale_range=0.2, padding_mode="zeros")
    plain = LandmarkDataset(data, resize)
    heat = HeatmapDataset(LandmarkDataset(data, [resize, turn], seed=3), GaussianHeatmaps(4, 2, 28.0), deform=True)[0]
    masks = MaskDataset(plain, 4.0)[0]
    return [
        ("a sample", "Resize(..., keep_aspect=True)", plain[0], None),
        ("mirrored", "SwapOnMirror(RandFlipd(...), pairs)", LandmarkDataset(data, [resize, mirror], seed=0)[0], None),
        ("deformed", "Elastic(30, 12)", LandmarkDataset(data, [resize, Elastic(30, 12)], seed=7)[0], None),
        ("with heatmaps", "HeatmapDataset(..., deform=True)", heat, heat["heatmaps"].amax(0)),
        ("with masks", "MaskDataset(..., 4)", masks, masks["mask"].amax(0)),
        ("a patch", "PatchDataset(..., (72, 100))", PatchDataset(plain, (72, 100), seed=1)[0], None),
    ]


def main() -> None:
    """Draw and save."""
    names = dataset().labels
    figure, axes = plt.subplots(2, 3, figsize=(9.4, 5.4), dpi=90, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1, w_pad=0.05, hspace=0.03)
    for axis, (title, words, sample, layer) in zip(axes.flat, panels(), strict=True):
        axis.imshow(sample["image"][0], cmap="gray")
        if layer is not None:
            tint = np.ones((*layer.shape, 4)) * to_rgba(LAYER)
            tint[..., 3] = 0.75 * layer.numpy()
            axis.imshow(tint)
        for place, seen, colour, name in zip(sample["landmarks"], inside(sample), COLOURS, names, strict=True):
            if seen:
                axis.plot(*place, "o", color=colour, markersize=8, markeredgecolor="black", label=name)
        axis.set_title(title, fontsize=11, fontweight="bold")
        axis.set_xlabel(words, fontsize=9, family="monospace")
        axis.set(xticks=[], yticks=[])
    handles, texts = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    figure.savefig(PICTURE, pil_kwargs={"optimize": True})
    print(f"{PICTURE.name}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
