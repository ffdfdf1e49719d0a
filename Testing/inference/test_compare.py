"""Bundles, folds and files of results on the same cases."""

from __future__ import annotations

import json
import shutil
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.core import DatasetError, Landmark, LandmarkSet
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.inference.compare import compare, read_results
from LandmarkDetectorLib.inference.evaluate import evaluate_bundle
from Testing.phantoms import write_watched

compare_module = import_module("LandmarkDetectorLib.inference.compare")


def results(path: Path, rows: list[tuple[str, list]], labels: tuple[str, ...] = ("a", "b"), unit: str = "mm") -> Path:
    """A file of results; each row a subject and its errors."""
    cases = [{"subject": subject, "errors": dict(zip(labels, errors, strict=True))} for subject, errors in rows]
    path.write_text(json.dumps({"summary": {"unit": unit}, "cases": cases}), encoding="utf-8")
    return path


def test_files_are_paired_by_subject_and_label_in_any_order(tmp_path: Path) -> None:
    one = results(tmp_path / "one.json", [("s1", [1, 2]), ("s2", [3, "missed"]), ("s3", [5, None])])
    two = results(tmp_path / "two.json", [("s3", [None, 6]), ("s2", [4, 4]), ("s1", [3, 2])], ("b", "a"))
    compared = compare([one, two])
    standing = compared.standing
    assert standing.labels == ("a", "b") and standing.subjects == ("s1", "s2", "s3") and compared.notices == []
    np.testing.assert_array_equal(standing.errors["one"], [[1, 2], [3, np.inf], [5, np.nan]])
    np.testing.assert_array_equal(standing.errors["two"], [[2, 3], [4, 4], [6, np.nan]])
    assert standing.pairs[0].overall.difference == pytest.approx((1 + 1 + 1 + 1) / 4)
    assert standing.pairs[0].overall.missed_first == 1


def test_what_only_some_have_is_left_out_and_said(tmp_path: Path) -> None:
    one = results(tmp_path / "one.json", [("s1", [1, 2]), ("s2", [3, 4]), ("s2", [5, 6]), ("s9", [1, 1])])
    two = results(tmp_path / "two.json", [("s1", [1, 2, 3]), ("s2", [3, 4, 5])], ("a", "b", "c"))
    compared = compare([one, two])
    assert compared.standing.subjects == ("s1",) and compared.standing.labels == ("a", "b")
    said = " ".join(compared.notices)
    assert "only some of the models find them: 1 landmark (" in said and "All models were judged on 1 case;" in said
    assert "Of 1 subject (s2, ...)" in said


def test_a_subject_with_two_images_is_paired_by_their_order_or_by_their_names(tmp_path: Path) -> None:
    one = results(tmp_path / "one.json", [("s", [1, 1]), ("s", [2, 2])])
    two = results(tmp_path / "two.json", [("s", [1, 1]), ("s", [3, 3])])
    assert compare([one, two]).standing.errors["two"].tolist() == [[1, 1], [3, 3]]
    for path, names in ((one, "xy"), (two, "yx")):
        content = json.loads(path.read_text())
        for case, name in zip(content["cases"], names, strict=True):
            case["image"] = name
        path.write_text(json.dumps(content))
    assert compare([one, two]).standing.errors["two"].tolist() == [[3, 3], [1, 1]]


def test_a_file_that_judges_those_who_trained_too_does_not_stand_beside_others_in_silence(tmp_path: Path) -> None:
    one = results(tmp_path / "one.json", [("s", [1, 2])])
    two = results(tmp_path / "two.json", [("s", [0, 1])])
    two.write_text(json.dumps(json.loads(two.read_text()) | {"subjects": "all"}))
    (said,) = compare([one, two]).notices
    assert said == "two.json judges all subjects: of those that trained, its figures are too good."


def test_folds_of_a_cross_validation_are_one_model(tmp_path: Path) -> None:
    one = results(tmp_path / "one.json", [("s1", [1, 2]), ("s2", [3, 4])])
    folds = [json.loads(results(tmp_path / "f.json", [(s, [2, 2])]).read_text()) for s in ("s2", "s1")]
    (tmp_path / "cv.json").write_text(json.dumps({"recipe": "r", "folds": folds}))
    assert compare([one, tmp_path / "cv.json"]).standing.models["cv"].mean == 2


def test_folds_of_two_models_in_one_folder_are_not_mixed_into_one(flat_bundle: Bundle, tmp_path: Path) -> None:
    one = results(tmp_path / "one.json", [("s1", [1, 2])])
    for name in ("scn", "unet"):
        shutil.copytree(flat_bundle.folder, tmp_path / "cv" / "fold-0" / name)
    with pytest.raises(DatasetError, match=r"cv: its folds hold bundles of 2 models \(scn, unet\)"):
        compare([one, tmp_path / "cv"], tmp_path)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"unit": "px"}, "judged in mm and other in px"),
        ({"labels": ("c", "d")}, "no landmark in common"),
        ({"rows": [("t", [1, 2])]}, "no case in common"),
    ],
)
def test_models_with_nothing_in_common_are_refused(tmp_path: Path, other: dict, sentence: str) -> None:
    one = results(tmp_path / "one.json", [("s", [1, 2])])
    rows = other.pop("rows", [("s", [1, 2])])
    with pytest.raises(DatasetError, match=sentence):
        compare([one, results(tmp_path / "other.json", rows, **other)])


def test_a_file_that_holds_no_results_and_a_bundle_without_data_are_refused(tmp_path: Path) -> None:
    one = results(tmp_path / "one.json", [("s", [1, 2])])
    (tmp_path / "no.json").write_text('{"cases": []}')
    with pytest.raises(DatasetError, match=r"no.json holds no results"):
        compare([one, tmp_path / "no.json"])
    with pytest.raises(DatasetError, match=r"There is no file gone.json"):
        read_results(tmp_path / "gone.json")
    with pytest.raises(DatasetError, match=r"There is no file gone.json"):  # and not that there are no images
        compare(["fetal-head-us", tmp_path / "gone.json"])
    with pytest.raises(DatasetError, match="add --data"):
        compare([one, "fetal-head-us"])
    with pytest.raises(DatasetError, match="two models or more"):
        compare([one])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms that two observers annotated, each a little to one side."""
    return write_watched(tmp_path_factory.mktemp("watched"), 6)


def test_places_in_space_are_kept_where_the_first_case_is_not_annotated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = LandmarkSet((Landmark("a", status="undefined"),))
    cases = [Case(name, tmp_path / f"{name}.nii", nothing, name) for name in ("one", "two")]

    def ran(_bundle, _data, keep, **_options) -> None:
        for number, case in enumerate(cases):
            keep(case, LandmarkSet.from_positions(["a"], [[1.0, 2.0, 3.0 + number]]))

    monkeypatch.setattr(compare_module, "evaluate_bundle", ran)
    monkeypatch.setattr(compare_module, "load_bundle", lambda name: FakeBundle())
    judged = compare_module._judged("x", tmp_path, "all", "cpu", lambda words, fraction: None)
    assert judged.found is not None and judged.found.tolist() == [[[1, 2, 3]], [[1, 2, 4]]]


def test_subjects_that_trained_a_bundle_are_named_too_where_a_file_lists_them(
    flat_bundle: Bundle, watched: Path, tmp_path: Path
) -> None:
    trained, kept = flat_bundle.split()["trained"], flat_bundle.split()["held_out"]
    for subjects, said in (([trained[0], kept[0]], ["phantom was trained on 1 of 2 subjects here"]), (kept[:1], [])):
        one = results(tmp_path / "one.json", [(subject, [1.0]) for subject in subjects], flat_bundle.labels[:1])
        (tmp_path / "subjects.txt").write_text("\n".join(subjects))
        compared = compare([flat_bundle.folder, one], watched, subjects=str(tmp_path / "subjects.txt"), device="cpu")
        assert [notice.split(":")[0] for notice in compared.notices if "too good" in notice] == said


class FakeBundle:
    labels, name, version, fingerprint = ("a",), "x", "1.0.0", "0" * 64
    card = SimpleNamespace(title="Nothing")

    def split(self) -> dict:
        return {}


def test_bundles_are_run_and_stand_beside_the_observers(flat_bundle: Bundle, watched: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy" / "fold-0"
    shutil.copytree(flat_bundle.folder, folder / "phantom")
    steps: list[float] = []
    compared = compare(
        [flat_bundle.folder, tmp_path / "copy"],
        watched,
        subjects="all",
        device="cpu",
        progress=lambda _, fraction: steps.append(fraction),
    )
    # The one fold judges what it held out, the one sample.
    assert compared.standing.subjects == ("case00",)
    assert list(compared.standing.models) == ["phantom", "copy"]
    assert compared.standing.pairs[0].overall.difference == 0
    assert steps == sorted(steps) and steps[-1] == 1.0
    assert "1 folds of phantom" in compared.about["copy"]
    assert any("left out: 5" in notice for notice in compared.notices)
    assert any("too good" in notice for notice in compared.notices)


def test_a_bundle_is_compared_with_a_file_of_results_and_its_positions_with_the_observers(
    flat_bundle: Bundle, watched: Path, tmp_path: Path
) -> None:
    figures = evaluate_bundle(flat_bundle, watched, subjects="all", device="cpu")
    assert [case["image"] for case in figures["cases"]] == [f"case{n:02d}.mha" for n in range(6)]
    file = tmp_path / "figures.json"
    file.write_text(json.dumps(figures), encoding="utf-8")
    standing = compare([file, flat_bundle.folder], watched, subjects="all", device="cpu").standing
    assert len(standing.subjects) == 6 and standing.pairs[0].overall.difference == 0
    assert list(standing.against) == ["figures", "phantom"]
    for observer, pair in standing.against["phantom"].items():  # positions in a file are rounded
        assert standing.against["figures"][observer].mean == pytest.approx(pair.mean, abs=1e-3)
    assert standing.observers is not None and standing.observers.all_pairs.mean == pytest.approx(1)
    assert standing.against["phantom"]["mean"].mean == pytest.approx(standing.models["phantom"].mean)
    for case in figures["cases"]:
        del case["found"]
    file.write_text(json.dumps(figures), encoding="utf-8")
    assert list(compare([file, flat_bundle.folder], watched, subjects="all").standing.against) == ["phantom"]
