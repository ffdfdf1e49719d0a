"""``python -m LandmarkDetectorDesktop [IMAGE]`` opens the window."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from functools import partial
from types import TracebackType
from typing import Any


def main(arguments: list[str] | None = None) -> int:
    """Open the window, with what is named in the arguments; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="start.py app", description="Find and review anatomical landmarks in a window."
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="IMAGE",
        help="images, DICOM folders, landmarks or a scene to open; without any, the sample that comes along",
    )
    paths = parser.parse_args(arguments).paths
    missing = missing_screen()
    if missing:
        print(missing, file=sys.stderr)
        return 2
    if os.environ.get("QT_QPA_PLATFORM", "") == "offscreen":  # before VTK is imported
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is something to close, Ctrl+C ends it at once
    from qtpy.QtCore import Qt, QTimer
    from qtpy.QtWidgets import QApplication

    application = QApplication([sys.argv[0]])
    application.setApplicationName("LandmarkDetector")
    application.setApplicationDisplayName("")
    application.setStyle("Fusion")
    application.styleHints().setColorScheme(Qt.ColorScheme.Light)  # the panel is light, the views are dark
    from LandmarkDetectorDesktop.application import Desktop
    from LandmarkDetectorDesktop.opening import samples

    desktop = Desktop()
    sys.excepthook = partial(_say_unexpected, desktop)
    desktop.window.show()
    desktop.window.when_seen(lambda: desktop.open_all(paths or samples()[-1:]))
    awake = QTimer()  # Python sees a Ctrl+C in the terminal only when it is called now and then
    awake.timeout.connect(lambda: None)
    awake.start(500)
    # Once the loop runs, and without a question: whoever types Ctrl+C sits at the terminal, not at the window, and a
    # computer that shuts down does not wait. What holds names of folders is taken away all the same.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: QTimer.singleShot(0, application.exit))
    code = application.exec()
    desktop.close()
    return code


def _say_unexpected(desktop: Any, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What nobody has foreseen goes to the terminal in full, and to the person in one sentence."""
    traceback.print_exception(kind, error, trace)
    if desktop.scene is not None and not desktop.dialogs.is_open:
        desktop.dialogs.say(
            "error",
            f"Something went wrong that is a defect of this program ({kind.__name__}); save what you have done.",
        )


def missing_screen() -> str:
    """What to do where there is no screen; empty where there is one."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return ""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return ""
    return (
        "There is no screen (DISPLAY is not set): start it on a desktop, with `ssh -X`, under `xvfb-run`, "
        "or with QT_QPA_PLATFORM=offscreen to draw without one."
    )


if __name__ == "__main__":
    sys.exit(main())
