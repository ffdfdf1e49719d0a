"""What speaks against a set of corrections: labels that were exchanged, positions that lie off together.

A wrong set of corrections is wrong on the locked cases too, so that a model that learnt it looks good there. What it
cannot hide is how it lies to what the model before it says. None of this proves a mistake: images of another kind look
the same. A person must look, and say why.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

_SHARE = 0.1
"""Of the cases; and never fewer than two."""
_MOST = 3
"""Exchanged pairs that are named; of more, their number says enough."""
_FAR = 1.5
"""Times the error that the model before is known to exceed in one of twenty landmarks."""
_BEYOND = 2.25
"""Times as far as the cases that the model before was judged by. On hippocampi the eight that it was least sure of lay
1.97 times as far as the middle of all, honest ones in no order 1.2 times, and ones that were shifted by 3 mm 2.4."""
_FEWEST = 3
"""Cases on either side of that."""


def doubts(
    reviewed: np.ndarray,
    predicted: np.ndarray,
    labels: Sequence[str],
    unit: str,
    usual: float | None,
    before: np.ndarray | None = None,
) -> list[str]:
    """Sentences that a person must read; none where nothing is strange.

    Args:
        reviewed: (N, K, D) positions that observers vouch for, NaN where there is none.
        predicted: (N, K, D) those of the model before, NaN where not found.
        labels: the K labels.
        unit: of positions.
        usual: the 95th percentile of that model's errors on cases that never trained, or ``None`` where nobody knows.
        before: (M, K) its errors on the cases that it was judged by before these came, NaN where there is none.
    """
    if not len(reviewed):
        return []
    return [*_exchanged(reviewed, predicted, labels), *_moved(reviewed, predicted, unit, usual, before)]


def _exchanged(reviewed: np.ndarray, predicted: np.ndarray, labels: Sequence[str]) -> list[str]:
    """Pairs of labels that lie crosswise: each where the model puts the other."""
    found = []
    for a, b in combinations(range(len(labels)), 2):
        straight = _apart(reviewed[:, a], predicted[:, a]) + _apart(reviewed[:, b], predicted[:, b])
        crossed = _apart(reviewed[:, a], predicted[:, b]) + _apart(reviewed[:, b], predicted[:, a])
        known = np.isfinite(straight)
        swapped, cases = int((crossed[known] < 0.5 * straight[known]).sum()), int(known.sum())
        if swapped >= _enough(cases):
            words = f"{labels[a]} and {labels[b]} lie crosswise to what the model before says in {swapped} of {cases}"
            found.append((swapped / cases, f"{words} cases; were their labels exchanged?"))
    found.sort(key=lambda pair: -pair[0])
    said = [sentence for _, sentence in found[:_MOST]]
    if len(found) > _MOST:
        said.append(
            f"{len(found) - _MOST} further pairs of labels lie crosswise, too. Are left and right mixed up, in the "
            "corrections or by the model before?"
        )
    return said


def _moved(
    reviewed: np.ndarray, predicted: np.ndarray, unit: str, usual: float | None, before: np.ndarray | None
) -> list[str]:
    if usual is None or not usual > 0:
        return []
    away = reviewed - predicted
    known = np.isfinite(away).all(-1)
    away, known = away[known.any(1)], known[known.any(1)]
    if not len(away):
        return []
    lengths = np.where(known, np.linalg.norm(np.where(known[..., None], away, 0), axis=-1), np.nan)
    middle = np.nanmedian(lengths, axis=1)
    far = middle > _FAR * usual
    found = []
    if int(far.sum()) >= _enough(len(far)):
        found.append(
            f"In {int(far.sum())} of {len(far)} cases half of the landmarks lie more than {_FAR * usual:.3g} {unit} "
            f"from where the model before puts them, {float(np.median(middle[far])):.3g} {unit} in the middle; its own "
            f"errors stay below {usual:.3g} {unit} in 95 of 100. Is it another kind of image, or are positions off?"
        )
    elif (ordinary := _ordinary(before)) is not None and len(middle) >= _FEWEST:
        now = float(np.median(middle))
        if now > _BEYOND * ordinary:
            found.append(
                f"In the middle, landmarks lie {now:.3g} {unit} from where the model before puts them, "
                f"{now / ordinary:.1f} times as far as in the cases that it was judged by ({ordinary:.3g} {unit}). "
                "Is it another kind of image, or are positions off?"
            )
    shift = np.nanmean(np.where(known[..., None], away, np.nan), axis=1)
    mean = shift.mean(0)
    size = float(np.linalg.norm(mean))
    together = size / max(float(np.linalg.norm(shift, axis=-1).mean()), 1e-12)
    error = float(np.linalg.norm(shift.std(axis=0))) / np.sqrt(len(shift))
    if len(shift) >= 3 and together > 0.8 and size > max(3 * error, 0.5 * usual):
        direction = ", ".join(f"{value:+.2g}" for value in mean)
        found.append(
            f"All reviewed landmarks together lie {size:.3g} {unit} to one side ({direction} in LPS) of where the "
            "model before puts them. Were they placed in another system of coordinates?"
        )
    return found


def _ordinary(before: np.ndarray | None) -> float | None:
    """The middle error of the middle one of some cases, as far as there are enough."""
    if before is None:
        return None
    errors = np.where(np.isfinite(before), before, np.nan)
    errors = errors[np.isfinite(errors).any(1)]
    return float(np.median(np.nanmedian(errors, axis=1))) if len(errors) >= _FEWEST else None


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(one - other, axis=-1)


def _enough(cases: int) -> int:
    return max(2, int(np.ceil(_SHARE * cases)))
