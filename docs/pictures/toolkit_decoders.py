"""Draws how well the decoders read, for ``docs/toolkit/decoders.md``: ``python docs/pictures/toolkit_decoders.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
from torch import Tensor

from LandmarkDetectorLib.heatmaps import decode, decoder_names, gaussian_heatmaps

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

PICTURE = Path(__file__).resolve().with_suffix(".png")
SHAPE, NOISE, COUNT = (96, 128), 0.02, 200
WIDTHS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
ABOVE = "weighted_mean"
"""The whole map's noise draws it by tens of voxels; it stands in the page's table."""
LOOK = {  # Okabe and Ito's colours, with a marker of its own for each
    "gaussian_fit": ("#000000", "o"),
    "log_quadratic": ("#0072b2", "s"),
    "dark": ("#009e73", "^"),
    "local_mean": ("#e69f00", "D"),
    "local_soft_argmax": ("#56b4e9", "v"),
    "enlarged_argmax": ("#cc79a7", "X"),
    "argmax": ("#d55e00", "*"),
}


def maps_of(centres: Tensor, sigma: float) -> Tensor:
    """Gaussians with noise."""
    maps, _ = gaussian_heatmaps(centres[None], SHAPE, sigma)
    return maps + NOISE * torch.randn(maps.shape, generator=torch.Generator().manual_seed(1))


def error(method: str, centres: Tensor, sigma: float) -> float:
    """Mean distance in voxels; a map in which nothing was found is no number, and would show."""
    found = decode(maps_of(centres, sigma), method).positions[0]
    return float((found - centres).norm(dim=-1).mean())


def main() -> None:
    """Draw and save."""
    assert {*LOOK, ABOVE} == set(decoder_names())
    extent = torch.tensor([SHAPE[1], SHAPE[0]]) - 1.0
    share = torch.rand(COUNT, 2, generator=torch.Generator().manual_seed(0))
    inner, corner = 16 + share * (extent - 32), share * 2.0
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 4.1), dpi=110, layout="constrained", sharey=True)
    for axis, centres in ((left, inner), (right, corner)):
        for name, (colour, marker) in LOOK.items():
            errors = [error(name, centres, sigma) for sigma in WIDTHS]
            axis.plot(WIDTHS, errors, color=colour, marker=marker, markersize=6, lw=1.5, label=name)
        axis.set_yscale("log")
        axis.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
        axis.minorticks_off()
        axis.set_xlabel("standard deviation of the peak, voxels")
        axis.grid(color="#e6e6e6", lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    left.set_ylabel("mean error, voxels")
    left.set_title("far from the border", fontsize=11, fontweight="bold")
    right.set_title("within two voxels of a corner", fontsize=11, fontweight="bold")
    figure.legend(*left.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=9.5)
    figure.savefig(PICTURE)
    print(f"{PICTURE.name}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
