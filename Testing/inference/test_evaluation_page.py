"""The report and the pictures of an evaluation of a bundle that ships, on the samples that it brings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.core import Landmark, LandmarkSet
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.inference.evaluation_page import evaluation_page, fitting_radii, write_pictures
from LandmarkDetectorLib.io import load_landmarks

SHIPPED = Path(__file__).resolve().parents[2] / "LandmarkDetectorLib" / "bundles" / "shipped"
FIGURES = {"dataset": "samples", "subjects": "all", "device": "cpu", "seconds": {"median": 0.5}}


@pytest.fixture(scope="module")
def heads() -> list[tuple[Case, LandmarkSet]]:
    """Two heads; what was found lies 1 mm beside the annotation, one landmark was missed."""
    judged = []
    for name in ("050_HC", "050_2HC"):
        folder = SHIPPED / "fetal-head-us" / "samples"
        truth = load_landmarks(folder / f"{name}.mrk.json").to_plane()
        found = [Landmark(mark.label, mark.position + [0.6, 0.8]) for mark in truth]
        judged.append((Case("050", folder / f"{name}.mha", truth, "050"), found))
    judged[1][1][0] = Landmark(judged[1][1][0].label)
    return [(case, LandmarkSet(tuple(found))) for case, found in judged]


def test_the_page_of_a_head_has_its_measurements_and_its_largest_errors(heads):
    page = evaluation_page(load_bundle(SHIPPED / "fetal-head-us"), FIGURES, heads)
    assert "1.00 mm" in page and "1</b><span>missed of 8 annotated" in page
    assert "Head circumference" in page and "1 could not be computed" in page
    assert "2 images of 1 subject;" in page
    assert page.count("data:image/") == 1 + 1 + 4 + 3
    assert "trained on" not in page


def test_the_page_says_when_a_subject_trained_the_model(heads):
    case, found = heads[0]
    known = Case("000", case.image_path, case.landmarks, "000")
    page = evaluation_page(load_bundle(SHIPPED / "fetal-head-us"), FIGURES, [(known, found)])
    assert "fetal-head-us was trained on 1 of 1 subject here" in page


def test_radii_fit_the_size_of_what_was_measured():
    small, large = np.array([[0.1, 0.3, np.nan]]), np.array([[0.1, 3.0, np.inf]])
    assert fitting_radii(small, "mm") == pytest.approx((0.2, 0.25, 0.3, 0.4))
    assert fitting_radii(large, "mm") == fitting_radii(small, "px") == (2.0, 2.5, 3.0, 4.0)


def test_each_case_has_a_picture(heads, tmp_path: Path):
    written = write_pictures(load_bundle(SHIPPED / "fetal-head-us"), heads, tmp_path / "new")
    assert [path.name for path in written] == ["errors.png", "0001-050_HC.png", "0002-050_2HC.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
