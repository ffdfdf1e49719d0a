"""Undo and redo of what is done to results, by the scene's own means.

The scene keeps whole copies of those nodes that say they can be undone, which are our results and nobody else's.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

_LEVELS = 100  # a state of 100 landmarks takes 0.1 ms and some 20 kB; one of 10 000 landmarks 7 ms and 1.6 MB

_last_step: weakref.WeakKeyDictionary[Any, tuple[int, str]] = weakref.WeakKeyDictionary()


class History:
    """Undo and redo of a scene.

    The markups widget saves a step of its own when a drag or a placing begins, so a drag needs none from here.

    Args:
        scene: the ``vtkMRMLScene``; undo is switched on in it, which concerns only nodes that can be undone.
    """

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        if not scene.GetUndoFlag():
            scene.SetUndoOn()
        if scene.GetMaximumNumberOfSavedUndoStates() < _LEVELS:
            scene.SetMaximumNumberOfSavedUndoStates(_LEVELS)

    def step(self) -> None:
        """Remember how things are, before they are changed; twice before the same change counts once."""
        now = _content(self.scene)
        if _last_step.get(self.scene) == (self.scene.GetNumberOfUndoLevels(), now):
            return
        self.scene.SaveStateForUndo()
        _last_step[self.scene] = (self.scene.GetNumberOfUndoLevels(), now)

    def undo(self) -> None:
        """Go back to how things were before the last action; nothing happens where there was none."""
        self._until_something_changes(self.can_undo, self.scene.Undo)

    def redo(self) -> None:
        """Take back the last undo; nothing happens where there was none."""
        self._until_something_changes(self.can_redo, self.scene.Redo)

    def _until_something_changes(self, possible: Callable[[], bool], go: Callable[[], None]) -> None:
        # The markups widget saves steps for mere clicks on a point as well, which nobody would see undone.
        before = _content(self.scene)
        while possible():
            go()
            if _content(self.scene) != before:
                return

    def can_undo(self) -> bool:
        """Whether there is a step to take back; it may be one of a click that changed nothing."""
        return self.scene.GetNumberOfUndoLevels() > 0

    def can_redo(self) -> bool:
        """Whether an action was taken back and nothing was done since."""
        return self.scene.GetNumberOfRedoLevels() > 0

    def forget(self) -> None:
        """Forget all steps; older ones would take a node away that has been added since."""
        self.scene.ClearUndoStack()
        self.scene.ClearRedoStack()
        _last_step.pop(self.scene, None)


def _content(scene: Any) -> str:
    """A digest of what a person would see undone in our results."""
    digest = hashlib.blake2b()
    for i in range(scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")):
        node = scene.GetNthNodeByClass(i, "vtkMRMLMarkupsFiducialNode")
        if node.GetUndoEnabled():
            digest.update(repr((node.GetID(), node.GetName(), list(_attributes(node)), list(_points(node)))).encode())
    return digest.hexdigest()


def _attributes(node: Any) -> Iterator[tuple[str, str]]:
    # The markups widget leaves attributes of its own behind.
    names = sorted(name for name in node.GetAttributeNames() if name.startswith("LandmarkDetector."))
    return ((name, node.GetAttribute(name)) for name in names)


def _points(node: Any) -> Iterator[tuple[Any, ...]]:
    for i in range(node.GetNumberOfControlPoints()):
        placed = node.GetNthControlPointPositionStatus(i) == node.PositionDefined
        yield node.GetNthControlPointLabel(i), placed, node.GetNthControlPointPosition(i) if placed else None
