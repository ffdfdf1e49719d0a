"""The review: go through the landmarks, confirm, correct, mark absent, place; every action can be taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import qt

from LandmarkDetector.Panel.colours import status_look
from LandmarkDetector.Panel.combos import choose, chosen_key, fill
from LandmarkDetector.Panel.later import Later
from LandmarkDetector.Panel.parameters import Parameters
from LandmarkDetector.Panel.review_rows import (
    AS_IN_BUNDLE,
    BY_LABEL,
    EVERY,
    LEFT,
    LOOK_FIRST,
    TO_LOOK_AT,
    matching,
    next_to_look_at,
    ordered,
)
from LandmarkDetector.Panel.review_table import ReviewTable
from LandmarkDetector.Panel.signals import Signal
from LandmarkDetector.Panel.texts import _
from LandmarkDetector.Scene.focus import light_up

_WORDS = 240
"""Letters of a landmark's definition that are shown below the table; the rest is in its tooltip."""
STATUSES = ("unreviewed", "not found", "confirmed", "corrected", "absent")


class ReviewView:
    """The section "Review".

    Tells by ``chosen(node)`` that another result was chosen, and by ``changed()`` that something was reviewed.

    Args:
        ui: the widgets of the .ui file by name.
        scene: the MRML scene.
        parameters: where choices are kept.
        history: takes steps back and does them again.
        placing: puts a landmark where the person clicks.
        make_review: a review of a node.
        show_point: shows a control point of a node in all views.
    """

    def __init__(
        self,
        ui,
        scene,
        parameters: Parameters,
        history,
        placing,
        make_review: Callable[[Any], Any],
        show_point: Callable[..., None],
    ) -> None:
        self.chosen, self.changed = Signal(), Signal()
        self._ui, self._parameters, self._history, self._placing = ui, parameters, history, placing
        self._make_review, self._show_point = make_review, show_point
        self._node: Any = None
        self._review: Any = None
        self._by_id: dict[str, Any] = {}
        self._tally: Counter[str] = Counter()
        self._order: list[str] = []
        self._current = self._trouble = self._elsewhere = ""
        self.table = ReviewTable(ui.reviewTable)
        self._later = Later(self._refresh)
        self._fill_choices()
        self._connect(scene)
        self.set_node(None)

    @property
    def node(self):
        """The node that is reviewed, or ``None``."""
        return self._node

    @property
    def review(self) -> Any:
        """The review of that node, or ``None``."""
        return self._review

    @property
    def left(self) -> int:
        """How many landmarks wait for the person."""
        return sum(self._tally[status] for status in TO_LOOK_AT)

    @property
    def total(self) -> int:
        """How many landmarks there are."""
        return len(self._by_id)

    def choose_node(self, node) -> None:
        """Choose a result for the person."""
        self._ui.resultSelector.setCurrentNode(node)
        if node is not self._node:
            self.set_node(node)

    def set_node(self, node) -> None:
        """Review another node, or none."""
        self._placing.cancel()
        if self._review is not None:
            self._review.release()
        self._node, self._review = node, None
        self._order, self._by_id, self._current, self._trouble, self._elsewhere = [], {}, "", "", ""
        if node is not None:
            self._open(node)
        self.table.select(None)
        self._refresh()

    def _open(self, node) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError

        try:
            self._review = self._make_review(node)
        except LandmarkDetectorError as error:
            self._trouble = str(error)
        else:
            self._review.observe(self._later.ask)

    def release(self) -> None:
        """Let go of the node; the panel ends or the scene closes."""
        self._later.drop()
        self.set_node(None)

    def select(self, point_id: str) -> None:
        """Go to a landmark, also where the filter hides it."""
        if point_id == self._current or not self.table.go_to(point_id):
            self._on_chosen(point_id)

    def go_to(self, index: int) -> None:
        """Go to the landmark of a control point."""
        point_id = str(self._node.GetNthControlPointID(index))
        if point_id in self._by_id:
            self.select(point_id)

    def deselect(self, volume: str) -> None:
        """Go to no landmark: the views show no image or not their own ``volume``, and no key shall judge unseen."""
        self._placing.cancel()
        self._current, self._elsewhere = "", volume
        self._show()

    def begin(self) -> None:
        """Go to the landmark to look at first; the keys work at once."""
        self.table.widget.setFocus()
        self._later.drop()
        self._refresh()
        self._sort(self._by_id.values())
        self._show()
        if not self.table.rows:
            self._ui.searchEdit.setText("")  # of an earlier result; it would hide all of this one
        first = next_to_look_at(self.table.rows, "")
        if first:
            self.select(first)

    def _connect(self, scene) -> None:
        ui = self._ui
        ui.resultSelector.setMRMLScene(scene)
        ui.resultSelector.currentNodeChanged.connect(self._on_result)
        ui.searchEdit.textChanged.connect(self._on_filter)
        ui.filterCombo.currentIndexChanged.connect(self._on_filter)
        ui.orderCombo.currentIndexChanged.connect(self._on_order)
        ui.halosCheck.toggled.connect(self._on_halos)
        self.table.chosen.connect(self._on_chosen)
        self._placing.placed.connect(self._on_placed)
        self._placing.ended.connect(self._on_placing_ended)
        self._keys = []
        for button, key, action in (
            (ui.previousButton, "P", lambda: self._move(-1)),
            (ui.nextButton, "N", lambda: self._move(1)),
            (ui.confirmButton, "C", lambda: self._judge("confirm")),
            (ui.absentButton, "X", lambda: self._judge("mark_absent")),
            (ui.placeButton, "L", self._place),
            (ui.resetButton, "R", lambda: self._judge("reset")),
            (ui.undoButton, "U", lambda: self._step(self._history.undo)),
            (ui.redoButton, "Shift+U", lambda: self._step(self._history.redo)),
        ):
            button.clicked.connect(lambda *_, action=action: self._do(action))
            # Of the table alone: in a list to choose from, a letter chooses.
            shortcut = qt.QShortcut(qt.QKeySequence(key), ui.reviewTable)
            shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
            shortcut.activated.connect(lambda *_, button=button: self._on_key(button))
            self._keys.append(shortcut)

    def _fill_choices(self) -> None:
        ui = self._ui
        orders = [(_("Look here first"), LOOK_FIRST), (_("As in the bundle"), AS_IN_BUNDLE), (_("By label"), BY_LABEL)]
        fill(ui.orderCombo, orders)
        looks = [(status_look(status), status) for status in STATUSES]
        statuses = [(f"{look.symbol} {look.word}", status) for look, status in looks]
        fill(ui.filterCombo, [(_("All"), EVERY), (_("Left to review"), LEFT), *statuses])
        self.restore()

    def restore(self) -> None:
        """Show the order and the filter that the scene keeps."""
        ui = self._ui
        for combo, name in ((ui.orderCombo, "order"), (ui.filterCombo, "filter")):
            choose(combo, self._parameters.text(name))
        ui.halosCheck.setChecked(self._parameters.text("halos") != "off")

    # --- what is shown

    def _refresh(self, *_arguments) -> None:
        """Read the review and show it; an order that the person is working through stays as it is."""
        before = self._by_id
        rows = self._read()
        self._by_id = {row.point_id: row for row in rows}
        self._tally = Counter(row.status for row in rows)
        if self._by_id.keys() != before.keys():
            self._sort(rows)
        now, earlier = self._by_id.get(self._current), before.get(self._current)
        if now is not None and earlier is not None and now.index != earlier.index:
            light_up(self._node, now.index)  # control points before it have come or gone
        moved = [i for i, row in self._by_id.items() if row.status == "corrected" and _differs(before.get(i), row)]
        self._show()
        if len(moved) == 1 and before and moved[0] != self._placing.point_id:
            self._follow(moved[0])
        self.changed.emit()

    def _read(self) -> list[Any]:
        from LandmarkDetectorLib.core import LandmarkDetectorError

        if self._review is None:
            return []
        try:
            rows = list(self._review.rows())
        except LandmarkDetectorError as error:  # somebody altered the node's record
            self._trouble = str(error)
            return []
        self._trouble = ""
        return rows

    def _sort(self, rows) -> None:
        self._order = [row.point_id for row in ordered(rows, chosen_key(self._ui.orderCombo))]

    def _show(self) -> None:
        rows = [self._by_id[point_id] for point_id in self._order]
        text = str(self._ui.searchEdit.property("text"))
        self.table.show(matching(rows, chosen_key(self._ui.filterCombo), text, self._current))
        if not self.table.select(self._current):
            self._current = ""
        self._show_words()

    def _show_words(self) -> None:
        ui = self._ui
        ui.countsLabel.setText(self._counts())
        self._show_landmark()
        row = self._by_id.get(self._current)
        some = bool(self._by_id)
        for widget in (ui.searchEdit, ui.filterCombo, ui.orderCombo, ui.previousButton, ui.nextButton, ui.halosCheck):
            widget.setEnabled(some)
        ui.absentButton.setEnabled(row is not None and row.status != "absent")
        ui.resetButton.setEnabled(row is not None and row.status in ("confirmed", "corrected", "absent"))
        ui.confirmButton.setEnabled(row is not None and row.status == "unreviewed")
        ui.placeButton.setEnabled(row is not None and row.position is None)
        ui.undoButton.setEnabled(bool(self._history.can_undo()))
        ui.redoButton.setEnabled(bool(self._history.can_redo()))

    def _show_landmark(self) -> None:
        row = self._by_id.get(self._current)
        if self._placing.point_id:
            text = _("Click in a view where it is; press Place again to leave it.")
        elif row is not None:
            text = _about(row)
        elif self._elsewhere:
            text = _("These landmarks lie in {volume}. Select one, and all views go there.")
            text = text.format(volume=self._elsewhere)
        else:
            text = _("Select a landmark, and all views go there.") if self._by_id else ""
        self._ui.landmarkLabel.setText(text if len(text) <= _WORDS else f"{text[:_WORDS]}…")
        self._ui.landmarkLabel.setToolTip(text)

    def _counts(self) -> str:
        if self._node is None:
            return _("Nothing to review yet: detect landmarks, or choose a result.")
        left, total = self.left, self.total
        if self._trouble:
            return self._trouble
        if not total:
            return _("This point list is empty.")
        if not left:
            return _("All {total} landmarks are reviewed.").format(total=total)
        words = Counter(
            status_look(row.status, row.proposed).word
            for status in TO_LOOK_AT
            for row in self._by_id.values()
            if row.status == status
        )
        told = ", ".join(f"{number} {word}" for word, number in words.items())
        return _("{left} of {total} left: {told}").format(left=left, total=total, told=told)

    # --- what the person does

    def _do(self, action: Callable[[], Any]) -> None:
        """What a button says; the keys of the table work at once afterwards."""
        self.table.widget.setFocus()
        action()

    def _on_key(self, button) -> None:
        """A key does what its button does; C goes on from what was judged by a drag, for its place was said by that."""
        row = self._by_id.get(self._current)
        if button is self._ui.confirmButton and row is not None and row.status in ("confirmed", "corrected"):
            onward = next_to_look_at(self.table.rows, row.point_id)
            if onward:
                self.select(onward)
        else:
            button.click()

    def _on_result(self, *_arguments) -> None:
        node = self._ui.resultSelector.currentNode()
        self._parameters.set_node("result", node)
        if node is not self._node:
            self.set_node(node)
            self.chosen.emit(node)

    def _on_filter(self, *_arguments) -> None:
        self._parameters.set_text("filter", chosen_key(self._ui.filterCombo))
        self._current = ""
        self._show()

    def _on_order(self, *_arguments) -> None:
        self._parameters.set_text("order", chosen_key(self._ui.orderCombo))
        self._sort(self._by_id.values())
        self._show()

    def _on_halos(self, *_arguments) -> None:
        self._parameters.set_text("halos", "on" if self._ui.halosCheck.isChecked() else "off")
        self.changed.emit()

    def _on_chosen(self, point_id: str) -> None:
        self._current, self._elsewhere = point_id, ""
        if self._placing.point_id not in ("", point_id):
            self._placing.cancel()
        self._show()
        row = self._by_id[point_id]
        self._show_point(self._node, row.index)

    def _follow(self, point_id: str) -> None:
        """The person moved a landmark in a view: show its row; the other slices go where it is, no camera turns."""
        self._current = point_id
        self._show()
        self._show_point(self._node, self._by_id[point_id].index, turn=False)
        self.table.widget.setFocus()  # so that the keys work at once

    def _move(self, step: int) -> None:
        rows = self.table.rows
        if rows:
            place = self.table.place_of(self._current)
            place = min(max(place + step, 0), len(rows) - 1)
            self.table.go_to(rows[place].point_id)

    def _judge(self, action: str) -> None:
        row = self._by_id.get(self._current)
        if row is None:
            return
        onward = next_to_look_at(self.table.rows, row.point_id) if action != "reset" else ""
        self._placing.cancel()
        getattr(self._review, action)([row.point_id])
        self._later.drop()
        self._refresh()
        if onward:
            self.select(onward)
        elif action == "reset":
            self._show_point(self._node, row.index)

    def _step(self, action: Callable[[], Any]) -> None:
        """Take back or do again, and go to what changed by it."""
        self._placing.cancel()
        before = self._by_id
        action()
        self._later.drop()
        self._refresh()
        changed = [point_id for point_id, row in self._by_id.items() if _differs(before.get(point_id), row)]
        if len(changed) == 1:
            self.select(changed[0])

    def _place(self) -> None:
        if self._placing.point_id:
            self._placing.cancel()
            return
        self._ui.placeButton.setChecked(bool(self._current) and self._placing.begin(self._review, self._current))
        self._show_landmark()

    def _on_placed(self, point_id: str) -> None:
        self._current = point_id
        self._refresh()
        self.table.widget.setFocus()

    def _on_placing_ended(self, *_arguments) -> None:
        self._ui.placeButton.setChecked(False)
        self._show_landmark()


def _differs(before: Any, now: Any) -> bool:
    return before is None or before.status != now.status or _place(before) != _place(now)


def _place(row: Any) -> tuple[float, ...]:
    return () if row.position is None else tuple(row.position)


def _about(row: Any) -> str:
    look = status_look(row.status, row.proposed)
    title = row.label if row.name in ("", row.label) else f"{row.label}, {row.name}"
    parts = [f"{title}: {look.word}"]
    if row.confidence is not None:
        parts.append(_("confidence {value:.2f}").format(value=row.confidence))
    text = ", ".join(parts)
    if row.status == "not found":
        text += ". " + _("Press Place, then click in a view where it is.")
    return f"{text}\n{row.definition}" if row.definition else text
