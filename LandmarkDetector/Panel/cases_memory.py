"""Which review store a person uses, and who that person is: kept on this computer, and only when asked for.

It is not kept in the scene, which is passed on, while the folder's name may be that of a patient.
"""

from __future__ import annotations

import json

import qt

_KEY = "LandmarkDetector/reviews"


def remembered() -> tuple[str, str]:
    """The folder of the store and the observer's name; both empty where nothing is kept."""
    try:
        kept = json.loads(str(qt.QSettings().value(_KEY, "{}")))
        return str(kept.get("folder", "")), str(kept.get("observer", ""))
    except (ValueError, AttributeError):  # somebody altered it
        return "", ""


def remember(folder: str, observer: str) -> None:
    """Keep both."""
    qt.QSettings().setValue(_KEY, json.dumps({"folder": folder, "observer": observer}))


def forget() -> None:
    """Keep nothing."""
    qt.QSettings().remove(_KEY)
