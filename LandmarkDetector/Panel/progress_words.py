"""How far something is and how long it takes yet, in words for a person."""

from __future__ import annotations

from LandmarkDetector.Panel.texts import _


def line_of(*parts: str) -> str:
    """What there is to say, in one line; empty parts are left out."""
    return " · ".join(filter(None, parts))


def percent(fraction: float) -> str:
    """A fraction in 0..1 as a person reads it."""
    return _("{percent} %").format(percent=round(100 * fraction))


def stage_words(stage: str) -> str:
    """A stage of the protocol in words for a person."""
    words = {
        "writing": _("Handing over the image"),
        "starting": _("Starting the detector"),
        "loading": _("Loading the bundle"),
        "reading": _("Reading the image"),
        "coarse": _("Looking for the anatomy"),
        "frame": _("Finding its position and direction"),
        "image": _("Looking at the whole image"),
        "patches": _("Looking closely at every landmark"),
        "done": _("Finishing"),
    }
    return words.get(stage, _("Detecting"))


def time_left(elapsed: float, fraction: float) -> str:
    """How long it will take yet, in words; empty as long as that would be a guess."""
    if fraction < 0.1 or elapsed < 0.5 or fraction >= 1:
        return ""
    return left_words(elapsed * (1 - fraction) / fraction)


def left_words(seconds: float) -> str:
    """So many seconds as a person says them."""
    if seconds < 90:
        return _("about {seconds} s left").format(seconds=max(1, round(seconds)))
    return _("about {minutes} min left").format(minutes=round(seconds / 60))
