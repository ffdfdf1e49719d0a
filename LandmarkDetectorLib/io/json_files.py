"""JSON that other programs write: read strictly, with errors in sentences."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.core import LandmarkFileError
from LandmarkDetectorLib.io.names import shown
from LandmarkDetectorLib.io.text_files import read_text


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        LandmarkFileError: the file is missing, too large, not UTF-8, no JSON, says something twice in one object, or
            holds a number that is not finite.
    """
    return parse_json(read_text(path), shown(path))


def parse_json(text: str, name: str) -> Any:
    """What JSON text of the file ``name`` holds.

    Raises:
        LandmarkFileError: as :func:`read_json` says.
    """

    def refused(constant: str) -> float:
        raise LandmarkFileError(f"{name}: it holds {constant[:20]}, which JSON does not have; mend the file.")

    def number(text: str) -> float:
        value = float(text)
        return refused(text) if math.isinf(value) else value

    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise LandmarkFileError(f"{name}: the key {twice[:40]!r} stands twice in one object; mend the file.")
        return found

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refused, parse_float=number)
    except RecursionError:
        raise LandmarkFileError(f"{name}: it is nested too deeply to be read; save it again.") from None
    except json.JSONDecodeError as error:
        raise LandmarkFileError(
            f"{name}: it is no valid JSON from line {error.lineno}, column {error.colno}, and perhaps truncated; "
            "save it again."
        ) from None
    except ValueError:
        raise LandmarkFileError(f"{name}: it holds a number of too many digits; mend the file.") from None


def finite(value: Any, place: str) -> float:
    """A JSON number as a float.

    Raises:
        LandmarkFileError: it is no number, or one that a float does not hold; ``place`` begins the message.
    """
    if type(value) in (int, float):
        try:
            return float(value)
        except OverflowError:
            pass
    raise LandmarkFileError(f"{place} has {str(value)[:40]!r} where a number should be; mend the file.")
