"""Endoscopic frames of the EndoVis challenge of 2015 (robotic tracking) with the joints of up to four instruments.

::

    .../Tracking_Robotic_Training/.../Dataset1/.../img_000060_raw.png   (or img_000060.png)
    .../Tracking_Robotic_Testing/.../Dataset1/.../img_0625.png
    train1_labels.json ... train4_labels.json, test1_labels.json ... test6_labels.json, at any depth

The challenge gives videos, ``Video.avi``, whose frames must have been extracted under the names in the labels. A file
of labels is a list of frames; a frame whose ``annotations`` are empty has not been annotated and is left out, any
other lists joints as ``{"class": "HeadPoint", "id": "tool1", "x": ..., "y": ...}``. Each joint of each instrument is a
landmark of its own here, such as ``tool1 HeadPoint``: an instrument that is not in the frame is ``missing``, a joint
that nobody annotated on one that is there is ``undefined``. ``landmark_classes`` in ``dataset.json`` says which joint
a landmark is, for those who take all instruments alike. A joint without an id, of which the test sets hold some, goes
to the one instrument that lacks it. Where that is not clear, and where a joint has two places, it is left
``undefined``, with a notice.

Nobody says where the labels count from. Their fractions are those of a canvas and their form is that of the program
Sloth, which draws a frame from the corner (0, 0) on, so half a pixel is taken away. The test part of a sequence goes on
where its training part ends: both are of one ``family``.

Du et al. 2018, Articulated multi-instrument 2-D pose estimation using fully convolutional networks, doi
10.1109/TMI.2017.2787672; labels at https://github.com/surgical-vision/EndoVisPoseAnnotation, videos at
https://opencas.webarchiv.kit.edu/data/endovis15_ins.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import DatasetError, Landmark, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.datasets.importers.findings import Images, visible_files
from LandmarkDetectorLib.datasets.importers.registry import ImportedCase, ImportedDataset, register_importer
from LandmarkDetectorLib.io.json_files import finite, read_json
from LandmarkDetectorLib.io.names import shown, stem_of
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.io.pixels import file_name, offset_of

TOOLS = ("tool1", "tool2", "tool3", "tool4")
"""Right clasper, left clasper, right scissor, left scissor."""
JOINTS = ("LeftClasperPoint", "RightClasperPoint", "HeadPoint", "ShaftPoint", "TrackedPoint", "EndPoint")
LABELS = tuple(f"{tool} {joint}" for tool in TOOLS for joint in JOINTS)

_FILE = re.compile(r"(train|test)(\d+)_labels\.json")
_PARTS = {"train": "training", "test": "test"}


@register_importer("endovis2015")
def endovis2015(folder: Path) -> ImportedDataset:
    """The annotated frames below a folder.

    Raises:
        DatasetError: there are no labels, or a frame is not there.
        LandmarkFileError: a file of labels is damaged, or says something impossible of a frame.
    """
    files = {path: match for path in visible_files(folder) if (match := _FILE.fullmatch(path.name))}
    if not files:
        raise DatasetError(f"{folder.name}: there is no train1_labels.json or test1_labels.json in it; put them there.")
    cases: list[ImportedCase] = []
    left_out = 0
    for path, match in files.items():
        frames = _frames(folder, match[1], match[2])
        document = read_json(path)
        if not isinstance(document, list) or not all(isinstance(frame, dict) for frame in document):
            raise LandmarkFileError(f"{shown(path)}: it is no list of frames; get the labels again.")
        for frame in document:
            joints = frame.get("annotations")
            if not isinstance(joints, list) or not isinstance(frame.get("filename"), str):
                raise LandmarkFileError(f"{shown(path)}: a frame has no filename or annotations; get the labels again.")
            if not joints:
                continue
            stem = stem_of(file_name(frame["filename"])).removesuffix("_raw")
            marks, unclear = _landmarks(joints, f"{shown(path)}: {stem}", stem)
            left_out += unclear
            found = f"{stem}_raw" if f"{stem}_raw" in frames else stem
            subject = f"{match[1]}{match[2]}-{stem}"
            extra = {"part": _PARTS[match[1]], "family": f"sequence {match[2]}"}
            cases.append(ImportedCase(subject, frames.named(found, prefer="raw"), marks, extra=extra))
    if left_out:
        notice(f"{folder.name}: {left_out} joints were left out, as whose they are, or where, is unclear.")
    about = {
        "modality": "endoscopy (laparoscope, colour)",
        "landmark_classes": {label: label.split()[1] for label in LABELS},
        "source": "Du et al. 2018, doi 10.1109/TMI.2017.2787672",
    }
    return ImportedDataset("endovis2015", LABELS, tuple(cases), about)


def _frames(folder: Path, part: str, number: str) -> Images:
    """The frames of ``Dataset<number>`` of the training or the test part."""
    word = re.compile(rf"(?:^|[^a-z]){part}")
    found = []
    for path in sorted(folder.rglob(f"Dataset{number}")):
        above = "/".join(path.relative_to(folder).parts[:-1]).lower() or folder.name.lower()
        if path.is_dir() and word.search(above):
            found.append(("tracking" not in above, path))  # the challenge on segmentation has folders of these names
    if found:
        return Images(min(found)[1])
    raise DatasetError(
        f"{folder.name}: there is no Dataset{number} in a folder called after {_PARTS[part]}; "
        "unpack the videos there and extract their frames."
    )


def _landmarks(joints: list[Any], place: str, name: str) -> tuple[LandmarkSet, int]:
    """The landmarks of a frame, and of how many joints the instrument or the place is unclear."""
    placed: dict[tuple[str, str], np.ndarray] = {}
    twice: set[tuple[str, str]] = set()
    nameless: list[tuple[str, np.ndarray]] = []
    for joint in joints:
        if not isinstance(joint, dict) or joint.get("class") not in JOINTS or joint.get("id", TOOLS[0]) not in TOOLS:
            raise LandmarkFileError(f"{place}: {str(joint)[:60]} is no joint of an instrument; mend the labels.")
        at = np.array([finite(joint.get(axis), place) for axis in "xy"]) - offset_of("corner", place)
        if "id" not in joint:
            nameless.append((joint["class"], at))
        else:
            twice |= {(joint["id"], joint["class"])} & set(placed)
            placed[joint["id"], joint["class"]] = at
    seen = [tool for tool in TOOLS if any((tool, joint) in placed for joint in JOINTS)]
    unclear = 0
    for kind, at in nameless:
        lacking = [tool for tool in seen if (tool, kind) not in placed]
        if len(lacking) == 1 and sum(kind == other for other, _ in nameless) == 1:
            placed[lacking[0], kind] = at
        else:
            unclear += 1
    for key in twice:
        del placed[key]
    marks = []
    for tool in TOOLS:
        unseen = "undefined" if tool in seen or unclear else "missing"  # an unclear joint may be of an unseen tool
        for joint in JOINTS:
            position = placed.get((tool, joint))
            marks.append(Landmark(f"{tool} {joint}", position, unseen if position is None else "defined"))
    return LandmarkSet(tuple(marks), "px", name), unclear + len(twice)
