"""Draws where CoorTransformer's samples lie: ``python docs/pictures/toolkit_coortransformer.py``.

The network on the left; on the right, positions that the code itself gives: of an untrained attention, for four
landmarks of a head in an ultrasound image, in our form and in the published one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, FancyBboxPatch
from toolkit_networks import BODY, CONTEXT, IMAGE, INK, MAPS, arrow

PICTURE = Path(__file__).resolve().with_suffix(".png")
sys.path.insert(0, str(PICTURE.parents[2]))

from LandmarkDetectorLib.models.cross_attention import lattice  # noqa: E402
from LandmarkDetectorLib.models.landmark_attention import FreeAttention, LandmarkAttention  # noqa: E402

CENTRES = torch.tensor([[-0.62, 0.18], [0.60, -0.22], [-0.13, -0.55], [0.13, 0.55]])
COLOURS = ("#d1495b", "#2e8b57", "#c98b1e", "#3d6fb6")
SIZE = 24
REACH = 0.2


def part(panel: Axes, x: float, y: float, width: float, height: float, colour: str, text: str = "") -> None:
    """A rounded block with what it is inside."""
    shape = (x - width / 2, y - height / 2), width, height
    panel.add_patch(FancyBboxPatch(*shape, boxstyle="round,pad=0,rounding_size=0.05", fc=colour, ec="white"))
    panel.text(x, y, text, ha="center", va="center", fontsize=8, color="white")


def network(panel: Axes) -> None:
    """A U-Net on its side, the coarse head, and the attention of three stages."""
    panel.set(xlim=(-0.1, 5.5), ylim=(-2.75, 0.9))
    panel.axis("off")
    rows = (0.3, -0.25, -0.8, -1.35, -1.9)
    for level, (y, name) in enumerate(zip(rows, ("1", "1/2", "1/4", "1/8", "1/16"), strict=True)):
        panel.text(0.0, y, name, va="center", fontsize=8.5, color=INK)
        x = 0.85 + 0.28 * level
        part(panel, x, y, 0.5, 0.36, BODY)
        if level:
            arrow(panel, (x - 0.28, rows[level - 1] - 0.18), (x - 0.14, y + 0.18))
        if level < 4:
            other = 3.4 - 0.28 * level
            part(panel, other, y, 0.5, 0.36, BODY)
            arrow(panel, (x + 0.25, y), (other - 0.25, y), dashed=True)
            below = 3.26 - 0.28 * level if level < 3 else 1.97 + 0.25
            arrow(panel, (below, rows[level + 1] + (0.18 if level < 3 else 0.08)), (other - 0.06, y - 0.18))
        if 0 < level < 4:
            part(panel, 4.35, y, 0.86, 0.36, CONTEXT, "attention")
            arrow(panel, (3.65 - 0.28 * level, y + 0.07), (3.92, y + 0.07))
            arrow(panel, (3.92, y - 0.07), (3.65 - 0.28 * level, y - 0.07))
    part(panel, 3.3, -2.5, 1.15, 0.36, MAPS, "coarse maps")
    arrow(panel, (2.6, rows[3] - 0.18), (3.0, -2.32))
    arrow(panel, (3.88, -2.5), (4.35, -2.5))
    panel.text(4.42, -2.5, "where the\nlandmarks are", va="center", fontsize=8.5, color=INK)
    arrow(panel, (4.55, -2.25), (4.4, rows[3] - 0.2))
    part(panel, 0.3, 0.72, 0.62, 0.2, IMAGE, "image")
    arrow(panel, (0.62, 0.66), (0.78, 0.5))
    part(panel, 4.6, 0.72, 0.86, 0.2, MAPS, "heatmaps")
    arrow(panel, (3.65, 0.42), (4.15, 0.64))
    panel.set_title("a coarse head says where to look", fontsize=10, color=INK)


def field(panel: Axes, title: str) -> None:
    """An image's outline with a head in it."""
    panel.set(xlim=(-1.04, 1.04), ylim=(1.04, -1.04), aspect="equal", xticks=[], yticks=[])
    for side in panel.spines.values():
        side.set_color("#c4c7c5")
    panel.add_patch(Ellipse((0, 0), 1.34, 1.12, angle=-18, fc="#f1f3f4", ec=IMAGE, lw=1.2))
    panel.set_title(title, fontsize=10, color=INK)


@torch.no_grad()
def main() -> None:
    """Draw and save."""
    torch.manual_seed(3)
    feature = torch.randn(1, 32, SIZE, SIZE)
    figure, panels = plt.subplots(1, 3, figsize=(10.5, 3.5), dpi=120, width_ratios=(1.5, 1, 1))
    network(panels[0])
    field(panels[1], "ours: around the landmarks, and a grid")
    grid = lattice((8, 8), feature)
    panels[1].plot(*grid.T, "s", color="#b7bcc1", ms=3)
    _, positions = LandmarkAttention(2, 32, 4, samples=8, grid=8, reach=REACH).place(feature, CENTRES[None])
    for centre, around, colour in zip(CENTRES, positions[0], COLOURS, strict=True):
        panels[1].plot(*around.T, "o", color=colour, ms=3.5)
        panels[1].plot(*centre, "+", color=colour, ms=10, mew=1.8)
    field(panels[2], "as published: one quadrant")
    places = FreeAttention(2, 32).place(2 * feature)[0]
    panels[2].plot(*places.T, "o", color=INK, ms=3, alpha=0.5)
    for centre, colour in zip(CENTRES, COLOURS, strict=True):
        panels[2].plot(*centre, "+", color=colour, ms=10, mew=1.8)
    figure.tight_layout(w_pad=1.5)
    figure.savefig(PICTURE)


if __name__ == "__main__":
    main()
