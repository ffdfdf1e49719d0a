"""What is said of an old and a new bundle beside each other, landmark by landmark. Plain values; no Qt, no scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from LandmarkDetector.Panel.texts import _

KEPT_BACK, LEARNT = "kept back", "learnt"
"""Cases that trained neither, by which it is decided; newly reviewed ones, which trained the new bundle."""


@dataclass(frozen=True)
class ComparedLine:
    """One landmark, or all of them, as the table shows it.

    Args:
        label: the landmark's, or a word for all.
        old: mean error of the old bundle.
        new: mean error of the new one.
        change: new minus old, with its paired 95 % interval.
        worse: whether it counts against the new bundle.
        about: all that there is to say.
    """

    label: str
    old: str
    new: str
    change: str
    worse: bool
    about: str


def compared_lines(comparison: Mapping[str, Any], part: str) -> list[ComparedLine]:
    """The lines of a comparison, all landmarks together first, then those that are worse.

    Args:
        comparison: the worker's answer to ``promote``, as ``docs/retraining.md`` has it.
        part: :data:`KEPT_BACK` or :data:`LEARNT`.
    """
    unit = str(comparison["unit"])
    if part == KEPT_BACK:
        each, overall = comparison["landmarks"], comparison["overall"]
    else:
        trained = comparison.get("trained") or {"per_landmark": {}, "overall": None}
        each = {label: _as_change(item) for label, item in trained["per_landmark"].items()}
        overall = None if trained["overall"] is None else _as_change(trained["overall"])
    lines = [_line(label, item, unit) for label, item in each.items()]
    lines.sort(key=lambda line: not line.worse)
    return lines if overall is None else [_line(_("All"), overall, unit), *lines]


def verdict_is_good(comparison: Mapping[str, Any]) -> bool:
    """Whether the new bundle may be put in use without a reason: not worse, and nothing is in doubt."""
    return comparison["verdict"] == "not worse" and not comparison["doubts"]


def parts_of(comparison: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Which cases were compared: a key and words with their number."""
    kept, trained = len(comparison["cases"]), comparison.get("trained")
    found = [(KEPT_BACK, _("Kept back, by these it is decided: {n}").format(n=kept))]
    if trained:
        found.append((LEARNT, _("Newly reviewed, it learnt from them: {n}").format(n=len(trained["cases"]))))
    return found


def _as_change(item: Mapping[str, Any]) -> dict[str, Any]:
    """A paired difference under the names of a decision's change."""
    missed = [item["missed_first"], item["missed_second"]]
    return {"old": item["first"], "new": item["second"], "missed": missed, "worse": False, **item}


def _line(label: str, item: Mapping[str, Any], unit: str) -> ComparedLine:
    change, about = _number(item["difference"], True), []
    low, high = item["interval"]
    if low is not None and high is not None:
        change += f" ({_number(low, True)} … {_number(high, True)})"
    if item["difference"] is None:
        about.append(_("{label}: nobody vouches for a place of it on these cases.").format(label=label))
    else:
        text = _("{label}: mean error {old} {unit} before, {new} {unit} now; the difference with its 95 % interval.")
        about.append(text.format(label=label, old=_number(item["old"]), new=_number(item["new"]), unit=unit))
    if item.get("margin") is not None and item.get("estimate") is not None:
        text = _(
            "Drawn to the mean of all by what chance explains: {estimate} {unit}; up to {margin} {unit} is let pass."
        )
        about.append(text.format(estimate=_number(item["estimate"], True), margin=_number(item["margin"]), unit=unit))
    if any(item["missed"]):
        about.append(
            _("Not found: {before} before, {now} now.").format(before=item["missed"][0], now=item["missed"][1])
        )
    worse = bool(item.get("worse"))
    sign = "⚠ " if worse else ""
    return ComparedLine(f"{sign}{label}", _number(item["old"]), _number(item["new"]), change, worse, "\n".join(about))


def _number(value: float | None, signed: bool = False) -> str:
    if value is None:
        return "–"
    shown = round(value, 2) + 0.0  # no negative zero
    text = f"{shown:+.2f}" if signed else f"{shown:.2f}"
    return text.replace("-", "−")
