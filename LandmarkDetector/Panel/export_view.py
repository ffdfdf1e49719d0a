"""Writing the landmarks to a file that says in which coordinates they stand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from LandmarkDetector.Panel.combos import choose, chosen_key, fill
from LandmarkDetector.Panel.file_names import ask_path, file_name
from LandmarkDetector.Panel.note import Note
from LandmarkDetector.Panel.parameters import Parameters
from LandmarkDetector.Panel.texts import _

FORMATS = (
    (_("Slicer point list (.mrk.json)"), ".mrk.json"),
    (_("Older Slicer point list (.fcsv)"), ".fcsv"),
    (_("Table (.csv)"), ".csv"),
    (_("Spreadsheet (.xlsx)"), ".xlsx"),
)
SYSTEMS = ((_("LPS: left, posterior, superior"), "LPS"), (_("RAS: right, anterior, superior"), "RAS"))


class ExportView:
    """The section "Export".

    Args:
        ui: the widgets of the .ui file by name.
        parameters: where choices are kept.
        dialogs: how the person is asked.
        export: writes a node to a path in ``LPS`` or ``RAS``.
    """

    def __init__(self, ui, parameters: Parameters, dialogs, export: Callable[[Any, Path, str], None]) -> None:
        self._ui, self._parameters, self._dialogs, self._export = ui, parameters, dialogs, export
        self._node: Any = None
        self._left, self._total = 0, 0
        self._consented = False
        self.message = Note(ui.exportLabel)
        fill(ui.formatCombo, FORMATS)
        fill(ui.systemCombo, SYSTEMS)
        self.restore()
        ui.formatCombo.currentIndexChanged.connect(lambda *_: parameters.set_text("format", chosen_key(ui.formatCombo)))
        ui.systemCombo.currentIndexChanged.connect(lambda *_: parameters.set_text("system", chosen_key(ui.systemCombo)))
        ui.exportButton.clicked.connect(self._on_export)
        self.show(None, 0, 0)

    @property
    def system(self) -> str:
        """``LPS`` or ``RAS``, as chosen."""
        return chosen_key(self._ui.systemCombo)

    def restore(self) -> None:
        """Show what the scene keeps."""
        for combo, name in ((self._ui.formatCombo, "format"), (self._ui.systemCombo, "system")):
            choose(combo, self._parameters.text(name))

    def show(self, node, left: int, total: int) -> None:
        """Be ready to write ``node``, of whose ``total`` landmarks ``left`` are not reviewed."""
        if node is not self._node:
            self.message.clear()
            self._consented = False
        self._node, self._left, self._total = node, left, total
        self._ui.exportButton.setEnabled(node is not None and total > 0)

    def _on_export(self, *_arguments) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError
        from LandmarkDetectorLib.io.notices import gathered

        node = self._node
        if node is None or not self._may_export():
            return
        system, suffix = self.system, chosen_key(self._ui.formatCombo)
        title = _("Export landmarks in {system} world coordinates").format(system=system)
        path = ask_path(self._dialogs, title, file_name(node.GetName()), suffix, _("Export"))
        if path is None:
            return
        try:
            with gathered() as notices:
                self._export(node, path, system)
        except LandmarkDetectorError as error:
            self.message.show(str(error), "error")
            return
        self._tell(path, system, notices)

    def _tell(self, path: Path, system: str, notices: list[str]) -> None:
        """Say what was written, and what the format could not take."""
        if notices:
            done = _("Written to {name}, in {system} world coordinates.").format(name=path.name, system=system)
            self.message.show("\n".join([done, *notices]), "warning")
            return
        done = _("{total} landmarks written to {name}, in {system} world coordinates.")
        self.message.show(done.format(total=self._total, name=path.name, system=system))

    def _may_export(self) -> bool:
        if not self._left or self._consented:
            return True
        question = _("{left} of {total} landmarks are not reviewed; export all the same?")
        answers = [("export", _("Export"))]
        if self._dialogs.ask(_("Export"), question.format(left=self._left, total=self._total), answers) != "export":
            return False
        self._consented = True
        return True
