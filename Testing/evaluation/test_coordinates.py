"""The spine's figures: squared error as a fraction of the image, and correlation."""

from __future__ import annotations

import numpy as np
import pytest

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation import coordinate_agreement

NAN = np.nan


def test_the_squared_error_is_that_of_coordinates_divided_by_the_image():
    truth = np.array([[[10.0, 20.0], [30.0, 40.0]]])
    found = truth + [[[10.0, 0.0], [0.0, 20.0]]]
    agreement = coordinate_agreement(found, truth, (100, 200))
    assert agreement.mse == pytest.approx((0.1**2 + 0.1**2) / 4)
    assert agreement.mse_per_axis == pytest.approx({"x": 0.005, "y": 0.005})


def test_each_image_is_divided_by_its_own_size():
    truth = np.zeros((2, 1, 3))
    found = np.full((2, 1, 3), 5.0)
    sizes = [(50, 50, 50), (100, 100, 100)]
    assert coordinate_agreement(found, truth, sizes).mse == pytest.approx((0.01 + 0.0025) / 2)


def test_the_correlation_is_that_of_numpy_over_all_coordinates():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 100, (7, 5, 2))
    found = truth + rng.normal(0, 8, truth.shape)
    agreement = coordinate_agreement(found, truth, (100, 100))
    assert agreement.rho == pytest.approx(np.corrcoef(found.ravel(), truth.ravel())[0, 1])
    assert agreement.rho_per_axis["y"] == pytest.approx(np.corrcoef(found[..., 1].ravel(), truth[..., 1].ravel())[0, 1])


def test_what_was_missed_is_counted_and_what_was_not_annotated_is_not():
    truth = np.array([[[1.0, 1.0], [2.0, 3.0], [NAN, NAN]]])
    found = np.array([[[1.0, 1.0], [NAN, NAN], [4.0, 4.0]]])
    agreement = coordinate_agreement(found, truth, (10, 10))
    assert (agreement.n, agreement.missed, agreement.mse) == (1, 1, 0.0)
    assert agreement.to_json()["rho_per_axis"]["x"] is None
    assert [row["axis"] for row in agreement.table()] == ["x", "y", "all"]


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(LandmarkError, match="do not fit"):
        coordinate_agreement(np.zeros((2, 1, 2)), np.zeros((2, 1, 2)), (10, 0))
    with pytest.raises(LandmarkError, match="do not fit"):
        coordinate_agreement(np.zeros((2, 1, 2)), np.zeros((2, 1, 3)), (10, 10))
