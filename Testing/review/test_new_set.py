"""A landmark set from nothing: a template, five images, a bundle that proposes on the next; nobody writes a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.cli.app import app
from LandmarkDetectorLib.core import DatasetError, Grid, Image, Landmark, LandmarkDetectorError, LandmarkSet
from LandmarkDetectorLib.datasets.cases import Case, read_dataset
from LandmarkDetectorLib.io import load_landmarks, save_image, save_landmarks
from LandmarkDetectorLib.review import ReviewError, new_set
from LandmarkDetectorLib.review.new_set import LandmarkList, add_images, collect, create_set, train_set
from LandmarkDetectorLib.training import derive
from LandmarkDetectorLib.training.derive import derive_recipe, measure
from Testing.phantoms import LABELS, phantom, write_dataset

pytestmark = pytest.mark.usefixtures("one_thread")

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
CARD = {
    "title": "t",
    "description": "d",
    "modality": "m",
    "intended_use": "u",
    "licence": "CC0-1.0",
    "licence_file": "LICENSE",
    "credit": "c",
    "training_data": {"name": "n", "citation": "c", "licence": "l"},
}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps of small networks, whatever the machine."""
    monkeypatch.setattr(derive, "ACROSS", {2: 40, 3: 18})
    monkeypatch.setattr(new_set, "steps_within", lambda recipe, seconds, left: dict.fromkeys(seconds, 20))


def scans(folder: Path, count: int, dimension: int, seed: int, turn: float = 0.1) -> list[tuple[Path, LandmarkSet]]:
    rng, found = np.random.default_rng(seed), []
    folder.mkdir(exist_ok=True)
    for number in range(count):
        image, truth = phantom(rng, dimension, 40, turn)
        path = folder / f"scan-{seed}-{number}.{'nii.gz' if dimension == 3 else 'mha'}"
        save_image(image, path)
        found.append((path, truth))
    return found


def place(file: Path, truth: LandmarkSet, without: str = "") -> None:
    """What a person does in Slicer: place every point of the list, say that one is not there, save."""
    marks = load_landmarks(file).reordered(truth.labels)
    from dataclasses import replace

    placed = tuple(
        replace(mark, position=None, status="missing")
        if mark.label == without
        else replace(mark, position=true.position, status="defined", confidence=None, covariance=None)
        for mark, true in zip(marks, truth, strict=True)
    )
    save_landmarks(LandmarkSet(placed, truth.unit, "placed"), file)


@pytest.mark.parametrize("dimension", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_from_names_to_proposals(tmp_path: Path, dimension: int, short) -> None:
    definitions = {"nose": "The largest blob."}
    folder = create_set(tmp_path / "blobs", LandmarkList("blobs", tuple(LABELS), definitions))
    template = json.loads((folder / "template.mrk.json").read_text(encoding="utf-8"))["markups"][0]
    assert template["fixedNumberOfControlPoints"] is True
    assert [point["positionStatus"] for point in template["controlPoints"]] == ["undefined"] * 5
    given = scans(tmp_path / "scans", 5, dimension, seed=1)
    files = add_images(folder, [path for path, _ in given])
    with pytest.raises(DatasetError, match="nothing is placed"):
        train_set(folder, minutes=1, device="cpu")
    for number, (file, (_, truth)) in enumerate(zip(files, given, strict=True)):
        place(file, truth, without="fin" if number == 0 else "")
    done = train_set(folder, minutes=1, device="cpu")
    assert done.cases == 5 and done.measured is not None and done.measured.one_pose
    assert done.bundle.card.errors is None and "not measured" in done.bundle.card.limits[0]
    assert read_dataset(done.recipe.parent / "data").cases[0].absent == {"fin"}
    assert done.bundle.card.landmarks[0].definition == "The largest blob."
    ((path, truth),) = scans(tmp_path / "scans", 1, dimension, seed=2)
    (file,) = add_images(folder, [path])
    proposed = load_landmarks(file)
    found = [m for m in proposed if m.position is not None]
    errors = [float(np.linalg.norm(m.position - truth[m.label].position)) for m in found]
    assert len(found) >= 4 and np.median(errors) < 4.0
    # A proposal that nobody saved teaches nothing.
    dataset, left_out = collect(folder, tmp_path / "data")
    assert len(dataset.cases) == 5 and len(left_out) == 1 and "a detector's" in left_out[0]
    with pytest.raises(ReviewError, match="somebody may have placed it"):
        add_images(folder, [path])


def test_the_command_line_makes_a_set_and_trains_it(tmp_path: Path, short, monkeypatch) -> None:
    run = CliRunner()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.txt").write_text("# mine\nnose: The largest.\nleft\nright\ntail\nfin\n", encoding="utf-8")
    made = run.invoke(app, ["new", "create", "blobs", "--labels", "labels.txt", "--mirror", "left,right", "--json"])
    assert made.exit_code == 0 and json.loads(made.stdout)["landmarks"] == LABELS, made.output
    given = scans(tmp_path / "scans", 5, 2, seed=3)
    added = run.invoke(app, ["new", "add", "blobs", *[str(path) for path, _ in given], "--json"])
    assert added.exit_code == 0, added.output
    for file, (_, truth) in zip(json.loads(added.stdout)["landmarks"], given, strict=True):
        place(Path(file), truth)
    trained = run.invoke(app, ["new", "train", "blobs", "--minutes", "1", "--install", "--device", "cpu", "--json"])
    assert trained.exit_code == 0, trained.output
    assert load_bundle("blobs").version == "0.1.0"
    assert run.invoke(app, ["new", "create", "blobs", "--labels", "a,b"]).exit_code == 2
    assert run.invoke(app, ["new", "create", "Not Allowed", "--labels", "a,b"]).exit_code == 2
    assert run.invoke(app, ["new", "create", "other", "--labels", "a,a"]).exit_code == 2
    assert run.invoke(app, ["new", "create", "other", "--labels", "a,b", "--mirror", "a,c"]).exit_code == 2


def test_a_file_of_labels_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes("nose: The largest.\ntail\n".encode("utf-8-sig"))
    made = CliRunner().invoke(
        app, ["new", "create", "x", "--labels", str(tmp_path / "labels.txt"), "--folder", str(tmp_path / "x"), "--json"]
    )
    assert json.loads(made.stdout)["landmarks"] == ["nose", "tail"], made.output


@pytest.mark.parametrize("word", ["lables.txt", "lists/labels", r"lists\labels"])
def test_a_file_of_labels_that_is_not_there_makes_no_set_of_one_landmark(
    tmp_path: Path, word: str, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(app, ["new", "create", "x", "--labels", word])
    assert refused.exit_code == 2 and "there is no file" in refused.stderr and not list(tmp_path.iterdir())
    for said, label in ((f"{word},", word), ("nose: where l/r meet", "nose")):
        made = CliRunner().invoke(app, ["new", "create", "x", "--labels", said, "--folder", label[:4], "--json"])
        assert json.loads(made.stdout)["landmarks"] == [label], made.output


def test_what_is_placed_in_slicer_on_a_picture_with_a_scale_trains(tmp_path: Path, short) -> None:
    folder = create_set(tmp_path / "blobs", LandmarkList("blobs", tuple(LABELS), spacing=(0.5, 0.5)))
    rng = np.random.default_rng(4)
    for number in range(5):
        image, truth = phantom(rng, 2, 40, 0.1)
        save_image(Image(image.array, Grid.regular((40, 40), 1.0, "px")), tmp_path / f"{number}.png")
        (file,) = add_images(folder, [tmp_path / f"{number}.png"])
        places = [0.5 * image.grid.to_index(mark.position) for mark in truth]
        points = [{"label": label, "position": [*place, 0.0]} for label, place in zip(LABELS, places, strict=True)]
        markup = {"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": points}
        file.write_text(json.dumps({"@schema": SCHEMA, "markups": [markup]}), encoding="utf-8")
    done = train_set(folder, minutes=1, device="cpu")
    assert done.bundle.card.dimension == 2 and done.bundle.card.unit == "mm"


def placed_set(tmp_path: Path, count: int, seed: int = 6) -> Path:
    """A set with so many images, every landmark placed on each; the images are called after patients."""
    folder = create_set(tmp_path / "blobs", LandmarkList("blobs", tuple(LABELS)))
    given = [
        (path.rename(path.with_name(f"Doe^Jane {n}.mha")), truth)
        for n, (path, truth) in enumerate(scans(tmp_path / "scans", count, 2, seed))
    ]
    for file, (_, truth) in zip(add_images(folder, [path for path, _ in given]), given, strict=True):
        place(file, truth)
    return folder


def test_a_landmark_that_nobody_placed_is_named_and_what_cannot_train_uses_up_no_run(tmp_path: Path, short) -> None:
    folder = placed_set(tmp_path, 4)
    with pytest.raises(DatasetError, match="4 annotated images are too few"):
        train_set(folder, minutes=1, device="cpu")
    add_one(folder, tmp_path, 7)
    for file in (folder / "images").glob("*.mrk.json"):
        marks = load_landmarks(file)
        save_landmarks(without(marks, "fin"), file)
    with pytest.raises(DatasetError, match="blobs: the landmark 'fin' is placed in none of the 5 images that train"):
        train_set(folder, minutes=1, device="cpu")
    assert not (folder / "training").exists()


def test_a_set_whose_old_runs_were_deleted_goes_on_behind_the_highest_and_tells_no_names(tmp_path: Path, short) -> None:
    folder = placed_set(tmp_path, 5)
    old = folder / "training" / "run-002"
    old.mkdir(parents=True)
    (old / "recipe.yaml").write_text("name: mine\n", encoding="utf-8")
    done = train_set(folder, minutes=1, device="cpu")
    assert done.recipe == folder / "training" / "run-003" / "recipe.yaml" and done.bundle.version == "0.3.0"
    assert (old / "recipe.yaml").read_text(encoding="utf-8") == "name: mine\n"
    assert sorted(path.name for path in (folder / "training").iterdir()) == ["run-002", "run-003"]
    split = done.bundle.read("docs/split.json").decode()
    assert "Doe" not in split and len(json.loads(split)["trained"]) == 5
    again, _ = collect(folder, tmp_path / "again")
    assert {case.subject for case in again.cases} == set(json.loads(split)["trained"])
    assert all(case.image_path.is_file() for case in read_dataset(done.recipe.parent / "data").cases)
    (wrong,) = scans(tmp_path / "scans", 1, 3, seed=9)
    before = sorted((folder / "images").iterdir())
    with pytest.raises(LandmarkDetectorError):
        add_images(folder, [wrong[0]])  # in 3D, and the bundle is for 2D
    assert sorted((folder / "images").iterdir()) == before


def add_one(folder: Path, tmp_path: Path, seed: int) -> None:
    ((path, truth),) = scans(tmp_path / "scans", 1, 2, seed)
    (file,) = add_images(folder, [path])
    place(file, truth)


def without(marks: LandmarkSet, label: str) -> LandmarkSet:
    """The landmarks with one that nobody placed."""
    return LandmarkSet(tuple(Landmark(m.label, None, "undefined") if m.label == label else m for m in marks))


def test_four_images_are_too_few_and_it_is_said(tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(tmp_path, 4, 2))
    with pytest.raises(DatasetError, match="4 annotated images are too few"):
        derive_recipe("x", dataset.cases, CARD)


def test_the_images_decide_what_the_recipe_looks_like(tmp_path: Path) -> None:
    (tmp_path / "upright").mkdir()
    (tmp_path / "turned").mkdir()
    upright = [case_of(tmp_path / "upright", n, turn=0.1) for n in range(6)]
    turned = [case_of(tmp_path / "turned", n, turn=2.0) for n in range(6)]
    recipe, measured = derive_recipe("x", upright, CARD)
    assert measured.one_pose and recipe.image is not None and recipe.coarse is None
    assert measured.unit == "mm" and measured.view_unit == "world" and recipe.mirror == []
    recipe, measured = derive_recipe("x", turned, CARD, mirror=[["left", "right"]])
    assert not measured.one_pose and recipe.coarse is not None and recipe.frame is not None
    assert recipe.mirror == [["left", "right"]]


def test_landmarks_on_a_line_show_no_turn_about_it_and_are_seen_in_one_look(tmp_path: Path) -> None:
    rng, cases = np.random.default_rng(5), []
    for number in range(5):
        places = np.array([[0, 0, 0], [0, 10, 0], [0, 20, 0.5]]) + rng.normal(0, 0.2, (3, 3)) + 20
        image = Image(np.zeros((1, 40, 40, 40), np.float32), Grid.regular((40, 40, 40), 1.0, "mm"), "line")
        save_image(image, tmp_path / f"{number}.nii.gz")
        marks = LandmarkSet.from_positions(["a", "b", "c"], places)
        cases.append(Case(str(number), tmp_path / f"{number}.nii.gz", marks, str(number)))
    measured = measure(cases)
    assert measured.straight and measured.one_pose and measured.length == pytest.approx(20, abs=1)


def case_of(folder: Path, number: int, turn: float) -> Case:
    image, truth = phantom(np.random.default_rng(number), 2, 48, turn)
    path = folder / f"{number}.mha"
    save_image(image, path)
    return Case(str(number), path, truth, str(number))
