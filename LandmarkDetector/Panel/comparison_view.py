"""Old and new bundle beside each other, and the decision: put the new one in use, or leave it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt

from LandmarkDetector.Panel.combos import chosen_key, fill
from LandmarkDetector.Panel.comparison_rows import compared_lines, parts_of, verdict_is_good
from LandmarkDetector.Panel.note import Note
from LandmarkDetector.Panel.tables import dress
from LandmarkDetector.Panel.texts import _

LANDMARK, OLD, NEW, CHANGE = range(4)
_WORSE = (176, 52, 22)


class ComparisonView:
    """The table of a comparison with its page and its decision.

    Args:
        ui: the widgets of the .ui file by name.
        dialogs: how the person is asked.
        decided: called with the reason that the person gives, which may be empty.
    """

    def __init__(self, ui, dialogs, decided: Callable[[str], None]) -> None:
        self._ui, self._dialogs, self._decided = ui, dialogs, decided
        self._comparison: Mapping[str, Any] | None = None
        self._busy = False
        self.message = Note(ui.comparisonMessage)
        dress(ui.comparisonTable, [_("Landmark"), _("Old"), _("New"), _("Change (95 %)")])
        header = ui.comparisonTable.horizontalHeader()
        for column in (LANDMARK, OLD, NEW):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        header.setStretchLastSection(True)
        ui.comparisonFrame.setVisible(False)
        ui.comparisonPartCombo.currentIndexChanged.connect(self._fill)
        ui.comparisonReportButton.clicked.connect(self._on_report)
        ui.comparisonReasonEdit.textChanged.connect(self._show_decision)
        ui.comparisonPromoteButton.clicked.connect(lambda *_a: self._decided(self._reason()))

    @property
    def comparison(self) -> Mapping[str, Any] | None:
        """What is shown: the worker's answer to ``promote``; ``None`` where nothing is."""
        return self._comparison

    def show(self, comparison: Mapping[str, Any] | None) -> None:
        """Show a comparison, or none."""
        ui = self._ui
        self._comparison = comparison
        ui.comparisonFrame.setVisible(comparison is not None)
        ui.comparisonReasonEdit.setText("")
        if comparison is None:
            return
        fill(ui.comparisonPartCombo, [(words, key) for key, words in parts_of(comparison)])
        self._fill()
        said = [comparison["outcome"], *comparison["doubts"], *comparison["reasons"]]
        good = verdict_is_good(comparison)
        self.message.show("\n".join(dict.fromkeys(said)), "plain" if good else "warning")
        self._show_decision()

    def set_busy(self, busy: bool) -> None:
        """Whether something runs, so that nothing can be decided."""
        self._busy = busy
        self._show_decision()

    def _fill(self, *_arguments) -> None:
        comparison, table = self._comparison, self._ui.comparisonTable
        part = chosen_key(self._ui.comparisonPartCombo)
        if comparison is None or not part:
            return
        lines = compared_lines(comparison, part)
        table.setRowCount(len(lines))
        for place, line in enumerate(lines):
            for column, words in enumerate((line.label, line.old, line.new, line.change)):
                item = qt.QTableWidgetItem(words)
                item.setToolTip(line.about)
                if line.worse:
                    item.setForeground(qt.QBrush(qt.QColor(*_WORSE)))
                table.setItem(place, column, item)

    def _show_decision(self, *_arguments) -> None:
        if self._comparison is None:
            return
        ui, good = self._ui, verdict_is_good(self._comparison)
        name, version = self._comparison["candidate"]["name"], self._comparison["candidate"]["version"]
        ui.comparisonReasonEdit.setVisible(not good)
        ui.comparisonPromoteButton.setText(_("Use {version} from now on").format(version=version))
        ui.comparisonPromoteButton.setEnabled((good or bool(self._reason())) and not self._busy)
        if good:
            tip = _("{name} {version} takes the place of the bundle in use, which is kept.")
        else:
            tip = _("It was not shown to be no worse: say above why {name} {version} shall be used all the same.")
        ui.comparisonPromoteButton.setToolTip(tip.format(name=name, version=version))
        ui.comparisonReportButton.setEnabled(bool(self._comparison.get("html")))

    def _reason(self) -> str:
        return str(self._ui.comparisonReasonEdit.property("text")).strip()

    def _on_report(self, *_arguments) -> None:
        path = str(self._comparison["html"]) if self._comparison is not None else ""
        if not self._dialogs.open_document(path):
            self.message.show(_("The page cannot be opened here; it is {path}").format(path=path), "warning")
