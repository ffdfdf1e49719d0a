"""A training worker that does nothing by itself, and what it may answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Trainer:
    """Takes the place of the panel's training process: a test tells by its signals what it would tell."""

    def __init__(self) -> None:
        from LandmarkDetector.Panel.signals import Signal

        self.progress, self.paused, self.notice = Signal(), Signal(), Signal()
        self.result, self.failed = Signal(), Signal()
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.pauses: list[bool] = []
        self.cancelled = self.ended = self.closed = 0
        self.refuses = ""

    def ask(self, command: str, folder: str, content: dict[str, Any]) -> None:
        """Remember the request."""
        from LandmarkDetectorLib.inference.client import WorkerError

        if self.refuses:
            raise WorkerError(self.refuses)
        self.asked.append((command, folder, {key: value for key, value in content.items() if value is not None}))

    def pause(self, paused: bool) -> None:
        """Remember it."""
        self.pauses.append(paused)

    def cancel(self) -> None:
        """Count it."""
        self.cancelled += 1

    def end(self) -> None:
        """Count it."""
        self.ended += 1

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def comparison(
    worse: Sequence[str] = (),
    verdict: str = "",
    doubts: Sequence[str] = (),
    promoted: bool = False,
    outcome: str = "Compared.",
) -> dict[str, Any]:
    """The worker's answer to ``promote``: landmark a is better, b is as said, of c nothing is known."""
    known = {
        "a": _change(2.0, 1.4, (-1.1, 0.1)),
        "b": _change(2.0, 2.7, (0.2, 1.2)) if "b" in worse else _change(2.0, 1.6, (-0.8, 0.1)),
        "c": _change(None, None, (None, None)),
    }
    known = {label: {**item, "worse": label in worse} for label, item in known.items()}
    part = {"missed_first": 0, "missed_second": 0, "first": 3.0, "second": 1.0, "difference": -2.0}
    return {
        "outcome": outcome,
        "promoted": promoted,
        "old": {"name": "heads", "version": "1.1.0", "fingerprint": "a" * 64},
        "candidate": {"name": "heads", "version": "1.2.0", "fingerprint": "b" * 64},
        "doubts": list(doubts),
        "verdict": verdict or ("worse" if worse else "not worse"),
        "reasons": ["b is worse."] if worse else [],
        "unit": "mm",
        "subjects": 3,
        "overall": _change(2.0, 1.5, (-0.9, -0.1)),
        "landmarks": known,
        "cases": ["case-1", "case-2", "case-3"],
        "trained": {
            "overall": {**part, "interval": [-2.5, -1.5]},
            "per_landmark": {"a": {**part, "interval": [-2.5, -1.5]}},
            "cases": ["case-4", "case-5"],
        },
        "html": "comparison.html",
    }


def _change(old: float | None, new: float | None, interval: tuple[float | None, float | None]) -> dict[str, Any]:
    difference = None if old is None or new is None else new - old
    estimate, margin = (None, None) if old is None else (difference, 0.25 * old)
    return {
        "old": old,
        "new": new,
        "difference": difference,
        "interval": list(interval),
        "estimate": estimate,
        "margin": margin,
        "missed": [0, 0],
        "subjects": 3,
        "worse": False,
    }
