"""Writing on pictures: names beside landmarks and a scale bar. Places are pixels of the paper, y down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.evaluation.canvas import DOTS, halo
from LandmarkDetectorLib.evaluation.paint import round_length
from LandmarkDetectorLib.evaluation.placement import place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TEXT, MARKER = 8.5, 5.5
"""Sizes in typographic points."""

LETTER_COLOUR = "#ffd27f"


def short_names(landmarks: LandmarkSet) -> list[str]:
    """What is written beside the markers: the labels, or running numbers from 1 where labels are too long for that."""
    labels = landmarks.labels
    longest = max(map(len, labels), default=0)
    readable = longest <= 4 or (longest <= 16 and len(labels) <= 10)
    # Matplotlib's own font has the letters up to Greek and Cyrillic; others would come out as empty boxes.
    drawable = all(label.isprintable() and max(map(ord, label), default=0) < 0x530 for label in labels)
    return labels if readable and drawable else [str(k + 1) for k in range(len(labels))]


def write_names(
    over: Axes, spots: np.ndarray, names: Sequence[str], bounds: Sequence[float], occupied: Sequence = ()
) -> None:
    """Write a name beside each spot (K, 2), clear of the others, with a line to it where it stands away."""
    letter = TEXT * DOTS / 72
    sizes = np.array([(0.62 * letter * len(name) + 2, letter * 1.05) for name in names]).reshape(-1, 2)
    radius = (MARKER / 2 + 1) * DOTS / 72
    spots = np.asarray(spots, dtype=np.float64).reshape(-1, 2)
    centres = place_labels(spots, sizes, bounds, radius, np.array(occupied))
    for spot, centre, box in zip(spots, centres, sizes, strict=True):
        if np.any(np.abs(centre - spot) > radius + box * 0.75):
            over.plot(*zip(spot, centre, strict=True), color="white", linewidth=0.7, alpha=0.8, zorder=2)
    for name, centre in zip(names, centres, strict=True):
        text = over.text(centre[0], centre[1], name, color="white", size=TEXT, ha="center", va="center_baseline")
        # A label is a name, never a formula.
        text.set(parse_math=False, path_effects=halo(), zorder=4)


def scale_bar(over: Axes, width: float, foot: np.ndarray, paper_width: float) -> tuple[float, float, float, float]:
    """Draw a round number of millimetres above the lower left corner of a picture; return the box that this takes.

    Args:
        over: axes in pixels of the paper.
        width: of the picture in mm.
        foot: (2,) its lower left corner.
        paper_width: its width in pixels of the paper.
    """
    length = round_length(width)
    pixels = length * paper_width / width
    x, y = foot + (0.08 * DOTS, -0.08 * DOTS)
    over.plot([x, x + pixels], [y, y], color="white", linewidth=2.5, path_effects=halo(), solid_capstyle="butt")
    over.text(x, y - 0.04 * DOTS, f"{length:g} mm", color="white", size=TEXT, va="bottom", path_effects=halo())
    return x, y - 0.24 * DOTS, x + max(pixels, 0.6 * DOTS), y
