"""Landmarks of a made-up cephalogram that lie in a picture, for those who measure them in the panel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import Landmark, LandmarkSet
from Testing.panel.person import HEAD, PICTURE

HEADS = {
    "S": (8, 8),
    "N": (28, 7),
    "A": (27, 17),
    "B": (25.5, 23),
    "Go": (11, 22),
    "Gn": (24, 27),
    "Me": (23, 28),
    "Pog": (25, 25.5),
    "Or": (24, 11),
    "Po": (7, 11),
    "U1": (27.5, 20),
    "L1": (27, 20.5),
    "Ar": (8, 16),
}
"""In mm, in the plane of the sample picture."""
SPREAD = np.diag([0.04, 0.03, 0.0])


def heads(shift: float = 0.0) -> LandmarkSet:
    """The landmarks, those of the lower jaw ``shift`` mm ahead; the last one was not found."""
    marks = []
    for label, (x, y) in HEADS.items():
        if label == "Ar":
            marks.append(Landmark(label))
            continue
        ahead = shift if label in ("B", "Gn", "Me", "Pog") else 0.0
        marks.append(Landmark(label, (x + ahead, y, 0.0), None, 0.8, SPREAD))
    return LandmarkSet(tuple(marks), "mm", "head", {"bundle": "heads", "version": "1", "fingerprint": "f" * 64})


def begin_measuring(person: Any, *, name: str = "steiner") -> Any:
    """The sample picture with these landmarks, the section open and a set chosen; the point list."""
    from LandmarkDetector.Scene.result import create_result

    volume = person.open(PICTURE, HEAD)
    node = create_result(person.desktop.scene, heads(), volume)
    person.panel.review.choose_node(node)
    person.rest()
    person.widget("measureSection").setCollapsed(False)
    person.rest()
    choose(person, "measureSetCombo", name)
    return node


def choose(person: Any, combo: str, data: str) -> None:
    """Choose the item of a list that has this data."""
    box = person.widget(combo)
    place = box.findData(data)
    assert place >= 0, f"{combo} has no {data}; it has {[box.itemText(i) for i in range(box.count())]}"
    box.setCurrentIndex(place)
    person.rest()


def table(person: Any) -> dict[str, tuple[str, ...]]:
    """The texts of the table, by the first column: value (of two times: both), interval, difference, norm."""
    widget = person.widget("measureTable")
    cells = [[widget.item(row, column).text() for column in range(5)] for row in range(widget.rowCount())]
    return {row[0]: tuple(row[1:]) for row in cells}


def drawn(person: Any) -> list[Any]:
    """The nodes that are drawn for the measurements."""
    scene = person.desktop.scene
    found = []
    for kind in ("Line", "Angle", "Plane", "ClosedCurve"):
        name = f"vtkMRMLMarkups{kind}Node"
        found += [scene.GetNthNodeByClass(i, name) for i in range(scene.GetNumberOfNodesByClass(name))]
    return [node for node in found if node.GetClassName() != "vtkMRMLMarkupsFiducialNode"]


def confirm_all(person: Any) -> None:
    """Confirm every landmark."""
    review = person.panel.review.review
    review.confirm([row.point_id for row in review.rows()])
    person.rest()


def export(person: Any, key: str, path: Path, **answers: Any) -> str:
    """Export in a format, answering what is asked; what the panel says then."""
    choose(person, "measureFormatCombo", key)
    person.answer(save_file=[str(path)], **answers)
    person.press("measureExportButton")
    return person.widget("measureExportLabel").text()


def compare(person: Any, shift: float = 2.0) -> Any:
    """A second time, the lower jaw further ahead."""
    from LandmarkDetector.Scene.result import create_result

    later = create_result(person.desktop.scene, heads(shift), person.panel.input.volume)
    later.SetName("head later")
    person.panel.ui.compareSelector.setCurrentNode(later)
    person.rest()
    return later
