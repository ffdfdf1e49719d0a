"""The file of voxels: whole or not there, private, and gone in the end."""

from __future__ import annotations

import os
import stat
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.core import Grid, Image, LandmarkDetectorError
from LandmarkDetectorLib.inference import voxel_file
from LandmarkDetectorLib.inference.voxel_file import VoxelFile, read_mapped, sweep
from Testing.inference.worker_process import PATIENT, noise


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr(voxel_file, "_bases", lambda: [folder])
    return folder


ARRAYS = {
    "plain": noise((1, 5, 6, 7)),
    "picture": noise((3, 6, 7), "u1"),
    "Fortran": np.asfortranarray(noise((1, 5, 6, 7), "f4")),
    "reversed": noise((1, 5, 6, 7))[:, ::-1, ::-2],
    "channels last": np.moveaxis(noise((5, 6, 7, 3), "u1"), -1, 0),
    "big-endian": noise((1, 5, 6, 7), ">i2"),
    "bool": noise((1, 5, 6, 7)) > 50,
    "long double": noise((1, 5, 6, 7)).astype(np.longdouble),
    "one voxel": noise((1, 1, 1, 1), "f8"),
    "read-only": np.broadcast_to(noise((6, 7)), (1, 5, 6, 7)),
}


@pytest.mark.parametrize("piece", [1, 40, 8 << 20])
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_what_is_written_is_what_is_mapped(array: np.ndarray, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voxel_file, "PIECE", piece)
    image = Image.from_array(array, channels=True, name="ein Bild")
    with VoxelFile(image) as file:
        fractions = list(file.write_steps())
        mapped = read_mapped(file.reference)
        np.testing.assert_array_equal(mapped.array, array)
        assert mapped.array.dtype.isnative and mapped.name == "ein Bild" and mapped.grid.same_as(image.grid, 0.0)
    assert fractions == sorted(set(fractions)) and fractions[-1] == 1.0


def test_the_grid_keeps_every_digit() -> None:
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    grid = Grid((4, 3, 2), (0.1, 1 / 3, 1e-5), (-1e5 / 7, 1e-9, 12345.678901234567), turn, "px")
    with VoxelFile(Image(noise((1, 2, 3, 4)), grid)) as file:
        file.write()
        mapped = read_mapped(file.reference).grid
    np.testing.assert_array_equal(mapped.matrix, grid.matrix)
    assert mapped.unit == "px"


def test_a_large_image_is_written_in_pieces_of_a_few_megabytes() -> None:
    image = Image.from_array(np.zeros((40, 512, 512), np.uint16))
    with VoxelFile(image) as file:
        fractions = [0.0, *file.write_steps()]
    assert max(np.diff(fractions)) * image.array.nbytes <= 8 << 20


def test_what_the_worker_does_with_the_voxels_does_not_reach_the_file() -> None:
    with VoxelFile(Image.from_array(noise((4, 5, 6)))) as file:
        file.write()
        read_mapped(file.reference).array[:] = 0
        assert read_mapped(file.reference).array.any()


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps a person's temporary folder private by itself")
def test_only_its_owner_may_open_it_and_its_name_says_nothing(temp: Path) -> None:
    with VoxelFile(Image.from_array(noise((4, 5, 6)), name=PATIENT)) as file:
        file.write()
        (folder,) = temp.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not any(PATIENT in str(path) for path in temp.rglob("*"))


def test_nothing_is_left_after_an_end_of_any_kind(temp: Path) -> None:
    image = Image.from_array(np.zeros((20, 512, 512), np.uint16))
    with VoxelFile(image) as file:
        file.write()
    with VoxelFile(image) as file:  # given up half-way
        next(file.write_steps())
    with pytest.raises(KeyboardInterrupt), VoxelFile(image) as file:
        file.write()
        raise KeyboardInterrupt
    file.close()
    assert list(temp.iterdir()) == []


def test_a_file_that_is_not_whole_is_not_referred_to() -> None:
    with VoxelFile(Image.from_array(np.zeros((20, 512, 512), np.uint16))) as file:
        next(file.write_steps())
        with pytest.raises(ValueError, match="not been written"):
            file.reference["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
def test_a_disk_that_fills_up_is_one_clear_error_and_leaves_nothing(temp: Path) -> None:
    import resource

    image = Image.from_array(np.zeros((20, 512, 512), np.uint16), name="skull")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    file = VoxelFile(image)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9 << 20, before[1]))
    try:
        with pytest.raises(LandmarkDetectorError, match=r"^skull: its voxels .*free some space on the disk\.$"):
            file.write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(temp.iterdir()) == []


def test_a_disk_without_room_is_not_begun_on_and_the_next_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, other = tmp_path / "full", tmp_path / "other"
    full.mkdir()
    other.mkdir()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(voxel_file, "_bases", lambda: [full, other])
    rooms = {full: voxel_file.SPARE, other: 1 << 40}
    monkeypatch.setattr(voxel_file.shutil, "disk_usage", lambda path: usage(1 << 40, 0, rooms[path]))
    with VoxelFile(Image.from_array(noise((4, 5, 6)))) as file:
        file.write()
        assert other in Path(file.reference["file"]).parents
    rooms[other] = 0
    with pytest.raises(LandmarkDetectorError, match="none has the room; 0 MB are needed"):
        VoxelFile(Image.from_array(noise((4, 5, 6))))
    assert list(full.iterdir()) == list(other.iterdir()) == []


def test_a_folder_whose_owner_lives_is_not_swept_nor_one_of_somebody_else(temp: Path) -> None:
    with VoxelFile(Image.from_array(noise((4, 5, 6)))) as file:
        file.write()
        young, foreign = temp / f"{voxel_file.PREFIX}young", temp / "somebody-else"
        young.mkdir()
        foreign.mkdir()
        (foreign / "owner").touch()
        assert sweep() == 0
        assert Path(file.reference["file"]).is_file() and young.is_dir() and foreign.is_dir()
        os.utime(young, (0, 0))
        assert sweep() == 1 and not young.exists()


def test_a_link_is_not_followed_by_the_sweep(temp: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.mkdir()
    (target / "owner").touch()
    try:
        (temp / f"{voxel_file.PREFIX}link").symlink_to(target)
    except OSError:
        pytest.skip("this system lets nobody make links")
    assert sweep() == 0 and (target / "owner").exists()
