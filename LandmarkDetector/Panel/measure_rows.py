"""What the table of measurements says of each result. Plain values; no Qt, no scene."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from LandmarkDetector.Panel.texts import _

Key = tuple[str, str, str]
"""Name, view and side of a result; with one set of measurements it is what finds it again."""

FEW = 2.0
"""Standard deviations beyond which a value is called far from the norm; within 1 it is usual."""


@dataclass(frozen=True)
class NormMark:
    """Where a value lies against its norm, on a scale on which the norm's band reaches from -1 to 1.

    Args:
        place: of the value; beyond the band where its size is above 1.
        far: how far from the usual: 0 within the band, 1 beside it, 2 far away.
    """

    place: float
    far: int


@dataclass(frozen=True)
class MeasureRow:
    """One measurement, as the table shows it.

    Args:
        key: of the result.
        name: of the measurement, with its view and side where there are several.
        proposal: whether a landmark of its value was reviewed by nobody.
        value: as it is printed, without the interval.
        interval: as it is printed, or empty.
        norm: in words; a dash where there is none.
        mark: for the bar, or ``None`` where there is no scale to draw on.
        warning: whether the value cannot be told from a cut-off or a limit.
        second: the value at the other time, or empty without another time.
        second_computed: whether there is one.
        second_proposal: as ``proposal``, of that value.
        difference: second minus first, and below it its interval; or empty.
        about: all that there is to say, for the line below the table.
        computed: whether there is a value.
    """

    key: Key
    name: str
    proposal: bool
    value: str
    interval: str
    norm: str
    mark: NormMark | None
    warning: bool
    second: str
    second_computed: bool
    second_proposal: bool
    difference: str
    about: str
    computed: bool


def key_of(result: Any) -> Key:
    """By what a result is found again."""
    return result.name, result.view, result.side or ""


def unreviewed_in(result: Any, reviewed: Mapping[str, bool]) -> list[str]:
    """Labels of the landmarks of a result that nobody has reviewed."""
    return [label for label in result.labels if not reviewed.get(label, False)]


def rows_of(
    results: Sequence[Any],
    reviewed: Mapping[str, bool],
    others: Sequence[Any] | None = None,
    others_reviewed: Mapping[str, bool] | None = None,
) -> list[MeasureRow]:
    """Rows of results, in their order.

    Args:
        results: of ``measure``.
        reviewed: by label, whether somebody reviewed the landmark.
        others: results of another time, or ``None``.
        others_reviewed: the same of these.
    """
    views = {result.view for result in results}
    by_key = {key_of(other): other for other in others or ()}
    return [
        _row(result, reviewed, views, by_key.get(key_of(result)), others_reviewed or {}, others is not None)
        for result in results
    ]


def _row(
    result: Any,
    reviewed: Mapping[str, bool],
    views: Collection[str],
    other: Any,
    others_reviewed: Mapping[str, bool],
    compared: bool,
) -> MeasureRow:
    both = other is not None and other.value is not None
    parts = [result.name]
    if len(views) > 1:
        parts.append(_("3D") if result.view == "3D" else _("projected"))
    if result.side:
        parts.append({"left": _("left"), "right": _("right")}[result.side])
    norm, mark = norm_words(result)
    return MeasureRow(
        key_of(result),
        ", ".join(parts),
        result.value is not None and bool(unreviewed_in(result, reviewed)),
        number(result.value, result.unit) if result.value is not None else words_of(result),
        interval_words(result.interval, result.unit),
        norm,
        mark,
        any("within its uncertainty" in note for note in result.notes),
        _second(other) if compared else "",
        both,
        both and bool(unreviewed_in(other, others_reviewed)),
        difference_words(result, other) if compared else "",
        _about(result, unreviewed_in(result, reviewed)) + (_about_second(result, other) if compared else ""),
        result.value is not None,
    )


def number(value: float, unit: str, *, signed: bool = False) -> str:
    """A value as it is printed, with its unit."""
    digits = 2 if unit == "ratio" else 1
    mark = {"degrees": "°", "ratio": ""}.get(unit, f" {unit}")
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    if float(text) == 0:
        text = f"{0:.{digits}f}"  # no "-0.0"
    return f"{text}{mark}".replace("-", "−")


def interval_words(interval: Any, unit: str) -> str:
    """``82.5 to 88.8``; empty without an interval."""
    if interval is None:
        return ""
    digits = 2 if unit == "ratio" else 1
    return (
        _("{low} to {high}")
        .format(low=f"{interval.low:.{digits}f}", high=f"{interval.high:.{digits}f}")
        .replace("-", "−")
    )


def words_of(result: Any) -> str:
    """Why there is no value."""
    return _("not computed: {why}").format(why=result.not_computed)


def norm_words(result: Any) -> tuple[str, NormMark | None]:
    """What a value is against its norm: words, and the place in a bar where there is a scale."""
    norm = result.norm
    if result.value is None or norm is None:
        return "–", None
    value = result.value
    if result.deviation is not None:
        away = abs(result.deviation)
        mark = NormMark(result.deviation, 0 if away <= 1 else 1 if away <= FEW else 2)
        return _("{number} SD").format(number=f"{result.deviation:+.1f}".replace("-", "−")), mark
    if norm.low is not None and norm.high is not None:
        place = 2 * (value - norm.low) / (norm.high - norm.low) - 1
        limits = f"{norm.low:g}–{norm.high:g}".replace("-", "−")
        words = _("inside {limits}") if abs(place) <= 1 else _("below {limits}") if place < 0 else _("above {limits}")
        return words.format(limits=limits), NormMark(place, 0 if abs(place) <= 1 else 1 if abs(place) <= FEW else 2)
    limit = norm.low if norm.low is not None else norm.high
    if limit is not None:
        inside = value >= limit if norm.low is not None else value <= limit
        words = _("inside: {sign} {limit}") if inside else _("outside: {sign} {limit}")
        return words.format(sign="≥" if norm.low is not None else "≤", limit=f"{limit:g}"), None
    away = number(value - norm.mean, result.unit, signed=True)
    return _("{mean} ({away})").format(away=away, mean=f"{norm.mean:g}"), None


def difference_words(result: Any, other: Any) -> str:
    """Second minus first, and how uncertain that is where both have an interval; a dash where one has no value."""
    from LandmarkDetectorLib.measure.results import difference_of

    change, reach = (None, None) if other is None else difference_of(result, other)
    if change is None:
        return "–"
    text = number(change, result.unit, signed=True)
    return text if reach is None else f"{text}\n± {reach:.{2 if result.unit == 'ratio' else 1}f}"


def _second(other: Any) -> str:
    if other is None:
        return "–"
    return number(other.value, other.unit) if other.value is not None else words_of(other)


def _about_second(result: Any, other: Any) -> str:
    change = difference_words(result, other).replace("\n", " ")
    return "\n" + _("Second: {value}; second − first: {change}").format(value=_second(other), change=change)


def _about(result: Any, unreviewed: Sequence[str]) -> str:
    view = {"3D": _("true 3D"), "mid-sagittal": _("projected on the mid-sagittal plane")}.get(result.view, "")
    title = ", ".join(filter(None, (f"{result.name}: {result.title}", result.side or "", view)))
    lines = [title]
    if result.value is None:
        lines.append(words_of(result))
    else:
        text = number(result.value, result.unit)
        if result.interval is not None:
            level = f"{100 * result.interval.level:g} %"
            text += _(", {level} interval {ends}").format(
                level=level, ends=interval_words(result.interval, result.unit)
            )
        lines.append(text + (f"; {result.sign}" if result.sign else ""))
    norm = result.norm
    if norm is not None and result.value is not None:
        lines.append(
            _("Norm {norm} ({population}; {source})").format(
                norm=_norm_itself(norm), population=norm.population, source=norm.source
            )
        )
    if unreviewed and result.value is not None:
        lines.append(_("Of proposals, not reviewed: {labels}").format(labels=", ".join(unreviewed)))
    lines += [f"{note[0].upper()}{note[1:]}" for note in result.notes]
    return "\n".join(lines)


def _norm_itself(norm: Any) -> str:
    parts = []
    if norm.mean is not None:
        parts.append(f"{norm.mean:g}" + (f" ± {norm.sd:g}" if norm.sd is not None else ""))
    if norm.low is not None and norm.high is not None:
        parts.append(_("{low} to {high}").format(low=f"{norm.low:g}", high=f"{norm.high:g}"))
    elif norm.low is not None:
        parts.append(f"≥ {norm.low:g}")
    elif norm.high is not None:
        parts.append(f"≤ {norm.high:g}")
    return ", ".join(parts)
