"""Bias and limits of agreement, on the example of the paper that made them known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation import bland_altman

# Peak expiratory flow of 17 people by two meters, first reading of each (Bland & Altman 1986, table 1).
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_the_peak_flow_meters_agree_as_in_the_paper():
    figures = bland_altman(WRIGHT, MINI, "PEFR", "l/min")
    assert (round(figures.bias, 1), round(figures.sd, 1), figures.n) == (-2.1, 38.8, 17)
    assert figures.bias_interval == pytest.approx((-22.0, 17.8), abs=0.1)
    # The paper rounds 1.96 to 2 and the standard error of a limit to sqrt(3/n) sd, which is 16.3 l/min.
    assert figures.lower == pytest.approx(-79.7, abs=2)
    assert figures.upper == pytest.approx(75.5, abs=2)
    assert figures.lower_interval == pytest.approx((-114.3, -45.1), abs=2)
    assert figures.upper_interval == pytest.approx((40.9, 110.1), abs=2)


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(400):
        reference = rng.normal(100, 20, 25)
        figures = bland_altman(reference + rng.normal(1, 2, 25), reference, "x", "mm")
        ends = (figures.bias_interval, 1.0), (figures.lower_interval, 1 - 3.92), (figures.upper_interval, 1 + 3.92)
        hits.append([low < value < high for (low, high), value in ends])
    assert np.mean(hits, axis=0) == pytest.approx([0.95, 0.95, 0.95], abs=0.03)


def test_a_measurement_that_could_not_be_computed_is_counted_and_one_without_reference_is_not():
    figures = bland_altman([1.0, np.nan, 3.0], [1.0, 2.0, np.nan], "x", "mm")
    assert (figures.n, figures.not_computed, figures.bias) == (1, 1, 0.0)
    content = json.loads(json.dumps(figures.to_json(), allow_nan=False))
    assert content["lower"] is None and "differences" not in content
    assert bland_altman([], [], "x", "mm").to_json()["bias"] is None


def test_the_table_names_bias_and_limits():
    rows = bland_altman(WRIGHT, MINI, "PEFR", "l/min").table()
    assert [row["figure"] for row in rows] == ["bias", "lower", "upper"]
    with pytest.raises(LandmarkError, match="do not fit"):
        bland_altman([1.0], [1.0, 2.0], "x", "mm")
