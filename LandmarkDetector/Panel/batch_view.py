"""The batch: two folders, the formats, one button, and a table of what came of each image."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import qt

from LandmarkDetector.Panel.batch_run import BatchRun
from LandmarkDetector.Panel.note import Note
from LandmarkDetector.Panel.parameters import Parameters
from LandmarkDetector.Panel.progress_words import line_of, stage_words, time_left
from LandmarkDetector.Panel.signals import Signal
from LandmarkDetector.Panel.tables import dress
from LandmarkDetector.Panel.texts import _

IMAGE, FOUND, RESULT = range(3)
_FAILED = (176, 52, 22)


class BatchView:
    """The section "Batch".

    Tells by ``changed()`` that a batch began or ended, and by ``opened(source, files)`` that the person wants to
    review an image.

    Args:
        ui: the widgets of the .ui file by name.
        parameters: where choices are kept.
        dialogs: how the person is asked.
        run: does the work.
        order: bundle, device and coordinate system, as they are chosen above.
    """

    def __init__(
        self,
        ui,
        parameters: Parameters,
        dialogs,
        run: BatchRun,
        order: Callable[[], tuple[str, str, str]],
    ) -> None:
        self.changed, self.opened = Signal(), Signal()
        self._ui, self._parameters, self._dialogs = ui, parameters, dialogs
        self._run, self._order = run, order
        self._rows: list[Any] = []
        self._image = ""
        self._began = 0.0
        self._obstacle = ""
        self.message = Note(ui.batchMessage)
        self._formats = (
            (".mrk.json", ui.batchMarkupsCheck),
            (".fcsv", ui.batchFcsvCheck),
            (".csv", ui.batchCsvCheck),
            (".xlsx", ui.batchXlsxCheck),
        )
        dress(ui.batchTable, [_("Image"), _("Found"), _("Result")])
        header = ui.batchTable.horizontalHeader()
        for column, mode in ((IMAGE, "Stretch"), (FOUND, "ResizeToContents"), (RESULT, "Stretch")):
            header.setSectionResizeMode(column, getattr(qt.QHeaderView, mode))
        self._connect()
        self.restore()
        self.show_ready("")

    def restore(self) -> None:
        """Show the formats that the scene keeps. Folders are not kept: their names may be those of patients."""
        kept = self._parameters.text("batch formats")
        if kept:
            for suffix, check in self._formats:
                check.setChecked(suffix in kept.split())

    def show_ready(self, obstacle: str) -> None:
        """``obstacle`` says why no batch can begin, or is empty."""
        self._obstacle = obstacle
        if not self._run.running:
            self._ui.batchButton.setText(_("Start the batch"))
            self._ui.batchButton.setEnabled(not obstacle)
            self._ui.batchButton.setToolTip(
                obstacle or _("Detect every image of the folder with the bundle and device chosen above.")
            )

    def _connect(self) -> None:
        ui, run = self._ui, self._run
        ui.batchInputButton.clicked.connect(lambda *_a: self._choose(ui.batchInputEdit, _("Folder with images")))
        ui.batchOutputButton.clicked.connect(lambda *_a: self._choose(ui.batchOutputEdit, _("Folder for the results")))
        ui.batchButton.clicked.connect(self._on_button)
        ui.batchTable.itemSelectionChanged.connect(self._on_selection)
        ui.batchTable.cellDoubleClicked.connect(self._on_double_click)
        for _suffix, check in self._formats:
            check.toggled.connect(lambda *_a: self._parameters.set_text("batch formats", " ".join(self._chosen())))
        run.searched.connect(lambda number: self._say(_("Looking for images: {n} found").format(n=number)))
        run.began.connect(self._on_began)
        run.progressed.connect(self._on_progress)
        run.ended.connect(self._on_ended)
        run.finished.connect(self._on_finished)

    def _on_button(self, *_arguments) -> None:
        if self._run.running:
            self._run.stop()
            return
        images, results = (
            str(edit.property("text")).strip() for edit in (self._ui.batchInputEdit, self._ui.batchOutputEdit)
        )
        formats = self._chosen()
        if not images or not results or not formats:
            self.message.show(_("Choose a folder with images, a folder for the results and a format."), "warning")
            return
        bundle, device, system = self._order()
        self._rows.clear()
        self._ui.batchTable.setRowCount(0)
        self._ui.batchTable.setVisible(True)
        self._ui.batchProgress.setVisible(True)
        self._ui.batchProgress.setValue(0)
        self.message.clear()
        self._say(_("Looking for images"))
        self._began = time.monotonic()
        self._run.start(images, results, formats, system, bundle, device)
        self._ui.batchButton.setText(_("Stop the batch"))
        self._ui.batchButton.setToolTip(_("Stop at once; what is done stays."))
        self.changed.emit()

    def _on_began(self, name: str) -> None:
        self._image = name
        self._on_progress("reading", 0.0)

    def _on_progress(self, stage: str, fraction: float) -> None:
        batch = self._run.batch
        done, total = len(batch.rows), len(batch.sources)
        whole = (done + fraction) / max(1, total)
        self._ui.batchProgress.setValue(round(1000 * whole))
        place = _("{number} of {total}").format(number=done + 1, total=total)
        left = time_left(time.monotonic() - self._began, whole)
        self._say(line_of(place, self._image, stage_words(stage), left))

    def _on_ended(self, row: Any) -> None:
        table = self._ui.batchTable
        place = len(self._rows)
        self._rows.append(row)
        table.setRowCount(place + 1)
        cells = [qt.QTableWidgetItem(text) for text in (row.image, _found(row), _outcome(row))]
        for column, item in enumerate(cells):
            item.setToolTip("\n".join(filter(None, (row.image, row.error, *row.notices))))
            table.setItem(place, column, item)
        if row.status == "failed":
            cells[RESULT].setForeground(qt.QBrush(qt.QColor(*_FAILED)))
        table.scrollToItem(cells[IMAGE])
        self._ui.batchProgress.setValue(round(1000 * self._run.batch.fraction))

    def _on_finished(self, message: str) -> None:
        self._ui.batchProgress.setVisible(False)
        self._say("")
        batch = self._run.batch
        said = [message] if message else []
        if batch is not None:
            said.append(self._summary(batch))
            if batch.trouble:
                said.append(batch.trouble)
        self.message.show("\n".join(said), "warning" if message or (batch and batch.trouble) else "plain")
        self.show_ready(self._obstacle)
        self.changed.emit()

    def _summary(self, batch: Any) -> str:
        failed = sum(row.status == "failed" for row in batch.rows)
        text = _("{through} of {total} images are through, {failed} of them failed; see {file}.")
        return text.format(
            through=len(batch.rows), total=len(batch.sources), failed=failed or _("none"), file=batch.summary.name
        )

    def _on_selection(self, *_arguments) -> None:
        place = self._ui.batchTable.currentRow()
        if not self._run.running and 0 <= place < len(self._rows):
            row = self._rows[place]
            said = "\n".join(filter(None, (row.error, *row.notices)))
            self.message.show(said or row.image, "error" if row.error else "plain")

    def _on_double_click(self, *_arguments) -> None:
        place = self._ui.batchTable.currentRow()
        if 0 <= place < len(self._rows) and self._rows[place].status != "failed":
            found = self._run.job_files(self._rows[place].image)
            if found is not None:
                self.opened.emit(*found)

    def _choose(self, edit, title: str) -> None:
        folder = self._dialogs.open_folder(title)
        if folder:
            edit.setText(folder)

    def _chosen(self) -> list[str]:
        return [suffix for suffix, check in self._formats if check.isChecked()]

    def _say(self, text: str) -> None:
        self._ui.batchStage.setText(text)
        self._ui.batchStage.setVisible(bool(text))


def _found(row: Any) -> str:
    if row.landmarks is None:
        return "–"
    return _("{found} of {all}").format(found=row.found, all=row.landmarks)


def _outcome(row: Any) -> str:
    if row.status == "failed":
        return f"✗ {row.error}"
    skipped = row.status == "skipped"
    words = _("✓ done before") if skipped else _("✓ {seconds:.1f} s").format(seconds=row.seconds or 0.0)
    return words + (" ⚠" if row.notices else "")
