"""Archives from strangers: refused with the reason, nothing outside touched, nothing left behind."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import stat
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from LandmarkDetectorLib.bundles import archive, import_bundle, load_bundle
from LandmarkDetectorLib.core import BundleError

FORMATS = ("zip", "tar.gz")


def _members(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _pack(target: Path, members: dict[str, bytes], kind: str) -> Path:
    path = target.with_name(f"{target.name}.{kind}")
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, data in members.items():
                packed.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz") as packed:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                packed.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def refuses(tmp_path: Path, store: Path, tree):
    """Import something that must be refused: with the reason, with nothing changed anywhere."""

    def check(source: Path, reason: str, **how) -> None:
        before = tree(tmp_path)
        with pytest.raises(BundleError, match=reason) as refused:
            import_bundle(source, **how)
        message = str(refused.value)
        assert message.endswith(".") and "\n" not in message and "Traceback" not in message
        assert tree(tmp_path) == before
        assert not store.exists()

    return check


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("prefix", ["", "toy-head/", "download-2024/"])
def test_a_sound_archive_is_imported(folder: Path, tmp_path: Path, store: Path, tree, kind: str, prefix: str):
    members = {prefix + name: data for name, data in _members(folder).items()}
    bundle = import_bundle(_pack(tmp_path / "sent", members, kind))
    assert bundle.folder == store / "toy-head"
    assert bundle.fingerprint == load_bundle(folder).fingerprint == load_bundle("toy-head").fingerprint
    assert tree(store / "toy-head") == tree(folder)
    assert [path.name for path in store.iterdir()] == ["toy-head"]


def test_an_archive_as_tar_and_zip_programs_write_it_is_imported(folder: Path, tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as packed:
        packed.add(folder, arcname=".")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for path in sorted(folder.rglob("*")):  # With entries for the folders.
            packed.write(path, path.relative_to(folder.parent))
    assert import_bundle(tmp_path / "a.tar.gz").fingerprint == import_bundle(tmp_path / "a.zip").fingerprint


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "name",
    [
        *(
            "../outside",
            "toy-head/../../outside",
            "{tmp_path}/outside",
            "C:/outside",
            "C:outside",
            "..\\outside",
        ),
        *("a\\b", "a//b", "./../outside", "nul", "con.txt", "a:stream", "a/" * 600 + "b"),
    ],
)
def test_a_name_that_leaves_the_folder_is_refused(folder: Path, tmp_path: Path, refuses, kind: str, name: str):
    name = name.format(tmp_path=tmp_path.as_posix())
    for members in ({**_members(folder), name: b"x"}, {name: b"x", **_members(folder)}):
        refuses(_pack(tmp_path / "sent", members, kind), "the file name")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_folder_entry_that_leaves_the_folder_is_refused(folder: Path, tmp_path: Path, refuses, kind: str):
    path = tmp_path / f"sent.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("../outside/", b"")
    else:
        with tarfile.open(path, "w:gz") as packed:
            info = tarfile.TarInfo("../outside")
            info.type = tarfile.DIRTYPE
            packed.addfile(info)
    refuses(path, "leaves its folder")


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "LICENSE"),
        (tarfile.LNKTYPE, "LICENSE"),
        (tarfile.LNKTYPE, "/etc/passwd"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(folder: Path, tmp_path: Path, refuses, kind: bytes, target: str):
    path = _pack(tmp_path / "sent", {}, "tar.gz")
    with tarfile.open(path, "w:gz") as packed:
        packed.add(folder / "LICENSE", arcname="LICENSE")
        info = tarfile.TarInfo("docs/linked")
        info.type, info.linkname = kind, target
        packed.addfile(info)
        packed.add(folder / "manifest.json", arcname="docs/linked/x")
    refuses(path, "is a link or a device")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_a_zip_are_refused(folder: Path, tmp_path: Path, refuses, mode: int):
    path = _pack(tmp_path / "sent", _members(folder), "zip")
    with zipfile.ZipFile(path, "a") as packed:
        info = zipfile.ZipInfo("docs/linked")
        info.create_system, info.external_attr = 3, (mode | 0o777) << 16
        packed.writestr(info, "/etc/passwd")
    refuses(path, "is a link or a device")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("names", [("a", "a"), ("a", "A"), ("\u00e9", "e\u0301"), ("a", "a/b"), ("a/b", "a")])
def test_a_name_that_stands_there_twice_is_refused(tmp_path: Path, refuses, kind: str, names: tuple):
    path = tmp_path / f"sent.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as packed, pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.warn", lambda *a, **k: None)
            for name in names:
                packed.writestr(name, b"x")
    else:
        with tarfile.open(path, "w:gz") as packed:
            for name in names:
                packed.addfile(tarfile.TarInfo(name))
    refuses(path, "twice")


@pytest.mark.parametrize("kind", FORMATS)
def test_too_many_files_are_refused(tmp_path: Path, refuses, kind: str):
    refuses(_pack(tmp_path / "sent", {f"f{i}": b"" for i in range(600)}, kind), "more than the 500 files")


def test_a_zip_whose_list_alone_would_fill_the_memory_is_refused_unread(tmp_path: Path, refuses, monkeypatch):
    path = _pack(tmp_path / "sent", {f"{i}": b"" for i in range(30_000)}, "zip")
    monkeypatch.setattr(zipfile, "ZipFile", None)  # It is not even asked.
    refuses(path, "more than the 500 files")


def test_endless_folder_entries_in_a_tar_are_refused(tmp_path: Path, refuses):
    with tarfile.open(tmp_path / "sent.tar.gz", "w:gz") as packed:
        for i in range(3000):
            info = tarfile.TarInfo(f"d{i}")
            info.type = tarfile.DIRTYPE
            packed.addfile(info)
    refuses(tmp_path / "sent.tar.gz", "more than the 500 files")


@pytest.fixture
def zeros():
    """A gigabyte of zeros that takes no memory."""

    class Zeros(io.RawIOBase):
        left = 2**30

        def readable(self):
            return True

        def readinto(self, buffer):
            size = min(len(buffer), self.left)
            buffer[:size] = bytes(size)
            self.left -= size
            return size

    return io.BufferedReader(Zeros(), 2**20)


@pytest.fixture
def peak():
    """Largest memory, in MB, that Python has taken since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()


def test_a_bomb_that_says_how_large_it_is_is_refused_unopened(tmp_path: Path, refuses):
    data = bytes(65 * 2**20)
    for kind in FORMATS:
        refuses(_pack(tmp_path / "sent", {"bomb": data}, kind), "larger than the 64 MB")


def test_many_files_that_are_large_together_are_refused(tmp_path: Path, refuses, monkeypatch):
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 2**22)
    data = bytes(2**20)
    for kind in FORMATS:
        refuses(_pack(tmp_path / "sent", {f"{i}": data for i in range(5)}, kind), "more than")


def test_a_zip_bomb_that_lies_about_its_size_is_stopped(tmp_path: Path, refuses, peak):
    path = _pack(tmp_path / "sent", {"bomb": bytes(40 * 2**20)}, "zip")
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.find(signature)
        data[at + offset : at + offset + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(data)
    tracemalloc.reset_peak()
    refuses(path, "damaged|larger than it says")
    assert peak() < 8


def test_a_tar_bomb_is_stopped_while_it_unpacks(tmp_path: Path, refuses, monkeypatch, zeros, peak):
    """A header that asks for a gigabyte before any member can be counted."""
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 2**24)
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2**30
    with gzip.open(tmp_path / "sent.tar.gz", "wb", compresslevel=1) as packed:
        packed.write(info.tobuf())
        while block := zeros.read(2**20):
            packed.write(block)
    tracemalloc.reset_peak()
    refuses(tmp_path / "sent.tar.gz", "unpacks to more")
    assert peak() < 100


def test_a_sparse_tar_member_is_refused(tmp_path: Path, refuses):
    info = tarfile.TarInfo("sparse")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[483:495] = b"00000000000\x00"  # The real size, GNU's old sparse header.
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    with gzip.open(tmp_path / "sent.tar.gz", "wb") as packed:
        packed.write(bytes(block) + bytes(1024))
    refuses(tmp_path / "sent.tar.gz", "is a link or a device")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_archive_is_refused_wherever_it_ends(folder: Path, tmp_path: Path, refuses, kind: str):
    data = _pack(tmp_path / "sent", _members(folder), kind).read_bytes()
    path = tmp_path / f"cut.{kind}"
    for length in [*range(0, len(data) - 30, 997), len(data) // 2]:
        path.write_bytes(data[:length])
        refuses(path, "cut")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_archive_is_refused_or_gives_the_same_bundle(folder: Path, tmp_path: Path, store: Path, kind: str):
    data = _pack(tmp_path / "sent", _members(folder), kind).read_bytes()
    fingerprint = load_bundle(folder).fingerprint
    chance = random.Random(5)
    path = tmp_path / f"hurt.{kind}"
    refused = 0
    for _ in range(60):
        hurt = bytearray(data)
        for _ in range(chance.choice((1, 1, 4, 40))):
            hurt[chance.randrange(len(hurt))] = chance.randrange(256)
        path.write_bytes(hurt)
        try:
            assert import_bundle(path).fingerprint == fingerprint
        except BundleError:
            refused += 1
        assert not store.exists() or [entry.name for entry in store.iterdir()] == ["toy-head"]
    assert refused > 30


def test_an_encrypted_zip_is_refused(folder: Path, tmp_path: Path, refuses):
    path = _pack(tmp_path / "sent", {"LICENSE": b"x"}, "zip")
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    refuses(path, "encrypted")


def test_a_zip_packed_in_an_unusual_way_is_refused(tmp_path: Path, refuses):
    with zipfile.ZipFile(tmp_path / "sent.zip", "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("LICENSE", b"x")
    refuses(tmp_path / "sent.zip", "unusual way")


def test_a_zip64_archive_is_refused(folder: Path, tmp_path: Path, refuses):
    path = _pack(tmp_path / "sent", _members(folder), "zip")
    data = path.read_bytes()
    at = data.rfind(b"PK\x05\x06")
    path.write_bytes(data[:at] + b"PK\x06\x07" + bytes(16) + data[at:])
    refuses(path, "zip64")


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"\x1f\x8b", b"MZ\x90\x00", b"BZh9", b"\x80\x02}.", b"PK\x05\x06" + bytes(18)]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, refuses, data: bytes):
    (tmp_path / "sent.zip").write_bytes(data)
    refuses(tmp_path / "sent.zip", "sent.zip")


@pytest.mark.parametrize("kind", FORMATS)
def test_an_archive_without_a_bundle_is_refused(tmp_path: Path, refuses, kind: str):
    refuses(_pack(tmp_path / "sent", {"readme.txt": b"hello", "a/b": b"x"}, kind), "holds no bundle")


@pytest.mark.parametrize("kind", FORMATS)
def test_an_archive_with_something_beside_the_bundle_is_refused(folder: Path, tmp_path: Path, refuses, kind: str):
    members = _members(folder)
    refuses(_pack(tmp_path / "a", {**members, "run.py": b""}, kind), "not in the manifest")
    beside = {f"toy-head/{name}": data for name, data in members.items()} | {"run.py": b""}
    refuses(_pack(tmp_path / "b", beside, kind), "holds no bundle")


@pytest.mark.parametrize("kind", FORMATS)
def test_an_archive_of_an_altered_bundle_is_refused(folder: Path, tmp_path: Path, refuses, kind: str):
    members = _members(folder)
    members["configs/card.json"] = members["configs/card.json"].replace(b"0.15", b"0.01")
    refuses(_pack(tmp_path / "sent", members, kind), "does not match its SHA-256")


@pytest.mark.parametrize("kind", FORMATS)
def test_the_wrong_sha256_is_refused_and_the_right_one_accepted(folder: Path, tmp_path: Path, refuses, kind: str):
    path = _pack(tmp_path / "sent", _members(folder), kind)
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    refuses(path, "has the SHA-256", sha256="0" * 64)
    for none in ("", "abc", "0" * 63, "g" * 64):
        refuses(path, "is not a SHA-256", sha256=none)
    assert import_bundle(path, sha256=right.upper()).name == "toy-head"


def test_an_archive_that_is_too_large_is_refused_unread(tmp_path: Path, refuses):
    with open(tmp_path / "sent.zip", "wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(2**33)
    # Compared by name only: reading eight gigabytes of nothing would be no quick test.
    with pytest.raises(BundleError, match="larger than the 1025 MB"):
        import_bundle(tmp_path / "sent.zip")
    os.unlink(tmp_path / "sent.zip")
