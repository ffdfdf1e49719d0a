"""The cases of landmarker's tests/test_uncertainty.py through our interface, and what that file leaves untried.

Its one test asserts that ten names can be imported: seven methods and three functions that bring heatmaps and landmarks
back to the size of the original image. Here each method does what its name says, without spacing and in 3D as well.
The three functions have no counterpart among the regions: maps and landmarks are in the voxel indices of one grid, and
``core.Grid`` takes positions between grids (theirs drops half a voxel on the way).
"""

from __future__ import annotations

import numpy as np
import pytest

from LandmarkDetectorLib.core import Grid
from LandmarkDetectorLib.evaluation.regions import build_region_method, coverage_report
from Testing.evaluation.region_samples import cases

NAMES = {
    "ConformalRegressorMahalanobis": ("ellipsoidal", {}),
    "ConformalRegressorMaxNonconformity": ("max-nonconformity", {}),
    "ConformalRegressorBonferroni": ("bonferroni", {}),
    "MR2CCP": ("m-r2ccp", {}),
    "MR2C2R": ("m-r2c2r", {"score": "probability"}),
    "MR2C2R(aps=True)": ("m-r2c2r", {"score": "aps"}),
    "MultivariateNormalRegressor": ("normal", {}),
    "ContourHuggingRegressor": ("heatmap-mass", {}),
    "ContourHuggingRegressor, calibrated": ("contour-hugging", {}),
}


@pytest.mark.parametrize("theirs", NAMES)
@pytest.mark.parametrize("dimension", [2, 3])
def test_each_of_their_methods_calibrates_judges_and_measures_without_spacing(theirs: str, dimension: int):
    name, arguments = NAMES[theirs]
    predictions, truths = cases(50, 2, dimension, maps=True)
    calibrated = build_region_method(name, **arguments).calibrate(predictions.cases(slice(0, 40)), truths[:40], 0.7)
    report = coverage_report(calibrated, predictions.cases(slice(40, None)), truths[40:])
    assert report.landmarks.n == 20 and 0 < report.sizes["all"].mean < np.inf
    assert report.landmarks.covered > 0


def test_positions_go_from_the_resized_map_to_the_image_and_back_through_their_grids():
    image = Grid.regular((100, 60))
    # Half of the resolution, padded below to a square: the centre of its first voxel lies between two of the image.
    resized = Grid((50, 50), (2.0, 2.0), (0.5, 0.5), np.eye(2))
    landmarks = np.array([[0.0, 0.0], [50.0, 30.0], [99.0, 59.0]])
    inside = resized.to_index(image.to_world(landmarks))
    np.testing.assert_allclose(inside[0], [-0.25, -0.25])  # theirs: 0, and 49.5 for the last
    np.testing.assert_allclose(image.to_index(resized.to_world(inside)), landmarks)
