"""Takes the pictures of the guide from the running application, driven as a person would drive it.

    QT_QPA_PLATFORM=offscreen python docs/pictures/make_pictures.py

Needs the desktop's packages (``pip install ".[desktop]"``) and no screen.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURES = Path(__file__).resolve().parent
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
if os.environ["QT_QPA_PLATFORM"] == "offscreen":
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from PySide6.QtCore import QPoint, QRect, Qt  # noqa: E402
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QPixmap  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402
from PySide6.QtWidgets import QApplication, QWidget  # noqa: E402

from LandmarkDetectorLib.io import load_landmarks  # noqa: E402
from Testing.panel.person import HEAD, PICTURE, SAMPLE, SKULL, Person, open_desktop  # noqa: E402

LARGEST = 500_000  # bytes
WINDOW = (1360, 860)
MARGIN = 3


def save(pixmap: QPixmap, name: str) -> None:
    """Save a picture as a PNG of at most 256 colours where that is needed to stay small."""
    path = PICTURES / f"{name}.png"
    image = pixmap.toImage()
    image.save(str(path))
    if path.stat().st_size > LARGEST:
        image.convertToFormat(QImage.Format.Format_Indexed8, Qt.ImageConversionFlag.PreferDither).save(str(path))
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


def grab(window: QWidget, *parts: QWidget) -> QPixmap:
    """The window, or the rectangle of it that holds all of ``parts``."""
    if not parts:
        return window.grab()
    area = QRect()
    for part in parts:
        area = area.united(QRect(part.mapTo(window, QPoint(0, 0)), part.size()))
    return window.grab(area.adjusted(-MARGIN, -MARGIN, MARGIN, MARGIN).intersected(window.rect()))


def fold(person: Person, *opened: str) -> None:
    """Open these sections of the panel and fold the others."""
    for name in ("input", "detect", "review", "measure", "export", "batch", "cases", "set"):
        person.widget(f"{name}Section").setCollapsed(name not in opened)
    person.rest(200)


def first_detection(person: Person) -> None:
    """The sample, after one click."""
    person.open(SAMPLE)
    person.rest(1500)
    person.detect()
    person.rest(1500)
    save(grab(person.desktop.window), "detected")


def correct(person: Person) -> None:
    """The first landmark that the table proposes to look at, dragged in a slice."""
    label, view = person.current, person.desktop.slice_views["Red"]
    field = view.node.GetFieldOfView()
    view.node.SetFieldOfView(field[0] / 3, field[1] / 3, field[2])
    view.node.JumpSliceByCentering(*person.place_of(label))
    person.rest(600)
    start = person.pixel("Red", person.place_of(label))
    end = start + QPoint(-14, 26)  # along the bone
    before = view.canvas.grab()
    person.drag("Red", start, end)
    person.rest(800)
    save(side_by_side(before, view.canvas.grab(), start, end), "drag")
    assert person.status(label) == "corrected", person.status(label)
    view.fit()


def side_by_side(before: QPixmap, after: QPixmap, start: QPoint, end: QPoint) -> QPixmap:
    """Two pictures of one view with the way of the mouse drawn into the second."""
    gap = 10
    both = QPixmap(before.width() + gap + after.width(), before.height())
    both.fill(QColor("white"))
    painter = QPainter(both)
    for left, pixmap in ((0, before), (before.width() + gap, after)):
        painter.fillRect(left, 0, pixmap.width(), pixmap.height(), QColor("black"))
        painter.drawPixmap(left, 0, pixmap)
    painter.translate(before.width() + gap, 0)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor("#ffffff"), 2, Qt.PenStyle.DashLine))
    painter.drawLine(start, end)
    painter.drawEllipse(start, 5, 5)
    painter.end()
    return both


def review(person: Person) -> None:
    """In the middle of a review: one corrected, some confirmed, one absent, the views at the next."""
    fold(person, "review")
    person.key(Qt.Key.Key_N)
    for key in (Qt.Key.Key_C, Qt.Key.Key_C, Qt.Key.Key_X, Qt.Key.Key_C, Qt.Key.Key_C):
        person.key(key)
        person.rest(150)
    person.rest(1500)
    save(grab(person.desktop.window), "review")


def colours(person: Person) -> None:
    """What the bars and the symbols mean, painted with the panel's own."""
    from LandmarkDetector.Panel.colours import BAR, ConfidenceBars, status_look

    bars = ConfidenceBars()
    lines: list[tuple[QPixmap | str, QColor, str]] = []
    for confidence, meaning in ((0.95, "sure"), (0.5, "so-so: look closely"), (0.1, "unsure: look here first")):
        lines.append((bars.icon(confidence).pixmap(*BAR), QColor("#222222"), f"{confidence:.2f}   {meaning}"))
    for status, meaning in (
        ("unreviewed", "a proposal; nobody has looked"),
        ("confirmed", "a person says that it is right"),
        ("corrected", "a person moved or placed it"),
        ("absent", "a person says that it is not in the image"),
        ("not found", "the detector found no place for it"),
    ):
        look = status_look(status)
        lines.append((look.symbol, QColor(*look.colour), f"{look.word}: {meaning}"))
    height = 26
    page = QPixmap(460, height * len(lines) + 24)
    page.fill(QColor("white"))
    painter = QPainter(page)
    font = painter.font()
    font.setPointSize(11)
    painter.setFont(font)
    for place, (sign, colour, text) in enumerate(lines):
        top = 8 + height * place + (8 if place > 2 else 0)
        painter.setPen(colour)
        if isinstance(sign, str):
            painter.drawText(QRect(14, top, 56, height), Qt.AlignmentFlag.AlignCenter, sign)
        else:
            painter.drawPixmap(14, top + (height - BAR[1]) // 2, sign)
        painter.drawText(QRect(86, top, 360, height), Qt.AlignmentFlag.AlignVCenter, text)
    painter.end()
    save(page, "colours")


def export(person: Person) -> None:
    """The section "Export" after a file was written."""
    import tempfile

    fold(person, "export")
    with tempfile.TemporaryDirectory() as folder:
        person.answer(ask=["export"], save_file=[str(Path(folder) / "NU_J landmarks.mrk.json")])
        person.click("exportButton")
        person.rest(500)
    save(grab(person.desktop.window, person.widget("exportSection")), "export")


def measurements(person: Person) -> None:
    """The sample picture measured, half of it reviewed, the circumference chosen."""
    person.open(PICTURE, HEAD)
    person.rest(1000)
    person.detect()
    review = person.panel.review.review
    review.confirm([row.point_id for row in review.rows() if row.label.startswith("BPD")])
    fold(person, "measure")
    person.widget("measureDrawCombo").setCurrentIndex(1)
    person.widget("measureTable").setCurrentCell(2, 0)
    person.rest(1200)
    save(grab(person.desktop.window), "measuring")
    person.desktop.close_scene()


def cases(person: Person) -> None:
    """The list of a review store with two images, one of them open and reviewed by two people."""
    import tempfile

    from LandmarkDetectorLib.review import Correction, ReviewStore

    with tempfile.TemporaryDirectory() as folder:
        store = ReviewStore.create(Path(folder) / "reviews")
        person.answer(open_folder=[str(store.folder)], ask_text=["Anna"])
        person.press("casesChooseButton")
        for path, bundle in ((PICTURE, HEAD), (SAMPLE, SKULL)):
            person.open(path, bundle)
            person.rest(500)
            person.detect()
        (case,) = (row.case for row in store.cases() if row.landmarks == 45)
        marks = {mark.label: mark for mark in store.case(case).proposals()[0].landmarks}
        labels = list(marks)
        moved = [Correction(label, "corrected", marks[label].position + [0.12, 0.2, -0.1]) for label in labels[:3]]
        store.record(case, "Ben", *moved, *[Correction(label, "confirmed") for label in labels[3:9]])
        review = person.panel.review.review
        review.confirm([row.point_id for row in review.rows() if row.label in labels[:6]])
        review.mark_absent([row.point_id for row in review.rows() if row.label in labels[6:7]])
        fold(person, "cases")
        person.rest(1500)
        person.panel.cases.refresh()
        person.widget("casesTable").setCurrentCell(0, 0)
        person.rest(300)
        save(person.widget("casesSection").grab(), "cases")  # all of it, also what is below the edge of the window
        person.press("casesStopButton")
        person.desktop.close_scene()


def retraining(person: Person, made: Path) -> None:
    """A store of phantoms, a bundle retrained on them in seconds, and the comparison that waits for a decision."""
    person.answer(open_folder=[str(made / "run" / "phantom"), str(made / "reviews")], ask_text=["Anna"])
    person.panel.input.import_folder.trigger()
    person.press("casesChooseButton")
    fold(person, "cases")
    person.press("casesRetrainButton")
    person.widget("retrainMinutesSpin").setValue(1)
    person.press("retrainStartButton")
    person.wait_until(lambda: not person.widget("comparisonFrame").isHidden(), 240)
    person.widget("comparisonReasonEdit").setText("More cases of our scanner")
    person.rest(1000)
    section, first, last = (person.widget(name) for name in ("casesSection", "casesRetrainButton", "comparisonFrame"))
    top = first.mapTo(section, QPoint(0, 0)).y()
    bottom = last.mapTo(section, QPoint(0, last.height())).y()
    save(section.grab(QRect(0, top - MARGIN, section.width(), bottom - top + 2 * MARGIN)), "retraining")
    person.press("casesStopButton")


def new_landmarks(person: Person, made: Path) -> None:
    """A set in the middle: three images are placed, the fourth is being placed."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        person.press("setNewButton")
        person.widget("setNameEdit").setText("blobs")
        person.widget("setLabelsEdit").setPlainText(
            "nose: The largest blob.\nleft: The left one.\nright\ntail\nfin: The smallest, behind."
        )
        person.answer(open_folder=[str(Path(folder) / "blobs")])
        person.press("setCreateButton")
        fold(person, "set")
        for number in range(4):
            person.open(made / "more" / f"scan{number}.mha")
            person.press("setPlaceButton")
            truth = load_landmarks(made / "more" / f"scan{number}.mrk.json")
            for mark in list(truth)[: 3 if number == 3 else None]:
                person.click_in("Red", person.pixel("Red", np.array([-mark.position[0], -mark.position[1], 0.0])))
            if number < 3:
                person.press("setAddButton")
                person.desktop.close_scene()
        person.rest(1000)
        save(grab(person.desktop.window), "new-landmarks")
        person.desktop.close_scene()


def main() -> None:
    """Take all of them."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "Testing.panel.phantom_bundle", folder]
        subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
        os.environ["LANDMARK_DETECTOR_BUNDLES"] = str(Path(folder) / "bundles")
        take(Path(folder))


def take(made: Path) -> None:
    """All pictures; ``made``: what :mod:`Testing.panel.phantom_bundle` has written."""
    application = QApplication([])
    application.setStyle("Fusion")
    desktop = open_desktop("PySide6")
    desktop.window.resize(*WINDOW)
    person = Person(desktop)
    person.begin()
    QTest.qWait(500)
    first_detection(person)
    correct(person)
    review(person)
    colours(person)
    export(person)
    person.desktop.close_scene()
    measurements(person)
    cases(person)
    retraining(person, made)
    new_landmarks(person, made)
    desktop.close()


if __name__ == "__main__":
    main()
