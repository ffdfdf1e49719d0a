"""The manifest of a bundle: size and SHA-256 of every file, and nothing beside them.

``manifest.json`` says which files a bundle has. A file that is missing, altered or not listed makes the whole bundle
unacceptable. A manifest protects against damage and against quiet changes; it does not say who wrote the bundle, so
everything in a bundle is still treated as a stranger's.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from LandmarkDetectorLib.bundles.names import collision_key, safe_relative, shown
from LandmarkDetectorLib.bundles.strict_json import MAX_JSON_BYTES, parse_object, to_bytes
from LandmarkDetectorLib.core.errors import BundleError

MANIFEST = "manifest.json"
FORMAT = "landmark-detector-bundle"
FORMAT_VERSION = 1
MAX_FILES = 500
MAX_FILE_BYTES = 64 * 2**20
MAX_WEIGHTS_BYTES = 512 * 2**20
"""Of a file below ``models/``: a FARNet as published has 61 million weights, and a bundle may hold three networks."""
MAX_TOTAL_BYTES = 2**30

_SHA256 = re.compile(r"[0-9a-f]{64}")
_REPARSE_POINT = 0x400  # stat.FILE_ATTRIBUTE_REPARSE_POINT: a junction or mount point of Windows


@dataclass(frozen=True)
class Entry:
    """One file: its SHA-256 as 64 hexadecimal digits, and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, eq=False)
class Manifest:
    """The files of a bundle by their path within it, ``/`` between the parts."""

    files: Mapping[str, Entry]
    fingerprint: str = field(init=False)
    """SHA-256 of the manifest's canonical content; two bundles with the same one hold the same bytes."""

    def __post_init__(self) -> None:
        files = {name: self.files[name] for name in sorted(self.files)}
        object.__setattr__(self, "files", MappingProxyType(files))
        canonical = json.dumps(self.content(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        object.__setattr__(self, "fingerprint", hashlib.sha256(canonical.encode("utf-8")).hexdigest())

    def content(self) -> dict:
        """What ``manifest.json`` holds."""
        files = {name: {"sha256": entry.sha256, "size": entry.size} for name, entry in self.files.items()}
        return {"format": FORMAT, "format_version": FORMAT_VERSION, "files": files}


def build_manifest(folder: Path) -> Manifest:
    """The manifest of what lies in ``folder`` now.

    Raises:
        BundleError: links, devices, unsafe names, or more than a bundle may hold.
    """
    entries = {}
    for relative, _ in _walk(folder, hard_links=True):
        if relative != MANIFEST:
            data_hash, size = _hash(folder / relative, most_bytes(relative))
            entries[safe_relative(relative, folder.name)] = Entry(data_hash, size)
    manifest = Manifest(entries)
    _check_limits(manifest, folder.name)
    return manifest


def manifest_bytes(manifest: Manifest) -> bytes:
    """The bytes of ``manifest.json``."""
    return to_bytes(manifest.content(), MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """The manifest that lies in ``folder``, its own content checked, the files not yet looked at.

    Raises:
        BundleError: it is missing, cannot be read, or lists what no bundle may hold.
    """
    where = f"{folder.name}/{MANIFEST}"
    path = folder / MANIFEST
    try:
        status = path.lstat()
    except OSError as exc:
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST}.") from exc
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(f"{where} is a link or not a file; the bundle is refused.")
    with open(path, "rb") as file:
        content = parse_object(file.read(MAX_JSON_BYTES + 1), where)
    if content.get("format") != FORMAT or set(content) != {"format", "format_version", "files"}:
        raise BundleError(f"{where} is not the manifest of a landmark detector's bundle.")
    if content["format_version"] != FORMAT_VERSION:
        raise BundleError(
            f"{where} has format {shown(str(content['format_version']))}, this version reads {FORMAT_VERSION}; "
            "update the software or get the bundle in that format."
        )
    return _checked(content["files"], where)


def verify_manifest(folder: Path, *, hard_links: bool = False) -> Manifest:
    """The manifest of ``folder``, when exactly the files that it lists are there, unaltered.

    Args:
        folder: the bundle's folder.
        hard_links: whether files with a second name are acceptable. Package installers (uv, conda) link what they
            install, so it is true for the bundles that come with the library, and only for them.

    Raises:
        BundleError: a file is missing, extra, altered, a link, a device, or too large.
    """
    manifest = read_manifest(folder)
    found = {}
    for relative, status in _walk(folder, hard_links=hard_links):
        name = safe_relative(relative, folder.name)
        if name == MANIFEST:
            continue
        if name not in manifest.files:
            raise BundleError(f"{folder.name}: {shown(name)} is not in the manifest; the bundle is refused.")
        found[name] = (folder / relative, status.st_size)
    for name, entry in manifest.files.items():
        if name not in found:
            raise BundleError(f"{folder.name}: {shown(name)} is missing; get the bundle again.")
        path, size = found[name]
        if size != entry.size:
            raise BundleError(
                f"{folder.name}: {shown(name)} has {size} bytes where the manifest says {entry.size}; "
                "get the bundle again."
            )
        if _hash(path, most_bytes(name)) != (entry.sha256, entry.size):
            raise BundleError(f"{folder.name}: {shown(name)} does not match its SHA-256; get the bundle again.")
    return manifest


def read_listed(folder: Path, manifest: Manifest, relative: str) -> bytes:
    """The bytes of a listed file, checked as they are read, so that what is used is what was verified.

    Raises:
        BundleError: the file is not listed, or has changed since.
    """
    entry = manifest.files.get(relative)
    if entry is None:
        raise BundleError(f"{folder.name}: the bundle has no {relative}; get it again.")
    with open(folder / relative, "rb") as file:
        data = file.read(entry.size + 1)
    if len(data) != entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise BundleError(f"{folder.name}: {relative} has changed since the bundle was verified; get it again.")
    return data


def _checked(files: object, where: str) -> Manifest:
    if not isinstance(files, dict) or not files:
        raise BundleError(f"{where} lists no files; get the bundle again.")
    entries: dict[str, Entry] = {}
    seen: set[str] = set()
    for name, entry in files.items():
        if safe_relative(name, where) != name or name == MANIFEST or collision_key(name) in seen:
            raise BundleError(f"{where}: {shown(name)} is listed twice or cannot be listed; the bundle is refused.")
        seen.add(collision_key(name))
        if not isinstance(entry, dict) or set(entry) != {"sha256", "size"}:
            raise BundleError(f"{where}: {shown(name)} has no SHA-256 or no size; the bundle is refused.")
        digest, size = entry["sha256"], entry["size"]
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise BundleError(f"{where}: the SHA-256 of {shown(name)} is not 64 hexadecimal digits.")
        if type(size) is not int or size < 0:
            raise BundleError(f"{where}: the size of {shown(name)} is not a number of bytes.")
        entries[name] = Entry(digest, size)
    manifest = Manifest(entries)
    _check_limits(manifest, where)
    return manifest


def most_bytes(relative: str) -> int:
    """How large a file of a bundle may be, by its path within the bundle or within an archive that holds its folder."""
    return MAX_WEIGHTS_BYTES if "models" in relative.split("/")[:-1][:2] else MAX_FILE_BYTES


def _check_limits(manifest: Manifest, where: str) -> None:
    if len(manifest.files) > MAX_FILES:
        raise BundleError(f"{where}: {len(manifest.files)} files are more than the {MAX_FILES} a bundle may hold.")
    for name, entry in manifest.files.items():
        if entry.size > most_bytes(name):
            raise BundleError(f"{where}: {shown(name)} is larger than the {most_bytes(name) >> 20} MB a file may have.")
    if sum(entry.size for entry in manifest.files.values()) > MAX_TOTAL_BYTES:
        raise BundleError(f"{where}: the files are larger than the {MAX_TOTAL_BYTES >> 20} MB a bundle may have.")


def _walk(folder: Path, *, hard_links: bool) -> Iterator[tuple[str, os.stat_result]]:
    """Every regular file below ``folder`` with its status; nothing is opened or followed on the way."""
    pending, count = [""], 0
    while pending:
        prefix = pending.pop()
        with os.scandir(folder / prefix) as entries:
            children = sorted(entries, key=lambda entry: entry.name)
        if not children and prefix:
            raise BundleError(f"{folder.name}: the folder {shown(prefix)} is empty; the bundle is refused.")
        for child in children:
            relative = prefix + child.name
            # Not DirEntry.stat: on Windows it leaves st_nlink at zero.
            status = os.lstat(child.path)
            count += 1
            if count > 2 * MAX_FILES:
                raise BundleError(f"{folder.name}: there are more files than the {MAX_FILES} a bundle may hold.")
            linked = stat.S_ISLNK(status.st_mode) or getattr(status, "st_file_attributes", 0) & _REPARSE_POINT
            if linked:
                raise BundleError(f"{folder.name}: {shown(relative)} is a link; the bundle is refused.")
            if stat.S_ISDIR(status.st_mode):
                pending.append(relative + "/")
            elif not stat.S_ISREG(status.st_mode):
                raise BundleError(f"{folder.name}: {shown(relative)} is not a regular file; the bundle is refused.")
            elif status.st_nlink > 1 and not hard_links:
                raise BundleError(f"{folder.name}: {shown(relative)} is a hard link; copy the bundle and use the copy.")
            else:
                yield relative, status


def _hash(path: Path, most: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
            size += len(block)
            if size > most:
                raise BundleError(f"{path.name} is larger than the {most >> 20} MB a file may have.")
    return digest.hexdigest(), size
