"""What a command says: results on stdout, everything else on stderr, so that a program can read the one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment

_CONTROLS = dict.fromkeys(
    (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd"
)
"""What commands a terminal, or turns the order of what is read; all but tab and the end of a line."""


class _Terminal(Console):
    """A console that text cannot command: a label or a file's name comes from whoever made a bundle or an image."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is shown; a control character in a text stands there as one that cannot be shown."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(segment.text.translate(_CONTROLS), segment.style)


results = _Terminal(highlight=False)
messages = _Terminal(stderr=True, highlight=False)

HEARTBEAT = 15.0
"""Seconds between two lines of progress where stderr is no terminal."""


def say(sentence: str, end: str = "\n") -> None:
    """A sentence on stderr, as it is: not wrapped, not taken for markup."""
    messages.print(sentence, end=end, markup=False, soft_wrap=True)


def say_failed(name: str, sentence: str) -> None:
    """Say what went wrong with one of several, by its name; the others go on."""
    say(f"Error: {sentence}" if name in sentence else f"Error: {name}: {sentence}")


def print_json(document: Any) -> None:
    """One JSON document on stdout, in ASCII and standard JSON: a NaN is a defect and raises ValueError."""
    print(json.dumps(document, indent=2, allow_nan=False))


class Steps:
    """Progress of one piece of work, to be called with a stage and the fraction done.

    On a terminal a bar with the stage's name and the time left; elsewhere a line now and then. A fraction that falls
    back begins a new count of the time left.

    Args:
        title: what stands before the stage, such as the image's name.
    """

    def __init__(self, title: str = "") -> None:
        self._title = title
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            console=messages,
            transient=True,
            disable=not messages.is_terminal,
        )
        self._task = self._bar.add_task(title or "starting", total=1.0)
        self._fraction = 0.0
        self._since = self._spoke = time.monotonic()

    def __enter__(self) -> Steps:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def __call__(self, stage: str, fraction: float) -> None:
        """Say that ``fraction`` (0 to 1) is done and ``stage`` is at work."""
        now = time.monotonic()
        if fraction < self._fraction:
            self._bar.reset(self._task)
            self._since = now
        self._fraction = fraction
        words = f"{self._title}: {stage}" if self._title else stage
        self._bar.update(self._task, description=words, completed=fraction)
        if not messages.is_terminal and now - self._spoke >= HEARTBEAT:
            self._spoke = now
            left = (now - self._since) * (1 - fraction) / fraction if fraction > 0 else None
            say(f"{words}, {fraction:.0%}" + ("" if left is None else f", {left:.0f} s left"))
