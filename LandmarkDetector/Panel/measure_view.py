"""Measurements: a set, its results as the landmarks stand, also in the middle of a drag, and what is drawn of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from LandmarkDetector.Panel.combos import choose, chosen_key, fill
from LandmarkDetector.Panel.later import Later
from LandmarkDetector.Panel.measure_again import MeasureAgain
from LandmarkDetector.Panel.measure_choices import MeasureChoices
from LandmarkDetector.Panel.measure_export import MeasureExport
from LandmarkDetector.Panel.measure_rows import Key, key_of, rows_of
from LandmarkDetector.Panel.measure_table import MeasureTable
from LandmarkDetector.Panel.measurements import Measurements, TimePoint
from LandmarkDetector.Panel.note import Note
from LandmarkDetector.Panel.parameters import Parameters
from LandmarkDetector.Panel.texts import _

SELECTED, ALL, NOTHING = "selected", "all", "nothing"
"""What is drawn in the views."""


class MeasureView:
    """The section "Measurements".

    Nothing is computed while the section is folded and nothing is drawn.

    Args:
        ui: the widgets of the .ui file by name.
        scene: the MRML scene.
        parameters: where choices are kept.
        dialogs: how the person is asked.
        go_to: goes to a landmark of the result that is reviewed, in the review too, given its control point's index.
        card_of: the card of the bundle that landmarks name, as a plain dict, or ``None``.
        observer_of: who reviewed a point list, empty where nobody is known.
    """

    def __init__(
        self,
        ui,
        scene,
        parameters: Parameters,
        dialogs,
        go_to: Callable[[int], None],
        card_of: Callable[[Any], Any],
        observer_of: Callable[[Any], str],
    ) -> None:
        from LandmarkDetector.Scene.constructions import Constructions

        self._ui, self._parameters, self._dialogs = ui, parameters, dialogs
        self._go_to_point = go_to
        self._first: Any = None
        self._second: Any = None
        self._known_other: tuple[Any, TimePoint] | None = None
        self._shown: Measurements | None = None
        self._current: Key | None = None
        self._again = MeasureAgain()
        self.drawn = Constructions(scene)
        self.note = Note(ui.measureNote)
        self.table = MeasureTable(ui.measureTable)
        self.choices = MeasureChoices(ui, parameters)
        self.export = MeasureExport(ui, parameters, dialogs, self._now, card_of, observer_of)
        self._later = Later(self.refresh)  # many events of one movement of the mouse are answered once
        drawn = [(_("Draw the selected one"), SELECTED), (_("Draw all"), ALL), (_("Draw nothing"), NOTHING)]
        fill(ui.measureDrawCombo, drawn)
        self._connect(scene)
        self.refresh()

    def _connect(self, scene) -> None:
        ui = self._ui
        ui.compareSelector.setMRMLScene(scene)
        ui.compareSelector.currentNodeChanged.connect(self._on_second)
        ui.measureSection.contentsCollapsed.connect(self._later.ask)
        ui.measureDrawCombo.currentIndexChanged.connect(self._on_draw)
        ui.measureFileButton.clicked.connect(self._on_file)
        self.choices.changed.connect(self._on_choices)
        self.table.chosen.connect(self._on_chosen)

    # --- what the panel tells

    def set_node(self, node) -> None:
        """Measure another point list, or none."""
        if node is (self._first.node if self._first is not None else None):
            return
        self._first = self._follow(self._first, node)
        self._current = None
        self.export.begin()
        self.refresh()

    def restore(self) -> None:
        """Take up what the scene keeps."""
        self.drawn.sweep()
        self.choices.restore()
        self.export.restore()
        choose(self._ui.measureDrawCombo, self._parameters.text("measure draw"))
        self._ui.compareSelector.setCurrentNode(self._parameters.node("compared"))

    def release(self) -> None:
        """Let go of the nodes; the panel ends or the scene closes."""
        self._later.drop()
        self._first, self._second = self._follow(self._first, None), self._follow(self._second, None)
        self.drawn.clear()
        self.refresh()

    def _follow(self, before, node) -> Any:
        from LandmarkDetector.Scene.measured import Measured

        if before is not None:
            before.release()
        return None if node is None else Measured(node, self._later.ask)

    # --- what is shown

    def refresh(self, *_arguments) -> None:
        """Measure, and show it."""
        self._later.drop()
        if self._ui.measureSection.property("collapsed") and not self.drawn.nodes:
            self._shown = None
            return
        for measured in (self._first, self._second):
            if measured is not None and not measured.alive:
                measured.release()
        self._first = self._first if self._first is not None and self._first.alive else None
        self._second = self._second if self._second is not None and self._second.alive else None
        self._shown = self._measure()
        self._show()

    def _now(self) -> Measurements | None:
        """What is shown, brought up to what the landmarks are now."""
        self.refresh()
        return self._shown

    def _measure(self) -> Measurements | None:
        first = self._first
        if first is None:
            self.choices.offer((), False)
            self.note.show(_("Nothing to measure yet: detect landmarks, or choose a result above."))
            return None
        from LandmarkDetectorLib.core import LandmarkDetectorError

        try:
            landmarks = first.landmarks()
            self.choices.offer(first.labels, landmarks.dimension == 3)
            if self.choices.set is None:
                self.note.show(_("No set of measurements knows these landmarks; open one of your own by File."))
                return None
            arguments = self.choices.arguments()
            results = self._again.results(landmarks, self.choices.set, arguments)
            shown = Measurements(
                self.choices.set,
                TimePoint(first.node, landmarks, results, first.reviewed(), first.in_space),
                self._other(arguments),
            )
        except LandmarkDetectorError as error:
            self.note.show(str(error), "error")
            return None
        self._warn(shown)
        return shown

    def _other(self, arguments: dict[str, Any]) -> TimePoint | None:
        """The second time, measured anew only where something of it changed."""
        from LandmarkDetectorLib.measure import measure

        second = self._second
        if second is None:
            return None
        asked = (second, second.version, self.choices.set, repr(arguments))
        if self._known_other is None or self._known_other[0] != asked:
            landmarks = second.landmarks()
            results = measure(landmarks, self.choices.set, **arguments)
            self._known_other = (
                asked,
                TimePoint(second.node, landmarks, results, second.reviewed(), second.in_space),
            )
        return self._known_other[1]

    def _warn(self, shown: Measurements) -> None:
        left = shown.unreviewed
        if not left:
            self.note.clear()
            return
        text = _("○ of proposals: {n} landmarks that these values rest on are not reviewed.")
        one = _("○ of a proposal: {label}, which these values rest on, is not reviewed.")
        self.note.show(text.format(n=len(left)) if len(left) > 1 else one.format(label=left[0]), "warning")

    def _show(self) -> None:
        shown = self._shown
        rows = []
        if shown is not None:
            first, second = shown.first, shown.second
            self.table.compare(second is not None)
            others = (None, None) if second is None else (second.results, second.reviewed)
            rows = rows_of(first.results, first.reviewed, *others)
        self.table.show(rows)
        if self._current not in [row.key for row in rows]:
            self._current = None
        self.table.select(self._current)
        about = next((row.about for row in rows if row.key == self._current), "")
        hint = _("Select a measurement, and its construction is drawn.") if rows else ""
        self._ui.measureLabel.setText(about or hint)
        self._ui.measureTable.setEnabled(bool(rows))
        self.export.show(any(row.computed for row in rows))
        self._draw()

    def _draw(self) -> None:
        from LandmarkDetector.Scene.constructions import drawings_of
        from LandmarkDetector.Scene.focus import is_shown

        what, shown = chosen_key(self._ui.measureDrawCombo), self._shown
        if shown is None or what == NOTHING or not is_shown(shown.first.node):
            self.drawn.clear()
            return
        drawings: list[Any] = []
        true = {(result.name, result.side) for result in shown.first.results if result.view == "3D"}
        for result in shown.first.results:
            chosen = key_of(result) == self._current
            twice = result.view == "mid-sagittal" and (result.name, result.side) in true  # one of both is enough to see
            if result.value is not None and (chosen or (what == ALL and not twice)):
                drawings += drawings_of(result, self._first.in_space, _extent(shown.first.landmarks), chosen)
        self.drawn.show(drawings, _("{name}: measurements").format(name=shown.first.node.GetName()))

    # --- what the person does

    def _on_second(self, *_arguments) -> None:
        node = self._ui.compareSelector.currentNode()
        self._parameters.set_node("compared", node)
        if node is not (self._second.node if self._second is not None else None):
            self._second = self._follow(self._second, node)
            self.refresh()

    def _on_choices(self, *_arguments) -> None:
        self._current = None
        self.refresh()

    def _on_draw(self, *_arguments) -> None:
        self._parameters.set_text("measure draw", chosen_key(self._ui.measureDrawCombo))
        self.refresh()

    def _on_file(self, *_arguments) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError

        path = self._dialogs.open_file(_("Open a set of measurements"), _("Sets (*.yaml *.yml);;All files (*)"))
        if not path:
            return
        try:
            self.choices.open_file(path)
        except LandmarkDetectorError as error:
            self.note.show(str(error), "error")

    def _on_chosen(self, key: Key) -> None:
        self._current = key
        self._show()
        if self._shown is not None:
            self._go_to(self._shown, next(each for each in self._shown.first.results if key_of(each) == key))

    def _go_to(self, shown: Measurements, result: Any) -> None:
        """Go to the landmark in the middle of the construction: an angle's vertex, else the first one."""
        node = shown.first.node
        index = {node.GetNthControlPointLabel(i): i for i in range(node.GetNumberOfControlPoints())}
        placed = [mark for mark in shown.first.landmarks if mark.label in result.labels and mark.position is not None]
        if not placed:
            return
        vertex = next((shape.positions[1] for shape in result.geometry if shape.kind == "angle"), None)
        if vertex is not None and len(vertex) == len(placed[0].position):
            placed.sort(key=lambda mark: float(((mark.position - vertex) ** 2).sum()))
        self._go_to_point(index[placed[0].label])


def _extent(landmarks: Any) -> float:
    """The longest side of the box around all landmarks."""
    placed = np.array([mark.position for mark in landmarks if mark.position is not None])
    return float(np.ptp(placed, axis=0).max()) if len(placed) else 1.0
