"""Measuring at every movement of the mouse: only what depends on the landmark that moved is computed anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from LandmarkDetector.Panel.measure_rows import key_of


class MeasureAgain:
    """``measure`` for one point list, which remembers what it gave the last time."""

    def __init__(self) -> None:
        self._asked: tuple[Any, ...] = ()
        self._definition: Any = None
        self._marks: dict[str, Any] = {}
        self._results: list[Any] = []

    def results(self, landmarks: Any, definition: Any, arguments: Mapping[str, Any]) -> list[Any]:
        """As ``measure`` gives them; those that rest on no landmark that changed are the very objects of before.

        Args:
            landmarks: a ``LandmarkSet`` whose unchanged landmarks are the objects of before.
            definition: the ``MeasurementSet``.
            arguments: further ones of ``measure``.

        Raises:
            MeasurementError: as ``measure`` does.
        """
        from LandmarkDetectorLib.measure import measure

        marks = {mark.label: mark for mark in landmarks}
        # Which landmarks have a place, and of how many the uncertainty is known, is a matter of every result.
        known = [(mark.label, mark.position is None, mark.covariance is None) for mark in landmarks]
        asked = (repr(arguments), landmarks.unit, landmarks.dimension, known)
        if asked == self._asked and definition is self._definition and len(marks) == len(landmarks):
            moved = [label for label, mark in marks.items() if mark is not self._marks[label]]
            if moved:
                fresh = measure(landmarks, definition, touching=moved, **arguments)
                by_key = {key_of(result): result for result in fresh}
                self._results = [by_key.get(key_of(result), result) for result in self._results]
        else:
            self._asked = ()  # what is measured now may be refused
            self._results = measure(landmarks, definition, **arguments)
            self._asked = asked
        self._marks, self._definition = marks, definition
        return self._results
