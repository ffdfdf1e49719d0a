"""Names: those of patients go nowhere, and none of them, no path and no region stands in the way of anything."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.io import load_landmarks
from Testing.io.conftest import DicomMaker
from Testing.io.test_paths_and_locale import comma_locale
from Testing.panel.own_process import run
from Testing.panel.person import PICTURE

PATIENT = """
folder = Path(sys.argv[1])
who = sys.argv[2]
image = folder / f"{who} 1960.nii.gz"
images = folder / who / "study"
images.mkdir(parents=True)
shutil.copy(SAMPLE, image)
shutil.copy(PICTURE, images / f"{who}.mha")
(images / f"{who} broken.nii.gz").write_bytes(b"no image")
volume = person.open(image)
assert volume.GetName().startswith(who)
person.wait_until(lambda: person.panel.worker.is_ready)
before = {base: set(os.listdir(base)) for base in ("/dev/shm", tempfile.gettempdir()) if os.path.isdir(base)}
person.click("detectButton")
person.wait_until(lambda: person.panel.run._asked)
made = [name for base, names in before.items() for name in set(os.listdir(base)) - names]
worker = psutil.Process(person.panel.worker.pid)
print("TEMPORARY", made, "COMMAND", worker.cmdline(), "NAME", worker.name())
os.kill(worker.pid, signal.SIGKILL)
person.wait_until(lambda: not person.panel.run.running)
assert "lost" in person.said
node = person.detect()
assert node.GetName().startswith(who)
person.choose("31")
person.press("confirmButton")
node.SetAttribute("LandmarkDetector.review", "nonsense")
person.rest()
person.panel.review.choose_node(None)
desktop.scene.RemoveNode(node)
desktop.open_all([images / f"{who} broken.nii.gz", folder / f"{who} not there.nrrd", folder / f"{who}.mrk.json"])
print("BATCH", len(batch(images, folder / f"{who} results")))
table = person.widget("batchTable")
for row in range(table.rowCount()):
    table.setCurrentCell(row, 0)
    table.cellDoubleClicked.emit(row, 0)
person.rest()
assert "written to" in export(".mrk.json", "LPS", folder / f"{who} points.mrk.json")
desktop.save_scene(folder / f"{who}.mrb")
desktop.open(folder / f"{who}.mrb")
desktop.close()
"""


def test_a_patients_name_stands_in_no_log_no_temporary_name_and_no_command_line(tmp_path):
    out, complaints = run(PATIENT, tmp_path, "Mustermann")
    assert "TEMPORARY ['landmark-detector-" in out
    assert "Mustermann" not in out and "Mustermann" not in complaints, complaints[-3000:]
    assert "Traceback" not in complaints


STUDY = """
folder = Path(sys.argv[1])
volume = person.open(folder / "study")
node = person.detect()
for suffix in (".mrk.json", ".fcsv", ".csv", ".xlsx"):
    assert "ritten to" in export(suffix, "LPS", folder / "out" / f"points{suffix}")
desktop.save_scene(folder / "out" / "scene.mrb")
print(batch(folder / "pictures", folder / "out"))
desktop.close()
"""


def everything_in(folder: Path) -> dict[str, bytes]:
    """The bytes of all files, those in archives unpacked."""
    found = {}
    for file in (file for file in folder.rglob("*") if file.is_file()):
        found[file.name] = file.name.encode() + file.read_bytes()
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                found |= {f"{file.name}/{name}": name.encode() + archive.read(name) for name in archive.namelist()}
    return found


@pytest.mark.slow
def test_what_dicom_says_of_a_patient_is_in_no_file_that_is_written(tmp_path):
    dicom = DicomMaker()
    z, y, x = np.mgrid[:24, :30, :28]
    ball = (((x - 14) ** 2 + (y - 15) ** 2 + (z - 12) ** 2 < 90) * 1500).astype(np.uint16)
    dicom.series_in(tmp_path / "study", ball, spacing=(0.7, 0.7, 0.7))
    (tmp_path / "pictures").mkdir()
    (tmp_path / "out").mkdir()
    head = DicomMaker()
    head.series_in(tmp_path / "pictures" / "one", ball[12:13], spacing=(0.7, 0.7, 0.7))
    out, complaints = run(STUDY, tmp_path)
    written = everything_in(tmp_path / "out")
    assert {"points.mrk.json", "points.xlsx", "scene.mrb", "summary.csv"} <= set(written)
    for secret in DicomMaker.secrets:
        assert [name for name, content in written.items() if secret.encode() in content] == []
        assert secret not in out and secret not in complaints


AWAY = """
folder = Path(sys.argv[1])
place = folder
while len(str(place)) < 300:
    place = place / "ordner mit leerzeichen, ü é 点 und 'anführung' & mehr"
images = place / "bilder"
images.mkdir(parents=True)
name = "schädel 头 №1 100% #2"
shutil.copy(PICTURE, images / f"{name}.mha")
volume = person.open(images / f"{name}.mha", HEAD)
assert volume.GetName() == name, volume.GetName()
world = np.array([person.detect().GetNthControlPointPosition(i) for i in range(4)])
assert person.panel.review.node.GetName() == f"{name} {HEAD}"
for suffix in (".mrk.json", ".fcsv", ".csv", ".xlsx"):
    assert "ritten to" in export(suffix, "RAS", place / f"punkte ü {name}{suffix}")
desktop.save_scene(place / f"szene {name}.mrb")
person.choose(person.rows[0][0])
desktop.scene.Clear(0)
desktop.open(place / f"szene {name}.mrb")
person.rest(100)
assert person.panel.input.volume.GetName() == name and len(person.rows) == 4
desktop.scene.Clear(0)
for suffix in (".mrk.json", ".fcsv"):
    node = desktop.open(place / f"punkte ü {name}{suffix}")
    again = np.array([node.GetNthControlPointPosition(i) for i in range(4)])
    assert np.abs(again - world).max() < 1e-6, suffix
said = batch(images, place / "ergebnisse ü")
assert "1 of 1 images are through, none of them failed" in said, said
np.save(folder / "world.npy", world)
print(place)
desktop.close()
"""


def look_at(place: Path, world: np.ndarray) -> None:
    name = "schädel 头 №1 100% #2"
    for suffix in (".mrk.json", ".fcsv", ".csv", ".xlsx"):
        marks = load_landmarks(place / f"punkte ü {name}{suffix}")
        assert np.abs(marks.positions * (-1, -1, 1) - world).max() < 1e-6, suffix
    for suffix in (".mrk.json", ".csv"):
        assert len(load_landmarks(place / "ergebnisse ü" / f"{name}{suffix}")) == 4


@pytest.mark.slow
@pytest.mark.parametrize("region", ["point", "comma"])
def test_a_long_path_of_any_letters_and_any_region_serve(tmp_path, region):
    environment = {}
    script = AWAY
    if region == "comma":
        (tmp_path / "region").mkdir()
        found = comma_locale(tmp_path / "region")
        if found is None:
            pytest.skip("this system has no region that writes decimals with a comma, and makes none")
        environment = {**found[1], "LC_ALL": found[0], "LANG": found[0], "LANGUAGE": "de"}
        script = COMMA + AWAY
    out, complaints = run(script, tmp_path, **environment)
    assert "Traceback" not in complaints
    place = Path(out.strip().splitlines()[-1])
    assert len(str(place)) > 260
    look_at(place, np.load(tmp_path / "world.npy"))


COMMA = """
import locale
from PySide6.QtCore import QLocale
assert QLocale().decimalPoint() == ",", "the region is not there"
assert locale.setlocale(locale.LC_TIME).startswith(os.environ["LC_ALL"]), locale.setlocale(locale.LC_ALL)
"""


@pytest.mark.parametrize("name", ["NUL", "a" * 240, "…" * 70, ".hidden", "con: <b>?*|"])
def test_a_volume_of_any_name_is_exported_under_one_that_a_disk_takes(person, tmp_path, name):
    """The dialog proposes a name; it is taken as it is."""
    volume = person.open(PICTURE, "fetal-head-us")
    volume.SetName(name)
    person.detect()
    dialogs = person.answer(save_file=[None], ask=["export"])
    person.press("exportButton")
    proposed = dialogs.asked[-1][1].split(": ", 1)[1]
    (tmp_path / proposed).write_text("x")
    assert proposed.endswith(".mrk.json")
