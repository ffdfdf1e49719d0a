"""Draws the figure of docs/toolkit/regions.md: the six calibrated methods on one heatmap of a landmark on an edge.

python docs/pictures/toolkit_regions.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import torch

from LandmarkDetectorLib.core import Grid
from LandmarkDetectorLib.evaluation.regions import Predictions, build_region_method, coverage_report

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

SIZE, CALIBRATE, JUDGE, LEVEL = 64, 200, 1000, 0.9
METHODS = ("ellipsoidal", "max-nonconformity", "bonferroni", "m-r2ccp", "m-r2c2r", "contour-hugging")
FILL, LINE = "#2a6f97", "#d1495b"


def cases() -> tuple[Predictions, np.ndarray]:
    """Landmarks somewhere along a curved edge; the heatmaps believe that they know it better than they do."""
    rng = np.random.default_rng(5)
    count = CALIBRATE + JUDGE
    radius, facing = rng.uniform(12, 22, count), rng.uniform(0, 2 * np.pi, count)
    facing[-1], radius[-1] = 0.9, 14  # the one that is shown
    centre = SIZE / 2 - radius[:, None] * np.stack([np.cos(facing), np.sin(facing)], -1)
    y, x = np.mgrid[:SIZE, :SIZE]
    offset = np.stack([x, y], -1) - centre[:, None, None]
    across = np.linalg.norm(offset, axis=-1) - radius[:, None, None]
    turned = np.arctan2(offset[..., 1], offset[..., 0]) - facing[:, None, None]
    along = radius[:, None, None] * ((turned + np.pi) % (2 * np.pi) - np.pi)
    maps = np.exp(-0.5 * ((along / 7) ** 2 + (across / 1.6) ** 2))
    angle = facing + rng.normal(size=count) * 9.5 / radius
    far = radius + 2.0 * rng.normal(size=count)
    truths = centre + far[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    peaks = centre + radius[:, None] * np.stack([np.cos(facing), np.sin(facing)], -1)
    share = maps / maps.sum((1, 2), keepdims=True)
    away = np.stack([x, y], -1) - peaks[:, None, None]
    covariances = np.einsum("nyx,nyxi,nyxj->nij", share, away, away)
    heatmaps = torch.tensor(maps, dtype=torch.float32)[:, None]
    predictions = Predictions(peaks[:, None], ("landmark",), covariances[:, None], heatmaps, unit="px")
    return predictions, truths[:, None]


def main() -> None:
    """Calibrate on some, judge on others, show one."""
    predictions, truths = cases()
    known, others = slice(0, CALIBRATE), slice(CALIBRATE, None)
    shown, grid = predictions.cases([-1]), Grid.regular((SIZE * 8, SIZE * 8), 1 / 8, "px")
    figure, axes = plt.subplots(2, 3, figsize=(8.1, 6.3), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1, hspace=0.04)
    for axis, name in zip(axes.flat, METHODS, strict=True):
        calibrated = build_region_method(name).calibrate(predictions.cases(known), truths[known], LEVEL)
        report = coverage_report(calibrated, predictions.cases(others), truths[others])
        region = calibrated.region(shown, 0)
        axis.imshow(shown.heatmaps[0][0], cmap="Greys", vmin=0, vmax=1.25)
        mask = region.as_mask(grid).astype(float)
        extent = np.arange(SIZE * 8) / 8
        axis.contourf(extent, extent, mask, levels=[0.5, 1.5], colors=[FILL], alpha=0.22)
        axis.contour(extent, extent, mask, levels=[0.5], colors=[FILL], linewidths=1.6)
        axis.plot(*region.centre, "+", color=LINE, markersize=10, markeredgewidth=1.8)
        axis.set_title(name, fontsize=11, fontweight="bold")
        held, size = 100 * report.landmarks.rate, report.sizes["all"].median
        axis.set_xlabel(f"holds {held:.0f} %, median {size:.0f} px²", fontsize=10)
        axis.set_xlim(6, SIZE - 6)
        axis.set_ylim(SIZE - 6, 6)
        axis.set_xticks([])
        axis.set_yticks([])
    path = Path(__file__).with_suffix(".png")
    figure.savefig(path, dpi=110)
    print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
