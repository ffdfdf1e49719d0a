"""Bars that show where a value lies against its norm: a band for what is usual, a mark for the value.

The mark says it three times, so that nobody needs to see a colour: by its place, by its form (a disc within the band, a
diamond beside it, an arrow that points outwards far away), and by the words beside the bar.
"""

from __future__ import annotations

import qt

from LandmarkDetector.Panel.measure_rows import NormMark
from LandmarkDetector.Scene.halo import FAIR, SURE, UNSURE

BAR = (56, 12)
"""Width and height of a bar in pixels."""

_REACH = 3.0
"""To how many times the band's half width the bar goes; what lies beyond stands at its end."""
_LINE, _BAND, _EDGE = (150, 150, 150), (205, 212, 220), (60, 60, 60)


class NormBars:
    """Pixmaps of bars, painted when first asked for."""

    def __init__(self) -> None:
        self._icons: dict[tuple[int, int], object] = {}

    def icon(self, mark: NormMark):
        """A QIcon that shows the mark in its band."""
        half = BAR[0] // 2 - 6
        place = round(half * min(max(mark.place, -_REACH), _REACH) / _REACH)
        if (place, mark.far) not in self._icons:
            self._icons[place, mark.far] = _bar(place, mark.far, half)
        return self._icons[place, mark.far]


def _bar(place: int, far: int, half: int):
    width, height = BAR
    pixmap = qt.QPixmap(width, height)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing, True)
    middle, band = width // 2, round(half / _REACH)
    painter.fillRect(middle - band, 1, 2 * band, height - 2, qt.QColor(*_BAND))
    painter.fillRect(middle - half, height // 2, 2 * half, 1, qt.QColor(*_LINE))
    painter.fillRect(middle, 1, 1, height - 2, qt.QColor(*_LINE))
    painter.setPen(qt.QColor(*_EDGE))
    painter.setBrush(qt.QBrush(qt.QColor(*(SURE, FAIR, UNSURE)[far])))
    x, y, r = middle + place, height // 2, 4
    if far == 0:
        painter.drawEllipse(x - r, y - r, 2 * r, 2 * r)
    elif far == 1:
        _polygon(painter, [(x, y - r - 1), (x + r + 1, y), (x, y + r + 1), (x - r - 1, y)])
    else:
        tip = r + 1 if place > 0 else -r - 1
        _polygon(painter, [(x - tip, y - r - 1), (x + tip, y), (x - tip, y + r + 1)])
    painter.end()
    return qt.QIcon(pixmap)


def _polygon(painter, corners: list[tuple[int, int]]) -> None:
    path = qt.QPainterPath()
    path.moveTo(*corners[0])
    for corner in corners[1:]:
        path.lineTo(*corner)
    path.closeSubpath()
    painter.drawPath(path)
