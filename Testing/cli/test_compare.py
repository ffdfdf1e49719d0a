"""landmark-detector compare prints tables, and writes JSON and a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = []
    for name, worse in (("old", 0.3), ("new", 0.0), ("odd", 0.1)):
        cases = [
            {"subject": f"s{n}", "errors": {"nasion": 1 + n / 10 + worse, "basion": 2 + n / 20 + worse * n / 5}}
            for n in range(8)
        ]
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps({"summary": {"unit": "mm"}, "cases": cases}), encoding="utf-8")
    return paths


def test_two_files_of_results_become_tables(run, files: list[Path]) -> None:
    result = run("compare", *files[:2])
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.strip()}
    assert lines["cases"] == ["cases", "8"] and lines["unit"] == ["unit", "mm"]
    assert lines["nasion"][1:] == ["1.650", "1.350", "-0.300", "0.016"]
    assert "differences" in result.stdout and "Holm's p" in result.stdout and "≤2 %" in result.stdout


def test_several_models_are_written_as_json_and_as_a_page(run, files: list[Path], tmp_path: Path) -> None:
    figures, page = tmp_path / "new" / "c.json", tmp_path / "new" / "c.html"
    result = run("compare", *files, "--json", figures, "--html", page)
    assert result.exit_code == 0, result.output
    content = json.loads(figures.read_text("utf-8"))
    assert list(content["models"]) == ["old", "new", "odd"] and len(content["pairs"]) == 2
    assert content["pairs"][0]["overall"]["difference"] == pytest.approx(-0.2550)
    assert "old and new and odd" in page.read_text("utf-8")
    assert str(page) in result.output.replace("\n", "")


def test_json_goes_to_stdout_where_a_dash_asks_for_it(run, files: list[Path]) -> None:
    assert json.loads(run("compare", *files, "--json", "-").stdout)["cases"] == 8


def test_notes_go_beside_the_result(run, files: list[Path], tmp_path: Path) -> None:
    content = json.loads(files[1].read_text())
    content["cases"].pop()
    files[1].write_text(json.dumps(content))
    result = run("compare", *files[:2])
    assert "Note: All models were judged on 7 cases; left out: 1." in result.stderr


def test_one_model_and_a_file_of_something_else_are_refused(run, refused, files: list[Path], tmp_path: Path) -> None:
    assert "two models or more" in refused(run("compare", files[0]))
    (tmp_path / "x.json").write_text("[]")
    assert "x.json holds no results" in refused(run("compare", files[0], tmp_path / "x.json"))


def test_figures_do_not_replace_a_file_without_being_told_to(run, refused, files: list[Path], tmp_path: Path) -> None:
    precious = tmp_path / "mine.mrk.json"
    precious.write_text("corrected by hand")
    assert "would be replaced; add --overwrite" in refused(run("compare", *files[:2], "--json", precious))
    assert "would be replaced" in refused(run("agreement", tmp_path, tmp_path / "x", "--html", precious))
    assert precious.read_text() == "corrected by hand"
    assert run("compare", *files[:2], "--json", precious, "--overwrite").exit_code == 0
