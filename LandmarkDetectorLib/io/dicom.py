"""DICOM: one file, or the folder of one series, into an array and its grid.

Of a file's tags only those of geometry and of number coding are asked for; nothing else is read, kept or repeated.
Slices are ordered by where they lie along the normal of their planes (DICOM PS3.3 C.7.6.2), never by file name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.core import Grid, ImageError
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.io.dicom_header import Plane, header_of, is_dicom, planes_of
from LandmarkDetectorLib.io.dicom_pixels import read_planes
from LandmarkDetectorLib.io.directions import STRICT, deviation, orthonormal
from LandmarkDetectorLib.io.limits import check_promise
from LandmarkDetectorLib.io.names import shown
from LandmarkDetectorLib.io.notices import notice

_GAP_TOLERANCE = 0.01
"""How far a gap between slices may differ from the others, as a part of it, to be read as it stands."""
_ROUNDED_GAP = 0.25
"""How far it may differ from their mean where positions were rounded; the line that fits the slices best then holds."""
_ROUNDED_HEIGHT = 0.22
"""How far a slice may lie off that line, as a part of a gap: a fifth, and what fitting the line may add."""
_ROUNDED_NORMAL = 2.0
"""How far a rounded normal may lean, as a multiple of what its cosines are off from orthonormal."""
_SHIFT_TOLERANCE = 0.1
"""How far a slice may lie beside the line that the slices make, as a part of a pixel."""
_SUFFIXES = (".dcm", ".dicom", ".ima")


def read_file(path: Path) -> tuple[np.ndarray, Grid]:
    """Values (C, [Z, ]Y, X), rescaled, and the grid, of one file with one frame or several.

    A single image is three-dimensional, with one slice, where it has a place in the patient, else two-dimensional.

    Raises:
        ImageError: it is not DICOM, not an image, damaged, or its frames make no volume.
    """
    header = header_of(path)
    if header is None:
        raise ImageError(f"{shown(path)}: it is a DICOM file without an image; give the file of an image.")
    return _assembled(planes_of(header, path), shown(path))


def read_folder(folder: Path, chosen: str | None = None) -> tuple[np.ndarray, Grid]:
    """Values (C, [Z, ]Y, X), rescaled, and the grid, of the one series in a folder.

    Args:
        folder: where the files of the series lie.
        chosen: its SeriesInstanceUID, where the folder holds others as well.

    Raises:
        ImageError: there is no series or more than one to choose from, or its slices make no volume.
    """
    name = shown(folder)
    series: dict[str, list[Plane]] = {}
    numbers: dict[str, str] = {}
    for path in _files(folder, name):
        header = header_of(path)
        if header is None:
            continue
        key = str(header.get("SeriesInstanceUID", ""))
        series.setdefault(key, []).extend(planes_of(header, path))
        numbers[key] = str(header.get("SeriesNumber") or "without a number")
    if not series:
        raise ImageError(f"{name}: the folder holds no DICOM images; give an image file, or the folder of one series.")
    if chosen is not None:
        if chosen not in series:
            raise ImageError(f"{name}: the series that was asked for is not in the folder any more; search it again.")
        return _assembled(series[chosen], name)
    if len(series) > 1:
        listed = ", ".join(
            sorted(f"{numbers[key]} ({counted(len(planes), 'image')})" for key, planes in series.items())
        )
        raise ImageError(f"{name}: the folder holds {len(series)} series, {listed}; give a folder with one series.")
    return _assembled(next(iter(series.values())), name)


def _files(folder: Path, name: str) -> Iterable[Path]:
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith("."))
    except OSError as error:
        raise ImageError(f"{name}: the folder cannot be opened ({error.strerror}); check its permissions.") from None
    for path in entries:
        if is_dicom(path):
            yield path
        elif path.suffix.lower() in _SUFFIXES:  # left out in silence, it could be the last slice
            raise ImageError(f"{shown(path)}: it is not a DICOM file, or truncated; copy the series again.")


def _assembled(planes: Sequence[Plane], name: str) -> tuple[np.ndarray, Grid]:
    _check_alike(planes, name)
    first = planes[0]
    placed = [plane for plane in planes if plane.position is not None and plane.orientation is not None]
    if not placed and len(planes) == 1:
        array = read_planes(planes, name)
        return array[:, 0], _flat_grid(first, name)
    if len(placed) < len(planes):
        raise ImageError(
            f"{name}: {len(planes) - len(placed)} of {len(planes)} images do not say where they lie in the patient; "
            "give the file of one image, or export the series with positions."
        )
    order, grid = _stacked(planes, name)
    return read_planes([planes[i] for i in order], name), grid


def _check_alike(planes: Sequence[Plane], name: str) -> None:
    sizes = Counter((plane.columns, plane.rows) for plane in planes)
    if len(sizes) > 1:
        listed = " and ".join(
            f"{columns}×{rows} ({counted(count, 'image')})" for (columns, rows), count in sizes.items()
        )
        raise ImageError(f"{name}: it mixes images of {listed}; give the images of one size as their own series.")
    if len({(plane.samples, plane.photometric) for plane in planes}) > 1:
        raise ImageError(f"{name}: it mixes gray and colour images; give those of one kind as their own series.")
    first = planes[0]
    size = (first.columns, first.rows, len(planes))
    plain = not any(plane.compressed or plane.deflated or plane.photometric == "YBR_FULL_422" for plane in planes)
    if plain and first.bits_allocated >= 8:
        stored = sum(path.stat().st_size for path in {plane.path for plane in planes})
        check_promise(name, size, first.bits_allocated // 8 * first.samples, stored)


def _flat_grid(plane: Plane, name: str) -> Grid:
    unit = "px" if plane.spacing is None else "mm"
    if plane.aspect != 1:
        notice(
            f"{name}: its pixels are {plane.aspect:.3g} times as high as wide; give its spacing, or angles are wrong."
        )
    if plane.at_detector:
        notice(f"{name}: its pixel spacing is that at the detector; distances are not corrected for magnification.")
    return _grid((plane.columns, plane.rows), plane.spacing or (1.0, 1.0), (0.0, 0.0), np.eye(2), unit, name)


def _stacked(planes: Sequence[Plane], name: str) -> tuple[np.ndarray, Grid]:
    """The order of the planes along their normal, and the grid that they make."""
    stack = _Stack.of(planes, name)
    order = np.argsort(stack.heights, kind="stable")
    heights, positions = stack.heights[order], stack.positions[order]
    if _are_even(heights, name):
        step, origin = _step(heights, planes[0], name), positions[0]
    else:
        step, origin = _line(heights, positions, stack.direction[:, 2], name)
    _check_straight(heights, positions, stack, name)
    size = (planes[0].columns, planes[0].rows, len(planes))
    return order, _grid(size, (*stack.spacing, step), tuple(origin), stack.direction, "mm", name)


@dataclass(frozen=True, eq=False)
class _Stack:
    """Planes that are parallel and equally sampled: where they lie, (n, 3) and along their normal (n,).

    Columns of ``direction`` are those of increasing column, row and height; ``rounding`` is how far the file's own were
    from orthonormal.
    """

    positions: np.ndarray
    heights: np.ndarray
    direction: np.ndarray
    rounding: float
    spacing: tuple[float, float]

    @classmethod
    def of(cls, planes: Sequence[Plane], name: str) -> _Stack:
        positions = np.array([plane.position for plane in planes])
        orientations = np.array([plane.orientation for plane in planes])
        spacings = [plane.spacing for plane in planes]
        if any(spacing is None for spacing in spacings):
            raise ImageError(f"{name}: its images lie in the patient but have no pixel spacing; export them with it.")
        if not all(np.isfinite(step) and step > 0 for spacing in spacings for step in spacing or ()):
            raise ImageError(f"{name}: its pixel spacing is not positive; mend its header, or export it again.")
        if np.abs(orientations - orientations[0]).max() > 1e-4:
            raise ImageError(
                f"{name}: its slices are not parallel (a localizer among them, perhaps); give parallel slices only."
            )
        if not np.allclose(spacings, spacings[0], rtol=1e-4, atol=0):  # type: ignore[arg-type]
            raise ImageError(f"{name}: its slices differ in pixel spacing; give slices of one spacing only.")
        normal = np.cross(*orientations[0])
        length = np.linalg.norm(normal)
        if not 0.99 < length < 1.01:
            raise ImageError(f"{name}: its orientation {orientations[0].tolist()} is no pair of orthogonal directions.")
        said = np.column_stack([*orientations[0], normal / length])
        direction = orthonormal(said, name)
        spacing = spacings[0]
        assert spacing is not None  # said above
        return cls(positions, positions @ direction[:, 2], direction, deviation(said), spacing)


def _are_even(heights: np.ndarray, name: str) -> bool:
    """Whether the gaps between slices are alike, or only nearly so, as between positions that were rounded.

    Raises:
        ImageError: gaps that no rounding explains.
    """
    if heights.size == 1:
        return True
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    if gaps.min() <= _GAP_TOLERANCE * max(usual, 1e-3):
        at = int(np.argmin(gaps))
        raise ImageError(
            f"{name}: two slices lie at the same place, {heights[at]:.4g} mm along their normal; it holds several "
            "volumes, such as time points or echoes, or a slice twice, so give one volume as its own series."
        )
    uneven, mean = np.abs(gaps - usual), float(gaps.mean())
    if np.abs(gaps - mean).max() > _ROUNDED_GAP * mean:
        at = int(np.argmax(uneven))
        raise ImageError(
            f"{name}: the gap between slices {at + 1} and {at + 2} of {heights.size} is {gaps[at]:.4g} mm where "
            f"{usual:.4g} mm is usual; slices are missing or mixed, so export the whole series again."
        )
    return bool(uneven.max() <= _GAP_TOLERANCE * usual)


def _step(heights: np.ndarray, plane: Plane, name: str) -> float:
    """The distance between slices with even gaps."""
    if heights.size > 1:
        return float((heights[-1] - heights[0]) / (heights.size - 1))
    if plane.thickness is None:
        notice(f"{name}: its single slice has no thickness; 1 mm was taken.")
    return plane.thickness or 1.0


def _line(heights: np.ndarray, positions: np.ndarray, normal: np.ndarray, name: str) -> tuple[float, np.ndarray]:
    """The step of the line that fits slices with uneven gaps best, and where on it the first one lies, (3,).

    Raises:
        ImageError: a slice that lies off the line.
    """
    number = np.arange(heights.size)
    step, start = np.polyfit(number, heights, 1)
    off = np.abs(heights - start - step * number)
    at = int(np.argmax(off))
    if off[at] > _ROUNDED_HEIGHT * step:
        raise ImageError(
            f"{name}: slice {at + 1} of {heights.size} lies {off[at]:.3g} mm off even gaps of {step:.4g} mm; "
            "slices are missing or mixed, so export the whole series again."
        )
    notice(
        f"{name}: its slices lie up to {off[at]:.2g} mm off even places, as rounded positions do; even gaps of "
        f"{step:.5g} mm were taken."
    )
    sideways = positions - np.outer(heights, normal)
    return float(step), sideways.mean(axis=0) + start * normal


def _check_straight(heights: np.ndarray, positions: np.ndarray, stack: _Stack, name: str) -> None:
    """Refuse slices that are shifted against each other, by more than rounding of their normal makes them seem."""
    rise = heights - heights[0]
    beside = positions - positions[0] - rise[:, None] * stack.direction[:, 2]
    shift = float(np.linalg.norm(beside, axis=1).max())
    tolerance = _SHIFT_TOLERANCE * min(stack.spacing)
    if stack.rounding > STRICT:
        tolerance += _ROUNDED_NORMAL * stack.rounding * float(rise[-1])
    if shift > tolerance:
        raise ImageError(
            f"{name}: its slices are shifted sideways against each other by up to {shift:.3g} mm, as with a tilted "
            "gantry; resample the series to a straight stack first."
        )


def _grid(size, spacing, origin, direction, unit: str, name: str) -> Grid:
    try:
        return Grid(size, spacing, origin, direction, unit)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
