"""Draws FARNet for ``docs/toolkit/farnet.md``: ``python docs/pictures/toolkit_farnet.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from toolkit_networks import BODY, CONTEXT, IMAGE, INK, MAPS, arrow

PICTURE = Path(__file__).resolve().with_suffix(".png")
DOWN, UP = "#7c9fc4", "#4a78a6"
LEVELS = {level: -0.9 * level for level in range(6)}
"""Heights of the rows: full resolution, 1/2, ... 1/32."""
COLUMNS = {"backbone": 0.0, "up1": 1.7, "down": 3.4, "up2": 5.1, "coarse": 6.6, "join": 7.9, "maps": 9.4}
HALF = (0.48, 0.23)


def block(panel: Axes, column: str, level: int, text: str, colour: str) -> None:
    """A feature: its name and channels."""
    x, y = COLUMNS[column], LEVELS[level]
    shape = FancyBboxPatch(
        (x - HALF[0], y - HALF[1]),
        2 * HALF[0],
        2 * HALF[1],
        boxstyle="round,pad=0,rounding_size=0.07",
        fc=colour,
        ec="w",
    )
    panel.add_patch(shape)
    panel.text(x, y, text, ha="center", va="center", fontsize=8.5, color="white")


def along(panel: Axes, column: str, first: int, last: int) -> None:
    """Arrows from row to row of a column."""
    step = 1 if last > first else -1
    for level in range(first, last, step):
        start, end = LEVELS[level] - step * HALF[1], LEVELS[level + step] + step * HALF[1]
        arrow(panel, (COLUMNS[column], start), (COLUMNS[column], end))


def across(panel: Axes, left: str, right: str, level: int) -> None:
    """An arrow from a column to another."""
    arrow(panel, (COLUMNS[left] + HALF[0], LEVELS[level]), (COLUMNS[right] - HALF[0], LEVELS[level]))


def main() -> None:
    """Draw and save."""
    figure, panel = plt.subplots(figsize=(10, 5.2), dpi=120)
    panel.set(xlim=(-1.6, 10.1), ylim=(-5.0, 0.85))
    panel.axis("off")
    for level, name in enumerate(("1", "1/2", "1/4", "1/8", "1/16", "1/32")):
        panel.text(-1.5, LEVELS[level], name, ha="left", va="center", fontsize=9, color=INK)
        panel.plot([-1.0, 10.0], [LEVELS[level]] * 2, color="#e8eaed", lw=0.8, zorder=0)
    block(panel, "backbone", 0, "image", IMAGE)
    for level, channels in enumerate((64, 256, 512, 1024, 1024), 1):
        block(panel, "backbone", level, f"f{level}  {channels}", CONTEXT)
    along(panel, "backbone", 0, 5)
    for level in (5, 4, 3, 2):
        block(panel, "up1", level, f"p{level}  256", BODY)
        across(panel, "backbone", "up1", level)
    along(panel, "up1", 5, 2)
    for level, channels in ((3, 512), (4, 1024), (5, 1024)):
        block(panel, "down", level, f"d{level}  {channels}", DOWN)
        across(panel, "up1", "down", level)
    arrow(panel, (COLUMNS["up1"] + HALF[0], LEVELS[2] - 0.1), (COLUMNS["down"] - 0.1, LEVELS[3] + HALF[1]))
    along(panel, "down", 3, 5)
    for level, channels in ((5, 256), (4, 256), (3, 256), (2, 128), (1, 64)):
        block(panel, "up2", level, f"u{level}  {channels}", UP)
    for level in (5, 4, 3):
        across(panel, "down", "up2", level)
    across(panel, "up1", "up2", 2)
    across(panel, "backbone", "up2", 1)
    along(panel, "up2", 5, 1)
    block(panel, "coarse", 1, "maps  K", MAPS)
    across(panel, "up2", "coarse", 1)
    block(panel, "join", 0, "96 + K", BODY)
    across(panel, "backbone", "join", 0)
    arrow(panel, (COLUMNS["up2"] + 0.2, LEVELS[1] + HALF[1]), (COLUMNS["join"] - HALF[0], LEVELS[0] - 0.13))
    arrow(panel, (COLUMNS["coarse"] + 0.2, LEVELS[1] + HALF[1]), (COLUMNS["join"] - 0.2, LEVELS[0] - HALF[1]))
    block(panel, "maps", 0, "maps  K", MAPS)
    across(panel, "join", "maps", 0)
    panel.text(COLUMNS["coarse"], LEVELS[1] - 0.42, "judged too", ha="center", fontsize=8.5, color=INK)
    for column, name in (("backbone", "backbone"), ("up1", "up"), ("down", "down"), ("up2", "up again")):
        panel.text(COLUMNS[column], 0.6, name, ha="center", fontsize=9.5, color=INK)
    panel.text((COLUMNS["coarse"] + COLUMNS["maps"]) / 2, 0.6, "refinement", ha="center", fontsize=9.5, color=INK)
    figure.tight_layout()
    figure.savefig(PICTURE)


if __name__ == "__main__":
    main()
