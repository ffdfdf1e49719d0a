"""Draws the families of networks for ``docs/toolkit/networks.md``: ``python docs/pictures/toolkit_networks.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

PICTURE = Path(__file__).resolve().with_suffix(".png")
IMAGE, BODY, CONTEXT, MAPS = "#9aa0a6", "#5b8db8", "#7aa874", "#e0984c"
INK = "#3c4043"
LEVEL = (1.0, 0.62, 0.38, 0.22)
"""Heights of a block at full, half, quarter ... resolution."""


def block(panel: Axes, x: float, y: float, level: int, colour: str = BODY, text: str = "", width: float = 0.24) -> None:
    """A block centred at (x, y), as high as its resolution."""
    height = LEVEL[level]
    shape = FancyBboxPatch(
        (x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.05", fc=colour, ec="white"
    )
    panel.add_patch(shape)
    if text:
        panel.text(x, y - height / 2 - 0.1, text, ha="center", va="top", fontsize=8.5, color=INK)


def arrow(panel: Axes, start: tuple[float, float], end: tuple[float, float], dashed: bool = False) -> None:
    """From one place to another; a skip is dashed."""
    style = {"arrowstyle": "-|>", "color": INK, "lw": 1.0, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9}
    panel.annotate("", end, start, arrowprops=style | {"ls": (0, (3, 2)) if dashed else "-"})


def row(panel: Axes, places: list[float], y: float, half: float = 0.15) -> None:
    """Arrows from each place to the next."""
    for left, right in zip(places, places[1:], strict=False):
        arrow(panel, (left + half, y), (right - half, y))


def unet(panel: Axes) -> None:
    """Down, up, and skips."""
    places = [0.3 + 0.6 * n for n in range(9)]
    levels = [0, 0, 1, 2, 3, 2, 1, 0, 0]
    colours = [IMAGE, *[BODY] * 7, MAPS]
    texts = ["image", *[""] * 7, "heatmaps"]
    row(panel, places, 0)
    for x, level, colour, text in zip(places, levels, colours, texts, strict=True):
        block(panel, x, 0, level, colour, text)
    for left, right, top in ((1, 7, 0.72), (2, 6, 0.5), (3, 5, 0.32)):
        for x in (places[left], places[right]):
            panel.plot([x, x], [LEVEL[left - 1] / 2 + 0.03, top], color=INK, lw=1, ls=(0, (3, 2)))
        panel.plot([places[left], places[right]], [top, top], color=INK, lw=1, ls=(0, (3, 2)))
    panel.set_title("U-Nets: fine and coarse features meet by skips")


def scn(panel: Axes) -> None:
    """Two factors."""
    block(panel, 0.3, 0, 0, IMAGE, "image")
    arrow(panel, (0.45, 0), (0.8, 0))
    block(panel, 1.25, 0, 0, BODY, "", 0.84)
    panel.text(1.25, 0, "local\nappearance\n(any\nnetwork)", ha="center", va="center", fontsize=7.5, color="white")
    arrow(panel, (1.7, 0), (2.06, 0))
    block(panel, 2.2, 0, 0, MAPS, "local maps")
    arrow(panel, (2.35, 0.35), (2.72, 0.35))
    for x in (2.85, 3.2, 3.55):
        block(panel, x, 0.35, 3, CONTEXT, "", 0.2)
    panel.text(3.2, 0.5, "spatial configuration", ha="center", va="bottom", fontsize=8.5, color=INK)
    panel.text(3.2, 0.2, "wide kernels at 1/16", ha="center", va="top", fontsize=7.5, color=INK)
    arrow(panel, (3.68, 0.35), (4.22, 0.08))
    arrow(panel, (2.35, -0.25), (4.22, -0.08))
    panel.text(4.34, 0, "×", ha="center", va="center", fontsize=16, color=INK)
    arrow(panel, (4.45, 0), (4.85, 0))
    block(panel, 5.1, 0, 0, MAPS, "heatmaps")
    panel.set_title("SCN: what it looks like × where it may stand")


def hourglass(panel: Axes) -> None:
    """Two stacks."""
    block(panel, 0.2, 0, 0, IMAGE, "image")
    arrow(panel, (0.34, 0), (0.63, 0))
    for start in (0.75, 2.75):
        for step, level in enumerate((1, 2, 3, 2, 1)):
            block(panel, start + 0.26 * step, 0, level, BODY, "", 0.2)
        arrow(panel, (start + 1.17, 0), (start + 1.32, 0))
        block(panel, start + 1.45, 0, 1, MAPS, "maps, judged too" if start < 1 else "", 0.2)
    arrow(panel, (2.33, 0), (2.62, 0))
    panel.plot([0.75, 0.75], [0.34, 0.62], color=INK, lw=1, ls=(0, (3, 2)))
    panel.plot([0.75, 2.75], [0.62, 0.62], color=INK, lw=1, ls=(0, (3, 2)))
    arrow(panel, (2.75, 0.62), (2.75, 0.34), dashed=True)
    arrow(panel, (4.33, 0), (4.85, 0))
    block(panel, 5.1, 0, 0, MAPS, "heatmaps")
    panel.set_title("Hourglasses: each corrects the one before")


def hrnet(panel: Axes) -> None:
    """Branches beside each other."""
    block(panel, 0.2, 0, 0, IMAGE, "image")
    row(panel, [0.2, 0.7], 0.4, 0.12)
    heights, columns = (0.4, 0.0, -0.35, -0.62), (0.8, 1.75, 2.7, 3.65)
    sizes = (0.3, 0.22, 0.16, 0.1)
    for column, x in enumerate(columns):
        for branch in range(column + 1):
            panel.add_patch(
                FancyBboxPatch(
                    (x - 0.2, heights[branch] - sizes[branch] / 2),
                    0.4,
                    sizes[branch],
                    boxstyle="round,pad=0,rounding_size=0.04",
                    fc=BODY,
                    ec="white",
                )
            )
    for column, (x, following) in enumerate(zip(columns, columns[1:], strict=False)):
        for source in range(column + 1):
            for target in range(column + 2):
                arrow(panel, (x + 0.22, heights[source]), (following - 0.22, heights[target]))
    for branch in range(4):
        arrow(panel, (3.87, heights[branch]), (4.9, 0.25 - 0.17 * branch))
    block(panel, 5.1, 0, 0, MAPS, "heatmaps")
    panel.set_title("HRNet: all resolutions side by side")


def main() -> None:
    """Draw and save."""
    figure, panels = plt.subplots(2, 2, figsize=(10, 4.6), dpi=120)
    for draw, panel in zip((unet, scn, hourglass, hrnet), panels.flat, strict=True):
        panel.set(xlim=(0, 5.4), ylim=(-0.95, 0.85))
        panel.axis("off")
        draw(panel)
        panel.title.set(fontsize=10.5, color=INK)
    figure.tight_layout(h_pad=1.0, w_pad=2.0)
    figure.savefig(PICTURE)


if __name__ == "__main__":
    main()
