"""The card of a bundle: what it was made for, from what, how well it does, and where it was not tried.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. A card is written by strangers too: lengths are
limited, control characters refused, and its words are escaped where they are rendered.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from LandmarkDetectorLib.bundles.names import BUNDLE_NAME
from LandmarkDetectorLib.bundles.strict_json import parse_object, to_bytes
from LandmarkDetectorLib.core.errors import BundleError

# Neither control characters nor those that turn the direction of writing and so let one word look like another.
_LINE = r"^[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$"
_TEXT = r"^[^\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$"

Name = Annotated[str, StringConstraints(pattern=rf"^{BUNDLE_NAME.pattern}$")]
VERSION = r"^(0|[1-9]\d{0,5})(\.(0|[1-9]\d{0,5})){2}$"
Version = Annotated[str, StringConstraints(pattern=VERSION)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=_LINE)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000, pattern=_TEXT)]
OptionalText = Annotated[str, StringConstraints(max_length=4000, pattern=_TEXT)]
_SPDX = r"^[A-Za-z0-9.+-]+( (WITH|AND|OR) [A-Za-z0-9.+-]+)*$"
Licence = Annotated[str, StringConstraints(max_length=200, pattern=_SPDX)]
Size = Annotated[float, Field(ge=0)]
Unit = Literal["mm", "px"]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class CardLandmark(_Part):
    """One landmark that the bundle finds, at its place in the order of the output."""

    label: Line
    name: Line
    definition: OptionalText = ""
    mirror: Line | None = None
    """Label of the landmark on the other side; ``None`` for one in the middle or without a counterpart."""


class TrainingData(_Part):
    """What the weights were trained on."""

    name: Line
    citation: Text
    licence: Line
    """SPDX identifier, or words where the data have no such licence."""
    subjects: Annotated[int, Field(ge=1)]
    note: OptionalText = ""


class LandmarkErrors(_Part):
    """Distance to the annotation of one landmark, over ``n`` images, in the unit of :class:`Errors`."""

    mean: Size
    p95: Size
    n: Annotated[int, Field(ge=1)]


class Errors(_Part):
    """How far the landmarks lay from their annotations, on images that did not train."""

    protocol: Text
    """Which images, how they were held out, and whose annotation counted as right."""
    mean: Size
    median: Size
    p95: Size
    per_landmark: dict[Line, LandmarkErrors] = Field(default_factory=dict)
    unit: Unit
    extra: dict[Line, float] = Field(default_factory=dict)


class Descent(_Part):
    """One retraining: from which bundle, by which corrections."""

    parent: Name
    version: Version
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Of the parent."""
    corrections: Annotated[int, Field(ge=0)]
    """Landmarks that people vouched for and that trained, those called absent included."""
    cases: Annotated[int, Field(ge=0)]
    """On which these lie."""
    corrections_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Of all of them, the locked ones included, as they stood when the training began."""
    locked: Annotated[int, Field(ge=0)]
    """Cases that were kept back to judge by."""
    rehearsed: Annotated[int, Field(ge=0)]
    """Cases of the original data that trained beside them."""
    observers: list[Line] = Field(default_factory=list)
    """Codes of those who reviewed."""
    by: OptionalText = ""
    """Who retrained, where somebody said so."""


class Card(_Part):
    """Everything that a person should know before using the bundle.

    Raises:
        pydantic.ValidationError: a field is missing, unknown or wrong; :func:`parse_card` turns it into a BundleError.
    """

    name: Name
    version: Version
    title: Line
    description: Text
    modality: Line
    dimension: Literal[2, 3]
    channels: Annotated[int, Field(ge=1, le=64)]
    unit: Unit
    landmarks: Annotated[list[CardLandmark], Field(min_length=1, max_length=10_000)]
    training_data: TrainingData
    licence: Licence
    """SPDX identifier (or expression) of the licence of the weights."""
    credit: Text
    errors: Errors | None = None
    limits: list[Text] = Field(default_factory=list)
    not_tested_on: list[Text] = Field(default_factory=list)
    intended_use: Text
    created: datetime.date
    lineage: list[Descent] = Field(default_factory=list)
    """Of a retrained bundle, the last retraining first."""
    figures: dict[Line, float | Text] = Field(default_factory=dict)
    """Free figures: sigma of the heatmaps, grid spacings, time a volume."""

    @model_validator(mode="after")
    def _labels_agree(self) -> Card:
        by_label = {mark.label: mark for mark in self.landmarks}
        if len(by_label) != len(self.landmarks):
            raise ValueError("two landmarks have the same label")
        for mark in self.landmarks:
            if mark.mirror is None:
                continue
            if mark.mirror == mark.label:
                raise ValueError(f"landmark {mark.label!r} mirrors itself; leave its mirror empty")
            if mark.mirror not in by_label or by_label[mark.mirror].mirror != mark.label:
                raise ValueError(f"landmark {mark.label!r} and its mirror {mark.mirror!r} do not name each other")
        unknown = set(self.errors.per_landmark) - set(by_label) if self.errors else set()
        if unknown:
            raise ValueError(f"errors are given for {sorted(unknown)[0]!r}, which is not a landmark of the card")
        return self

    @property
    def labels(self) -> list[str]:
        """Labels in the order of the output."""
        return [mark.label for mark in self.landmarks]


def first_problem(error: ValidationError) -> str:
    """The first of a validation's complaints, in one clause: where, and what."""
    problem = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    what = problem["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{where}: {what}" if where else what


def parse_card(data: bytes, where: str) -> Card:
    """The card in the bytes of a ``card.json``.

    Raises:
        BundleError: it is not JSON, or not a card.
    """
    parse_object(data, where)
    try:
        return Card.model_validate_json(data)
    except ValidationError as exc:
        raise BundleError(f"{where} is not a valid card ({first_problem(exc)}); write the bundle again.") from exc


def card_bytes(card: Card) -> bytes:
    """The bytes of ``card.json``."""
    return to_bytes(card.model_dump(mode="json"), "the card")


def card_markdown(card: Card, confidence: Sequence[str] = (), diagram: bool = False) -> str:
    """The card in words, as Markdown. Everything that the card says is escaped: no markup and no link comes from it.

    Args:
        card: the card.
        confidence: what its confidences are worth, by :func:`LandmarkDetectorLib.bundles.calibration.worth`.
        diagram: whether the bundle has a reliability diagram beside the text.
    """
    data, unit = card.training_data, card.unit
    lines = [
        f"# {_plain(card.title)}",
        "",
        _plain(card.description),
        "",
        f"Bundle `{card.name}`, version {card.version}, created {card.created.isoformat()}. Every landmark that it "
        "places is a proposal until a person has reviewed it.",
        "",
        "## Use",
        "",
        _plain(card.intended_use),
        "",
        f"Images: {_plain(card.modality)}, {card.dimension}D, {card.channels} channel{'s' * (card.channels > 1)}; "
        f"positions in {unit}.",
        "",
        "## Limits",
        "",
        *_bullets(card.limits, "None are written down; that does not mean there are none."),
        "",
        "Not tested on:",
        "",
        *_bullets(card.not_tested_on, "Nothing is listed; take everything unlike the training data as not tested."),
        "",
        "## Errors",
        "",
        *_errors(card.errors),
        "",
        *_confidence(confidence, diagram),
        "## Training data",
        "",
        f"{_plain(data.name)}: {data.subjects} subjects, licence {_plain(data.licence)}.",
        "",
        _plain(data.citation),
        *(["", _plain(data.note)] if data.note else []),
        "",
        "## Licence and credit",
        "",
        f"The weights are licensed under {_plain(card.licence)}; the full text is in `LICENSE`.",
        "",
        _plain(card.credit),
        "",
        "## Landmarks",
        "",
        "| Label | Name | Other side | Definition |",
        "|---|---|---|---|",
        *(
            f"| {_plain(m.label)} | {_plain(m.name)} | {_plain(m.mirror or '')} | {_plain(m.definition)} |"
            for m in card.landmarks
        ),
    ]
    if card.lineage:
        lines += ["", "## Lineage", "", *(_descent(one) for one in card.lineage)]
    if card.figures:
        lines += ["", "## Figures", "", "| What | Value |", "|---|---|"]
        lines += [f"| {_plain(key)} | {_value(value)} |" for key, value in card.figures.items()]
    return "\n".join(lines) + "\n"


def _errors(errors: Errors | None) -> list[str]:
    if errors is None:
        return ["Not measured yet: review every landmark with care."]
    unit = errors.unit
    lines = [
        _plain(errors.protocol),
        "",
        f"Mean {errors.mean:.3g} {unit}, median {errors.median:.3g} {unit}, 95th percentile {errors.p95:.3g} {unit}.",
    ]
    if errors.extra:
        lines += ["", *(f"- {_plain(key)}: {value:.4g}" for key, value in errors.extra.items())]
    if errors.per_landmark:
        lines += ["", f"| Label | Mean, {unit} | 95th percentile, {unit} | Images |", "|---|---|---|---|"]
        lines += [f"| {_plain(k)} | {e.mean:.3g} | {e.p95:.3g} | {e.n} |" for k, e in errors.per_landmark.items()]
    return lines


def _confidence(sentences: Sequence[str], diagram: bool) -> list[str]:
    lines = [line for sentence in sentences for line in (_plain(sentence), "")]
    if diagram:
        lines += ["![Stated confidence against the share of landmarks that kept it](reliability.png)", ""]
    return ["## Confidence and regions", "", *lines] if lines else []


def _descent(one: Descent) -> str:
    words = (
        f"- From `{one.parent}` {one.version} (`{one.fingerprint[:12]}`) by {one.corrections} landmarks that "
        f"{len(one.observers) or 'an unknown number of'} observer{'s' * (len(one.observers) != 1)} reviewed on "
        f"{one.cases} cases, checksum `{one.corrections_sha256[:12]}`; {one.locked} cases were kept back to judge by, "
        f"{one.rehearsed} of the original data trained beside."
    )
    return words + (f" By {_plain(one.by)}." if one.by else "")


def _bullets(items: list[str], none: str) -> list[str]:
    return [f"- {_plain(item)}" for item in items] or [none]


def _value(value: float | str) -> str:
    return _plain(value) if isinstance(value, str) else f"{value:.6g}"


def _plain(text: str) -> str:
    """Text on one line with everything escaped that Markdown or HTML could take for markup."""
    flat = " ".join(text.split())
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    flat = "".join(f"\\{c}" if c in "\\`*[]|~" else c for c in flat)
    # A paragraph must not begin as a heading or a list.
    return f"\\{flat}" if flat[:1] in ("#", "-", "+", "=") else flat
