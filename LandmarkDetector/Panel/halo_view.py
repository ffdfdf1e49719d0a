"""The regions of uncertainty: there while a result is reviewed and the person wants them, and what they promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from LandmarkDetector.Panel.texts import _

_NAMED = 3
"""So many landmarks are named; of more it is said how many they are."""


class HaloView:
    """Shows the halo of one review at a time, and says below the check box what its rings are worth.

    Args:
        ui: the widgets of the .ui file by name.
    """

    def __init__(self, ui) -> None:
        self._ui = ui
        self._halo: Any = None

    def show(self, review: Any) -> None:
        """Show the halo of this review, or none; none of landmarks that are hidden."""
        from LandmarkDetector.Scene.focus import is_shown
        from LandmarkDetector.Scene.halo import Halo

        if not self._ui.halosCheck.isChecked() or (review is not None and not is_shown(review.node)):
            review = None
        if self._halo is not None and self._halo.review is not review:
            self.drop()
        if self._halo is None and review is not None:
            self._halo = Halo(review)
        self._say(coverage(self._halo.drawn) if self._halo is not None else "")

    def drop(self) -> None:
        """Take it out of the scene."""
        if self._halo is not None:
            self._halo.release()
            self._halo = None
        self._say("")

    def _say(self, text: str) -> None:
        self._ui.halosLabel.setText(text)
        self._ui.halosLabel.setVisible(bool(text))


def coverage(drawn: Sequence[tuple[str, Any]]) -> str:
    """What the rings that are drawn promise: those that were calibrated, and plainly those that were not.

    Args:
        drawn: labels with their ``Region``.
    """
    promised = dict.fromkeys((region.level, region.cases) for _label, region in drawn if region.calibrated)
    parts = [_promise(level, cases) for level, cases in promised]
    believed = [(label, region) for label, region in drawn if not region.calibrated]
    if believed:
        level = believed[0][1].level
        if parts:
            text = _("Dashed rings, of {which}, are uncalibrated: too few cases could promise anything for them.")
            parts.append(text.format(which=_which([label for label, _region in believed])))
        else:
            text = _(
                "Dashed rings are uncalibrated: they would hold {level:g} % of true positions if the bundle were right "
                "about itself, which was not measured."
            )
            parts.append(text.format(level=100 * level))
    return "\n".join(parts)


def _promise(level: float, cases: int | None) -> str:
    if cases is None:
        text = _("{level:g} % of true positions lie within the ring, measured on held-out cases.")
        return text.format(level=100 * level)
    text = _("{level:g} % of true positions lie within the ring, measured on {cases} held-out cases.")
    return text.format(level=100 * level, cases=cases)


def _which(labels: Sequence[str]) -> str:
    if len(labels) > _NAMED:
        return _("{number} landmarks").format(number=len(labels))
    return ", ".join(labels)
