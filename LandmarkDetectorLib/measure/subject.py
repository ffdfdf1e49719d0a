"""One subject's measurements with all that a report must say of them: landmarks, image, model, and who reviewed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from LandmarkDetectorLib.core import Image, LandmarkSet, MeasurementError
from LandmarkDetectorLib.measure.formula import Need
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
        mapping: landmark to label, where the labels' words did not say which is which.
    """

    subject: str
    landmarks: LandmarkSet
    sets: tuple[MeasurementSet, ...]
    results: tuple[Result, ...]
    image: Image | None = None
    card: Mapping[str, Any] | None = None
    reviewed: Reviewed = Reviewed()
    mapping: Mapping[str, str] = field(default_factory=dict)

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

    def match(self, each: MeasurementSet) -> dict[Need, str]:
        """The label of each landmark of a set, as far as there is one."""
        return each.match(self.landmarks.labels, each.own_mapping(self.mapping))

    @cached_property
    def used(self) -> tuple[str, ...]:
        """The labels of the landmarks that a number is made of, in the landmarks' order."""
        wanted = {label for result in self.computed for label in result.labels}
        return tuple(mark.label for mark in self.landmarks if mark.label in wanted)

    @cached_property
    def unreviewed(self) -> tuple[str, ...]:
        """The landmarks that numbers are made of and nobody has looked at."""
        return tuple(label for label in self.used if not self.reviewed.holds(label))

    def is_reviewed(self, result: Result) -> bool:
        """Whether a person has looked at every landmark that a number is made of, those of its plane among them."""
        return not set(result.labels) & set(self.unreviewed)

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
    mapping: Mapping[str, str] | None = None,
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
        mapping: landmark to label, where the labels' words do not say which is which; each goes to the sets that know
            the landmark.
        how: further arguments of :func:`measure`, for all sets.

    Raises:
        MeasurementError: as :func:`measure` says, no set, a name, choice or landmark that none of them knows, or an
            image that is not the landmarks'.
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
    for word in mapping or {}:
        if not any(each.own_mapping({word: ""}) for each in loaded):
            raise MeasurementError(f"The mapping names {word!r}, which is no landmark of a set here; mend its name.")
    results: list[Result] = []
    for each in loaded:
        own = {name: option for name, option in (choices or {}).items() if name in each.definition.choices}
        included, named = set(include) & set(each.names), each.own_mapping(mapping)
        results += measure(landmarks, each, include=included, choices=own, mapping=named, **how)
    called = landmarks.name if subject is None else subject
    return Measured(called, landmarks, loaded, tuple(results), image, card, reviewed or Reviewed(), dict(mapping or {}))
