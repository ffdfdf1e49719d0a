"""What both sides do with the same input: the rows of ``beside_landmarker.py`` are functions that say it in a word."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import math
import sys
import types
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from machine import ROOT

sys.path.insert(0, str(ROOT))

Said = Callable[[], str]


@dataclass(frozen=True)
class Row:
    """One thing that both sides are asked for.

    Args:
        part: which table of ``docs/toolkit/landmarker.md`` it stands in.
        what: its first cell there.
        measured: what is said of it, and of what input.
        made: makes the input and returns what theirs and what ours say.
    """

    part: str
    what: str
    measured: str
    made: Callable[[], tuple[Said, Said]]

    def said(self) -> tuple[str, str]:
        """What theirs and what ours say; what raises says so."""
        theirs, ours = self.made()
        return answer(theirs), answer(ours, strict=True)


ROWS: list[Row] = []


def row(part: str, what: str, measured: str) -> Callable[[Callable[[], tuple[Said, Said]]], Callable[[], Any]]:
    """Decorator: a row."""

    def register(made: Callable[[], tuple[Said, Said]]) -> Callable[[], Any]:
        ROWS.append(Row(part, what, measured, made))
        return made

    return register


def answer(said: Said, *, strict: bool = False) -> str:
    """What a side says, without what it prints on the way; what is ``strict`` must not fail."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            return said()
        except Exception as error:  # whatever theirs raises is the finding
            if strict:
                raise
            return f"raises {type(error).__name__}"


def number(value: float, digits: int = 3) -> str:
    """A figure; of what is none, its name."""
    value = float(value)
    if math.isnan(value):
        return "NaN"
    return f"{value:.{digits}g}" if abs(value) >= 10**-digits or value == 0 else "0"


def numbers(values: Iterable[float], digits: int = 3) -> str:
    """Several figures."""
    return ", ".join(number(value, digits) for value in values)


def without_torchvision() -> None:
    """Two functions of torchvision's stand in where it is not installed: that is all that landmarker takes of it."""
    if importlib.util.find_spec("torchvision") is not None:
        return
    from torch.nn.functional import interpolate
    from torch.nn.functional import pad as padded

    def pad(image: Any, padding: tuple[int, int], fill: float, mode: str) -> Any:
        across, down = padding
        return padded(image, (across, across, down, down), mode, fill)

    def resize(image: Any, size: tuple[int, int]) -> Any:
        return interpolate(image[None], size, mode="bilinear", align_corners=False, antialias=True)[0]

    modules = {name: types.ModuleType(name) for name in ("torchvision", "torchvision.transforms")}
    functional = types.SimpleNamespace(pad=pad, resize=resize)
    modules["torchvision.transforms"].functional = functional  # type: ignore[attr-defined]
    modules["torchvision"].transforms = modules["torchvision.transforms"]  # type: ignore[attr-defined]
    sys.modules.update(modules)
