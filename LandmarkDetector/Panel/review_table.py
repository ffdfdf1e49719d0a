"""The table of the review: a row a landmark. Knows how rows look, not what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt

from LandmarkDetector.Panel.colours import BAR, ConfidenceBars, status_look
from LandmarkDetector.Panel.signals import Signal
from LandmarkDetector.Panel.tables import dress
from LandmarkDetector.Panel.texts import _

LABEL, CONFIDENCE, STATUS = range(3)


class ReviewTable:
    """Rows of a review in a QTableWidget.

    Tells by ``chosen(point_id)`` that the person went to a row.

    Args:
        table: the QTableWidget of the .ui file.
    """

    def __init__(self, table) -> None:
        self.chosen = Signal()
        self.widget = table
        self._bars = ConfidenceBars()
        self._shown: list[Any] = []
        self._places: dict[str, int] = {}
        dress(table, [_("Landmark"), _("Confidence"), _("Status")])
        table.setIconSize(qt.QSize(*BAR))
        header = table.horizontalHeader()
        header.setSectionResizeMode(LABEL, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(CONFIDENCE, qt.QHeaderView.Fixed)
        header.setSectionResizeMode(STATUS, qt.QHeaderView.Fixed)
        letter = table.fontMetrics().height()
        table.setColumnWidth(CONFIDENCE, BAR[0] + 3 * letter)
        table.setColumnWidth(STATUS, 7 * letter)
        table.itemSelectionChanged.connect(self._on_selection)
        table.cellClicked.connect(self._on_selection)  # a click on the row that is selected goes there again

    def show(self, rows: Sequence[Any]) -> None:
        """Show these rows in this order, touching only what differs from what is shown."""
        table, shown = self.widget, self._shown
        old = table.blockSignals(True)
        table.setUpdatesEnabled(False)
        if len(rows) != len(shown):
            table.setRowCount(len(rows))
        for place, row in enumerate(rows):
            before = shown[place] if place < len(shown) else None
            if before is None or _look(before) != _look(row):
                self._fill(place, row, before is None)
        self._shown = list(rows)
        self._places = {row.point_id: place for place, row in enumerate(rows)}
        table.setUpdatesEnabled(True)
        table.blockSignals(old)

    @property
    def rows(self) -> list[Any]:
        """The rows that are shown."""
        return self._shown

    @property
    def current(self) -> str:
        """Id of the landmark of the row that is selected, or an empty text."""
        place = self.widget.currentRow()
        return self._shown[place].point_id if 0 <= place < len(self._shown) else ""

    def select(self, point_id: str, *, quietly: bool = False) -> bool:
        """Go to the row of a landmark; ``False`` when it is not shown."""
        place = self._places.get(point_id)
        if place is None:
            return False
        if quietly:
            old = self.widget.blockSignals(True)
            self.widget.setCurrentCell(place, LABEL)
            self.widget.blockSignals(old)
        else:
            self.widget.setCurrentCell(place, LABEL)
        self.widget.scrollToItem(self.widget.item(place, LABEL))
        return True

    def place_of(self, point_id: str) -> int:
        """The number of a landmark's row, -1 when it is not shown."""
        return self._places.get(point_id, -1)

    def clear_selection(self) -> None:
        """Select nothing, and tell nobody."""
        old = self.widget.blockSignals(True)
        self.widget.setCurrentCell(-1, -1)
        self.widget.blockSignals(old)

    def _fill(self, place: int, row: Any, fresh: bool) -> None:
        table = self.widget
        if fresh or table.item(place, LABEL) is None:
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

    def _on_selection(self, *_arguments) -> None:
        if self.current:
            self.chosen.emit(self.current)


def _look(row: Any) -> tuple[Any, ...]:
    confidence = None if row.confidence is None else round(row.confidence, 2)
    return row.label, row.name, row.definition, confidence, row.status, row.proposed
