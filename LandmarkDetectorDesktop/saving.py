"""Nodes and scenes into files, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.core import LandmarkFileError
from LandmarkDetectorLib.io.atomic import settle
from LandmarkDetectorLib.io.names import shown


def scene_file(path: str | os.PathLike[str]) -> Path:
    """The file that a scene is saved in under a name; ``.mrb`` is added where it lacks."""
    target = Path(path)
    return target if target.suffix.lower() == ".mrb" else target.with_name(target.name + ".mrb")


def save_scene(scene: Any, path: str | os.PathLike[str]) -> Path:
    """Write the scene and all its data into one ``.mrb``, as Slicer does.

    Args:
        scene: the ``vtkMRMLScene``.
        path: the file; see :func:`scene_file`.

    Returns:
        The file that was written.

    Raises:
        LandmarkFileError: it cannot be written.
    """
    target = scene_file(path)
    # Slicer names the folder in the archive after the file, and takes no names that begin with a dot.
    _write(target, (target.stem.strip(".") or "scene") + ".mrb", lambda file: scene.WriteToMRB(str(file)))
    return target


def save_node(scene: Any, node: Any, path: str | os.PathLike[str]) -> None:
    """Write one node's data in the format that the suffix names.

    Raises:
        LandmarkFileError: the node has no data of its own, or the file cannot be written.
    """
    target = Path(path)
    if not node.IsA("vtkMRMLStorableNode"):
        raise LandmarkFileError(
            f"{shown(target)}: {node.GetName()} has nothing that goes into a file; choose another node."
        )
    is_fcsv = target.suffix.lower() == ".fcsv" and node.IsA("vtkMRMLMarkupsFiducialNode")
    storage = (
        scene.CreateNodeByClass("vtkMRMLMarkupsFiducialStorageNode") if is_fcsv else node.CreateDefaultStorageNode()
    )
    if storage is None:
        raise LandmarkFileError(
            f"{shown(target)}: {node.GetName()} has no voxels or points yet; load or make some first."
        )
    storage.UnRegister(None)
    if not storage.GetSupportedFileExtension(str(target), False, True):
        raise LandmarkFileError(
            f"{shown(target)}: {node.GetName()} cannot be written in this format; choose another suffix."
        )

    def write(file: Path) -> bool:
        storage.SetFileName(str(file))
        storage.SetScene(scene)
        return bool(storage.WriteData(node))

    _write(target, target.name, write)


def _write(target: Path, name: str, write: Any) -> None:
    """Write into a folder beside the target, and move the file there when it is whole."""
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".writing-", ignore_cleanup_errors=True) as folder:
            file = Path(folder) / name
            if not write(file) or not file.is_file():
                raise OSError(None, "the disk is full or the folder is not writable")
            settle(file, target)
    except OSError as error:
        cause = error.strerror or type(error).__name__
        raise LandmarkFileError(
            f"{shown(target)}: it cannot be written ({cause}); choose a folder that exists, is writable and has space."
        ) from error
