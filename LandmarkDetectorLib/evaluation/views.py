"""What a picture of an image shows: which plane, which way up, how bright, and where the world lies in it.

A view is an array of grey or colour values and the affine map from the world into it. Three-dimensional images are seen
along their own three axes, turned and mirrored into the convention of radiology: the patient's right on the left of an
axial and a coronal picture, anterior on the left of a sagittal one, and superior on top. A grid that is oblique to the
patient keeps its own planes, and its letters say so (``LA`` for a direction between left and anterior), as DICOM's
Patient Orientation (0020,0020) does. Nothing here draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from LandmarkDetectorLib.core import Grid, Image

PLANES = {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}
"""Which of the patient's axes (left, posterior, superior) run across and along each plane."""

LETTERS = ("RL", "AP", "IS")
"""Names of the two ends of each patient axis, the lower end first."""

MAX_SIDE = 1600
"""No picture has more rows or columns; larger ones are averaged in whole blocks."""


@dataclass(frozen=True, eq=False)
class View:
    """A picture and how the world maps into it.

    Args:
        name: ``"axial"``, ``"coronal"``, ``"sagittal"`` or ``"image"``.
        values: (rows, columns, 1 or 3) float32, row 0 on top; NaN where there is no image.
        pixel: size of a pixel across and down, in the image's unit.
        matrix: (2, d) and
        offset: (2,): column, row = matrix @ world + offset, 0 at the centre of the first pixel.
        letters: anatomical direction at the left, right, top and bottom border, or ``None`` for a flat picture.
    """

    name: str
    values: np.ndarray
    pixel: tuple[float, float]
    matrix: np.ndarray
    offset: np.ndarray
    letters: tuple[str, str, str, str] | None

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height in the image's unit."""
        rows, columns = self.values.shape[:2]
        return columns * self.pixel[0], rows * self.pixel[1]

    def place(self, world: np.ndarray) -> np.ndarray:
        """Column and row (..., 2) of world positions (..., d)."""
        return np.asarray(world, dtype=np.float64) @ self.matrix.T + self.offset

    def fraction(self, world: np.ndarray) -> np.ndarray:
        """Places (..., 2) as fractions of the picture's width and height, 0, 0 at its top left corner."""
        rows, columns = self.values.shape[:2]
        return (self.place(world) + 0.5) / (columns, rows)

    def shows(self, world: np.ndarray) -> bool:
        """Whether a world position (d,) falls on the picture, its border included."""
        return bool(np.all(np.abs(self.fraction(world) - 0.5) <= 0.5 + 1e-9))


def letters_of(direction: np.ndarray) -> str:
    """Anatomical letters of an LPS direction (3,), the strongest first: ``"L"``, or ``"LA"`` where it is oblique.

    A second or third letter is given where the direction leans more than 22.5 degrees that way.
    """
    direction = np.asarray(direction, dtype=np.float64) / np.linalg.norm(direction)
    order = np.argsort(-np.abs(direction), kind="stable")
    kept = [axis for i, axis in enumerate(order) if i == 0 or abs(direction[axis]) > np.sin(np.pi / 8)]
    return "".join(LETTERS[axis][int(direction[axis] > 0)] for axis in kept)


def patient_axes(grid: Grid) -> tuple[tuple[int, int, int], np.ndarray]:
    """The index axes that run closest to left, posterior and superior.

    Returns:
        For each patient axis, the index axis; and a 3×3 matrix whose columns are these axes' world directions, signed
        so that they point left, posterior and superior.
    """
    strength = np.abs(grid.direction)
    axes = max(permutations(range(3)), key=lambda p: sum(strength[world, axis] for world, axis in enumerate(p)))
    directions = grid.direction[:, axes]
    return (axes[0], axes[1], axes[2]), directions * np.where(np.diagonal(directions) < 0, -1.0, 1.0)


def planes_of(grid: Grid) -> list[str]:
    """The planes worth showing: those in which the grid has more than one row and column, or all where none has."""
    axes, _ = patient_axes(grid)
    thick = [name for name, pair in PLANES.items() if all(grid.size[axes[world]] > 1 for world in pair)]
    return thick or list(PLANES)


def shown_channels(image: Image) -> np.ndarray:
    """The array (1 or 3, [Z, ]Y, X) that pictures show: colour where there are three channels, else the first one."""
    return image.array if image.channels == 3 else image.array[:1]


def window_of(values: np.ndarray) -> tuple[float, float]:
    """The values to show as black and as white.

    Colour in 8 bits is shown as it is. Otherwise the 1st and 99.5th percentile of what is not background, background
    being the lowest twentieth of the range: air around a head must not decide how bright the bone is.
    """
    if values.dtype == np.uint8 and values.shape[0] == 3:
        return 0.0, 255.0
    # Percentiles of some hundred thousand values say the same as those of a hundred million.
    step = max(1, int(np.ceil((values.size / 2e5) ** (1 / (values.ndim - 1)))))
    some = (slice(None), *(slice(None, None, step),) * (values.ndim - 1))
    sample = values[some].astype(np.float64).ravel()
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    lowest, highest = sample.min(), np.percentile(sample, 99.9)
    inside = sample[sample > lowest + 0.05 * (highest - lowest)]
    black, white = np.percentile(inside if inside.size else sample, (1, 99.5))
    return float(black), float(white if white > black else black + 1)


def slice_views(
    image: Image, position: np.ndarray, width: float, pixels: int, planes: Sequence[str] | None = None
) -> list[View]:
    """Square sections of a 3D image through a world position, interpolated linearly.

    Args:
        image: three-dimensional.
        position: world position (3,), the centre of every section.
        width: side of the section in the image's unit.
        pixels: number of rows and columns.
        planes: which of them; those of :func:`planes_of` by default.

    Returns:
        One view for each plane; NaN outside of the image.
    """
    _, directions = patient_axes(image.grid)
    views = []
    for name in planes or planes_of(image.grid):
        across, down = _across_down(name, directions)
        views.append(_section(image, name, np.asarray(position), across, down, width, pixels))
    return views


def crop_view(image: Image, position: np.ndarray, width: float, pixels: int) -> View:
    """A square part of a 2D image around a world position, interpolated linearly; arguments as :func:`slice_views`."""
    across, down = image.grid.direction.T
    return _section(image, "image", np.asarray(position), across, down, width, pixels)


def whole_view(image: Image) -> View:
    """All of a 2D image, as it is stored: the first row on top."""
    grid, values = image.grid, shown_channels(image)
    step = -(-max(grid.size) // MAX_SIDE)
    values = np.moveaxis(_averaged(values, step), 0, -1)
    matrix = np.linalg.inv(grid.direction * np.asarray(grid.spacing)) / step
    offset = -matrix @ np.asarray(grid.origin) - (step - 1) / (2 * step)
    return View("image", values, (grid.spacing[0] * step, grid.spacing[1] * step), matrix, offset, None)


def projection_views(image: Image) -> list[View]:
    """Maximum intensity projections of a 3D image along its axes, one for each of :func:`planes_of`.

    They are taken from the voxels as they are: no copy of the volume is made, whatever its size.
    """
    grid, values = image.grid, shown_channels(image)
    axes, directions = patient_axes(grid)
    to_index = np.linalg.inv(grid.direction * np.asarray(grid.spacing))
    from_origin = -to_index @ np.asarray(grid.origin)
    # fmax passes over NaN; only floats have it, and maximum is faster for the rest.
    highest = np.fmax if values.dtype.kind == "f" else np.logical_or if values.dtype.kind == "b" else np.maximum
    views = []
    for name in planes_of(grid):
        across, down = _across_down(name, directions)
        columns, rows = (axes[world] for world in PLANES[name])
        through = 3 - columns - rows
        flat = highest.reduce(values, axis=3 - through)
        flat = flat if rows > columns else flat.swapaxes(1, 2)
        matrix, offset = to_index[[columns, rows]], from_origin[[columns, rows]]
        for side, (axis, way) in enumerate(((columns, across), (rows, down))):
            if grid.direction[:, axis] @ way < 0:
                flat = np.flip(flat, axis=2 - side)
                matrix[side], offset[side] = -matrix[side], grid.size[axis] - 1 - offset[side]
        step = -(-max(flat.shape[1:]) // MAX_SIDE)
        pixel = (grid.spacing[columns] * step, grid.spacing[rows] * step)
        picture = np.moveaxis(_averaged(flat, step), 0, -1)
        letters = _border(across, down)
        views.append(View(name, picture, pixel, matrix / step, (offset - (step - 1) / 2) / step, letters))
    return views


def _across_down(plane: str, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World directions in which a picture's columns and rows count up; superior is on top, so rows count downwards."""
    across, down = PLANES[plane]
    return directions[:, across], directions[:, down] if down == 1 else -directions[:, down]


def _border(across: np.ndarray, down: np.ndarray) -> tuple[str, str, str, str]:
    return letters_of(-across), letters_of(across), letters_of(-down), letters_of(down)


def _section(
    image: Image, name: str, centre: np.ndarray, across: np.ndarray, down: np.ndarray, width: float, pixels: int
) -> View:
    from scipy.ndimage import map_coordinates

    pixel, middle = width / pixels, (pixels - 1) / 2
    steps = (np.arange(pixels) - middle) * pixel
    index = image.grid.to_index(centre + steps[None, :, None] * across + steps[:, None, None] * down)
    last = np.asarray(image.grid.size) - 1
    outside = np.any((index < -0.5) | (index > last + 0.5), axis=-1)
    # A voxel reaches half a step beyond its centre: there its own value holds.
    index = np.clip(index, 0, last)
    # Only the block around the section is read and turned into floats; the volume may be large and of any type.
    start = np.floor(index.min(axis=(0, 1))).astype(int)
    stop = np.ceil(index.max(axis=(0, 1))).astype(int) + 1
    block = (slice(None), *(slice(a, b) for a, b in zip(start[::-1], stop[::-1], strict=True)))
    coordinates = np.moveaxis((index - start)[..., ::-1], -1, 0)
    channels = shown_channels(image)[block].astype(np.float32)
    values = np.stack([map_coordinates(c, coordinates, order=1, mode="nearest") for c in channels], axis=-1)
    values[outside] = np.nan
    matrix = np.stack([across, down]) / pixel
    letters = _border(across, down) if image.dimension == 3 else None
    return View(name, values, (pixel, pixel), matrix, middle - matrix @ centre, letters)


def _averaged(values: np.ndarray, step: int) -> np.ndarray:
    """Means (C, Y // step, X // step) of blocks of (C, Y, X), as float32; what is left at the far border is dropped."""
    if step == 1:
        return values.astype(np.float32)
    channels, rows, columns = values.shape[0], max(values.shape[1] // step, 1), max(values.shape[2] // step, 1)
    whole = values[:, : rows * step, : columns * step]
    if whole.shape[1] < rows * step or whole.shape[2] < columns * step:
        # A strip thinner than one block: repeat its border so that one block can be made.
        need = (rows * step - whole.shape[1], columns * step - whole.shape[2])
        whole = np.pad(whole, ((0, 0), (0, need[0]), (0, need[1])), mode="edge")
    return whole.reshape(channels, rows, step, columns, step).mean(axis=(2, 4), dtype=np.float32)
