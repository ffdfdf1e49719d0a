"""What Qt would remember of a person's folders, which may be named after patients."""

from __future__ import annotations

import sys
import tempfile

from qtpy.QtCore import QSettings

_folder: tempfile.TemporaryDirectory | None = None


def keep_no_folders() -> None:
    """Let Qt's file dialogs write the folders that were visited where they vanish with this process."""
    global _folder
    if _folder is None:
        _folder = tempfile.TemporaryDirectory(prefix="landmarks-settings-", ignore_cleanup_errors=True)
        for kind in (QSettings.Format.NativeFormat, QSettings.Format.IniFormat):
            QSettings.setPath(kind, QSettings.Scope.UserScope, _folder.name)


def forget_folders() -> None:
    """Take away what was written where settings are no files: in Windows' registry and in macOS' defaults."""
    if sys.platform in ("win32", "darwin"):
        settings = QSettings(QSettings.Scope.UserScope, "QtProject")
        for key in ("history", "lastVisited"):
            settings.remove(f"FileDialog/{key}")
