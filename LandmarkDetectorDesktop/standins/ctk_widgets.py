"""Stand-ins for CTK's widgets: the part of their interface that a .ui file and a panel use, on plain Qt widgets."""

from __future__ import annotations

from qtpy.QtCore import Property, QEvent, QSize, Qt, Signal
from qtpy.QtWidgets import QSizePolicy, QToolButton, QWidget


class ctkCollapsibleButton(QWidget):
    """A headed section that folds; its content is whatever layout the .ui file gives it."""

    contentsCollapsed = Signal(bool)
    toggled = Signal(bool)
    clicked = Signal(bool)

    def __init__(self, *arguments) -> None:
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        super().__init__(next((argument for argument in arguments if isinstance(argument, QWidget)), None))
        self._collapsed = False
        self._folded: list[QWidget] = []  # what was visible when the section was closed
        self._header = QToolButton(self)
        self._header.setObjectName("qt_header")
        self._header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._header.setAutoRaise(True)
        self._header.setArrowType(Qt.ArrowType.DownArrow)
        self._header.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._header.setStyleSheet(
            "QToolButton {border: 1px solid palette(mid); border-radius: 3px; padding: 3px 6px; text-align: left;"
            " font-weight: 600; background: palette(button);} QToolButton:hover {background: palette(midlight);}"
        )
        self._header.clicked.connect(self._on_header)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.setText(text)

    def _on_header(self, *_) -> None:
        self.setCollapsed(not self._collapsed)
        self.clicked.emit(not self._collapsed)

    def _height(self) -> int:
        return self._header.sizeHint().height()

    def _place(self) -> None:
        self.setContentsMargins(0, self._height(), 0, 0)
        self._header.setGeometry(0, 0, self.width(), self._height())

    def resizeEvent(self, event) -> None:
        """Keep the header as wide as the section."""
        super().resizeEvent(event)
        self._place()

    def changeEvent(self, event: QEvent) -> None:
        """A new font or style changes the height of the header."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._place()

    def minimumSizeHint(self) -> QSize:
        """At least the header."""
        size = super().minimumSizeHint()
        return QSize(max(size.width(), self._header.minimumSizeHint().width()), max(size.height(), self._height()))

    def sizeHint(self) -> QSize:
        """The header, and the content unless it is folded."""
        size = super().sizeHint()
        height = self._height() if self._collapsed else max(size.height(), self._height())
        return QSize(max(size.width(), self._header.sizeHint().width()), height)

    def _fold(self) -> None:
        """Hide what is visible, and keep it in mind."""
        for child in self.children():
            if isinstance(child, QWidget) and child is not self._header and not child.isHidden():
                self._folded.append(child)
                child.hide()

    def showEvent(self, event) -> None:
        """A .ui file folds a section before it fills it."""
        if self._collapsed:
            self._fold()
        super().showEvent(event)

    def getText(self) -> str:
        """The heading."""
        return self._header.text()

    def setText(self, text: str) -> None:
        """Set the heading."""
        self._header.setText(text)
        self._place()

    def isCollapsed(self) -> bool:
        """Whether only the heading shows."""
        return self._collapsed

    def setCollapsed(self, collapsed: bool) -> None:
        """Fold or unfold."""
        collapsed = bool(collapsed)
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self._header.setArrowType(Qt.ArrowType.RightArrow if collapsed else Qt.ArrowType.DownArrow)
        if collapsed:
            self._fold()
        else:
            folded, self._folded = self._folded, []
            for child in folded:
                child.setVisible(True)
        self.setMaximumHeight(self._height() if collapsed else 16777215)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)
        self.toggled.emit(not collapsed)

    def _is_checked(self) -> bool:
        return not self._collapsed

    def _set_checked(self, checked: bool) -> None:
        self.setCollapsed(not checked)

    text = Property(str, getText, setText)
    collapsed = Property(bool, isCollapsed, setCollapsed, notify=contentsCollapsed)
    checked = Property(bool, _is_checked, _set_checked)


WIDGETS = (ctkCollapsibleButton,)
