"""``configs/inference.json``: the settings that we read, in a frame that MONAI's ``ConfigParser`` can read.

We read one key, ``landmark_detector``, as plain JSON. The rest lets MONAI build the detector::

    parser = ConfigParser(ConfigParser.load_config_file("configs/inference.json"))
    parser["bundle_root"] = "path of the bundle"
    detector = parser.get_parsed_content("detector")

MONAI evaluates a string that begins with ``$`` as Python, reads another file at ``%`` and builds whatever ``_target_``
names. A bundle of ours needs none of that but the one target, so a bundle that has more is refused: it would run code
in the hands of a person who opens it with MONAI because we had called it sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from LandmarkDetectorLib.bundles.names import shown
from LandmarkDetectorLib.core.errors import BundleError

SETTINGS_KEY = "landmark_detector"
TARGET = "LandmarkDetectorLib.inference.Detector"


def make_config(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``inference.json`` around these settings."""
    return {
        "bundle_root": ".",
        "device": "auto",
        SETTINGS_KEY: dict(settings),
        "detector": {"_target_": TARGET, "bundle": "@bundle_root", "device": "@device"},
    }


def read_settings(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The settings in the content of an ``inference.json``.

    Raises:
        BundleError: there are none, or the file holds what MONAI would evaluate or build.
    """
    settings = config.get(SETTINGS_KEY)
    if not isinstance(settings, dict):
        raise BundleError(f"{where} has no settings under {SETTINGS_KEY!r}; write the bundle again.")
    check_inert(settings, where)
    rest = {key: value for key, value in config.items() if key != SETTINGS_KEY}
    detector = rest.pop("detector", None)
    if detector != make_config({})["detector"]:
        raise BundleError(f"{where}: the entry 'detector' is not the one that this library writes; it is refused.")
    check_inert(rest, where)
    return settings


def check_inert(value: Any, where: str) -> None:
    """Check that MONAI's ``ConfigParser`` would take ``value`` for plain JSON, whatever it holds.

    Raises:
        BundleError: a string beginning with ``$``, ``%`` or ``@``, or a key such as ``_target_`` or ``+key``.
    """
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            for key in item:
                if str(key).startswith("+") or (str(key)[:1] == "_" == str(key)[-1:]):
                    raise BundleError(f"{where}: MONAI reads the key {shown(str(key))} as a command; rename it.")
            pending.extend(item.values())
        elif isinstance(item, (list, tuple)):
            pending.extend(item)
        elif isinstance(item, str) and item.lstrip().startswith(("$", "%", "@")):
            raise BundleError(f"{where}: MONAI reads {shown(item)} as an expression or a reference; reword it.")
