"""What goes into a review store comes out of it as it was said, by whom it was said, and nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LandmarkDetectorLib.core import ImageError, Landmark, LandmarkDetectorWarning, LandmarkSet
from LandmarkDetectorLib.review import REVIEWED, STATUSES, Correction, ReviewError, ReviewStore
from LandmarkDetectorLib.review.state import replay
from Testing.review.toys import ABOUT, make_image, make_proposal

ROOT = Path(__file__).resolve().parents[2]


def test_a_new_store_is_the_owners_alone_and_says_what_it_is(store: ReviewStore) -> None:
    if os.name == "posix":
        assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert "nothing in it is ever written over" in " ".join((store.folder / "README.txt").read_text().split())
    assert json.loads((store.folder / "review-store.json").read_text())["format"] == 1


def test_a_folder_that_holds_something_does_not_become_a_store(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ReviewError, match="not empty"):
        ReviewStore.create(tmp_path)
    with pytest.raises(ReviewError, match="no review store"):
        ReviewStore.open(tmp_path)


def test_a_store_of_a_newer_version_is_refused_with_a_sentence(store: ReviewStore) -> None:
    path = store.folder / "review-store.json"
    newer = {**json.loads(path.read_text()), "format": 2}
    path.chmod(0o600)
    path.write_text(json.dumps(newer))
    with pytest.raises(ReviewError, match=r"has format 2 and this version reads up to 1; update the software\."):
        ReviewStore.open(store.folder)


def test_the_same_image_is_the_same_case_under_any_name_and_another_voxel_makes_another(
    store: ReviewStore, image_file: Callable[..., Path]
) -> None:
    first = store.add_image(image_file())
    assert store.add_image(image_file(name="copy.nii.gz")) == first
    image = make_image()
    assert store.add_image(image) == first
    image.array[0, 0, 0, 0] += 1
    assert store.add_image(image) != first


def test_a_case_is_called_by_nothing_that_says_whose_it_is(store: ReviewStore, case: str, tmp_path: Path) -> None:
    other = ReviewStore.create(tmp_path / "others")
    assert other.add_image(make_image()) != case, "the id must not link two stores"
    digest = store.case(case).image["sha256"]
    assert case[len("case-") :] not in digest


def test_an_image_that_has_moved_is_found_again_when_it_is_added_from_its_new_place(
    store: ReviewStore, case: str, image_file: Callable[..., Path], tmp_path: Path
) -> None:
    old = image_file()
    new = tmp_path / "archive.nrrd"
    old.rename(new)
    with pytest.raises(ImageError, match="not where it was"):
        store.image(case)
    assert store.add_image(new) == case
    np.testing.assert_array_equal(store.image(case).array, make_image().array)


def test_an_image_that_was_changed_is_not_taken_for_the_reviewed_one(
    store: ReviewStore, case: str, image_file: Callable[..., Path]
) -> None:
    image_file(seed=5)
    with pytest.raises(ImageError, match="changed since it was reviewed"):
        store.image(case)


def test_a_copied_image_outlives_its_file_with_its_grid(store: ReviewStore, image_file: Callable[..., Path]) -> None:
    path = image_file()
    case = store.add_image(path, copy=True)
    path.unlink()
    image = store.image(case)
    assert image.grid.same_as(make_image().grid) and image.name == case


def test_a_case_of_two_dimensions_takes_positions_in_its_plane(store: ReviewStore) -> None:
    case = store.add_image(make_image(dimension=2), copy=True)
    store.record(case, "anna", Correction("nose", "corrected", (1.5, 2.5, 0.0)))  # as Slicer has it
    assert store.reviewed_set(case, "anna")["nose"].position.tolist() == [1.5, 2.5]
    with pytest.raises(ReviewError, match="plane"):
        store.record(case, "anna", Correction("nose", "corrected", (1.5, 2.5, 4.0)))


def test_a_proposal_comes_back_with_every_number_and_can_not_be_changed(store: ReviewStore, case: str) -> None:
    (proposal,) = store.case(case).proposals()
    for found, said in zip(proposal.landmarks, make_proposal(), strict=True):
        assert (found.label, found.confidence) == (said.label, said.confidence)
        np.testing.assert_array_equal(found.position, said.position)
        np.testing.assert_array_equal(found.covariance, said.covariance)
    assert {key: getattr(proposal, key) for key in ABOUT} == ABOUT
    (path,) = store.case(case).folder.glob("proposal-*")
    assert not path.stat().st_mode & 0o222


def test_before_anybody_looked_the_state_is_the_newest_proposal(store: ReviewStore, case: str) -> None:
    store.add_proposal(case, make_proposal(shift=1.0))
    state = store.state(case, "anna")
    assert state.counts() == {**dict.fromkeys(STATUSES, 0), "unreviewed": 3, "not found": 1}
    assert state.entries["nasion"].position == (2.0, 2.0, 3.0)
    assert all(mark.status == "undefined" for mark in state.reviewed_set()), "a proposal is no answer"


def test_a_correction_keeps_who_when_before_after_seconds_bundle_and_software(store: ReviewStore, case: str) -> None:
    (record,) = store.record(case, "Anna Müller", Correction("nasion", "corrected", (1.0, 2.0, 3.5), seconds=4.5))
    assert record["observer"] == "Anna Müller" and record["at"].endswith("+00:00") and record["seconds"] == 4.5
    assert record["before"] == {"status": "unreviewed", "position": [1.0, 2.0, 3.0]}
    assert record["after"] == {"status": "corrected", "position": [1.0, 2.0, 3.5]}
    assert record["bundle"] == ABOUT["fingerprint"] and record["software"]
    assert record["proposal"] == store.case(case).proposals()[-1].id
    (log,) = store.case(case).folder.glob("corrections-anna-muller-*.jsonl")
    assert json.loads(log.read_text()) == record


def test_what_is_said_later_stands_behind_what_was_said_before(store: ReviewStore, case: str) -> None:
    store.record(case, "anna", Correction("nasion", "absent"))
    store.record(case, "anna", Correction("nasion", "corrected", (0, 0, 0)))
    (last,) = store.record(case, "anna", Correction("nasion", "unreviewed"))
    assert [record["after"]["status"] for record in store.case(case).history("anna")] == [
        "absent",
        "corrected",
        "unreviewed",
    ]
    assert last["before"]["position"] == [0, 0, 0]
    assert store.state(case, "anna").entries["nasion"].position == (1.0, 2.0, 3.0), "back to the proposal"


def test_a_review_is_reopened_where_it_was_left_by_another_program(store: ReviewStore, case: str) -> None:
    store.record(case, "anna", Correction("nasion", "confirmed"), Correction("bregma", "corrected", (5, 5, 5)))
    store.record(case, "anna", Correction("inion", "absent"), Correction("lambda", "corrected", (6, 6, 6)))
    state = ReviewStore.open(store.folder).state(case, "anna")
    assert {label: entry.status for label, entry in state.entries.items()} == {
        "nasion": "confirmed",
        "basion": "unreviewed",
        "inion": "absent",
        "bregma": "corrected",
        "lambda": "corrected",
    }
    assert state.waiting == ["basion"]


def test_a_new_detection_moves_what_waits_and_leaves_what_was_reviewed(store: ReviewStore, case: str) -> None:
    store.record(case, "anna", Correction("nasion", "confirmed"))
    first = store.case(case).proposals()[0].id
    store.add_proposal(case, make_proposal(shift=2.0))
    state = store.state(case, "anna")
    assert state.entries["nasion"].position == (1.0, 2.0, 3.0) and state.entries["nasion"].proposal == first
    assert state.entries["basion"].position == (4.0, 7.0, 6.0)


def test_a_person_confirms_the_proposal_that_she_saw(store: ReviewStore, case: str) -> None:
    seen = store.case(case).proposals()[-1].id
    store.add_proposal(case, make_proposal(shift=2.0))  # by another program, meanwhile
    store.record(case, "anna", Correction("nasion", "confirmed", proposal=seen))
    assert store.state(case, "anna").entries["nasion"].position == (1.0, 2.0, 3.0)


def test_observers_do_not_see_each_others_corrections(store: ReviewStore, case: str) -> None:
    store.record(case, "anna", Correction("nasion", "corrected", (1, 1, 1)))
    store.record(case, "Anna", Correction("nasion", "absent"))  # another person; on many disks the same file name
    assert store.state(case, "anna").entries["nasion"].status == "corrected"
    assert store.state(case, "Anna").entries["nasion"].status == "absent"
    assert store.case(case).observers() == ["Anna", "anna"]


def test_what_all_say_is_the_mean_the_majority_and_of_a_tie_nothing(store: ReviewStore, case: str) -> None:
    said = {"anna": (0, 0, 0), "ben": (2, 0, 0)}
    for name, place in said.items():
        store.record(case, name, Correction("nasion", "corrected", place))
    store.record(case, "anna", Correction("basion", "absent"), Correction("inion", "absent"))
    store.record(case, "ben", Correction("basion", "absent"), Correction("inion", "confirmed"))
    marks = store.reviewed_set(case)
    assert marks["nasion"].position.tolist() == [1, 0, 0]
    assert [marks[label].status for label in ("basion", "inion", "bregma")] == ["missing", "undefined", "undefined"]


def test_what_has_been_said_already_is_not_said_again(store: ReviewStore, case: str) -> None:
    for _ in range(3):
        store.record(case, "anna", Correction("nasion", "confirmed"))
    assert len(store.case(case).history("anna")) == 1


@pytest.mark.parametrize(
    ("correction", "words"),
    [
        (Correction("nasion", "sure"), "no status"),
        (Correction("", "absent"), "label"),
        (Correction("nasion", "corrected"), "no position"),
        (Correction("nasion", "corrected", (1, 2)), "2D"),
        (Correction("nasion", "corrected", (1, 2, float("nan"))), "finite"),
        (Correction("nasion", "corrected", "left"), "finite"),
        (Correction("nasion", "absent", (1, 2, 3)), "leave that out"),
        (Correction("nasion", "confirmed", (1, 2, 4)), "call it corrected"),
        (Correction("bregma", "confirmed"), "nothing was proposed"),
        (Correction("lambda", "confirmed"), "nothing was proposed"),
        (Correction("nasion", "confirmed", proposal="another"), "no proposal"),
        (Correction("nasion", "confirmed", seconds=-1), "cannot have been spent"),
    ],
)
def test_a_correction_that_cannot_be_is_refused_before_anything_is_stored(
    store: ReviewStore, case: str, correction: Correction, words: str
) -> None:
    with pytest.raises(ReviewError, match=words):
        store.record(case, "anna", Correction("inion", "absent"), correction)
    assert store.case(case).history("anna") == []


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "consensus", "x" * 201])
def test_an_observer_has_a_name_that_means_one_person(store: ReviewStore, case: str, name: str) -> None:
    with pytest.raises(ReviewError, match="observer"):
        store.record(case, name, Correction("nasion", "absent"))


def test_names_of_any_script_and_folders_with_spaces_do(tmp_path: Path) -> None:
    store = ReviewStore.create(tmp_path / "Прегледи für Ω" / "a b")
    case = store.add_image(make_image(), copy=True)
    observers = ["Ωμέγα", "José", "Jose", "王芳", "../../etc", "CON"]
    for number, name in enumerate(observers):
        store.record(case, name, Correction("näsion", "corrected", (number, 0, 0)))
    fresh = ReviewStore.open(store.folder)
    assert fresh.case(case).observers() == sorted(observers)
    assert [fresh.reviewed_set(case, name).positions[0, 0] for name in observers] == list(range(len(observers)))
    assert fresh.verify(images=True) == []


def test_landmarks_of_another_image_are_no_proposal(store: ReviewStore, case: str) -> None:
    marks = LandmarkSet((Landmark("a", (1, 2)),))
    with pytest.raises(ReviewError, match="2D"):
        store.add_proposal(case, marks)
    with pytest.raises(ReviewError, match="px"):
        store.add_proposal(case, LandmarkSet((Landmark("a", (1, 2, 3)),), "px"))
    with pytest.raises(ReviewError, match="twice"):
        store.add_proposal(case, LandmarkSet((Landmark("a"), Landmark("a"))))
    with pytest.raises(ReviewError, match="no case"):
        store.add_proposal("../scans", marks)


def test_the_statuses_are_those_of_the_panel() -> None:
    path = ROOT / "LandmarkDetector" / "Scene" / "state.py"
    spec = importlib.util.spec_from_file_location("scene_state", path)
    assert spec is not None and spec.loader is not None
    scene = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = scene
    spec.loader.exec_module(scene)
    assert scene.STATUSES == STATUSES and scene.REVIEWED == REVIEWED


def test_a_review_needs_no_torch() -> None:
    heavy = "('torch', 'monai', 'SimpleITK')"
    code = f"import sys, LandmarkDetectorLib.review; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_no_error_names_the_image_or_shows_what_is_in_it(store: ReviewStore, case: str, image_file) -> None:
    image_file().unlink()
    with pytest.raises(ImageError) as refused:
        store.image(case)
    assert "Doe" not in str(refused.value)


LABELS = ("nasion", "basion", "bregma", "new")


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(LABELS),
            st.sampled_from(("confirmed", "corrected", "absent", "unreviewed")),
            st.integers(0, 9),
        ),
        max_size=12,
    )
)
def test_the_state_is_what_was_said_last_of_each_landmark(said: list[tuple[str, str, int]]) -> None:
    records = [
        {
            "label": label,
            "at": f"2026-01-01T00:00:{number:02d}",
            "proposal": None,
            "seconds": 1.0,
            "after": {"status": status, "position": [x, 0, 0] if status in ("confirmed", "corrected") else None},
        }
        for number, (label, status, x) in enumerate(said)
    ]
    state = replay("case", "anna", "mm", [], records)
    last = {label: (status, x) for label, status, x in said}
    expected = {label: status for label, (status, _) in last.items() if status != "unreviewed"}
    assert {label: entry.status for label, entry in state.entries.items()} == expected
    for label, (status, x) in last.items():
        if status in ("confirmed", "corrected"):
            assert state.entries[label].position == (x, 0, 0)
            assert state.entries[label].seconds == sum(name == label for name, _, _ in said)


def test_a_proposal_stands_behind_those_that_were_there_also_when_the_clock_went_back(
    store: ReviewStore, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("LandmarkDetectorLib.review.proposals.now", lambda: "2001-01-01T00:00:00.000000+00:00")
    later = [store.add_proposal(case, make_proposal(shift)) for shift in (0.5, 1.0)]
    assert [proposal.id for proposal in store.case(case).proposals()][1:] == later


def test_whose_an_image_is_must_be_said_when_it_is_added(store: ReviewStore, image_file) -> None:
    case = store.add_image(image_file())
    with pytest.warns(LandmarkDetectorWarning, match=f"{case}: it was stored with no subject, and stays so"):
        assert store.add_image(image_file(), subject="s1") == case
    assert store.case(case).about["subject"] == ""
