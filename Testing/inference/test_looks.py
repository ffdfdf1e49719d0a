"""Several passes of the patches, one after another, as one measurement."""

from __future__ import annotations

import numpy as np

from LandmarkDetectorLib.inference.decoding import Measurement
from LandmarkDetectorLib.inference.detector import _mean


def test_what_one_of_two_looks_has_found_stays_where_that_look_saw_it() -> None:
    one, two = np.array([[1.0, 2], [np.nan, np.nan], [np.nan, np.nan]]), np.array([[3.0, 4], [5, 6], [np.nan, np.nan]])
    forms = np.tile(np.eye(2), (3, 1, 1))
    joined = _mean([Measurement(one, forms, np.full(3, 0.4)), Measurement(two, 3 * forms, np.full(3, 0.8))])
    np.testing.assert_allclose(joined.positions, [[2, 3], [5, 6], [np.nan, np.nan]])
    np.testing.assert_allclose(joined.covariances[:, 0, 0], [2, 3, 2])
    np.testing.assert_allclose(joined.presence, 0.6)
