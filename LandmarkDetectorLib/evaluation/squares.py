"""A sheet of small squares, each a landmark seen from close by with a line of words below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from LandmarkDetectorLib.evaluation.canvas import DOTS
from LandmarkDetectorLib.evaluation.panel import Panel, paper
from LandmarkDetectorLib.evaluation.views import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CAPTION, _GAP = 0.24, 0.08
"""Inches of the line below a square, and between two squares."""


class Square(Protocol):
    """What every square has."""

    @property
    def view(self) -> View:
        """The square itself."""

    @property
    def window(self) -> tuple[float, float]:
        """Values shown as black and white."""

    @property
    def caption(self) -> str:
        """The words below it."""

    @property
    def unit(self) -> str:
        """Of lengths."""


_Square = TypeVar("_Square", bound=Square)


def sheet_of_squares(
    squares: Sequence[_Square],
    draw: Callable[[Panel, _Square], None],
    *,
    across: int,
    inches: float,
    head: float = 0.05,
) -> tuple[Figure, Axes]:
    """The figure, and the axes over all of it.

    Args:
        squares: in the order of reading, at least one.
        draw: puts the landmarks of a square onto its panel.
        across: squares in a row, at most.
        inches: side of a square.
        head: inches above the first row.
    """
    across = min(across, len(squares))
    down = -(-len(squares) // across)
    figure, over = paper(across * (inches + _GAP) + _GAP, head + down * (inches + _CAPTION + _GAP))
    room = int(inches * 14.5)
    for number, square in enumerate(squares):
        row, column = divmod(number, across)
        left, top = (_GAP + column * (inches + _GAP)) * DOTS, (head + row * (inches + _CAPTION + _GAP)) * DOTS
        side = inches * DOTS
        panel = Panel(over, square.view, (left, top, left + side, top + side))
        panel.show(square.window)
        panel.letters()
        panel.bar(square.unit)
        draw(panel, square)
        words = square.caption if len(square.caption) <= room else "…" + square.caption[1 - room :]
        over.text(left, top + side + 0.17 * DOTS, words, size=8).set_parse_math(False)
    return figure, over
