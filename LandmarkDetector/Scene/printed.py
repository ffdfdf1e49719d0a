"""Pictures whose voxel size speaks of printing: 3D Slicer takes what JPEG and TIFF claim for that for millimetres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .result import volume_of
from .volume_image import PICTURE, UNIT, counts_pixels, has_no_scale


def is_printed(node: Any) -> bool:
    """Whether the voxel size of a picture is the one for printing, in which nothing can be measured."""
    return has_no_scale(node) and not counts_pixels(node)


def bears_points(node: Any) -> bool:
    """Whether points of the scene may lie on a volume: those of its results, and those that nobody says where from."""
    scene, kind = node.GetScene(), "vtkMRMLMarkupsNode"
    markups = [scene.GetNthNodeByClass(i, kind) for i in range(scene.GetNumberOfNodesByClass(kind))]
    return any(each.GetNumberOfControlPoints() and volume_of(each) in (None, node) for each in markups)


def count_pixels(node: Any) -> None:
    """Give a picture pixels of 1, as the library reads it; points that lie on it already would not go along.

    Its storage is forgotten: from there the size for printing would come back when the scene is opened again.
    """
    folded, storage = node.StartModify(), node.GetStorageNode()
    node.SetAttribute(UNIT, "px")
    node.SetSpacing(1.0, 1.0, 1.0)
    if storage is not None:
        node.SetAttribute(PICTURE, Path(storage.GetFileName()).name)
        node.SetAndObserveStorageNodeID(None)
        node.GetScene().RemoveNode(storage)
    node.EndModify(folded)
