"""From click to points: what the panel adds to the library, and how long the window is ever deaf meanwhile.

    QT_QPA_PLATFORM=offscreen python benchmarks/panel.py --results benchmarks/results/panel.json

The desktop application opens an image, and Detect is clicked again and again. A timer that wants to fire every five
milliseconds tells the longest time in which the event loop did nothing else. Then the library detects on the same image
in this process, warm as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from machine import provenance

WANTED = 5
"""Milliseconds between two ticks of the timer that listens."""


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="an image; the first sample of the bundle by default")
    parser.add_argument("--bundle", default="mouse-skull-ct")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    from LandmarkDetectorLib import load_bundle

    image = options.image or load_bundle(options.bundle).samples()[0]
    panel = time_panel(image, options)
    library = time_library(image, options)
    clicks = statistics.median(panel["clicks"][1:])
    figures = {
        "image": image.name,
        "bundle": options.bundle,
        "first_click_s": round(panel["clicks"][0], 3),
        "click_to_points_s": round(clicks, 3),
        "library_s": round(library, 3),
        "ratio": round(clicks / library, 3),
        "longest_stall_ms": round(max(panel["stalls"][1:]), 1),
        "longest_stall_first_click_ms": round(panel["stalls"][0], 1),
        "longest_stall_start_to_idle_ms": round(panel["opening"], 1),
        **provenance(),
    }
    print(json.dumps(figures, indent=1))
    if options.results:
        options.results.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


class Ticks:
    """Listens to the event loop while it is running."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self.longest, self._last = 0.0, time.perf_counter()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(WANTED)

    def take(self) -> float:
        """The longest time between two ticks since the last call, in milliseconds."""
        self._tick()
        longest, self.longest = self.longest, 0.0
        return 1000 * longest

    def _tick(self) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now


def time_panel(image: Path, options: argparse.Namespace) -> dict:
    """Seconds and the longest stall of each click, the first one with a worker that was told to load the bundle."""
    from PySide6.QtWidgets import QApplication

    from LandmarkDetectorDesktop.application import Desktop

    desktop = Desktop(answer=lambda *_: True)
    desktop.window.show()
    ticks = Ticks()

    def rest(seconds: float) -> None:
        end = time.monotonic() + seconds
        wait(lambda: time.monotonic() > end, seconds + 10)

    def wait(ready, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                sys.exit("The panel did not come to its end.")
            QApplication.processEvents()
            time.sleep(0.0005)

    panel = desktop.module_widget.panel
    desktop.open(image)
    panel.enter()
    wait(lambda: panel.worker.devices, 60)
    choose(panel.ui.bundleCombo, options.bundle)
    choose(panel.ui.deviceCombo, options.device)
    rest(3)  # the worker loads, the views draw
    opening, clicks, stalls = ticks.take(), [], []
    for _ in range(options.times):
        began = time.perf_counter()
        panel.ui.detectButton.click()
        if not panel.run.running:
            sys.exit(panel.detect.message)
        wait(lambda: not panel.run.running, 300)
        clicks.append(time.perf_counter() - began)
        rest(0.5)  # the views draw the points
        stalls.append(ticks.take())
    desktop.close()
    return {"clicks": clicks, "stalls": stalls, "opening": opening}


def choose(combo, name: str) -> None:
    """Choose the item whose data or text is ``name``."""
    number = max(combo.findData(name), combo.findText(name))
    if number < 0:
        sys.exit(f"{name} is not offered; there are {[combo.itemText(i) for i in range(combo.count())]}.")
    combo.setCurrentIndex(number)


def time_library(image: Path, options: argparse.Namespace) -> float:
    """Median seconds of the library's own detection, warm."""
    from LandmarkDetectorLib import load_image
    from LandmarkDetectorLib.inference import Detector

    detector, loaded = Detector(options.bundle, options.device), load_image(image)
    detector.detect(loaded)
    seconds = []
    for _ in range(options.times):
        began = time.perf_counter()
        detector.detect(loaded)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
