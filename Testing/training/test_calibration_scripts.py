"""From a recipe to a calibrated bundle by the scripts: cross-validate, keep the predictions, calibrate by them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.bundles import Bundle, load_bundle
from LandmarkDetectorLib.bundles.calibration import INFO, region_radius
from LandmarkDetectorLib.bundles.manifest import MANIFEST, build_manifest, manifest_bytes
from LandmarkDetectorLib.core import DatasetError, LandmarkDetectorWarning
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.review.retrain import retrain
from LandmarkDetectorLib.training import train
from Testing.phantoms import phantom, write_dataset
from Testing.review.small_model import RECIPE, reviewed_store

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import calibration  # noqa: E402
import cross_validate  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

CASES = 48
Run = Callable[..., None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a script by its command line."""

    def words(script, *given) -> None:
        monkeypatch.setattr(sys, "argv", [f"{script.__name__}.py", *map(str, given)])
        script.main()

    return words


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Bundle]:
    """A recipe, a data set, and a bundle that was trained on all of it but the sample."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "data").mkdir()
    data = write_dataset(folder / "data", CASES, 2)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return recipe, data, train(recipe, data, folder / "run", device="cpu")


@pytest.fixture(scope="module")
def predictions(made: tuple[Path, Path, Bundle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each fold's bundle found on what it held out."""
    recipe, data, _ = made
    folder = tmp_path_factory.mktemp("folds")
    words = ["cross_validate.py", recipe, "--data", data, "--output", folder / "runs", "--device", "cpu"]
    words += ["--results", folder / "results.json", "--predictions", folder / "predictions.json"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(word) for word in words])
        cross_validate.main()
    return folder / "predictions.json"


@pytest.fixture
def copy(made: tuple[Path, Path, Bundle], tmp_path: Path) -> Path:
    """The bundle, to be written over."""
    bundle = made[2]
    return Path(shutil.copytree(bundle.folder, tmp_path / "run" / bundle.name))


def test_predictions_of_all_folds_calibrate_the_bundle_that_was_trained_on_everything(
    run: Run, made, predictions: Path, copy: Path, tmp_path: Path
) -> None:
    rows = json.loads(predictions.read_text())["predictions"]
    assert len({row["subject"] for row in rows}) == CASES and {row["fold"] for row in rows} == {0, 1, 2}
    before = load_bundle(copy)
    run(
        calibration,
        copy,
        "--data",
        made[1],
        "--folds",
        predictions,
        "--results",
        tmp_path / "r.json",
        "--splits",
        3,
        "--write",
    )
    bundle = load_bundle(copy)
    sheet = bundle.calibration()
    assert sheet is not None and sheet.detector == before.detecting == bundle.detecting
    assert sheet.cases == CASES // 2 and sheet.subjects == CASES // 4 and "out-of-fold" in sheet.protocol
    assert sheet.regions is not None and sheet.regions.pooled and all(sheet.regions.radii.values())
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["sheet"]["measured"]["landmarks judged"] > 60 and content["sheet"]["measured"] == sheet.measured
    assert bundle.reliability_diagram().startswith(b"\x89PNG")
    found = Detector(bundle, "cpu").detect(phantom(np.random.default_rng(5), 2)[0]).landmarks
    assert region_radius(found, "nose") == sheet.regions.radii["nose"]
    assert found.info[INFO]["cases"] == CASES // 2


def test_a_bundle_is_calibrated_by_what_it_held_out(run: Run, made, tmp_path: Path) -> None:
    recipe, data, _ = made
    bundle = train(recipe, data, tmp_path / "fold", fold=0, device="cpu")
    run(calibration, bundle.folder, "--data", data, "--splits", 2, "--write")
    sheet = load_bundle(bundle.folder).calibration()
    # Eight families are too few for halves: all of them calibrate.
    assert sheet is not None and sheet.cases == 16 and "it held out" in sheet.protocol
    assert "of 8 subjects" in sheet.protocol and "on all others" in sheet.protocol


def test_predictions_of_another_recipe_or_none_are_refused(
    run: Run, made, predictions: Path, copy: Path, tmp_path: Path
):
    content = json.loads(predictions.read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**content, "recipe_sha256": "0" * 64}))
    with pytest.raises(DatasetError, match="another recipe, or another version"):
        run(calibration, copy, "--data", made[1], "--folds", other, "--write")
    other.write_text(json.dumps({**content, "predictions": []}))
    with pytest.raises(DatasetError, match="holds no predictions"):
        run(calibration, copy, "--data", made[1], "--folds", other, "--write")
    some = [row for row in content["predictions"] if row["fold"] != 2]
    other.write_text(json.dumps({**content, "predictions": some}))
    with pytest.raises(DatasetError, match="lacks fold 2"):
        run(calibration, copy, "--data", made[1], "--folds", other, "--write")
    content["predictions"][0]["found"]["info"][INFO] = {"level": 0.9}
    other.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="calibrated already"):
        run(calibration, copy, "--data", made[1], "--folds", other, "--write")
    assert load_bundle(copy).calibration() is None
    with pytest.raises(SystemExit):
        run(calibration, copy, "--write")


def test_a_bundle_published_anew_by_the_same_weights_keeps_its_calibration_and_by_others_loses_it(
    run: Run, made, predictions: Path, tmp_path: Path
) -> None:
    recipe, data, bundle = made
    folder = tmp_path / "run"
    shutil.copytree(bundle.folder.parent, folder)
    run(calibration, folder / bundle.name, "--data", data, "--folds", predictions, "--splits", 2, "--write")
    kept = load_bundle(folder / bundle.name)
    again = train(recipe, data, folder, resume=True, device="cpu")
    assert again.calibration() == kept.calibration() is not None
    assert again.reliability_diagram() == kept.reliability_diagram() and again.card.figures == kept.card.figures
    changed = tmp_path / "changed.yaml"
    changed.write_text(RECIPE.replace("trust: 4.0", "trust: 9.0"), encoding="utf-8")
    with pytest.warns(LandmarkDetectorWarning, match="calibrate the new bundle"):
        other = train(changed, data, folder, resume=True, device="cpu")
    assert other.detecting != kept.detecting and other.calibration() is None


def test_a_retrained_candidate_leaves_its_parents_calibration_behind_and_says_so(
    run: Run, made, predictions: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from LandmarkDetectorLib.training import finetune

    monkeypatch.setattr(finetune, "steps_within", lambda recipe, seconds, left: dict.fromkeys(seconds, 10))
    run(calibration, copy, "--data", made[1], "--folds", predictions, "--splits", 2, "--write")
    parent = load_bundle(copy)
    done = retrain(parent, reviewed_store(tmp_path, parent, 8), tmp_path / "next", minutes=1, device="cpu")
    assert done.bundle.calibration() is None and done.bundle.any_calibration() is None
    assert done.bundle.calibration_problem() == "" and done.bundle.card.figures == {}
    assert any("is left behind" in notice for notice in done.notices)
    (tmp_path / "b").mkdir()
    silent = retrain(made[2], reviewed_store(tmp_path / "b", parent, 8), tmp_path / "b" / "n", minutes=1, device="cpu")
    assert not any("is left behind" in notice for notice in silent.notices)


def test_a_detector_whose_bundle_has_a_calibration_of_others_believes_its_networks_and_says_so(
    run: Run, made, predictions: Path, copy: Path
) -> None:
    """As when somebody copies files between bundles: only the manifest is written anew."""
    plain = made[2]
    run(calibration, copy, "--data", made[1], "--folds", predictions, "--splits", 2, "--write")
    content = json.loads((copy / "configs/calibration.json").read_text())
    content["detector"] = "0" * 64
    (copy / "configs/calibration.json").write_text(json.dumps(content))
    (copy / MANIFEST).write_bytes(manifest_bytes(build_manifest(copy)))
    image, _ = phantom(np.random.default_rng(5), 2)
    found, believed = Detector(copy, "cpu").detect(image), Detector(plain, "cpu").detect(image)
    assert [m.confidence for m in found.landmarks] == [m.confidence for m in believed.landmarks]
    assert INFO not in found.landmarks.info
    assert any("was made for other weights or settings" in notice for notice in found.notices)
    assert not Detector(copy, "cpu").uncalibrated().detect(image).notices
