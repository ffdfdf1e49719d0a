"""What would stop a training at its end, or in the middle, is refused before its first step."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.core import DatasetError, LandmarkDetectorWarning, LandmarkSet, RecipeError
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.io import save_landmarks
from LandmarkDetectorLib.training import foresight, read_recipe, train
from LandmarkDetectorLib.training.foresight import check_to_the_end
from LandmarkDetectorLib.training.split import split_cases
from LandmarkDetectorLib.training.train import _pipeline
from Testing.phantoms import LABELS, recipe_text, write_dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import cross_validate  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
HEAD = "prior_modes: 2\n"


def prepared(folder: Path, was: str = "", now: str = "", count: int = 4, steps: int = 4) -> tuple[Path, Path]:
    (folder / "data").mkdir()
    data, recipe = write_dataset(folder / "data", count, side=40), folder / "recipe.yaml"
    text = recipe_text(steps=steps)
    assert was in text
    recipe.write_text(text.replace(was, now) if was else text, encoding="utf-8")
    return recipe, data


def leave(data: Path, subject: str, labels: list[str]) -> None:
    """Only these landmarks of a case are annotated."""
    case = next(case for case in read_dataset(data).cases if case.subject == subject)
    kept = [m.position if m.label in labels else np.full(2, np.nan) for m in case.landmarks]
    save_landmarks(LandmarkSet.from_positions(LABELS, np.array(kept)), data / f"{subject}.mrk.json")


def test_networks_that_no_bundle_could_hold_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, data = prepared(tmp_path)
    monkeypatch.setattr(foresight, "MAX_WEIGHTS_BYTES", 4000)
    with pytest.raises(RecipeError, match="million weights, and a bundle holds at most 0 million .* make them smaller"):
        train(recipe, data, tmp_path / "run", device="cpu")
    assert not list((tmp_path / "run").glob("*.checkpoint.pt"))


@pytest.mark.parametrize(
    ("was", "now", "sentence"),
    [
        (HEAD, HEAD + "mirror: [[left, rigth]]\n", "do not fit: 'rigth' is not one of the labels"),
        (HEAD, HEAD + "mirror: [[left, right], [right, nose]]\n", "mirror: 'right' stands there twice"),
        (HEAD, HEAD + "mirror: [[left, left]]\n", "mirror: 'left' stands there twice"),
        (HEAD, HEAD + "order: [{first: left, second: right, axis: z}]\n", "axis 'z', which images in 2D do not have"),
        (HEAD, HEAD + "auxiliary: {a: {left: 0.5, foo: 0.5}}\n", "'foo' is not one of the labels"),
        (HEAD, HEAD + "auxiliary: {a: {left: 0.5, right: 0.6}}\n", "sum to 1.1"),
        (HEAD, HEAD + "channels: 3\n", r"for images of 3 channel\(s\), and case02 has 1"),
        (HEAD, HEAD + "unit: px\n", "the recipe's lengths are in px, and case02 is in mm; give its spacing"),
        (HEAD, HEAD + "version: '1'\n", "version: '1' is no version; write three numbers"),
        ("name: phantom", "name: My Phantom", "'My Phantom' cannot be a bundle's name"),
        ("seed: 3", "seed: -3", "seed: .*greater than or equal to 0"),
        ("window: [0, 200]", "quantiles: [1, 99]", "quantiles are fractions from 0 to 1"),
        ("widths: [8, 16], ", "widths: [8, -16], ", "patch: The network 'unet' cannot be built"),
        ("cases: 4, ", "cases: 4, loss: {name: foo}, ", "patch: There is no loss 'foo'"),
        ("cases: 4, ", "cases: 4, loss: {name: heatmap_l2}, ", "patch: The loss 'heatmap_l2' trains heatmaps"),
        ("cases: 4, ", "cases: 4, patience: 0, ", "patience: .*greater than or equal to 1"),
        ("size: 32, ", "size: 0, ", "size: .*greater than or equal to 8"),
        ("scale: 0.05", "scale: -0.05", "scale: .*greater than or equal to 0"),
        ("scale: 0.05", "gain: .nan", "gain: .*finite"),
        ("fold_count: 3", "fold_count: 1", "fold_count: .*greater than or equal to 2"),
        ("fold_count: 3", "folds: [[f0, f1], [f1]]", "'f1' stands twice in the folds"),
        ("licence: CC0-1.0, ", "licence: my own words, ", "the card cannot be written .licence"),
    ],
)
def test_what_cannot_be_trained_or_published_is_one_sentence_before_the_first_step(
    tmp_path: Path, was: str, now: str, sentence: str
) -> None:
    recipe, data = prepared(tmp_path, was, now)
    with pytest.raises(RecipeError, match=sentence):
        train(recipe, data, tmp_path / "run", device="cpu")
    assert not list((tmp_path / "run").glob("*.checkpoint.pt"))


@pytest.mark.parametrize("loss", ["central", "heatmap_bce", "spatial_cross_entropy"])
def test_a_loss_of_logits_needs_no_decoder(tmp_path: Path, loss: str) -> None:
    recipe, data = prepared(tmp_path, "cases: 4, ", f"cases: 4, loss: {{name: {loss}}}, ")
    content, dataset = read_recipe(recipe), read_dataset(data)
    check_to_the_end(content, _pipeline(content, dataset, None), split_cases(content, dataset, None), data)


@pytest.mark.parametrize("licence", [None, b" \n", b"\xff\xfe\x00"])
def test_a_licence_that_cannot_be_carried_is_missed_before_the_first_step(
    tmp_path: Path, licence: bytes | None
) -> None:
    recipe, data = prepared(tmp_path)
    (data / "LICENSE").unlink()
    if licence is not None:
        (data / "LICENSE").write_bytes(licence)
    with pytest.raises(DatasetError, match="LICENSE"):
        train(recipe, data, tmp_path / "run", device="cpu")
    assert not list((tmp_path / "run").glob("*.checkpoint.pt"))


@pytest.mark.parametrize("folds", ["fold_count: 9", "folds: [[f0], [f1], [none, such]]"])
def test_a_fold_that_holds_nothing_out_is_refused(tmp_path: Path, folds: str) -> None:
    recipe, data = prepared(tmp_path, "fold_count: 3", folds)
    with pytest.raises(RecipeError, match="fold 2 holds out nothing"):
        split_cases(read_recipe(recipe), read_dataset(data), 2)


def test_a_training_that_diverges_stops_with_what_to_do(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, "rate: 0.01", "rate: 1.0e+12", steps=40)
    with pytest.raises(RecipeError, match="coarse: the weights are no numbers any more at step 20; lower its rate"):
        train(recipe, data, tmp_path / "run", device="cpu")


def test_an_image_without_annotations_is_left_out_aloud(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, count=6)
    leave(data, "case02", [])
    with pytest.warns(LandmarkDetectorWarning, match="Nothing is annotated in case02, which is left out"):
        bundle = train(recipe, data, tmp_path / "run", device="cpu")
    assert bundle.card.training_data.subjects == 3  # of six, without the sample with its family, and that one
    leave(data, "case00", [])  # the sample, by which the curve is judged
    with pytest.warns(LandmarkDetectorWarning, match="case02"):
        state = train(recipe, data, tmp_path / "blind", device="cpu").state_dict()
    assert all(torch.isfinite(value).all() for value in state.values())


def test_an_image_of_which_only_landmarks_without_a_partner_are_known_trains_as_it_lies(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, HEAD, HEAD + "mirror: [[left, right]]\n", count=6, steps=8)
    recipe.write_text(recipe.read_text().replace("mirror: 0}", "mirror: 1.0}"))
    for subject in ("case02", "case03"):
        leave(data, subject, ["fin"])
    bundle = train(recipe, data, tmp_path / "run", device="cpu")
    assert all(torch.isfinite(value).all() for value in bundle.state_dict().values())


def test_what_is_called_absent_belongs_to_what_a_run_was_begun_with(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, count=6)
    leave(data, "case03", LABELS[1:])
    train(recipe, data, tmp_path / "run", device="cpu")
    listing = json.loads((data / "dataset.json").read_text())
    listing["training"][3]["absent"] = [LABELS[0]]
    (data / "dataset.json").write_text(json.dumps(listing))
    with pytest.raises(RecipeError, match="training cases are others"):
        train(recipe, data, tmp_path / "run", device="cpu", resume=True)


def test_a_card_quotes_nothing_of_a_landmark_that_no_fold_has_found(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path)
    errors = {"nose": 0.5, "left": 1.5, "right": "missed", "tail": None, "fin": 1.0}
    fold = {"fold": 0, "summary": {"unit": "mm"}, "seconds": {"median": 0.1}}
    cases = [{"subject": f"case0{number}", "image": f"case0{number}.mha", "errors": errors} for number in range(2)]
    lost = {label: "missed" for label in errors}
    content, dataset = read_recipe(recipe), read_dataset(data)
    split = split_cases(content, dataset, None)
    pipeline = _pipeline(content, dataset, None)
    for rows in (cases, [case | {"errors": lost} for case in cases]):
        quoted = cross_validate.gather([fold | {"cases": rows, "biometry": {"hc": {"n": 0, "mean_absolute": None}}}], 3)
        check_to_the_end(content, pipeline, split, data, quoted["card"])
    assert quoted["card"]["errors"] is None
    wrong = {"errors": {"mean": -1.0}}
    with pytest.raises(RecipeError, match="the card cannot be written .errors"):
        check_to_the_end(content, pipeline, split, data, wrong)
