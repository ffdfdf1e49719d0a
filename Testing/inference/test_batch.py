"""A folder of images: everything that can be read is found, one bad file stops nothing, nothing is done twice."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.core import Cancelled, ImageError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.inference import Detection
from LandmarkDetectorLib.inference.batch import (
    Batch,
    Row,
    Source,
    done_landmarks,
    find_images,
    is_done,
    look_for_images,
    outputs_of,
    read_summary,
    run_batch,
    write_summary,
)
from LandmarkDetectorLib.inference.client import SubprocessWorker, kill_tree
from LandmarkDetectorLib.inference.serve import write_outputs
from LandmarkDetectorLib.io import load_image, load_landmarks, save_image, save_landmarks
from Testing.inference.worker_process import HEAD, noise, sample_image
from Testing.io.conftest import DicomMaker

MARKS = LandmarkSet.from_positions(["a", "b"], np.array([[1.0, 2.0, 3.0], [np.nan] * 3]))


def names(folder: Path) -> list[str]:
    return [source.name for source in find_images(folder)]


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def make_series(folder: Path, **tags: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    DicomMaker().series_in(folder, noise((3, 4, 5)), **tags)


def test_images_are_found_however_deep_and_other_files_are_counted(tmp_path: Path) -> None:
    for name in (
        "b.nii.gz",
        "a b/ü 頭.NRRD",
        "a b/c/d.png",
        "a b/c/d.mrk.json",
        "notes.txt",
        "a b/raw.raw",
        ".hidden.nii",
    ):
        touch(tmp_path / name)
    touch(tmp_path / ".cache" / "x.nii")
    found = find_images(tmp_path)
    assert [source.name for source in found] == ["a b/c/d", "a b/ü 頭", "b"]
    assert found[1].path == tmp_path / "a b" / "ü 頭.NRRD"
    assert found.ignored == 4 and found.troubles == []


def test_the_search_gives_way_after_every_file(tmp_path: Path) -> None:
    for number in range(50):
        touch(tmp_path / f"{number}.nii")
    looked_at = [findings.looked_at for findings in look_for_images(tmp_path)]
    assert max(np.diff(looked_at)) == 1 and looked_at[-1] == 50


def test_a_tree_of_dicom_series_is_one_image_a_series(tmp_path: Path) -> None:
    make_series(tmp_path / "p1" / "ct")
    make_series(tmp_path / "p1" / "mr")
    make_series(tmp_path / "p2", SeriesNumber=4)
    for path in DicomMaker().series_in(tmp_path / "other", noise((2, 4, 5)), SeriesNumber=9):
        path.rename(tmp_path / "p2" / f"second-{path.stem}")  # no suffix: by its content
    (tmp_path / "other").rmdir()
    touch(tmp_path / "p2" / "DICOMDIR.txt")
    found = find_images(tmp_path)
    assert [source.name for source in found] == ["p1/ct", "p1/mr", "p2/series-4", "p2/series-9"]
    assert found[0].path == tmp_path / "p1" / "ct" and found[0].series is None and found.ignored == 1
    shapes = [load_image(source.path, series=source.series).array.shape for source in found]
    assert shapes == [(1, 3, 4, 5)] * 3 + [(1, 2, 4, 5)]


def test_a_folder_that_is_itself_a_series_is_found_under_its_own_name(tmp_path: Path) -> None:
    make_series(tmp_path / "skull")
    assert names(tmp_path / "skull") == ["skull"]


def test_dicom_images_without_a_place_in_the_patient_are_one_each(tmp_path: Path) -> None:
    make_series(tmp_path, ImagePositionPatient=None, ImageOrientationPatient=None)
    found = find_images(tmp_path)
    assert len(found) == 3 and all(load_image(source.path).dimension == 2 for source in found)


def test_a_damaged_slice_does_not_hide_its_series(tmp_path: Path) -> None:
    make_series(tmp_path / "s")
    touch(tmp_path / "s" / "IM9999.dcm")
    touch(tmp_path / "alone" / "x.dcm")
    found = find_images(tmp_path)
    assert [source.name for source in found] == ["alone/x", "s"]
    with pytest.raises(ImageError, match="IM9999"):
        load_image(found[1].path)


def test_no_two_images_have_the_same_name(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "a.nrrd", "c.hdr", "c.img", "b/x.png"):
        touch(tmp_path / name)
    make_series(tmp_path / "a")
    assert names(tmp_path) == ["a", "a.nii.gz", "a.nrrd", "b/x", "c"]


def test_an_image_called_summary_and_the_batch_s_table_do_not_overwrite_each_other(tmp_path: Path) -> None:
    make_series(tmp_path / "in" / "summary")
    touch(tmp_path / "in" / "Summary.png")
    touch(tmp_path / "in" / "b" / "summary.png")
    assert names(tmp_path / "in") == ["Summary.png", "b/summary", "summary-2"]
    touch(tmp_path / "alone" / "summary.nii.gz")
    assert names(tmp_path / "alone") == ["summary.nii.gz"]
    batch = Batch(find_images(tmp_path / "in"), tmp_path / "out", "solid")
    while not batch.over:
        job = batch.step()
        assert job is not None
        write_outputs(Detection(MARKS), list(job.outputs), "LPS")
        batch.done(Detection(MARKS))
    assert [row.status for row in read_summary(batch.summary)] == ["done"] * 3
    assert all(is_done(source, tmp_path / "out") for source in batch.sources)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_loops_of_links_end_and_links_to_images_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    touch(folder / "a.nii")
    touch(tmp_path / "elsewhere" / "b.nii")
    (folder / "up").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (folder / "broken.nii").symlink_to(tmp_path / "nowhere.nii")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(tmp_path / "elsewhere")
    assert names(folder) == ["a", "again/b", "broken"]


def test_a_folder_that_cannot_be_opened_is_reported_and_the_rest_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "a.nii")
    touch(tmp_path / "closed" / "b.nii")
    really = os.scandir

    def refuse(path: Path) -> Iterator[os.DirEntry]:  # the tests may run as root, whom no permission stops
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return really(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_images(tmp_path)
    assert [source.name for source in found] == ["a"]
    assert found.troubles == ["closed: the folder cannot be opened (Permission denied); check its permissions."]
    with pytest.raises(ImageError, match="closed"):
        find_images(tmp_path / "closed")


def test_a_folder_that_is_not_there_is_an_error_and_an_empty_one_is_not(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such folder"):
        find_images(tmp_path / "none")
    assert names(tmp_path) == []


def test_outputs_lie_as_deep_as_their_images(tmp_path: Path) -> None:
    source = Source(Path("in/a/b.nii.gz"), "a/b")
    assert outputs_of(source, tmp_path, (".mrk.json", ".xlsx")) == [tmp_path / "a/b.mrk.json", tmp_path / "a/b.xlsx"]


def test_an_image_is_done_when_all_its_files_can_be_read(tmp_path: Path) -> None:
    source = Source(Path("b.nii.gz"), "b")
    first, second = outputs_of(source, tmp_path)
    assert not is_done(source, tmp_path)
    save_landmarks(MARKS, first)
    assert not is_done(source, tmp_path)
    second.write_text("label,x_lps_mm\n")
    assert not is_done(source, tmp_path)
    save_landmarks(MARKS, second)
    assert is_done(source, tmp_path)


def test_missing_files_are_made_from_the_one_that_a_person_may_have_corrected(tmp_path: Path) -> None:
    outputs = outputs_of(Source(Path("b.nii"), "b"), tmp_path, (".csv", ".mrk.json", ".xlsx"))
    assert done_landmarks(outputs) is None and list(tmp_path.iterdir()) == []
    corrected = LandmarkSet.from_positions(["a"], np.array([[9.0, 9.0, 9.0]]))
    save_landmarks(corrected, outputs[1])
    before = outputs[1].read_bytes()
    outputs[0].write_bytes(b"cut")
    assert done_landmarks(outputs) is not None
    assert outputs[1].read_bytes() == before
    for output in outputs:
        np.testing.assert_array_equal(load_landmarks(output).positions, corrected.positions)


def test_a_summary_reads_back_and_holds_no_formula(tmp_path: Path) -> None:
    rows = [
        Row("a/ü", "done", 1.25, 3, 4, ("one, two.", "three.")),
        Row("=cmd()", "failed", 0.5, error="=cmd().nii: it is\nempty."),
        Row("c", "skipped", None, 4, 4),
    ]
    write_summary(rows, tmp_path / "s.csv")
    assert read_summary(tmp_path / "s.csv") == rows
    text = (tmp_path / "s.csv").read_text(encoding="utf-8-sig")
    assert text.splitlines()[0] == "image,status,seconds,landmarks found,landmarks,notices,error"
    assert not any(cell.startswith("=") for line in csv.reader(text.splitlines()) for cell in line)


def test_the_summary_is_whole_after_every_image_and_failures_stop_nothing(tmp_path: Path) -> None:
    sources = [Source(Path(f"{n}.nii"), n) for n in "abc"]
    batch = Batch(sources, tmp_path / "out", "bundle")
    assert read_summary(batch.summary) == []
    assert batch.step() is not None
    batch.done(Detection(MARKS, notices=["Beware."]), ["Mended.", "Beware."])
    (row,) = read_summary(batch.summary)
    assert (row.image, row.status, row.found, row.landmarks) == ("a", "done", 1, 2)
    assert row.notices == ("Mended.", "Beware.") and row.seconds is not None
    job = batch.step()
    assert job is not None and job.source.name == "b" and not batch.over
    batch.failed("b.nii: the file is empty.")
    assert [row.status for row in read_summary(batch.summary)] == ["done", "failed"]
    assert batch.fraction == pytest.approx(2 / 3)


def test_a_batch_goes_on_where_it_was_left(tmp_path: Path) -> None:
    sources = [Source(Path(f"{n}.nii"), n) for n in "abc"]
    first = Batch(sources, tmp_path, "bundle")
    job = first.step()
    assert job is not None
    for output in job.outputs:
        save_landmarks(MARKS, output)
    first.done(Detection(MARKS, notices=["Beware."]))
    first.step()
    first.failed("b.nii: the file is empty.")
    second = Batch(sources, tmp_path, "bundle")
    assert [row.status for row in read_summary(second.summary)] == ["done", "failed"]  # nothing is forgotten
    assert second.step() is None and second.rows[0].status == "skipped"
    assert second.rows[0].notices == ("Beware.",) and second.rows[0].seconds == first.rows[0].seconds
    job = second.step()
    assert job is not None and job.source.name == "b"


@pytest.mark.skipif(sys.platform == "win32", reason="there paths, not names, are too long")
def test_a_name_that_is_too_long_for_its_files_fails_alone(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "b.mha")
    touch(tmp_path / "in" / f"{'a' * 250}.mha")  # with .mrk.json it has more than 255 characters
    batch = Batch(find_images(tmp_path / "in"), tmp_path / "out", "bundle")
    job = batch.step()
    assert job is not None
    with pytest.raises(LandmarkFileError, match="File name too long"):
        write_outputs(Detection(MARKS), list(job.outputs), "LPS")
    batch.failed("The name is too long.")
    job = batch.step()
    assert job is not None and job.source.name == "b"


def test_files_of_another_bundle_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    source = Source(Path("a.nii"), "a")
    save_landmarks(LandmarkSet(MARKS.landmarks, info={"bundle": "other"}), tmp_path / "a.mrk.json")
    batch = Batch([source], tmp_path, "bundle", (".mrk.json",))
    assert batch.step() is None and batch.over
    assert "of the bundle other" in batch.rows[0].notices[0]


@pytest.mark.parametrize(("version", "notices"), [("1.0", 0), ("1.1", 1), ("", 0)])
def test_files_of_an_older_version_are_not_passed_over_in_silence(tmp_path: Path, version: str, notices: int) -> None:
    marks = LandmarkSet(MARKS.landmarks, info={"bundle": "bundle", "version": "1.0"})
    save_landmarks(marks, tmp_path / "a.mrk.json")
    batch = Batch([Source(Path("a.nii"), "a")], tmp_path, "bundle", (".mrk.json",), version=version)
    assert batch.step() is None
    assert len(batch.rows[0].notices) == notices and all(
        "of bundle 1.0; move" in said for said in batch.rows[0].notices
    )


def test_a_folder_or_format_that_cannot_be_written_is_said_before_anything_is_done(tmp_path: Path) -> None:
    touch(tmp_path / "file")
    with pytest.raises(LandmarkFileError, match="cannot be made"):
        Batch([], tmp_path / "file", "bundle")
    with pytest.raises(LandmarkFileError, match="files of landmarks end in"):
        Batch([], tmp_path, "bundle", (".doc",))
    touch(tmp_path / "summary.csv", b"my,own,table\r\n")
    with pytest.raises(LandmarkFileError, match="not the summary of a batch"):
        Batch([], tmp_path, "bundle")
    assert (tmp_path / "summary.csv").read_bytes() == b"my,own,table\r\n"


def test_a_summary_that_is_held_by_another_program_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [Source(Path(f"{n}.nii"), n) for n in "ab"]
    batch = Batch(sources, tmp_path, "bundle")

    def held(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", held)
        batch.step()
        batch.failed("no")
        assert "summary.csv: it cannot be written" in batch.trouble
    batch.step()
    batch.failed("no")
    assert batch.trouble == "" and len(read_summary(batch.summary)) == 2


@pytest.fixture(scope="module")
def worker() -> Iterator[SubprocessWorker]:
    with SubprocessWorker() as process:
        yield process


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "b c").mkdir(parents=True)
    image = sample_image(HEAD)
    for name in ("a.mha", "b c/ä.mha", "z.nii.gz"):
        (folder / name).touch()
    save_image(image, folder / "a.mha")
    save_image(image, folder / "b c" / "ä.mha")
    (folder / "m.nii").write_bytes(b"no image" * 100)
    save_image(type(image).from_array(noise((9, 9, 9))), folder / "z.nii.gz")
    return folder


def test_a_folder_is_done_by_the_real_worker_and_one_bad_file_stops_nothing(
    worker: SubprocessWorker, heads: Path, tmp_path: Path
) -> None:
    batch = Batch(find_images(heads), tmp_path / "out", HEAD, (".mrk.json", ".xlsx"))
    fractions: list[float] = []
    rows = run_batch(batch, worker, HEAD, "cpu", fractions.append)
    assert [(row.image, row.status) for row in rows] == [
        ("a", "done"),
        ("b c/ä", "done"),
        ("m", "failed"),
        ("z", "failed"),
    ]
    assert rows[2].error.startswith("m.nii") and "3D" in rows[3].error and fractions[-1] == 1.0
    assert (
        load_landmarks(tmp_path / "out" / "b c" / "ä.xlsx").labels == load_landmarks(tmp_path / "out/a.mrk.json").labels
    )
    assert sorted(p.name for p in (tmp_path / "out").rglob("*") if p.is_file()) == [
        *("a.mrk.json", "a.xlsx", "summary.csv", "ä.mrk.json", "ä.xlsx")
    ]
    again = run_batch(Batch(find_images(heads), tmp_path / "out", HEAD, (".mrk.json", ".xlsx")), worker, HEAD, "cpu")
    assert [row.status for row in again] == ["skipped", "skipped", "failed", "failed"]


def test_a_worker_that_dies_on_an_image_does_not_stop_the_others(
    heads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch(find_images(heads)[:2], tmp_path / "out", HEAD)
    with SubprocessWorker() as worker:
        asked = worker.detect_file

        def dies(
            path: Path, outputs: list[Path], bundle: str, device: str, _: None, cancelled: None, **more
        ) -> Detection:
            def kill(stage: str, fraction: float) -> None:
                if path.name == "a.mha" and stage == "loading" and worker.pid is not None:
                    kill_tree(worker.pid)

            return asked(path, outputs, bundle, device, kill, cancelled, **more)

        monkeypatch.setattr(worker, "detect_file", dies)
        rows = run_batch(batch, worker, HEAD, "cpu")
    assert [row.status for row in rows] == ["failed", "done"] and "worker was lost" in rows[0].error


def test_a_batch_that_is_cancelled_keeps_what_is_done(worker: SubprocessWorker, heads: Path, tmp_path: Path) -> None:
    batch = Batch(find_images(heads), tmp_path / "out", HEAD)
    with pytest.raises(Cancelled, match="1 of 4"):
        run_batch(batch, worker, HEAD, "cpu", cancelled=lambda: len(batch.rows) == 1)
    assert [row.image for row in read_summary(batch.summary)] == ["a"]
    assert run_batch(Batch(find_images(heads), tmp_path / "out", HEAD), worker, HEAD, "cpu")[0].status == "skipped"
