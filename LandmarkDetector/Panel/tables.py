"""The panel's tables: how they look, and how those whose rows have a key follow what they show."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeVar

import qt

from LandmarkDetector.Panel.signals import Signal, silent

Key = TypeVar("Key", bound=Hashable)
_CHOSEN = (198, 224, 250)


def dress(table, titles: Sequence[str]) -> None:
    """Give a QTableWidget its titles, low rows, and a pale selection on which every bar and word keeps its colour."""
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(list(titles))
    table.verticalHeader().setVisible(False)
    table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + 8)
    table.horizontalHeader().setHighlightSections(False)
    table.horizontalHeader().setSectionsClickable(False)
    palette = qt.QPalette(table.property("palette"))
    palette.setColor(qt.QPalette.Highlight, qt.QColor(*_CHOSEN))
    palette.setColor(qt.QPalette.HighlightedText, qt.QColor(0, 0, 0))
    table.setPalette(palette)


class RowTable(ABC, Generic[Key]):
    """Rows in a QTableWidget, each known by a key; how a row looks is for a subclass to say.

    Tells by ``chosen(key)`` that the person went to a row.

    Args:
        table: the QTableWidget of the .ui file.
        titles: of its columns.
    """

    def __init__(self, table, titles: Sequence[str]) -> None:
        self.chosen = Signal()
        self.widget = table
        self._shown: list[Any] = []
        self._places: dict[Key, int] = {}
        dress(table, titles)
        table.itemSelectionChanged.connect(self._on_selection)
        table.cellClicked.connect(self._on_selection)  # a click on the row that is selected goes there again

    @abstractmethod
    def _key(self, row: Any) -> Key:
        """By what a row is found again."""

    @abstractmethod
    def _fill(self, place: int, row: Any, before: Any) -> None:
        """Put a row into its cells; ``before`` stood there until now, ``None`` where all of them are to be filled."""

    def _look(self, row: Any) -> Any:
        """What is equal of rows that look the same."""
        return row

    @property
    def rows(self) -> list[Any]:
        """The rows that are shown."""
        return self._shown

    @property
    def current(self) -> Key | None:
        """The key of the row that is selected."""
        place = self.widget.currentRow()
        return self._key(self._shown[place]) if 0 <= place < len(self._shown) else None

    def place_of(self, key: Key | None) -> int:
        """The number of a row, -1 when it is not shown."""
        return -1 if key is None else self._places.get(key, -1)

    def show(self, rows: Sequence[Any]) -> None:
        """Show these rows in this order, touching only what differs from what is shown."""
        table, shown = self.widget, self._shown
        with silent(table):
            table.setUpdatesEnabled(False)
            if int(table.property("rowCount")) != len(rows):
                table.setRowCount(len(rows))
            for place, row in enumerate(rows):
                before = shown[place] if place < len(shown) else None
                if before is None or self._look(before) != self._look(row):
                    self._fill(place, row, before)
            self._shown = list(rows)
            self._places = {self._key(row): place for place, row in enumerate(rows)}
            table.setUpdatesEnabled(True)

    def select(self, key: Key | None) -> bool:
        """Select a row, or none, and tell nobody; whether it is shown."""
        place = self.place_of(key)
        with silent(self.widget):
            self.widget.setCurrentCell(place, 0 if place >= 0 else -1)
        return place >= 0

    def _on_selection(self, *_arguments) -> None:
        key = self.current
        if key is not None:
            self.chosen.emit(key)
