"""Draws what the generators make, for docs/toolkit/generators.md: ``python docs/pictures/toolkit_generators.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import torch
from torch import Tensor

from LandmarkDetectorLib.heatmaps import GaussianHeatmaps, LaplaceHeatmaps

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

PICTURE = Path(__file__).resolve().with_suffix(".png")
SHAPE = (48, 64)
LINE = "#d55e00"


def landmarks(*places: tuple[float, float]) -> Tensor:
    """One class with these instances, (1, 1, N, 2)."""
    return torch.tensor(places)[None, None]


def panels() -> list[tuple[str, str, Tensor, float]]:
    """Title, what to write, the map, and its value one standard deviation from the landmark."""
    middle, pair = landmarks((31.4, 23.3)), landmarks((26.0, 23.3), (38.0, 23.3))
    shear = torch.tensor([[1.3, 0.5], [-0.2, 0.8]])
    made = [
        ("one width", "sigma=5", GaussianHeatmaps(1, 2, 5.0)(middle, SHAPE)),
        (
            "an axis each, turned",
            "sigma=[[10, 4]], rotation=0.5",
            GaussianHeatmaps(1, 2, [[10.0, 4.0]], rotation=0.5)(middle, SHAPE),
        ),
        ("after an augmentation", "affine=A:  S → A S Aᵀ", GaussianHeatmaps(1, 2, 5.0)(middle, SHAPE, affine=shear)),
        ("Laplace", "LaplaceHeatmaps, sigma=5", LaplaceHeatmaps(1, 2, 5.0)(middle, SHAPE)),
        ("two instances", 'instances="maximum"', GaussianHeatmaps(1, 2, 5.0)(pair, SHAPE)),
        ("what is left over", "background=True", GaussianHeatmaps(1, 2, 5.0, background=True)(pair, SHAPE)),
    ]
    one_away = [np.exp(-0.5)] * 3 + [np.exp(-np.sqrt(3)), np.exp(-0.5), 1 - np.exp(-0.5)]
    return [(title, words, maps[0, -1], level) for (title, words, (maps, _)), level in zip(made, one_away, strict=True)]


def main() -> None:
    """Draw and save."""
    figure, axes = plt.subplots(2, 3, figsize=(8.4, 5.0), dpi=110, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08, w_pad=0.06)
    for axis, (title, words, values, level) in zip(axes.flat, panels(), strict=True):
        shown = axis.imshow(values, cmap="cividis", vmin=0, vmax=1)
        axis.contour(np.asarray(values), levels=[level], colors=[LINE], linewidths=1.4)
        axis.set_title(title, fontsize=11, fontweight="bold")
        axis.set_xlabel(words, fontsize=9.5, family="monospace")
        axis.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes, shrink=0.7, aspect=30, ticks=[0, 0.5, 1])
    figure.savefig(PICTURE)
    print(f"{PICTURE.name}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
