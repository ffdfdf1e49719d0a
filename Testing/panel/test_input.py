"""What is looked at: bundles come, go and show their cards; what does not look like the training images is said."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from LandmarkDetector.Scene.volume_image import UNIT
from LandmarkDetectorLib.bundles.store import SHIPPED
from Testing.panel.person import HEAD, PICTURE, SAMPLE, SKULL


def bundles(person) -> list[str]:
    combo = person.widget("bundleCombo")
    return [combo.itemData(i) for i in range(combo.count())]


def test_shipped_bundles_are_offered_by_what_they_find(person):
    combo = person.widget("bundleCombo")
    assert set(bundles(person)) >= {SKULL, HEAD}
    assert combo.itemText(combo.findData(SKULL)) == "Craniofacial landmarks of the mouse (3D)"
    assert not person.panel.input.remove_action.isEnabled(), "what came with the software stays"


def test_the_card_says_what_the_bundle_is_for_how_far_off_it_is_and_its_limits(person):
    dialogs = person.answer()
    person.press("bundleInfoButton")
    page = dialogs.asked[0][1]
    for words in ("What it is for", "How far off it is", "Limits", "Not tested on", "Licence", "95 of 100 within"):
        assert words in page
    assert page.count("<tr>") == 46


def test_a_card_of_a_stranger_brings_no_markup():
    from LandmarkDetectorLib.bundles import load_bundle

    card = load_bundle(HEAD).card
    strange = card.model_copy(update={"title": "<img src=x>", "limits": ["<script>1</script>"]})
    pytest.importorskip("qt", reason="the host is not running")
    from LandmarkDetector.Panel.card_page import card_page

    page = card_page(strange)
    assert "<img" not in page and "<script" not in page and "&lt;img" in page


def test_the_card_shows_the_reliability_diagram_of_a_calibrated_bundle_with_its_number_of_cases(person):
    from LandmarkDetectorLib.bundles import load_bundle

    person.panel.input.choose_bundle(HEAD)
    person.rest()
    dialogs = person.answer()
    person.press("bundleInfoButton")
    page, sheet = dialogs.asked[0][1], load_bundle(HEAD).calibration()
    assert "What its confidence is worth" in page and f"on {sheet.cases} held-out cases" in page
    assert page.count("<img") == 1 and "data:image/png;base64," in page and sheet.protocol in page


def test_the_card_of_a_bundle_that_is_not_calibrated_says_so(person, tmp_path):
    from LandmarkDetectorLib.bundles import load_bundle
    from LandmarkDetectorLib.bundles.calibrated import with_sheet

    folder = another_bundle(tmp_path)
    with_sheet(load_bundle(folder), folder, None, None)
    dialogs = person.answer(open_folder=[str(folder)], ask=["remove"])
    person.panel.input.import_folder.trigger()
    person.rest()
    person.press("bundleInfoButton")
    page = dialogs.asked[-1][1]
    assert "Confidences are not calibrated" in page and "<img" not in page
    person.panel.input.remove_action.trigger()
    person.rest()


def test_the_picture_of_a_stranger_is_shown_only_where_it_is_a_modest_png():
    pytest.importorskip("qt", reason="the host is not running")
    from LandmarkDetector.Panel.reliability_page import reliability_section
    from LandmarkDetectorLib.bundles import load_bundle

    shipped = load_bundle(HEAD)
    sheet = shipped.calibration().model_copy(update={"protocol": "<script>1</script>"})

    class Strange:
        def __init__(self, picture: bytes) -> None:
            self.picture = picture

        def calibration(self):
            return sheet

        def calibration_problem(self):
            return ""

        def reliability_diagram(self):
            return self.picture

    good = shipped.reliability_diagram()
    assert "<img" in reliability_section(Strange(good))
    huge = good[:16] + (60_000).to_bytes(4, "big") + good[20:]
    for picture in (b"GIF89a" + good, huge, good[:20], good + bytes(1 << 20)):
        page = reliability_section(Strange(picture))
        assert "<img" not in page and "<script" not in page and "&lt;script&gt;" in page


def test_a_bundle_that_is_no_bundle_is_refused_with_the_reason(person, tmp_path):
    (tmp_path / "nothing.zip").write_bytes(b"no archive")
    person.answer(open_file=[str(tmp_path / "nothing.zip")])
    person.panel.input.import_archive.trigger()
    assert "nothing.zip" in person.widget("noticeLabel").text()
    assert set(bundles(person)) == {folder.name for folder in SHIPPED.iterdir()}


def test_a_bundle_is_imported_from_a_folder_chosen_and_removed_again(person, tmp_path):
    folder = another_bundle(tmp_path)
    person.answer(open_folder=[str(folder)], ask=["remove"])
    person.panel.input.import_folder.trigger()
    person.rest()
    assert person.panel.input.bundle.name == "another-head" and person.panel.input.remove_action.isEnabled()
    person.panel.input.remove_action.trigger()
    person.rest()
    assert set(bundles(person)) == {folder.name for folder in SHIPPED.iterdir()}


def another_bundle(folder):
    """The smaller shipped bundle under another name, its manifest written anew."""
    import json

    from LandmarkDetectorLib.bundles.manifest import build_manifest, manifest_bytes

    copy = folder / "another-head"
    shutil.copytree(SHIPPED / HEAD, copy)
    for name in ("card.json", "metadata.json"):
        path = copy / "configs" / name
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.get("name") == HEAD:
            document["name"] = "another-head"
        path.write_text(json.dumps(document), encoding="utf-8")
    (copy / "manifest.json").unlink()
    (copy / "manifest.json").write_bytes(manifest_bytes(build_manifest(copy)))
    return copy


def test_a_volume_unlike_the_training_images_is_said_and_can_be_detected_all_the_same(person, monkeypatch):
    from LandmarkDetectorLib import load_image
    from LandmarkDetectorLib.bundles import appearance

    known = appearance.learn_appearance([appearance.look_of(load_image(SAMPLE))], scaled=True, relative=None)
    monkeypatch.setattr(appearance, "appearance_of", lambda settings, name: known)
    volume = person.open(SAMPLE)
    assert person.said == ""
    volume.SetSpacing(5.0, 5.0, 5.0)
    person.panel.input.look()
    assert person.said.startswith("NU_J: ")
    assert person.widget("detectButton").isEnabled()


def test_where_no_bundle_was_chosen_the_one_that_suits_the_volume_is_taken(person):
    for path, suits in ((PICTURE, HEAD), (SAMPLE, SKULL), (PICTURE, HEAD)):
        person.panel.parameters.set_text("bundle", "")
        person.desktop.open(path)
        person.rest()
        assert person.panel.input.bundle.name == suits
        assert person.widget("detectButton").isEnabled() and not person.panel.parameters.text("bundle")
    person.panel.input.choose_bundle(SKULL)
    person.desktop.open(PICTURE)
    person.rest()
    assert person.panel.input.bundle.name == SKULL, "a choice of the person's stays"


def test_a_colour_volume_for_a_bundle_of_one_channel_is_refused(person):
    import slicer

    node = person.desktop.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "colours")
    slicer.util.updateVolumeFromArray(node, np.random.default_rng(0).integers(0, 255, (1, 20, 20, 3), dtype=np.uint8))
    person.rest()
    person.panel.input.choose_volume(node)
    person.panel.input.choose_bundle(HEAD)
    person.rest()
    assert "colours has 3 channels and the bundle fetal-head-us wants 1" in person.said
    assert not person.widget("detectButton").isEnabled()


def photograph(person, path: Path) -> Any:
    """A picture of 72 dpi as Slicer loads it: ITK takes the size for printing for the voxel size."""
    image = sitk.GetImageFromArray(np.full((60, 80, 3), 90, np.uint8), isVector=True)
    image.SetSpacing((25.4 / 72, 25.4 / 72))
    sitk.WriteImage(image, str(path))
    read = sitk.ReadImage(str(path))
    volume = person.desktop.open(path)
    volume.SetAttribute(UNIT, None)
    volume.SetSpacing(*read.GetSpacing(), 1.0)
    return volume


def test_a_picture_that_slicer_shows_in_its_size_for_printing_counts_pixels_and_it_is_said(person, tmp_path):
    person.panel.input.choose_bundle("fundus")
    volume = photograph(person, tmp_path / "eye.jpg")
    person.rest()
    person.panel.input.look()
    assert volume.GetSpacing() == (1.0, 1.0, 1.0) and not person.panel.input.obstacle
    assert "eye: its voxel size of 0.3528 mm was for printing" in person.widget("noticeLabel").text()


def test_a_picture_on_which_somebody_has_placed_points_keeps_its_size_and_what_to_do_is_said(person, tmp_path):
    person.panel.input.choose_bundle("fundus")
    points = person.desktop.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    points.AddControlPoint((-3.0, -4.0, 0.0))
    volume = photograph(person, tmp_path / "eye.jpg")
    person.rest()
    person.panel.input.look()
    assert volume.GetSpacing()[0] == pytest.approx(25.4 / 72, rel=1e-3)
    assert "enter 1 mm for pixels" in person.panel.input.obstacle


def test_the_devices_are_those_that_the_worker_names(person):
    person.wait_until(lambda: bool(person.panel.worker.devices))
    combo = person.widget("deviceCombo")
    assert [combo.itemData(i) for i in range(2)] == ["auto", "cpu"] and combo.itemText(1).startswith("CPU")


def test_a_volume_that_is_opened_later_and_shown_is_the_one_that_is_looked_at(person):
    person.open(SAMPLE)
    second = person.desktop.open(PICTURE)
    person.rest()
    assert person.panel.input.volume is second


def test_a_volume_that_another_module_makes_does_not_take_the_place_of_the_chosen_one(person):
    import slicer

    first = person.open(SAMPLE)
    made = person.desktop.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "made")
    slicer.util.updateVolumeFromArray(made, np.zeros((4, 4, 4)))
    person.rest()
    assert person.panel.input.volume is first


def test_the_views_show_what_the_person_chooses(person):
    first = person.open(SAMPLE)
    person.desktop.open(PICTURE)
    person.rest()
    person.panel.input.choose_volume(first)
    person.rest()
    composite = person.desktop.slice_views["Green"].logic.GetSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == first.GetID()
