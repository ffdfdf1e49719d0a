r"""Names that are safe on every system: of a bundle, and of the files within one.

A name comes from a stranger's archive or manifest before anything about it is known to be true, so a name is refused
rather than mended: what looks harmless here may leave the folder on another system (``a\..\b``, ``C:x``, ``NUL``).
"""

from __future__ import annotations

import re
import unicodedata

from LandmarkDetectorLib.core.errors import BundleError

BUNDLE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
"""What a bundle may be called; such a name is a valid folder name, URL part and command line word everywhere."""

_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_LONGEST_PART = 255
_LONGEST_NAME = 1000


def shown(name: str) -> str:
    """A stranger's word as a message may show it: quoted, escaped, and cut when it is long."""
    return repr(name if len(name) <= 80 else name[:77] + "...")


def check_bundle_name(name: str) -> str:
    """The name itself, when a bundle may be called so.

    Raises:
        BundleError: anything but up to 64 of ``a-z 0-9 -``, or a device name of Windows.
    """
    if not BUNDLE_NAME.fullmatch(name) or name in _RESERVED:
        raise BundleError(
            f"{shown(name)} cannot be a bundle's name; use up to 64 lower-case letters, digits and hyphens, "
            "beginning with a letter or digit."
        )
    return name


def safe_relative(name: str, where: str) -> str:
    """A path within a bundle, ``/`` between its parts and in Unicode form C, when it is safe to write.

    Args:
        name: the path as an archive or a manifest spells it.
        where: what names it, for the message.

    Raises:
        BundleError: absolute, ``..``, drive letters, backslashes, control characters, device names, or too long.
    """
    problem = _problem(name)
    if problem:
        raise BundleError(f"{where}: the file name {shown(name)} {problem}; the bundle is refused.")
    return unicodedata.normalize("NFC", name)


def collision_key(name: str) -> str:
    """What two names share when some file system takes them for one (case, Unicode composition)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _problem(name: str) -> str | None:
    if not name or len(name) > _LONGEST_NAME:
        return "is empty or too long"
    if "\\" in name:
        return "holds a backslash"
    if name.startswith("/"):
        return "is absolute"
    if ":" in name:
        return "holds a colon, as a drive or a stream"
    # Surrogates stand for bytes that are not UTF-8; they cannot be written into a manifest.
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name) or any(c in '<>"|?*' for c in name):
        return "holds a character that not every system can store"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return "leaves its folder or has an empty part"
        if part.endswith((".", " ")) or part.split(".")[0].casefold() in _RESERVED:
            return "is not a file name on Windows"
        if len(part.encode("utf-8")) > _LONGEST_PART:
            return "has a part that is too long"
    return None
