"""What of the data goes into a bundle, which is passed on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image as Pillow

from LandmarkDetectorLib.core import Landmark, LandmarkSet
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.io import load_image, load_landmarks
from LandmarkDetectorLib.training.publish import _samples


def test_of_a_sample_only_voxels_grid_and_positions_go_into_a_bundle(tmp_path: Path) -> None:
    volume = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    volume.SetSpacing((0.5, 0.6, 0.7))
    for key in ("descrip", "intent_name", "aux_file"):
        volume.SetMetaData(key, "Quillon Zappa")
    sitk.WriteImage(volume, str(tmp_path / "a.nii"))
    assert b"Quillon" in (tmp_path / "a.nii").read_bytes()
    exif = Pillow.Exif()
    exif[270] = "Quillon Zappa"
    Pillow.fromarray(np.arange(42, dtype=np.uint8).reshape(6, 7) * 5).save(tmp_path / "b.jpg", exif=exif)
    assert b"Quillon" in (tmp_path / "b.jpg").read_bytes()
    marks = {
        unit: LandmarkSet(
            (Landmark("tip", (1.0, 2.0, 3.0)[:axes], description="Quillon Zappa, seen on Monday"),),
            unit,
            "Quillon Zappa",
            {"note": "Quillon Zappa"},
        )
        for unit, axes in (("mm", 3), ("px", 2))
    }
    cases = [Case("1", tmp_path / "a.nii", marks["mm"], "1"), Case("2", tmp_path / "b.jpg", marks["px"], "2")]
    run = tmp_path / "run"
    run.mkdir()
    samples = _samples(cases, run)
    assert sorted(samples) == ["a.mrk.json", "a.nii.gz", "b.mrk.json", "b.png"] and list(run.iterdir()) == []
    for name, content in samples.items():
        assert isinstance(content, bytes)
        (run / name).write_bytes(content)
        plain = sitk.ReadImage(str(run / name)) if name == "a.nii.gz" else None
        kept = "".join(plain.GetMetaData(key) for key in plain.GetMetaDataKeys()) if plain else ""
        assert b"Quillon" not in content and "Quillon" not in kept
    for name, case in (("a.nii.gz", cases[0]), ("b.png", cases[1])):
        image = load_image(run / name)
        assert np.array_equal(image.array, case.image().array) and image.grid.same_as(case.image().grid, 1e-6)
    np.testing.assert_array_equal(load_landmarks(run / "a.mrk.json").positions, [[1, 2, 3]])


def test_samples_whose_files_are_called_alike_all_go_into_a_bundle(tmp_path: Path) -> None:
    cases = []
    for number, name in enumerate(("a/scan.1.png", "b/scan.1.png", "b/scan.2.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Pillow.fromarray(np.arange(42, dtype=np.uint8).reshape(6, 7)).save(tmp_path / name)
        marks = LandmarkSet((Landmark("tip", (float(number), 2.0)),), "px", name)
        cases.append(Case(str(number), tmp_path / name, marks, str(number)))
    samples = _samples(cases, tmp_path)
    assert [name for name in sorted(samples) if name.endswith(".png")] == ["scan.1-2.png", "scan.1.png", "scan.2.png"]
    (tmp_path / "back.mrk.json").write_bytes(bytes(samples["scan.1-2.mrk.json"]))
    assert load_landmarks(tmp_path / "back.mrk.json").positions.tolist() == [[1, 2]]
