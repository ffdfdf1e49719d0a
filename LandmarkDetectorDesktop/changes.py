"""Whether landmarks were changed since they were saved."""

from __future__ import annotations

from typing import Any


class Changes:
    """Compares the landmarks of a scene with what was saved.

    Args:
        scene: the ``vtkMRMLScene``.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._saved: dict[str, tuple] = {}

    def mark(self, node: Any = None) -> None:
        """What stands there now is saved: all of it, or one node."""
        if node is None:
            self._saved = {other.GetID(): _content(other) for other in self._nodes()}
        elif node.IsA("vtkMRMLMarkupsNode"):
            self._saved[node.GetID()] = _content(node)

    def any(self) -> bool:
        """Whether landmarks stand there that are saved nowhere."""
        return any(
            node.GetNumberOfControlPoints() and self._saved.get(node.GetID()) != _content(node)
            for node in self._nodes()
        )

    def _nodes(self) -> list[Any]:
        count = self._scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode")
        nodes = [self._scene.GetNthNodeByClass(i, "vtkMRMLMarkupsNode") for i in range(count)]
        return [node for node in nodes if node.GetSaveWithScene()]  # drawings of measurements are not, and no loss


def _content(node: Any) -> tuple:
    points = (
        (
            node.GetNthControlPointLabel(i),
            node.GetNthControlPointPositionStatus(i),
            tuple(node.GetNthControlPointPosition(i)),
        )
        for i in range(node.GetNumberOfControlPoints())
    )
    return (tuple((name, node.GetAttribute(name)) for name in sorted(node.GetAttributeNames())), *points)
