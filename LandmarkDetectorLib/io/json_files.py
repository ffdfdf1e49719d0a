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


def parse_json(text: str, name: str, odd_numbers: list[str] | None = None) -> Any:
    """What JSON text of the file ``name`` holds.

    Args:
        text: the file's.
        name: for messages.
        odd_numbers: where given, numbers that are not finite are read and put down here as they are written, for a
            caller who knows their place in the file.

    Raises:
        LandmarkFileError: as :func:`read_json` says.
    """
    try:
        return parse_strictly(text, odd_numbers)
    except StrictJsonError as error:
        raise LandmarkFileError(f"{name}: {error}; mend the file, or save it again.") from None


class StrictJsonError(ValueError):
    """Why text is refused as JSON: the part of a sentence behind the file's name."""


def parse_strictly(text: str, odd_numbers: list[str] | None = None) -> Any:
    """As :func:`parse_json`, for callers who have an error of their own.

    Raises:
        StrictJsonError: the text is no JSON, says something twice in one object, or holds a number that is not finite.
    """

    def constant(text: str) -> float:
        if odd_numbers is None:
            raise StrictJsonError(f"it holds {text[:20]}, which JSON does not have")
        odd_numbers.append(text)
        return float(text)

    def number(text: str) -> float:
        value = float(text)
        return constant(text) if math.isinf(value) else value

    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise StrictJsonError(f"the key {twice[:40]!r} stands twice in one object")
        return found

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=constant, parse_float=number)
    except StrictJsonError:
        raise
    except RecursionError:
        raise StrictJsonError("it is nested too deeply to be read") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise StrictJsonError(f"it is no valid JSON from {place}, and perhaps truncated") from None
    except ValueError:
        raise StrictJsonError("it holds a number of too many digits") from None


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
