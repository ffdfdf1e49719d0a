"""landmark-detector train and evaluate hand over what was asked, and print what came back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from LandmarkDetectorLib.core import RecipeError

FIGURES = {
    "summary": {"mean": 0.125, "n": 2, "missed": None},
    "per_landmark": {"nasion": {"mean": 0.1, "p95": 0.25}, "basion": {"mean": 0.15, "p95": 0.5}},
    "cases": [{"subject": "a"}],
    "device": "cpu",
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What train and evaluate_bundle were called with; both are doubles."""
    seen: dict[str, Any] = {}

    def train(recipe: Path, data: Path, output: Path, **options: Any) -> SimpleNamespace:
        seen.update(recipe=recipe, data=data, output=output, **options)
        options["progress"]("epoch 1", 0.5)
        if recipe.read_text() == "wrong":
            raise RecipeError("recipe.yaml: there is no seed; add one.")
        return SimpleNamespace(name="toy", version="1.0.0", fingerprint="f" * 64, folder=output / "toy")

    def evaluate_bundle(bundle: Any, data: Path, **options: Any) -> dict[str, Any]:
        seen.update(bundle=bundle.name, data=data, **options)
        options["progress"]("1 of 2", 0.5)
        return FIGURES

    for name, double in (("training", train), ("inference.evaluate", evaluate_bundle)):
        module = ModuleType(f"LandmarkDetectorLib.{name}")
        setattr(module, double.__name__, double)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "LandmarkDetectorLib.inference", ModuleType("LandmarkDetectorLib.inference"))
    return seen


def test_train_hands_the_recipe_over(run, calls, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("right")
    output = tmp_path / "run"
    result = run("train", recipe, "--data", tmp_path, "--output", output, "--resume", "--fold", 2, "--device", "cpu")
    assert result.exit_code == 0, result.output
    del calls["progress"]
    expected = {"recipe": recipe, "data": tmp_path, "output": output, "resume": True, "fold": 2, "device": "cpu"}
    assert calls == expected
    assert str(output / "toy") in result.stdout


def test_train_without_options_trains_on_everything_from_the_beginning(run, calls, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("right")
    result = run("train", recipe, "--data", tmp_path, "--output", tmp_path / "run", "--json")
    assert (calls["resume"], calls["fold"], calls["device"]) == (False, None, "auto")
    assert json.loads(result.stdout)["fingerprint"] == "f" * 64


def test_a_wrong_recipe_ends_in_one_sentence(run, refused, calls, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("wrong")
    result = run("train", recipe, "--data", tmp_path, "--output", tmp_path / "run")
    assert refused(result) == "Error: recipe.yaml: there is no seed; add one."


@pytest.mark.parametrize("missing", ["recipe", "data"])
def test_a_missing_recipe_or_folder_ends_in_one_sentence(run, refused, calls, tmp_path: Path, missing: str) -> None:
    recipe = tmp_path / ("nowhere.yaml" if missing == "recipe" else "recipe.yaml")
    if missing == "data":
        recipe.write_text("right")
    data = tmp_path / "nowhere" if missing == "data" else tmp_path
    assert "nowhere" in refused(run("train", recipe, "--data", data, "--output", tmp_path / "run"))
    assert calls == {}


def test_evaluate_prints_the_figures(run, calls, toy_bundle: Path, tmp_path: Path) -> None:
    result = run("evaluate", "--bundle", toy_bundle, "--data", tmp_path, "--subjects", "all")
    assert result.exit_code == 0, result.output
    assert (calls["bundle"], calls["data"], calls["subjects"]) == ("toy-skull", tmp_path, "all")
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.strip()}
    assert rows["summary.mean"] == ["0.125"] and rows["summary.missed"] == ["–"] and rows["device"] == ["cpu"]
    assert rows["basion"] == ["0.150", "0.500"]


def test_evaluate_writes_the_figures(run, calls, toy_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    result = run("evaluate", "--bundle", toy_bundle, "--data", tmp_path, "--json", file)
    assert result.exit_code == 0, result.output
    assert json.loads(file.read_text("utf-8")) == FIGURES
    assert calls["subjects"] == "held-out"


def test_evaluate_prints_json_where_a_dash_asks_for_it(run, calls, toy_bundle: Path, tmp_path: Path) -> None:
    result = run("evaluate", "--bundle", toy_bundle, "--data", tmp_path, "--json", "-")
    assert json.loads(result.stdout) == FIGURES


def test_figures_that_cannot_be_written_are_refused_before_the_work(
    run, refused, calls, toy_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    file = tmp_path / "taken" / "figures.json"
    assert "taken" in refused(run("evaluate", "--bundle", toy_bundle, "--data", tmp_path, "--json", file))
    assert calls == {}
