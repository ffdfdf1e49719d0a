"""Pictures side by side on one sheet of paper, and what is drawn over them.

Everything is drawn in one pair of axes that count the pixels of the paper, y down: markers, lines and letters keep
their size whatever the scale of a picture, and a hundred sections cost no hundred axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from LandmarkDetectorLib.core import Image, LandmarkError
from LandmarkDetectorLib.evaluation.canvas import DOTS, blank_figure, halo
from LandmarkDetectorLib.evaluation.lettering import LETTER_COLOUR, TEXT, scale_bar
from LandmarkDetectorLib.evaluation.paint import painted
from LandmarkDetectorLib.evaluation.views import View, planes_of, shown_channels, window_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAT = (204, 121, 167)
"""Colour of heatmaps: it is on no other mark, and seen on grey with any colour vision."""

_HEAT_STRENGTH = 0.75


@dataclass(frozen=True, eq=False)
class Panel:
    """One view on the paper.

    Args:
        over: axes in pixels of the paper.
        view: what is shown.
        box: left, top, right and bottom in pixels of the paper.
    """

    over: Axes
    view: View
    box: tuple[float, float, float, float]

    @property
    def size(self) -> np.ndarray:
        """Width and height in pixels of the paper."""
        return np.array([self.box[2] - self.box[0], self.box[3] - self.box[1]])

    def spot(self, world: np.ndarray) -> np.ndarray:
        """Where world positions (..., d) fall on the paper, (..., 2)."""
        return np.array(self.box[:2]) + self.view.fraction(world) * self.size

    def show(self, window: tuple[float, float]) -> None:
        """Draw the picture itself; black and white are the ends of the window."""
        self._lay(painted(self.view, window), self.size[0] > self.view.values.shape[1])

    def overlay(self, heat: View, highest: float) -> None:
        """Lay a heatmap of the same frame over the picture, the more opaque the higher, ``highest`` most."""
        share = np.nan_to_num(np.clip(heat.values[..., 0] / highest, 0, 1)) if highest > 0 else heat.values[..., 0] * 0
        colour = np.broadcast_to(np.array(HEAT) / 255, (*share.shape, 3))
        self._lay(np.concatenate([colour, _HEAT_STRENGTH * np.sqrt(share)[..., None]], axis=-1), True)

    def ellipse(self, centre: np.ndarray, covariance: np.ndarray, mass: float, **style: Any) -> None:
        """Outline what holds ``mass`` of a normal distribution, as it is seen from here.

        Args:
            centre: world position (d,).
            covariance: (d, d) in the world; in 3D its projection along the line of sight is drawn.
            mass: fraction of the distribution in the plane of the picture.
            **style: of the patch.
        """
        from matplotlib.patches import Ellipse
        from scipy.stats import chi2

        to_paper = self.view.matrix * (self.size / self.view.values.shape[1::-1])[:, None]
        values, vectors = np.linalg.eigh(to_paper @ covariance @ to_paper.T)
        across = 2 * np.sqrt(np.clip(values, 0, None) * chi2.ppf(mass, 2))
        angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        where = self.spot(centre)
        self.over.add_patch(self._clipped(Ellipse((where[0], where[1]), across[1], across[0], angle=angle, **style)))

    def line(self, ends: np.ndarray, **style: Any) -> None:
        """A line between places on the paper (2, 2), cut off at the border of the picture."""
        for drawn in self.over.plot(*np.transpose(ends), **style):
            self._clipped(drawn)

    def letters(self) -> None:
        """Write the anatomical directions inside the border."""
        if self.view.letters is None:
            return
        left, top, right, bottom = self.box
        away, middle = 0.09 * DOTS, ((left + right) / 2, (top + bottom) / 2)
        places = (
            (left + away, middle[1]),
            (right - away, middle[1]),
            (middle[0], top + away),
            (middle[0], bottom - away),
        )
        for letters, place in zip(self.view.letters, places, strict=True):
            text = self.over.text(*place, letters, color=LETTER_COLOUR, size=TEXT, ha="center", va="center_baseline")
            text.set(path_effects=halo(), weight="bold")

    def bar(self, unit: str) -> list[tuple[float, float, float, float]]:
        """A scale bar where there is a scale; what is occupied by it."""
        if unit != "mm":
            return []
        foot = np.array([self.box[0], self.box[3]])
        return [scale_bar(self.over, self.view.extent[0], foot, float(self.size[0]))]

    def _lay(self, colours: np.ndarray, smooth: bool) -> None:
        left, top, right, bottom = self.box
        how = "bilinear" if smooth else "antialiased"
        self._clipped(self.over.imshow(colours, aspect="auto", extent=(left, right, bottom, top), interpolation=how))

    def _clipped(self, drawn: Any) -> Any:
        from matplotlib.patches import Rectangle

        drawn.set_clip_path(Rectangle(self.box[:2], *self.size, transform=self.over.transData))
        return drawn


def paper(width: float, height: float) -> tuple[Figure, Axes]:
    """A white sheet of so many inches, and axes over all of it that count its pixels, y down."""
    figure = blank_figure((width, height))
    over = figure.add_axes((0, 0, 1, 1), xlim=(0, width * DOTS), ylim=(height * DOTS, 0))
    over.set_autoscale_on(False)
    over.axis("off")
    return figure, over


def image_window(image: Image) -> tuple[float, float]:
    """The values shown as black and white in every picture of an image."""
    return window_of(shown_channels(image))


def heat_of(heatmap: Image, image: Image) -> Image:
    """All channels of a heatmap in one, the highest counting, fit to be laid over pictures of ``image``.

    Raises:
        LandmarkError: the heatmap lies in another unit, dimension or direction than the image.
    """
    here, there = heatmap.grid, image.grid
    alike = here.dimension == there.dimension and here.unit == there.unit
    alike = alike and np.allclose(here.direction, there.direction, atol=1e-4)
    if not alike or (here.dimension == 3 and planes_of(here) != planes_of(there)):
        raise LandmarkError(
            f"{heatmap.name} does not lie as {image.name} does (dimension, unit or direction); resample it first."
        )
    return Image(heatmap.array.max(axis=0, keepdims=True), here, heatmap.name)


def reframed(heat: View, like: View) -> View:
    """The values of one view in the frame of another that looks the same way: same place, size and number of pixels."""
    from scipy.ndimage import map_coordinates

    rows, columns = like.values.shape[:2]
    # Both frames are scalings and shifts of the same plane: two corners tell how one counts in the other.
    turn = like.matrix @ np.linalg.pinv(heat.matrix)
    shift = like.offset - turn @ heat.offset
    place = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
    index = (place - shift) @ np.linalg.inv(turn).T
    values = map_coordinates(heat.values[..., 0], (index[..., 1], index[..., 0]), order=1, mode="constant", cval=0.0)
    return View(like.name, values[..., None].astype(np.float32), like.pixel, like.matrix, like.offset, like.letters)


def row_of_panels(
    views: Sequence[View], width: float, tallest: float, *, head: float = 0.0, foot: float = 0.0, gap: float = 0.08
) -> tuple[Figure, Axes, list[Panel]]:
    """Lay views in a row, all to one scale, as large as the paper allows.

    Args:
        views: from left to right.
        width: inches that the row may take.
        tallest: inches that a picture may be tall.
        head: inches kept free above, for a title.
        foot: inches kept free below, for a legend.
        gap: inches between the pictures and around them.
    """
    extents = np.array([view.extent for view in views])
    room = width - gap * (len(views) + 1)
    scale = min(room / extents[:, 0].sum(), tallest / extents[:, 1].max())
    inches = np.maximum(extents * scale, 0.6)  # a slab seen from the side is still a picture
    height = inches[:, 1].max() + head + foot + 2 * gap
    figure, over = paper(max(inches[:, 0].sum() + gap * (len(views) + 1), 4.5), height)
    panels = []
    left = (figure.get_size_inches()[0] - inches[:, 0].sum() - gap * (len(views) - 1)) / 2
    for view, (across, down) in zip(views, inches, strict=True):
        top = head + gap + (inches[:, 1].max() - down) / 2
        box = np.array([left, top, left + across, top + down]) * DOTS
        panels.append(Panel(over, view, (box[0], box[1], box[2], box[3])))
        left += across + gap
    return figure, over, panels
