"""Draws what AdaLoss does, for its page in the toolkit: ``python docs/pictures/toolkit_adaptive_sigma.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch

from LandmarkDetectorLib.heatmaps import GaussianHeatmaps
from LandmarkDetectorLib.training.adaptive_sigma import AdaptiveSigma

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

PICTURE = Path(__file__).resolve().with_suffix(".png")
EPOCHS = 40
NAMES = ("becomes calm", "becomes calm late", "never does")
LOOKS = (("#0072b2", "-"), ("#d55e00", "--"), ("#009e73", ":"))
SIZE = (56, 56)
SHOWN = (0, 12, 20, 39)
"""Epochs after which the targets are shown."""


def made_losses() -> torch.Tensor:
    """Losses (epochs, 3) of three landmarks: their scatter fades early, late, or not at all."""
    generator = torch.Generator().manual_seed(3)
    epoch = torch.arange(EPOCHS)[:, None]
    scatter = torch.cat([0.86**epoch, 0.86 ** (epoch - 14).clamp(min=0), torch.ones(EPOCHS, 1)], 1)
    level = torch.tensor([0.5, 1.0, 1.5]) + 2 * torch.exp(-epoch / 6)
    return level + 0.15 * scatter * torch.randn(EPOCHS, 3, generator=generator)


def main() -> None:
    """Draw and save."""
    generator = GaussianHeatmaps(3, 2, 8.0)
    schedule = AdaptiveSigma(generator, floor=1.5, ceiling=10.0)
    losses = made_losses()
    widths, targets = [], []
    for epoch, loss in enumerate(losses):
        schedule.step(loss)
        widths.append(generator.sigma[:, 0].clone())
        if epoch in SHOWN:
            targets.append(generator(torch.full((1, 3, 2), 27.5), SIZE)[0][0])
    figure = plt.figure(figsize=(10.4, 3.9), dpi=105, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.35, 1))
    above, below = left.subplots(2, 1, sharex=True)
    for k, (name, (colour, dashes)) in enumerate(zip(NAMES, LOOKS, strict=True)):
        above.plot(losses[:, k], dashes, color=colour, lw=1.8, label=name)
        below.plot(torch.stack(widths)[:, k], dashes, color=colour, lw=1.8)
    above.set_ylabel("loss")
    above.legend(frameon=False, fontsize=9, title="a loss that", loc="upper right")
    below.set_ylabel("σ, voxels")
    below.set_xlabel("epoch")
    below.axhline(1.5, color="#999999", lw=1)
    below.annotate("floor", (0, 1.5), xytext=(0, 3), textcoords="offset points", fontsize=8)
    for axis in (above, below):
        axis.grid(color="#e6e6e6", lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    axes = right.subplots(3, len(SHOWN))
    for column, (epoch, maps) in enumerate(zip(SHOWN, targets, strict=True)):
        axes[0, column].set_title(f"epoch {epoch + 1}", fontsize=9)
        for k in range(3):
            axes[k, column].imshow(maps[k], cmap="viridis", vmin=0, vmax=1)
            axes[k, column].set(xticks=[], yticks=[])
    for k, name in enumerate(NAMES):
        axes[k, 0].set_ylabel(name, fontsize=8, color=LOOKS[k][0])
    figure.savefig(PICTURE)
    print(f"{PICTURE.name}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
