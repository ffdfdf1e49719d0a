"""landmark-detector review, from an empty folder to an export, for a person and for a program."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.core import Landmark, LandmarkSet
from LandmarkDetectorLib.io import save_landmarks
from LandmarkDetectorLib.review import Correction, ReviewStore

FOUND = LandmarkSet(
    (Landmark("nasion", (-9.0, 21.0, 301.0), confidence=0.4), Landmark("basion", (-8.0, 22.0, 302.0), confidence=0.9)),
    info={"bundle": "toy-skull", "version": "1.2.3", "fingerprint": "f" * 64},
)


@pytest.fixture
def filled(run, volume, tmp_path: Path) -> tuple[Path, str]:
    """A store with one image and a proposal."""
    store, image = tmp_path / "reviews", volume(tmp_path / "scan.nii.gz")
    assert run("review", "create", store).exit_code == 0
    save_landmarks(FOUND, tmp_path / "found.mrk.json")
    added = run("review", "add", store, image, "--proposal", tmp_path / "found.mrk.json", "--json")
    assert added.exit_code == 0, added.output
    return store, json.loads(added.stdout)[0]["case"]


def test_a_store_is_made_filled_listed_and_exported(run, filled, tmp_path: Path) -> None:
    store, case = filled
    assert case in run("review", "list", store).stdout
    upcoming = run("review", "next", store)
    assert case in upcoming.stdout and "nasion 40% sure" in " ".join(upcoming.stdout.split())
    save_landmarks(LandmarkSet((Landmark("nasion", (-9.5, 21.0, 301.0)),)), tmp_path / "mine.fcsv")
    done = run(
        "review", "import", store, tmp_path / "mine.fcsv", "--image", tmp_path / "scan.nii.gz", "--observer", "a"
    )
    assert done.exit_code == 0 and "New: 1 case, 1 landmark." in done.stderr
    exported = run("review", "export", store, tmp_path / "out", "--form", "bids")
    assert exported.exit_code == 0 and "Wrote 1 case;" in exported.stderr
    verified = run("review", "verify", store, "--images")
    assert verified.exit_code == 0 and "Every record is there and unaltered." in verified.stderr


def test_every_answer_of_a_review_can_be_read_by_a_program(run, filled, tmp_path: Path) -> None:
    store, case = filled
    ReviewStore.open(store).record(case, "anna", Correction("nasion", "confirmed"))
    listed = json.loads(run("review", "list", store, "--json").stdout)
    assert listed["cases"][0]["reviewed"] == {"anna": 1} and listed["cases"][0]["waiting"] == 1
    assert json.loads(run("review", "next", store, "--json").stdout)[0]["case"] == case
    assert json.loads(run("review", "export", store, tmp_path / "out", "--json").stdout)["cases"] == [case]
    assert json.loads(run("review", "verify", store, "--json").stdout) == {"sound": True, "findings": []}
    assert json.loads(run("review", "rebuild", store, "--json").stdout) == {"cases": 1}


def test_a_bundle_that_is_named_is_stored_with_the_proposal(run, filled, toy_bundle: Path, tmp_path: Path) -> None:
    store, case = filled
    result = run(
        *("review", "add", store, tmp_path / "scan.nii.gz", "--bundle", toy_bundle),
        *("--proposal", tmp_path / "found.mrk.json"),
    )
    assert result.exit_code == 0, result.output
    first, second = ReviewStore.open(store).case(case).proposals()
    assert first.fingerprint == "f" * 64 and second.bundle == "toy-skull" and second.fingerprint != first.fingerprint


def test_damage_is_one_sentence_and_an_exit_code(run, refused, filled) -> None:
    store, case = filled
    opened = ReviewStore.open(store)
    opened.record(case, "anna", Correction("nasion", "absent"))
    opened.record(case, "anna", Correction("basion", "absent"))
    (log,) = opened.case(case).folder.glob("corrections-*.jsonl")
    log.write_bytes(log.read_bytes().replace(b'"absent"', b'"Absent"', 1))
    result = run("review", "verify", store)
    assert "1 record is damaged" in refused(result) and "Line 2 does not follow line 0" in result.stdout
    assert "verify says what" in run("review", "list", store).stderr


def test_what_cannot_be_is_refused_in_one_sentence(run, refused, filled, tmp_path: Path) -> None:
    store, _ = filled
    assert "no review store" in refused(run("review", "list", tmp_path / "nowhere"))
    assert "not empty" in refused(run("review", "create", store))
    assert "no form" in refused(run("review", "export", store, tmp_path / "out", "--form", "tarball"))
    assert "first" in refused(run("review", "export", store, tmp_path / "out"))
    assert "--spacing wide" in refused(run("review", "add", store, tmp_path / "scan.nii.gz", "--spacing", "wide"))
    assert "one image" in refused(run("review", "add", store, "a.nii", "b.nii", "--proposal", "c.mrk.json"))


def test_a_proposal_that_does_not_fit_leaves_no_case_of_its_image(run, refused, filled, volume, tmp_path: Path) -> None:
    store, _ = filled
    image = volume(tmp_path / "other.nrrd", 7)
    save_landmarks(LandmarkSet((Landmark("nasion", (1.0, 2.0, 3.0)),), "px"), tmp_path / "pixels.csv")
    for proposal, words in (("gone.mrk.json", "no such file"), ("pixels.csv", "in px and the image in mm")):
        assert words in refused(run("review", "add", store, image, "--proposal", tmp_path / proposal))
    assert len(ReviewStore.open(store).cases()) == 1


def test_one_number_as_spacing_is_that_of_all_axes_of_a_volume_too(run, filled, tmp_path: Path) -> None:
    store, _ = filled
    np.save(tmp_path / "v.npy", np.arange(990, dtype=np.int16).reshape(9, 10, 11))
    (added,) = json.loads(run("review", "add", store, tmp_path / "v.npy", "--spacing", "0.5", "--json").stdout)
    assert ReviewStore.open(store).case(added["case"]).image["spacing"] == [0.5, 0.5, 0.5]
    save_landmarks(LandmarkSet((Landmark("nasion", (1.0, 2.0, 3.0)),)), tmp_path / "mine.csv")
    words = ("--image", tmp_path / "v.npy", "--spacing", "0.5", "--observer", "a", "--json")
    done = json.loads(run("review", "import", store, tmp_path / "mine.csv", *words).stdout)
    assert done["cases"] == [added["case"]] and done["stored"] == 1


def test_an_import_that_leaves_something_out_takes_the_others_and_ends_with_2(run, filled, volume, tmp_path) -> None:
    store, _ = filled
    mine = LandmarkSet((Landmark("nasion", (-9.5, 21.0, 301.0)),))
    for number, (name, marks) in enumerate((("a", mine), ("b", FOUND))):
        volume(tmp_path / "in" / f"{name}.nrrd", 7 * number + 1)
        save_landmarks(marks, tmp_path / "in" / f"{name}.mrk.json")
    done = run("review", "import", store, tmp_path / "in", "--observer", "a", "--json")
    assert done.exit_code == 2 and "Left out: b.nrrd: its landmarks are a detector's" in done.stderr
    assert json.loads(done.stdout)["stored"] == 1


def test_ctrl_c_does_not_deny_the_images_that_are_cases_already(run, volume, tmp_path: Path, monkeypatch) -> None:
    store, images = tmp_path / "store", [volume(tmp_path / "a.nrrd"), volume(tmp_path / "b.nrrd", 1)]
    assert run("review", "create", store).exit_code == 0
    add = ReviewStore.add_image

    def stop(self: ReviewStore, path: Path, **how) -> str:
        if path == images[1]:
            raise KeyboardInterrupt
        return add(self, path, **how)

    monkeypatch.setattr(ReviewStore, "add_image", stop)
    result = run("review", "add", store, *images)
    assert (result.exit_code, result.stderr) == (130, "Cancelled; what was finished before stays.\n")
    assert len(ReviewStore.open(store).cases()) == 1


def test_an_image_that_cannot_be_added_does_not_stop_the_others(run, volume, tmp_path: Path) -> None:
    store, good = tmp_path / "store", volume(tmp_path / "good.nrrd")
    (tmp_path / "bad.nrrd").write_bytes(b"NRRD0004\n")
    assert run("review", "create", store).exit_code == 0
    result = run("review", "add", store, tmp_path / "bad.nrrd", good, "--json")
    assert result.exit_code == 2 and "Error: bad.nrrd" in result.stderr
    first, second = json.loads(result.stdout)
    assert "error" in first and second["case"].startswith("case-")
