"""The cases of a review store: what is reviewed, what waits and why, where observers differ, what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import qt

from LandmarkDetector.Panel import cases_memory
from LandmarkDetector.Panel.cases_open import image_name
from LandmarkDetector.Panel.cases_rows import ALL, NEXT, CaseLine, differences_of, lines_of, side_words
from LandmarkDetector.Panel.combos import choose, chosen_key, fill
from LandmarkDetector.Panel.later import Later
from LandmarkDetector.Panel.note import Note
from LandmarkDetector.Panel.parameters import Parameters
from LandmarkDetector.Panel.signals import Signal, silent
from LandmarkDetector.Panel.tables import dress
from LandmarkDetector.Panel.texts import _, count

IMAGE, REVIEWED, REASON = range(3)
_LATER = 400
"""Milliseconds after a correction until the list is read anew."""


class CasesView:
    """The section "Cases", and the line under the review that says what is recorded.

    Tells by ``changed()`` that the store, its observer or its cases are others. No store is used until the person
    chooses one.

    Args:
        ui: the widgets of the .ui file by name.
        parameters: where choices are kept.
        dialogs: how the person is asked.
        recording: writes what is said into the store.
        opened: opens a case in the panel, given the store, the case and the observer; says what went wrong, or nothing.
    """

    def __init__(self, ui, parameters: Parameters, dialogs, recording, opened: Callable[[Any, str, str], str]) -> None:
        self.changed = Signal()
        self._ui, self._parameters, self._dialogs = ui, parameters, dialogs
        self._recording, self._opened = recording, opened
        self._lines: list[CaseLine] = []
        self.message, self.record = Note(ui.casesMessage), Note(ui.recordLabel)
        dress(ui.casesTable, [_("Image"), _("Reviewed"), _("Why next")])
        dress(ui.casesCompareTable, [_("Landmark"), _("Apart")])
        header = ui.casesTable.horizontalHeader()
        header.setSectionResizeMode(REVIEWED, qt.QHeaderView.ResizeToContents)
        header.setStretchLastSection(True)
        ui.casesTable.setColumnWidth(IMAGE, 8 * ui.casesTable.fontMetrics().height())
        fill(ui.casesOrderCombo, [(_("What to review next"), NEXT), (_("All cases"), ALL)])
        self._later = Later(self.refresh, _LATER)
        self._connect()
        self._show_store()

    def _connect(self) -> None:
        ui = self._ui
        ui.casesChooseButton.clicked.connect(self._on_choose)
        ui.casesNewButton.clicked.connect(self._on_new)
        ui.casesStopButton.clicked.connect(self._on_stop)
        ui.casesObserverButton.clicked.connect(self._on_observer)
        ui.casesRememberCheck.toggled.connect(self._on_remember)
        ui.casesCopyCheck.toggled.connect(self._on_copy)
        ui.casesOrderCombo.currentIndexChanged.connect(self._on_order)
        ui.casesTable.itemSelectionChanged.connect(self._on_selection)
        ui.casesTable.cellDoubleClicked.connect(self._on_open)
        ui.casesOpenButton.clicked.connect(self._on_open)
        ui.casesSection.contentsCollapsed.connect(self._later.ask)
        self._recording.changed.connect(self._on_recorded)

    # --- what the panel tells

    def begin(self) -> None:
        """Take up the store that this computer remembers, if the person asked for that."""
        folder, observer = cases_memory.remembered()
        if folder and observer and self._recording.store is None:
            self._show_remembered(True)
            self._use(folder, observer)

    def may_adopt(self, number: int) -> bool:
        """Whether so many reviewed landmarks that the store does not know are the observer's own."""
        if number == 1:
            question = _("A landmark of this result was reviewed before it was recorded. Record it as yours?")
        else:
            question = _("{n} landmarks of this result were reviewed before it was recorded. Record them as yours?")
        answers = [("mine", _("They are mine") if number > 1 else _("It is mine")), ("not", _("Not mine"))]
        return self._dialogs.ask(_("Cases"), question.format(n=number), answers) == "mine"

    def restore(self) -> None:
        """Show the order that the scene keeps."""
        choose(self._ui.casesOrderCombo, self._parameters.text("cases order"))

    def release(self) -> None:
        """The panel ends."""
        self._later.drop()

    # --- the store

    def _on_choose(self, *_arguments) -> None:
        folder = self._dialogs.open_folder(_("Open a review store"))
        if folder:
            self._use(folder, "")

    def _on_new(self, *_arguments) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError
        from LandmarkDetectorLib.review import ReviewStore

        folder = self._dialogs.open_folder(_("An empty folder for a new review store"))
        if not folder:
            return
        try:
            ReviewStore.create(folder)
        except LandmarkDetectorError as error:
            self.message.show(str(error), "error")
            return
        self._use(folder, "")

    def _use(self, folder: str, observer: str) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError
        from LandmarkDetectorLib.review import ReviewStore

        try:
            store = ReviewStore.open(folder)
        except LandmarkDetectorError as error:
            self.message.show(str(error), "error")
            return
        observer = observer or self._recording.observer or self._ask_observer("")
        if not observer:
            return
        self.message.clear()
        self._recording.use(store, observer)
        self._keep()
        self._show_store()
        self.refresh()

    def _on_stop(self, *_arguments) -> None:
        self._recording.use(None, self._recording.observer)
        cases_memory.forget()
        self._show_remembered(False)
        self.message.clear()
        self._show_store()
        self.refresh()

    def _on_observer(self, *_arguments) -> None:
        observer = self._ask_observer(self._recording.observer)
        if observer and observer != self._recording.observer:
            self._recording.use(self._recording.store, observer)
            self._keep()
            self._show_store()
            self.refresh()

    def _ask_observer(self, known: str) -> str:
        """The observer's name as the store takes it; empty when the person would rather not."""
        from LandmarkDetectorLib.review import ReviewError
        from LandmarkDetectorLib.review.case import check_observer

        question = _("Who reviews? A name or a code; it stands beside everything that you confirm or correct.")
        name = self._dialogs.ask_text(_("Observer"), question, known)
        if name is None:
            return ""
        try:
            return check_observer(name)
        except ReviewError as error:
            self.message.show(str(error), "error")
            return ""

    def _show_remembered(self, on: bool) -> None:
        with silent(self._ui.casesRememberCheck):
            self._ui.casesRememberCheck.setChecked(on)

    def _on_remember(self, *_arguments) -> None:
        if self._ui.casesRememberCheck.isChecked():
            self._keep()
        else:
            cases_memory.forget()

    def _keep(self) -> None:
        if self._recording.store is not None and self._ui.casesRememberCheck.isChecked():
            cases_memory.remember(str(self._recording.store.folder), self._recording.observer)

    def _on_copy(self, *_arguments) -> None:
        self._recording.copies = self._ui.casesCopyCheck.isChecked()

    def _show_store(self) -> None:
        ui, store = self._ui, self._recording.store
        on = store is not None
        if on:
            text = _("Recording into {folder} as {observer}.")
            ui.casesStoreLabel.setText(text.format(folder=store.folder.name, observer=self._recording.observer))
            ui.casesStoreLabel.setToolTip(str(store.folder))
        else:
            ui.casesStoreLabel.setText(_("Nothing is recorded. Open a review store, or make a new one in a folder."))
            ui.casesStoreLabel.setToolTip("")
        for widget in (ui.casesStopButton, ui.casesObserverButton, ui.casesRememberCheck, ui.casesCopyCheck):
            widget.setVisible(on)
        for widget in (ui.casesOrderCombo, ui.casesTable, ui.casesLabel, ui.casesOpenButton, ui.casesRetrainButton):
            widget.setVisible(on)
        self._on_recorded()
        self.changed.emit()

    # --- the list

    def refresh(self, *_arguments) -> None:
        """Read the store and show it."""
        self._later.drop()
        if self._recording.store is None or self._ui.casesSection.property("collapsed"):
            self._lines = self._lines if self._recording.store is not None else []
            self._ui.casesCompareLabel.setVisible(False)
            self._ui.casesCompareTable.setVisible(False)
            return
        from LandmarkDetectorLib.core import LandmarkDetectorError
        from LandmarkDetectorLib.io.notices import gathered

        store, observer = self._recording.store, self._recording.observer
        try:
            with gathered() as notices:
                rows, waiting = store.cases(), store.next_cases(observer)
                self._lines = lines_of(rows, waiting, observer, chosen_key(self._ui.casesOrderCombo))
                states = store.states(self._recording.case) if self._recording.case else {}
        except LandmarkDetectorError as error:
            self.message.show(str(error), "error")
            return
        self.message.show("\n".join(notices), "warning")
        self._fill()
        self._compare(states)
        self.changed.emit()

    def _fill(self) -> None:
        table, store = self._ui.casesTable, self._recording.store
        chosen = self._chosen() or self._recording.case
        with silent(table):
            table.setUpdatesEnabled(False)
            table.setRowCount(len(self._lines))
            for place, line in enumerate(self._lines):
                name = image_name(store, line.case)
                sign = "▸ " if line.case == self._recording.case else ""
                for column, text in ((IMAGE, f"{sign}{name}"), (REVIEWED, line.reviewed), (REASON, line.reason)):
                    item = qt.QTableWidgetItem(text)
                    item.setToolTip(f"{name}\n{line.about}")
                    item.setData(qt.Qt.UserRole, line.case)
                    table.setItem(place, column, item)
            place = next((i for i, line in enumerate(self._lines) if line.case == chosen), -1)
            table.setCurrentCell(place, IMAGE if place >= 0 else -1)
            table.setUpdatesEnabled(True)
        self._on_selection()

    def _compare(self, states) -> None:
        """Show where the observers of the open case differ."""
        ui = self._ui
        found = differences_of(states)
        ui.casesCompareLabel.setVisible(bool(found))
        ui.casesCompareTable.setVisible(bool(found))
        if not found:
            return
        apart = [one.apart for one in found if one.apart is not None]
        unit = next(iter(states.values())).unit
        text = _("Observers of the open case: {landmarks} in common.")
        if apart:
            text = _("Observers of the open case: {landmarks} in common, {median:.2f} {unit} apart (median).")
        landmarks = count(len(found), _("landmark"), _("landmarks"))
        ui.casesCompareLabel.setText(text.format(landmarks=landmarks, median=median(apart or [0.0]), unit=unit))
        table = ui.casesCompareTable
        titles = [_("Landmark"), _("Apart"), *states]
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels(titles)
        table.setRowCount(len(found))
        for place, one in enumerate(found):
            far = _("not agreed") if one.contested else "–" if one.apart is None else f"{one.apart:.2f} {unit}"
            for column, words in enumerate((one.label, far, *one.said)):
                table.setItem(place, column, qt.QTableWidgetItem(words))
        table.resizeColumnsToContents()

    def _on_selection(self, *_arguments) -> None:
        case = self._chosen()
        line = next((line for line in self._lines if line.case == case), None)
        if line is None:
            said = _("Nothing waits for you.") if not self._lines else _("Choose a case.")
            self._ui.casesLabel.setText(said)
        else:
            self._ui.casesLabel.setText("\n".join(filter(None, [line.about, self._side(case)])))
        self._ui.casesOpenButton.setEnabled(line is not None)

    def _side(self, case: str) -> str:
        """Whether a case trains or judges, in words; empty where that is not settled."""
        from LandmarkDetectorLib.core import LandmarkDetectorError
        from LandmarkDetectorLib.review.locked import sides_of

        try:
            return side_words(sides_of(self._recording.store, [case]).get(case, ""))
        except LandmarkDetectorError as error:
            return str(error)

    def _chosen(self) -> str:
        table = self._ui.casesTable
        item = table.item(table.currentRow(), IMAGE) if table.currentRow() >= 0 else None
        return str(item.data(qt.Qt.UserRole)) if item is not None else ""

    def _on_open(self, *_arguments) -> None:
        case = self._chosen()
        if not case:
            return
        from LandmarkDetectorLib.core import LandmarkDetectorError

        try:
            if self._recording.shows(case):
                self.message.show(_("This case is open already."))
                return
        except LandmarkDetectorError as error:
            self.message.show(str(error), "error")
            return
        trouble = self._opened(self._recording.store, case, self._recording.observer)
        self.message.show(trouble, "error" if trouble else "plain")
        if not trouble:
            self.refresh()

    def _on_order(self, *_arguments) -> None:
        self._parameters.set_text("cases order", chosen_key(self._ui.casesOrderCombo))
        self.refresh()

    # --- what is recorded

    def _on_recorded(self, *_arguments) -> None:
        recording = self._recording
        if recording.trouble:
            text = _("Not recorded: {why} The scene keeps your review; the next step tries again.")
            self.record.show(text.format(why=recording.trouble), "error")
        elif recording.store is not None and recording.case:
            text = _("Recorded into {folder} as {observer}.")
            self.record.show(text.format(folder=Path(recording.store.folder).name, observer=recording.observer))
        else:
            self.record.clear()
        if recording.store is not None:
            self._later.ask()
