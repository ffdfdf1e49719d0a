from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from LandmarkDetectorLib.bundles import (
    find_bundle,
    import_bundle,
    list_bundles,
    load_bundle,
    remove_bundle,
    staging,
    store,
    verify_bundle,
)
from LandmarkDetectorLib.core import BundleError, LandmarkDetectorWarning

posix_only = pytest.mark.skipif(os.name == "nt", reason="needs what only POSIX lets everybody do")


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def other(write, card, tmp_path: Path) -> Path:
    """Another bundle of the same name."""
    write(tmp_path / "other", card=card.model_copy(update={"version": "2.0.0"}))
    return tmp_path / "other"


def test_looking_makes_no_folder(store: Path):
    assert list_bundles() == []
    with pytest.raises(BundleError, match=r"No bundle is called 'toy-head' \(known: none\)"):
        find_bundle("toy-head")
    with pytest.raises(BundleError):
        remove_bundle("toy-head")
    assert not store.exists()


@pytest.mark.parametrize("typed", ["toy_head", "Toy-Head", "toy-head.zip"])
def test_a_name_that_is_spelt_otherwise_is_answered_with_those_that_are_known(folder: Path, typed: str):
    import_bundle(folder)
    with pytest.raises(BundleError, match=rf"No bundle is called '{typed}' \(known: toy-head\)"):
        load_bundle(typed)
    with pytest.raises(BundleError, match="There is no bundle in .*elsewhere"):
        load_bundle(f"./elsewhere/{typed}")


def test_a_bundle_is_imported_found_listed_verified_and_removed(folder: Path, store: Path):
    bundle = import_bundle(folder)
    assert find_bundle("toy-head") == bundle.folder == store / "toy-head"
    assert [found.fingerprint for found in list_bundles()] == [bundle.fingerprint]
    checks = verify_bundle("toy-head")
    assert bundle.fingerprint in checks[-1]
    assert any("3 tensors, 113 numbers" in check for check in checks)
    remove_bundle("toy-head")
    assert list_bundles() == []
    assert _names(store) == []


def test_a_bundle_loads_from_a_folder_by_path(folder: Path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert load_bundle("./toy-head").fingerprint == load_bundle(Path("toy-head")).fingerprint
    with pytest.raises(BundleError, match="give a folder as ./toy-head"):
        load_bundle("toy-head")
    monkeypatch.chdir(folder)
    assert load_bundle(".").name == "toy-head"


@pytest.mark.parametrize("name", ["", "Toy", "../toy", "a" * 65, "-a", "nul", "com1", "a.b", "a/b", "a\\b", "tö"])
def test_what_cannot_be_a_name_is_refused(name: str):
    with pytest.raises(BundleError):
        find_bundle(name)
    with pytest.raises(BundleError):
        remove_bundle(name)


def test_an_archive_is_not_loaded_but_imported(folder: Path, tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as packed:
        packed.add(folder, arcname=".")
    with pytest.raises(BundleError, match="import an archive first"):
        load_bundle(tmp_path / "a.tar.gz")
    with pytest.raises(BundleError, match="neither a folder nor an archive"):
        import_bundle(tmp_path / "missing.zip")


def test_importing_the_same_bundle_again_changes_nothing(folder: Path, store: Path):
    import_bundle(folder)
    before = (store / "toy-head").stat().st_ino
    import_bundle(folder)
    assert (store / "toy-head").stat().st_ino == before
    assert _names(store) == ["toy-head"]


def test_another_bundle_of_the_same_name_needs_to_be_told(folder: Path, other: Path, store: Path):
    import_bundle(folder)
    with pytest.raises(BundleError, match="is there already"):
        import_bundle(other)
    assert load_bundle("toy-head").version == "1.2.3"
    assert import_bundle(other, replace=True).version == "2.0.0"
    assert load_bundle("toy-head").version == "2.0.0"
    assert _names(store) == ["toy-head"]


def test_a_damaged_bundle_is_replaced_only_when_told(folder: Path, store: Path):
    import_bundle(folder)
    (store / "toy-head" / "LICENSE").write_bytes(b"")
    with pytest.raises(BundleError, match="is there already"):
        import_bundle(folder)
    import_bundle(folder, replace=True)
    assert load_bundle("toy-head").name == "toy-head"


def test_a_damaged_bundle_is_left_out_of_the_list_aloud(folder: Path, store: Path):
    import_bundle(folder)
    shutil.copytree(folder, store / "wrong-name")
    (store / "empty").mkdir()
    with pytest.warns(LandmarkDetectorWarning) as said:
        assert [bundle.name for bundle in list_bundles()] == ["toy-head"]
    assert len(said) == 2
    assert any("holds a bundle called 'toy-head'" in str(warning.message) for warning in said)


def test_a_folder_is_imported_by_its_fingerprint(folder: Path, store: Path):
    with pytest.raises(BundleError, match="has the fingerprint"):
        import_bundle(folder, sha256="0" * 64)
    assert not store.exists()
    assert import_bundle(folder, sha256=load_bundle(folder).fingerprint).name == "toy-head"


def test_a_shipped_bundle_is_found_first_and_neither_removed_nor_shadowed(folder: Path, monkeypatch, other: Path):
    monkeypatch.setattr(store, "SHIPPED", folder.parent.resolve())
    assert load_bundle("toy-head").folder == folder.resolve()
    assert [bundle.version for bundle in list_bundles()] == ["1.2.3"]
    with pytest.raises(BundleError, match="came with the software"):
        remove_bundle("toy-head")
    with pytest.raises(BundleError, match="came with the software"):
        import_bundle(other, replace=True)
    assert (folder / "LICENSE").exists()


def test_the_users_folder_follows_the_customs_of_the_system(monkeypatch, tmp_path: Path):
    monkeypatch.delenv("LANDMARK_DETECTOR_BUNDLES")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for platform, place in (
        ("linux", ".local/share/LandmarkDetector/bundles"),
        ("darwin", "Library/Application Support/LandmarkDetector/bundles"),
        ("win32", "AppData/Local/LandmarkDetector/bundles"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        assert store.user_folder() == tmp_path / place
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert store.user_folder() == tmp_path / "data" / "LandmarkDetector" / "bundles"


def test_unicode_spaces_and_long_paths_are_no_matter(folder: Path, tmp_path: Path, monkeypatch, write):
    deep = tmp_path / "Schädel 头 ☃" / ("a" * 100) / ("b" * 100) / ("c" * 100)
    monkeypatch.setenv("LANDMARK_DETECTOR_BUNDLES", str(deep))
    write(tmp_path / "Zähne und mehr", samples={"Schädel 头.nii.gz": b"x"}, files={"docs/é.csv": b"y"})
    bundle = import_bundle(tmp_path / "Zähne und mehr")
    assert len(str(bundle.folder)) > 300
    assert [path.name for path in load_bundle("toy-head").samples()] == ["Schädel 头.nii.gz"]
    assert verify_bundle("toy-head")


def test_file_names_that_a_disk_has_decomposed_still_match(write, tmp_path: Path):
    """As macOS returns them: the manifest says é, the folder lists e and an accent."""
    write(tmp_path / "made", files={"docs/é.csv": b"y"})
    (tmp_path / "made" / "docs" / "é.csv").rename(tmp_path / "made" / "docs" / "e\u0301.csv")
    assert load_bundle(tmp_path / "made").name == "toy-head"


def test_many_imports_of_one_bundle_at_once_agree(folder: Path, tmp_path: Path, store: Path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as packed:
        packed.add(folder, arcname="toy-head")
    results: list = []

    def work(source: Path) -> None:
        try:
            results.append(import_bundle(source).fingerprint)
        except BundleError as exc:
            results.append(exc)

    threads = [threading.Thread(target=work, args=(s,)) for s in (tmp_path / "a.tar.gz", folder) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results) == {load_bundle(folder).fingerprint}
    assert _names(store) == ["toy-head"]


def test_replacing_at_once_leaves_one_whole_bundle_at_every_moment(folder: Path, other: Path, store: Path):
    import_bundle(folder)
    done, problems = threading.Event(), []

    def replace(source: Path) -> None:
        for _ in range(8):
            try:
                import_bundle(source, replace=True)
            except BundleError as exc:
                problems.append(exc)

    writers = [threading.Thread(target=replace, args=(source,)) for source in (folder, other) for _ in range(2)]
    for thread in writers:
        thread.start()
    threading.Thread(target=lambda: ([thread.join() for thread in writers], done.set())).start()
    while not done.is_set():
        assert load_bundle("toy-head").version in ("1.2.3", "2.0.0")
    assert not problems
    assert load_bundle("toy-head").version in ("1.2.3", "2.0.0")
    assert _names(store) == ["toy-head"]


@pytest.mark.parametrize("when", ["before it is read", "while it is read", "and put back while it is read"])
def test_a_bundle_that_is_replaced_under_a_reader_is_read_again(when: str, folder: Path, monkeypatch):
    """Each interruption once, as two renames at that moment make it; the folder keeps its number all the while."""
    home = import_bundle(folder).folder
    aside = home.with_name(".replaced-toy-head-0000000000000001")
    find, read = store._folder, store.read_bundle
    interruptions = [None]

    def found(name: str) -> Path:
        place = find(name)
        if when == "before it is read" and interruptions:
            interruptions.pop()
            home.rename(aside)
        return place

    def interrupted(place: Path, **options):
        if when != "before it is read" and interruptions:
            interruptions.pop()
            home.rename(aside)
            try:
                return read(place, **options)
            finally:
                if when == "and put back while it is read":
                    aside.rename(home)
        return read(place, **options)

    monkeypatch.setattr(store, "_folder", found)
    monkeypatch.setattr(store, "read_bundle", interrupted)
    assert load_bundle("toy-head").version == "1.2.3"
    assert not interruptions


def test_a_damaged_bundle_is_read_once(folder: Path, monkeypatch):
    (import_bundle(folder).folder / "LICENSE").write_text("another")
    read, reads = store.read_bundle, []

    def counted(place: Path, **options):
        reads.append(place)
        return read(place, **options)

    monkeypatch.setattr(store, "read_bundle", counted)
    with pytest.raises(BundleError, match="LICENSE"):
        load_bundle("toy-head")
    assert len(reads) == 1


def test_a_crash_between_two_renames_keeps_the_last_good_bundle(folder: Path, other: Path, store: Path):
    import_bundle(folder)
    program = f"""
import os
from LandmarkDetectorLib.bundles import import_bundle
real = os.rename
def dies(source, target):
    if str(target).endswith("toy-head"):
        os._exit(9)
    real(source, target)
os.rename = dies
import_bundle({str(other)!r}, replace=True)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 9
    assert not (store / "toy-head").exists()
    assert load_bundle("toy-head").version == "1.2.3"
    assert [bundle.version for bundle in list_bundles()] == ["1.2.3"]


def test_of_several_leftovers_the_latest_is_put_back(folder: Path, other: Path, store: Path):
    """As two crashes leave them: one after the renames, one between them."""
    store.mkdir()
    shutil.copytree(folder, store / ".replaced-toy-head-0000000000000001")
    shutil.copytree(other, store / ".replaced-toy-head-0000000000000002")
    assert load_bundle("toy-head").version == "2.0.0"
    assert _names(store) == [".replaced-toy-head-0000000000000001", "toy-head"]


def test_what_a_killed_import_left_is_no_bundle_and_goes_after_a_day(folder: Path, store: Path):
    shutil.copytree(folder, store / ".partial-0123456789abcdef")
    assert list_bundles() == []
    import_bundle(folder)
    assert ".partial-0123456789abcdef" in _names(store)
    remove_bundle("toy-head")
    old = time.time() - 2 * 24 * 3600
    os.utime(store / ".partial-0123456789abcdef", (old, old))
    import_bundle(folder)
    assert _names(store) == ["toy-head"]


def test_a_process_killed_while_importing_leaves_the_store_in_order(folder: Path, other: Path, store: Path):
    import_bundle(folder)
    program = f"""
from LandmarkDetectorLib.bundles import import_bundle
print("ready", flush=True)
while True:
    import_bundle({str(other)!r}, replace=True)
    import_bundle({str(folder)!r}, replace=True)
"""
    for delay in (0.0, 0.02, 0.05, 0.11):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
        process.wait()
        process.stdout.close()
        assert load_bundle("toy-head").version in ("1.2.3", "2.0.0")


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "choose a folder"), (errno.EIO, "check the disk")],
)
@pytest.mark.parametrize("archived", [False, True])
def test_a_disk_that_refuses_leaves_nothing(folder, tmp_path, store, other, monkeypatch, number, advice, archived):
    source = folder
    if archived:
        source = tmp_path / "a.tar.gz"
        with tarfile.open(source, "w:gz") as packed:
            packed.add(folder, arcname="toy-head")
    count = 0

    def failing(path, mode="r", *args, **how):
        nonlocal count
        count += 1
        if count == 4:
            raise OSError(number, os.strerror(number), str(path))
        return open(path, mode, *args, **how)

    monkeypatch.setattr(staging, "open", failing, raising=False)
    with pytest.raises(BundleError, match=rf"Importing {source.name} failed: {os.strerror(number)}; {advice}"):
        import_bundle(source)
    assert not store.exists()
    monkeypatch.undo()
    monkeypatch.setenv("LANDMARK_DETECTOR_BUNDLES", str(store))
    import_bundle(other)
    count = 0
    monkeypatch.setattr(staging, "open", failing, raising=False)
    with pytest.raises(BundleError, match="failed"):
        import_bundle(source, replace=True)
    assert _names(store) == ["toy-head"]
    assert load_bundle("toy-head").version == "2.0.0"


@posix_only
def test_a_limit_on_file_size_is_met_for_real(tmp_path: Path, write, store: Path):
    """The kernel refuses the write, not a pretence of ours."""
    write(tmp_path / "toy", files={"docs/noise.bin": os.urandom(2**20)})
    program = f"""
import resource, signal
from LandmarkDetectorLib.bundles import import_bundle
from LandmarkDetectorLib.core import BundleError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, 2**19))
try:
    import_bundle({str(tmp_path / "toy")!r})
except BundleError as exc:
    print(exc)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Importing toy failed: File too large" in done.stdout
    assert not store.exists()


def test_a_store_that_cannot_be_made_is_told(folder: Path, tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("LANDMARK_DETECTOR_BUNDLES", str(tmp_path / "file" / "store"))
    with pytest.raises(BundleError, match="Importing toy-head failed"):
        import_bundle(folder)
    assert list_bundles() == []


def test_a_failed_rename_puts_the_old_bundle_back(folder: Path, other: Path, store: Path, monkeypatch):
    import_bundle(folder)
    real = os.rename

    def fails(source, target):
        if ".partial-" in str(source) and str(target).endswith("toy-head"):
            raise PermissionError(errno.EACCES, "Permission denied")
        real(source, target)

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(BundleError, match="check that you may read and write there"):
        import_bundle(other, replace=True)
    monkeypatch.undo()
    monkeypatch.setenv("LANDMARK_DETECTOR_BUNDLES", str(store))
    assert _names(store) == ["toy-head"]
    assert load_bundle("toy-head").version == "1.2.3"


@posix_only
def test_a_linked_bundle_is_removed_as_a_link(folder: Path, store: Path):
    store.mkdir()
    (store / "toy-head").symlink_to(folder, target_is_directory=True)
    assert load_bundle("toy-head").name == "toy-head"
    remove_bundle("toy-head")
    assert _names(store) == []
    assert (folder / "LICENSE").exists()
