"""The main window: what is dropped on it, and how it closes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QGuiApplication, QIcon
from qtpy.QtWidgets import QDockWidget, QFrame, QMainWindow, QScrollArea, QWidget

TITLE = "Landmark Detector"
ICON = Path(__file__).resolve().parents[1] / "LandmarkDetector" / "Resources" / "Icons" / "LandmarkDetector.png"
STYLE = """
QMainWindow, QMenuBar, QToolBar, QStatusBar {background: #f4f5f7;}
QToolBar {border: none; border-bottom: 1px solid #d4d6db; spacing: 2px; padding: 3px;}
QToolBar QToolButton {padding: 4px 9px; border: 1px solid transparent; border-radius: 4px; color: #1d1f23;}
QToolBar QToolButton:hover {background: #e4e7ec;}
QToolBar QToolButton:checked {background: #d3e2f7; border-color: #9dbbe6;}
QToolBar QToolButton:disabled {color: #a5a8ae;}
QMainWindow::separator {background: #d4d6db; width: 3px;}
QStatusBar {color: #45484e;}
"""


class MainWindow(QMainWindow):
    """The window.

    Attributes:
        dropped: called with the files and folders that were dropped, or None.
        may_close: asked before it closes, or None.
        closed: called when it closes, or None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.dropped: Callable[[list[Path]], None] | None = None
        self.may_close: Callable[[], bool] | None = None
        self.closed: Callable[[], None] | None = None
        self.setObjectName("LandmarkDetectorDesktop")
        self.setWindowTitle(TITLE)
        self.setStyleSheet(STYLE)
        self.setAcceptDrops(True)
        size = QSize(1400, 900)
        screen = QGuiApplication.primaryScreen()
        if screen is not None and QGuiApplication.platformName() != "offscreen":
            size = size.boundedTo(screen.availableSize() * 0.95)
        self.resize(size)
        if ICON.is_file():
            self.setWindowIcon(QIcon(str(ICON)))

    def dock(self, panel: QWidget) -> None:
        """Put the module's panel at the left; it scrolls where the window is low."""
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        area.setWidget(panel)
        dock = QDockWidget(self)
        dock.setObjectName("panel")
        dock.setFeatures(QDockWidget.DockWidgetFeature.NoDockWidgetFeatures)
        dock.setTitleBarWidget(QWidget())
        dock.setWidget(area)
        dock.setMinimumWidth(380)
        self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        self.resizeDocks([dock], [440], Qt.Orientation.Horizontal)

    def when_seen(self, then: Callable[[], None], tries: int = 100) -> None:
        """Call ``then`` when the window is on the screen, or after two seconds: until it is painted it is black."""
        handle = self.windowHandle()
        if tries and (handle is None or not handle.isExposed()):
            QTimer.singleShot(20, self, lambda: self.when_seen(then, tries - 1))
        else:
            QTimer.singleShot(0, self, then)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask whether it may close."""
        if self.may_close is not None and not self.may_close():
            event.ignore()
            return
        super().closeEvent(event)
        if self.closed is not None:
            self.closed()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files and folders of this machine are welcome."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what is dropped."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        event.acceptProposedAction()
        if self.dropped is not None:
            self.dropped(paths)
