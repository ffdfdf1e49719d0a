"""The landmarks of a point list as they stand now, also in the middle of a drag, for those who measure them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import slicer
import vtk

from .control_points import CHANGES, is_alive, keys_of
from .observations import Observations
from .plane import Plane, plane_of, same_plane
from .reconcile import reconciled
from .record import ATTRIBUTE, landmarks_of, read_state
from .regions import stated_regions
from .result import volume_of
from .state import State


@dataclass(frozen=True)
class _Known:
    """A landmark, in space and in the picture's plane if it lies in one, and what it was made of."""

    sign: tuple[Any, ...]
    solid: Any
    flat: Any


class Measured:
    """What is measured of one point list; nothing is written to it.

    A landmark that was moved has no uncertainty any more from the first movement on, as after the drag.

    Args:
        node: the ``vtkMRMLMarkupsFiducialNode``, reviewed or not.
        changed: is called, without arguments, whenever a landmark may have moved or its review changed.
    """

    def __init__(self, node: Any, changed: Callable[[], None]) -> None:
        self.node, self.scene = node, node.GetScene()
        self.version = 0  # goes up with every change, for those who keep what they computed
        self._changed = changed
        self._known: tuple[str, State] | None = None
        self._plane: Plane | None = None
        self._marks: dict[str, _Known] = {}
        self._observations = Observations()
        heard = [(node, getattr(node, name)) for name in CHANGES]
        heard += [
            (node, vtk.vtkCommand.ModifiedEvent),
            (self.scene, self.scene.EndUndoEvent),
            (self.scene, self.scene.EndRedoEvent),
        ]
        for sender, event in heard:
            self._observations.add(sender, event, self._on_event)
        transformed = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
        self._observations.add(node, transformed, self._on_transform)

    @property
    def alive(self) -> bool:
        """Whether the node is still in the scene."""
        return is_alive(self.node, self.scene)

    @property
    def labels(self) -> list[str]:
        """Labels of all control points, in order."""
        return [self.node.GetNthControlPointLabel(i) for i in range(self.node.GetNumberOfControlPoints())]

    def landmarks(self) -> Any:
        """The ``core.LandmarkSet`` in the world, LPS; covariances and regions are of those as they were found.

        Landmarks of a picture are in two dimensions, in the picture's plane.

        Raises:
            LandmarkError: the node's record of the review was damaged by others, or a position is no number.
        """
        from LandmarkDetectorLib.core import LandmarkSet
        from LandmarkDetectorLib.io.markups_regions import REGIONS

        state = replace(self._state(), dimension=3)
        plane = plane_of(volume_of(self.node))
        if not same_plane(plane, self._plane):
            self._plane, self._marks = plane, {}
        signs = {}
        for index, (key, label) in enumerate(keys_of(self.node)):
            entry = state.points.get(key)
            if entry is not None:  # else it hangs on the mouse
                signs[key] = label, entry.at, entry.believed, self.node.GetNthControlPointPositionStatus(index)
        # Of a drag one has changed; to check all of them at each movement of the mouse would cost more than to measure.
        changed = [key for key, sign in signs.items() if key not in self._marks or self._marks[key].sign != sign]
        for key, mark in zip(
            changed, landmarks_of(self.node, state, only=set(changed)) if changed else (), strict=True
        ):
            self._marks[key] = _Known(signs[key], mark, None if plane is None else plane.flattened(mark))
        known = [self._marks[key] for key in signs]
        flat = all(one.flat is not None for one in known)
        regions = stated_regions(state, [(key, label) for key, (label, *_) in signs.items()])
        info = {} if regions is None else {REGIONS: regions}
        marks = tuple(one.flat if flat else one.solid for one in known)
        return LandmarkSet(marks, state.unit, self.node.GetName() or "", info)

    def in_space(self, positions: np.ndarray) -> np.ndarray:
        """Positions (M, d) of what was measured of these landmarks, in the world's three dimensions."""
        if positions.shape[1] == 3 or self._plane is None:
            return positions
        return self._plane.lifted(positions)

    def reviewed(self) -> Mapping[str, bool]:
        """Whether a person has said something about each landmark, by label; of two of one name, about both."""
        found: dict[str, bool] = {}
        for entry in self._state().points.values():
            found[entry.label] = found.get(entry.label, True) and entry.reviewed
        return found

    def release(self) -> None:
        """Stop looking at the node."""
        self._observations.release()

    def _state(self) -> State:
        text = self.node.GetAttribute(ATTRIBUTE) or ""
        if self._known is None or self._known[0] != text or not text:
            self._known = (text, read_state(self.node))
        return reconciled(self.node, self._known[1])

    def _on_event(self, *_: Any) -> None:
        self.version += 1
        self._changed()

    def _on_transform(self, *_: Any) -> None:
        self._marks = {}  # what is known of each is in the world
        self._on_event()
