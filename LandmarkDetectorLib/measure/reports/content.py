"""What a report of measurements says, in words and numbers, for the page and for the PDF alike.

Every number is a proposal until a person has reviewed the landmarks that it is made of, and the report says so; it
names the model, its data, its error for each landmark, and what it was not tested on.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.evaluation.report import expected_errors, model_facts
from LandmarkDetectorLib.measure.reports.bars import NormBar, cut_offs_of, norm_bar
from LandmarkDetectorLib.measure.results import Result
from LandmarkDetectorLib.measure.schema import Norm
from LandmarkDetectorLib.measure.sets import MeasurementSet
from LandmarkDetectorLib.measure.subject import REVIEWED, Measured

VIEW_WORDS = {
    "2D": "2D: in the plane of the picture",
    "3D": "3D: true angles and distances",
    "mid-sagittal": "mid-sagittal: after projection on the mid-sagittal plane",
}
USE = (
    "A measurement is the geometry of the landmarks and nothing more. What it means for a patient is for a clinician "
    "to say, who looks at the image and the patient as well. Research software, not a medical device."
)

NO_MODEL = "No model is named in the file of landmarks."
UNKNOWN = "The model's card is not at hand or states no errors: how far its landmarks lie off is not known here."


@dataclass(frozen=True)
class Row:
    """One result as a table shows it.

    Attributes:
        name: of the measurement, with its side.
        title: as a person calls it.
        view: in which it was measured.
        value: with its unit; empty where there is none.
        interval: ``82.1 to 84.9``, or empty.
        norm: ``82 ± 3``, or ``74 to 83``; empty where there is none.
        deviation: ``+1.2 SD, outside``, or the difference from a mean without SD.
        outside: whether the value lies outside of what is usual; ``None`` where that is not known.
        source: number of the norm's source in the report's list.
        bar: or ``None``.
        not_computed: why there is no value.
        notes: what a person should know.
        proposed: whether it is to be marked: others are reviewed and nobody has looked at all its landmarks.
    """

    name: str
    title: str
    view: str
    value: str
    interval: str
    norm: str
    deviation: str
    outside: bool | None
    source: int | None
    bar: NormBar | None
    not_computed: str
    notes: tuple[str, ...]
    proposed: bool


@dataclass(frozen=True)
class Part:
    """The results of one set: rows, notes that all of them share, where the definitions are from."""

    title: str
    description: str
    rows: list[Row]
    shared: list[str]
    notes: tuple[str, ...]
    citation: str

    @property
    def compared(self) -> bool:
        """Whether any of its values is compared with a norm or a cut-off."""
        return any(row.norm or row.bar for row in self.rows)


@dataclass(frozen=True)
class Content:
    """A whole report but for its pictures.

    Attributes:
        about: which sets, and who has reviewed the landmarks.
        views: in which was measured, in words, where there are several.
        axes, unit: of the landmarks' positions.
        model: name and value of what is known of it.
        unknown: a sentence on what is not known of it; empty where its errors are.
    """

    title: str
    about: str
    state: str
    headline: str
    explanation: str
    notices: list[str]
    parts: list[Part]
    views: list[str]
    sources: list[str]
    intervals: list[str]
    landmarks: list[dict[str, Any]]
    axes: tuple[str, ...]
    unit: str
    errors: dict[str, Any] | None
    model: list[tuple[str, str]]
    unknown: str = ""
    limits: list[str] = field(default_factory=list)
    not_tested_on: list[str] = field(default_factory=list)
    written: str = ""
    use: str = USE


def content_of(measured: Measured, *, title: str | None = None, today: datetime.date | None = None) -> Content:
    """Everything that a report says, in order.

    Args:
        measured: the subject.
        title: of the report.
        today: the day on which it is written; that of the computer by default.
    """
    sources: dict[str, int] = {}
    views = [VIEW_WORDS[view] for view in dict.fromkeys(result.view for result in measured.results)]
    parts = [_part(measured, each, sources, views) for each in measured.sets]
    headline, explanation = oversight(measured)
    card = measured.card
    errors, model = expected_errors(card, measured.landmarks), model_facts(measured.landmarks, card)
    day = (today or datetime.date.today()).isoformat()
    return Content(
        title=title or f"Measurements of {measured.subject}",
        about=f"{', '.join(part.title for part in parts)}. Reviewed by: {_signed(measured)}.",
        state=measured.review,
        headline=headline,
        explanation=explanation,
        notices=_notices(measured),
        parts=parts,
        views=views if len(views) > 1 else [],
        sources=list(sources),
        intervals=list(dict.fromkeys(_how(r) for r in measured.computed if r.interval is not None)),
        landmarks=_landmarks(measured),
        axes=("L", "P", "S") if measured.landmarks.dimension == 3 else ("x", "y"),
        unit=measured.landmarks.unit,
        errors=errors if errors and errors["per_landmark"] else None,
        model=model,
        unknown="" if errors else UNKNOWN if model else NO_MODEL,
        limits=list((card or {}).get("limits") or ()),
        not_tested_on=list((card or {}).get("not_tested_on") or ()),
        written=f"Written on {day} by LandmarkDetector {__version__}.",
    )


def oversight(measured: Measured) -> tuple[str, str]:
    """What stands in plain sight at the head of a report: how far the review has come, and what follows from it."""
    by = f" by {measured.reviewed.by}" if measured.reviewed.by else ""
    name, version = measured.model
    placed = f"{name} {version}".strip() or "A program"
    if measured.review == "reviewed":
        someone = "" if by else " by a person; who, nobody said"
        return f"Reviewed{by}", f"Every landmark that these numbers are made of was looked at{by or someone}."
    if measured.review == "partly reviewed":
        left = ", ".join(measured.unreviewed)
        return (
            f"Partly reviewed{by}",
            f"Nobody has looked at {left}. The numbers that are made of {_them(measured)}, marked with ○, are "
            "proposals: look at these landmarks before you use them.",
        )
    if not measured.used:
        return "Nothing was measured", "No landmark that the measurements need has a place."
    if not name and all(mark.confidence is None for mark in measured.landmarks):
        return (
            "Proposal, not reviewed",
            "Nothing says who placed these landmarks, or that anybody has checked them. Look at each of them before "
            "you use a number.",
        )
    return (
        "Proposal, not reviewed",
        f"{placed} placed the landmarks, and these numbers were computed from them. Nobody has looked at them. Look at "
        "each landmark before you use a number.",
    )


def _them(measured: Measured) -> str:
    return "it" if len(measured.unreviewed) == 1 else "them"


def _signed(measured: Measured) -> str:
    if measured.review == "not reviewed":
        return "nobody"
    return measured.reviewed.by or "a person whose name was not given"


def _notices(measured: Measured) -> list[str]:
    notices = []
    if measured.landmarks.unit == "px" and measured.computed:
        notices.append(
            "The picture has no physical scale: lengths are in pixels, and norms in millimetres do not count."
        )
    lacking = sum(result.value is None for result in measured.results)
    if lacking:
        notices.append(f"{lacking} of {len(measured.results)} results could not be computed; the table says why.")
    near = [r for r in measured.computed if any(note.startswith("within its uncertainty") for note in r.notes)]
    if near:
        names = ", ".join(dict.fromkeys(_name(result) for result in near))
        notices.append(f"So close to a cut-off or a norm's limit that the landmarks' uncertainty cannot tell: {names}.")
    return notices


def _part(measured: Measured, each: MeasurementSet, sources: dict[str, int], views: list[str]) -> Part:
    rows = [_row(measured, result, sources) for result in measured.results if result.set_name == each.name]
    definition = each.definition
    citations = dict.fromkeys([definition.citation, *(m.citation for m in definition.measurements if m.citation)])
    shared = _shared(rows)
    rows = [replace(row, notes=tuple(n for n in row.notes if n not in shared.get(row.view, ()))) for row in rows]
    several = len({row.view for row in rows}) > 1
    said = [f"{view}: {note}" if several else note for view, notes in shared.items() for note in notes]
    described = f"{definition.description} {views[0]}." if len(views) == 1 else definition.description
    return Part(each.title, described, rows, said, definition.notes, "; ".join(citations))


def _shared(rows: list[Row]) -> dict[str, list[str]]:
    """The notes that all numbers of a view have, which need be said once only."""
    found: dict[str, list[str]] = {}
    for view in dict.fromkeys(row.view for row in rows):
        notes = [row.notes for row in rows if row.view == view and not row.not_computed]
        if len(notes) > 1:
            found[view] = [note for note in notes[0] if all(note in others for others in notes)]
    return found


def _row(measured: Measured, result: Result, sources: dict[str, int]) -> Row:
    each = measured.set_of(result)
    measurement = next(m for m in each.definition.measurements if m.name == result.name)
    cut_offs = cut_offs_of(measurement, result)
    source = None
    if result.norm is not None:
        said = f"{result.norm.source}. {result.norm.population}"
        said += f"; limits: {result.norm.limits}" if result.norm.limits else ""
        source = sources.setdefault(said, len(sources) + 1)
    notes = []
    for cut in cut_offs if result.value is not None else ():
        number = sources.setdefault(f"{cut.source}.", len(sources) + 1)
        notes.append(f"cut-off {cut.value:g}: {cut.text} [{number}]")
    value, interval = value_words(result)
    outside = None if result.within_norm is None else not result.within_norm
    return Row(
        name=_name(result),
        title="" if result.title == result.name else result.title,
        view=result.view,
        value=value,
        interval=interval,
        norm=norm_words(result.norm),
        deviation=deviation_words(result) + (", outside" if outside and deviation_words(result) else ""),
        outside=outside,
        source=source,
        bar=norm_bar(result, cut_offs),
        not_computed=result.not_computed or "",
        notes=(*result.notes, *notes, *([result.sign] if result.sign and result.value is not None else [])),
        proposed=measured.review == "partly reviewed" and not result.not_computed and not measured.is_reviewed(result),
    )


def _name(result: Result) -> str:
    return f"{result.name}, {result.side}" if result.side else result.name


def caption(result: Result, views: Sequence[str]) -> tuple[str, str, str]:
    """What stands beside the picture of a result: its name, its value, and what a person calls it, softly."""
    words = ["" if result.title == result.name else result.title, result.view if views else ""]
    return _name(result), result.text, ", ".join(word for word in words if word)


def value_words(result: Result) -> tuple[str, str]:
    """The value with its unit, and the ends of its interval; empty where there is none."""
    if result.value is None:
        return "", ""
    value, _, rest = result.text.partition(" (")
    return value, rest.rstrip(")")


def norm_words(norm: Norm | None) -> str:
    """``82 ± 3``, ``74 to 83``, ``below 10``; empty without a norm."""
    if norm is None:
        return ""
    said = []
    if norm.mean is not None:
        said.append(f"{norm.mean:g}" + ("" if norm.sd is None else f" ± {norm.sd:g}"))
    if norm.low is not None and norm.high is not None:
        said.append(f"{norm.low:g} to {norm.high:g}")
    elif norm.low is not None or norm.high is not None:
        said.append(f"above {norm.low:g}" if norm.low is not None else f"below {norm.high:g}")
    return f"{said[0]} ({said[1]})" if len(said) == 2 else said[0]


def deviation_words(result: Result) -> str:
    """``+1.2 SD`` where a standard deviation is known, else the difference from the mean; empty where neither is."""
    if result.value is None or result.norm is None:
        return ""
    if result.deviation is not None:
        return f"{_rounded(result.deviation, 1):+.1f} SD".replace("-", "−")
    if result.norm.mean is not None:
        digits = 2 if result.unit == "ratio" else 1
        return f"{_rounded(result.value - result.norm.mean, digits):+.{digits}f}".replace("-", "−")
    return ""


def _rounded(value: float, digits: int) -> float:
    """Without a sign where nothing is left: nobody deviates by −0.0."""
    return round(value, digits) + 0.0


def _how(result: Result) -> str:
    assert result.interval is not None
    return f"{100 * result.interval.level:g} % intervals: {result.interval.method}."


def _landmarks(measured: Measured) -> list[dict[str, Any]]:
    from LandmarkDetectorLib.measure.reports.drawing import abbreviated

    short = {label: mark.label for label, mark in zip(measured.used, abbreviated(measured), strict=True)}
    expected = ((measured.card or {}).get("errors") or {}).get("per_landmark") or {}
    rows = []
    for mark in measured.landmarks:
        if mark.label not in short:
            continue
        status = measured.reviewed.statuses.get(mark.label)
        reviewed = measured.reviewed.holds(mark.label)
        words = status if status in REVIEWED else "reviewed" if reviewed else "not reviewed"
        rows.append(
            {
                "short": short[mark.label],
                "label": mark.label,
                "position": [f"{value:.2f}" for value in mark.position],
                "confidence": mark.confidence,
                "status": words,
                "reviewed": reviewed,
                "expected": expected.get(mark.label) or {},
            }
        )
    return rows
