"""The locked test set: chosen once, by nobody, growing; what trained is never locked, what is locked never trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.bundles.pipeline import read_pipeline
from LandmarkDetectorLib.review import Correction, ReviewError, ReviewStore
from LandmarkDetectorLib.review.locked import LOCKED, NEITHER, TRAINING, decide_sides, sides_of
from LandmarkDetectorLib.review.material import Material, gather
from LandmarkDetectorLib.review.original import trained_on
from Testing.review.toys import make_image, make_proposal


@pytest.fixture
def filled(store: ReviewStore) -> Callable[..., list[str]]:
    """Adds cases with subjects and families of these names."""

    def fill(subjects: list[str], families: list[str] | None = None, first: int = 0) -> list[str]:
        families = families or [""] * len(subjects)
        return [
            store.add_image(make_image(first + n), subject=subject, family=family, path=f"/nowhere/{first + n}")
            for n, (subject, family) in enumerate(zip(subjects, families, strict=True))
        ]

    return fill


def test_one_in_five_is_locked_and_nothing_ever_changes_sides(store: ReviewStore, filled) -> None:
    cases = filled([f"s{n}" for n in range(10)])
    sides = decide_sides(store, cases)
    assert list(sides.values()).count(LOCKED) == 2
    assert decide_sides(store, cases) == sides == decide_sides(ReviewStore.open(store.folder), cases[::-1])
    more = filled([f"t{n}" for n in range(20)], first=50)
    later = decide_sides(store, [*cases, *more])
    assert {case: later[case] for case in cases} == sides
    assert list(later.values()).count(LOCKED) == 6
    assert sides_of(store, cases) == sides


def test_a_subject_and_a_family_are_never_on_both_sides(store: ReviewStore, filled) -> None:
    cases = filled([f"s{n // 2}" for n in range(24)], [f"f{n // 6}" for n in range(24)])
    sides = decide_sides(store, cases)
    for first in range(0, 24, 6):
        assert len({sides[case] for case in cases[first : first + 6]}) == 1
    assert set(sides.values()) == {LOCKED, TRAINING}


def test_few_cases_all_train_and_from_four_on_one_is_locked(store: ReviewStore, filled) -> None:
    cases = filled(["a", "b", "c"])
    assert set(decide_sides(store, cases).values()) == {TRAINING}
    four = [*cases, *filled(["d"], first=9)]
    sides = decide_sides(store, four)
    assert [sides[case] for case in cases] == [TRAINING] * 3 and sides[four[3]] == LOCKED


def test_what_trained_the_model_before_cannot_be_locked(store: ReviewStore, filled) -> None:
    names = [f"s{n}" for n in range(12)]
    cases = filled(names)
    trained = {store.pseudonym("subject", name) for name in names[:9]}
    sides = decide_sides(store, cases, trained)
    assert [sides[case] for case in cases[:9]] == [TRAINING] * 9
    assert [sides[case] for case in cases[9:]].count(LOCKED) == 2


def test_groups_that_turn_out_to_be_one_are_on_neither_side(store: ReviewStore, filled) -> None:
    cases = filled([f"s{n}" for n in range(10)])
    sides = decide_sides(store, cases)
    locked = next(n for n, case in enumerate(cases) if sides[case] == LOCKED)
    training = next(n for n, case in enumerate(cases) if sides[case] == TRAINING)
    kin = filled([f"s{locked}", f"s{training}"], ["kin", "kin"], first=40)
    later = decide_sides(store, [*cases, *kin])
    of_both = [kin[0], kin[1], cases[locked], cases[training]]
    assert {later[case] for case in of_both} == {NEITHER}
    assert decide_sides(store, [*cases, *kin]) == later == sides_of(store, [*cases, *kin])
    others = [case for case in cases if case not in of_both]
    assert {case: later[case] for case in others} == {case: sides[case] for case in others}


def test_one_more_name_of_a_locked_subject_does_not_count_as_one_more_locked_subject(
    store: ReviewStore, filled
) -> None:
    cases = filled([f"s{n}" for n in range(10)])
    sides = decide_sides(store, cases)
    locked = [n for n, case in enumerate(cases) if sides[case] == LOCKED]
    named = filled([f"s{n}" for n in locked], [f"f{n}" for n in locked], first=40)
    assert {decide_sides(store, [*cases, *named])[case] for case in named} == {LOCKED}
    later = decide_sides(store, [*cases, *named, *filled([f"t{n}" for n in range(10)], first=60)])
    assert list(later.values()).count(LOCKED) - len(named) == 4  # of 20 subjects


def test_another_store_locks_others(tmp_path: Path) -> None:
    chosen = []
    for number in range(6):
        store = ReviewStore.create(tmp_path / f"store {number}")
        cases = [store.add_image(make_image(n), subject=f"s{n}") for n in range(10)]
        sides = decide_sides(store, cases)
        chosen.append(tuple(n for n, case in enumerate(cases) if sides[case] == LOCKED))
    assert len(set(chosen)) > 1


def test_only_what_somebody_vouches_for_is_material(store: ReviewStore, image_file, tmp_path: Path) -> None:
    labels = ["nasion", "basion", "inion", "bregma"]
    for n in range(2):
        case = store.add_image(image_file(n, f"{n}.nrrd"))
        store.add_proposal(case, make_proposal())
        store.record(case, "anna", Correction("nasion", "confirmed"), Correction("inion", "absent"))
        store.record(case, "anna", Correction("basion", "corrected", (1.0, 2.0, 3.5)))
    waiting = store.add_image(image_file(9, "9.nrrd"))
    store.add_proposal(waiting, make_proposal())
    material = gather(store, labels)
    lesson = material.lessons[0]
    assert {label: mark[0] for label, mark in lesson.marks.items()} == {
        "nasion": "confirmed",
        "basion": "corrected",
        "inion": "absent",
    }
    assert lesson.marks["basion"][1:] == [[1.0, 2.0, 3.5], [4.0, 5.0, 6.0]]
    assert [case for case, _ in material.left_out] == [waiting]
    assert material.count() == 6
    material.save(tmp_path / "corrections.json")
    text = (tmp_path / "corrections.json").read_text(encoding="utf-8")
    assert Material.read(tmp_path / "corrections.json").sha256 == material.sha256
    for word in ("Doe", "anna", str(tmp_path)):
        assert word not in text
    (tmp_path / "corrections.json").write_text(text.replace("3.5", "3.6"), encoding="utf-8")
    with pytest.raises(Exception, match="begin anew"):
        Material.read(tmp_path / "corrections.json")


def test_where_one_observer_counts_another_ones_word_changes_nothing(store: ReviewStore, case: str) -> None:
    store.record(case, "anna", Correction("nasion", "confirmed"), Correction("basion", "corrected", (4.0, 5.0, 8.0)))
    alone = gather(store, ["nasion", "basion"], observer="anna")
    store.record(case, "bob", Correction("nasion", "corrected", (2.0, 2.0, 3.0)), Correction("basion", "confirmed"))
    assert gather(store, ["nasion", "basion"], observer="anna") == alone
    assert {label: mark[0] for label, mark in alone.lessons[0].marks.items()} == {
        "nasion": "confirmed",
        "basion": "corrected",
    }
    assert alone.observers == [store.pseudonym("observer", "anna")]


def test_an_altered_choice_is_reported(store: ReviewStore, filled) -> None:
    decide_sides(store, filled([f"s{n}" for n in range(10)]))
    assert not [finding for finding in store.verify() if "locked test set" in finding.message]
    file = store.folder / "locked.jsonl"
    file.write_text(file.read_text(encoding="utf-8").replace('"locked"', '"training"', 1), encoding="utf-8")
    found = [finding for finding in store.verify() if "locked test set" in finding.message]
    assert found and {finding.kind for finding in found} == {"damage"}


def test_a_case_whose_image_trained_the_model_cannot_be_locked_whoever_it_is_called(store: ReviewStore, filled) -> None:
    cases = filled([f"s{n}" for n in range(10)])
    sides = decide_sides(store, cases, trained=cases[:8])
    assert [sides[case] for case in cases[:8]] == [TRAINING] * 8
    assert [sides[case] for case in cases[8:]] == [LOCKED, LOCKED]


def test_a_case_that_trained_a_bundle_by_way_of_an_export_is_not_locked(store: ReviewStore, filled) -> None:
    cases = filled([f"s{n}" for n in range(10)])
    for words in (cases[:8], [store.pseudonym("subject", f"s{n}") for n in range(8)]):  # of a data set; of MONAI's list
        trained = trained_on(store, {"trained": words})
        assert set(words) <= trained
    sides = decide_sides(store, cases, trained)
    assert [sides[case] for case in cases] == [TRAINING] * 8 + [LOCKED] * 2


def test_a_damaged_record_of_the_choice_is_no_reason_to_choose_anew(store: ReviewStore, filled) -> None:
    cases = filled([f"s{n}" for n in range(10)])
    sides = decide_sides(store, cases)
    file = store.folder / "locked.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], lines[2].replace(b"s", b"z", 1), *lines[3:]]))
    with pytest.raises(ReviewError, match="The locked test set: .*Take locked.jsonl from a copy"):
        decide_sides(store, cases)
    file.unlink()
    file.with_suffix(".head").unlink()
    known = {side: [case for case in cases if sides[case] == side] for side in (TRAINING, LOCKED)}
    assert decide_sides(store, cases, known[TRAINING], known[LOCKED]) == sides


def test_a_damaged_case_keeps_no_other_from_teaching(store: ReviewStore, image_file) -> None:
    cases = []
    for n in range(3):
        cases.append(store.add_image(image_file(n, f"{n}.nrrd")))
        store.record(cases[-1], "anna", Correction("nasion", "corrected", (1.0, 2.0, 3.5)))
    broken = store.folder / "cases" / cases[0] / "case.json"
    broken.chmod(0o600)
    broken.write_text(broken.read_text().replace("nrrd", "nxrd").replace('"subject": ""', '"subject": "x"'))
    again = ReviewStore.open(store.folder)
    material = gather(again, ["nasion"])
    assert {lesson.case for lesson in material.lessons} == set(cases[1:])
    assert [case for case, _ in material.left_out] == cases[:1]


def test_an_image_of_another_dimension_is_left_out_and_named(store: ReviewStore, tmp_path: Path) -> None:
    for dimension in (2, 3):
        case = store.add_image(make_image(dimension, dimension), copy=True)
        store.record(case, "anna", Correction("nasion", "corrected", (1.0, 2.0, 3.5)[:dimension]))
    material = gather(store, ["nasion"])
    pipeline = read_pipeline(load_bundle("hippocampus-mr").settings, "hippocampus-mr")
    assert [len(material.cases(store, pipeline, TRAINING))] == [1]
    assert [sentence.split(": ")[1] for sentence in material.unfit(store, pipeline)] == [
        "its image is 2D and the bundle is for 3D."
    ]
