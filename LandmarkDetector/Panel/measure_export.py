"""The buttons "Copy" and "Export" below the table of measurements: what is asked before a file is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt

from LandmarkDetector.Panel.combos import choose, chosen_key, fill
from LandmarkDetector.Panel.file_names import ask_path, file_name, may_replace
from LandmarkDetector.Panel.install import Extras
from LandmarkDetector.Panel.measure_formats import FORMATS, Format
from LandmarkDetector.Panel.measure_subject import source_facts, subject_names, subject_of
from LandmarkDetector.Panel.measurements import Measurements
from LandmarkDetector.Panel.note import Note
from LandmarkDetector.Panel.parameters import Parameters
from LandmarkDetector.Panel.texts import _

WITH, WITHOUT = "with", "without"
Jobs = list[tuple[Path, list[Any], list[Any]]]
"""Files with the subjects that go into each, and the headers of their DICOM images."""


class MeasureExport:
    """The buttons "Copy" and "Export" below the table.

    Args:
        ui: the widgets of the .ui file by name.
        parameters: where choices are kept.
        dialogs: how the person is asked.
        measured: what is shown now, or ``None``.
        card_of: the card of the bundle that landmarks name, as a plain dict, or ``None``.
        observer_of: who reviewed a point list, empty where nobody is known.
    """

    def __init__(
        self,
        ui,
        parameters: Parameters,
        dialogs,
        measured: Callable[[], Measurements | None],
        card_of: Callable[[Any], Any],
        observer_of: Callable[[Any], str],
    ) -> None:
        self._ui, self._parameters, self._dialogs, self._measured = ui, parameters, dialogs, measured
        self._card_of, self._observer_of = card_of, observer_of
        self.extras = Extras()
        self._consented: list[str] | None = None
        self._named: dict[str, str] = {}
        self.message = Note(ui.measureExportLabel)
        fill(ui.measureFormatCombo, [(each.text, each.key) for each in FORMATS])
        ui.measureFormatCombo.currentIndexChanged.connect(self._on_format)
        ui.measureCopyButton.clicked.connect(self._on_copy)
        ui.measureExportButton.clicked.connect(self._on_export)

    def restore(self) -> None:
        """Show the format that the scene keeps."""
        choose(self._ui.measureFormatCombo, self._parameters.text("measure format"))

    def begin(self) -> None:
        """Another point list is measured: what was said of the one before holds no longer."""
        self.message.clear()
        self._consented = None
        self._named = {}

    def show(self, some: bool) -> None:
        """Be ready, where there is something to export."""
        for widget in (self._ui.measureCopyButton, self._ui.measureExportButton, self._ui.measureFormatCombo):
            widget.setEnabled(some)

    def _on_format(self, *_arguments) -> None:
        chosen = self._format()
        self._parameters.set_text("measure format", chosen.key)
        missing = chosen.missing()
        if missing:
            self.message.show(self.extras.how(chosen.text, missing), "warning")
        else:
            self.message.clear()

    def _on_copy(self, *_arguments) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError
        from LandmarkDetectorLib.measure.reports.tables import compared_rows, long_rows

        measured = self._measured()
        if measured is None or not self._may_export(measured):
            return
        try:
            times = self._subjects(measured, self._known_reviewers(measured), in_the_world=False)[0]
        except LandmarkDetectorError as error:
            self.message.show(str(error), "error")
            return
        rows = compared_rows(*times) if len(times) > 1 else long_rows(times)
        qt.QApplication.clipboard().setText("\n".join("\t".join(_cell(cell) for cell in row) for row in rows))
        done = _("{n} measurements copied; paste them into a spreadsheet.")
        self.message.show(done.format(n=len(measured.first.results)))

    def _on_export(self, *_arguments) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError
        from LandmarkDetectorLib.io.notices import gathered

        measured, chosen = self._measured(), self._format()
        if measured is None or not self._may_export(measured):
            return
        try:
            with gathered() as notices:
                done = self._export(measured, chosen, notices)
        except (LandmarkDetectorError, RuntimeError) as error:  # of what installs: refused, or pip did not serve
            self.message.show(str(error), "error")
            return
        if done:
            self.message.show("\n".join([done, *notices]), "warning" if notices else "plain")

    def _export(self, measured: Measurements, chosen: Format, notices: list[str]) -> str:
        """Ask and write; what was done, or nothing where the person would rather not."""
        missing = chosen.missing()
        if missing:
            self.extras.ensure(chosen.text, missing)
        names = self._reviewers(measured) if chosen.signed else self._known_reviewers(measured)
        if names is None:
            return ""
        times, lacking = self._subjects(measured, names, in_the_world=chosen.suffix == ".mrk.json")
        if chosen.pictures:
            notices += [_("Without pictures: {why}").format(why=why) for why in lacking if why]
        sources = self._sources(measured, times) if chosen.suffix == ".dcm" else [[] for _time in times]
        path = None if sources is None else self._path(measured, chosen)
        if path is None or sources is None:
            return ""
        jobs: Jobs = [(path, times, [])]
        if not chosen.many:
            later = _with_words(path, chosen.suffix, _("second"))
            jobs = list(zip([path, later], [[time] for time in times], sources, strict=False))
            if len(jobs) > 1 and later.exists() and not may_replace(self._dialogs, _("Measurements"), later):
                return ""
        self._write(chosen, jobs)
        files = _(" and ").join(file.name for file, _times, _source in jobs)
        done = _("{n} measurements written to {name}.")
        return done.format(n=len(measured.first.results), name=files)

    def _write(self, chosen: Format, jobs: Jobs) -> None:
        """All files, or none that was not there before."""
        from LandmarkDetectorLib.io.atomic import all_or_none

        working = self._dialogs.working(_("Export measurements"))
        try:
            with all_or_none(path for path, _times, _source in jobs):
                for number, (path, times, source) in enumerate(jobs):

                    def tell(what: str, done: float, number: int = number) -> None:
                        working.tell(what, (number + done) / len(jobs))

                    chosen.write(times, path, source, tell)
        finally:
            working.close()

    # --- what goes into the files

    def _subjects(self, measured: Measurements, reviewers: Sequence[str], *, in_the_world: bool) -> tuple[Any, Any]:
        """The library's ``Measured`` of each time, and why each has no image."""
        made = [
            subject_of(
                time, measured.set, name, card=self._card_of(source_facts(time)), reviewed_by=by,
                in_the_world=in_the_world,
            )
            for time, name, by in zip(measured.times, subject_names(measured), reviewers, strict=True)
        ]  # fmt: skip
        return [subject for subject, _why in made], [why for _subject, why in made]

    def _known_reviewers(self, measured: Measurements) -> list[str]:
        return [self._observer_of(time.node) or self._named.get(time.node.GetID(), "") for time in measured.times]

    def _reviewers(self, measured: Measurements) -> list[str] | None:
        """Who reviewed each time, the person having been asked where nobody is known; ``None``: would rather not."""
        names = self._known_reviewers(measured)
        for place, time in enumerate(measured.times):
            node = time.node
            if names[place] or node.GetID() in self._named or not any(time.reviewed.values()):
                continue
            question = _("Who reviewed {name}? The report says so; leave it empty to name nobody.")
            told = self._dialogs.ask_text(_("Reviewed by"), question.format(name=node.GetName()))
            if told is None:
                return None
            names[place] = self._named[node.GetID()] = told.strip()
        return names

    def _sources(self, measured: Measurements, times: Sequence[Any]) -> list[list[Any]] | None:
        """The headers of each time's DICOM images, as the person wants; ``None``: no report after all."""
        from LandmarkDetector.Scene.dicom_source import source_of
        from LandmarkDetector.Scene.result import volume_of
        from LandmarkDetectorLib.core import LandmarkDetectorError

        sources: list[list[Any]] = []
        reasons = []
        for time, subject in zip(measured.times, times, strict=True):
            volume, found = volume_of(time.node), []
            try:
                if volume is not None and subject.image is not None:
                    found = source_of(volume, subject.image)
                if not found:
                    name = time.node.GetName() if volume is None else volume.GetName()
                    reasons.append(_("{name}: the image was not loaded from DICOM.").format(name=name))
            except LandmarkDetectorError as error:
                reasons.append(str(error))
            sources.append(found)
        if not any(sources):
            without = _("So the report names no patient and refers to no image, and cannot be filed with the images.")
            question = "\n".join([*reasons, without])
            answers = [(WITHOUT, _("Write it without a patient"))]
        else:
            copied = _("Copy patient and study from the DICOM images, so that the report can be filed with them?")
            question = "\n".join([*reasons, copied])
            answers = [(WITHOUT, _("Without")), (WITH, _("With the patient"))]  # nobody copies one by Enter
        answer = self._dialogs.ask(_("DICOM report"), question, answers)
        return {WITH: sources, WITHOUT: [[] for _time in times], None: None}[answer]

    # --- what the person is asked

    def _path(self, measured: Measurements, chosen: Format) -> Path | None:
        name = f"{file_name(measured.first.node.GetName())} {measured.set.name}"
        return ask_path(self._dialogs, _("Export measurements"), name, chosen.suffix, _("Measurements"))

    def _may_export(self, measured: Measurements) -> bool:
        left = measured.unreviewed
        if not left or self._consented == left:
            return True
        question = _("These values are partly of proposals: {labels} were not reviewed. Export all the same?")
        named = ", ".join(left[:8]) + (" …" if len(left) > 8 else "")
        answers = [("export", _("Export"))]
        if self._dialogs.ask(_("Measurements"), question.format(labels=named), answers) != "export":
            return False
        self._consented = left
        return True

    def _format(self) -> Format:
        key = chosen_key(self._ui.measureFormatCombo)
        return next(each for each in FORMATS if each.key == key)


def _with_words(path: Path, suffix: str, words: str) -> Path:
    """``head, second.mrk.json`` of ``head.mrk.json``."""
    name = path.name
    return path.with_name(f"{name[: -len(suffix)]}, {words}{name[-len(suffix) :]}")


def _cell(cell: Any) -> str:
    """What a spreadsheet takes for one cell, numbers with every digit."""
    if cell is None:
        return ""
    text = repr(float(cell)) if isinstance(cell, (int, float)) else str(cell)
    return text.replace("\t", " ").replace("\n", " ")
