"""What goes over the pipe between an application and its worker: one JSON object a line, in ASCII.

``docs/worker-protocol.md`` tells the whole conversation. Voxels never go this way; they stand in a file that both map.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from LandmarkDetectorLib.core import Landmark, LandmarkDetectorError, LandmarkError, LandmarkSet

PROTOCOL = 1
"""Raised by one whenever an older worker or application would misunderstand a newer one."""
LONGEST_LINE = 64 << 20
"""Bytes; ten thousand landmarks take five million of them."""


class ProtocolError(LandmarkDetectorError):
    """A line that is not of the protocol."""


def encode(message: Mapping[str, Any]) -> bytes:
    """One line, its end included. Text that is no UTF-8, as in some names of files, survives the way.

    Raises:
        ProtocolError: the message holds what JSON cannot.
    """
    try:
        return json.dumps(message, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"A message cannot be written as JSON ({error}); send plain values.") from error


def decode(line: bytes) -> dict[str, Any]:
    """The message in a line.

    Raises:
        ProtocolError: the line holds no JSON object, or a number that is not finite, which no answer could repeat.
    """
    try:
        message = json.loads(line, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):  # ValueError: also where it is not UTF-8
        message = None
    if not isinstance(message, dict):
        raise ProtocolError(f"A line of {len(line)} bytes holds no JSON object; both sides must speak this protocol.")
    return message


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


@dataclass(frozen=True)
class Kind:
    """What a field of a request may be: in words, and as a test of its value."""

    words: str
    fits: Callable[[Any], bool]


TEXT = Kind("a text", lambda value: isinstance(value, str) and "\0" not in value)
TEXTS = Kind("a list of texts", lambda value: isinstance(value, list) and all(TEXT.fits(one) for one in value))
NUMBER = Kind("a number", lambda value: isinstance(value, (int, float)) and not isinstance(value, bool))
WHETHER = Kind("true or false", lambda value: isinstance(value, bool))
OBJECT = Kind("an object", lambda value: isinstance(value, dict))
SYSTEM = Kind("LPS or RAS", lambda value: value in ("LPS", "RAS"))


class Lines:
    """Cuts a stream, which arrives in any pieces, into lines."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that this piece completes, without their ends, empty ones left out.

        Raises:
            ProtocolError: a line that does not end.
        """
        self._rest += piece
        if len(self._rest) > LONGEST_LINE:
            self._rest.clear()
            raise ProtocolError(
                f"A line of more than {LONGEST_LINE >> 20} MB came; both sides must speak this protocol."
            )
        if b"\n" not in piece:
            return []
        *lines, rest = self._rest.split(b"\n")
        self._rest = bytearray(rest)
        return [bytes(line) for line in lines if line.strip()]


def landmarks_to_record(landmarks: LandmarkSet) -> dict[str, Any]:
    """The set as JSON values; every digit of its numbers is kept."""
    return {
        "unit": landmarks.unit,
        "name": landmarks.name,
        "info": dict(landmarks.info),
        "landmarks": [
            {
                "label": mark.label,
                "position": None if mark.position is None else mark.position.tolist(),
                "status": mark.status,
                "confidence": mark.confidence,
                "covariance": None if mark.covariance is None else mark.covariance.tolist(),
                "description": mark.description,
            }
            for mark in landmarks
        ],
    }


def landmarks_from_record(record: Mapping[str, Any]) -> LandmarkSet:
    """The set that :func:`landmarks_to_record` was given.

    Raises:
        ProtocolError: the record lacks something, or says what cannot be.
    """
    try:
        marks = tuple(Landmark(**mark) for mark in record["landmarks"])
        return LandmarkSet(marks, record["unit"], record["name"], dict(record["info"]))
    except (KeyError, TypeError, ValueError, LandmarkError) as error:
        raise ProtocolError(
            f"A record of landmarks is wrong ({error!r}); both sides must speak this protocol."
        ) from error
