"""Draws the module's icon, 128 and 32 pixels wide, and the thumbnails of the samples for Slicer's Sample Data.

    python docs/pictures/make_icon.py

The icon: the outline of a head, the glow of a heatmap, and the landmark that is read from it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.patches import Circle, FancyBboxPatch  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
ICONS = ROOT / "LandmarkDetector" / "Resources" / "Icons"
NIGHT, BONE, WHITE = "#12263a", "#9fb7c9", "#ffffff"
CONFIRMED = "#4cc38a"
THUMBNAIL = (260, 280)  # pixels, as Sample Data shows them


def glow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A heatmap around the origin, from 0 to 1, longer than it is wide; ``x`` and ``y`` in the icon's units."""
    turn = np.deg2rad(35)
    along, across = np.cos(turn) * x + np.sin(turn) * y, -np.sin(turn) * x + np.cos(turn) * y
    return np.exp(-((along / 0.21) ** 2 + (across / 0.14) ** 2) / 2)


def draw_icon(size: int) -> None:
    """Draw the icon, ``size`` pixels wide; the smaller it is, the less is in it."""
    small = size < 64
    figure = plt.figure(figsize=(1, 1), dpi=size)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.axis("off")
    tile = FancyBboxPatch((0.03, 0.03), 0.94, 0.94, boxstyle="round,pad=0,rounding_size=0.2", fc=NIGHT, ec="none")
    axes.add_patch(tile)

    centre = np.array((0.40, 0.54))
    x, y = np.meshgrid(np.linspace(0, 1, 4 * size), np.linspace(0, 1, 4 * size))
    heat = glow(x - centre[0], y - centre[1])
    colours = mpl.colormaps["inferno"](0.25 + 0.65 * heat)
    colours[..., 3] = np.clip(1.35 * heat**0.75, 0, 1)
    picture = axes.imshow(colours, extent=(0, 1, 0, 1), origin="lower", interpolation="bilinear", zorder=2)
    picture.set_clip_path(tile)

    # A head from the side: vault, forehead, nose, jaw and nape as one closed curve.
    head = [(0.30, 0.16), (0.30, 0.27), (0.20, 0.29), (0.21, 0.38), (0.13, 0.42), (0.20, 0.56), (0.19, 0.68)]
    head += [(0.28, 0.83), (0.47, 0.90), (0.69, 0.85), (0.82, 0.67), (0.81, 0.48), (0.70, 0.33), (0.68, 0.16)]
    outline = np.array(head)
    t = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(outline, axis=0).T))])
    from scipy.interpolate import make_interp_spline

    curve = make_interp_spline(t, outline, k=3)(np.linspace(0, t[-1], 200))
    points = 72 / size  # points of the page in one pixel
    width = 2.6 if small else 5.5
    axes.plot(*curve.T, color=BONE, lw=width * points, solid_capstyle="round", zorder=3)

    axes.add_patch(
        Circle(centre, 0.12 if small else 0.1, fc="none", ec=WHITE, lw=(2 if small else 4.5) * points, zorder=4)
    )
    axes.add_patch(Circle(centre, 0.045 if small else 0.036, fc=WHITE, ec="none", zorder=4))
    if not small:
        for place in ((0.66, 0.62), (0.58, 0.34)):
            axes.add_patch(Circle(place, 0.045, fc=CONFIRMED, ec=NIGHT, lw=3 * points, zorder=4))
    name = "LandmarkDetector.png" if size == 128 else f"LandmarkDetector-{size}.png"
    figure.savefig(ICONS / name, dpi=size, transparent=True)
    plt.close(figure)


def colours(array: np.ndarray) -> np.ndarray:
    """A picture (3, Y, X) of values up to 255, as (Y, X, 3) of values up to 1."""
    return np.moveaxis(np.asarray(array, dtype=np.float32), 0, -1) / 255


def draw_thumbnails() -> None:
    """One picture a bundle: the first sample, as a projection along its longest side where it is a volume."""
    sys.path.insert(0, str(ROOT))
    from LandmarkDetectorLib import load_bundle, load_image, load_landmarks

    for name in ("fetal-head-us", "fundus", "hippocampus-mr", "mouse-skull-ct"):
        path = load_bundle(name).samples()[0]
        image = load_image(path)
        landmarks = load_landmarks(next(path.parent.glob(path.name.split(".")[0] + ".mrk.json")))
        voxels = np.asarray(image.array, dtype=np.float32).squeeze(0) if image.channels == 1 else colours(image.array)
        index = np.array([image.grid.to_index(mark.position) for mark in landmarks if mark.position is not None])
        if image.dimension == 3:  # seen from the side along x: y to the right, z up
            # Bone shows in a projection; the values of MR do not, so there it is the slice in the landmarks' middle.
            bone = "CT" in load_bundle(name).card.modality
            seen = voxels.max(axis=2) if bone else voxels[:, :, round(index[:, 0].mean())]
            voxels, index = seen[::-1], index[:, 1:]
            index[:, 1] = voxels.shape[0] - 1 - index[:, 1]
        low, high = np.quantile(voxels, (0.02, 0.998))
        figure = plt.figure(figsize=(THUMBNAIL[0] / 100, THUMBNAIL[1] / 100), dpi=100, facecolor="black")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(voxels, cmap="gray", vmin=low, vmax=high, interpolation="bilinear")
        axes.scatter(index[:, 0], index[:, 1], s=22, c=CONFIRMED, edgecolors=NIGHT, linewidths=0.8)
        axes.axis("off")
        figure.savefig(ICONS / f"sample-{name}.png", dpi=100)
        plt.close(figure)


if __name__ == "__main__":
    ICONS.mkdir(parents=True, exist_ok=True)
    draw_icon(128)
    draw_icon(32)
    draw_thumbnails()
