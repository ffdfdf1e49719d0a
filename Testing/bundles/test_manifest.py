from __future__ import annotations

import json
import os
import shutil
import socket
import time
from pathlib import Path

import pytest

from LandmarkDetectorLib.bundles import load_bundle, manifest
from LandmarkDetectorLib.bundles.manifest import MANIFEST, build_manifest, manifest_bytes, read_manifest
from LandmarkDetectorLib.bundles.names import safe_relative
from LandmarkDetectorLib.core import BundleError

posix_only = pytest.mark.skipif(os.name == "nt", reason="needs what only POSIX lets everybody do")


def _edit(folder: Path, change) -> None:
    content = json.loads((folder / MANIFEST).read_bytes())
    change(content)
    (folder / MANIFEST).write_text(json.dumps(content))


def test_a_sound_bundle_loads(folder: Path):
    bundle = load_bundle(folder)
    assert bundle.name == "toy-head"
    assert bundle.version == "1.2.3"
    assert bundle.labels == ["1", "2L", "2R"]
    assert bundle.settings["coarse"] == {"spacing": 0.9, "peaks": 4}
    assert [path.name for path in bundle.samples()] == ["head.nii.gz"]


def test_a_flipped_bit_anywhere_is_refused(folder: Path):
    for path in [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]:
        data = path.read_bytes()
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        with pytest.raises(BundleError, match=rf"{path.name}.*does not match its SHA-256"):
            load_bundle(folder)
        path.write_bytes(data)
    load_bundle(folder)


def test_a_truncated_file_is_refused_by_its_size(folder: Path):
    path = folder / "models" / "model.pt"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleError, match=r"model.pt' has \d+ bytes where the manifest says \d+"):
        load_bundle(folder)


def test_a_missing_file_is_refused(folder: Path):
    (folder / "docs" / "training.csv").unlink()
    with pytest.raises(BundleError, match="training.csv' is missing"):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["extra.py", "docs/extra.txt", ".hidden", "models/model.ts"])
def test_a_file_that_the_manifest_does_not_list_is_refused(folder: Path, name: str):
    (folder / name).write_bytes(b"")
    with pytest.raises(BundleError, match="is not in the manifest"):
        load_bundle(folder)


def test_an_empty_folder_within_is_refused(folder: Path):
    (folder / "docs" / "empty").mkdir()
    with pytest.raises(BundleError, match="is empty"):
        load_bundle(folder)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path):
    with pytest.raises(BundleError, match="is not a bundle"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    "relative", ["LICENSE", "configs/card.json", "configs/metadata.json", "configs/inference.json"]
)
def test_a_bundle_without_a_required_file_is_refused(folder: Path, relative: str, reseal):
    (folder / relative).unlink()
    with pytest.raises(BundleError, match=f"has no {relative}"):
        load_bundle(reseal(folder))


@posix_only
def test_a_symbolic_link_is_refused_even_to_the_right_bytes(folder: Path, tmp_path: Path):
    path = folder / "LICENSE"
    path.rename(tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(BundleError, match="is a link"):
        load_bundle(folder)


@posix_only
def test_a_linked_folder_within_is_refused(folder: Path, tmp_path: Path):
    (folder / "docs").rename(tmp_path / "outside")
    (folder / "docs").symlink_to(tmp_path / "outside", target_is_directory=True)
    with pytest.raises(BundleError, match="is a link"):
        load_bundle(folder)


@posix_only
def test_a_linked_manifest_is_refused(folder: Path, tmp_path: Path):
    (folder / MANIFEST).rename(tmp_path / "outside")
    (folder / MANIFEST).symlink_to(tmp_path / "outside")
    with pytest.raises(BundleError, match="is a link"):
        load_bundle(folder)


def test_a_hard_link_is_refused(folder: Path, tmp_path: Path):
    os.link(folder / "LICENSE", tmp_path / "second name")
    with pytest.raises(BundleError, match="hard link"):
        load_bundle(folder)


def test_a_shipped_bundle_may_be_hard_linked_because_installers_do_so(folder: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("LandmarkDetectorLib.bundles.store.SHIPPED", folder.parent.resolve())
    os.link(folder / "LICENSE", tmp_path / "cache of the installer")
    assert load_bundle("toy-head").name == "toy-head"


@posix_only
def test_pipes_and_sockets_are_refused_without_being_opened(folder: Path, monkeypatch):
    os.mkfifo(folder / "docs" / "pipe")
    with pytest.raises(BundleError, match="not a regular file"):
        load_bundle(folder)
    (folder / "docs" / "pipe").unlink()
    monkeypatch.chdir(folder)  # A socket's path must be short.
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(BundleError, match="not a regular file"):
            load_bundle(folder)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a//b",
            "./a",
            "a/",
            "C:/x",
            "c:x",
            "a\\b",
            "..\\x",
            "a\x00b",
            "a\nb",
            "",
        ),
        *("nul", "docs/CON.txt", "a.", "a ", "x" * 256, "a/" * 600 + "b", "a?b", "file:stream", "\udcff"),
    ],
)
def test_an_unsafe_name_is_refused_everywhere(name: str):
    with pytest.raises(BundleError, match="the file name"):
        safe_relative(name, "archive")


@pytest.mark.parametrize("name", ["/etc/passwd", "../../x", "C:/x", "a\\b", "manifest.json", "LICENSE/../x"])
def test_a_manifest_that_lists_an_unsafe_name_is_refused(folder: Path, name: str):
    _edit(folder, lambda content: content["files"].update({name: {"sha256": "0" * 64, "size": 0}}))
    with pytest.raises(BundleError):
        load_bundle(folder)


def test_two_names_that_some_disks_take_for_one_are_refused(folder: Path):
    _edit(folder, lambda content: content["files"].update({"license": content["files"]["LICENSE"]}))
    with pytest.raises(BundleError, match="twice"):
        load_bundle(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["files"]["LICENSE"].pop("sha256"),
        lambda m: m["files"]["LICENSE"].update(sha256=""),
        lambda m: m["files"]["LICENSE"].update(sha256=None),
        lambda m: m["files"]["LICENSE"].update(sha256=m["files"]["LICENSE"]["sha256"].upper()),
        lambda m: m["files"]["LICENSE"].update(size=-1),
        lambda m: m["files"]["LICENSE"].update(size=True),
        lambda m: m["files"]["LICENSE"].update(size=2**26 + 1),
        lambda m: m["files"]["LICENSE"].update(more=1),
        lambda m: m["files"].update(LICENSE=[]),
        lambda m: m.update(files={}),
        lambda m: m.update(files=[]),
        lambda m: m.update(format="other"),
        lambda m: m.update(format_version=2),
        lambda m: m.update(extra=1),
        lambda m: m["files"].update({f"f{i}": {"sha256": "0" * 64, "size": 1} for i in range(501)}),
        lambda m: m["files"].update({f"f{i}": {"sha256": "0" * 64, "size": 2**26} for i in range(5)}),
    ],
)
def test_a_manifest_that_is_not_one_is_refused(folder: Path, change):
    _edit(folder, change)
    with pytest.raises(BundleError):
        load_bundle(folder)


def test_a_manifest_with_a_key_twice_is_refused(folder: Path):
    path = folder / MANIFEST
    path.write_text(path.read_text().replace('"format_version": 1,', '"format_version": 1, "format_version": 1,'))
    with pytest.raises(BundleError, match="twice"):
        load_bundle(folder)


def test_too_much_is_refused_before_it_is_read(folder: Path):
    with open(folder / "docs" / "large", "wb") as file:
        file.truncate(2**40)  # A sparse file: no disk is filled.
    started = time.monotonic()
    with pytest.raises(BundleError):
        load_bundle(folder)
    with pytest.raises(BundleError, match="larger than the 64 MB"):
        build_manifest(folder)
    assert time.monotonic() - started < 2


def test_endless_folders_are_given_up(folder: Path):
    for i in range(1100):
        (folder / "docs" / f"{i}").write_bytes(b"")
    with pytest.raises(BundleError):
        load_bundle(folder)


def test_the_fingerprint_depends_on_the_content_and_not_on_place_or_spelling(folder: Path, tmp_path: Path):
    fingerprint = load_bundle(folder).fingerprint
    copy = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    content = json.loads((copy / MANIFEST).read_bytes())
    content["files"] = dict(reversed(content["files"].items()))
    (copy / MANIFEST).write_text(json.dumps(content))
    assert load_bundle(copy).fingerprint == fingerprint
    (copy / "docs" / "training.csv").write_bytes(b"epoch,loss\n1,0.4\n")
    (copy / MANIFEST).write_bytes(manifest_bytes(build_manifest(copy)))
    assert load_bundle(copy).fingerprint != fingerprint


def test_a_file_that_changes_after_loading_is_not_used(folder: Path):
    bundle = load_bundle(folder)
    path = folder / "models" / "model.pt"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(BundleError, match="has changed since"):
        bundle.state_dict()
    with pytest.raises(BundleError, match=r"the bundle has no \.\./secret"):
        bundle.read("../secret")


def test_a_disk_that_fails_is_told_in_a_sentence(folder: Path, monkeypatch):
    def broken(path, most):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(manifest, "_hash", broken)
    with pytest.raises(BundleError, match=r"Reading the bundle toy-head failed: Input/output error; check the disk"):
        load_bundle(folder)


def test_sixteen_megabytes_are_verified_quickly(tmp_path: Path, write):
    import torch

    write(tmp_path / "large", state_dict={"weight": torch.randn(4 * 2**20)})
    times = []
    for _ in range(3):
        started = time.perf_counter()
        load_bundle(tmp_path / "large")
        times.append(time.perf_counter() - started)
    # A tenth of a second is meant; the bound leaves room for a busy machine.
    assert min(times) < 0.5


def test_a_manifest_reads_back_as_it_was_written(folder: Path):
    assert manifest_bytes(read_manifest(folder)) == (folder / MANIFEST).read_bytes()
