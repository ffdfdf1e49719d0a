"""landmark-detector detect, through typer: what is written, printed, refused and left alone."""

from __future__ import annotations

import errno
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LandmarkDetectorLib.cli import outputs
from LandmarkDetectorLib.core import LandmarkDetectorWarning
from LandmarkDetectorLib.io import load_landmarks


def picture(path: Path) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(600, dtype=np.uint8).reshape(20, 30)), str(path))
    return path


def test_one_image_becomes_one_file(run, volume, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    image = volume(tmp_path / "skull.nii.gz")
    result = run("detect", image, "--bundle", toy_bundle, "--output", tmp_path / "a" / "marks.mrk.json")
    assert result.exit_code == 0, result.output
    found = load_landmarks(tmp_path / "a" / "marks.mrk.json")
    assert found.labels == ["nasion", "basion", "inion"]
    np.testing.assert_allclose(found["nasion"].position, [-7.5, 22.7, 302.8], atol=1e-6)
    assert [mark.status for mark in found] == ["defined", "defined", "missing"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["marks.mrk.json"]


def test_the_table_shows_label_position_confidence_and_status(
    run, volume, detectors, toy_bundle: Path, tmp_path: Path
) -> None:
    image = volume(tmp_path / "skull.nii.gz")
    result = run("detect", image, "--bundle", toy_bundle, "--output", tmp_path / "m.csv")
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.strip()}
    assert rows["nasion"] == ["-7.50", "22.70", "302.80", "0.75", "defined"]
    assert rows["inion"] == ["–", "–", "–", "–", "missing"]
    assert "LPS mm" in result.stdout and "x (mm)" in result.stdout and "z (mm)" in result.stdout
    assert "networks 0.50 s" in result.stderr and "peak memory" in result.stderr


def test_a_folder_gets_markups_table_and_page(run, volume, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    images = [volume(tmp_path / "in" / name) for name in ("a.nii.gz", "b.nrrd", "c d ü.mha")]
    result = run("detect", *images, "--bundle", toy_bundle, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    expected = {f"{stem}{suffix}" for stem in ("a", "b", "c d ü") for suffix in (".mrk.json", ".csv", ".html")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == expected
    page = (tmp_path / "out" / "a.html").read_text("utf-8")
    assert "nasion" in page and "toy-skull" in page and "1.2.3" in page


def test_no_report_writes_no_page(run, volume, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    run("detect", volume(tmp_path / "a.nrrd"), "--bundle", toy_bundle, "--output", tmp_path / "out", "--no-report")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.mrk.json", "a.csv"}


@pytest.mark.parametrize("suffix", [".mrk.json", ".csv", ".fcsv", ".html"])
def test_the_suffix_decides_the_format(run, volume, detectors, toy_bundle: Path, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"marks{suffix}"
    result = run("detect", volume(tmp_path / "a.nrrd"), "--bundle", toy_bundle, "--output", file)
    assert result.exit_code == 0, result.output
    if suffix == ".html":
        assert file.read_text("utf-8").lstrip().lower().startswith("<!doctype html>")
    else:
        np.testing.assert_allclose(load_landmarks(file)["basion"].position, [-7.25, 22.95, 303.05], atol=1e-4)


def test_json_is_the_only_thing_on_stdout(run, volume, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    detectors.notices.append("Something was assumed.")
    image = volume(tmp_path / "a.nrrd")
    result = run("detect", image, "--bundle", toy_bundle, "--output", tmp_path / "out", "--json")
    document = json.loads(result.stdout)
    assert document["bundle"]["name"] == "toy-skull" and len(document["bundle"]["fingerprint"]) == 64
    (record,) = document["images"]
    assert record["image"] == str(image) and record["unit"] == "mm" and record["coordinates"] == "LPS"
    nasion, _, inion = record["landmarks"]
    assert nasion["label"] == "nasion" and nasion["confidence"] == 0.75 and len(nasion["covariance"]) == 3
    assert inion["position"] is None and inion["status"] == "missing"
    assert record["notices"] == ["Something was assumed."]
    assert all(Path(file).is_file() for file in record["files"]) and len(record["files"]) == 3
    assert "Note: Something was assumed." in result.stderr


def test_json_says_so_too_where_the_only_image_fails(run, refused, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    image = tmp_path / "a.nrrd"
    image.write_bytes(b"no image")
    result = run("detect", image, "--bundle", toy_bundle, "--output", tmp_path / "out", "--json")
    document = json.loads(result.stdout)
    (record,) = document["images"]
    assert document["bundle"]["name"] == "toy-skull" and record["image"] == str(image)
    assert refused(result) == f"Error: {record['error']}" and "a.nrrd" in record["error"]


def test_a_picture_without_scale_is_in_pixels(run, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    result = run("detect", picture(tmp_path / "a.png"), "--bundle", toy_bundle, "--output", tmp_path / "m.mrk.json")
    assert result.exit_code == 0, result.output
    assert "x (px)" in result.stdout and "no physical scale" in result.stdout
    assert "z (" not in result.stdout and "mm" not in result.stdout


@pytest.mark.parametrize(("words", "spacing"), [("0.2", (0.2, 0.2)), ("0.2,0.3", (0.2, 0.3))])
def test_spacing_gives_a_picture_its_scale(
    run, detectors, toy_bundle: Path, tmp_path: Path, words: str, spacing: tuple[float, ...]
) -> None:
    image = picture(tmp_path / "a.png")
    result = run("detect", image, "--bundle", toy_bundle, "--output", tmp_path / "m.csv", "--spacing", words)
    assert result.exit_code == 0, result.output
    assert detectors.images[0].grid.spacing == spacing and detectors.images[0].grid.unit == "mm"


@pytest.mark.parametrize("words", ["0", "-1", "nan", "inf", "a", "1,2,3,4", "", "1;2"])
def test_a_spacing_that_is_none_is_refused(
    run, refused, detectors, toy_bundle: Path, tmp_path: Path, words: str
) -> None:
    image = picture(tmp_path / "a.png")
    result = run("detect", image, "--bundle", toy_bundle, "--output", tmp_path / "m.csv", f"--spacing={words}")
    assert "--spacing" in refused(result)
    assert detectors.images == []


def test_the_device_is_passed_on(run, volume, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    run(
        "detect", volume(tmp_path / "a.nrrd"), "--bundle", toy_bundle, "--output", tmp_path / "m.csv", "--device", "cpu"
    )
    assert detectors.devices == ["cpu"]


def test_an_unknown_bundle_is_refused(run, volume, refused, detectors, tmp_path: Path) -> None:
    result = run("detect", volume(tmp_path / "a.nrrd"), "--bundle", "no-such-thing", "--output", tmp_path / "out")
    assert "no-such-thing" in refused(result)
    assert not (tmp_path / "out").exists()


def test_a_missing_image_is_refused_and_nothing_remains(
    run, refused, detectors, toy_bundle: Path, tmp_path: Path
) -> None:
    result = run("detect", tmp_path / "nowhere.nii.gz", "--bundle", toy_bundle, "--output", tmp_path / "out")
    assert "nowhere.nii.gz" in refused(result)
    assert list(tmp_path.iterdir()) == []


def test_a_bad_image_does_not_stop_the_others(run, volume, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.nii.gz").write_bytes(b"not an image")
    images = [volume(tmp_path / "a.nrrd"), tmp_path / "bad.nii.gz", volume(tmp_path / "c.nrrd")]
    result = run("detect", *images, "--bundle", toy_bundle, "--output", tmp_path / "out", "--json")
    assert result.exit_code == 2
    assert {path.name.split(".")[0] for path in (tmp_path / "out").iterdir()} == {"a", "c"}
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1 and "bad.nii.gz" in errors[0] and "Traceback" not in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("1 of 3 images failed")
    records = json.loads(result.stdout)["images"]
    assert ["error" in record for record in records] == [False, True, False]


def test_two_images_of_one_name_are_refused_before_the_work(
    run, volume, refused, detectors, toy_bundle: Path, tmp_path: Path
) -> None:
    images = [volume(tmp_path / "1" / "Skull.nii.gz"), volume(tmp_path / "2" / "skull.nrrd")]
    result = run("detect", *images, "--bundle", toy_bundle, "--output", tmp_path / "out")
    assert "Skull.nii.gz" in refused(result)
    assert detectors.images == [] and not (tmp_path / "out").exists()


def test_one_file_for_two_images_is_refused(run, volume, refused, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    images = [volume(tmp_path / "a.nrrd"), volume(tmp_path / "b.nrrd")]
    assert "2 images" in refused(run("detect", *images, "--bundle", toy_bundle, "--output", tmp_path / "m.csv"))


@pytest.mark.parametrize("name", ["marks.json", "marks.txt", "marks.xls"])
def test_an_unknown_format_is_refused(
    run, volume, refused, detectors, toy_bundle: Path, tmp_path: Path, name: str
) -> None:
    result = run("detect", volume(tmp_path / "a.nrrd"), "--bundle", toy_bundle, "--output", tmp_path / name)
    assert ".mrk.json" in refused(result)


def test_a_corrected_file_is_not_replaced(run, volume, refused, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    image, output = volume(tmp_path / "a.nrrd"), tmp_path / "out"
    output.mkdir()
    (output / "a.mrk.json").write_text("corrected by hand")
    words = ("detect", image, "--bundle", toy_bundle, "--output", output)
    assert "--overwrite" in refused(run(*words))
    assert (output / "a.mrk.json").read_text() == "corrected by hand"
    assert [path.name for path in output.iterdir()] == ["a.mrk.json"] and detectors.images == []
    assert run(*words, "--overwrite").exit_code == 0
    assert load_landmarks(output / "a.mrk.json").labels == ["nasion", "basion", "inion"]


def test_warnings_are_shown_once_in_one_line(run, volume, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    def warn(_: object) -> None:
        warnings.warn("The spacing was mended.", LandmarkDetectorWarning, stacklevel=1)
        warnings.warn("A matter of developers.", DeprecationWarning, stacklevel=1)

    detectors.before = warn
    images = [volume(tmp_path / "a.nrrd"), volume(tmp_path / "b.nrrd")]
    result = run("detect", *images, "--bundle", toy_bundle, "--output", tmp_path / "out", "--no-report")
    assert result.stderr.count("Warning: The spacing was mended.\n") == 1
    assert "developers" not in result.stderr


def interrupt_at(detectors, number: int) -> None:
    def interrupt(_: object) -> None:
        if len(detectors.images) == number:
            raise KeyboardInterrupt

    detectors.before = interrupt


def test_ctrl_c_writes_nothing_and_says_so(run, volume, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    interrupt_at(detectors, 1)
    result = run("detect", volume(tmp_path / "a.nrrd"), "--bundle", toy_bundle, "--output", tmp_path / "out")
    assert (result.exit_code, result.stderr.strip()) == (130, "Cancelled; nothing was written.")
    assert not (tmp_path / "out").exists()


def test_ctrl_c_in_a_batch_says_what_was_written(run, volume, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    interrupt_at(detectors, 2)
    images = [volume(tmp_path / "a.nrrd"), volume(tmp_path / "b.nrrd")]
    result = run("detect", *images, "--bundle", toy_bundle, "--output", tmp_path / "out", "--no-report")
    assert result.exit_code == 130
    assert result.stderr.strip().splitlines()[-1] == "Cancelled; the files of 1 of 2 images are written."
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.mrk.json", "a.csv"}


def test_a_disk_that_fills_up_leaves_no_part_of_a_result(
    run, volume, refused, detectors, toy_bundle: Path, tmp_path: Path, monkeypatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("LandmarkDetectorLib.evaluation.render_report", full)
    result = run("detect", volume(tmp_path / "a.nrrd"), "--bundle", toy_bundle, "--output", tmp_path / "out")
    assert "No space left on device" in refused(result)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_place_where_no_folder_can_be_is_refused_before_the_work(
    run, volume, refused, detectors, toy_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    images = [volume(tmp_path / "a.nrrd"), volume(tmp_path / "b.nrrd")]
    result = run("detect", *images, "--bundle", toy_bundle, "--output", tmp_path / "file" / "out")
    assert "can be no folder" in refused(result) and detectors.images == []


def test_a_folder_that_may_not_be_written_is_refused_before_the_work(
    run, volume, refused, detectors, toy_bundle: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(outputs.os, "access", lambda place, mode: Path(place) != tmp_path)  # root may write everywhere
    result = run("detect", volume(tmp_path / "a.nrrd"), "--bundle", toy_bundle, "--output", tmp_path / "out")
    assert f"{tmp_path} cannot be written by you" in refused(result) and detectors.images == []


def test_where_every_image_fails_no_files_of_others_are_promised(
    run, detectors, toy_bundle: Path, tmp_path: Path
) -> None:
    result = run("detect", tmp_path / "a", tmp_path / "b", "--bundle", toy_bundle, "--output", tmp_path / "out")
    assert result.stderr.strip().splitlines()[-1] == "All 2 images failed, see above; no landmarks were written."


def test_what_the_system_refuses_is_said_in_words_for_each_image(
    run, volume, detectors, toy_bundle: Path, tmp_path: Path
) -> None:
    def refuse(_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    detectors.before = refuse
    images = [volume(tmp_path / "a.nrrd"), volume(tmp_path / "b.nrrd")]
    result = run("detect", *images, "--bundle", toy_bundle, "--output", tmp_path / "out")
    assert "Error: a.nrrd: The system refused: Input/output error; mend that" in result.stderr


def test_too_little_memory_is_said_in_one_sentence(
    run, volume, refused, detectors, toy_bundle: Path, tmp_path: Path
) -> None:
    def exhaust(_: object) -> None:
        raise MemoryError

    detectors.before = exhaust
    result = run("detect", volume(tmp_path / "a.nrrd"), "--bundle", toy_bundle, "--output", tmp_path / "m.csv")
    assert "memory" in refused(result)


def test_a_defect_is_owned_without_a_traceback(run, volume, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("division by zero")

    detectors.before = fail
    words = ("detect", volume(tmp_path / "a.nrrd"), "--bundle", toy_bundle, "--output", tmp_path / "m.csv")
    result = run(*words)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1 and "--debug" in result.stderr and "division by zero" in result.stderr
    shown = run(*words, "--debug")
    assert shown.exit_code == 1 and "Traceback" in shown.stderr and "ZeroDivisionError" in shown.stderr


def test_a_sentence_with_brackets_is_printed_as_it_is(
    run, refused, detectors, toy_bundle: Path, tmp_path: Path
) -> None:
    result = run("detect", tmp_path / "[bold] skull[1].nii.gz", "--bundle", toy_bundle, "--output", tmp_path / "m.csv")
    assert "[bold] skull[1].nii.gz" in refused(result)


def test_a_folder_is_named_after_itself(run, detectors, toy_bundle: Path, tmp_path: Path, monkeypatch) -> None:
    """A DICOM series is a folder; here only its name matters."""
    from LandmarkDetectorLib.core import Image

    series = tmp_path / "case.7"
    series.mkdir()
    read = Image.from_array(np.zeros((4, 5, 6)), name="case.7")
    monkeypatch.setattr("LandmarkDetectorLib.io.images.load_image", lambda path, **how: read)
    result = run("detect", series, "--bundle", toy_bundle, "--output", tmp_path / "out", "--no-report")
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"case.7.mrk.json", "case.7.csv"}


def test_demo_detects_on_the_bundles_own_sample_again_and_again(
    run, detectors, toy_bundle: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        result = run("demo", "--bundle", toy_bundle, "--output", tmp_path / "output")
        assert result.exit_code == 0, result.output
        assert "nasion" in result.stdout
    assert {path.name for path in (tmp_path / "output").iterdir()} == {"toy.mrk.json", "toy.csv", "toy.html"}


def test_what_was_found_is_measured_where_a_set_is_given(run, toy_bundle, detectors, volume, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(
        "title: Toy\ndescription: d\ncitation: c\n"
        "landmarks: {N: {title: nasion}, B: {title: basion}, I: {title: inion}}\nmeasurements:\n"
        "  - {name: NB, title: N to B, formula: 'distance(N, B)', unit: mm, no_norm: a toy}\n"
        "  - {name: NI, title: N to I, formula: 'distance(N, I)', unit: mm, no_norm: a toy}\n"
    )
    image, out = volume(tmp_path / "skull.nii.gz"), tmp_path / "out"
    words = ("detect", image, "--bundle", toy_bundle, "--output", out, "--measure", own)
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == {
        "skull.mrk.json", "skull.csv", "skull.html", "skull.measurements.csv", "skull.measurements.html",
    }  # fmt: skip
    assert "0.4 mm" in result.stdout and "not computed: needs inion" in result.stdout
    page = (out / "skull.measurements.html").read_text("utf-8")
    assert "Proposal, not reviewed" in page and "Three landmarks of a toy" in page
    told = json.loads(run(*words, "--overwrite", "--json").stdout)["images"][0]["measurements"]["results"]
    assert told[0]["value"] == pytest.approx(0.25 * 3**0.5) and told[1]["value"] is None
    missing = run("detect", image, "--bundle", toy_bundle, "--output", tmp_path / "o", "--measure", "gone")
    assert missing.exit_code == 2 and "There is no set of measurements 'gone'" in missing.stderr


def test_a_link_gives_its_own_name_to_the_results(run, volume, detectors, toy_bundle: Path, tmp_path: Path) -> None:
    volume(tmp_path / "annex" / "MD5E-s12.nii.gz")
    links = [tmp_path / name for name in ("sub-01_T1w.nii.gz", "sub-02_T1w.nii.gz")]
    for link in links:
        link.symlink_to(tmp_path / "annex" / "MD5E-s12.nii.gz")
    result = run("detect", *links, "--bundle", toy_bundle, "--output", tmp_path / "out", "--no-report")
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "out").glob("*.csv")} == {"sub-01_T1w.csv", "sub-02_T1w.csv"}


def test_a_defect_with_one_image_does_not_keep_the_others_waiting(
    run, volume, detectors, toy_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import LandmarkDetectorLib.io.images as io

    def broken(path, **how):
        if Path(path).name == "a.nii.gz":
            raise ValueError("cannot reshape")
        return load_image(path, **how)

    load_image = io.load_image
    monkeypatch.setattr(io, "load_image", broken)
    images = [volume(tmp_path / name) for name in ("a.nii.gz", "b.nii.gz")]
    result = run("detect", *images, "--bundle", toy_bundle, "--output", tmp_path / "out", "--no-report", "--json")
    assert result.exit_code == 2 and (tmp_path / "out" / "b.csv").is_file()
    assert "Error: a.nii.gz: a defect of landmark-detector (ValueError)" in result.stderr
    assert ["error" in one for one in json.loads(result.stdout)["images"]] == [True, False]


def test_what_was_mended_in_reading_stands_with_the_notices(
    run, volume, detectors, toy_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import LandmarkDetectorLib.io.images as io

    def mending(path, **how):
        warnings.warn("a: NaN was mended.", LandmarkDetectorWarning, stacklevel=1)
        return load_image(path, **how)

    load_image = io.load_image
    monkeypatch.setattr(io, "load_image", mending)
    words = ("detect", volume(tmp_path / "a.nii.gz"), "--bundle", toy_bundle, "--json", "--output")
    assert "a: NaN was mended." in json.loads(run(*words, tmp_path / "a.csv").stdout)["images"][0]["notices"]
    assert run(*words, tmp_path / "a.html").exit_code == 0 and "NaN was mended" in (tmp_path / "a.html").read_text()
