"""Files and folders that a person opens, into nodes of the scene."""

from __future__ import annotations

import contextlib
import os
import shutil
import xml.etree.ElementTree as ElementTree
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import vtk

import LandmarkDetectorLib
from LandmarkDetector.Scene.history import History
from LandmarkDetectorDesktop.volume_node import add_volume
from LandmarkDetectorLib.core import ImageError, LandmarkFileError
from LandmarkDetectorLib.io import load_image, load_landmarks
from LandmarkDetectorLib.io.names import shown, stem_of
from LandmarkDetectorLib.io.notices import gathered
from LandmarkDetectorLib.io.private_folder import PrivateFolder

MARKUPS = (".mrk.json", ".fcsv", ".json")
SCENES = (".mrb", ".mrml")
# What zipfile raises at an archive whose bytes were changed; RuntimeError where the bit for a password is set.
_DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, RuntimeError, ValueError)
_UTF8 = 0x800  # the bit of a zip archive's entry that says how its name is written
IMAGES = (
    ".nii",
    ".nii.gz",
    ".nrrd",
    ".nhdr",
    ".mha",
    ".mhd",
    ".hdr",
    ".img",
    ".dcm",
    ".dicom",
    ".ima",
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".tif",
    ".tiff",
    ".npy",
    ".npz",
)
FILTERS = (
    f"All that can be opened ({' '.join('*' + suffix for suffix in (*IMAGES, *MARKUPS, *SCENES))})",
    f"Images ({' '.join('*' + suffix for suffix in IMAGES)})",
    "Landmarks (*.mrk.json *.json *.fcsv)",
    "Scenes (*.mrb *.mrml)",
    "All files (*)",
)


def samples() -> list[Path]:
    """The images that come with the shipped bundles."""
    shipped = Path(LandmarkDetectorLib.__file__).parent / "bundles" / "shipped"
    return [file for file in sorted(shipped.glob("*/samples/*")) if kind_of(file) == "image"]


def kind_of(path: Path) -> str:
    """``markups``, ``scene`` or ``image``, by the end of the name."""
    name = path.name.lower()
    if name.endswith(MARKUPS):
        return "markups"
    return "scene" if name.endswith(SCENES) else "image"


def open_path(logics: Any, path: str | os.PathLike[str], notice: Callable[[str], None]) -> Any:
    """Open an image, a DICOM folder, a file of landmarks or a scene.

    Images are read by the library, so that what is shown lies where the library finds its landmarks, and whatever is
    wrong with a file is said before VTK sees it.

    Args:
        logics: the scene and its logics.
        path: what to open.
        notice: is told what was mended or assumed.

    Returns:
        The volume or markups node; the volume that a scene shows, or None if it shows none.

    Raises:
        LandmarkDetectorError: it cannot be read; one sentence that says why.
    """
    path = Path(path)
    kind = kind_of(path)
    with gathered() as told:
        if kind == "scene":
            node = _open_scene(logics, path)
        elif kind == "markups":
            node = _open_markups(logics, path)
        else:
            node = add_volume(logics.scene, load_image(path), path)
    for sentence in told:
        notice(sentence)
    return node


def _open_markups(logics: Any, path: Path) -> Any:
    name = shown(path)
    if not path.is_file():
        raise LandmarkFileError(f"{name}: there is no such file; check the path.")
    load_landmarks(path)  # says what is wrong, where Slicer's reader would take what it can get
    scene = logics.scene
    before = {scene.GetNthNodeByClass(i, "vtkMRMLMarkupsNode").GetID() for i in range(_count(scene))}
    read = logics.markups.LoadMarkupsFromFcsv if path.suffix.lower() == ".fcsv" else logics.markups.LoadMarkupsFromJson
    node_id = read(str(path), stem_of(path))
    node = scene.GetNodeByID(node_id) if node_id else None
    if node is None:
        for i in reversed(range(_count(scene))):
            left = scene.GetNthNodeByClass(i, "vtkMRMLMarkupsNode")
            if left.GetID() not in before:
                scene.RemoveNode(left)
        raise LandmarkFileError(f"{name}: Slicer's reader of markups does not take it; export it again.")
    History(scene).forget()  # steps from before do not know the node and would take it away
    node.SetUndoEnabled(True)
    return node


def _count(scene: Any) -> int:
    return int(scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode"))


def _open_scene(logics: Any, path: Path) -> Any:
    """Read a scene in the place of the present one."""
    name = shown(path)
    if not path.is_file():
        raise ImageError(f"{name}: there is no such file; check the path.")
    if path.suffix.lower() == ".mrml":
        _read_mrml(logics.scene, path, name)
    else:
        with _room_for(name) as folder:
            _read_mrml(logics.scene, _unpacked(path, folder, name), name)
    return None


def _room_for(name: str) -> PrivateFolder:
    try:
        return PrivateFolder()
    except OSError as error:
        raise ImageError(f"{name}: it cannot be unpacked ({error.strerror}); free some space and try again.") from None


def _unpacked(path: Path, folder: Path, name: str) -> Path:
    try:
        with zipfile.ZipFile(path) as bundle:
            needed, free = sum(member.file_size for member in bundle.infolist()), shutil.disk_usage(folder).free
            if needed > free:
                raise ImageError(
                    f"{name}: unpacked it takes {needed / 2**20:.0f} MB and {free / 2**20:.0f} MB are free for "
                    "temporary files; free some space, or get the scene from its source again."
                )
            for member in bundle.infolist():
                if not member.flag_bits & _UTF8:  # Slicer writes UTF-8 and does not say so
                    with contextlib.suppress(UnicodeError):
                        member.filename = member.filename.encode("cp437").decode("utf-8")
                bundle.extract(member, folder)  # takes ".." and roots out of names, and checks the checksum
    except _DAMAGED as error:
        raise ImageError(
            f"{name}: it is no scene bundle, or damaged ({error}); copy it again from its source."
        ) from None
    except OSError as error:
        raise ImageError(f"{name}: it cannot be unpacked ({error.strerror}); free some space and try again.") from None
    scenes = sorted(folder.rglob("*.mrml"), key=lambda file: (len(file.parts), file))
    if not scenes:
        raise ImageError(f"{name}: the bundle holds no scene; save it again in Slicer.")
    return scenes[0]


def _read_mrml(scene: Any, path: Path, name: str) -> None:
    try:
        root = ElementTree.parse(path).getroot().tag
    except (ElementTree.ParseError, OSError, ValueError):
        root = ""
    if root != "MRML":  # the reader would empty the scene before it finds out
        raise ImageError(f"{name}: this is no scene; choose a file that Slicer saved.")
    messages = slicer.vtkMRMLMessageCollection()
    scene.SetURL(str(path))
    done = scene.Connect(messages)
    lost = [node for node in slicer.util.getNodesByClass("vtkMRMLVolumeNode", scene) if node.GetImageData() is None]
    if lost:
        names = ", ".join(node.GetName() for node in lost)
        for node in lost:
            scene.RemoveNode(node)  # without voxels it cannot be drawn
        raise ImageError(
            f"{name}: the voxels of {names} are missing or damaged; the rest is open, save the scene again."
        )
    if not done or messages.GetNumberOfMessagesOfType(vtk.vtkCommand.ErrorEvent):
        raise ImageError(f"{name}: a part of the scene is missing or damaged; the rest is open, save the scene again.")
