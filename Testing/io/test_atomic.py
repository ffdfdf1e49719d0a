"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time

import pytest

from LandmarkDetectorLib.core import LandmarkFileError
from LandmarkDetectorLib.io.atomic import all_or_none, atomic_path, atomic_write


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new.txt"
    with atomic_write(path, "w", encoding="utf-8") as stream:
        stream.write("größer")
        stream.flush()
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "größer" and names(tmp_path) == ["new.txt"]


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(1)])
def test_any_exception_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "old.bin"
    path.write_bytes(b"old")
    with pytest.raises(type(error)), atomic_write(path) as stream:
        stream.write(b"half")
        raise error
    assert path.read_bytes() == b"old" and names(tmp_path) == ["old.bin"]


def test_the_neighbour_does_not_bear_the_name_of_the_file(tmp_path):
    with atomic_write(tmp_path / "Mustermann Erika.json") as stream:
        assert "Muster" not in os.path.basename(stream.name) and names(tmp_path) == [os.path.basename(stream.name)]


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path, refused):
    path = tmp_path / "old.bin"
    path.write_bytes(b"old")

    def fill():
        with atomic_write(path) as stream:
            stream.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert os.strerror(errno.ENOSPC) in refused(LandmarkFileError, fill)
    assert path.read_bytes() == b"old" and names(tmp_path) == ["old.bin"]


def test_a_disk_that_is_full_when_the_file_is_settled_leaves_the_old_file(tmp_path, refused, monkeypatch):
    path = tmp_path / "old.bin"
    path.write_bytes(b"old")

    def no_space(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write():
        with atomic_write(path) as stream:
            stream.write(b"new")

    monkeypatch.setattr(os, "fsync", no_space)
    refused(LandmarkFileError, write)
    assert path.read_bytes() == b"old" and names(tmp_path) == ["old.bin"]


def test_a_medium_that_is_only_read_is_one_sentence(tmp_path, refused, monkeypatch):
    def read_only(path, *_arguments, **_named):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fspath(path))

    def write():
        with all_or_none([tmp_path / "a.bin"]), atomic_write(tmp_path / "a.bin") as stream:
            stream.write(b"new")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", read_only)
        patched.setattr(os, "unlink", read_only)  # which refuses before it looks whether the file is there
        assert os.strerror(errno.EROFS) in refused(LandmarkFileError, write)


@pytest.mark.skipif(os.name != "posix", reason="/dev/full is a device of Linux")
def test_a_device_without_space_is_one_sentence(tmp_path, refused):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")

    def fill():
        with atomic_write(tmp_path / "a.bin"), open("/dev/full", "wb") as full:
            full.write(b"x" * 100_000)

    assert "cannot be written" in refused(LandmarkFileError, fill)
    assert names(tmp_path) == []


def test_folders_that_are_missing_or_no_folders_are_one_sentence(tmp_path, refused):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()

    def write(path):
        with atomic_write(path) as stream:
            stream.write(b"x")

    for path in (tmp_path / "no" / "a.txt", tmp_path / "file" / "a.txt", tmp_path / "folder"):
        assert "cannot be written" in refused(LandmarkFileError, write, path)
    for path in ("", "/", str(tmp_path / "a\0b")):
        assert "choose another one" in refused(LandmarkFileError, write, path)
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser writes everywhere")
def test_a_read_only_folder_and_a_protected_file_are_one_sentence(tmp_path, refused):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with atomic_write(path, "w") as stream:
            stream.write("new")

    path.chmod(0o444)
    refused(LandmarkFileError, write)
    path.chmod(0o644)
    tmp_path.chmod(0o555)
    try:
        refused(LandmarkFileError, write)
    finally:
        tmp_path.chmod(0o755)
    assert path.read_text() == "old"


def test_a_protected_file_stays_protected(tmp_path, refused, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)

    def write():
        with atomic_write(path, "w") as stream:
            stream.write("new")

    assert "write-protected" in refused(LandmarkFileError, write)
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_an_error_about_another_file_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.txt"):
        open(tmp_path / "source.txt")  # noqa: SIM115
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="modes and links as on POSIX")
def test_modes_and_links_stay_as_they_are(tmp_path):
    real = tmp_path / "real.txt"
    real.write_text("old")
    real.chmod(0o640)
    (tmp_path / "link.txt").symlink_to(real)
    with atomic_write(tmp_path / "link.txt", "w") as stream:
        stream.write("new")
    assert (tmp_path / "link.txt").is_symlink() and real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640
    old = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "fresh.txt", "w") as stream:
            stream.write("x")
    finally:
        os.umask(old)
    assert (tmp_path / "fresh.txt").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps rights elsewhere")
def test_what_replaces_a_private_file_is_private_while_it_is_written(tmp_path):
    path = tmp_path / "private.txt"
    path.write_text("old")
    path.chmod(0o600)
    with atomic_path(path) as neighbour:
        neighbour.write_text("new")
        assert neighbour.stat().st_mode & 0o077 == 0
    assert path.read_text() == "new" and path.stat().st_mode & 0o777 == 0o600


def test_a_library_that_opens_files_itself_gets_the_right_suffix(tmp_path):
    with atomic_path(tmp_path / "a.nii.gz", ".nii.gz") as path:
        assert path.name.endswith(".nii.gz") and path.parent == tmp_path.resolve()
        path.write_bytes(b"content")
    assert (tmp_path / "a.nii.gz").read_bytes() == b"content" and names(tmp_path) == ["a.nii.gz"]


def test_modes_that_read_or_append_are_a_mistake(tmp_path):
    for mode in ("a", "r+b", "x"):
        with pytest.raises(ValueError), atomic_write(tmp_path / "a", mode):
            pass


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is a thing of POSIX")
def test_a_process_that_is_killed_leaves_the_old_file(tmp_path):
    path = tmp_path / "old.bin"
    path.write_bytes(b"old")
    code = (
        "import sys, time\nfrom LandmarkDetectorLib.io.atomic import atomic_write\n"
        "with atomic_write(sys.argv[1]) as stream:\n"
        "    stream.write(b'half'); stream.flush(); print('ready', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "ready\n"
    finally:
        child.kill()
        child.wait(20)
        child.stdout.close()
    time.sleep(0.05)
    assert path.read_bytes() == b"old"
