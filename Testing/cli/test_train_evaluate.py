"""landmark-detector train and evaluate hand over what was asked, and print what came back."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from LandmarkDetectorLib.core import Cancelled, RecipeError

FIGURES = {
    "summary": {"mean": 0.125, "n": 2, "missed": None},
    "per_landmark": {
        "nasion": {"mean": 0.1, "p95": 0.25, "sdr": {"2": 1.0}},
        "basion": {"mean": 0.15, "p95": 0.5, "sdr": {"2": 0.75}},
    },
    "cases": [{"subject": "a"}],
    "device": "cpu",
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What train and evaluate_bundle were called with; both are doubles."""
    seen: dict[str, Any] = {}

    def train(recipe: str, data: Path, output: Path, **options: Any) -> SimpleNamespace:
        seen.update(recipe=recipe, data=data, output=output, **options)
        if "progress" in options:
            options["progress"]("epoch 1", 0.5)
        if recipe == "interrupted":
            signal.raise_signal(signal.SIGINT)
            assert options["cancelled"](), "the first Ctrl-C asks"
            raise Cancelled("Training was cancelled at step 7; --resume goes on from there.")
        if recipe == "interrupted twice":
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("the second Ctrl-C breaks off")
        if recipe == "wrong":
            raise RecipeError("recipe.yaml: there is no seed; add one.")
        assert not options["cancelled"]()
        return SimpleNamespace(name="toy", version="1.0.0", fingerprint="f" * 64, folder=output / "toy")

    def settle(bundle: Any, **options: Any) -> None:
        pytest.fail("training calls it, not the command")

    def evaluate_bundle(bundle: Any, data: Path, **options: Any) -> dict[str, Any]:
        seen.update(bundle=bundle.name, data=data, **options)
        options["progress"]("1 of 2", 0.5)
        options["keep"]("case", "found")
        return FIGURES

    def evaluation_page(bundle: Any, figures: dict[str, Any], judged: list) -> str:
        return f"<p>{bundle.name} {figures['device']} {judged}</p>"

    def write_pictures(bundle: Any, judged: list, folder: Path) -> list[Path]:
        (folder / "one.png").write_bytes(b"picture")
        return [folder / "one.png"]

    page = ModuleType("LandmarkDetectorLib.inference.evaluation_page")
    page.__dict__.update(evaluation_page=evaluation_page, write_pictures=write_pictures)
    monkeypatch.setitem(sys.modules, page.__name__, page)
    doubles = (("training", train), ("inference.evaluate", evaluate_bundle), ("inference.offsets", settle))
    for name, double in doubles:
        module = ModuleType(f"LandmarkDetectorLib.{name}")
        setattr(module, double.__name__, double)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "LandmarkDetectorLib.inference", ModuleType("LandmarkDetectorLib.inference"))
    return seen


def test_train_hands_the_recipe_over(run, calls, tmp_path: Path) -> None:
    output = tmp_path / "run"
    result = run("train", "my.yaml", "--data", tmp_path, "--output", output, "--resume", "--fold", 2, "--device", "cpu")
    assert result.exit_code == 0, result.output
    progress, cancelled, settle = (calls.pop(name) for name in ("progress", "cancelled", "settle"))
    # What is learnt from the trained bundle is cancelled and shown like the training.
    assert settle.keywords == {"data": tmp_path, "device": "cpu", "progress": progress, "cancelled": cancelled}
    expected = {"recipe": "my.yaml", "data": tmp_path, "output": output, "resume": True, "fold": 2, "device": "cpu"}
    expected |= {"results": None, "images": "cached"}
    assert calls == expected
    assert str(output / "toy") in result.stdout
    assert "the bundle lists its subjects as dataset.json calls them" in result.stderr


def test_images_that_do_not_fit_into_memory_are_streamed(run, refused, calls, tmp_path: Path) -> None:
    words = ("train", "my.yaml", "--data", tmp_path, "--output", tmp_path / "run", "--images")
    assert run(*words, "streamed").exit_code == 0 and calls["images"] == "streamed"
    assert "'cached', 'streamed'" in refused(run(*words, "downloaded"))


def test_of_several_processes_one_speaks(run, calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    result = run("train", "interrupted", "--data", tmp_path, "--output", tmp_path / "run", "--json")
    assert (result.exit_code, result.output) == (130, "")
    assert run("train", "my.yaml", "--data", tmp_path, "--output", tmp_path / "run", "--json").output == ""


def test_train_without_options_trains_on_everything_from_the_beginning(run, calls, tmp_path: Path) -> None:
    result = run("train", "my.yaml", "--data", tmp_path, "--output", tmp_path / "run", "--json")
    assert (calls["resume"], calls["fold"], calls["device"]) == (False, None, "auto")
    assert json.loads(result.stdout)["fingerprint"] == "f" * 64


def test_a_wrong_recipe_ends_in_one_sentence(run, refused, calls, tmp_path: Path) -> None:
    result = run("train", "wrong", "--data", tmp_path, "--output", tmp_path / "run")
    assert refused(result) == "Error: recipe.yaml: there is no seed; add one."


def test_a_missing_folder_of_data_ends_in_one_sentence(run, refused, calls, tmp_path: Path) -> None:
    assert "nowhere" in refused(run("train", "my.yaml", "--data", tmp_path / "nowhere", "--output", tmp_path / "run"))
    assert calls == {}


def test_ctrl_c_lets_training_write_its_checkpoint(run, calls, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    result = run("train", "interrupted", "--data", tmp_path, "--output", tmp_path / "run")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "Training was cancelled at step 7; --resume goes on from there."
    assert "Stopping at the next checkpoint" in result.stderr
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_breaks_training_off(run, calls, tmp_path: Path) -> None:
    result = run("train", "interrupted twice", "--data", tmp_path, "--output", tmp_path / "run")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "Cancelled; --resume goes on from the last checkpoint, if there is one."


def test_evaluate_prints_the_figures(run, calls, toy_bundle: Path, tmp_path: Path) -> None:
    result = run("evaluate", "--bundle", toy_bundle, "--data", tmp_path, "--subjects", "all")
    assert result.exit_code == 0, result.output
    assert (calls["bundle"], calls["data"], calls["subjects"]) == ("toy-skull", tmp_path, "all")
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.strip()}
    assert rows["summary.mean"] == ["0.125"] and rows["summary.missed"] == ["–"] and rows["device"] == ["cpu"]
    assert rows["basion"] == ["0.150", "0.500", "0.750"]


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


def test_evaluate_writes_a_page_and_pictures_where_they_are_asked_for(
    run, calls, toy_bundle: Path, tmp_path: Path
) -> None:
    page, pictures = tmp_path / "new" / "report.html", tmp_path / "figures"
    result = run("evaluate", "--bundle", toy_bundle, "--data", tmp_path, "--html", page, "--figures", pictures)
    assert result.exit_code == 0, result.output
    assert page.read_text("utf-8") == "<p>toy-skull cpu [('case', 'found')]</p>"
    assert (pictures / "one.png").is_file()
    assert "1 pictures in" not in result.output and str(page) in result.output.replace("\n", "")


def test_a_page_is_written_beside_json_on_stdout(run, calls, toy_bundle: Path, tmp_path: Path) -> None:
    result = run("evaluate", "--bundle", toy_bundle, "--data", tmp_path, "--json", "-", "--html", tmp_path / "a.html")
    assert json.loads(result.stdout) == FIGURES
    assert (tmp_path / "a.html").is_file()


def test_a_page_that_cannot_be_written_is_refused_before_the_work(
    run, refused, calls, toy_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    file = tmp_path / "taken" / "report.html"
    assert "taken" in refused(run("evaluate", "--bundle", toy_bundle, "--data", tmp_path, "--html", file))
    assert calls == {}
