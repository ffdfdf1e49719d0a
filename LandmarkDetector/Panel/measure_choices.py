"""Which set of measurements, and how it is computed where that is for the person to say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import qt

from LandmarkDetector.Panel.combos import chosen_key, fill
from LandmarkDetector.Panel.parameters import Parameters
from LandmarkDetector.Panel.signals import Signal
from LandmarkDetector.Panel.texts import _

SIDES, VIEWS, SEX = "sides", "views", "sex"
OWN = "own:"
"""What a person's own set is called by in the list, before its name."""


class MeasureChoices:
    """The list of sets, and a list for each choice that the chosen set leaves open.

    Tells by ``changed()`` that something else is to be measured. A person's own set is kept in the scene with all that
    its file says, so that a saved scene is measured in the same way wherever it is opened.

    Args:
        ui: the widgets of the .ui file by name.
        parameters: where choices are kept.
    """

    def __init__(self, ui, parameters: Parameters) -> None:
        self.changed = Signal()
        self.set: Any = None
        self._ui, self._parameters = ui, parameters
        self._labels: tuple[str, ...] = ()
        self._solid = False
        self._own: dict[str, Any] = {}
        self._lists: list[tuple[Any, Any]] = []  # a label and a combo for each choice; those too many are hidden
        self._keys: list[str] = []
        ui.measureSetCombo.currentIndexChanged.connect(self._on_set)

    def offer(self, labels: Sequence[str], solid: bool) -> None:
        """Offer the sets that these labels allow, and keep or find the one that suits best.

        Args:
            labels: of the landmarks, placed or not.
            solid: whether they stand in three dimensions.
        """
        if (tuple(labels), solid) == (self._labels, self._solid):
            return
        self._labels, self._solid = tuple(labels), solid
        self._fill()

    def restore(self) -> None:
        """Take up what the scene keeps."""
        self._own = {}
        for name, content in self._kept("own sets").items():
            self._take(name, content)
        self._labels = ()

    def open_file(self, path: str) -> None:
        """Take in a person's own set, and choose it.

        Raises:
            MeasurementError: the file is no set; the message names file, measurement and field.
        """
        from LandmarkDetectorLib.measure import load_set

        taken = load_set(Path(path))
        self._own[taken.name] = taken
        kept = {name: own.definition.model_dump(mode="json") for name, own in self._own.items()}
        self._parameters.set_text("own sets", json.dumps(kept, ensure_ascii=False))
        self._parameters.set_text("measure set", f"{OWN}{taken.name}")
        self._fill()
        self.changed.emit()

    def arguments(self) -> dict[str, Any]:
        """What :func:`~LandmarkDetectorLib.measure.measure` is told beside the landmarks and the set."""
        said = self._said()
        known = self.set.definition.choices
        told: dict[str, Any] = {
            "choices": {key: option for key, option in said.items() if key in known},
            "include": [m.name for m in self.set.definition.measurements if said.get(f"also {m.name}") == "yes"],
        }
        if said.get(SIDES):
            told["bilateral"] = said[SIDES]
        if said.get(VIEWS):
            told["views"] = [said[VIEWS]]
        if said.get(SEX):
            told["sex"] = said[SEX]
        return told

    # --- the sets

    def _fill(self) -> None:
        from LandmarkDetectorLib.measure import suggest_sets

        combo = self._ui.measureSetCombo
        words = _("{title} ({some} of {all})")
        items, dimension = [], 3 if self._solid else 2
        for each in suggest_sets(self._labels, dimension=dimension):
            some = len(each.computable)
            items.append((words.format(title=each.title, some=some, all=some + len(each.missing)), each.name))
        fitting = {each.name: each for each in suggest_sets(self._labels, self._own.values(), dimension)}
        for name, taken in self._own.items():
            some = len(fitting[name].computable) if name in fitting else 0
            count = some + len(fitting[name].missing) if name in fitting else len(taken.names)
            items.append((words.format(title=taken.title, some=some, all=count), f"{OWN}{name}"))
        fill(combo, items, self._parameters.text("measure set"))
        combo.setEnabled(bool(items))
        self._choose(chosen_key(combo))

    def _on_set(self, *_arguments) -> None:
        name = chosen_key(self._ui.measureSetCombo)
        self._parameters.set_text("measure set", name)
        self._choose(name)
        self.changed.emit()

    def _choose(self, name: str) -> None:
        from LandmarkDetectorLib.measure import load_set

        self.set = None if not name else self._own[name[len(OWN) :]] if name.startswith(OWN) else load_set(name)
        self._show_choices()

    def _take(self, name: str, content: Any) -> None:
        """One of the scene's own sets; what is none any more is left alone."""
        from LandmarkDetectorLib.core import MeasurementError
        from LandmarkDetectorLib.measure import build_set

        try:
            self._own[name] = build_set(content, name)
        except MeasurementError as error:
            self._ui.measureSetCombo.setToolTip(str(error))

    # --- the choices of a set

    def _show_choices(self) -> None:
        questions = self._questions() if self.set is not None else []
        said = self._said()
        self._keys = [key for key, _title, _options in questions]
        for place, (key, title, options) in enumerate(questions):
            label, combo = self._line(place)
            label.setText(f"{title}:")
            fill(combo, options, said.get(key, ""))
        for place, (label, combo) in enumerate(self._lists):
            label.setVisible(place < len(questions))
            combo.setVisible(place < len(questions))
        self._ui.measureChoicesFrame.setVisible(bool(questions))

    def _questions(self) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """What the set leaves open: a key, a title, and pairs of text and value, the usual one first."""
        definition = self.set.definition
        asked: list[tuple[str, str, list[tuple[str, str]]]] = []
        for key, choice in definition.choices.items():
            options = sorted(choice.options, key=lambda option: option != choice.default)
            asked.append((key, _capital(choice.title), [(option, option) for option in options]))
        if any(side for _name, side in self.set.match(self._labels)):
            words = {
                "midpoint": _("Midpoint of both"),
                "each": _("Each by itself"),
                "left": _("Left"),
                "right": _("Right"),
            }
            ways = sorted(words, key=lambda way: way != definition.bilateral)
            asked.append((SIDES, _("Two sides"), [(words[way], way) for way in ways]))
        if self._solid and self.set.mid_sagittal is not None:
            views = [(_("True 3D and projected"), ""), (_("True 3D"), "3D"), (_("Projected"), "mid-sagittal")]
            asked.append((VIEWS, _("View"), views))
        if any(norm.sex for each in definition.measurements for norm in each.norms):
            asked.append((SEX, _("Norms of"), [(_("Not said"), ""), (_("Women"), "female"), (_("Men"), "male")]))
        for each in definition.measurements:
            if not each.default:
                options = [(_("Left out"), "no"), (_("Measured"), "yes")]
                asked.append((f"also {each.name}", each.title, options))
        return asked

    def _line(self, place: int) -> tuple[Any, Any]:
        while len(self._lists) <= place:
            label, combo = qt.QLabel(), qt.QComboBox()
            combo.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
            combo.setMinimumWidth(60)
            row = len(self._lists)
            layout = self._ui.measureChoicesFrame.layout()
            layout.addWidget(label, row, 0)
            layout.addWidget(combo, row, 1)
            combo.currentIndexChanged.connect(lambda *_a, row=row: self._on_choice(row))
            self._lists.append((label, combo))
        return self._lists[place]

    def _on_choice(self, place: int) -> None:
        kept = self._kept("measure choices")
        kept.setdefault(self.set.name, {})[self._keys[place]] = chosen_key(self._lists[place][1])
        self._parameters.set_text("measure choices", json.dumps(kept, ensure_ascii=False))
        self.changed.emit()

    def _said(self) -> dict[str, str]:
        """What the person chose for this set, as far as the set still knows it."""
        if self.set is None:
            return {}
        said = dict(self._kept("measure choices").get(self.set.name, {}))
        known = {key: [option for _text, option in options] for key, _title, options in self._questions()}
        return {key: option for key, option in said.items() if option in known.get(key, [])}

    def _kept(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads(self._parameters.text(name, "{}"))
        except ValueError:  # somebody altered it
            return {}
        return found if isinstance(found, dict) else {}


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
