"""Pictures by which a person checks an annotation: the whole image with its landmarks, and every landmark close by.

They work on a picture and on a volume, on any kind of numbers, from a file or from memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from LandmarkDetectorLib.core import Image, LandmarkError, LandmarkSet
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.evaluation.canvas import DOTS, SKY, halo
from LandmarkDetectorLib.evaluation.figures import overview_views
from LandmarkDetectorLib.evaluation.lettering import MARKER, short_names, write_names
from LandmarkDetectorLib.evaluation.panel import Panel, heat_of, image_window, paper, reframed, row_of_panels
from LandmarkDetectorLib.evaluation.tiles import landmark_views
from LandmarkDetectorLib.evaluation.views import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TILE = 1.35
"""Inches of a section through a landmark."""

_CAPTION = 0.22


def inspection_figure(image: Image, landmarks: LandmarkSet, *, heatmap: Image | None = None) -> Figure:
    """An image with its annotation: the picture in 2D, three projections in 3D, all to one scale.

    Args:
        image: what is shown.
        landmarks: one class may have several of the same label; those without a position are counted in the title.
        heatmap: (K, [Z, ]Y, X) on any grid of the image's direction, laid over it; of its channels the highest counts.

    Raises:
        LandmarkError: image, landmarks and heatmap do not fit each other.
    """
    check_fit(image, landmarks)
    placed = [mark for mark in landmarks if mark.position is not None]
    names = dict(zip(map(id, landmarks), short_names(landmarks), strict=True))
    figure, over, panels = row_of_panels(overview_views(image), 14.0, 6.5, head=0.3)
    for panel, occupied in zip(panels, draw_pictures(image, panels, heatmap), strict=True):
        seen = [mark for mark in placed if panel.view.shows(mark.position)]
        spots = np.array([panel.spot(mark.position) for mark in seen]).reshape(-1, 2)
        over.plot(*spots.T, "o", **marker(SKY))
        write_names(over, spots, [names[id(mark)] for mark in seen], panel.box, occupied)
    lost = f", {len(landmarks) - len(placed)} without a position" if len(placed) < len(landmarks) else ""
    write_title(over, f"{image.name}: {counted(len(placed), 'landmark')}{lost}")
    return figure


def slices_figure(image: Image, landmarks: LandmarkSet, *, heatmap: Image | None = None) -> Figure:
    """Every landmark from close by: three orthogonal sections through it in 3D, the picture around it in 2D.

    Args:
        image: what is shown.
        landmarks: those without a position, or outside of the image, are named below.
        heatmap: as in :func:`inspection_figure`; each channel alone, where there is one a landmark.

    Raises:
        LandmarkError: image, landmarks and heatmap do not fit each other, or nothing can be shown.
    """
    check_fit(image, landmarks)
    shown = [
        (k, mark)
        for k, mark in enumerate(landmarks)
        if mark.position is not None and bool(image.grid.contains(mark.position))
    ]
    if not shown:
        raise LandmarkError(f"{landmarks.name}: no landmark lies in {image.name}, so no section goes through one.")
    each = len(landmark_views(image, shown[0][1].position))
    across = max(1, round(12 / (each * _TILE + 0.15)))
    across = min(across, len(shown))
    down = -(-len(shown) // across)
    width = across * (each * _TILE + 0.15) + 0.15
    left_out = [mark.label for mark in landmarks if all(mark is not other for _, other in shown)]
    foot = 0.3 if left_out else 0.1
    figure, over = paper(max(width, 3.5), 0.3 + down * (_TILE + _CAPTION) + foot)
    window = image_window(image)
    for number, (k, mark) in enumerate(shown):
        row, column = divmod(number, across)
        x, y = 0.15 + column * (each * _TILE + 0.15), 0.3 + row * (_TILE + _CAPTION)
        text = over.text(x * DOTS, (y + 0.15) * DOTS, mark.label, size=8, weight="bold", va="baseline")
        text.set_parse_math(False)
        views = landmark_views(image, mark.position)
        heats = _close_heat(image, heatmap, k, len(landmarks), mark.position, views)
        for tile, view in enumerate(views):
            left, top = (x + tile * _TILE) * DOTS, (y + _CAPTION) * DOTS
            side = (_TILE - 0.03) * DOTS
            panel = Panel(over, view, (left, top, left + side, top + side))
            panel.show(window)
            if heats:
                panel.overlay(heats[0][tile], heats[1])
            panel.letters()
            cross(panel, mark.position)
    write_title(over, f"{image.name}: {counted(len(shown), 'landmark')}")
    if left_out:
        words = "not shown, for they have no place in the image: " + ", ".join(left_out)
        over.text(0.15 * DOTS, over.get_ylim()[0] - 0.1 * DOTS, words, size=8).set_parse_math(False)
    return figure


def _close_heat(
    image: Image, heatmap: Image | None, k: int, count: int, position: Any, frames: list[View]
) -> tuple[list[View], float] | None:
    if heatmap is None:
        return None
    alone = heatmap.array[k : k + 1] if heatmap.channels == count else heatmap.array
    heat = heat_of(Image(alone, heatmap.grid, heatmap.name), image)
    # The frame is the image's, not the heatmap's own: a coarser map would choose a wider section.
    own = landmark_views(heat, position)
    return [reframed(view, like) for view, like in zip(own, frames, strict=True)], float(np.nanmax(heat.array))


def check_fit(image: Image, *sets: LandmarkSet) -> None:
    """Refuse landmarks that cannot belong to an image.

    Raises:
        LandmarkError: another unit or another dimension.
    """
    for landmarks in sets:
        if landmarks.unit != image.grid.unit or landmarks.dimension not in (None, image.dimension):
            raise LandmarkError(
                f"{landmarks.name} is {landmarks.dimension}D in {landmarks.unit} and {image.name} {image.dimension}D "
                f"in {image.grid.unit}; show together only what belongs together."
            )


def draw_pictures(image: Image, panels: list[Panel], heatmap: Image | None) -> list[list]:
    """Draw the image, a heatmap over it, letters and scale bars; what is occupied in each panel."""
    window = image_window(image)
    heats = overview_views(heat_of(heatmap, image)) if heatmap is not None else None
    highest = 0.0 if heatmap is None else float(np.nanmax(heatmap.array))
    occupied = []
    for number, panel in enumerate(panels):
        panel.show(window)
        if heats is not None:
            panel.overlay(reframed(heats[number], panel.view), highest)
        panel.letters()
        occupied.append(panel.bar(image.grid.unit))
    return occupied


def marker(colour: str, **changes: Any) -> dict[str, Any]:
    """The style of a landmark's marker: seen on dark and on light."""
    return {
        "color": colour,
        "markersize": MARKER,
        "markeredgecolor": "black",
        "markeredgewidth": 0.8,
        "zorder": 3,
    } | changes


def cross(panel: Panel, world: np.ndarray, colour: str = SKY) -> None:
    """Four strokes that leave the landmark itself in sight."""
    x, y = panel.spot(world)
    near, far = 0.035 * DOTS, 0.11 * DOTS
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        ends = np.array([[x + dx * near, y + dy * near], [x + dx * far, y + dy * far]])
        panel.line(ends, color=colour, linewidth=1.4, path_effects=halo(3.0), solid_capstyle="butt", zorder=3)


def write_title(over: Any, words: str) -> None:
    """A line at the top of the paper."""
    over.text(0.12 * DOTS, 0.2 * DOTS, words, size=10, weight="bold").set_parse_math(False)
