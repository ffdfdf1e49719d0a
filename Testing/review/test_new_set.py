"""A landmark set from nothing: a template, five images, a bundle that proposes on the next; nobody writes a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.cli.app import app
from LandmarkDetectorLib.core import DatasetError, Grid, Image, LandmarkSet
from LandmarkDetectorLib.datasets.cases import Case, read_dataset
from LandmarkDetectorLib.io import load_landmarks, save_image, save_landmarks
from LandmarkDetectorLib.review import ReviewError, new_set
from LandmarkDetectorLib.review.new_set import LandmarkList, add_images, collect, create_set, train_set
from LandmarkDetectorLib.training import derive
from LandmarkDetectorLib.training.derive import derive_recipe, measure
from Testing.phantoms import LABELS, phantom, write_dataset

pytestmark = pytest.mark.usefixtures("one_thread")

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
    monkeypatch.setattr(derive, "ACROSS", {2: 40, 3: 20})
    monkeypatch.setattr(new_set, "steps_within", lambda recipe, seconds, left: dict.fromkeys(seconds, 30))


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


@pytest.mark.parametrize("dimension", [2, 3])
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
