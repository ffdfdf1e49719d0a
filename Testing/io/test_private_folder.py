"""Folders for what may show a patient: private, gone in the end, and swept after a program that was killed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from LandmarkDetectorLib.io import itk, load_image
from LandmarkDetectorLib.io.private_folder import PrivateFolder, sweep_folders

ROOT = Path(__file__).resolve().parents[2]


def test_a_folder_is_its_owners_and_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    with PrivateFolder(tmp_path) as folder:
        (folder / "scene" / "data").mkdir(parents=True)
        (folder / "scene" / "data" / "a.nrrd").touch()
        (folder / "link").symlink_to(tmp_path)
        assert os.name != "posix" or stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert sweep_folders([tmp_path]) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="a process is killed by a signal")
def test_what_a_killed_program_left_is_swept(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from LandmarkDetectorLib.io.private_folder import PrivateFolder\n"
        "folder = PrivateFolder(Path(sys.argv[1])); (folder.path / 'scan').mkdir(); print('made', flush=True)\n"
        "time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None and process.stdout.readline() == b"made\n"
        assert sweep_folders([tmp_path]) == 0
        process.send_signal(signal.SIGKILL)
    assert sweep_folders([tmp_path]) == 1 and list(tmp_path.iterdir()) == []


def test_the_copy_of_a_turned_picture_has_no_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "Zappa Quillon 1951.tif"
    Pillow.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(path, tiffinfo={274: 6})
    opened: list[Path] = []
    real = itk.open_reader
    monkeypatch.setattr(itk, "open_reader", lambda where, *how: opened.append(where) or real(where, *how))
    load_image(path)
    assert opened and not any("Quillon" in str(where.name) or where.exists() for where in opened)
