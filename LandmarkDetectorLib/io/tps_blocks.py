"""The lines of a TPS file, sorted into specimens; :mod:`LandmarkDetectorLib.io.tps` gives them a meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from LandmarkDetectorLib.core import LandmarkFileError
from LandmarkDetectorLib.io.tables import number

_SETTING = re.compile(r"\s*([A-Za-z][A-Za-z0-9_ ]*?)\s*=(.*)")
_MISSING = ("na", "nan")
_MOST = 1_000_000
"""Landmarks that one section may announce; more is a damaged count."""


@dataclass
class Specimen:
    """What stands between one LM and the next.

    ``points`` (K, 2) or (K, 3) as the file counts, NaN for NA; ``lines`` their line numbers; ``curves`` of the same
    form each; ``settings`` the other keys, in capitals.
    """

    dimension: int
    line: int
    points: np.ndarray
    lines: list[int]
    curves: list[np.ndarray] = field(default_factory=list)
    curve_lines: list[list[int]] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def labelled(self, curves: bool) -> list[tuple[str, np.ndarray, int]]:
        """Label, coordinates and line of each landmark, and of each semilandmark where ``curves`` are wanted."""
        rows = [(str(i), at, line) for i, (at, line) in enumerate(zip(self.points, self.lines, strict=True), 1)]
        if curves:
            for c, (points, lines) in enumerate(zip(self.curves, self.curve_lines, strict=True), 1):
                pairs = enumerate(zip(points, lines, strict=True), 1)
                rows += [(f"curve {c}.{i}", at, line) for i, (at, line) in pairs]
        return rows

    def number_of(self, key: str, place: str) -> float:
        """A setting as a number.

        Raises:
            LandmarkFileError: it is none; ``place`` begins the message.
        """
        return number(self.settings[key], f"{place}: {key}")


def specimens(text: str, name: str) -> Iterator[Specimen]:
    """The specimens of a file in order.

    Raises:
        LandmarkFileError: a section is shorter or longer than it says, or a line is neither coordinates nor KEY=value.
    """
    lines = [(i, line.strip()) for i, line in enumerate(re.split(r"\r\n|\n|\r", text), 1) if line.strip()]
    if not lines:
        raise LandmarkFileError(f"{name}: it is empty; save it from tpsDig again.")
    current: Specimen | None = None
    at = 0
    while at < len(lines):
        line, content = lines[at]
        at += 1
        place = f"{name}: line {line}"
        match = _SETTING.fullmatch(content)
        if match is None:
            raise LandmarkFileError(
                f"{place} has {content[:40]!r}, which is neither KEY=value nor one of the coordinates that its section "
                "announced; mend the count or the line."
            )
        key, value = match[1].upper(), match[2].strip()
        if key in ("LM", "LM3"):
            if current is not None:
                yield current
            dimension = 3 if key == "LM3" else 2
            points, numbers = _rows(lines, at, _count(value, place), dimension, f"{name}", line)
            current = Specimen(dimension, line, points, numbers)
            at += len(points)
        elif current is None:
            raise LandmarkFileError(f"{place} has {key} before any LM; begin each specimen with LM=.")
        elif key == "POINTS":
            points, numbers = _rows(lines, at, _count(value, place), current.dimension, name, line)
            current.curves.append(points)
            current.curve_lines.append(numbers)
            at += len(points)
        elif key in ("CURVES", "OUTLINES"):
            _count(value, place)
        elif key in current.settings and key != "COMMENT":
            raise LandmarkFileError(f"{place} has a second {key} for one specimen; begin each specimen with LM=.")
        else:
            before = current.settings.get(key)
            current.settings[key] = value if before is None else f"{before}\n{value}"
    if current is not None:
        yield current


def _count(value: str, place: str) -> int:
    if not re.fullmatch(r"\d{1,9}", value) or int(value) > _MOST:
        raise LandmarkFileError(f"{place} announces {value[:20]!r} lines, which is no count; mend the line.")
    return int(value)


def _rows(
    lines: list[tuple[int, str]], at: int, count: int, dimension: int, name: str, head: int
) -> tuple[np.ndarray, list[int]]:
    """The next ``count`` lines as coordinates (count, dimension), NaN for NA, and their numbers."""
    found, numbers = [], []
    for line, content in lines[at : at + count]:
        words = content.split()
        place = f"{name}: line {line}"
        if "=" in content:
            break
        if len(words) != dimension:
            raise LandmarkFileError(f"{place} has {len(words)} coordinates and should have {dimension}; mend the line.")
        missing = any(word.lower() in _MISSING for word in words)
        found.append([np.nan] * dimension if missing else [number(word, place) for word in words])
        numbers.append(line)
    if len(found) < count:
        raise LandmarkFileError(
            f"{name}: line {head} announces {count} lines of coordinates and {len(found)} follow; mend the count."
        )
    return np.array(found, dtype=np.float64).reshape(-1, dimension), numbers
