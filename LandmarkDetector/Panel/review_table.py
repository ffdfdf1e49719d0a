"""The table of the review: a row a landmark. Knows how rows look, not what they mean."""

from __future__ import annotations

from typing import Any

import qt

from LandmarkDetector.Panel.colours import BAR, ConfidenceBars, status_look
from LandmarkDetector.Panel.tables import RowTable
from LandmarkDetector.Panel.texts import _

LABEL, CONFIDENCE, STATUS = range(3)


class ReviewTable(RowTable[str]):
    """Rows of a review, each known by the id of its control point.

    Args:
        table: the QTableWidget of the .ui file.
    """

    def __init__(self, table) -> None:
        super().__init__(table, [_("Landmark"), _("Confidence"), _("Status")])
        self._bars = ConfidenceBars()
        table.setIconSize(qt.QSize(*BAR))
        header = table.horizontalHeader()
        header.setSectionResizeMode(LABEL, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(CONFIDENCE, qt.QHeaderView.Fixed)
        header.setSectionResizeMode(STATUS, qt.QHeaderView.Fixed)
        letter = table.fontMetrics().height()
        table.setColumnWidth(CONFIDENCE, BAR[0] + 3 * letter)
        table.setColumnWidth(STATUS, 7 * letter)

    def select(self, key: str | None) -> bool:
        """Select a landmark's row where it can be seen, or none, and tell nobody; whether it is shown."""
        return RowTable.select(self, key) and self._scroll_to(key)

    def go_to(self, key: str) -> bool:
        """Go to a landmark's row as the person does by a click; whether it is shown."""
        place = self.place_of(key)
        if place >= 0:
            self.widget.setCurrentCell(place, LABEL)
        return place >= 0 and self._scroll_to(key)

    def _scroll_to(self, key: str | None) -> bool:
        self.widget.scrollToItem(self.widget.item(self.place_of(key), LABEL))
        return True

    def _key(self, row: Any) -> str:
        return str(row.point_id)

    def _look(self, row: Any) -> tuple[Any, ...]:
        confidence = None if row.confidence is None else round(row.confidence, 2)
        return row.label, row.name, row.definition, confidence, row.status, row.proposed

    def _fill(self, place: int, row: Any, before: Any) -> None:
        table = self.widget
        if before is None or table.item(place, LABEL) is None:
            for column in (LABEL, CONFIDENCE, STATUS):
                table.setItem(place, column, qt.QTableWidgetItem())
        label, confidence, status = (table.item(place, column) for column in (LABEL, CONFIDENCE, STATUS))
        look = status_look(row.status, row.proposed)
        label.setText(row.label if row.name in ("", row.label) else f"{row.label}  {row.name}")
        tip = "\n".join(part for part in (row.name or row.label, row.definition) if part)
        for item in (label, confidence, status):
            item.setToolTip(tip)
        if row.confidence is None:
            confidence.setText("–")
            confidence.setIcon(qt.QIcon())
        else:
            confidence.setText(f"{row.confidence:.2f}")
            confidence.setIcon(self._bars.icon(row.confidence))
        status.setText(f"{look.symbol} {look.word}")
        status.setForeground(qt.QBrush(qt.QColor(*look.colour)))
