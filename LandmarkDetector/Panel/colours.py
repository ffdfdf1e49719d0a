"""Colours, symbols and words of confidence and status: the same in the table, the legend and the guide.

A bar has the colour of the halo around the landmark in the views, and says the same by its length.
"""

from __future__ import annotations

from dataclasses import dataclass

import qt

from LandmarkDetector.Panel.texts import _
from LandmarkDetector.Scene.halo import colour_of

BAR = (48, 10)
"""Width and height of a bar in pixels."""

_FRAME = (130, 130, 130)


@dataclass(frozen=True)
class StatusLook:
    """How a status is shown: a symbol, a word, and a colour (red, green, blue) in 0..255."""

    symbol: str
    word: str
    colour: tuple[int, int, int]


def status_look(status: str, proposed: bool = True) -> StatusLook:
    """The look of one of the statuses of a review; what no program proposed is placed by a person, not corrected."""
    if not proposed:
        placed = {
            "not found": StatusLook("○", _("not placed"), (105, 105, 105)),
            "corrected": StatusLook("✎", _("placed"), (44, 110, 190)),
        }
        if status in placed:
            return placed[status]
    return {
        "unreviewed": StatusLook("○", _("unreviewed"), (105, 105, 105)),
        "confirmed": StatusLook("✓", _("confirmed"), (32, 143, 90)),
        "corrected": StatusLook("✎", _("corrected"), (44, 110, 190)),
        "absent": StatusLook("✗", _("absent"), (120, 90, 160)),
        "not found": StatusLook("?", _("not found"), (201, 74, 38)),
    }[status]


class ConfidenceBars:
    """Pixmaps of bars, one for each per cent, painted when first asked for."""

    def __init__(self) -> None:
        self._icons: dict[int, object] = {}

    def icon(self, confidence: float):
        """A QIcon with a bar as long as the confidence in 0..1."""
        percent = round(100 * min(max(confidence, 0.0), 1.0))
        if percent not in self._icons:
            self._icons[percent] = _bar(percent)
        return self._icons[percent]


def _bar(percent: int):
    width, height = BAR
    pixmap = qt.QPixmap(width, height)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(pixmap)
    filled = max(1, round((width - 2) * percent / 100))
    painter.fillRect(1, 1, width - 2, height - 2, qt.QColor(*_FRAME, 70))
    painter.fillRect(1, 1, filled, height - 2, qt.QColor(*colour_of(percent / 100)))
    painter.end()
    return qt.QIcon(pixmap)
