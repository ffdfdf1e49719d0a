"""Versions of a bundle: which one is in use, which were before it, who put it there and why; and the way back.

The bundle in use lies in the user's folder under its name, as every other. All that ever was in use lies beside, in
``.versions/NAME/VERSION-FINGERPRINT``, whole and verified, with a history that is only ever added to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.bundles.bundle import Bundle, read_bundle
from LandmarkDetectorLib.bundles.manifest import MANIFEST, read_listed, verify_manifest
from LandmarkDetectorLib.bundles.names import check_bundle_name
from LandmarkDetectorLib.bundles.staging import disk_errors, put_in_place, staging_folder, write_file
from LandmarkDetectorLib.bundles.store import SHIPPED, import_bundle, user_folder
from LandmarkDetectorLib.core.errors import BundleError, LandmarkFileError
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.io.locks import locked

FOLDER, HISTORY = ".versions", "history.json"
SHORT = 8
"""Digits of a fingerprint by which people tell two bundles of one version apart."""


def promote_bundle(source: Path, about: Mapping[str, Any]) -> Bundle:
    """Put a bundle into use under its name; the one before it is kept.

    Args:
        source: the bundle's folder.
        about: for the history: ``by``, ``because``, ``verdict`` and whatever else a person may want to know, JSON
            values.

    Raises:
        BundleError: it is not sound, its name came with the software, the history is damaged, or the disk refuses; the
            one before stays in use, unless the sentence says that only the history could not be written.
    """
    bundle = read_bundle(source)
    if (SHIPPED / bundle.name).exists():
        raise BundleError(f"A bundle called {bundle.name!r} came with the software; retrain under another name.")
    with _alone(bundle.name):
        before, entries = in_use(bundle.name), history(bundle.name)
        for one in (before, bundle):
            if one is not None:
                _keep(one)
        placed = import_bundle(source, replace=True)
        _note(entries, "promoted", before, placed, about)
    return placed


def return_bundle(name: str, version: str | None = None, about: Mapping[str, Any] | None = None) -> Bundle:
    """Put the version that was in use before, or a named one, back into use; the one in use is kept.

    Where the one in use was removed or is damaged, it is itself the one before: what is kept of it is whole.

    Args:
        name: of the bundle.
        version: such as ``1.1.0``, or the first eight or more digits of a fingerprint; by default the one before.
        about: for the history.

    Raises:
        BundleError: there is none, several are meant, the history is damaged, or the disk refuses.
    """
    with _alone(check_bundle_name(name)):
        entries = history(name)
        try:
            current = in_use(name)
        except BundleError:
            current = None
        if version is not None:
            target = _named(name, version)
        elif current is not None:
            target = _before(entries, current)
        elif entries:
            target = _named(name, entries[-1]["to"]["fingerprint"])
        else:
            raise BundleError(f"No bundle {name!r} of yours is in use, so there is no way back from it.")
        if current is not None:
            _keep(current)  # it may have been imported over the others, and never promoted
        back = import_bundle(target, replace=True)
        _note(entries, "returned", current, back, about or {})
    return back


def history(name: str) -> list[dict[str, Any]]:
    """What was put into use under a name, the first first; empty where nothing was.

    Raises:
        BundleError: the history is damaged.
    """
    file = user_folder() / FOLDER / check_bundle_name(name) / HISTORY
    if not file.is_file():
        return []
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(entries, list) or not all(_is_entry(entry) for entry in entries):
            raise ValueError("no list of entries")
    except (OSError, ValueError) as error:
        raise BundleError(f"The history of {name} cannot be read ({error}); its versions are still there.") from error
    return entries


def kept_versions(name: str) -> list[Bundle]:
    """All versions of a bundle that are kept, the oldest first; damaged ones are left out."""
    parent, found = user_folder() / FOLDER / check_bundle_name(name), []
    for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
        if folder.is_dir() and not folder.name.startswith("."):
            try:
                found.append(read_bundle(folder))
            except BundleError:
                continue  # history says that it was there; verify says what is wrong with it
    return sorted(found, key=lambda bundle: tuple(int(part) for part in bundle.version.split(".")))


def in_use(name: str) -> Bundle | None:
    """The user's bundle of this name, or ``None``."""
    folder = user_folder() / name
    return read_bundle(folder) if (folder / MANIFEST).is_file() else None


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """No other program changes meanwhile what is in use under this name, or its history."""
    folder = user_folder() / FOLDER
    with ExitStack() as stack:
        with disk_errors(f"Keeping versions of {name}"):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / f".{name}.lock", f"The bundle {name}", refusal=BundleError))
        yield


def _is_entry(entry: Any) -> bool:
    """Whether this is an entry of a history, as :func:`_note` writes it."""
    if not isinstance(entry, dict):
        return False
    words = [entry.get("at"), entry.get("action"), "" if "from" in entry else None]
    for named in (entry.get("to"), entry.get("from") or entry.get("to")):
        words += [named.get("version"), named.get("fingerprint")] if isinstance(named, dict) else [None]
    return all(isinstance(word, str) for word in words)


def _is_whole(folder: Path) -> bool:
    """Whether a bundle is there, and undamaged."""
    try:
        return folder.is_dir() and bool(verify_manifest(folder))
    except BundleError:
        return False


def _keep(bundle: Bundle) -> None:
    """Keep a copy among the versions, byte for byte; a damaged one that is there is replaced."""
    parent = user_folder() / FOLDER / bundle.name
    target = parent / f"{bundle.version}-{bundle.fingerprint[:12]}"
    with disk_errors(f"Keeping the bundle {bundle.name} {bundle.version}"):
        if _is_whole(target):
            return
        parent.mkdir(parents=True, exist_ok=True)
        manifest = verify_manifest(bundle.folder)
        with staging_folder(parent) as stage:
            for relative in manifest.files:
                write_file(stage / relative, read_listed(bundle.folder, manifest, relative))
            write_file(stage / MANIFEST, (bundle.folder / MANIFEST).read_bytes())
            put_in_place(stage, target, replace=True)


def _before(entries: Sequence[Mapping[str, Any]], current: Bundle) -> Path:
    """The folder of what was in use before this one, by a history."""
    name, this = current.name, current.fingerprint
    if entries and all(entry["to"]["fingerprint"] != this for entry in entries):
        return _named(name, entries[-1]["to"]["fingerprint"])  # imported over what was promoted or returned to last
    before = [entry["from"]["fingerprint"] for entry in entries if entry["to"]["fingerprint"] == this and entry["from"]]
    others = [fingerprint for fingerprint in before if fingerprint != this]  # one may be promoted twice
    if not others:
        parent = current.card.lineage[0].parent if current.card.lineage else ""
        more = f"; {parent!r}, from which it comes, is still there" if parent and parent != name else ""
        raise BundleError(f"Nothing was in use under the name {name!r} before{more}.")
    return _named(name, others[-1])


def _named(name: str, version: str) -> Path:
    """The folder of the one kept version that is meant by a version or by the first digits of a fingerprint."""
    kept, digits = kept_versions(name), version.lower()
    found = {
        bundle.fingerprint: bundle.folder
        for bundle in kept
        if bundle.version == version or (len(digits) >= SHORT and bundle.fingerprint.startswith(digits))
    }
    if not found:
        known = ", ".join(f"{bundle.version} ({bundle.fingerprint[:SHORT]})" for bundle in kept) or "none"
        raise BundleError(f"No version {version!r} of {name} is kept (known: {known}).")
    if len(found) > 1:
        which = " or ".join(fingerprint[:SHORT] for fingerprint in found)
        raise BundleError(f"{len(found)} kept versions of {name} are called {version!r}; say which by {which}.")
    return next(iter(found.values()))


def _note(
    entries: Sequence[Mapping[str, Any]], action: str, before: Bundle | None, now: Bundle, about: Mapping[str, Any]
) -> None:
    """Write the history with one entry more."""
    entry = {
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "action": action,
        "from": None if before is None else {"version": before.version, "fingerprint": before.fingerprint},
        "to": {"version": now.version, "fingerprint": now.fingerprint},
        **about,
    }
    try:
        with atomic_write(user_folder() / FOLDER / now.name / HISTORY, "w", encoding="utf-8") as stream:
            json.dump([*entries, entry], stream, indent=1, allow_nan=False)
    except LandmarkFileError as error:
        raise BundleError(
            f"{now.name} {now.version} is in use now, but its history was not written: {error}"
        ) from error
