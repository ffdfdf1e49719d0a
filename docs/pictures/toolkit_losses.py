"""Draws what the losses charge, for ``docs/toolkit/losses.md``: ``python docs/pictures/toolkit_losses.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
from matplotlib.axes import Axes
from torch import Tensor

from LandmarkDetectorLib.losses import build_loss

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

PICTURE = Path(__file__).resolve().with_suffix(".png")
MAPS = {  # name: label, colour, dashes, whether its prediction is a logit
    "heatmap_l1": ("#999999", "--", False),
    "heatmap_l2": ("#000000", "-", False),
    "heatmap_smooth_l1": ("#56b4e9", "--", False),
    "adaptive_wing": ("#d55e00", "-", False),
    "exponential_weighted_centre": ("#009e73", "-.", False),
    "heatmap_bce": ("#0072b2", ":", True),
    "central": ("#cc79a7", "-", True),
}
POSITIONS = {
    "euclidean": ("#000000", "-"),
    "wing": ("#d55e00", "-"),
    "star": ("#0072b2", "-."),
    "gaussian_nll": ("#009e73", "--"),
}


def of_voxel(name: str, truth: float, predicted: Tensor, logit: bool) -> Tensor:
    """What one voxel costs for each prediction, as a share of the most that one costs where the truth is 1."""
    loss = build_loss(name, reduction="none")
    maps = predicted.logit() if logit else predicted
    target = torch.full((len(predicted), 1, 1, 1), truth)
    worst = predicted.min().reshape(1, 1, 1, 1)
    most = loss(worst.logit() if logit else worst, torch.ones(1, 1, 1, 1))
    return loss(maps.reshape(-1, 1, 1, 1), target)[:, 0] / most[0, 0]


def of_position(name: str, error: Tensor) -> Tensor:
    """What an error along x costs, above what none does, with a standard deviation of 2 where there is one."""
    positions = torch.stack([error, torch.zeros_like(error)], -1)[:, None]
    covariances = (4.0 * torch.eye(2)).expand(len(error), 1, 2, 2)
    given = positions if name in ("euclidean", "wing") else (positions, covariances)
    values = build_loss(name, reduction="none")(given, torch.zeros_like(positions))[:, 0]
    return values - values[0]


def finish(axis: Axes, title: str, across: str) -> None:
    """What all three have."""
    axis.set_title(title, fontsize=11, fontweight="bold")
    axis.set_xlabel(across)
    axis.grid(color="#e6e6e6", lw=0.6)
    axis.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draw and save."""
    figure, (centre, beside, places) = plt.subplots(1, 3, figsize=(10.4, 4.4), dpi=105, layout="constrained")
    predicted = torch.linspace(0.02, 0.98, 97)
    for axis, truth in ((centre, 1.0), (beside, 0.0)):
        for name, (colour, dashes, logit) in MAPS.items():
            axis.plot(predicted, of_voxel(name, truth, predicted, logit), dashes, color=colour, lw=1.8, label=name)
        axis.set_ylim(-0.03, 1.08)
    centre.set_ylabel("cost, the most for y = 1 being 1")
    finish(centre, "the landmark's voxel, y = 1", "prediction")
    finish(beside, "background, y = 0", "prediction")
    error = torch.linspace(0, 12, 121)
    for name, (colour, dashes) in POSITIONS.items():
        places.plot(error, of_position(name, error), dashes, color=colour, lw=1.8, label=name)
    places.set_ylim(-0.5, 19)
    finish(places, "a position", "error, voxels")
    figure.legend(*beside.get_legend_handles_labels(), loc="outside lower left", ncols=4, frameon=False, fontsize=9)
    places.legend(frameon=False, fontsize=9, loc="upper left")
    figure.savefig(PICTURE)
    print(f"{PICTURE.name}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
