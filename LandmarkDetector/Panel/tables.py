"""How the panel's tables look."""

from __future__ import annotations

from collections.abc import Sequence

import qt

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
