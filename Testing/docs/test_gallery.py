"""Every script of the gallery runs as it stands, and what it prints is right: what trains learns."""

from __future__ import annotations

import re
import runpy
import tempfile
from pathlib import Path

import pytest
import torch

GALLERY = Path(__file__).resolve().parents[2] / "docs" / "gallery"
NUMBER = r"([\d.]+|nan)"


@pytest.fixture
def printed(monkeypatch, tmp_path, capsys):
    """Runs a script of the gallery; its lines."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def run(name: str) -> str:
        with torch.random.fork_rng():
            runpy.run_path(str(GALLERY / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def numbers(pattern: str, text: str) -> list[float]:
    found = re.search(pattern, text)
    assert found is not None, text
    return [float(group) for group in found.groups()]


def test_landmarks_go_through_the_augmentation_and_stay_in_the_world(printed):
    text = printed("data_and_augmentation")
    assert "image (2, 1, 160, 224) landmarks (2, 4, 2)" in text
    moved = re.findall(rf"4 landmarks in view, moved in the world by {NUMBER} mm", text)
    assert len(moved) == 2 and max(map(float, moved)) < 0.001


@pytest.mark.slow
def test_a_network_learns_all_instances_of_a_class(printed):
    text = printed("static_heatmaps")
    line = rf"{{}}: (\d+) found, (\d+) missed, (\d+) false, mean error {NUMBER} px"
    before, after = numbers(line.format("before"), text), numbers(line.format("after"), text)
    assert before[0] + before[1] == after[0] + after[1] == 30
    assert before[0] < 10 and after[0] >= 27 and after[2] <= 2 and after[3] < 0.5


@pytest.mark.slow
def test_a_spread_is_learnt_that_is_wide_where_observers_disagree(printed):
    text = printed("adaptive_heatmaps")
    line = rf"{{}}: error {NUMBER} px; spread of the disc {NUMBER} × {NUMBER}, of the bar {NUMBER} × {NUMBER} px"
    before, after = numbers(line.format("before"), text), numbers(line.format("after"), text)
    assert before[0] > 5 and after[0] < 1
    _, disc_x, disc_y, bar_x, bar_y = after
    assert bar_x > 1.2 * bar_y and abs(disc_x - disc_y) < 0.3


def test_balls_in_volumes_are_learnt_and_absent_landmarks_too(printed):
    text = printed("masks_in_3d")
    line = rf"{{}}: (\d+) found, (\d+) missed, (\d+) false, mean error {NUMBER} mm"
    before, after = numbers(line.format("before"), text), numbers(line.format("after"), text)
    assert before[0] + before[1] == after[0] + after[1] < 16, "some landmarks are absent"
    assert before[3] > 5 and after[1] <= 1 and after[2] <= 1 and after[3] < 1


def test_an_evaluation_reads_judges_calibrates_and_reports(printed):
    text = printed("evaluation")
    (coarse,), (exact,) = numbers(rf"argmax: reads the peak to {NUMBER}", text), numbers(rf"_fit: .* {NUMBER} px", text)
    assert exact < 0.025 < coarse
    assert numbers(r"\), (\d+) missed", text) == [1]
    held = rf"{{}}: 90 % asked, {NUMBER} % held"
    assert numbers(held.format("normal"), text)[0] < 75 < 80 < numbers(held.format("ellipsoidal"), text)[0]
    page = Path(re.search(r"written: (.*)", text)[1]).read_text("utf-8")
    assert "gonion" in page and "ISBI 2015" in page


def test_the_gallery_lists_its_scripts_and_they_are_short():
    scripts = {path.name for path in GALLERY.glob("*.py")}
    assert set(re.findall(r"\]\((\w+\.py)\)", (GALLERY / "README.md").read_text("utf-8"))) == scripts
    for name in scripts:
        assert len((GALLERY / name).read_text("utf-8").splitlines()) <= 60, name
