"""The main job as a person gets it: the shipped sample through the real command line, networks and all."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.io import load_landmarks


@pytest.mark.parametrize(("name", "least"), [("mouse-skull-ct", 45), pytest.param("fundus", 2, marks=pytest.mark.slow)])
def test_the_demo_prints_a_table_and_writes_three_files(name: str, least: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "LandmarkDetectorLib.cli", "demo", "--bundle", name, "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    labels = load_bundle(name).labels
    assert all(label in done.stdout for label in labels)
    markups, table, page = (next(tmp_path.glob(f"*{suffix}")) for suffix in (".mrk.json", ".csv", ".html"))
    content = json.loads(markups.read_text())["markups"][0]
    assert content["coordinateSystem"] == "LPS" and content["locked"] is False
    assert sum(point["positionStatus"] == "defined" for point in content["controlPoints"]) >= least
    for path in (markups, table):
        found = load_landmarks(path)
        assert found.labels == labels
        assert all(mark.confidence is not None for mark in found if mark.position is not None)
    html = page.read_text(encoding="utf-8")
    assert "not reviewed" in html.lower()
    assert not re.search(r"""(src|href)=["']?https?://""", html)
