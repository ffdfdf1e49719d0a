"""The distance between each landmark and its truth, and the landmarks found where there is none.

Two cases are told apart from a number everywhere: NaN where nobody annotated the landmark (nothing can be said), +inf
where it was annotated and not found (a miss).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from LandmarkDetectorLib.core import LandmarkError, LandmarkSet


def radial_errors(predicted: LandmarkSet, truth: LandmarkSet) -> np.ndarray:
    """Distance between each landmark of ``truth`` and the one of the same label in ``predicted``.

    Args:
        predicted: in any order; labels that the truth does not have are ignored.
        truth: gives the order of the result.

    Returns:
        (K,) distances in the common unit, in the order of ``truth``: NaN where the truth has no position, +inf where
        the truth has one and the prediction has none (a missed landmark).

    Raises:
        LandmarkError: units or dimensions differ, or a label stands twice in one of the sets.
    """
    found, known = _paired(predicted, truth)
    errors = np.full(len(known), np.nan)
    for k, (here, there) in enumerate(zip(found, known, strict=True)):
        if there.position is not None:
            errors[k] = np.inf if here.position is None else np.linalg.norm(here.position - there.position)
    return errors


def on_host(values: Any) -> np.ndarray:
    """An array of doubles from anything that holds numbers, a tensor on any device included."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    return np.array(values, dtype=np.float64)


def position_errors(predicted: Any, truth: Any, spacing: Any = 1.0) -> np.ndarray:
    """Distances between positions that stand in arrays and are paired by their place in them.

    Args:
        predicted: (..., K, d), an array or a tensor; a row with NaN was not found.
        truth: of the same shape; a row with NaN was not annotated.
        spacing: what positions in voxels are multiplied by: a number, (d,) for all, or (N, d), one row an image of
            positions (N, K, d). Positions that are in the world already need none.

    Returns:
        (..., K) as :func:`radial_errors`: NaN not annotated, +inf missed.

    Raises:
        LandmarkError: shapes that do not fit each other, or a spacing that is not positive.
    """
    found, known, step = (on_host(part) for part in (predicted, truth, spacing))
    if found.shape != known.shape or known.ndim < 2 or known.shape[-1] not in (2, 3):
        raise LandmarkError(f"Positions of shapes {found.shape} and {known.shape} do not fit; give two (..., K, d).")
    each = (known.shape[0], known.shape[-1]) if known.ndim == 3 else ()
    if step.shape not in ((), known.shape[-1:], each):
        raise LandmarkError(f"A spacing of shape {step.shape} does not fit positions {known.shape}; give (d,).")
    if not np.all(step > 0):
        raise LandmarkError(f"The spacing {step.tolist()} is not positive; mend the image's header.")
    gaps = (found - known) * (step[:, None, :] if step.ndim == 2 else step)
    errors = np.linalg.norm(gaps, axis=-1)
    errors[~np.isfinite(found).all(axis=-1)] = np.inf
    errors[~np.isfinite(known).all(axis=-1)] = np.nan
    return errors


def false_finds(predicted: LandmarkSet, truth: LandmarkSet) -> np.ndarray:
    """Where ``predicted`` places a landmark that ``truth`` says is absent.

    A landmark that nobody has annotated (``undefined`` in the truth) is no false find: nothing is known of it.

    Returns:
        (K,) bool, in the order of ``truth``.

    Raises:
        LandmarkError: as :func:`radial_errors`.
    """
    found, known = _paired(predicted, truth)
    pairs = zip(found, known, strict=True)
    return np.array([there.status == "missing" and here.position is not None for here, there in pairs], dtype=bool)


def _paired(predicted: LandmarkSet, truth: LandmarkSet) -> tuple[LandmarkSet, LandmarkSet]:
    if predicted.unit != truth.unit:
        raise LandmarkError(
            f"{predicted.name} is in {predicted.unit} and {truth.name} in {truth.unit}; bring both to one unit first."
        )
    if predicted.dimension and truth.dimension and predicted.dimension != truth.dimension:
        raise LandmarkError(
            f"{predicted.name} is {predicted.dimension}D and {truth.name} {truth.dimension}D; give sets of one image."
        )
    # The truth goes through `reordered` too: that is what refuses a label that stands twice.
    return predicted.reordered(truth.labels), truth.reordered(truth.labels)
