"""``python -m LandmarkDetectorDesktop [IMAGE]`` opens the window."""

from __future__ import annotations

import sys

from PySide6.QtWidgets import QApplication


def main(arguments: list[str]) -> int:
    """Open the window, with an image if one is named; returns the exit code."""
    application = QApplication([sys.argv[0]])
    from LandmarkDetectorDesktop.application import Desktop

    desktop = Desktop()
    desktop.window.show()
    for path in arguments:
        desktop.open(path)
    code = application.exec()
    desktop.close()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
