"""The table of measurements: a row a result. Knows how rows look, not what they mean.

It has to be read in a panel 380 pixels wide. Of two times the values stand one above the other in rows of two lines.
"""

from __future__ import annotations

from collections.abc import Sequence

import qt

from LandmarkDetector.Panel.colours import status_look
from LandmarkDetector.Panel.measure_rows import Key, MeasureRow
from LandmarkDetector.Panel.norm_bars import BAR, NormBars
from LandmarkDetector.Panel.tables import RowTable
from LandmarkDetector.Panel.texts import _

NAME, VALUE, INTERVAL, DIFFERENCE, NORM = range(5)
_SMALL = (42, 9)
"""Of a norm's bar beside two times."""
_PALE = (115, 115, 115)
_PLAIN = (20, 20, 20)


class MeasureTable(RowTable[Key]):
    """Rows of measurements.

    Args:
        table: the QTableWidget of the .ui file.
    """

    def __init__(self, table) -> None:
        super().__init__(table, [""] * (NORM + 1))
        self._bars = NormBars()
        self._compared: bool | None = None
        table.horizontalHeader().setStretchLastSection(True)
        self._letter = int(table.fontMetrics().height())
        # By contents they would leap while one drags, and a reason why something was not computed is long.
        for column, letters in ((INTERVAL, 5.7), (DIFFERENCE, 5.2)):
            table.setColumnWidth(column, round(letters * self._letter))
        table.setMouseTracking(True)
        table.cellEntered.connect(self._on_entered)
        self.compare(False)

    def compare(self, on: bool) -> None:
        """Show a second time and the difference, or the interval; both do not fit beside each other."""
        if on == self._compared:
            return
        self._compared = on
        self._shown = []  # their cells join in another way
        table = self.widget
        first = _("First\nSecond") if on else _("Value")
        norm = _("Norm of the first") if on else _("Norm")
        table.setHorizontalHeaderLabels([_("Name"), first, _("Interval"), _("Second\n− first"), norm])
        table.setColumnHidden(DIFFERENCE, not on)
        table.setWordWrap(on)
        table.setIconSize(qt.QSize(*(_SMALL if on else BAR)))
        table.setColumnWidth(VALUE, round((6.2 if on else 6) * self._letter))
        lines = 2 if on else 1
        table.verticalHeader().setDefaultSectionSize(lines * self._letter + 8)

    def show(self, rows: Sequence[MeasureRow]) -> None:
        """Show these rows in this order, touching only cells that differ from what is shown."""
        intervals = any(row.interval for row in rows) and not self._compared
        self.widget.setColumnHidden(INTERVAL, not intervals)  # where there is none the norm needs the room
        if list(rows) == self._shown:
            return
        fresh = [row.key for row in rows] != [row.key for row in self._shown]
        if fresh:
            self.widget.clearSpans()
            self._shown = []
        RowTable.show(self, rows)
        if fresh:
            self.widget.resizeColumnToContents(NAME)
            self.widget.setColumnWidth(NAME, min(int(self.widget.columnWidth(NAME)), self._widest_name()))

    def _key(self, row: MeasureRow) -> Key:
        return row.key

    def _fill(self, place: int, row: MeasureRow, before: MeasureRow | None) -> None:
        table = self.widget
        if before is None or table.item(place, NAME) is None:
            for column in range(NORM + 1):
                table.setItem(place, column, qt.QTableWidgetItem())
        some = row.computed or row.second_computed
        width = 1 if some else NORM  # a reason takes the room of what has nothing to say
        if table.columnSpan(place, VALUE) != width:
            table.setSpan(place, VALUE, 1, width)
        texts = self._texts(row, some)
        for column, text in enumerate(texts):
            item = table.item(place, column)
            if str(item.text()) != text:
                item.setText(text)
        ink = qt.QBrush(qt.QColor(*(_PLAIN if row.computed else _PALE)))
        for column in (NAME, VALUE):
            table.item(place, column).setForeground(ink)
        if before is None or before.mark != row.mark:
            table.item(place, NORM).setIcon(qt.QIcon() if row.mark is None else self._bars.icon(row.mark))

    def _texts(self, row: MeasureRow, some: bool) -> tuple[str, ...]:
        """What stands in the columns."""
        mark = f" {status_look('unreviewed').symbol}"
        value = row.value + (mark if row.proposal else "")
        if self._compared and some:
            value += f"\n{row.second}" + (mark if row.second_proposal else "")
        return self._name(row), value, row.interval, row.difference, f"⚠ {row.norm}" if row.warning else row.norm

    def _name(self, row: MeasureRow) -> str:
        """Of two times view and side on a line of their own, where a long name cannot push them out."""
        name, comma, rest = row.name.partition(", ")
        if not (self._compared and comma):
            return row.name
        room = self._widest_name() - self._letter // 2
        rest = rest.replace(_("projected"), _("proj."))
        return f"{self.widget.fontMetrics().elidedText(name + ',', qt.Qt.ElideRight, room)}\n{rest}"

    def _widest_name(self) -> int:
        return round((5 if self._compared else 9) * self._letter)

    def _on_entered(self, place: int, *_arguments) -> None:
        """The tooltip of the row under the mouse: to set it in each cell at each movement of a drag would cost more."""
        self.widget.setToolTip(self._shown[place].about if 0 <= place < len(self._shown) else "")
