"""Agreement of coordinates: squared error as a fraction of the image, and Pearson's correlation.

These are the figures in which landmarks of the spine are judged (BoostNet, Wu et al. 2017, MICCAI,
doi:10.1007/978-3-319-66182-7_15; FARNet, Ao & Wu 2023, doi:10.1007/s10278-022-00718-4): each coordinate is divided by
the size of the image along its axis, the mean of the squared differences is taken over all coordinates of all
landmarks, and the correlation is that of all predicted with all true coordinates. The latter mostly says that x differs
from y and one landmark from another: it is close to 1 for any model that knows the anatomy, so it stands here for
comparison with the literature, beside the correlation along each axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.plain import plain


@dataclass(frozen=True)
class CoordinateAgreement:
    """How coordinates agree; NaN where too few were found.

    Attributes:
        mse: mean squared difference of the coordinates as fractions of the image: 0.0017 is 4 % of its side.
        rho: Pearson's correlation of all coordinates, as fractions of the image.
        mse_per_axis: ``"x"``, ``"y"`` [, ``"z"``] -> mean squared difference along it.
        rho_per_axis: the correlation along each axis.
        n: landmarks that these are over, annotated and found.
        missed: landmarks annotated and not found; no figure above knows of them.
    """

    mse: float
    rho: float
    mse_per_axis: Mapping[str, float]
    rho_per_axis: Mapping[str, float]
    n: int
    missed: int

    def to_json(self) -> dict[str, Any]:
        """A plain dict; what could not be computed is ``None``."""
        return plain(asdict(self))

    def table(self) -> list[dict[str, Any]]:
        """One row an axis and a last one for all."""
        rows = [
            {"axis": axis, "mse": self.mse_per_axis[axis], "rho": self.rho_per_axis[axis]} for axis in self.mse_per_axis
        ]
        return plain([*rows, {"axis": "all", "mse": self.mse, "rho": self.rho}])


def coordinate_agreement(predicted: np.ndarray, truth: np.ndarray, size: Any) -> CoordinateAgreement:
    """Compare coordinates as fractions of the image.

    Args:
        predicted: (N, K, d) voxel indices x, y[, z], or lengths where ``size`` is one; a row with NaN was not found.
        truth: of the same shape; a row with NaN was not annotated and does not count.
        size: of the images along x, y[, z] in the unit of the positions, (d,), or (N, d) where they differ.

    Raises:
        LandmarkError: shapes that do not fit, or a size that is not positive.
    """
    found, known, size = (np.asarray(part, dtype=np.float64) for part in (predicted, truth, size))
    if found.shape != known.shape or known.ndim != 3 or known.shape[2] not in (2, 3):
        raise LandmarkError(f"Positions of shapes {found.shape} and {known.shape} do not fit; give two (N, K, d).")
    if size.shape not in (known.shape[2:], (known.shape[0], known.shape[2])) or not np.all(size > 0):
        raise LandmarkError(f"Sizes {size.tolist()} do not fit positions of shape {known.shape}; give x, y[, z] > 0.")
    share = size[:, None, :] if size.ndim == 2 else size
    annotated = np.isfinite(known).all(axis=-1)
    both = annotated & np.isfinite(found).all(axis=-1)
    here, there = (found / share)[both], (known / share)[both]
    names = "xyz"[: known.shape[2]]
    return CoordinateAgreement(
        mse=_mean_square(here - there),
        rho=_correlation(here.ravel(), there.ravel()),
        mse_per_axis={name: _mean_square(here[:, i] - there[:, i]) for i, name in enumerate(names)},
        rho_per_axis={name: _correlation(here[:, i], there[:, i]) for i, name in enumerate(names)},
        n=int(both.sum()),
        missed=int((annotated & ~both).sum()),
    )


def _mean_square(gaps: np.ndarray) -> float:
    return float((gaps**2).mean()) if gaps.size else np.nan


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if one.size < 2 or not one.std() or not other.std():
        return np.nan
    return float(np.corrcoef(one, other)[0, 1])
