"""Unpacking a bundle that somebody sent: zip or tar.gz, member by member.

``extractall`` trusts an archive to say where its files go and how large they are. Here every name is checked before
anything is opened, links and devices are refused, and the bytes are counted as they come, whatever was declared.
"""

from __future__ import annotations

import gzip
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from LandmarkDetectorLib.bundles.manifest import MANIFEST, MAX_FILES, MAX_TOTAL_BYTES, most_bytes
from LandmarkDetectorLib.bundles.names import collision_key, safe_relative, shown
from LandmarkDetectorLib.bundles.staging import write_file
from LandmarkDetectorLib.core.errors import BundleError

MAX_ARCHIVE_BYTES = MAX_TOTAL_BYTES + 2**20
_BLOCK = 2**20
_MAX_DIRECTORY_BYTES = 2**20
# ValueError: names that are not the UTF-8 they claim to be, and numbers that are none.
_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, struct.error),
    *(EOFError, NotImplementedError, ValueError),
)


def unpack(archive: BinaryIO, folder: Path, where: str) -> Path:
    """Unpack an archive into an empty folder and return the folder in it that holds the manifest.

    Args:
        archive: the opened file, at its beginning.
        folder: an empty folder.
        where: the archive's name, for messages.

    Raises:
        BundleError: it is neither zip nor tar.gz, is damaged or encrypted, names a file outside, a link, a device or
            a file twice, holds too much, or holds no bundle. What was unpacked until then is left to the caller.
    """
    magic = archive.read(4)
    archive.seek(0)
    if magic == b"PK\x03\x04":
        members = _zip_members(archive, where)
    elif magic[:2] == b"\x1f\x8b":
        members = _tar_members(archive, where)
    else:
        raise BundleError(f"{where} is neither a zip nor a tar.gz archive; a bundle is sent as one of them.")
    seen: set[str] = set()
    total = 0
    try:
        for name, declared, stream in members:
            relative = safe_relative(name, where)
            key = collision_key(relative)
            # A file where another needs a folder (a and a/b) is the same trick in another shape.
            parents = {"/".join(key.split("/")[:i]) for i in range(1, key.count("/") + 1)}
            if key in seen or parents & seen or any(other.startswith(key + "/") for other in seen):
                raise BundleError(f"{where}: {shown(name)} is in the archive twice; the bundle is refused.")
            seen.add(key)
            if len(seen) > MAX_FILES + 1:
                raise BundleError(f"{where} holds more than the {MAX_FILES} files a bundle may have.")
            most = most_bytes(relative)
            if declared > most:
                raise BundleError(f"{where}: {shown(name)} is larger than the {most >> 20} MB a file may have.")
            data = _read(stream, declared, f"{where}: {shown(name)}")
            total += len(data)
            if total > MAX_TOTAL_BYTES:
                raise BundleError(f"{where} holds more than the {MAX_TOTAL_BYTES >> 20} MB a bundle may have.")
            write_file(folder / relative, data)
    except _DAMAGED as exc:
        raise BundleError(f"{where} is damaged or incomplete ({type(exc).__name__}); get it again.") from exc
    return _root(folder, where)


def _read(stream: IO[bytes], declared: int, where: str) -> bytes:
    """All of a member, never more than it declared (and so never more than the limit)."""
    blocks, size = [], 0
    while block := stream.read(min(_BLOCK, declared + 1 - size)):
        size += len(block)
        if size > declared:
            raise BundleError(f"{where} is larger than it says; the bundle is refused.")
        blocks.append(block)
    if size != declared:
        raise BundleError(f"{where} is shorter than it says; get the archive again.")
    return b"".join(blocks)


def _root(folder: Path, where: str) -> Path:
    """The folder with the manifest: the archive's own root, or the one folder in it, as MONAI packs bundles."""
    if (folder / MANIFEST).is_file():
        return folder
    children = list(folder.iterdir())
    if len(children) == 1 and (children[0] / MANIFEST).is_file():
        return children[0]
    raise BundleError(f"{where} holds no bundle: there is no {MANIFEST} at its top or in its one folder.")


def _zip_members(archive: BinaryIO, where: str) -> Iterator[tuple[str, int, IO[bytes]]]:
    _check_zip_directory(archive, where)
    with zipfile.ZipFile(archive) as unpacked:
        for info in unpacked.infolist():
            mode = info.external_attr >> 16
            if info.flag_bits & 1:
                raise BundleError(f"{where} is encrypted; get it without a password.")
            # orig_filename: zipfile turns the backslashes of Windows, and cuts at a zero, before anybody has looked.
            name = info.orig_filename
            if info.is_dir():
                safe_relative(name.rstrip("/"), where)
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise BundleError(f"{where}: {shown(name)} is a link or a device; the bundle is refused.")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BundleError(f"{where}: {shown(name)} is packed in an unusual way; pack it as a plain zip.")
            with unpacked.open(info) as stream:
                yield name, info.file_size, stream


def _check_zip_directory(archive: BinaryIO, where: str) -> None:
    """Refuse a zip whose list of files alone would fill the memory: ``zipfile`` reads it whole before we may count."""
    end = archive.seek(0, 2)
    start = max(0, end - 22 - 2**16)
    archive.seek(start)
    tail = archive.read()
    archive.seek(0)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise BundleError(f"{where} is damaged or incomplete (its end is missing); get it again.")
    if tail[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
        raise BundleError(f"{where} is a zip64 archive; a bundle is far too small to need one, so it is refused.")
    if int.from_bytes(tail[at + 12 : at + 16], "little") > _MAX_DIRECTORY_BYTES:
        raise BundleError(f"{where} holds more than the {MAX_FILES} files a bundle may have.")


def _tar_members(archive: BinaryIO, where: str) -> Iterator[tuple[str, int, IO[bytes]]]:
    count = 0
    with gzip.GzipFile(fileobj=archive) as plain:
        limited = cast(IO[bytes], _Limited(plain, where))
        with tarfile.open(fileobj=limited, mode="r|") as unpacked:
            for member in unpacked:
                count += 1
                if count > 4 * MAX_FILES:
                    raise BundleError(f"{where} holds more than the {MAX_FILES} files a bundle may have.")
                # "tar -C folder ." writes every name with "./" before it.
                name = member.name.removeprefix("./")
                if member.isdir():
                    if name.rstrip("/") != ".":
                        safe_relative(name.rstrip("/"), where)
                    continue
                stream = unpacked.extractfile(member) if member.isreg() and not member.issparse() else None
                if stream is None:
                    raise BundleError(f"{where}: {shown(name)} is a link or a device; the bundle is refused.")
                yield name, member.size, stream


class _Limited:
    """A stream that ends in an error when it has given all that a bundle may hold, headers and padding included."""

    def __init__(self, stream: gzip.GzipFile, where: str) -> None:
        self._stream, self._where = stream, where
        self._left = MAX_TOTAL_BYTES + 8 * 2**20

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise BundleError(f"{self._where} unpacks to more than a bundle may hold; it is refused.")
        return data
