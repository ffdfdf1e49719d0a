"""How the views share the window: four of them, or one that fills it."""

from __future__ import annotations

from qtpy.QtWidgets import QGridLayout, QWidget

PLACES = {"Red": (0, 0), "3D": (0, 1), "Green": (1, 0), "Yellow": (1, 1)}  # as Slicer's "four-up"


class ViewGrid:
    """Two by two views, or one of them.

    Args:
        views: the views' widgets by name: Red, Yellow, Green, 3D.

    Attributes:
        widget: what stands in the window.
        single: the name of the view that fills it, or None.
    """

    def __init__(self, views: dict[str, QWidget]) -> None:
        self._views = views
        self.single: str | None = None
        self.widget = QWidget()
        self.widget.setObjectName("views")
        self.widget.setStyleSheet("#views {background: #26272b;}")
        self._grid = QGridLayout(self.widget)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        for name, (row, column) in PLACES.items():
            self._grid.addWidget(views[name], row, column)
        for index in range(2):
            self._grid.setRowStretch(index, 1)
            self._grid.setColumnStretch(index, 1)

    def show(self, single: str | None) -> None:
        """Show all views, or one."""
        self.single = single
        for name in PLACES:
            self._views[name].setVisible(single in (None, name))
        # A hidden row or column keeps its stretch, so it is given none.
        row, column = PLACES[single] if single else (0, 0)
        for index in range(2):
            self._grid.setRowStretch(index, 1 if single is None or index == row else 0)
            self._grid.setColumnStretch(index, 1 if single is None or index == column else 0)
        self._grid.setSpacing(2 if single is None else 0)
        self._grid.activate()
