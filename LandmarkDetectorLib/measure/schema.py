"""The form of a file of definitions: one YAML a set of measurements.

It is read strictly: a word that is not known is an error, not a wish. What a clinician must be able to trust is
required: a unit, the meaning of the sign wherever a value can be negative, and for a norm its population and source;
a measurement without a norm says why it has none.
"""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from LandmarkDetectorLib.measure.formula import is_name
from LandmarkDetectorLib.measure.values import ANGLE, AREA, LENGTH, PLAIN, Kind

View = Literal["2D", "3D", "mid-sagittal"]
Way = Literal["midpoint", "left", "right", "each"]
Unit = Literal["mm", "mm²", "degrees", "ratio", "%", "weeks"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

KINDS: dict[str, Kind] = {
    "mm": LENGTH,
    "mm²": AREA,
    "degrees": ANGLE,
    "ratio": PLAIN,
    "%": PLAIN,
    "weeks": PLAIN,
}
"""What a formula must give to be printed in a unit."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Code(_Strict):
    """What a terminology calls it: ``value`` in ``scheme``, DICOM's designator (SCT, LN, FMA, DCM), and its words."""

    value: Text
    scheme: Text
    meaning: Annotated[Text, StringConstraints(max_length=64)]


class LandmarkEntry(_Strict):
    """A landmark that formulas may name.

    ``title``: as a person calls it; ``synonyms``: labels that mean it, beside the title and the name; ``bilateral``:
    whether there is one on either side (labels with left or right, L or R before or behind are known then); ``code``:
    of the place in the body, where a terminology has one.
    """

    title: Text
    synonyms: tuple[Text, ...] = ()
    bilateral: bool = False
    definition: str = ""
    code: Code | None = None


class MidSagittal(_Strict):
    """The landmarks that determine the mid-sagittal plane: of the midline, and bilateral ones by pairs."""

    midline: tuple[Text, ...] = ()
    pairs: tuple[Text, ...] = ()


class Vocabulary(_Strict):
    """Landmarks that several sets share."""

    title: Text
    citation: Text
    landmarks: dict[Text, LandmarkEntry]
    mid_sagittal: MidSagittal | None = None

    @field_validator("landmarks")
    @classmethod
    def _nameable(cls, landmarks: dict[str, LandmarkEntry]) -> dict[str, LandmarkEntry]:
        return _named(landmarks)


class Norm(_Strict):
    """What is usual in a population.

    ``mean`` with ``sd``, or ``low`` and ``high`` (what they are is said in ``limits``), or both; ``sex`` where it is
    of one; ``views`` in which the value may be compared with it; ``choices`` under which it was measured.
    """

    mean: float | None = None
    sd: float | None = Field(None, gt=0)
    low: float | None = None
    high: float | None = None
    limits: str = ""
    sex: Literal["female", "male"] | None = None
    population: Text
    source: Text
    views: tuple[View, ...] = ("2D", "mid-sagittal")
    choices: dict[str, str] = {}

    @model_validator(mode="after")
    def _says_something(self) -> Norm:
        if self.mean is None and self.low is None and self.high is None:
            raise ValueError("a norm needs a mean or limits")
        if self.sd is not None and self.mean is None:
            raise ValueError("a standard deviation needs a mean")
        if (self.low is not None or self.high is not None) and not self.limits:
            raise ValueError("say in limits what low and high are")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low is not below high")
        return self


class CutOff(_Strict):
    """A value at which what one would say changes, what it means, and who says so."""

    value: float
    text: Text
    source: Text
    views: tuple[View, ...] = ("2D", "mid-sagittal")


class Measurement(_Strict):
    """One measurement.

    ``sign`` says what positive means, wherever the value can be negative; ``default`` is false for what is measured
    only when asked for; ``no_norm`` says why there is no norm; ``views`` are those in which it makes sense; ``valid``:
    from where to where the formula holds, in the measurement's unit; ``code``: where a terminology has one.
    """

    name: Text
    title: Text
    formula: Text
    unit: Unit
    sign: str = ""
    norms: tuple[Norm, ...] = ()
    no_norm: str = ""
    cut_offs: tuple[CutOff, ...] = ()
    citation: str = ""
    notes: tuple[Text, ...] = ()
    default: bool = True
    views: tuple[View, ...] = ("2D", "3D", "mid-sagittal")
    valid: tuple[float, float] | None = None
    code: Code | None = None

    @model_validator(mode="after")
    def _norm_or_reason(self) -> Measurement:
        if bool(self.norms) == bool(self.no_norm):
            raise ValueError("give norms, or say in no_norm why there are none")
        for norm, other in combinations(self.norms, 2):
            alike = norm.sex == other.sex and norm.choices == other.choices
            if alike and not set(norm.views).isdisjoint(other.views):
                raise ValueError("there are two norms for the same people, views and choices; keep one")
        if self.valid is not None and self.valid[0] >= self.valid[1]:
            raise ValueError("in valid, the first number is not below the second")
        return self


class Choice(_Strict):
    """A part on which authors differ; the one that was taken is printed with each result."""

    title: Text
    default: Text
    options: dict[Text, Text]

    @model_validator(mode="after")
    def _default_is_there(self) -> Choice:
        if self.default not in self.options:
            raise ValueError(f"the default {self.default!r} is not one of the options")
        return self


class Definition(_Strict):
    """A whole set.

    ``vocabulary``: a file of shared landmarks to which ``landmarks`` adds; ``bilateral``: how landmarks of two sides
    are used unless somebody asks for another way; ``constructions`` and ``choices`` are named parts of formulas.
    """

    title: Text
    description: Text
    citation: Text
    vocabulary: str | None = None
    landmarks: dict[Text, LandmarkEntry] = {}
    mid_sagittal: MidSagittal | None = None
    bilateral: Way = "midpoint"
    constructions: dict[Text, Text] = {}
    choices: dict[Text, Choice] = {}
    notes: tuple[Text, ...] = ()
    measurements: tuple[Measurement, ...] = Field(min_length=1)

    @field_validator("landmarks")
    @classmethod
    def _nameable(cls, landmarks: dict[str, LandmarkEntry]) -> dict[str, LandmarkEntry]:
        return _named(landmarks)

    @model_validator(mode="after")
    def _names_differ(self) -> Definition:
        names = [measurement.name for measurement in self.measurements]
        twice = {name for name in names if names.count(name) > 1}
        twice |= set(self.constructions) & set(self.choices) | (set(self.constructions) | set(self.choices)) & {
            *self.landmarks,
            *names,
        }
        if twice:
            raise ValueError(f"{sorted(twice)[0]!r} names two things")
        for name in (*self.constructions, *self.choices):
            if not is_name(name):
                raise ValueError(f"{name!r} cannot stand in a formula; take a word of letters, digits and _")
        return self


def _named(landmarks: dict[str, LandmarkEntry]) -> dict[str, LandmarkEntry]:
    for name in landmarks:
        if not is_name(name):
            raise ValueError(f"{name!r} cannot stand in a formula; take a word of letters, digits and _")
    return landmarks
