"""Where bundles live: those that come with the library, and those that a person imported.

Imported bundles lie in the user's data folder (``%LOCALAPPDATA%`` on Windows, ``~/Library/Application Support`` on
macOS, ``$XDG_DATA_HOME`` or ``~/.local/share`` elsewhere), or where ``LANDMARK_DETECTOR_BUNDLES`` says. The folder is
made by the first import, never by looking.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import sys
import time
import warnings
from pathlib import Path
from typing import BinaryIO

from LandmarkDetectorLib.bundles.archive import MAX_ARCHIVE_BYTES, unpack
from LandmarkDetectorLib.bundles.bundle import Bundle, read_bundle
from LandmarkDetectorLib.bundles.manifest import MANIFEST, read_listed, verify_manifest
from LandmarkDetectorLib.bundles.names import BUNDLE_NAME, check_bundle_name, shown
from LandmarkDetectorLib.bundles.staging import (
    discard,
    disk_errors,
    put_in_place,
    restore_replaced,
    staging_folder,
    sweep,
    write_file,
)
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.core.errors import BundleError, LandmarkDetectorWarning

SHIPPED = Path(__file__).resolve().parent / "shipped"
VARIABLE = "LANDMARK_DETECTOR_BUNDLES"
# Replacing a bundle takes two renames; whoever looks just between them looks again.
_LOOKS = 4
_PAUSE = 0.005
_READS = 50
_SHA256 = re.compile(r"[0-9a-f]{64}")


def user_folder() -> Path:
    """The folder of the user's bundles; it need not exist."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "LandmarkDetector" / "bundles"


def find_bundle(name: str) -> Path:
    """The folder of the bundle called ``name``, shipped or imported; its content is not looked at.

    Raises:
        BundleError: there is none.
    """
    check_bundle_name(name)
    for _ in range(_LOOKS):
        restore_replaced(user_folder())
        for folder in (SHIPPED / name, user_folder() / name):
            if folder.is_dir():
                return folder
        if not user_folder().is_dir():
            break
        time.sleep(_PAUSE)
    raise _unknown(name)


def load_bundle(name_or_path: str | os.PathLike[str]) -> Bundle:
    """The bundle of that name, or in that folder, everything about it verified. Imports no torch.

    Args:
        name_or_path: the name of a shipped or imported bundle; or a folder, as a path or as a string that cannot be a
            name because it has a separator, a dot or a capital letter in it.

    Raises:
        BundleError: there is none, it is damaged or altered, or it is not one that we are willing to load.
    """
    for read in range(_READS):
        folder = _folder(name_or_path)
        before = _identity(folder)
        try:
            bundle = read_bundle(folder, hard_links=_is_shipped(folder))
            break
        except BundleError:
            # Replaced by another process while, or just before, it was read: then the new one is read.
            replaced = before is None or _identity(folder) != before
            if not replaced or read == _READS - 1:
                raise
    if _in_store(folder) and folder.name != bundle.name:
        raise BundleError(f"{folder} holds a bundle called {bundle.name!r}; name the folder so, or import it again.")
    return bundle


def list_bundles() -> list[Bundle]:
    """Every bundle that can be loaded: the shipped ones, then the user's, each by name.

    A bundle that cannot be loaded is left out with a :class:`LandmarkDetectorWarning` that says why.
    """
    found = []
    restore_replaced(user_folder())
    for folder in _folders():
        try:
            found.append(load_bundle(folder))
        except BundleError as exc:
            warnings.warn(f"A bundle was left out: {exc}", LandmarkDetectorWarning, stacklevel=2)
    return found


def verify_bundle(name_or_path: str | os.PathLike[str]) -> list[str]:
    """Verify a bundle to the last weight and say what was verified, one sentence a check. Imports torch.

    Raises:
        BundleError: the first check that fails.
    """
    bundle = load_bundle(name_or_path)
    weights = bundle.state_dict()
    size = sum(entry.size for entry in bundle.manifest.files.values())
    count = sum(tensor.numel() for tensor in weights.values())
    landmarks = counted(len(bundle.labels), "landmark")
    return [
        f"{len(bundle.manifest.files)} files ({size / 2**20:.1f} MB) match their SHA-256, and there are no others.",
        f"The card is valid: {bundle.name} {bundle.version}, {landmarks}, {bundle.card.dimension}D.",
        "The metadata are valid by MONAI's bundle specification.",
        "The settings are plain values; nothing in the configuration is evaluated or built.",
        f"The weights are a plain state dict: {len(weights)} tensors, {count} numbers, all finite.",
        f"Fingerprint {bundle.fingerprint}.",
    ]


def import_bundle(source: str | os.PathLike[str], *, sha256: str | None = None, replace: bool = False) -> Bundle:
    """Copy a bundle into the user's folder, when everything about it is sound. Imports no torch, runs nothing.

    Importing the same bundle again, byte for byte, changes nothing and is no error.

    Args:
        source: a folder, or a ``.zip`` or ``.tar.gz`` of one.
        sha256: what the archive's SHA-256 must be; for a folder, its fingerprint.
        replace: whether another bundle of the same name may be replaced.

    Raises:
        BundleError: the source is missing, damaged, hostile or too large; it does not have that SHA-256; its name is
            taken; or the disk refuses. Nothing is left behind.
    """
    path = Path(source).absolute()
    expected = None if sha256 is None else check_sha256(sha256)
    with disk_errors(f"Importing {path.name}"):
        if path.is_dir():
            return _install(path, expected, replace=replace)
        if not path.is_file():
            raise BundleError(f"{path} is neither a folder nor an archive that can be read; check the path.")
        with open(path, "rb") as archive:
            return import_archive(archive, path.name, sha256=expected, replace=replace)


def import_archive(archive: BinaryIO, where: str, *, sha256: str | None, replace: bool) -> Bundle:
    """Import from an opened archive; see :func:`import_bundle`.

    Raises:
        BundleError: as there.
        OSError: the disk refuses.
    """
    size = archive.seek(0, 2)
    archive.seek(0)
    if size > MAX_ARCHIVE_BYTES:
        raise BundleError(f"{where} is larger than the {MAX_ARCHIVE_BYTES >> 20} MB a bundle may have.")
    if sha256 is not None:
        digest = hashlib.sha256()
        while block := archive.read(2**20):
            digest.update(block)
        archive.seek(0)
        if digest.hexdigest() != sha256:
            raise BundleError(
                f"{where} has the SHA-256 {digest.hexdigest()}, not {sha256}; get it again from a source you trust."
            )
    sweep(user_folder())
    with staging_folder(user_folder()) as stage:
        return _place(unpack(archive, stage, where), replace=replace)


def remove_bundle(name: str) -> None:
    """Remove one of the user's bundles.

    Raises:
        BundleError: there is none of that name, or it came with the library.
    """
    check_bundle_name(name)
    if (SHIPPED / name).exists():
        raise BundleError(f"The bundle {name!r} came with the software and cannot be removed.")
    folder = user_folder() / name
    restore_replaced(folder.parent)
    if not os.path.lexists(folder):
        raise BundleError(f"There is no bundle {name!r} to remove.")
    with disk_errors(f"Removing the bundle {name}"):
        discard(folder)


def check_sha256(value: str) -> str:
    """A SHA-256 in lower case.

    Raises:
        BundleError: it is not 64 hexadecimal digits.
    """
    lowered = value.strip().lower()
    if not _SHA256.fullmatch(lowered):
        raise BundleError(f"{shown(value)} is not a SHA-256; give its 64 hexadecimal digits.")
    return lowered


def _install(source: Path, fingerprint: str | None, *, replace: bool) -> Bundle:
    manifest = verify_manifest(source)
    if fingerprint is not None and manifest.fingerprint != fingerprint:
        raise BundleError(
            f"{source.name} has the fingerprint {manifest.fingerprint}, not {fingerprint}; get it again from a source "
            "that you trust."
        )
    sweep(user_folder())
    with staging_folder(user_folder()) as stage:
        for relative in manifest.files:
            write_file(stage / relative, read_listed(source, manifest, relative))
        write_file(stage / MANIFEST, (source / MANIFEST).read_bytes())
        return _place(stage, replace=replace)


def _place(stage: Path, *, replace: bool) -> Bundle:
    """Verify a staged bundle and give it its name in the user's folder."""
    bundle = read_bundle(stage)
    name = check_bundle_name(bundle.name)
    if (SHIPPED / name).exists():
        raise BundleError(f"A bundle called {name!r} came with the software; give yours another name.")
    target = user_folder() / name
    restore_replaced(target.parent)
    placed = dataclasses.replace(bundle, folder=target)
    if _holds(target, bundle):
        return placed
    try:
        put_in_place(stage, target, replace=replace)
    except BundleError:
        # Somebody else may have imported the very same bundle between the look and the rename.
        if _holds(target, bundle):
            return placed
        raise
    return placed


def _holds(folder: Path, bundle: Bundle) -> bool:
    """Whether ``folder`` is a sound copy of ``bundle``; a damaged one is not, and needs ``replace``."""
    try:
        return read_bundle(folder).fingerprint == bundle.fingerprint
    except BundleError:
        return False


def _folder(name_or_path: str | os.PathLike[str]) -> Path:
    if isinstance(name_or_path, str) and BUNDLE_NAME.fullmatch(name_or_path):
        return find_bundle(name_or_path)
    folder = Path(name_or_path).expanduser().resolve()
    if folder.is_file():
        raise BundleError(f"{folder} is a file; import an archive first, then load the bundle by its name.")
    if not folder.is_dir():
        if isinstance(name_or_path, str) and Path(name_or_path).name == name_or_path:
            raise _unknown(name_or_path)  # a name that is spelt otherwise: mouse_skull_ct
        raise BundleError(f"There is no bundle in {folder}; check the path.")
    return folder


def _unknown(name: str) -> BundleError:
    known = ", ".join(folder.name for folder in _folders()) or "none"
    return BundleError(f"No bundle is called {name!r} (known: {known}); import it first, or give a folder as ./{name}.")


def _identity(folder: Path) -> tuple[int, int, int] | None:
    """Which folder has this name at the moment, and since when: the number of one just removed is soon given again."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_ctime_ns


def _is_shipped(folder: Path) -> bool:
    return folder.parent == SHIPPED


def _in_store(folder: Path) -> bool:
    return _is_shipped(folder) or folder.parent in (user_folder(), user_folder().resolve())


def _folders() -> list[Path]:
    parents = [parent for parent in (SHIPPED, user_folder()) if parent.is_dir()]
    return [
        folder
        for parent in parents
        for folder in sorted(parent.iterdir())
        if folder.is_dir() and BUNDLE_NAME.fullmatch(folder.name)
    ]
