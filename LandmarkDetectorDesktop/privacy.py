"""What Qt would remember of a person's folders, which may be named after patients."""

from __future__ import annotations

import atexit
import sys
import tempfile
from pathlib import Path

from qtpy.QtCore import QSettings

from LandmarkDetectorLib.io.private_folder import PrivateFolder, sweep_folders

_folder: PrivateFolder | None = None


def keep_no_folders() -> None:
    """Let Qt's file dialogs write the folders that were visited where they vanish with this process.

    What a window left that was killed goes when the next one opens, and when a worker starts.
    """
    global _folder
    if _folder is None:
        sweep_folders([Path(tempfile.gettempdir())])
        _folder = PrivateFolder()
        atexit.register(_folder.remove)
        for kind in (QSettings.Format.NativeFormat, QSettings.Format.IniFormat):
            QSettings.setPath(kind, QSettings.Scope.UserScope, str(_folder.path))


def forget_folders() -> None:
    """Take away what was written where settings are no files: in Windows' registry and in macOS' defaults."""
    if sys.platform in ("win32", "darwin"):
        settings = QSettings(QSettings.Scope.UserScope, "QtProject")
        for key in ("history", "lastVisited"):
            settings.remove(f"FileDialog/{key}")
