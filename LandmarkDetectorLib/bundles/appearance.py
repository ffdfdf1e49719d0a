"""How the images looked that a bundle was trained on, and in what another image differs from them.

A network that is shown something else may place its landmarks all the same. What can be told beforehand is coarse:
size, spacing, channels, the distribution of the values. An image that differs in none of these may still be of
something else. Needs neither torch nor the networks, and looks at a coarse part of the voxels only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from LandmarkDetectorLib.core import BundleError, Image

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""The quantiles at which distributions of values are compared."""
SAMPLES = 60_000
"""So many voxels are looked at, whatever the size of the image."""

# The margins: how far an image may lie beyond the range of the training images before anything is said.
WIDER = 2.0
"""Times the widest voxel: what is finer than a voxel is not in the image."""
FINER = 8.0
"""Times finer than the finest voxel; these are averaged before the networks see them, so that they matter less."""
LARGER = SMALLER = 2.0
"""Times the longest or the shortest of the longest sides."""
VALUES, FEW = 0.1, 4.0
"""Of the spread of the training images' values, at each quantile: 0.1, and 4 divided by their number, since the range
of few images says little of the next one. (Held out by family, a mouse lies at most 0.11 beyond the other 33, a fetal
head 0.06 beyond the other 789; cephalograms lie 0.09 to 0.28 beyond the fetal heads.)"""


class Appearance(BaseModel):
    """The ranges of the training images, in a bundle's settings under ``appearance``.

    ``images``: how many there were; ``unit``: of ``spacing`` (finest and widest voxel side) and ``extent`` (shortest
    and longest of the images' longest sides), ``None`` where the images had no common unit; ``scaled``: whether the
    bundle looks for a shape of a physical size; ``low`` and ``high``: the least and greatest value at each of
    ``levels``, as it stands in the file, or, with ``relative``, as a fraction of the way between these two quantiles of
    its own image, as the bundle scales them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int = Field(ge=1)
    dimension: Literal[2, 3]
    channels: int = Field(ge=1)
    scaled: bool
    unit: Literal["mm", "px"] | None
    spacing: tuple[float, float]
    extent: tuple[float, float]
    relative: tuple[float, float] | None
    levels: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @model_validator(mode="after")
    def _agrees(self) -> Appearance:
        if not len(self.levels) == len(self.low) == len(self.high) > 0:
            raise ValueError("levels, low and high must be of one length")
        pairs = [self.spacing, self.extent, *zip(self.low, self.high, strict=True)]
        if not all(np.isfinite(pair).all() and pair[0] <= pair[1] for pair in pairs):
            raise ValueError("ranges must be finite and ascend")
        if not all(0 < level < 1 for level in self.levels) or min(self.spacing[0], self.extent[0]) <= 0:
            raise ValueError("levels must lie between 0 and 1, spacing and extent above 0")
        return self


@dataclass(frozen=True)
class Look:
    """What is compared of one image; ``quantiles`` at :data:`LEVELS`, ``None`` where no voxel is finite."""

    dimension: int
    channels: int
    unit: str
    finest: float
    widest: float
    extent: float
    quantiles: tuple[float, ...] | None


def look_of(
    image: Image, relative: tuple[float, float] | None = None, levels: Sequence[float] = LEVELS, flat: bool = False
) -> Look:
    """Look at an image.

    Args:
        image: 2D or 3D; a few ten thousand of its voxels, evenly spread, are read.
        relative: the two quantiles between which the bundle scales the values, if it does.
        levels: where the distribution is looked at.
        flat: whether a volume of one slice counts as 2D, as it does for a 2D bundle.
    """
    grid = image.grid
    dimension = 2 if flat and image.dimension == 3 and grid.size[2] == 1 else image.dimension
    sides = np.asarray(grid.spacing)[:dimension]
    quantiles = _quantiles(image.array, relative, levels)
    extent = float(grid.extent[:dimension].max())
    return Look(dimension, image.channels, grid.unit, float(sides.min()), float(sides.max()), extent, quantiles)


def learn_appearance(looks: Sequence[Look], *, scaled: bool, relative: tuple[float, float] | None) -> Appearance | None:
    """The ranges of these images, ``None`` where there are none with values.

    Args:
        looks: at :data:`LEVELS`, all with the same ``relative``.
        scaled: whether the bundle looks for a shape of a physical size.
        relative: as for :func:`look_of`.
    """
    seen = [look for look in looks if look.quantiles is not None]
    if not seen:
        return None
    values = np.array([look.quantiles for look in seen])
    units = {look.unit for look in seen}
    content: dict[str, Any] = {
        "images": len(seen),
        "dimension": seen[0].dimension,
        "channels": seen[0].channels,
        "scaled": scaled,
        "unit": units.pop() if len(units) == 1 else None,
        "spacing": (min(look.finest for look in seen), max(look.widest for look in seen)),
        "extent": (min(look.extent for look in seen), max(look.extent for look in seen)),
        "relative": relative,
        "levels": LEVELS,
        "low": values.min(0).tolist(),
        "high": values.max(0).tolist(),
    }
    return Appearance.model_validate(content)


def widened(known: Appearance | None, other: Appearance | None) -> Appearance | None:
    """What holds for images of both; ``None`` where one is not known or they cannot be put together."""
    if known is None or other is None:
        return None
    same = ("dimension", "channels", "scaled", "unit", "relative", "levels")
    if any(getattr(known, name) != getattr(other, name) for name in same):
        return None
    return known.model_copy(
        update={
            "images": known.images + other.images,
            "spacing": (min(known.spacing[0], other.spacing[0]), max(known.spacing[1], other.spacing[1])),
            "extent": (min(known.extent[0], other.extent[0]), max(known.extent[1], other.extent[1])),
            "low": tuple(map(min, known.low, other.low)),
            "high": tuple(map(max, known.high, other.high)),
        }
    )


def appearance_of(settings: Any, name: str) -> Appearance | None:
    """The appearance in a bundle's settings, ``None`` in a bundle that was made before there was any.

    Raises:
        BundleError: it is not as it must be.
    """
    content = settings.get("appearance") if isinstance(settings, dict) else None
    if content is None:
        return None
    try:
        return Appearance.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("appearance", *first["loc"])))
        raise BundleError(f"Bundle {name}: {place} in configs/inference.json is wrong ({first['msg']}).") from error


def differences(image: Image, appearance: Appearance | None) -> list[str]:
    """In what an image differs from those that a bundle was trained on, beyond the margins: one sentence each.

    Nothing without an ``appearance``, for bundles that have none. Takes some milliseconds, whatever the image's size.
    """
    if appearance is None:
        return []
    look = look_of(image, appearance.relative, appearance.levels, flat=appearance.dimension == 2)
    trained = f"the {appearance.images} images that trained the bundle"
    if look.dimension != appearance.dimension:
        return [f"{image.name} is {look.dimension}D, and {trained} were {appearance.dimension}D."]
    if look.channels != appearance.channels:
        return [f"{image.name} has {_channels(look.channels)}, and {trained} had {_channels(appearance.channels)}."]
    said = _of_size(look, appearance, trained) + _of_values(look, appearance, trained)
    return [f"{image.name}: {words}." for words in said]


def _of_size(look: Look, known: Appearance, trained: str) -> list[str]:
    if known.unit is None:
        return []
    if look.unit != known.unit:
        if known.scaled:
            return [f"its size in mm is not known, and {trained} were {_range(known.extent, 'mm')} long"]
        return []
    said, unit, cell = [], look.unit, "voxels" if look.dimension == 3 else "pixels"
    finest, widest = known.spacing
    if look.widest > WIDER * widest:
        times = look.widest / widest
        said.append(
            f"its {cell} are {look.widest:.3g} {unit} wide, {times:.2g} times the widest of {trained} "
            f"({_range(known.spacing, unit)})"
        )
    if look.finest < finest / FINER:
        said.append(
            f"its {cell} are {look.finest:.3g} {unit} wide, {finest / look.finest:.2g} times finer than the finest of "
            f"{trained} ({_range(known.spacing, unit)})"
        )
    shortest, longest = known.extent
    own, theirs = f"it is {look.extent:.3g} {unit} long", f"{trained} ({_range(known.extent, unit)})"
    if look.extent > LARGER * longest:
        said.append(f"{own}, {look.extent / longest:.2g} times the longest of {theirs}")
    if look.extent < shortest / SMALLER:
        said.append(f"{own}, {look.extent / shortest:.2g} times the shortest of {theirs}")
    return said


def _of_values(look: Look, known: Appearance, trained: str) -> list[str]:
    """Of the quantile that lies farthest beyond the training images'."""
    if look.quantiles is None:
        return ["none of its values is a finite number"]
    value, low, high = np.array(look.quantiles), np.array(known.low), np.array(known.high)
    spread = high.max() - low.min()
    beyond = np.maximum(low - value, value - high)
    worst = int(beyond.argmax())
    if beyond[worst] <= (VALUES + FEW / known.images) * spread:
        return []
    of = "" if known.relative is None else " of its own range of values"
    own, limits = _number(value[worst]), _range((float(low[worst]), float(high[worst])))
    return [
        f"{known.levels[worst]:.0%} of its values lie below {own}{of}, and of {trained} below {limits}; "
        "they may be scaled otherwise, inverted, or of another modality"
    ]


def _quantiles(
    array: np.ndarray, relative: tuple[float, float] | None, levels: Sequence[float]
) -> tuple[float, ...] | None:
    thin = array[_regular_part(array.shape)]
    values = thin.astype(np.float64).ravel()
    if thin.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if values.size == 0:
        return None
    found = np.quantile(values, [*levels, *(relative or ())])
    if relative is None:
        return tuple(found.tolist())
    low, high = found[-2:]
    return tuple(((found[:-2] - low) / max(high - low, 1e-12)).tolist())


def _regular_part(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Every n-th voxel along each axis, such that about :data:`SAMPLES` are left; short axes keep more of theirs."""
    left = SAMPLES / shape[0]
    part = [slice(None)] * len(shape)
    axes = sorted(range(1, len(shape)), key=lambda axis: shape[axis])
    for number, axis in enumerate(axes):
        share = max(1.0, left ** (1 / (len(axes) - number)))
        step = max(1, math.ceil(shape[axis] / share))
        part[axis] = slice(None, None, step)
        left /= math.ceil(shape[axis] / step)
    return tuple(part)


def _range(limits: tuple[float, float], unit: str = "") -> str:
    low, high = map(_number, limits)
    words = low if low == high else f"{low} to {high}"
    return f"{words} {unit}".strip()


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _channels(count: int) -> str:
    return {1: "1 channel (grey)", 3: "3 channels (colour)"}.get(count, f"{count} channels")
