"""One subject's measurements with all that a report must say of them: landmarks, image, model, and who reviewed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from LandmarkDetectorLib.core import Image, LandmarkSet, MeasurementError
from LandmarkDetectorLib.measure.measuring import measure
from LandmarkDetectorLib.measure.results import Result
from LandmarkDetectorLib.measure.sets import MeasurementSet, load_set

REVIEWED = ("confirmed", "corrected", "absent")


@dataclass(frozen=True)
class Reviewed:
    """What is known of a review.

    Attributes:
        by: who vouches for the landmarks; empty where nobody said.
        statuses: by label, as the panel saves them; empty where nobody kept them. Whoever vouches, a landmark whose
            status says that nobody looked at it is not reviewed.
    """

    by: str = ""
    statuses: Mapping[str, str] = field(default_factory=dict)

    def holds(self, label: str) -> bool:
        """Whether a person has looked at the landmark."""
        if self.statuses:
            return self.statuses.get(label) in REVIEWED
        return bool(self.by)


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of one subject.

    Attributes:
        subject: by which tables and pages call it; never read from a patient's data.
        landmarks: what was measured.
        sets: the sets of measurements, in order.
        results: of all sets, in order.
        image: in which the landmarks lie, for pictures; or ``None``.
        card: of the model that proposed the landmarks, as a plain dict, or ``None`` where there is none.
        reviewed: what is known of a review.
    """

    subject: str
    landmarks: LandmarkSet
    sets: tuple[MeasurementSet, ...]
    results: tuple[Result, ...]
    image: Image | None = None
    card: Mapping[str, Any] | None = None
    reviewed: Reviewed = Reviewed()

    def __post_init__(self) -> None:
        image, landmarks = self.image, self.landmarks
        if image is None or landmarks.dimension is None:
            return
        if landmarks.dimension != image.dimension or landmarks.unit != image.grid.unit:
            raise MeasurementError(
                f"{landmarks.name} is {landmarks.dimension}D in {landmarks.unit} and {image.name} {image.dimension}D "
                f"in {image.grid.unit}; give the image in which these landmarks lie, and its spacing "
                "(--spacing) where its file says none."
            )

    @cached_property
    def labels_of_titles(self) -> dict[str, str]:
        """The label of each landmark that results call by its title, in the order of the sets."""
        found: dict[str, str] = {}
        for each in self.sets:
            for (name, side), label in each.match(self.landmarks.labels).items():
                title = each.landmarks[name].title
                found.setdefault(f"{title} {side}" if side else title, label)
        return found

    @cached_property
    def used(self) -> tuple[str, ...]:
        """The labels of the landmarks with a place that a result is made of, in the landmarks' order."""
        wanted = {label for result in self.results for label in self.labels_of(result)}
        return tuple(mark.label for mark in self.landmarks if mark.label in wanted and mark.position is not None)

    def labels_of(self, result: Result) -> list[str]:
        """The labels of the landmarks that a result is made of, as far as they are there."""
        return [self.labels_of_titles[title] for title in result.needs if title in self.labels_of_titles]

    @cached_property
    def unreviewed(self) -> tuple[str, ...]:
        """The landmarks that results are made of and nobody has looked at."""
        return tuple(label for label in self.used if not self.reviewed.holds(label))

    def is_reviewed(self, result: Result) -> bool:
        """Whether a person has looked at every landmark that a result is made of."""
        return not set(self.labels_of(result)) & set(self.unreviewed)

    @property
    def review(self) -> str:
        """How far the review has come: ``reviewed``, ``partly reviewed`` or ``not reviewed``."""
        if not self.unreviewed and self.used:
            return "reviewed"
        return "not reviewed" if len(self.unreviewed) == len(self.used) else "partly reviewed"

    @property
    def model(self) -> tuple[str, str]:
        """Name and version of the model, empty where nobody knows."""
        card, info = self.card or {}, self.landmarks.info
        return str(card.get("name") or info.get("bundle") or ""), str(card.get("version") or info.get("version") or "")

    @property
    def computed(self) -> list[Result]:
        """The results that have a value."""
        return [result for result in self.results if result.value is not None]

    def set_of(self, result: Result) -> MeasurementSet:
        """The set that a result belongs to."""
        return next(each for each in self.sets if each.name == result.set_name)


def measure_subject(
    landmarks: LandmarkSet,
    sets: Iterable[MeasurementSet | str],
    *,
    subject: str | None = None,
    image: Image | None = None,
    card: Mapping[str, Any] | None = None,
    reviewed: Reviewed | None = None,
    include: Collection[str] = (),
    choices: Mapping[str, str] | None = None,
    **how: Any,
) -> Measured:
    """Measure a subject's landmarks with one or several sets.

    Args:
        landmarks: in world coordinates.
        sets: or the names of sets that come with the library.
        subject: by which tables and pages call it; the landmarks' name by default.
        image: in which they lie.
        card: of the model that proposed them.
        reviewed: what is known of a review.
        include: names of measurements that are off by default, of any of the sets.
        choices: options other than the sets' defaults; each goes to the sets that know it.
        how: further arguments of :func:`measure`, for all sets.

    Raises:
        MeasurementError: as :func:`measure` says, no set, a name or a choice that none of them knows, or an image that
            is not the landmarks'.
    """
    loaded = tuple(load_set(each) if isinstance(each, str) else each for each in sets)
    if not loaded:
        raise MeasurementError("No set of measurements was given; name one of them.")
    known = {name for each in loaded for name in each.names}
    if set(include) - known:
        raise MeasurementError(f"No set here has a measurement {sorted(set(include) - known)[0]!r}; mend the name.")
    for name in choices or {}:
        if not any(name in each.definition.choices for each in loaded):
            options = sorted({choice for each in loaded for choice in each.definition.choices})
            raise MeasurementError(
                f"No set here has a choice {name!r}; there is {', '.join(options) or 'none at all'}."
            )
    results: list[Result] = []
    for each in loaded:
        own = {name: option for name, option in (choices or {}).items() if name in each.definition.choices}
        results += measure(landmarks, each, include=set(include) & set(each.names), choices=own, **how)
    called = landmarks.name if subject is None else subject
    return Measured(called, landmarks, loaded, tuple(results), image, card, reviewed or Reviewed())
