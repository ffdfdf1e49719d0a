"""What is measured, copied or written to a file.

**Further formats go into** :data:`FORMATS`: a suffix, the words of the list, and a function that writes a
:class:`Measurements` to a path. Nothing else of the panel needs to know of them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import qt

from LandmarkDetector.Panel.file_names import file_name
from LandmarkDetector.Panel.measure_rows import key_of, reach_of_difference, unreviewed_in
from LandmarkDetector.Panel.note import Note, gathered
from LandmarkDetector.Panel.parameters import Parameters
from LandmarkDetector.Panel.texts import _


@dataclass(frozen=True, eq=False)
class Measurements:
    """All that an exporter may want to know of what is shown.

    Args:
        set: the ``MeasurementSet``.
        arguments: with which ``measure`` was called beside landmarks and set.
        landmarks: the ``LandmarkSet``, in the world, LPS.
        results: in the order of the table.
        reviewed: by label, whether somebody reviewed the landmark.
        node: the point list.
        others: results of the second time, or ``None``.
        others_reviewed: as ``reviewed``.
    """

    set: Any
    arguments: Mapping[str, Any]
    landmarks: Any
    results: Sequence[Any]
    reviewed: Mapping[str, bool]
    node: Any
    others: Sequence[Any] | None = None
    others_reviewed: Mapping[str, bool] = field(default_factory=dict)

    @property
    def unreviewed(self) -> list[str]:
        """Labels of landmarks that went into a value and that nobody has reviewed."""
        found = [
            label for each in self.results for label in unreviewed_in(each, self.reviewed) if each.value is not None
        ]
        for each in self.others or ():
            if each.value is not None:
                found += unreviewed_in(each, self.others_reviewed)
        return list(dict.fromkeys(found))


def table_of(measured: Measurements) -> list[list[str]]:
    """Header and rows, every digit of the numbers kept; what was not computed is empty and says why."""
    header = ["set", "measurement", "title", "view", "side", "value", "unit", "interval low", "interval high"]
    header += ["interval level", "norm mean", "norm SD", "norm low", "norm high", "deviation in SD", "within norm"]
    header += ["landmarks", "not computed", "notes"]
    if measured.others is not None:
        header += ["second value", "second landmarks", "second not computed", "difference", "difference ±"]
    others = {key_of(other): other for other in measured.others or ()}
    rows = [header]
    for each in measured.results:
        norm, interval = each.norm, each.interval
        row = [each.set_name, each.name, each.title, each.view, each.side or "", _text(each.value), each.unit]
        row += [_text(interval and interval.low), _text(interval and interval.high), _text(interval and interval.level)]
        row += [_text(norm and getattr(norm, part)) for part in ("mean", "sd", "low", "high")]
        row += [_text(each.deviation), {True: "yes", False: "no", None: ""}[each.within_norm]]
        row += [_standing(each, measured.reviewed), each.not_computed or "", "; ".join(each.notes)]
        if measured.others is not None:
            other = others.get(key_of(each))
            both = other is not None and None not in (each.value, other.value)
            apart = other.value - each.value if other is not None and both else None
            row += [_text(other and other.value), _standing(other, measured.others_reviewed) if other else ""]
            row += [(other.not_computed or "") if other else "", _text(apart)]
            row += [_text(reach_of_difference(each, other) if both else None)]
        rows.append(row)
    return rows


def write_csv(measured: Measurements, path: Path) -> None:
    """The table as CSV, whole or not at all.

    Raises:
        LandmarkFileError: it cannot be written.
    """
    from LandmarkDetectorLib.io.text_files import write_text

    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(table_of(measured))
    write_text(path, text.getvalue())


@dataclass(frozen=True)
class Format:
    """One kind of file: its suffix, its words in the list, and what writes it."""

    suffix: str
    text: str
    write: Callable[[Measurements, Path], None]


FORMATS: tuple[Format, ...] = (Format(".csv", _("Table (.csv)"), write_csv),)
"""The kinds of file that are offered, in order."""


class MeasureExport:
    """The buttons "Copy" and "Export" below the table.

    Args:
        ui: the widgets of the .ui file by name.
        parameters: where choices are kept.
        dialogs: how the person is asked.
        measured: what is shown now, or ``None``.
    """

    def __init__(self, ui, parameters: Parameters, dialogs, measured: Callable[[], Measurements | None]) -> None:
        self._ui, self._parameters, self._dialogs, self._measured = ui, parameters, dialogs, measured
        self._consented: list[str] | None = None
        self.message = Note(ui.measureExportLabel)
        for each in FORMATS:
            ui.measureFormatCombo.addItem(each.text, each.suffix)
        ui.measureFormatCombo.currentIndexChanged.connect(
            lambda *_a: parameters.set_text("measure format", self._format().suffix)
        )
        ui.measureCopyButton.clicked.connect(self._on_copy)
        ui.measureExportButton.clicked.connect(self._on_export)

    def restore(self) -> None:
        """Show the format that the scene keeps."""
        combo = self._ui.measureFormatCombo
        combo.setCurrentIndex(max(0, combo.findData(self._parameters.text("measure format"))))

    def begin(self) -> None:
        """Another point list is measured: what was said of the one before holds no longer."""
        self.message.clear()
        self._consented = None

    def show(self, some: bool) -> None:
        """Be ready, where there is something to export."""
        for widget in (self._ui.measureCopyButton, self._ui.measureExportButton, self._ui.measureFormatCombo):
            widget.setEnabled(some)

    def _on_copy(self, *_arguments) -> None:
        measured = self._measured()
        if measured is None or not self._may_export(measured):
            return
        rows = ["\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row) for row in table_of(measured)]
        qt.QApplication.clipboard().setText("\n".join(rows))
        done = _("{n} measurements copied; paste them into a spreadsheet.")
        self.message.show(done.format(n=len(measured.results)))

    def _on_export(self, *_arguments) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError

        measured = self._measured()
        if measured is None or not self._may_export(measured):
            return
        chosen_format = self._format()
        suffix = chosen_format.suffix
        name = f"{file_name(measured.node.GetName())} {measured.set.name}{suffix}"
        chosen = self._dialogs.save_file(_("Export measurements"), name, f"*{suffix}")
        if not chosen:
            return
        path = Path(chosen)
        if not path.name.lower().endswith(suffix):
            path = path.with_name(path.name + suffix)
            if path.exists() and not self._may_replace(path):
                return
        try:
            with gathered() as notices:
                chosen_format.write(measured, path)
        except LandmarkDetectorError as error:
            self.message.show(str(error), "error")
            return
        done = _("{n} measurements written to {name}.").format(n=len(measured.results), name=path.name)
        self.message.show("\n".join([done, *notices]), "warning" if notices else "plain")

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

    def _may_replace(self, path: Path) -> bool:
        question = _("{name} is there already; replace it?").format(name=path.name)
        return self._dialogs.ask(_("Measurements"), question, [("replace", _("Replace"))]) == "replace"

    def _format(self) -> Format:
        combo = self._ui.measureFormatCombo
        suffix = str(combo.itemData(int(combo.property("currentIndex"))))
        return next(each for each in FORMATS if each.suffix == suffix)


def _standing(result: Any, reviewed: Mapping[str, bool]) -> str:
    """Whether a value is of proposals."""
    if result.value is None:
        return ""
    left = unreviewed_in(result, reviewed)
    return "reviewed" if not left else f"not reviewed: {', '.join(left)}"


def _text(value: float | None) -> str:
    return "" if value is None else repr(float(value))
