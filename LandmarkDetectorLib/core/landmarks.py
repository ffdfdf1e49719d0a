"""Landmarks: named places in the world, in order, with what is known of their certainty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from LandmarkDetectorLib.core.errors import LandmarkError
from LandmarkDetectorLib.core.grid import UNITS

STATUSES = ("defined", "missing", "undefined", "preview")
"""As Slicer's positionStatus: placed; known to be absent; not placed yet; being placed."""


@dataclass(frozen=True, eq=False)
class Landmark:
    """One landmark.

    Args:
        label: its name; landmarks pair by it, never by order.
        position: world position (d,), LPS, in the set's unit; ``None`` when it has no place.
        status: one of :data:`STATUSES`; only ``defined`` and ``preview`` landmarks have a position.
        confidence: probability in [0, 1] that the position is right, or ``None`` when nobody said.
        covariance: (d, d) in unit², symmetric and positive semi-definite, or ``None``.
        description: free text, shown beside the landmark.

    Raises:
        LandmarkError: any of these contradict each other.
    """

    label: str
    position: Any = None
    status: str | None = None
    confidence: float | None = None
    covariance: Any = None
    description: str = ""

    def __post_init__(self) -> None:
        position = None if self.position is None else np.array(self.position, dtype=np.float64)
        if position is not None and (position.shape not in ((2,), (3,)) or not np.all(np.isfinite(position))):
            raise LandmarkError(
                f"Landmark {self.label!r}: {position.tolist()} is no finite 2D or 3D position; place it again."
            )
        status = self.status or ("missing" if position is None else "defined")
        if status not in STATUSES:
            raise LandmarkError(f"Landmark {self.label!r}: the status {status!r} is not one of {', '.join(STATUSES)}.")
        if (position is None) == (status in ("defined", "preview")):
            raise LandmarkError(f"Landmark {self.label!r}: status {status!r} contradicts position {self.position}.")
        confidence = None if self.confidence is None else float(self.confidence)
        if confidence is not None and not 0 <= confidence <= 1:
            raise LandmarkError(f"Landmark {self.label!r}: confidence {confidence} is not between 0 and 1.")
        covariance = None if self.covariance is None else np.array(self.covariance, dtype=np.float64)
        if covariance is not None:
            if position is None or covariance.shape != (position.size, position.size):
                raise LandmarkError(f"Landmark {self.label!r}: a covariance of shape {covariance.shape} has no place.")
            scale = max(float(np.abs(covariance).max()), 1e-12)
            if not np.all(np.isfinite(covariance)) or not np.allclose(covariance, covariance.T, atol=1e-6 * scale):
                raise LandmarkError(f"Landmark {self.label!r}: its covariance is not finite and symmetric.")
            if np.linalg.eigvalsh(covariance).min() < -1e-6 * scale:
                raise LandmarkError(f"Landmark {self.label!r}: its covariance is not positive semi-definite.")
            covariance.setflags(write=False)
        if position is not None:
            position.setflags(write=False)
        object.__setattr__(self, "position", position)
        object.__setattr__(self, "status", status)
        object.__setattr__(self, "confidence", confidence)
        object.__setattr__(self, "covariance", covariance)

    @property
    def dimension(self) -> int | None:
        """2 or 3, or ``None`` without a position."""
        return None if self.position is None else int(self.position.size)


@dataclass(frozen=True, eq=False)
class LandmarkSet(Sequence[Landmark]):
    """Landmarks in order, in LPS world coordinates.

    Args:
        landmarks: in the order in which a person reviews them.
        unit: ``"mm"``, or ``"px"`` where the image has no physical scale.
        name: a word for titles and file names.
        info: what else travels along (bundle, version, image, unknown keys of a file); JSON values only.

    Raises:
        LandmarkError: positions of mixed dimension, or an unknown unit.
    """

    landmarks: tuple[Landmark, ...]
    unit: str = "mm"
    name: str = "landmarks"
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "landmarks", tuple(self.landmarks))
        if self.unit not in UNITS:
            raise LandmarkError(f"{self.name}: the unit {self.unit!r} is not one of {', '.join(UNITS)}.")
        if len({mark.dimension for mark in self.landmarks} - {None}) > 1:
            raise LandmarkError(f"{self.name}: 2D and 3D positions stand in one set.")

    @classmethod
    def from_positions(cls, labels: Iterable[str], positions, unit: str = "mm", name: str = "landmarks") -> LandmarkSet:
        """A set from labels and positions (K, d); a row with NaN is a missing landmark."""
        labels, positions = list(labels), np.asarray(positions, dtype=np.float64)
        if positions.ndim != 2 or len(labels) != len(positions):
            raise LandmarkError(f"{name}: {len(labels)} labels do not fit positions of shape {positions.shape}.")
        rows = zip(labels, positions, strict=True)
        return cls(tuple(Landmark(lb, p if np.all(np.isfinite(p)) else None) for lb, p in rows), unit, name)

    def __len__(self) -> int:
        return len(self.landmarks)

    def __iter__(self) -> Iterator[Landmark]:
        return iter(self.landmarks)

    def __getitem__(self, key):
        """By place, by slice, or by label (``KeyError`` where absent or ambiguous)."""
        if isinstance(key, str):
            found = [mark for mark in self.landmarks if mark.label == key]
            if len(found) != 1:
                raise KeyError(f"{len(found)} landmarks are called {key!r} in {self.name}")
            return found[0]
        return self.landmarks[key]

    @property
    def labels(self) -> list[str]:
        """Labels in order."""
        return [mark.label for mark in self.landmarks]

    @property
    def dimension(self) -> int | None:
        """2 or 3, or ``None`` when no landmark has a position."""
        return next((mark.dimension for mark in self.landmarks if mark.dimension), None)

    @property
    def positions(self) -> np.ndarray:
        """World positions (K, d); NaN where a landmark has none. ``d`` is 3 when nobody has one."""
        d = self.dimension or 3
        return np.array([np.full(d, np.nan) if m.position is None else m.position for m in self.landmarks]).reshape(
            -1, d
        )

    def reordered(self, labels: Iterable[str], lacking: str = "missing") -> LandmarkSet:
        """The landmarks with these labels, in this order.

        Args:
            labels: in the order of the result.
            lacking: the status of a label that is not here: ``missing``, as for what was looked for and not found, or
                ``undefined``, where the set does not say that anybody looked.

        Raises:
            LandmarkError: a label that stands here twice.
        """
        by_label: dict[str, Landmark] = {}
        for mark in self.landmarks:
            if mark.label in by_label:
                raise LandmarkError(
                    f"{self.name}: two landmarks are called {mark.label!r}; labels must differ to pair."
                )
            by_label[mark.label] = mark
        chosen = tuple(by_label.get(label, Landmark(label, status=lacking)) for label in labels)
        return replace(self, landmarks=chosen)

    def grouped(self, labels: Iterable[str], lacking: str = "missing") -> LandmarkSet:
        """The landmarks with these labels, in this order, all instances of a label one after the other.

        Without instances it is :meth:`reordered`.
        """
        by_label: dict[str, list[Landmark]] = {}
        for mark in self.landmarks:
            by_label.setdefault(mark.label, []).append(mark)
        chosen = [by_label.get(label) or [Landmark(label, status=lacking)] for label in labels]
        return replace(self, landmarks=tuple(mark for marks in chosen for mark in marks))

    def to_plane(self, tolerance: float = 1e-3) -> LandmarkSet:
        """The set in two dimensions, x and y, for a picture; positions must lie at z = 0.

        Raises:
            LandmarkError: a position off the plane.
        """
        if self.dimension in (2, None):
            return self
        if np.nanmax(np.abs(self.positions[:, 2])) > tolerance:
            raise LandmarkError(f"{self.name}: the landmarks do not lie in the plane z = 0 of a 2D image.")
        flat = [
            m
            if m.position is None
            else replace(m, position=m.position[:2], covariance=None if m.covariance is None else m.covariance[:2, :2])
            for m in self.landmarks
        ]
        return replace(self, landmarks=tuple(flat))
