"""An image of a batch with its landmarks, loaded into the scene for review."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import slicer


class BatchReviews:
    """Images of a batch and their landmarks in a scene; who opens one again finds what was reviewed of it since.

    Args:
        scene: the MRML scene.
    """

    def __init__(self, scene) -> None:
        self._scene = scene
        self._opened: dict[Any, tuple[Any, Any]] = {}

    def open(self, source: Any, files: Sequence[Path]) -> tuple[Any, Any]:
        """The volume and the point list, see :func:`load_for_review`; loaded where they are not here, or are older."""
        key = source, tuple((path, path.stat().st_mtime_ns) for path in files if path.is_file())
        here = self._opened.get(key, ())
        if not here or not all(self._scene.IsNodePresent(node) for node in here):
            self._opened[key] = load_for_review(self._scene, source, files)
        return self._opened[key]


def load_for_review(scene, source: Any, files: Sequence[Path]) -> tuple[Any, Any]:
    """Load an image of a batch and its landmarks.

    Args:
        scene: the MRML scene.
        source: the library's ``Source``: a file, or a folder with a DICOM series.
        files: the files of its landmarks, of which the one that keeps most is read.

    Returns:
        The volume node and the point list, its review as the file carries it.

    Raises:
        LandmarkDetectorError: one of them is gone or damaged.
    """
    volume = _volume(scene, source)
    markups = next((path for path in files if path.name.endswith(".mrk.json") and path.is_file()), None)
    return volume, _from_markups(markups, volume) if markups else _from_table(scene, files, volume)


def _volume(scene, source: Any) -> Any:
    from LandmarkDetector.Scene.printed import count_pixels, is_printed
    from LandmarkDetectorLib.core import ImageError, LandmarkDetectorError

    if source.path.is_dir():
        return _of_series(scene, source)
    try:
        # Without it Slicer takes 001.png, 002.png, ... for the slices of one volume.
        volume = slicer.util.loadVolume(str(source.path), {"singleFile": True})
    except RuntimeError as error:
        if isinstance(error.__cause__, LandmarkDetectorError):  # which says why
            raise error.__cause__ from None
        raise ImageError(f"{source.path.name}: it cannot be loaded; look whether it is still there.") from error
    if is_printed(volume):  # its landmarks were found in pixels
        count_pixels(volume)
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return volume


def _of_series(scene, source: Any) -> Any:
    """A DICOM series by the library, which finds the same slices as the worker did."""
    from LandmarkDetector.Scene.dicom_source import remember_files
    from LandmarkDetector.Scene.image_volume import volume_of_image
    from LandmarkDetectorLib.io import load_image
    from LandmarkDetectorLib.io.dicom_source import series_files

    image = load_image(source.path, series=source.series)
    volume = volume_of_image(scene, image, image.name)
    remember_files(volume, series_files(source.path, source.series))
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return volume


def _from_markups(path: Path, volume: Any) -> Any:
    from LandmarkDetector.Scene.result import VOLUME
    from LandmarkDetectorLib.core import LandmarkFileError
    from LandmarkDetectorLib.io import load_landmarks

    known = load_landmarks(path)  # says what is wrong, where the application would only say that something is
    try:
        node = slicer.util.loadMarkups(str(path))
    except RuntimeError as error:
        raise LandmarkFileError(f"{path.name}: it cannot be loaded; run the batch again.") from error
    for key in ("bundle", "version", "fingerprint"):
        if key in known.info:
            node.SetAttribute(f"LandmarkDetector.{key}", str(known.info[key]))
    node.SetNodeReferenceID(VOLUME, volume.GetID())
    return node


def _from_table(scene, files: Sequence[Path], volume: Any) -> Any:
    from LandmarkDetector.Scene.result import create_result
    from LandmarkDetectorLib.core import LandmarkFileError
    from LandmarkDetectorLib.io import load_landmarks

    path = next((path for path in files if path.is_file()), None)
    if path is None:
        raise LandmarkFileError(f"{volume.GetName()}: its files of landmarks are gone; run the batch again.")
    return create_result(scene, load_landmarks(path), volume)
