"""What regions are made from: positions with covariances or heatmaps, over cases and landmarks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from LandmarkDetectorLib.core import LandmarkError, LandmarkSet
from LandmarkDetectorLib.core.grid import UNITS
from LandmarkDetectorLib.evaluation.distances import on_host

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Predictions:
    """N cases of K landmarks in D dimensions.

    Positions, covariances and truths are in one system of coordinates: the world (then no spacing is needed), or the
    voxel indices x, y[, z] of the heatmaps. Tensors on any device are taken; positions and covariances are few numbers
    and are copied to the host, heatmaps stay where they are.

    Args:
        positions: (N, K, D); NaN where the landmark was not found.
        labels: the K names; ``"0"``, ``"1"`` … by default.
        covariances: (N, K, D, D), or ``None``; not looked at where there is no position.
        heatmaps: one (K, [Z, ]Y, X) tensor a case, or all of them as one (N, K, [Z, ]Y, X) tensor; cases may differ in
            size, and any sequence that makes its maps when asked will do.
        spacing: lengths in ``unit`` of one step of the coordinates along x, y[, z]: (D,), or (N, D) where cases
            differ; 1 by default. It makes areas and volumes, and nothing else.
        unit: of lengths, ``"mm"`` or ``"px"``.

    Raises:
        LandmarkError: shapes that do not fit, or a covariance that is not positive definite.
    """

    positions: Any
    labels: tuple[str, ...] = ()
    covariances: Any = None
    heatmaps: Sequence[Tensor] | Tensor | None = None
    spacing: Any = None
    unit: str = "mm"

    def __post_init__(self) -> None:
        positions = on_host(self.positions)
        if positions.ndim != 3 or positions.shape[-1] not in (2, 3):
            raise LandmarkError(
                f"Positions of shape {positions.shape} are not (cases, landmarks, 2 or 3); reshape them."
            )
        count, landmarks, d = positions.shape
        labels = tuple(self.labels) or tuple(str(k) for k in range(landmarks))
        if len(labels) != landmarks or len(set(labels)) != landmarks:
            raise LandmarkError(f"{len(labels)} labels do not name {landmarks} landmarks; give one name to each.")
        if self.unit not in UNITS:
            raise LandmarkError(f"The unit {self.unit!r} is not one of {', '.join(UNITS)}.")
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "spacing", self._spacing(count, d))
        if self.covariances is not None:
            covariances = on_host(self.covariances)
            if covariances.shape != (count, landmarks, d, d):
                raise LandmarkError(
                    f"Covariances of shape {covariances.shape} do not fit positions of shape {positions.shape}; give "
                    f"{(count, landmarks, d, d)}."
                )
            object.__setattr__(self, "covariances", _checked(covariances, self.found, labels))
        if self.heatmaps is not None and len(self.heatmaps) != count:
            raise LandmarkError(f"Heatmaps of {len(self.heatmaps)} cases do not fit positions of {count} cases.")

    @classmethod
    def from_sets(cls, sets: Sequence[LandmarkSet], labels: Iterable[str] | None = None) -> Predictions:
        """What detectors found, in the world.

        Args:
            sets: one a case, all in one unit.
            labels: which landmarks, in which order; those of the first set by default.

        Raises:
            LandmarkError: no set, units or dimensions that differ, or a landmark with a position and no covariance
                where others have one.
        """
        if not sets:
            raise LandmarkError("There is no set of landmarks to make regions from; give one a case.")
        names = tuple(labels) if labels is not None else tuple(sets[0].labels)
        positions = positions_of(sets, names)
        d = positions.shape[-1]
        marks = [list(one.reordered(names)) for one in sets]
        covariances = None
        if any(mark.covariance is not None for row in marks for mark in row):
            nothing = np.full((d, d), np.nan)
            covariances = np.array([[nothing if m.covariance is None else m.covariance for m in row] for row in marks])
        return cls(positions, names, covariances, unit=sets[0].unit)

    @classmethod
    def from_heatmaps(
        cls,
        heatmaps: Sequence[Tensor] | Tensor,
        labels: Iterable[str] = (),
        *,
        decoder: str = "gaussian_fit",
        spacing: Any = None,
        unit: str = "mm",
        **options: Any,
    ) -> Predictions:
        """What a decoder reads from heatmaps, in their voxel indices, and the maps themselves.

        Args:
            heatmaps: as for :class:`Predictions`.
            labels: as for :class:`Predictions`.
            decoder: as for :func:`LandmarkDetectorLib.heatmaps.decode`, with its ``options``. One that reads no form
                of the peak (``"argmax"``) gives no covariances.
            spacing: as for :class:`Predictions`.
            unit: as for :class:`Predictions`.
            options: of the decoder.
        """
        from LandmarkDetectorLib.heatmaps import decode

        read = [decode(maps[None], decoder, **options) for maps in heatmaps]
        positions = np.concatenate([on_host(one.positions) for one in read])
        covariances = np.concatenate([on_host(one.covariance) for one in read])
        found = np.isfinite(positions).all(-1)
        known = bool(np.isfinite(covariances[found]).all())
        return cls(positions, tuple(labels), covariances if known else None, heatmaps, spacing, unit)

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return self.positions.shape[-1]

    @property
    def found(self) -> np.ndarray:
        """(N, K) bool, whether a landmark has a position."""
        return np.isfinite(self.positions).all(-1)

    def __len__(self) -> int:
        return len(self.positions)

    def cases(self, which) -> Predictions:
        """The cases of these numbers, or of this mask (N,)."""
        chosen = np.arange(len(self))[which]
        maps = None if self.heatmaps is None else [self.heatmaps[int(i)] for i in chosen]
        covariances = None if self.covariances is None else self.covariances[chosen]
        return Predictions(self.positions[chosen], self.labels, covariances, maps, self.spacing[chosen], unit=self.unit)

    def truths(self, truths: Any) -> np.ndarray:
        """Truths as an array (N, K, D) that fits; NaN where nobody annotated.

        Raises:
            LandmarkError: they do not fit.
        """
        truths = on_host(truths)
        if truths.shape != self.positions.shape:
            raise LandmarkError(
                f"Truths of shape {truths.shape} do not fit predictions of shape {self.positions.shape}; give the same "
                "cases and landmarks in the same order."
            )
        return truths

    def _spacing(self, count: int, d: int) -> np.ndarray:
        spacing = np.ones(d) if self.spacing is None else on_host(self.spacing)
        if spacing.shape not in ((d,), (count, d)) or not np.all(np.isfinite(spacing) & (spacing > 0)):
            raise LandmarkError(
                f"A spacing of shape {spacing.shape} is not {d} positive numbers, nor those for each of {count} cases."
            )
        return np.broadcast_to(spacing, (count, d))


def positions_of(sets: Sequence[LandmarkSet], labels: Iterable[str]) -> np.ndarray:
    """Positions (N, K, D) of the landmarks of these labels in N sets; NaN where a landmark has none.

    Raises:
        LandmarkError: units or dimensions that differ.
    """
    names = list(labels)
    if len({one.unit for one in sets}) > 1:
        raise LandmarkError("Some of the sets are in mm and some in px; bring them to one unit first.")
    dimensions = {one.dimension for one in sets if one.dimension is not None}
    if len(dimensions) > 1:
        raise LandmarkError("2D and 3D sets of landmarks stand together; give sets of one kind of image.")
    d = next(iter(dimensions), 3)
    nothing = np.full((len(names), d), np.nan)
    rows = [one.reordered(names) for one in sets]
    return np.array([nothing if row.dimension is None else row.positions for row in rows]).reshape(-1, len(names), d)


def _checked(covariances: np.ndarray, found: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
    """Covariances that are positive definite wherever there is a position, and the unit matrix elsewhere."""
    covariances = np.where(found[..., None, None], covariances, np.eye(covariances.shape[-1]))
    finite = np.isfinite(covariances).all((-1, -2))
    least = np.linalg.eigvalsh(np.where(finite[..., None, None], covariances, 0)).min(-1)
    wrong = np.argwhere(~finite | (least <= 0))
    if len(wrong):
        case, landmark = wrong[0]
        raise LandmarkError(
            f"The covariance of {labels[landmark]!r} in case {case} is not finite and positive definite; give each "
            "landmark that was found a spread above zero along every axis."
        )
    return covariances
