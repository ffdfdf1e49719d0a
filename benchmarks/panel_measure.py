"""A landmark dragged with measurements on: how long the panel takes for table and drawing at each movement.

    QT_QPA_PLATFORM=offscreen python benchmarks/panel_measure.py --results benchmarks/results/panel-measure.json

Made-up landmarks of a head, all that the largest sets know, in a picture (2D) and in a volume (3D, with true and
projected results), every one uncertain, everything drawn. Those that most results rest on are dragged by the scene's
own events. Of each movement three times are kept: until table and nodes say the new values; until the view in which
the person drags is painted too (``here``; meanwhile each other view takes an eighth of the time at the most); and until
all views are (``painted``). The processor paints them. ``cpu`` is the main thread's own time, ``wall`` what passed: on
a computer that others use, the first says more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import Counter
from pathlib import Path

from machine import provenance

STEPS, DRAGGED = 10, 4
LARGEST = 2
"""Sets, those with most results."""


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS, help="movements of each landmark")
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    figures: dict[str, object] = {"limit_ms": 50}
    from PySide6.QtWidgets import QApplication

    from LandmarkDetectorDesktop.application import Desktop

    QApplication.instance() or QApplication([])
    desktop = Desktop(answer=lambda *_: True)
    desktop.window.resize(1360, 900)
    desktop.window.show()
    for title, solid in (("picture", False), ("volume", True)):
        figures[title] = time_drags(desktop, solid, options.steps)
        print(title, json.dumps(figures[title]), flush=True)
        desktop.scene.Clear(0)
    desktop.close()
    figures["load_average_1_min"] = round(os.getloadavg()[0], 1)
    figures.update(provenance())
    print(json.dumps(figures, indent=1))
    if options.results:
        options.results.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def time_drags(desktop, solid: bool, steps: int) -> dict:
    """Milliseconds of the largest sets that know these landmarks."""
    from LandmarkDetector.Scene.result import create_result

    panel = desktop.module_widget.panel
    volume = add_volume(desktop, solid)
    node = create_result(desktop.scene, head(solid), volume)
    panel.review.choose_node(node)
    panel.ui.measureSection.setCollapsed(False)
    combo, draw = panel.ui.measureSetCombo, panel.ui.measureDrawCombo
    draw.setCurrentIndex(draw.findData("all"))
    rest(0.5)
    found = {}
    sizes = {}
    for name in [combo.itemData(i) for i in range(combo.count())]:
        combo.setCurrentIndex(combo.findData(name))
        rest(0.1)
        sizes[name] = len(panel.measure._shown.first.results)
    for name in sorted(sizes, key=lambda each: -sizes[each])[:LARGEST]:
        combo.setCurrentIndex(combo.findData(name))
        rest(0.3)
        found[name] = time_set(desktop, panel, node, steps)
    return found


def time_set(desktop, panel, node, steps: int) -> dict:
    """The landmarks that most results rest on are dragged; the slowest one counts."""
    from LandmarkDetectorDesktop.views.canvas import Canvas

    slowest: dict[str, float] = {}
    used = Counter(label for result in panel.measure._shown.first.results for label in result.labels)
    for label, _times in used.most_common(DRAGGED):
        index = next(i for i in range(node.GetNumberOfControlPoints()) if node.GetNthControlPointLabel(i) == label)
        kept: dict[str, list[float]] = {}
        for name, canvas in (("painted", None), ("here", desktop.slice_views["Red"].canvas)):
            Canvas.dragged = canvas  # as while the mouse button is held down in it
            said, painted = drag(panel, node, index, steps)
            Canvas.dragged = None
            rest(0.2)
            kept |= {"cpu_ms": said[0], "wall_ms": said[1]}
            kept |= {f"{name}_cpu_ms": painted[0], f"{name}_wall_ms": painted[1]}
        for name, values in kept.items():
            slowest[name] = max(slowest.get(name, 0.0), round(statistics.median(values), 1))
    shown = panel.measure._shown
    return {"results": len(shown.first.results), "drawn_nodes": len(panel.measure.drawn.nodes), **slowest}


def drag(panel, node, index: int, steps: int) -> tuple[tuple[list[float], ...], tuple[list[float], ...]]:
    """Milliseconds of each movement, of the processor and of the clock: until it is said, and until it is painted."""
    said: tuple[list[float], ...] = ([], [])
    painted: tuple[list[float], ...] = ([], [])
    x, y, z = node.GetNthControlPointPosition(index)
    node.InvokeEvent(node.PointStartInteractionEvent)
    for step in range(steps):
        before = time.thread_time(), time.perf_counter()
        node.SetNthControlPointPosition(index, x + 0.2 * (step % 3), y + 0.1 * step, z)
        panel.measure.refresh()  # what the event loop does next
        for kept in (said, painted):
            if kept is painted:
                rest(0)
            now = time.thread_time(), time.perf_counter()
            for kind in (0, 1):
                kept[kind].append(1000 * (now[kind] - before[kind]))
    node.SetNthControlPointPosition(index, x, y, z)
    node.InvokeEvent(node.PointEndInteractionEvent)
    rest(0.02)
    return said, painted


def rest(seconds: float) -> None:
    """Let the application do what it has to do."""
    from PySide6.QtWidgets import QApplication

    end = time.monotonic() + seconds
    for _ in range(3):
        QApplication.processEvents()
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.001)


def add_volume(desktop, solid: bool):
    """A picture of 1000 x 800 pixels, or a volume of 128 voxels a side."""
    import tempfile

    import numpy as np

    from LandmarkDetectorLib.core import Grid, Image
    from LandmarkDetectorLib.io import save_image

    size, spacing = ((128,) * 3, (2.0,) * 3) if solid else ((1000, 800, 1), (0.25, 0.25, 1.0))
    grid = Grid(size, spacing, (0.0, 0.0, 0.0), np.eye(3))
    places = np.meshgrid(*[np.linspace(-1, 1, count) if count > 1 else [0.0] for count in size[::-1]], indexing="ij")
    ball = np.clip(1.2 - np.sqrt(sum(place**2 for place in places)), 0, 1)  # noise would have a surface without end
    image = Image((200 * ball[None]).astype(np.int16), grid, "head")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.nrrd"
        save_image(image, path)
        return desktop.open(path)


def head(solid: bool):
    """All landmarks of cephalometry where they might lie, in mm; in a volume both sides of those that have two."""
    import numpy as np

    from LandmarkDetectorLib.core import Landmark, LandmarkSet
    from LandmarkDetectorLib.measure import load_set

    rng = np.random.default_rng(1)
    marks = []
    for name, entry in load_set("steiner").landmarks.items():
        x, y = PLACES.get(name) or rng.uniform((70, 60), (200, 180)).tolist()
        sides = ("left", "right") if solid and entry.bilateral else ("",)
        for side in sides:
            across = {"left": 50.0, "right": -50.0}.get(side, 0.0)
            place = (128 + across, 220 - x, 200 - y) if solid else (x, y, 0.0)
            spread = np.diag([1.0, 0.8, 1.2 if solid else 0.0])
            marks.append(Landmark(f"{name} {side}".strip(), place, None, 0.8, spread))
    return LandmarkSet(tuple(marks), "mm", "head")


PLACES = {
    "S": (100, 80),
    "N": (170, 75),
    "A": (165, 130),
    "B": (158, 160),
    "Pog": (156, 175),
    "Me": (145, 185),
    "Gn": (151, 182),
    "Go": (105, 155),
    "Or": (155, 95),
    "Po": (90, 98),
    "Ar": (92, 115),
    "ANS": (168, 122),
    "PNS": (120, 122),
    "U1": (170, 145),
    "U1_apex": (162, 128),
    "L1": (168, 147),
    "L1_apex": (155, 162),
    "U6": (140, 145),
    "L6": (140, 147),
    "Co": (95, 105),
    "Ba": (85, 110),
    "Pt": (120, 100),
}


if __name__ == "__main__":
    main()
