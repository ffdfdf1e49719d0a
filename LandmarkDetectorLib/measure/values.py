"""What a formula handles (places, lines, planes, directions, ellipses, numbers) and the shapes that are drawn of it.

Arrays have a leading axis of B sets: the landmarks as they are, and the copies that uncertainty moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from LandmarkDetectorLib.measure.geometry import unit

ShapeKind = Literal["landmark", "line", "angle", "plane", "ellipse"]


@dataclass(frozen=True, eq=False)
class Shape:
    """A piece of a construction, to be drawn in world coordinates.

    Attributes:
        kind: ``landmark`` one position; ``line`` its two ends; ``angle`` end, vertex, end; ``plane`` a point of it and
            that point moved by its unit normal; ``ellipse`` its centre and an end of each half axis.
        positions: (M, d) in the unit of the landmarks.
    """

    kind: ShapeKind
    positions: np.ndarray


class Kind(NamedTuple):
    """What a part of a formula is: a word, and for a number its powers of length and of angle."""

    word: str
    lengths: int = 0
    angles: int = 0

    def __str__(self) -> str:
        if self.word != "number":
            return f"a {self.word}"
        named = {(0, 0): "a plain number", (1, 0): "a length", (2, 0): "an area", (0, 1): "an angle"}
        return named.get((self.lengths, self.angles), f"a number in mm^{self.lengths}·degrees^{self.angles}")


PLACE, LINE, PLANE = Kind("landmark"), Kind("line"), Kind("plane")
DIRECTION, ELLIPSE = Kind("direction"), Kind("ellipse")
PLAIN, LENGTH, AREA, ANGLE = Kind("number"), Kind("number", 1), Kind("number", 2), Kind("number", 0, 1)


@dataclass(frozen=True, eq=False)
class Line:
    """The directed line from ``start`` to ``end``, each (B, d)."""

    start: np.ndarray
    end: np.ndarray

    @cached_property
    def direction(self) -> np.ndarray:
        """Unit vectors (B, d); NaN where the ends coincide."""
        return unit(self.end - self.start)

    def shapes(self) -> list[Shape]:
        """The stretch between the ends."""
        return [Shape("line", np.stack([self.start[0], self.end[0]]))]


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane, in 2D a line, through ``point`` with unit ``normal``, each (B, d)."""

    point: np.ndarray
    normal: np.ndarray

    def shapes(self) -> list[Shape]:
        """The point and the tip of the normal."""
        return [Shape("plane", np.stack([self.point[0], self.point[0] + self.normal[0]]))]


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction (B, d) without a place, such as the image's vertical."""

    direction: np.ndarray

    def shapes(self) -> list[Shape]:
        """Nothing: it is nowhere."""
        return []


@dataclass(frozen=True, eq=False)
class Ellipse:
    """The ellipse whose full axes run between two pairs of ends (B, d).

    Four annotated ends are hardly ever those of one ellipse to the last digit: its axes have the lengths of the two
    distances, its centre is the mean of the ends, and it is drawn with the first axis as annotated.
    """

    first: tuple[np.ndarray, np.ndarray]
    second: tuple[np.ndarray, np.ndarray]

    def shapes(self) -> list[Shape]:
        """The centre and an end of each half axis."""
        (a, b), (c, d) = ((ends[0][0], ends[1][0]) for ends in (self.first, self.second))
        centre = (a + b + c + d) / 4
        along = unit(b - a)
        other = (d - c) - ((d - c) @ along) * along
        half = float(np.linalg.norm(d - c)) / 2
        return [Shape("ellipse", np.stack([centre, centre + (b - a) / 2, centre + half * unit(other)]))]
