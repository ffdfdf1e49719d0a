"""The DICOM images that a volume of the scene was read from, for a report that is filed with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import slicer
import vtk

INSTANCES = "DICOM.instanceUIDs"
"""Attribute in which Slicer's own DICOM module notes which instances a volume was made of."""


def remember_files(volume: Any, files: Sequence[Path]) -> None:
    """Note which files a volume was read from, as Slicer's reader of series does.

    A scene that is saved forgets them: it has the voxels.
    """
    if not files:
        return
    volume.AddDefaultStorageNode(str(files[0]))
    storage = volume.GetStorageNode()
    storage.SetFileName(str(files[0]))
    for file in files if len(files) > 1 else ():
        storage.AddFileName(str(file))


def dicom_files(volume: Any) -> list[Path]:
    """The files of the DICOM images that a volume was read from; empty where it was read from something else.

    Raises:
        ImageError: some of them are not there any more.
    """
    from LandmarkDetectorLib.core import ImageError
    from LandmarkDetectorLib.io.dicom_header import is_dicom

    instances = (volume.GetAttribute(INSTANCES) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if instances and database is not None:
        names = [database.fileForInstance(instance) for instance in instances]
    elif instances:
        names = [""]
    else:
        names = _file_names(volume)
    files = [Path(name) for name in names]
    lost = sum(not file.is_file() for file in files)
    if instances and lost:
        raise ImageError(
            f"{volume.GetName()}: {lost} of its {len(instances)} DICOM images are not in Slicer's DICOM database any "
            "more; import the series again."
        )
    return [file for file in files if file.is_file() and is_dicom(file)]


def patient_in(volume: Any) -> str:
    """The patient's number, of a volume that was read from DICOM images which are still there; else empty."""
    from LandmarkDetectorLib.core import ImageError
    from LandmarkDetectorLib.io.dicom_header import patient_of

    try:
        return patient_of(dicom_files(volume))
    except ImageError:  # some of them are not there any more: whose they were cannot be told
        return ""


def source_of(volume: Any, image: Any) -> list[Any]:
    """The headers, patient and all, of the DICOM images that a volume was read from; empty where there are none.

    Args:
        volume: the volume node.
        image: the same as ``core.Image`` in the world, or in the plane of a picture.

    Raises:
        ImageError: they are not there any more, or the volume does not lie where they say.
    """
    from LandmarkDetectorLib.core import ImageError
    from LandmarkDetectorLib.io.dicom_source import lie_in, source_headers

    files = dicom_files(volume)
    if not files:
        return []
    headers = source_headers(files)
    if _is_moved(volume) or not lie_in(headers, image.grid):
        raise ImageError(
            f"{volume.GetName()}: it was moved or resampled since it was loaded, so its landmarks do not lie where its "
            "DICOM images do."
        )
    return list(headers)


def _file_names(volume: Any) -> list[str]:
    storage = volume.GetStorageNode()
    if storage is None:
        return []
    several = [storage.GetNthFileName(i) for i in range(storage.GetNumberOfFileNames())]
    return [name for name in (several or [storage.GetFullNameFromFileName()]) if name]


def _is_moved(volume: Any) -> bool:
    matrix = vtk.vtkMatrix4x4()
    parent = volume.GetParentTransformNode()
    if parent is None:
        return False
    if not parent.IsTransformToWorldLinear():
        return True
    parent.GetMatrixTransformToWorld(matrix)
    return not matrix.IsIdentity()
